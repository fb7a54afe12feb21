from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from engine.config.document import MAX_BYTES, ConfigError, Document, load_document, validate
from engine.flow.errors import ConfigurationError


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Replay(Section):
    kind: Literal["replay"]
    path: str = Field(description="CSV file of bars")
    speed: Decimal = Field(default=Decimal(1), gt=0)


class Synthetic(Section):
    kind: Literal["synthetic"]
    seed: int = 0


class Market(Section):
    pair: str
    source: Annotated[Replay | Synthetic, Field(discriminator="kind")]

    @field_validator("pair")
    @classmethod
    def has_dash(cls, value: str) -> str:
        if "-" not in value:
            raise ValueError("write it as BASE-QUOTE")
        return value


class Session(Section):
    session: str
    side: Literal["buy", "sell"] = "buy"
    balance: Decimal = Field(default=Decimal(0), ge=0)
    repeat: bool = False
    key: SecretStr | None = None
    ratio: float = 1.0
    markets: tuple[Market, ...] = ()
    limits: dict[str, Decimal] = {}
    pace: Literal["max"] | Annotated[Decimal, Field(gt=0)] = Decimal(1)
    spare: Synthetic | None = None

    @model_validator(mode="after")
    def enough(self) -> Session:
        if self.session == "poor":
            raise ValueError("balance is too small for the markets")
        return self


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "session.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def load(folder: Path, text: str | bytes) -> Document:
    return load_document(write(folder, text))


def problems_of(folder: Path, text: str | bytes) -> list[str]:
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        validate(load_document(path), Session)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all("\n" not in problem for problem in caught.value.problems)
    assert all(problem.startswith(f"{path}:") for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]


def test_values_keep_their_kind_and_no_number_becomes_a_binary_float(tmp_path: Path) -> None:
    document = load(
        tmp_path,
        """
whole: 12
grouped: 1_000_000
negative: -7
leading_zero: 010
decimal: 0.10
scientific: 1e-3
no_lead: .5
no_trail: 5.
big: 64_000.25
yes_word: yes
truth: true
lies: False
nothing:
tilde: ~
date: 2017-01-01
clock: 12:30
quoted: "0.1"
version: 1.2.3
sign: '-'
list: [1, 0.2, x]
""",
    )
    data = document.data
    assert data["whole"] == 12
    assert isinstance(data["whole"], int)
    assert data["grouped"] == 1_000_000
    assert data["negative"] == -7
    assert data["leading_zero"] == 10
    assert isinstance(data["decimal"], Decimal)
    assert str(data["decimal"]) == "0.10"
    assert data["scientific"] == Decimal("0.001")
    assert data["no_lead"] == Decimal("0.5")
    assert data["no_trail"] == Decimal(5)
    assert data["big"] == Decimal("64000.25")
    assert data["yes_word"] == "yes"
    assert data["truth"] is True
    assert data["lies"] is False
    assert data["nothing"] is None
    assert data["tilde"] is None
    assert data["date"] == "2017-01-01"
    assert data["clock"] == "12:30"
    assert data["quoted"] == "0.1"
    assert data["version"] == "1.2.3"
    assert data["list"] == [1, Decimal("0.2"), "x"]


def test_every_key_and_item_knows_its_line(tmp_path: Path) -> None:
    document = load(tmp_path, "# top\nmarkets:\n  - pair: A-B\n    tick: 1\n  - pair: C-D\n")
    assert document.line(("markets",)) == 2
    assert document.line(("markets", 0, "tick")) == 4
    assert document.line(("markets", 1)) == 5
    assert document.line(("markets", 1, "absent", "deeper")) == 5
    assert document.base_dir == tmp_path
    error = document.error(("markets", 0, "tick"), "is odd")
    assert str(error) == f"{tmp_path}/session.yaml:4: markets.0.tick: is odd"


