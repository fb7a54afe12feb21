"""The engine in its own thread: start returns at once, stop ends it in every state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.api.commands import CreateExecutor, StopExecutor
from engine.api.thread import EngineThread
from engine.api.views import CommandRow

PATIENCE_S = 30.0
FAST = {"  speed: 1 ": "  speed: 10 "}
POLL_S = 0.005

MakeThread = Callable[..., EngineThread]


@pytest.fixture
def make_thread(tmp_path: Path) -> Iterator[MakeThread]:
    """Return a maker of engine threads that are stopped in the end."""
    threads: list[EngineThread] = []

    def make(config: Path, **options: float) -> EngineThread:
        thread = EngineThread(config=config, data_dir=tmp_path / "data", **options)
        threads.append(thread)
        return thread

    yield make
    for thread in threads:
        thread.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what the engine's thread is to bring about."""
    never = threading.Event()
    for _ in range(int(PATIENCE_S / POLL_S)):
        if condition():
            return
        never.wait(POLL_S)
    pytest.fail("waited in vain")


def is_running(thread: EngineThread) -> bool:
    return thread.health().state.value == "running" and bool(thread.sessions())


def command(thread: EngineThread, command_id: str) -> CommandRow:
    """Return what has become of a command, as soon as the engine has taken it."""
    wait_until(lambda: thread.command(command_id) is not None)
    row = thread.command(command_id)
    assert row is not None
    return row


def stop_executor(session: str) -> StopExecutor:
    return StopExecutor(session=session, executor_id="nobody")


def test_it_starts_answers_and_stops(
    write_session: Callable[..., Path], make_thread: MakeThread
) -> None:
    thread = make_thread(write_session("paper.yaml", FAST))
    assert thread.health().state.value == "starting"
    thread.start()
    wait_until(lambda: is_running(thread))
    (session,) = thread.sessions()
    wait_until(lambda: thread.executors(session.id).total > 0)
    create = CreateExecutor(
        session=session.id,
        executor_type="position_executor",
        config={
            "connector_name": "paper_perpetual",
            "trading_pair": "BTC-USDT",
            "side": "BUY",
            "amount": "0.01",
        },
    )
    command_id = thread.submit(create)
    wait_until(lambda: command(thread, command_id).status == "completed")
    refused = thread.submit(stop_executor(session.id))
    wait_until(lambda: command(thread, refused).status == "failed")
    assert "nobody" in command(thread, refused).reason
    report = thread.stop()
    assert (report.clean, report.exit_code) == (True, 0)
    assert " paper paper stopped " in report.message
    assert thread.health().state.value == "stopped"
    assert thread.stop() == report


def test_a_stop_names_the_positions_that_it_leaves(
    write_session: Callable[..., Path], make_thread: MakeThread
) -> None:
    thread = make_thread(write_session("paper.yaml", FAST))
    thread.start()
    wait_until(lambda: is_running(thread))
    (session,) = thread.sessions()
    wait_until(lambda: any(row.amount for row in thread.positions(session.id)))
    report = thread.stop()
    left = {
        f"position {row.connector_name}:{row.trading_pair} {row.amount.normalize():f}"
        for row in thread.positions(session.id)
        if row.amount
    }
    assert report.clean
    assert set(report.left) == left


def test_a_command_before_the_engine_is_ready_is_refused(
    write_session: Callable[..., Path], make_thread: MakeThread
) -> None:
    thread = make_thread(write_session("paper.yaml", FAST))
    row = command(thread, thread.submit(stop_executor("paper")))
    assert (row.status, row.reason) == ("aborted", "the engine is not running")


def test_a_command_after_the_stop_is_refused(
    write_session: Callable[..., Path], make_thread: MakeThread
) -> None:
    thread = make_thread(write_session("paper.yaml", FAST))
    thread.start()
    wait_until(lambda: is_running(thread))
    thread.stop()
    row = command(thread, thread.submit(stop_executor("paper")))
    assert (row.status, row.reason) == ("aborted", "the engine has stopped")


def test_a_stop_before_the_start_is_clean(
    write_session: Callable[..., Path], make_thread: MakeThread
) -> None:
    report = make_thread(write_session("paper.yaml", FAST)).stop()
    assert (report.clean, report.exit_code, report.left) == (True, 0, ())


def test_a_stop_while_it_opens_waits_for_the_opening(
    write_session: Callable[..., Path], make_thread: MakeThread
) -> None:
    thread = make_thread(write_session("paper.yaml", FAST))
    thread.start()
    report = thread.stop()
    assert (report.clean, report.exit_code) == (True, 0)
    assert thread.health().state.value == "stopped"


def test_a_deadline_that_passes_is_told(
    write_session: Callable[..., Path], make_thread: MakeThread
) -> None:
    thread = make_thread(write_session("paper.yaml", FAST), stop_deadline_s=1e-6)
    thread.start()
    wait_until(lambda: is_running(thread))
    report = thread.stop()
    assert (report.clean, report.exit_code) == (False, 1)
    assert report.message == "quarterdeck: gave up waiting after 1e-06 s"
    assert report.left == (
        "the engine did not stop in time; the session is recovered at the next start",
    )
    wait_until(lambda: thread.health().state.value == "stopped")


def test_an_engine_that_cannot_start_says_why(tmp_path: Path, make_thread: MakeThread) -> None:
    thread = make_thread(tmp_path / "nowhere.yaml")
    thread.start()
    wait_until(lambda: thread.health().state.value == "faulted")
    assert thread.health().exit_code == 2
    assert "nowhere.yaml" in thread.health().message
    row = command(thread, thread.submit(stop_executor("paper")))
    assert row.reason == "the engine is not running"
    report = thread.stop()
    assert (report.clean, report.exit_code, report.message) == (False, 2, thread.health().message)


def test_two_engines_on_one_directory_are_refused(
    write_session: Callable[..., Path], make_thread: MakeThread
) -> None:
    config = write_session("paper.yaml", FAST)
    first, second = make_thread(config), make_thread(config)
    first.start()
    wait_until(lambda: is_running(first))
    second.start()
    wait_until(lambda: second.health().state.value == "faulted")
    assert second.health().exit_code == 3
    assert "is in use by process" in second.health().message


def test_the_session_s_own_end_leaves_the_engine_up(
    write_session: Callable[..., Path], make_thread: MakeThread
) -> None:
    thread = make_thread(write_session("deterministic.yaml", {"end_after: 30m": "end_after: 10s"}))
    thread.start()
    wait_until(lambda: [row.state for row in thread.sessions()] == ["stopped"])
    (session,) = thread.sessions()
    row_id = thread.submit(stop_executor(session.id))
    wait_until(lambda: command(thread, row_id).status == "failed")
    assert command(thread, row_id).reason == "the session is stopped"
    assert thread.stop().clean
