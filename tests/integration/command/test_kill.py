"""`kill -9` of a paper session at any instant: the store opens, no row is half-written."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.api import list_sessions
from engine.store.journal_hash import JournalHash
from engine.store.records import JournalEntry
from engine.store.store import Store

if TYPE_CHECKING:
    from tests.integration.command.conftest import Quarterdeck

KILLS = 50
KILLS_OF_ONE_DIRECTORY = 10
MOST_INPUTS = 200
PATIENCE_S = 60
POLL_S = 0.005
FORK_SERVER = Path(__file__).with_name("command_fork_server.py")
FAST = {"  speed: 1 ": "  speed: 60 "}

Row = dict[str, Any]


class Forks:
    """Starts runs of the command that are to be killed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders, self._words = process.stdin, process.stdout

    def kill_after(self, quarterdeck: Quarterdeck, path: Path, *, known: int, inputs: int) -> None:
        """Kill a run once its session has *inputs* in the store; -1 kills it while it starts.

        Args:
            quarterdeck: the environment of the run.
            path: the session file.
            known: how many sessions are in the store already.
            inputs: when to kill.
        """
        self._orders.write(json.dumps(["run", str(path), "--headless"]) + "\n")
        self._orders.flush()
        pid = int(self._words.readline())
        deadline = time.perf_counter() + PATIENCE_S
        while not has_come_far_enough(quarterdeck, known=known, inputs=inputs):
            os.kill(pid, 0)
            assert time.perf_counter() < deadline, "waited in vain"
            signal.sigtimedwait([], POLL_S)
        os.kill(pid, signal.SIGKILL)
        assert self._words.readline() == "dead\n"


def has_come_far_enough(quarterdeck: Quarterdeck, *, known: int, inputs: int) -> bool:
    if inputs < 0:
        return (quarterdeck.data_dir / "quarterdeck.lock").exists()
    try:
        rows = quarterdeck.rows("SELECT inputs FROM session ORDER BY rowid")
    except sqlite3.OperationalError:
        return False
    return len(rows) > known and int(rows[-1]["inputs"]) >= inputs


@pytest.fixture
def forks(quarterdeck: Quarterdeck) -> Iterator[Forks]:
    with subprocess.Popen(
        [sys.executable, str(FORK_SERVER)],
        env=quarterdeck.environment,
        cwd=quarterdeck.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Forks(process)
            process.communicate()
        finally:
            process.kill()


@pytest.mark.parametrize("seed", range(KILLS // KILLS_OF_ONE_DIRECTORY))
def test_what_a_kill_leaves_is_whole(quarterdeck: Quarterdeck, forks: Forks, seed: int) -> None:
    draws = random.Random(seed)
    path = quarterdeck.session_file("paper.yaml", FAST)
    killed: list[str] = []
    for _ in range(KILLS_OF_ONE_DIRECTORY):
        inputs = draws.randrange(-1, MOST_INPUTS)
        forks.kill_after(quarterdeck, path, known=len(killed), inputs=inputs)
        check_store(quarterdeck.data_dir / "quarterdeck.db")
        sessions = list_sessions(quarterdeck.data_dir)
        assert {session["status"] for session in sessions} <= {"interrupted"}
        killed = [session["session_id"] for session in sessions]
    done = quarterdeck("run", path, "--headless", "--json", "--for", "0.2")
    assert (done.code, done.summary["status"]) == (0, "stopped")
    check_store(quarterdeck.data_dir / "quarterdeck.db")
    listed = json.loads(quarterdeck("sessions", "--json").out)
    assert {row["session_id"]: row["status"] for row in listed} == {
        **dict.fromkeys(killed, "interrupted"),
        done.summary["session_id"]: "stopped",
    }


def check_store(path: Path) -> None:
    """Check every row against the rows that it belongs to."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        assert [tuple(row) for row in connection.execute("PRAGMA quick_check")] == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []

        def read(table: str, session_id: str) -> list[Row]:
            statement = f'SELECT * FROM "{table}" WHERE session_id = ? ORDER BY rowid'  # noqa: S608 (our own names)
            if table in {"journal", "position"}:
                statement = statement.replace("rowid", "2")
            return [dict(row) for row in connection.execute(statement, (session_id,))]

        for session in connection.execute("SELECT * FROM session").fetchall():
            tables = {
                name: read(name, session["session_id"])
                for name in ("journal", "executor", "order", "fill", "position")
            }
            check_session(dict(session), tables)


def check_session(session: Row, tables: dict[str, list[Row]]) -> None:
    journal, fills, orders = tables["journal"], tables["fill"], tables["order"]
    assert session["inputs"] == len(journal)
    assert [row["seq"] for row in journal] == list(range(len(journal)))
    recomputed = JournalHash()
    for row in journal:
        recomputed.update(JournalEntry(**row))
    assert session["journal_hash"] == (recomputed.hexdigest() if journal else "")
    assert (session["orders"], session["fills"]) == (len(orders), len(fills))
    executors = {row["executor_id"] for row in tables["executor"]}
    for row in tables["executor"]:
        for name in ("config", "state"):
            assert isinstance(json.loads(row[name]), dict)
        assert row["final_info"] is None or isinstance(json.loads(row["final_info"]), dict)
    assert {row["executor_id"] for row in orders} <= executors
    assert {row["client_order_id"] for row in fills} <= {row["client_order_id"] for row in orders}
    for order in orders:
        check_order(order, [f for f in fills if f["client_order_id"] == order["client_order_id"]])
    for position in tables["position"]:
        market = (position["connector_name"], position["trading_pair"])
        mine = [f for f in fills if (f["connector_name"], f["trading_pair"]) == market]
        bought, sold = (
            total((f for f in mine if f["side"] == side), "amount") for side in ("BUY", "SELL")
        )
        assert Decimal(position["amount"]) == bought - sold
        assert Decimal(position["fees"]) == total(mine, "fee_quote")


def check_order(order: Row, fills: list[Row]) -> None:
    assert total(fills, "amount") == Decimal(order["filled_amount"])
    assert total(fills, "quote") == Decimal(order["filled_quote"])
    assert total(fills, "fee_quote") == Decimal(order["fee_quote"])
    assert all(fill["executor_id"] == order["executor_id"] for fill in fills)


def total(rows: Iterable[Row], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), Decimal(0))


@pytest.mark.anyio
async def test_a_killed_session_can_be_read_as_records_and_goes_on(
    quarterdeck: Quarterdeck, forks: Forks
) -> None:
    path = quarterdeck.session_file("paper.yaml", FAST)
    forks.kill_after(quarterdeck, path, known=0, inputs=200)
    done = quarterdeck("run", path, "--headless", "--json", "--for", "0.2")
    async with Store.open(quarterdeck.data_dir, now_ns=0) as store:
        stopped, killed = await store.sessions()
        assert (stopped.session_id, stopped.status) == (done.summary["session_id"], "stopped")
        assert killed.status == "interrupted"
        (first,) = await store.journal(stopped.session_id, limit=1)
        assert (first.kind, first.payload) == ("start", killed.session_id)
        before = {fill.fill_id: fill for fill in await store.fills(killed.session_id)}
        after = {fill.fill_id: fill for fill in await store.fills(stopped.session_id)}
        assert before
        assert before.keys() <= after.keys(), "the new life knows what the old one had done"
        assert len(await store.executors(stopped.session_id)) == stopped.executors
        assert store.interrupted == ()
