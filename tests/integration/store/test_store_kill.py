"""`kill -9` at any instant: what was committed is there, whole; what was not is not there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from engine.store.records import SessionRecord, SessionStatus
from engine.store.session_list import list_sessions
from engine.store.store import Store

KILLS = 50
MOST_COMMITS = 12
WRITER = Path(__file__).with_name("store_writer_process.py")


class Writer:
    """The writing process; each life of it ends by a kill."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders, self._words = process.stdin, process.stdout

    def live_and_die(self, session_id: str, *, after: int, once: Path | None = None) -> list[str]:
        """Start a life, kill it after *after* words and once a file exists; return its words."""
        self._orders.write(f"{session_id}\n")
        self._orders.flush()
        pid = int(self._words.readline().removeprefix("pid "))
        said = [self._words.readline().strip() for _ in range(after)]
        while once is not None and not once.exists():
            os.sched_yield()
        os.kill(pid, signal.SIGKILL)
        said.extend(iter(lambda: self._words.readline().strip(), "dead"))
        return said


@contextmanager
def writer(data_dir: Path) -> Iterator[Writer]:
    with subprocess.Popen(
        [sys.executable, str(WRITER), str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Writer(process)
            process.communicate()
        finally:
            process.kill()


async def check_what_is_left(data_dir: Path, session_id: str, said: list[str]) -> None:
    """Open the store after a kill, which checks its pages, and look for half-written batches."""
    promised = sum(word.startswith("committed") for word in said)
    async with Store.open(data_dir, now_ns=1) as store:
        sessions = {session.session_id: session for session in await store.sessions()}
        assert all(session.status is SessionStatus.INTERRUPTED for session in sessions.values())
        if session_id not in sessions:
            assert said == []
            return
        assert session_id in store.interrupted
        number = await whole_batches(store, sessions[session_id])
        assert promised <= number <= promised + 1


async def whole_batches(store: Store, session: SessionRecord) -> int:
    """Return how many batches of *session* are stored; each wrote a row into every table."""
    number = session.inputs
    session_id = session.session_id
    assert (session.orders, session.fills, session.equity) == (number, number, Decimal(number))
    assert [entry.seq for entry in await store.journal(session_id)] == list(range(number))
    assert len(await store.orders(session_id)) == number
    assert len(await store.fills(session_id)) == number
    assert len(await store.equity(session_id)) == number
    amounts = [position.amount for position in await store.positions(session_id)]
    assert amounts == ([Decimal(number)] if number else [])
    return number


@pytest.mark.timeout(300)
def test_a_killed_writer_leaves_whole_batches_and_an_interrupted_session(tmp_path: Path) -> None:
    instants = random.Random(20_240_501)
    with writer(tmp_path) as process:
        for life in range(KILLS):
            session_id = f"life-{life}"
            said = process.live_and_die(session_id, after=instants.randint(0, MOST_COMMITS))
            listed = {session.status for session in list_sessions(tmp_path)}
            assert listed <= {SessionStatus.INTERRUPTED}
            anyio.run(check_what_is_left, tmp_path, session_id, said)


@pytest.mark.parametrize("sign", ["quarterdeck.db", "quarterdeck.db-wal"])
def test_a_kill_while_the_database_is_made_leaves_one_that_opens(tmp_path: Path, sign: str) -> None:
    with writer(tmp_path) as process:
        said = process.live_and_die("first", after=0, once=tmp_path / sign)
    anyio.run(check_what_is_left, tmp_path, "first", said)
