"""Sessions listed from beside a running engine, or after it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from engine.store.database_file import SCHEMA_VERSION
from engine.store.errors import StoreError
from engine.store.lock import LOCK_NAME
from engine.store.records import SessionRecord, SessionStatus, SessionUpdate
from engine.store.session_list import list_sessions
from engine.store.store import Store


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "empty"])
def test_without_a_database_there_are_no_sessions(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "quarterdeck.db").write_bytes(content)
    assert list_sessions(tmp_path) == ()
    assert list_sessions(tmp_path / "nowhere") == ()
    assert len(list(tmp_path.iterdir())) == (content is not None)


@pytest.mark.anyio
async def test_a_running_engine_shows_what_it_has_committed(
    tmp_path: Path,
    make_session: Callable[..., SessionRecord],
    make_update: Callable[..., SessionUpdate],
) -> None:
    old = make_session("s-0", status=SessionStatus.STOPPED, started_ns=1, ended_ns=2, seed=2**70)
    async with Store.open(tmp_path, now_ns=0) as store:
        await store.create_session(old)
        await store.create_session(make_session())
        await store.update_session(make_update(equity=Decimal("0.000000001")))
        listed = await to_thread.run_sync(list_sessions, tmp_path)
        assert listed == await store.sessions()
        assert [session.session_id for session in listed] == ["s-1", "s-0"]
        assert listed[0].status is SessionStatus.RUNNING
        assert listed[1] == old


@pytest.mark.anyio
async def test_a_session_whose_process_is_gone_was_interrupted(
    tmp_path: Path, make_session: Callable[..., SessionRecord]
) -> None:
    session = make_session()
    over = make_session("s-0", status=SessionStatus.FAILED, started_ns=0)
    async with Store.open(tmp_path, now_ns=0) as store:
        await store.create_session(session)
        await store.create_session(over)
        signature = await to_thread.run_sync((tmp_path / LOCK_NAME).read_text)
    assert await to_thread.run_sync(list_sessions, tmp_path) == (
        replace(session, status=SessionStatus.INTERRUPTED, ended_ns=session.updated_ns),
        over,
    )
    await to_thread.run_sync((tmp_path / LOCK_NAME).write_text, signature)
    assert await to_thread.run_sync(list_sessions, tmp_path) == (session, over)


@pytest.mark.anyio
async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    async with Store.open(tmp_path, now_ns=0):
        pass
    await to_thread.run_sync(set_version, tmp_path / "quarterdeck.db", SCHEMA_VERSION + 1)
    with pytest.raises(StoreError, match="was written by a newer quarterdeck"):
        await to_thread.run_sync(list_sessions, tmp_path)


def set_version(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "quarterdeck.db").write_text("no database" * 1000)
    with pytest.raises(StoreError, match="is damaged or cannot be read: file is not a database"):
        list_sessions(tmp_path)


def test_a_directory_that_cannot_be_written_is_read_without_files_beside_it(
    tmp_path: Path,
    make_session: Callable[..., SessionRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SQLite would make a -shm file to read a database in WAL mode, and fail without one."""

    async def write() -> None:
        async with Store.open(tmp_path, now_ns=0) as store:
            await store.create_session(make_session("s-0"))

    anyio.run(write)
    before = {entry.name for entry in tmp_path.iterdir()}
    assert "quarterdeck.db-wal" not in before
    asked: list[str] = []

    def connect(name: str, *, uri: bool) -> sqlite3.Connection:
        asked.append(name)
        return original(name, uri=uri)

    original = sqlite3.connect
    monkeypatch.setattr("engine.store.session_list.os.access", lambda *_: False)
    monkeypatch.setattr(sqlite3, "connect", connect)
    assert len(list_sessions(tmp_path)) == 1
    assert asked[0].endswith("?mode=ro&immutable=1")
    assert {entry.name for entry in tmp_path.iterdir()} == before
