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
from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench

README = Path(__file__).parents[3] / "README.md"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    load_builtin_executors()
    text = README.read_text(encoding="utf-8")
    code = text.split("## Your own executor", 1)[1].split("```python\n", 1)[1].split("```", 1)[0]
    module = ModuleType("own_executor")
    monkeypatch.setitem(sys.modules, "own_executor", module)
    exec(compile(code, str(README), "exec"), module.__dict__)  # noqa: S102 (our own README)
    yield module
    ExecutorFactory.unregister(module.NotedConfig)


def test_the_example_is_a_full_executor(example: Any) -> None:
    bench = ExecutorBench()
    config = example.NotedConfig(
        connector_name=BENCH_MARKET.connector_name,
        trading_pair=BENCH_MARKET.trading_pair,
        side="BUY",
        amount=Decimal(2),
        triple_barrier_config={"open_order_type": "MARKET", "time_limit": 60},
    )
    created = bench.orchestrator.execute_action(ExecutorAction.create(config))
    bench.pump()
    assert created.executor_id is not None
    executor = bench.orchestrator.find(created.executor_id)
    assert isinstance(executor, example.NotedExecutor)

    update = ExecutorAction.update(created.executor_id, example.NotedUpdate(note="patience"))
    assert bench.orchestrator.execute_action(update).code is ActionCode.OK
    assert "patience" in [entry.text for entry in executor.snapshot().timeline]
    assert executor.executor_info.custom_info["notes_taken"] == 1

    refused = ExecutorAction.update(created.executor_id, example.NotedUpdate(note=""))
    assert bench.orchestrator.execute_action(refused).code is ActionCode.UPDATE_REJECTED
