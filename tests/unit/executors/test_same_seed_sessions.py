"""Two sessions with the same seed make the same ids, and do not get in each other's way."""

from __future__ import annotations

from typing import Any

from engine.containers.action_builder import build_action
from engine.executors.actions import ActionCode, ExecutorAction
from engine.executors.factory import ExecutorFactory
from engine.executors.order_config import OrderExecutorConfig
from engine.executors.position_config import PositionExecutorConfig, PositionExecutorUpdate
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench

UPDATE = PositionExecutorUpdate(stop_loss="0.2")


def test_archiving_in_one_leaves_updates_of_the_other_alone() -> None:
    left, right = ExecutorBench(), ExecutorBench()
    mine, other = left.create(), right.create()
    assert mine.executor_id == other.executor_id
    right.stop(other)
    assert right.orchestrator.execute_action(ExecutorAction.store(other.executor_id)).ok
    result = left.orchestrator.execute_action(ExecutorAction.update(mine.executor_id, UPDATE))
    assert result.ok, result.message
    left.stop(mine)
    assert left.orchestrator.execute_action(ExecutorAction.store(mine.executor_id)).ok
    assert ExecutorFactory.get_config_type_for_executor(mine.executor_id) is None


def order_of(bench: ExecutorBench, executor_id: str) -> None:
    fields: dict[str, Any] = {
        "id": executor_id,
        "connector_name": BENCH_MARKET.connector_name,
        "trading_pair": BENCH_MARKET.trading_pair,
        "side": "BUY",
        "amount": "2",
        "execution_strategy": "LIMIT",
        "price": "40",
    }
    config = OrderExecutorConfig(**fields)
    assert bench.orchestrator.execute_action(ExecutorAction.create(config)).ok
    bench.pump()


def test_each_session_knows_the_types_of_its_own_executors() -> None:
    left, right = ExecutorBench(), ExecutorBench()
    mine = left.create()
    order_of(right, mine.executor_id)
    types = ExecutorFactory.get_config_types_for_executor(mine.executor_id)
    assert types == (PositionExecutorConfig, OrderExecutorConfig)
    arguments = {"executor_id": mine.executor_id, "changes": {"stop_loss": "0.2"}}
    action = build_action("update", arguments, left.orchestrator.config_type_of)
    assert left.orchestrator.execute_action(action).ok
    refused = right.orchestrator.execute_action(action)
    assert refused.code is ActionCode.UPDATE_TYPE_MISMATCH
    left.stop(mine)
    left.orchestrator.execute_action(ExecutorAction.store(mine.executor_id))
    known = ExecutorFactory.get_config_types_for_executor(mine.executor_id)
    assert known == (OrderExecutorConfig,)
    del right
    assert ExecutorFactory.get_config_types_for_executor(mine.executor_id) == ()


def test_an_id_of_nobody_is_forgotten_without_harm() -> None:
    ExecutorFactory.forget_executor("nobody")
    assert ExecutorFactory.get_config_types_for_executor("nobody") == ()
