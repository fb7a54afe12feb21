"""Sessions in the store: written, ended, found unfinished; the store itself opened and closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from engine.store.batch import StoreBatch
from engine.store.data_dir import FILE_MODE
from engine.store.errors import StoreError, StoreInUseError, StoreWriteError
from engine.store.lock import find_holder
from engine.store.records import SessionRecord, SessionStatus, SessionUpdate
from engine.store.store import Store

pytestmark = pytest.mark.anyio

COMPANIONS = {"quarterdeck.db-wal", "quarterdeck.db-shm"}
NOW = 1_800_000_000_000_000_000


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
async def test_a_session_comes_back_as_it_was_written(
    tmp_path: Path, make_session: Callable[..., SessionRecord], synchronous: str
) -> None:
    session = make_session(
        seed=2**80, equity=Decimal("0.1000"), status=SessionStatus.STOPPED, ended_ns=-(2**63)
    )
    async with Store.open(tmp_path, now_ns=NOW, synchronous=synchronous) as store:  # type: ignore[arg-type]  # parametrize knows no Literal
        await store.create_session(session)
        assert await store.sessions() == (session,)
    async with Store.open(tmp_path, now_ns=NOW) as store:
        assert await store.sessions() == (session,)
        assert store.interrupted == ()


async def test_an_update_changes_what_it_names_and_keeps_the_rest(
    tmp_path: Path,
    make_session: Callable[..., SessionRecord],
    make_update: Callable[..., SessionUpdate],
) -> None:
    session, other, update = make_session(), make_session("s-2"), make_update()
    async with Store.open(tmp_path, now_ns=NOW) as store:
        await store.create_session(session)
        await store.create_session(other)
        await store.update_session(update)
        changes = {entry.name: getattr(update, entry.name) for entry in fields(update)}
        assert set(await store.sessions()) == {replace(session, **changes), other}


async def test_the_newest_session_comes_first(
    tmp_path: Path, make_session: Callable[..., SessionRecord]
) -> None:
    async with Store.open(tmp_path, now_ns=NOW) as store:
        for session_id, started_ns in (("a", 2), ("b", 3), ("c", 1), ("d", 3)):
            await store.create_session(make_session(session_id, started_ns=started_ns))
        assert [session.session_id for session in await store.sessions()] == ["d", "b", "a", "c"]


async def test_an_ended_session_stays_as_it_ended(
    tmp_path: Path,
    make_session: Callable[..., SessionRecord],
    make_update: Callable[..., SessionUpdate],
) -> None:
    ending = make_update(
        status=SessionStatus.STOPPED, ended_ns=NOW, journal_hash="ab12", reason="end of data"
    )
    async with Store.open(tmp_path, now_ns=NOW) as store:
        await store.create_session(make_session())
        await store.end_session(ending)
    async with Store.open(tmp_path, now_ns=NOW + 1) as store:
        (session,) = await store.sessions()
    assert (session.status, session.ended_ns) == (SessionStatus.STOPPED, NOW)
    assert (session.journal_hash, session.reason) == ("ab12", "end of data")


@pytest.mark.parametrize(
    ("status", "ended_ns"), [(SessionStatus.RUNNING, NOW), (SessionStatus.STOPPED, None)]
)
async def test_an_end_needs_a_final_status_and_a_time(
    tmp_path: Path,
    make_update: Callable[..., SessionUpdate],
    status: SessionStatus,
    ended_ns: int | None,
) -> None:
    async with Store.open(tmp_path, now_ns=NOW) as store:
        with pytest.raises(ValueError, match="an end needs a final status and a time"):
            await store.end_session(make_update(status=status, ended_ns=ended_ns))


@pytest.mark.parametrize("status", SessionStatus)
async def test_a_session_that_is_not_over_when_the_store_opens_was_interrupted(
    tmp_path: Path, make_session: Callable[..., SessionRecord], status: SessionStatus
) -> None:
    session = make_session(status=status, updated_ns=NOW - 5)
    async with Store.open(tmp_path, now_ns=NOW - 9) as store:
        await store.create_session(session)
    async with Store.open(tmp_path, now_ns=NOW) as store:
        (found,) = await store.sessions()
        audit = await store.audit()
        assert store.interrupted == (() if status.is_final else ("s-1",))
    if status.is_final:
        assert found == session
        assert audit == ()
    else:
        assert found.status is SessionStatus.INTERRUPTED
        assert (found.ended_ns, found.updated_ns) == (NOW - 5, NOW)
        assert found.reason == "the process ended without stopping the session"
        assert [(row.kind, row.target, row.requested_ns) for row in audit] == [
            ("session.interrupted", "s-1", NOW)
        ]


async def test_a_session_id_is_used_once(
    tmp_path: Path, make_session: Callable[..., SessionRecord]
) -> None:
    async with Store.open(tmp_path, now_ns=NOW) as store:
        await store.create_session(make_session())
        with pytest.raises(StoreWriteError, match=r"UNIQUE constraint failed: session.session_id"):
            await store.create_session(make_session(name="again"))
        assert [session.name for session in await store.sessions()] == ["paper"]


async def test_an_unknown_session_cannot_be_updated(
    tmp_path: Path, make_update: Callable[..., SessionUpdate]
) -> None:
    async with Store.open(tmp_path, now_ns=NOW) as store:
        with pytest.raises(StoreWriteError, match="session s-1 is not in the store; create it"):
            await store.update_session(make_update())


async def test_an_open_store_refuses_a_second_one(tmp_path: Path) -> None:
    async with Store.open(tmp_path, now_ns=NOW):
        with pytest.raises(StoreInUseError):
            async with Store.open(tmp_path, now_ns=NOW):
                pass


async def test_closing_leaves_no_thread_no_lock_and_one_database_file(
    tmp_path: Path, make_session: Callable[..., SessionRecord]
) -> None:
    async with Store.open(tmp_path, now_ns=NOW) as store:
        await store.create_session(make_session())
        await store.sessions()
        files = await to_thread.run_sync(modes_of_files, tmp_path)
        assert set(files) == {"quarterdeck.db", "quarterdeck.lock"} | COMPANIONS
        assert set(files.values()) == {FILE_MODE}
        assert len(connection_threads()) == 2
    assert await to_thread.run_sync(threads_that_stay) == []
    assert await to_thread.run_sync(find_holder, tmp_path) is None
    files = await to_thread.run_sync(modes_of_files, tmp_path)
    assert files == {"quarterdeck.db": FILE_MODE, "quarterdeck.lock": FILE_MODE}


def modes_of_files(directory: Path) -> dict[str, int]:
    """Return the permission bits of every file by its name."""
    return {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}


def connection_threads() -> list[threading.Thread]:
    """Return the threads of database connections."""
    return [thread for thread in threading.enumerate() if "_connection_worker" in thread.name]


def threads_that_stay() -> list[threading.Thread]:
    """Return the threads of database connections that do not end; a closed one is still leaving."""
    for thread in connection_threads():
        thread.join(10)
    return connection_threads()


async def test_a_store_that_is_refused_leaves_no_lock(tmp_path: Path) -> None:
    database = tmp_path / "quarterdeck.db"
    database.touch(mode=0o600)
    database.write_text("no database" * 1000)
    with pytest.raises(StoreError, match="damaged"):
        async with Store.open(tmp_path, now_ns=NOW):
            pass
    database.unlink()
    async with Store.open(tmp_path, now_ns=NOW) as store:
        assert await store.sessions() == ()


async def test_a_store_whose_user_fails_or_is_cancelled_closes(tmp_path: Path) -> None:
    with pytest.raises(LookupError):
        async with Store.open(tmp_path, now_ns=NOW):
            raise LookupError
    with anyio.CancelScope() as scope:
        async with Store.open(tmp_path, now_ns=NOW) as store:
            scope.cancel()
            await store.sessions()
            await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert await to_thread.run_sync(threads_that_stay) == []
    async with Store.open(tmp_path, now_ns=NOW):
        pass


async def test_a_cancelled_writer_has_written(
    tmp_path: Path,
    make_session: Callable[..., SessionRecord],
    make_update: Callable[..., SessionUpdate],
) -> None:
    async with Store.open(tmp_path, now_ns=NOW) as store:
        await store.create_session(make_session())
        async with anyio.create_task_group() as group:
            group.start_soon(store.update_session, make_update(inputs=61))
            group.start_soon(store.update_session, make_update(inputs=62))
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        (session,) = await store.sessions()
        assert session.inputs == 62


async def test_the_time_of_a_write_is_known_after_the_first(
    tmp_path: Path, make_session: Callable[..., SessionRecord]
) -> None:
    async with Store.open(tmp_path, now_ns=NOW) as store:
        assert store.write_ms is None
        await store.write(StoreBatch())
        assert store.write_ms is None
        await store.create_session(make_session())
        assert store.write_ms is not None
        assert store.write_ms > 0
