"""The own executor of the README works as it is printed there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine.executors.actions import ActionCode, ExecutorAction
from engine.executors.base import UpdateRejectedError
from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.executors.position_config import PositionExecutorUpdate
from engine.executors.status import CloseType, RunnableStatus
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench

README = Path(__file__).parents[3] / "README.md"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    load_builtin_executors()
    code = _code()
    module = ModuleType("own_executor")
    monkeypatch.setitem(sys.modules, "own_executor", module)
    exec(compile(code, str(README), "exec"), module.__dict__)  # noqa: S102 (our own README)
    yield module
    ExecutorFactory.unregister(module.PriceStopConfig)


def _code() -> str:
    text = README.read_text(encoding="utf-8")
    return text.split("## Your own executor", 1)[1].split("```python\n", 1)[1].split("```", 1)[0]


def test_thirty_lines_are_enough() -> None:
    assert len(_code().splitlines()) <= 30


def _started(bench: ExecutorBench, example: Any, **fields: Any) -> Any:
    config = example.PriceStopConfig(
        connector_name=BENCH_MARKET.connector_name,
        trading_pair=BENCH_MARKET.trading_pair,
        amount=Decimal(2),
        triple_barrier_config={"open_order_type": "MARKET", "time_limit": 60},
        **fields,
    )
    created = bench.orchestrator.execute_action(ExecutorAction.create(config))
    bench.pump()
    executor = bench.orchestrator.find(created.executor_id or "")
    assert isinstance(executor, example.PriceStopExecutor)
    return executor


def test_the_example_is_a_full_executor(example: Any) -> None:
    bench = ExecutorBench()
    executor = _started(bench, example, side="BUY", stop_price=Decimal("49.5"))
    # Bought at the ask of 50.1.
    assert executor.executor_info.custom_info["stop_distance"] == "0.6"
    prices = {item.kind: item.price for item in executor.snapshot().barriers(500)}
    assert prices["stop_loss"] == Decimal("49.5")

    update = ExecutorAction.update(
        executor.executor_id, example.PriceStopUpdate(stop_price=Decimal("49.8"))
    )
    assert bench.orchestrator.execute_action(update).code is ActionCode.OK
    assert executor.executor_info.custom_info["stop_distance"] == "0.3"

    bench.price(499, 500)
    assert executor.status is RunnableStatus.RUNNING
    bench.price(498, 499)
    bench.pump()
    assert executor.is_done
    assert executor.close_type is CloseType.STOP_LOSS


def test_its_barrier_wakes_a_short_on_the_other_side(example: Any) -> None:
    bench = ExecutorBench()
    executor = _started(bench, example, side="SELL", stop_price=Decimal("50.45"))
    bench.price(503, 504)
    assert executor.is_active
    bench.price(504, 505)  # the first ask that is not below 50.45
    bench.pump()
    assert executor.close_type is CloseType.STOP_LOSS


def test_an_update_of_another_type_or_of_nothing_is_refused(example: Any) -> None:
    bench = ExecutorBench()
    executor = _started(bench, example, side="BUY", stop_price=Decimal("49.5"))
    with pytest.raises(ValueError, match="update_data must be PriceStopUpdate"):
        ExecutorAction.update(executor.executor_id, PositionExecutorUpdate(take_profit=Decimal(1)))
    with pytest.raises(UpdateRejectedError, match="must change something"):
        executor.update_live(PositionExecutorUpdate(take_profit=Decimal(1)))
