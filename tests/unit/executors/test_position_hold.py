"""Position holds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.executors.held_order import HeldOrder
from engine.executors.position_hold import PositionHold, PositionKey
from engine.executors.position_store import InitialPosition
from engine.model.instruments import Settlement
from engine.model.orders import TradeType
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench, bench_instrument

ATOM = 10**8


def held(name: str, side: str, amount: str, price: str, fee: str = "0", **more: Any) -> HeldOrder:
    instrument = bench_instrument()
    lots, ticks = instrument.to_lots(Decimal(amount)), instrument.to_ticks(Decimal(price))
    return HeldOrder(
        name,
        BENCH_MARKET,
        TradeType[side],
        lots,
        instrument.notional_atoms(ticks, lots),
        int(Decimal(fee) * ATOM),
        **more,
    )


@pytest.fixture
def hold() -> PositionHold:
    return PositionHold(PositionKey("main", BENCH_MARKET), bench_instrument())


def test_the_worked_example(hold: PositionHold) -> None:
    hold.add(held("1", "BUY", "10", "100", "1"))
    hold.add(held("2", "SELL", "4", "110", "0.44"))
    summary = hold.summary(2060)
    assert summary.side is TradeType.BUY
    assert (summary.amount, summary.breakeven_price) == (Decimal(6), Decimal(100))
    assert (summary.realized_pnl_quote, summary.unrealized_pnl_quote) == (Decimal(40), Decimal(18))
    assert (summary.cum_fees_quote, summary.volume_traded_quote) == (Decimal("1.44"), Decimal(1440))
    assert summary.amount_quote == 600
    assert summary.global_pnl_quote == Decimal("56.56")
    assert not summary.stale_price


def test_an_order_counts_once(hold: PositionHold) -> None:
    order = held("1", "BUY", "10", "100", "1")
    assert hold.add(order)
    assert not hold.add(order)
    assert hold.net_lots == 10_000


@pytest.mark.parametrize(
    ("second", "net", "breakeven", "realized"),
    [
        (("BUY", "10", "110"), "20", "105", "0"),
        (("SELL", "10", "110"), "0", "0", "100"),
        (("SELL", "15", "110"), "-5", "110", "100"),
        (("SELL", "4", "90"), "6", "100", "-40"),
    ],
)
def test_netting_a_long(
    hold: PositionHold, second: tuple[str, str, str], net: str, breakeven: str, realized: str
) -> None:
    hold.add(held("1", "BUY", "10", "100"))
    hold.add(held("2", *second))
    summary = hold.summary(2000)
    sign = 1 if summary.side is TradeType.BUY else -1
    assert sign * summary.amount == Decimal(net)
    assert summary.breakeven_price == Decimal(breakeven)
    assert summary.realized_pnl_quote == Decimal(realized)


def test_netting_a_short(hold: PositionHold) -> None:
    hold.add(held("1", "SELL", "10", "100"))
    hold.add(held("2", "BUY", "4", "90"))
    summary = hold.summary(1900)
    assert (summary.side, summary.amount) == (TradeType.SELL, Decimal(6))
    assert (summary.realized_pnl_quote, summary.unrealized_pnl_quote) == (Decimal(40), Decimal(30))


def test_an_order_without_fills_leaves_only_its_fee(hold: PositionHold) -> None:
    assert hold.add(held("1", "BUY", "0", "100", "0.5"))
    assert (hold.net_lots, hold.fee_atoms) == (0, ATOM // 2)


def test_a_fee_in_base_is_not_owned(hold: PositionHold) -> None:
    hold.add(held("1", "BUY", "1", "100", "0.1", fee_base_lots=1))
    summary = hold.summary(2000)
    assert summary.amount == Decimal("0.999")
    assert summary.breakeven_price == 100
    assert summary.global_pnl_quote == Decimal("-0.1")


def test_without_a_mid_the_last_one_counts(hold: PositionHold) -> None:
    hold.add(held("1", "BUY", "10", "100"))
    assert hold.summary(None).unrealized_pnl_quote == 0
    assert hold.summary(None).stale_price
    hold.summary(2020)
    stale = hold.summary(None, is_unavailable=True)
    assert (stale.unrealized_pnl_quote, stale.stale_price, stale.unavailable) == (
        Decimal(10),
        True,
        True,
    )


def test_the_state_can_be_restored(hold: PositionHold) -> None:
    hold.add(held("1", "BUY", "10", "100", "1"))
    hold.add(held("2", "SELL", "4", "110", "0.44"))
    again = PositionHold(hold.key, hold.instrument)
    again.restore(hold.state())
    assert again.summary(2060) == hold.summary(2060)


def test_initial_positions_wait_for_a_mid() -> None:
    initial = InitialPosition(BENCH_MARKET, Decimal("1.5"), TradeType.SELL)
    bench = ExecutorBench(initial_positions_by_controller={"main": [initial]})
    (position,) = bench.orchestrator.get_positions_report()["main"]
    assert (position.side, position.amount) == (TradeType.SELL, Decimal("1.5"))
    assert position.breakeven_price == Decimal("50.05")
    assert (position.volume_traded_quote, position.cum_fees_quote) == (Decimal(0), Decimal(0))
    bench.price(600)
    (later,) = bench.orchestrator.get_positions_report()["main"]
    assert later.breakeven_price == position.breakeven_price
    assert [state.net_lots for state in bench.orchestrator.take_changed_positions()] == [-1500]


def test_initial_positions_stay_pending_without_a_valid_mid() -> None:
    initial = InitialPosition(BENCH_MARKET, Decimal(1), TradeType.BUY)
    bench = ExecutorBench(initial_positions_by_controller={"main": [initial]})
    bench.orchestrator._positions.expect("late", initial)
    bench.price(0, 10)
    assert bench.orchestrator.get_positions_report()["late"] == ()
    bench.price(500)
    assert len(bench.orchestrator.get_positions_report()["late"]) == 1


@pytest.mark.parametrize(
    ("settlement", "is_hedged", "sides"),
    [
        (Settlement.DERIVATIVE, False, [None]),
        (Settlement.DERIVATIVE, True, [TradeType.BUY, TradeType.SELL]),
        (Settlement.SPOT, False, [None]),
    ],
)
def test_buckets_are_netted_unless_the_account_hedges(
    settlement: Settlement, *, is_hedged: bool, sides: list[TradeType | None]
) -> None:
    bench = ExecutorBench(bench_instrument(settlement=settlement, is_hedged=is_hedged))
    for side in ("BUY", "SELL"):
        bench.stop(bench.create(side=side), keep=True)
    found = bench.orchestrator.get_positions_report()["main"]
    assert [position.bucket_side for position in found] == sides
    names = {None: "BOTH", TradeType.BUY: "LONG", TradeType.SELL: "SHORT"}
    assert [position.position_side.value for position in found] == [names[side] for side in sides]


def test_restored_positions_are_reported(hold: PositionHold) -> None:
    hold.add(held("1", "BUY", "10", "100"))
    bench = ExecutorBench()
    bench.orchestrator.restore_positions([hold.state()])
    (position,) = bench.orchestrator.get_positions_report()["main"]
    assert position.amount == 10


def test_stored_positions_of_a_controller_with_initial_ones_are_ignored(
    hold: PositionHold,
) -> None:
    hold.add(held("1", "BUY", "10", "100"))
    initial = InitialPosition(BENCH_MARKET, Decimal(1), TradeType.BUY)
    name = hold.key.controller_id
    bench = ExecutorBench(initial_positions_by_controller={name: [initial]})
    bench.orchestrator.restore_positions([hold.state()])
    (position,) = bench.orchestrator.get_positions_report()[name]
    assert position.amount == 1
