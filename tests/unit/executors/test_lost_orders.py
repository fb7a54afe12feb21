"""Orders that are silent in a shutdown are asked for; unknown ones are lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.executors.seldom import SeldomUsed
from engine.executors.status import CloseType, RunnableStatus
from engine.simulation.scenario import Scenario
from engine.simulation.simulate import simulate
from engine.testing.executor_bench import ExecutorBench

ENTRY = {"open_order_type": "LIMIT", "entry_price": "40"}


def test_a_silent_order_is_asked_for_every_ten_seconds_of_a_shutdown(bench: ExecutorBench) -> None:
    executor = bench.create(**ENTRY)
    bench.advance(60)
    assert bench.venue.queries == []  # it is not silent, it rests
    bench.venue.is_deaf = True
    bench.stop(executor)
    bench.advance(9)
    assert bench.venue.queries == []
    bench.advance(1)
    (query,) = bench.venue.queries
    assert query.client_order_id == bench.venue.last("entry").request.client_order_id
    assert query.owner_id == executor.executor_id
    bench.advance(20)
    assert len(bench.venue.queries) == 3
    assert executor.status is RunnableStatus.SHUTTING_DOWN


def test_an_order_that_the_venue_does_not_know_is_lost_at_the_fourth_time(
    bench: ExecutorBench,
) -> None:
    executor = bench.create(**ENTRY)
    bench.venue.is_deaf = True
    bench.stop(executor)
    for number in range(4):
        assert executor.is_active
        bench.advance(10)
        assert len(bench.venue.queries) == number + 1
        bench.orchestrator.on_order_missing(bench.venue.queries[-1])
        bench.pump()
    assert executor.is_done
    assert executor.close_type is CloseType.EARLY_STOP
    assert any("is lost, 0 lots executed" in line.text for line in executor.snapshot().timeline)


def test_an_order_that_changes_begins_anew(bench: ExecutorBench) -> None:
    executor = bench.create(**ENTRY)
    bench.venue.is_deaf = True
    bench.stop(executor)
    for _ in range(3):
        bench.advance(10)
        bench.orchestrator.on_order_missing(bench.venue.queries[-1])
    bench.venue.fill(bench.venue.last("entry").request.client_order_id, 100, 400)
    bench.pump()
    for _ in range(3):
        bench.orchestrator.on_order_missing(bench.venue.queries[-1])
    assert executor.is_active
    bench.orchestrator.on_order_missing(bench.venue.queries[-1])
    bench.pump()
    bench.advance(1)
    assert bench.venue.last("close").request.lots == 100


def test_answers_about_strangers_change_nothing(bench: ExecutorBench) -> None:
    executor = bench.create()
    version = executor.version
    assert executor.on_order_missing("nobody").intents == ()
    assert (
        executor.on_order_missing(bench.venue.last("entry").request.client_order_id).intents == ()
    )
    assert executor.version == version
    assert isinstance(SeldomUsed().queries.is_lost("x"), bool)


@pytest.mark.parametrize(
    ("filled", "close_type", "held"), [(None, "EARLY_STOP", None), ("0.5", "POSITION_HOLD", "0.5")]
)
def test_a_lost_order_counts_with_what_is_known_of_it(
    filled: str | None, close_type: str, held: str | None
) -> None:
    fills = [] if filled is None else [{"order": "entry", "amount": Decimal(filled)}]
    steps: list[dict[str, Any]] = [
        {"at": 0, "bid": Decimal("50.01"), "ask": Decimal("50.02"), "fills": fills},
        {"at": 1, "lost": ["entry"]},
        {"at": 2, "actions": [{"verb": "stop", "executor": 0, "keep_position": True}]},
        {"at": 60, "bid": Decimal("50.01"), "ask": Decimal("50.02")},
    ]
    scenario = {
        "instrument": {"trading_pair": "AAA-USDT", "tick": Decimal("0.01"), "lot": Decimal("0.1")},
        "balances": {"USDT": Decimal(1000)},
        "matching": "scripted",
        "executor": {
            "type": "position_executor",
            "connector_name": "sim_perpetual",
            "trading_pair": "AAA-USDT",
            "side": "BUY",
            "amount": Decimal(2),
            "entry_price": Decimal(50),
        },
        "steps": steps,
    }
    report = simulate(Scenario.model_validate(scenario)).to_dict()
    (info,) = report["executors"]
    assert (info["status"], info["close_type"]) == ("TERMINATED", close_type)
    assert [Decimal(one["amount"]) for one in report["positions"]] == (
        [] if held is None else [Decimal(held)]
    )
