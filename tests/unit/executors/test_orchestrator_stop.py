"""Stopping the orchestrator."""

from __future__ import annotations

import pytest

from engine.executors.status import CloseType
from engine.executors.stop_watch import StopWatch
from engine.model.clock import SECOND_NS
from engine.testing.executor_bench import ExecutorBench


def test_everything_is_closed_and_archived(bench: ExecutorBench) -> None:
    bench.create()
    bench.create(side="SELL")
    assert not bench.orchestrator.is_stopping
    bench.orchestrator.begin_stop()
    bench.pump()
    bench.advance(1)
    assert bench.orchestrator.is_stopping
    assert bench.orchestrator.is_stopped
    assert bench.orchestrator.executors() == ()
    infos = bench.orchestrator.archived_infos("main")
    assert [info.close_type for info in infos] == [CloseType.EARLY_STOP] * 2
    bench.orchestrator.begin_stop()
    assert bench.orchestrator.next_wake_ns() is None


@pytest.mark.parametrize(("default", "asked"), [(True, None), (None, True), (False, True)])
def test_positions_can_be_kept(default: bool | None, asked: bool | None) -> None:
    bench = ExecutorBench(keep_positions=default)
    bench.create()
    bench.orchestrator.begin_stop(asked)
    assert bench.orchestrator.is_stopped
    assert len(bench.orchestrator.get_positions_report()["main"]) == 1


def test_a_stall_ends_in_a_forced_stop(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(entry_price="49", open_order_type="LIMIT")
    bench.venue.fill("O-2", 100, 490)
    bench.pump()
    bench.venue.is_deaf = True
    bench.orchestrator.begin_stop(keep_positions=True, max_close_attempts=1)
    bench.pump()
    bench.advance(1)
    assert not bench.orchestrator.is_stopped
    bench.advance(2)
    assert bench.orchestrator.is_stopped
    assert executor.close_type is CloseType.POSITION_HOLD
    texts = [notice.text for notice in bench.orchestrator.take_notices()]
    assert "1 executors did not end in time; stopping them now" in texts


def test_a_running_shutdown_is_left_alone(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create()
    bench.venue.is_deaf = True
    bench.stop(executor)
    bench.orchestrator.begin_stop(keep_positions=True)
    assert executor.close_type is CloseType.EARLY_STOP


def test_an_empty_orchestrator_stops_at_once(bench: ExecutorBench) -> None:
    bench.orchestrator.begin_stop()
    assert bench.orchestrator.is_stopped
    bench.orchestrator.force_stop()
    assert bench.orchestrator.is_stopped


def test_a_forced_stop_needs_no_beginning(bench: ExecutorBench) -> None:
    bench.create()
    bench.orchestrator.force_stop()
    assert bench.orchestrator.is_stopped


def test_progress_resets_the_stall_but_not_the_total() -> None:
    watch = StopWatch(0, 3)
    assert not watch.poll(1 * SECOND_NS, "a")
    assert not watch.poll(6 * SECOND_NS, "a")
    assert watch.poll(7 * SECOND_NS, "a")
    assert not watch.poll(8 * SECOND_NS, "b")
    assert watch.next_poll_ns == 9 * SECOND_NS
    assert watch.poll(30 * SECOND_NS, "c")
    patient = StopWatch(0, 20)
    assert not patient.poll(39 * SECOND_NS, "a")
    assert patient.poll(40 * SECOND_NS, "b")


def test_the_state_by_controller_has_the_names_of_the_specification(bench: ExecutorBench) -> None:
    one = bench.create(controller_id="main")
    assert (one.is_trading, one.is_closed) == (True, False)
    assert bench.orchestrator.active_executors == {"main": (one,)}
    assert bench.orchestrator.archived_executors == {}
    bench.orchestrator.stop(10, keep_positions=True)
    bench.pump()
    bench.orchestrator.on_time(bench.venue.now_ns())
    assert (one.is_trading, one.is_closed) == (False, True)
    assert bench.orchestrator.is_stopped
    assert bench.orchestrator.active_executors == {"main": ()}
    ((info,),) = bench.orchestrator.archived_executors.values()
    assert info.id == one.executor_id
    assert bench.orchestrator.cached_performance["main"].done == 1
    ((hold,),) = bench.orchestrator.positions_held.values()
    assert hold.net_lots == one.totals.entry_lots
