"""Live updates of the position executor."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.executors.barriers import TripleBarrierConfig
from engine.executors.base import UpdateRejectedError
from engine.executors.position_config import PositionExecutorUpdate
from engine.executors.status import CloseType, RunnableStatus
from engine.model.orders import OrderState
from engine.testing.executor_bench import ExecutorBench


def update(**fields: object) -> PositionExecutorUpdate:
    return PositionExecutorUpdate.model_validate(fields)


def test_a_new_stop_loss_acts_at_once(bench: ExecutorBench) -> None:
    bench.price(500)
    executor = bench.create(stop_loss="0.1")
    bench.price(480)
    executor.update_live(update(stop_loss="0.05"))
    assert executor.status is RunnableStatus.RUNNING
    executor.update_live(update(stop_loss="0.03"))
    assert executor.close_type is CloseType.STOP_LOSS


def test_a_trailing_stop_keeps_its_trigger(bench: ExecutorBench) -> None:
    bench.price(500)
    executor = bench.create(trailing_stop="0.02,0.01")
    bench.price(515)
    executor.update_live(update(trailing_stop="0.05,0.02"))
    assert executor.snapshot().trailing_trigger_pct == Decimal("0.02")
    executor.update_live(update(trailing_stop=None))
    assert executor.snapshot().trailing_trigger_pct is None
    bench.price(500)
    assert executor.status is RunnableStatus.RUNNING


def test_a_new_time_limit_counts_from_the_timestamp(bench: ExecutorBench) -> None:
    executor = bench.create()
    bench.advance(30)
    executor.update_live(update(time_limit=40))
    bench.orchestrator.on_time(bench.venue.now_ns())
    assert executor.wakes.at_ns == 1040 * 10**9


def test_a_new_target_moves_the_resting_take_profit(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(take_profit="0.02", take_profit_order_type="LIMIT")
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    for intent in executor.update_live(update(take_profit="0.04")).intents:
        bench.venue.carry_out(intent)
    bench.pump()
    resting = [o for o in bench.venue.orders.values() if o.request.role == "take_profit"]
    assert [(o.request.limit_ticks, o.state) for o in resting] == [
        (510, OrderState.CANCELED),
        (520, OrderState.OPEN),
    ]


def test_a_monitored_take_profit_withdraws_the_resting_one(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(take_profit="0.02", take_profit_order_type="LIMIT")
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    for intent in executor.update_live(update(take_profit_order_type="MARKET")).intents:
        bench.venue.carry_out(intent)
    bench.pump()
    assert bench.venue.live() == []
    bench.price(510)
    assert executor.close_type is CloseType.TAKE_PROFIT


def test_a_refused_update_leaves_everything_as_it_was(bench: ExecutorBench) -> None:
    executor = bench.create(stop_loss="0.1")
    before = executor.config
    with pytest.raises(UpdateRejectedError, match="2 values for MARKET entries"):
        executor.update_live(update(stop_loss="0.2", activation_bounds="0.1"))
    with pytest.raises(UpdateRejectedError, match="must change something"):
        executor.update_live(update())
    with pytest.raises(UpdateRejectedError, match="must change something"):
        executor.update_live("stop_loss")
    assert executor.config is before


def test_only_running_executors_change(bench: ExecutorBench) -> None:
    executor = bench.create()
    bench.stop(executor)
    with pytest.raises(UpdateRejectedError, match="TERMINATED; only RUNNING"):
        executor.update_live(update(stop_loss="0.2"))


def test_the_timeline_tells_it(bench: ExecutorBench) -> None:
    executor = bench.create()
    executor.update_live(update(stop_loss="0.2", time_limit=9))
    assert executor.snapshot().timeline[-1].text == "updated: stop_loss 0.2, time_limit 9"


def test_an_update_takes_barriers_as_the_configuration_nests_them() -> None:
    nested = {"triple_barrier_config": {"take_profit": "0.01"}, "activation_bounds": None}
    update = PositionExecutorUpdate.model_validate(nested)
    assert update.model_fields_set == {"take_profit", "activation_bounds"}
    barriers = TripleBarrierConfig.model_validate({"stop_loss": "0.02"})
    update = PositionExecutorUpdate.model_validate({"triple_barrier_config": barriers})
    assert update.model_fields_set == {"stop_loss"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"triple_barrier_config": 3}, "triple_barrier_config must be a mapping of fields, got 3"),
        (
            {"triple_barrier_config": {"stop_loss": "0.1"}, "stop_loss": "0.2"},
            "stop_loss: given beside and in triple_barrier_config",
        ),
        ({"triple_barrier_config": {"stop_loss": -1}}, "must be greater than 0, got -1"),
    ],
)
def test_an_update_with_wrong_nested_barriers_is_refused(
    values: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        PositionExecutorUpdate.model_validate(values)
