"""Backtest files: mistakes with file and line, overlays with origins, short forms, schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from engine.backtest.config import BacktestDocument
from engine.config.backtest_file import (
    explain,
    json_schema,
    load_backtest_file,
    load_backtest_values,
)
from engine.config.document import ConfigError

SAMPLES = Path(__file__).resolve().parents[3] / "sample_configs"
GOOD = """\
version: 1
backtest:
  data:
    - {symbol: SPX, path: spx.csv, bar: 1d}
  components:
    strategy:
      class: sma_cross
      params: {fast: 10, slow: 30}
    broker:
      params:
        slippage_model: fixed
        commission_model: per_share
profiles:
  quick:
    seed: 7
    components: {strategy: {params: {fast: 5}}}
"""


Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "spx.csv").write_text("date,open,high,low,close\n", encoding="utf-8")

    def make(text: str) -> Path:
        path = tmp_path / "backtest.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return make


def problems(path: Path, **more: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_backtest_file(path, **more)  # type: ignore[arg-type]  # whatever the test gives
    return [text.removeprefix(f"{path}:") for text in caught.value.problems]


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("backtest*.yaml")), ids=lambda path: path.stem)
def test_every_sample_can_be_loaded(path: Path) -> None:
    assert load_backtest_file(path).config.data


def test_short_forms_select_a_model_with_defaults(write: Write) -> None:
    broker = load_backtest_file(write(GOOD)).config.components.broker.params
    assert broker.slippage_model.kind == "fixed"  # type: ignore[union-attr]
    assert str(broker.commission_model.rate) == "0.005"  # type: ignore[union-attr]


def test_an_unknown_key_is_told_with_its_line_and_a_suggestion(write: Write) -> None:
    path = write(GOOD.replace("bar: 1d", "bra: 1d"))
    (text,) = problems(path)
    assert text.startswith("4: backtest.data.0.bra: is not a known key, did you mean 'bar'?")


def test_every_mistake_is_told_at_once_in_the_order_of_the_lines(write: Write) -> None:
    text = GOOD.replace("fast: 10", "fats: 10").replace("path: spx.csv", "path: gone.csv")
    first, second = problems(write(text))
    assert first == "4: backtest.data.0.path: 'gone.csv' does not exist"
    assert second.startswith(
        "8: backtest.components.strategy.params.fats: is not a known key, did you mean 'fast'?"
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("class: sma_cross", "class: sma_corss"),
            "7: components.strategy.class: strategy 'sma_corss' is not known, did you mean",
        ),
        (
            ("class: sma_cross", "class: my_pkg.Mine"),
            "7: components.strategy.class: strategy 'my_pkg.Mine': package 'my_pkg' may not be",
        ),
        (("fast: 10", "fast: 40"), "8: components.strategy.params: fast 40 must be below slow 30"),
        (("bar: 1d", "bar: 1q"), "4: data.0.bar: '1q' is not allowed"),
        (
            ("_model: fixed", "_model: {kind: fixed, ticks: -1}"),
            "11: components.broker.params.slippage_model.ticks",
        ),
        (("symbol: SPX, ", ""), "4: data.0.symbol: is missing, set it: name of the symbol"),
        (
            ("bar: 1d", "bar: 1d, validation: {V99: fix}"),
            "4: data.0.validation: 'V99' is no check",
        ),
        (
            ("_model: fixed", "_model: magic"),
            "11: components.broker.params.slippage_model.kind: 'magic' is not allowed",
        ),
    ],
    ids=[str(number) for number in range(8)],
)
def test_a_mistake_names_place_value_and_what_is_allowed(
    write: Write,
    change: tuple[str, str],
    expected: str,
) -> None:
    (text,) = problems(write(GOOD.replace(*change)))
    line, _, rest = expected.partition(": ")
    assert text.startswith(f"{line}: backtest.{rest}")


def test_a_file_of_another_kind_says_what_is_missing(write: Write) -> None:
    (text,) = problems(write("version: 1\nsession: {}\n"))
    assert "backtest: is missing: a backtest file has a section 'backtest'" in text


def test_overlays_go_over_each_other_in_order(write: Write) -> None:
    path = write(GOOD)
    assert load_backtest_file(path).config.seed == 42
    profile = load_backtest_file(path, profile="quick")
    assert profile.config.seed == 7
    assert profile.config.components.strategy is not None
    assert profile.config.components.strategy.params == {"fast": 5, "slow": 30}
    both = load_backtest_file(path, profile="quick", overrides=["seed=9", "data.0.tick=0.25"])
    assert both.config.seed == 9
    assert str(both.config.data[0].tick) == "0.25"


def test_explain_tells_the_origin_of_each_value(write: Write) -> None:
    file = load_backtest_file(
        write(GOOD), profile="quick", overrides=["components.portfolio.params.leverage=2"]
    )
    origins = {key: (value, origin) for key, value, origin in explain(file)}
    assert origins["seed"] == ("7", "profile quick (backtest.yaml:15)")
    assert origins["components.strategy.params.slow"] == ("30", "backtest.yaml:8")
    assert origins["components.strategy.params.fast"][1].startswith("profile quick")
    assert origins["components.portfolio.params.leverage"] == ("2", "command line")
    assert origins["components.broker.params.slippage_model.kind"] == ("fixed", "backtest.yaml:11")
    assert origins["components.broker.params.slippage_model.ticks"] == ("0", "backtest.yaml:11")
    assert origins["stop_on_error"] == ("true", "default")


@pytest.mark.parametrize("override", ["seed", "=7", "seed: 7"])
def test_an_override_that_is_none_is_told(write: Write, override: str) -> None:
    (text,) = problems(write(GOOD), overrides=[override])
    assert "is no key.key=value" in text


def test_a_profile_that_is_not_there_is_told(write: Write) -> None:
    (text,) = problems(write(GOOD), profile="slow")
    assert "profile 'slow' is not in the file, known: quick" in text


def test_a_configuration_of_an_earlier_run_can_be_changed(write: Write) -> None:
    file = load_backtest_file(write(GOOD))
    from engine.backtest.run_hash import config_hash, effective_config

    values = effective_config(file.config)
    again = load_backtest_values(values, file.base_dir)
    assert config_hash(again) == config_hash(file.config)
    changed = load_backtest_values(values, file.base_dir, overrides=["seed=1"])
    assert changed.seed == 1


def test_the_schema_names_every_section() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == set(BacktestDocument.model_fields)
    sections = schema["$defs"]
    assert {"class", "params"} <= set(sections["StrategySection"]["properties"])
    assert sections["BacktestConfig"]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("executors.0.type=magic", "executors.0.type: executor type 'magic' is not known"),
        ("executors.0.amount=-1", "executors.0.amount: -1 is not allowed"),
        ("executors.0.trading_pair=ETH-USD", "executors.0.trading_pair: market 'backtest_fx:ETH-"),
        ("controllers.0.kind=magic", "controllers.0.kind: controller 'magic' is not known"),
        ("controllers.0.params.interval_s=0", "controllers.0.params.interval_s: 0 is not allowed"),
    ],
    ids=["type", "amount", "market", "controller", "params"],
)
def test_mistakes_in_executors_and_controllers_are_told(override: str, expected: str) -> None:
    found = problems(SAMPLES / "backtest-executors.yaml", overrides=[override])
    assert any(f"backtest.{expected}" in text for text in found), found


WRONG = """\
version: 1
backtest:
  seed: -1
  data:
    - {symbol: SPX, path: spx.csv, bar: 1d, validation: {V1: keep, V99: drop}}
    - {symbol: SPX, path: none.csv, bar: 1d}
  components:
    strategy: {class: sma_cros}
    strategies:
      - {class: sma_cross, params: {fast: 0, slow: 30}}
      - {klass: sma_cross}
