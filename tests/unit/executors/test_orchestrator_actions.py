"""Actions and their results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from typing import Any, Literal

import pytest

from engine.executors.actions import (
    ActionCode,
    ExecutorAction,
    ExecutorActionType,
    StopExecutorAction,
    StoreExecutorAction,
    UpdateExecutorAction,
)
from engine.executors.config import ExecutorConfigBase
from engine.executors.factory import ExecutorFactory
from engine.executors.info import ExecutorInfo
from engine.executors.position_config import PositionExecutorConfig, PositionExecutorUpdate
from engine.executors.position_executor import PositionExecutor
from engine.executors.status import RunnableStatus
from engine.executors.step import Step
from engine.testing.executor_bench import ExecutorBench

UPDATE = PositionExecutorUpdate.model_validate({"stop_loss": "0.1"})


class FaultyConfig(PositionExecutorConfig):
    type: Literal["faulty_executor"] = "faulty_executor"  # type: ignore[assignment]  # another type string


class FaultyExecutor(PositionExecutor):
    def on_time(self, now_ns: int) -> Step:
        raise RuntimeError("boom")


@pytest.fixture
def faulty() -> Iterator[type[ExecutorConfigBase]]:
    """An executor type without updates that raises when its time comes."""
    ExecutorFactory.register_executor(FaultyConfig)(FaultyExecutor)
    yield FaultyConfig
    ExecutorFactory.unregister(FaultyConfig)


def code(bench: ExecutorBench, action: ExecutorAction) -> ActionCode:
    result = bench.orchestrator.execute_action(action)
    bench.pump()
    assert result.ok is (
        result.code in {ActionCode.OK, ActionCode.ALREADY_STOPPING, ActionCode.ALREADY_STORED}
    )
    return result.code


def test_create_starts_and_says_so(bench: ExecutorBench) -> None:
    result = bench.orchestrator.execute_action(ExecutorAction.create(bench.config(), "ctrl"))
    assert (result.ok, result.code) == (True, ActionCode.OK)
    assert result.executor_id is not None
    executor = bench.orchestrator.find(result.executor_id)
    assert executor is not None
    assert executor.controller_id == "ctrl"
    assert executor.status is RunnableStatus.RUNNING
    assert bench.orchestrator.take_changed() == (result.executor_id,)
    assert bench.orchestrator.executors("ctrl") == (executor,)
    assert bench.orchestrator.executors("other") == ()


def test_create_says_when_it_ended_at_once(bench: ExecutorBench) -> None:
    bench.venue.is_funded = False
    result = bench.orchestrator.execute_action(ExecutorAction.create(bench.config()))
    assert result.ok
    assert "ended at once: INSUFFICIENT_BALANCE: the balance does not cover" in result.message


def test_create_fails_for_an_unknown_market(bench: ExecutorBench) -> None:
    action = ExecutorAction.create(bench.config(trading_pair="ETH-USDT"))
    assert code(bench, action) is ActionCode.CREATE_FAILED


def test_an_id_is_used_once(bench: ExecutorBench) -> None:
    action = ExecutorAction.create(bench.config(id="mine"))
    assert [result.code for result in bench.orchestrator.execute_actions([action, action])] == [
        ActionCode.OK,
        ActionCode.DUPLICATE_ID,
    ]


def test_without_a_controller_nothing_happens(bench: ExecutorBench) -> None:
    action = StopExecutorAction(controller_id=None, executor_id="x")
    assert code(bench, action) is ActionCode.NO_CONTROLLER


def test_after_a_stop_nothing_is_created(bench: ExecutorBench) -> None:
    bench.orchestrator.begin_stop()
    assert code(bench, ExecutorAction.create(bench.config())) is ActionCode.SESSION_STOPPING


def test_stop_and_its_repetition(manual_bench: ExecutorBench) -> None:
    executor_id = manual_bench.create().executor_id
    manual_bench.venue.is_deaf = True
    assert code(manual_bench, ExecutorAction.stop(executor_id)) is ActionCode.OK
    again = ExecutorAction.stop(executor_id, keep_position=True)
    assert code(manual_bench, again) is ActionCode.ALREADY_STOPPING
    manual_bench.venue.cancel("O-2")
    manual_bench.pump()
    assert code(manual_bench, again) is ActionCode.ALREADY_STOPPING


@pytest.mark.parametrize("controller", ["main", "other"])
def test_foreign_and_unknown_executors_are_not_found(bench: ExecutorBench, controller: str) -> None:
    mine = bench.create().executor_id if controller == "other" else "nobody"
    for action in (
        StopExecutorAction(controller_id=controller, executor_id=mine),
        ExecutorAction.store(mine, controller),
    ):
        assert code(bench, action) is ActionCode.NOT_FOUND


def test_update(bench: ExecutorBench) -> None:
    executor = bench.create()
    assert code(bench, ExecutorAction.update(executor.executor_id, UPDATE)) is ActionCode.OK
    barrier = executor.config.triple_barrier_config
    assert str(barrier.stop_loss) == "0.1"


def test_an_update_that_fails_is_logged(bench: ExecutorBench) -> None:
    executor = bench.create()
    empty = ExecutorAction.update(executor.executor_id, PositionExecutorUpdate())
    assert code(bench, empty) is ActionCode.UPDATE_REJECTED
    texts = [notice.text for notice in bench.orchestrator.take_notices()]
    assert any(text.startswith("update failed: ") for text in texts)


def test_update_codes(bench: ExecutorBench, faulty: type[ExecutorConfigBase]) -> None:
    executor = bench.create()
    foreign = ExecutorAction.update(executor.executor_id, UPDATE, "other")
    assert code(bench, foreign) is ActionCode.NOT_FOUND
    mismatched = ExecutorAction.update(executor.executor_id, UPDATE)
    object.__setattr__(mismatched, "update_data", 1)
    assert code(bench, mismatched) is ActionCode.UPDATE_TYPE_MISMATCH
    action = ExecutorAction.update(executor.executor_id, UPDATE)
    bench.stop(executor)
    assert code(bench, action) is ActionCode.NOT_RUNNING
    plain = faulty.model_validate(
        bench.config().model_dump() | {"type": "faulty_executor", "id": "f", "timestamp": 1}
    )
    bench.orchestrator.execute_action(ExecutorAction.create(plain))
    object.__setattr__(action, "executor_id", "f")
    assert code(bench, action) is ActionCode.UPDATE_UNSUPPORTED


def test_store(bench: ExecutorBench) -> None:
    executor = bench.create()
    store = ExecutorAction.store(executor.executor_id)
    assert code(bench, store) is ActionCode.STILL_ACTIVE
    bench.stop(executor)
    assert code(bench, store) is ActionCode.OK
    assert code(bench, store) is ActionCode.ALREADY_STORED
    assert bench.orchestrator.executors() == ()
    (archived,) = bench.orchestrator.take_archived()
    assert archived.info == bench.orchestrator.archived_infos("main")[0]
    assert ExecutorFactory.get_config_type_for_executor(executor.executor_id) is None
    assert bench.orchestrator.find(executor.executor_id) is executor
    assert bench.orchestrator.snapshots() == ()
    assert len(bench.orchestrator.snapshots(include_archived=True)) == 1


class FullDisk:
    def archive(self, info: ExecutorInfo) -> None:
        raise OSError("disk full")


def test_a_failed_write_keeps_the_executor() -> None:
    bench = ExecutorBench(archiver=FullDisk())
    executor = bench.create()
    bench.stop(executor)
    assert code(bench, ExecutorAction.store(executor.executor_id)) is ActionCode.STORE_FAILED
    assert bench.orchestrator.executors() == (executor,)
    bench.orchestrator.get_all_reports()
    bench.advance(3)
    assert bench.orchestrator.executors() == (executor,)
    assert any("disk full" in notice.text for notice in bench.orchestrator.take_notices())
    bench.orchestrator.begin_stop()
    assert bench.orchestrator.is_stopped


def test_done_executors_are_archived_after_a_report(bench: ExecutorBench) -> None:
    executors = [bench.create() for _ in range(3)]
    bench.stop(executors[0])
    bench.advance(5)
    assert len(bench.orchestrator.executors()) == 3
    assert len(bench.orchestrator.get_executors_report()["main"]) == 3
    bench.advance(1)
    assert bench.orchestrator.executors() == tuple(executors[1:])


def test_only_the_newest_are_kept_in_memory() -> None:
    bench = ExecutorBench(archive_limit=2)
    executors = [bench.create() for _ in range(3)]
    for executor in executors:
        bench.stop(executor)
        bench.orchestrator.execute_action(ExecutorAction.store(executor.executor_id))
    assert [info.id for info in bench.orchestrator.archived_infos("main")] == [
        executor.executor_id for executor in executors[1:]
    ]
    assert bench.orchestrator.find(executors[0].executor_id) is None
    assert len(bench.orchestrator.take_archived()) == 3
    assert bench.orchestrator.get_performance_report("main").done == 3


def test_an_executor_that_raises_is_contained(
    bench: ExecutorBench, faulty: type[ExecutorConfigBase]
) -> None:
    healthy = bench.create(time_limit=30)
    config = faulty.model_validate(
        bench.config(time_limit=5).model_dump() | {"type": "faulty_executor", "id": "f"}
    )
    bench.orchestrator.execute_action(ExecutorAction.create(config))
    bench.pump()
    bench.advance(30)
    broken = bench.orchestrator.find("f")
    assert broken is not None
    assert broken.is_done
    assert broken.snapshot().error_count == 11
    assert "boom" in broken.snapshot().last_error
    assert broken.is_handed_over
    assert healthy.is_done


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ExecutorAction.create({"type": "position_executor"}), "got dict"),  # type: ignore[arg-type]  # that is the test
        (lambda: ExecutorAction.stop(""), "stop action: executor_id is required"),
        (lambda: ExecutorAction.store(""), "store action: executor_id is required"),
        (lambda: ExecutorAction.update("", UPDATE), "update action: executor_id is required"),
        (lambda: ExecutorAction.update("x", None), "update action: update_data is required"),
        (lambda: ExecutorAction.update("nobody", UPDATE), "executor nobody is not known"),
        (lambda: ExecutorAction.of("pause"), "must be one of create, stop, update, store"),
        (lambda: ExecutorAction.of("stop", executor_id="x", colour=1), "stop action: "),
        (StopExecutorAction, "stop action: executor_id is required"),
        (StoreExecutorAction, "store action: executor_id is required"),
        (lambda: UpdateExecutorAction(executor_id="x"), "update action: update_data is required"),
    ],
)
def test_an_invalid_action_is_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_update_data_is_checked_against_the_executor(
    bench: ExecutorBench, faulty: type[ExecutorConfigBase]
) -> None:
    executor = bench.create()
    with pytest.raises(ValueError, match="must be PositionExecutorUpdate, got str"):
        ExecutorAction.update(executor.executor_id, "stop_loss")
    config = faulty.model_validate(
        bench.config().model_dump() | {"type": "faulty_executor", "id": "f"}
    )
    bench.orchestrator.execute_action(ExecutorAction.create(config))
    with pytest.raises(ValueError, match="FaultyConfig takes no updates"):
        ExecutorAction.update("f", UPDATE)


def test_the_type_of_an_action_is_fixed() -> None:
    action = ExecutorAction.of("stop", executor_id="x")
    assert action.action_type is ExecutorActionType.STOP
    with pytest.raises(FrozenInstanceError, match="action_type cannot be assigned"):
        action.action_type = ExecutorActionType.STORE  # type: ignore[misc]  # that is the test
    with pytest.raises(TypeError):
        UpdateExecutorAction(action_type="stop")  # type: ignore[call-arg]  # that is the test
