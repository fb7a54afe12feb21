"""A run without a terminal: one JSON object, the same every time."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine.store.journal_hash import JournalHash
from engine.store.records import JournalEntry

if TYPE_CHECKING:
    from tests.integration.command.conftest import Done, Quarterdeck

KEYS = [
    "session_id",
    "mode",
    "status",
    "equity",
    "realized_pnl",
    "unrealized_pnl",
    "fees",
    "executors",
    "executor_types",
    "close_types",
    "orders",
    "fills",
    "events",
    "agents",
    "journal_hash",
    "seconds",
]
SHORT = {"end_after: 30m": "end_after: 3m"}
OF_ONE_RUN = ("session_id", "seconds", "agents")  # agents run on the wall clock
PLAIN_DECIMAL = re.compile(r"-?\d+\.\d{8}")


def without_run(done: Done) -> dict[str, object]:
    """Return the summary without what differs from run to run."""
    return {name: value for name, value in done.summary.items() if name not in OF_ONE_RUN}


@pytest.fixture(scope="module")
def short_run(make_quarterdeck: Callable[[], Quarterdeck]) -> tuple[Quarterdeck, Done]:
    """Three minutes of the deterministic session, run once for this module."""
    quarterdeck = make_quarterdeck()
    path = quarterdeck.session_file("deterministic.yaml", SHORT)
    return quarterdeck, quarterdeck("run", path, "--headless", "--json")


def test_it_prints_one_json_object_with_the_documented_keys(
    short_run: tuple[Quarterdeck, Done],
) -> None:
    _, done = short_run
    summary = done.summary
    assert done.code == 0
    assert list(summary) == KEYS
    assert (summary["mode"], summary["status"]) == ("paper", "stopped")
    for name in ("equity", "realized_pnl", "unrealized_pnl", "fees"):
        assert PLAIN_DECIMAL.fullmatch(summary[name]), name
    for name in ("executors", "executor_types", "close_types", "agents"):
        assert isinstance(summary[name], dict), name
    for name in ("orders", "fills", "events"):
        assert isinstance(summary[name], int), name
    assert re.fullmatch("[0-9a-f]{64}", summary["journal_hash"])
    assert isinstance(summary["seconds"], float)


def test_its_numbers_agree_with_each_other(short_run: tuple[Quarterdeck, Done]) -> None:
    summary = short_run[1].summary
    created = sum(summary["executors"].values())
    assert created == sum(summary["executor_types"].values()) > 10
    assert created == sum(summary["close_types"].values()) == summary["executors"]["terminated"]
    assert summary["fills"] >= summary["orders"] >= 2 * created
    realized, unrealized, fees = (
        Decimal(summary[name]) for name in ("realized_pnl", "unrealized_pnl", "fees")
    )
    assert Decimal(summary["equity"]) == 100_000 + realized + unrealized - fees
    assert unrealized == 0, "everything was flattened"


def test_the_store_holds_what_it_reports(short_run: tuple[Quarterdeck, Done]) -> None:
    quarterdeck, done = short_run
    summary = done.summary
    (session,) = quarterdeck.rows("SELECT * FROM session")
    for name in ("session_id", "status", "mode", "equity", "fees", "orders", "fills"):
        assert session[name] == summary[name], name
    for name in ("realized_pnl", "unrealized_pnl"):
        assert Decimal(session[name]) == Decimal(summary[name]), name
    assert session["journal_hash"] == summary["journal_hash"]
    assert session["executors"] == sum(summary["executors"].values())
    for table in ("order", "fill", "executor"):
        (row,) = quarterdeck.rows(f'SELECT count(*) AS number FROM "{table}"')  # noqa: S608 (our own names)
        assert row["number"] == session[f"{table}s"], table
    closed = quarterdeck.rows(
        "SELECT close_type, count(*) AS number FROM executor GROUP BY close_type"
    )
    assert {row["close_type"]: row["number"] for row in closed} == summary["close_types"]


def test_the_reported_hash_is_the_hash_of_the_stored_journal(
    short_run: tuple[Quarterdeck, Done],
) -> None:
    quarterdeck, done = short_run
    recomputed = JournalHash()
    journal = quarterdeck.rows("SELECT * FROM journal ORDER BY seq")
    for row in journal:
        recomputed.update(JournalEntry(**row))
    assert recomputed.hexdigest() == done.summary["journal_hash"]
    (session,) = quarterdeck.rows("SELECT inputs FROM session")
    assert session["inputs"] == len(journal)


def test_a_second_run_reports_the_same(
    short_run: tuple[Quarterdeck, Done], quarterdeck: Quarterdeck
) -> None:
    again = quarterdeck(
        "run", quarterdeck.session_file("deterministic.yaml", SHORT), "--headless", "--json"
    )
    assert without_run(again) == without_run(short_run[1])
    assert again.summary["session_id"] != short_run[1].summary["session_id"]


def test_another_seed_is_another_run(
    short_run: tuple[Quarterdeck, Done], quarterdeck: Quarterdeck
) -> None:
    path = quarterdeck.session_file("deterministic.yaml", {**SHORT, "seed: 7": "seed: 8"})
    other = quarterdeck("run", path, "--headless", "--json")
    assert other.summary["journal_hash"] != short_run[1].summary["journal_hash"]
    assert other.summary["equity"] != short_run[1].summary["equity"]


def test_the_bundled_deterministic_session_ends_by_itself_the_same_every_time(
    make_quarterdeck: Callable[[], Quarterdeck],
) -> None:
    arguments = ("run", "deterministic.yaml", "--headless", "--json")
    runs = [make_quarterdeck() for _ in range(2)]
    with runs[0].start(*arguments) as first, runs[1].start(*arguments) as second:
        (out, _), (out_again, _) = first.communicate(), second.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert _done(out) == _done(out_again)


def _done(out: str) -> dict[str, object]:
    import json

    found: dict[str, object] = json.loads(out)
    assert found["status"] == "stopped"
    return {name: value for name, value in found.items() if name not in OF_ONE_RUN}


def test_status_lines_go_to_standard_output_unless_json_has_it(quarterdeck: Quarterdeck) -> None:
    path = quarterdeck.session_file("deterministic.yaml", {"end_after: 30m": "end_after: 10s"})
    done = quarterdeck("run", path, "--headless")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("costs: slippage none, commission maker_taker (paper_perpetual ")
    assert "paper deterministic stopped" in done.out.splitlines()[-1]
    done = quarterdeck("run", path, "--headless", "--json")
    assert "paper deterministic stopped" in done.err.splitlines()[-1]
    assert done.summary["status"] == "stopped"


def test_a_session_without_any_costs_says_so(quarterdeck: Quarterdeck) -> None:
    changes = {
        "end_after: 30m": "end_after: 10s",
        "\nvenues:": "\nbroker: {commission_model: none}\n\nvenues:",
    }
    done = quarterdeck("run", quarterdeck.session_file("deterministic.yaml", changes), "--headless")
    assert done.out.splitlines()[:2] == [
        "costs: slippage none, commission none",
        "no slippage and no commission: results are better than trading would be",
    ]