"""


def test_strategies_and_files_are_checked_whatever_else_is_wrong(write: Write) -> None:
    """CFG-2: strategies and files are looked at although the document as a whole does not fit."""
    found = [text.partition(": ") for text in problems(write(WRONG))]
    assert [(line, text.partition(":")[0]) for line, _, text in found] == [
        ("3", "backtest.seed"),
        ("5", "backtest.data.0.validation"),
        ("6", "backtest.data.1.symbol"),
        ("6", "backtest.data.1.path"),
        ("8", "backtest.components.strategy.class"),
        ("10", "backtest.components.strategies.0.params.fast"),
        ("11", "backtest.components.strategies.1.class"),
        ("11", "backtest.components.strategies.1.klass"),
    ]
    assert "V1: 'keep' is not allowed, use error, drop, fix; 'V99' is no check" in found[1][2]


def test_the_number_of_a_relative_slippage_may_be_called_as_in_its_formula(write: Write) -> None:
    for kind, name, told in (("bps", "bps", "5"), ("percent", "rate", "0.0005")):
        path = write(
            GOOD.replace("slippage_model: fixed", f"slippage_model: {{kind: {kind}, x: {told}}}")
        )
        model = load_backtest_file(path).config.components.broker.params.slippage_model  # type: ignore[union-attr]
        assert str(getattr(model, name)) == told


def test_keys_of_a_model_that_has_a_field_of_its_own_name_are_listed(write: Write) -> None:
    path = write(GOOD.replace("slippage_model: fixed", "slippage_model: {kind: bps, y: 5}"))
    (text,) = problems(path)
    assert text == (
        "11: backtest.components.broker.params.slippage_model.y: is not a known key, "
        "known keys: clamp, kind, bps"
    )


def test_a_script_about_a_symbol_that_is_not_there_is_told_with_its_line(write: Write) -> None:
    orders = """
        orders:
          - {bar: 1, side: buy, qty: 1}
          - {bar: 2, side: buy, qty: 1, symbol: NDX}"""
    text = GOOD.replace("sma_cross", "scripted").split("profiles:")[0]
    (problem,) = problems(write(text.replace(" {fast: 10, slow: 30}", orders)))
    assert problem == (
        "11: backtest.components.strategy.params.orders.1.symbol: "
        "'NDX' is not in the data (UNKNOWN_SYMBOL), use SPX"
    )


@pytest.mark.parametrize("ratio", ["ratio: [3, 2]", "ratio_num: 3, ratio_den: 2"])
def test_the_ratio_of_a_split_is_a_pair_or_the_two_columns_of_a_record(
    write: Write, ratio: str
) -> None:
    action = f"{{ts: 2020-01-03T00:00:00Z, kind: split, {ratio}}}"
    path = write(GOOD.replace("bar: 1d}", f"bar: 1d, corporate_actions: [{action}]}}"))
    (entry,) = load_backtest_file(path).config.data
    assert entry.corporate_actions[0].ratio == (3, 2)