def test_an_alias_repeats_a_value(tmp_path: Path) -> None:
    data = load(tmp_path, "a: &one {x: 1}\nb: *one\n").data
    assert data == {"a": {"x": 1}, "b": {"x": 1}}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "document: is empty"),
        ("# only a remark\n", 1, "document: is empty"),
        ("- a\n- b\n", 1, "document: is not a mapping"),
        ("\nword\n", 2, "document: is not a mapping"),
        ("a: 1\nb: [1, 2\n", 3, "document: not valid YAML"),
        ("a: 1\n b: 2\n", 2, "mapping values are not allowed"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: 1\n---\nb: 2\n", 2, "expected a single document"),
        ("a: *nobody\n", 1, "undefined alias"),
        ("a: \x07\n", 1, "printable"),
        (b"a: 1\nb: \xff\n", 2, "file: byte 0xff is not UTF-8"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 4, "b.c: key appears twice (first on line 3), keep one"),
        ("a: &x 1\nb:\n  <<: {c: 1}\n", 3, "b.<<: merge keys are not allowed"),
        ("? [a, b]\n: 1\n", 1, "keys must be plain words"),
        ("a: !!python/object:os.system x\n", 1, "a: tag !!python/object:os.system is not allowed"),
        ("a: !mine x\n", 1, "a: tag !mine is not allowed"),
        ("a: !!set {x}\n", 1, "a: tag !!set is not allowed"),
        ("a: .nan\n", 1, "a: .nan is not allowed, use a finite number"),
        ("a: -.INF\n", 1, "a: -.INF is not allowed"),
        ("a: 1e999999999\n", 1, "a: 1e999999999 is out of range"),
        (f"a: {'9' * 100}\n", 1, "a: number 999999999999... has 100 characters"),
        ("a: !!int x\n", 1, "a: 'x' is not a whole number"),
        ("a: !!float x\n", 1, "a: 'x' is not a number"),
        ("a: !!bool maybe\n", 1, "a: 'maybe' is not a boolean, use true or false"),
        ("a: &loop\n  b: *loop\n", 1, "contains itself"),
        (f"a: {'[' * 200}\n", 1, "nested deeper than 40 levels"),
        ("a: &x 1\nb: [" + "*x, " * 101 + "]\n", 2, "more than 100 aliases"),
        (
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(
                f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n"
                for before, name in zip("abcde", "bcdef", strict=True)
            ),
            1,
            "more than 50000 values",
        ),
    ],
)
def test_a_document_that_cannot_be_read_says_line_and_reason(
    tmp_path: Path, text: str | bytes, line: int, said: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_document(path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}:{line}: ")
    assert said in problem
    assert "\n" not in problem


def test_a_byte_order_mark_is_not_part_of_the_first_key(tmp_path: Path) -> None:
    assert load(tmp_path, b"\xef\xbb\xbfa: 1\n").data == {"a": 1}


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml:1: file: does not exist, check"):
        load_document(tmp_path / "absent.yaml")


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file: is a directory, name a YAML file"):
        load_document(tmp_path)


def test_a_device(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file: is not a regular file"):
        load_document(Path("/dev/null"))


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"file: (cannot be read|does not exist)"):
        load_document(tmp_path / "a\0b")
    with pytest.raises(ConfigError, match=r"file: cannot be read \(File name too long\)"):
        load_document(tmp_path / ("x" * 300))


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file: cannot be read"):
        load_document(write(tmp_path, "a: 1\n") / "below.yaml")


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"file: is larger than {MAX_BYTES} bytes"):
        load(tmp_path, b"#" * (MAX_BYTES + 1))


def test_a_valid_document_becomes_the_model(tmp_path: Path) -> None:
    session = validate(
        load(
            tmp_path,
            """
session: demo
balance: 10_000.50
repeat: yes
ratio: 0.25
markets:
  - pair: EUR-USD
    source: {kind: replay, path: data.csv, speed: 1e3}
  - pair: BTC-USDT
    source: {kind: synthetic, seed: 7}
limits: {a: 0.1}
""",
        ),
        Session,
    )
    assert session.balance == Decimal("10000.50")
    assert session.repeat is True
    assert session.ratio == 0.25
    first, second = (market.source for market in session.markets)
    assert isinstance(first, Replay)
    assert first.speed == 1000
    assert isinstance(second, Synthetic)
    assert second.seed == 7
    assert session.limits == {"a": Decimal("0.1")}


