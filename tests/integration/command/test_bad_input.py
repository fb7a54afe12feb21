"""Whatever is wrong with the input ends in a sentence that says what to do, not in a traceback."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.command.conftest import Quarterdeck

HEADLESS = ("--headless", "--json")

BAD_FILES = {
    "unknown key": (
        {"  seed: 7": "  sead: 7"},
        [r"sead", "did you mean", "seed"],
    ),
    "wrong type": (
        {"  seed: 7": "  seed: many"},
        ["session.seed", "'many'", "integer"],
    ),
    "unknown market of a controller": (
        {"trading_pair: BTC-USDT": "trading_pair: DOGE-USDT"},
        ["DOGE-USDT", "BTC-USDT"],
    ),
    "unknown kind of controller": (
        {"momentum\n    params:\n      connector_name: paper_fx": "magic\n    params:\n      x: 1"},
        ["magic", "momentum"],
    ),
    "speed max without a start": (
        {"  start: 2026-01-05T08:00:00Z\n": ""},
        ["start", "speed"],
    ),
    "missing data file": (
        {"eurusd-1h.csv": "nowhere.csv"},
        ["nowhere.csv"],
    ),
    "not YAML": (
        {"version: 1": "version: [1"},
        ["YAML"],
    ),
}


def check_is_a_sentence(text: str, *parts: str) -> None:
    """Check that *text* is short, contains *parts*, and has nothing of Python in it."""
    assert "Traceback" not in text
    assert text.strip()
    assert len(text.splitlines()) <= 3, text
    for part in parts:
        assert part in text, (part, text)


@pytest.mark.parametrize(("changes", "parts"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_session_file_is_refused_with_file_line_and_what_is_allowed(
    quarterdeck: Quarterdeck, changes: dict[str, str], parts: list[str]
) -> None:
    path = quarterdeck.session_file("deterministic.yaml", changes)
    checked = quarterdeck("check", path)
    assert (checked.code, checked.out) == (2, "")
    check_is_a_sentence(checked.err, f"{path}:", *parts)


def test_running_a_bad_session_file_says_the_same_as_checking_it(quarterdeck: Quarterdeck) -> None:
    path = quarterdeck.session_file("deterministic.yaml", {"  seed: 7": "  sead: 7"})
    ran = quarterdeck("run", path, *HEADLESS)
    assert (ran.code, ran.out, ran.err) == (2, "", quarterdeck("check", path).err)
    assert not quarterdeck.data_dir.exists()


def test_a_good_session_file_is_checked_in_silence(quarterdeck: Quarterdeck) -> None:
    for sample in ("paper.yaml", "deterministic.yaml", "sample_configs/paper.yaml"):
        checked = quarterdeck("check", sample)
        assert (checked.code, checked.out, checked.err) == (0, "", "")


@pytest.mark.parametrize("name", ["nowhere.yaml", "."], ids=["missing", "directory"])
def test_what_is_no_file_is_refused(quarterdeck: Quarterdeck, name: str) -> None:
    for command in ("check", "run"):
        done = quarterdeck(command, quarterdeck.folder / name)
        assert (done.code, done.out) == (2, "")
        check_is_a_sentence(done.err, str(quarterdeck.folder / name))


def test_a_corrupt_row_of_market_data_is_named(quarterdeck: Quarterdeck) -> None:
    path = quarterdeck.session_file(
        "deterministic.yaml", {"data/eurusd-1h.csv": "data/../mine.csv"}
    )
    mine = quarterdeck.folder / "mine.csv"
    source = path.read_text(encoding="utf-8").split("path: ")[1].split("data/../mine.csv")[0]
    with open(f"{source}data/eurusd-1h.csv", encoding="utf-8") as bars:  # noqa: PTH123 (a text path)
        lines = bars.read().splitlines()
    lines[40] = lines[40].replace(lines[40].split(",")[1], "1.x5", 1)
    mine.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.write_text(
        path.read_text(encoding="utf-8").replace(f"{source}data/../mine.csv", str(mine)),
        encoding="utf-8",
    )
    done = quarterdeck("check", path)
    assert done.code == 2
    check_is_a_sentence(done.err, f"{mine}", "41", "1.x5")


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_a_data_directory_that_cannot_be_written_is_refused(
    quarterdeck: Quarterdeck, place: str
) -> None:
    (quarterdeck.folder / "file").write_text("mine", encoding="utf-8")
    done = quarterdeck(
        "run", "deterministic.yaml", *HEADLESS, "--data-dir", quarterdeck.folder / place
    )
    assert (done.code, done.out) == (2, "")
    check_is_a_sentence(done.err, "--data-dir")


def _ruin_version(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA user_version = 999")


def _ruin_identity(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA application_id = 7")


@pytest.mark.parametrize(
    ("ruin", "parts"),
    [(_ruin_version, ["newer", "999"]), (_ruin_identity, ["another program"])],
    ids=["newer version", "foreign"],
)
def test_a_database_that_is_not_ours_to_write_is_refused(
    quarterdeck: Quarterdeck, ruin: object, parts: list[str]
) -> None:
    quarterdeck.make_store()
    with closing(sqlite3.connect(quarterdeck.data_dir / "quarterdeck.db")) as connection:
        assert callable(ruin)
        ruin(connection)
        connection.commit()
    ran = quarterdeck("run", "deterministic.yaml", *HEADLESS)
    assert (ran.code, ran.out) == (2, "")
    check_is_a_sentence(ran.err, *parts)
    listed = quarterdeck("sessions")
    assert (listed.code, listed.out) == (1, "")
    check_is_a_sentence(listed.err, *parts)


def test_a_damaged_database_is_refused(quarterdeck: Quarterdeck) -> None:
    quarterdeck.data_dir.mkdir(mode=0o700)
    database = quarterdeck.data_dir / "quarterdeck.db"
    database.write_bytes(b"this is no database " * 500)
    database.chmod(0o600)
    done = quarterdeck("run", "deterministic.yaml", *HEADLESS)
    assert (done.code, done.out) == (2, "")
    check_is_a_sentence(done.err, "damaged", str(database))


def test_a_store_that_refuses_the_first_row_is_told(quarterdeck: Quarterdeck) -> None:
    quarterdeck.make_store()
    with closing(sqlite3.connect(quarterdeck.data_dir / "quarterdeck.db")) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON session "
            "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
        connection.commit()
    done = quarterdeck("run", "deterministic.yaml", *HEADLESS)
    assert (done.code, done.out) == (2, "")
    check_is_a_sentence(done.err, "the disk is full")


def test_a_second_process_on_a_data_directory_is_refused(quarterdeck: Quarterdeck) -> None:
    with quarterdeck.start("run", "paper.yaml", "--headless") as first:
        assert first.stdout is not None
        assert any("paper running" in line for line in first.stdout)
        second = quarterdeck("run", "paper.yaml", *HEADLESS)
        listed = quarterdeck("sessions", "--json")
        first.terminate()
        first.communicate()
    assert (second.code, second.out) == (3, "")
    check_is_a_sentence(second.err, f"process {first.pid}", "--data-dir")
    assert (listed.code, '"status": "running"' in listed.out) == (0, True)
    assert quarterdeck.rows("SELECT status FROM session") == [{"status": "stopped"}]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["run", "--for", "soon"], ["--for", "'soon'", "seconds above 0"]),
        (["run", "--for", "0"], ["--for", "'0'"]),
        (["run", "--for", "nan"], ["--for", "'nan'"]),
        (["sail"], ["'sail'", "run", "check", "sessions"]),
        (["run", "--fast"], ["--fast"]),
        (["check"], ["CONFIG"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_is_explained(
    quarterdeck: Quarterdeck, arguments: list[str], parts: list[str]
) -> None:
    done = quarterdeck(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("usage: quarterdeck")
    check_is_a_sentence(done.err.split("error: ")[1], *parts)