MARKET = "session: a\nmarkets:\n- pair: A-B\n  source:\n    "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "sesion: a\nsession: a\n",
            (
                "1: sesion: is not a known key, did you mean 'session'? known keys: session, side, "
                "balance, repeat, key, ratio, markets, limits, pace, spare"
            ),
        ),
        ("side: buy\n", "1: session: is missing, set it"),
        (
            "session: a\nside: hold\n",
            "2: side: 'hold' is not allowed, must be 'buy' or 'sell'",
        ),
        (
            "session: a\nbalance: -1\n",
            "2: balance: -1 is not allowed, must be greater than or equal to 0",
        ),
        (
            "session: a\nbalance: lots\n",
            "2: balance: 'lots' is not allowed, must be a valid decimal",
        ),
        (
            "session: a\nrepeat: perhaps\n",
            (
                "2: repeat: 'perhaps' is not allowed, must be a valid boolean, unable to interpret "
                "input"
            ),
        ),
        ("session:\n", "1: session: nothing is not allowed, must be a valid string"),
        ("session: [a]\n", "1: session: a list is not allowed, must be a valid string"),
        ("session: {a: 1}\n", "1: session: a mapping is not allowed, must be a valid string"),
        ("session: true\n", "1: session: true is not allowed, must be a valid string"),
        ("session: 0.5\n", "1: session: 0.5 is not allowed, must be a valid string"),
        ("session: poor\n", "1: document: balance is too small for the markets"),
        ("session: a\nmarkets: 3\n", "2: markets: 3 is not allowed, must be a list"),
        ("session: a\nlimits: 3\n", "2: limits: 3 is not allowed, must be a mapping of keys"),
        (
            "session: a\nlimits:\n  x: y\n",
            "3: limits.x: 'y' is not allowed, must be a valid decimal",
        ),
        (
            "session: a\nmarkets:\n- A-B\n",
            "3: markets.0: 'A-B' is not allowed, must be a mapping of keys",
        ),
        (
            "session: a\nmarkets:\n- source: {kind: synthetic}\n  pair: AB\n",
            "4: markets.0.pair: 'AB' is not allowed, write it as BASE-QUOTE",
        ),
        (
            MARKET + "path: x\n",
            "4: markets.0.source.kind: is missing, it says which kind this is",
        ),
        (
            MARKET + "kind: repaly\n",
            "5: markets.0.source.kind: 'repaly' is not allowed, must be 'replay' or 'synthetic'",
        ),
        (
            MARKET + "kind: replay\n",
            "4: markets.0.source.path: is missing, set it: CSV file of bars",
        ),
        (
            MARKET + "kind: replay\n    path: x\n    spede: 3\n",
            (
                "7: markets.0.source.spede: is not a known key, did you mean 'speed'? "
                "known keys: kind, path, speed"
            ),
        ),
        (
            MARKET + "kind: replay\n    path: x\n    speed: 0.0\n",
            "7: markets.0.source.speed: 0.0 is not allowed, must be greater than 0",
        ),
        (
            "session: a\npace: fast\n",
            "2: pace: 'fast' is not allowed, must be 'max' or a valid decimal",
        ),
        (
            "session: a\npace: 0\n",
            "2: pace: 0 is not allowed, must be 'max' or greater than 0",
        ),
        (
            "session: a\nspare: {kind: synthetic, sed: 1}\n",
            "2: spare.sed: is not a known key, did you mean 'seed'? known keys: kind, seed",
        ),
        ("session: a\nkey: [hush]\n", "2: key: the value (not shown) is not allowed"),
        (
            f"session: a\nside: {'x' * 200}\n",
            f"2: side: '{'x' * 60}...' is not allowed, must be 'buy' or 'sell'",
        ),
    ],
)
def test_a_mistake_is_told_with_line_field_value_and_what_is_allowed(
    tmp_path: Path, text: str, expected: str
) -> None:
    (problem,) = problems_of(tmp_path, text)
    assert problem.startswith(expected)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path, "markets:\n- pair: AB\n  source: {kind: x}\nside: up\nsession: 1\nzzz: 1\n"
    )
    assert [problem.split(": ")[:2] for problem in problems] == [
        ["2", "markets.0.pair"],
        ["3", "markets.0.source.kind"],
        ["4", "side"],
        ["5", "session"],
        ["6", "zzz"],
    ]
    assert "did you mean" not in problems[-1]


def test_the_error_carries_its_problems_for_machines(tmp_path: Path) -> None:
    path = write(tmp_path, "side: up\n")
    with pytest.raises(ConfigError) as caught:
        validate(load_document(path), Session)
    assert caught.value.to_dict()["details"] == {"problems": list(caught.value.problems)}
    assert not caught.value.retryable
