"""Order events in any order, twice, or too late."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from engine.executors.status import CloseType, RunnableStatus
from engine.model.orders import Fill, Order, OrderState
from engine.testing.executor_bench import ExecutorBench


def test_a_repeated_fill_counts_once(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create()
    fill = bench.venue.fill("O-2", 500, 500, fee_atoms=5)
    bench.pump()
    version = executor.version
    bench.orchestrator.on_fill(fill)
    assert executor.totals.entry_lots == 500
    assert executor.totals.fee_atoms == 5
    assert executor.version == version


def test_a_fill_before_the_acknowledgement_counts(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    bench.venue.events.clear()
    executor = bench.create()
    bench.venue.fill("O-2", 2000, 500)
    bench.venue.events = deque(sorted(bench.venue.events, key=lambda e: isinstance(e, Order)))
    bench.pump()
    assert executor.totals.entry_lots == 2000


def test_a_completion_before_the_last_fill_counts_at_once(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create()
    bench.venue.fill("O-2", 2000, 500, fee_atoms=7)
    events = list(bench.venue.events)
    bench.venue.events.clear()
    for event in events:
        if isinstance(event, Order):
            bench.deliver(event)
    assert (executor.totals.entry_lots, executor.totals.fee_atoms) == (2000, 7)
    for event in events:
        if isinstance(event, Fill):
            bench.deliver(event)
    assert (executor.totals.entry_lots, executor.totals.fee_atoms) == (2000, 7)


def test_a_fill_after_the_cancel_is_kept(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(entry_price="49", open_order_type="LIMIT")
    bench.venue.cancel("O-2")
    bench.pump()
    bench.venue.fill("O-2", 2000, 490)
    bench.pump()
    bench.advance(60)
    assert executor.totals.entry_lots == 2000
    assert len(bench.venue.orders) == 1


def test_an_old_order_update_changes_nothing(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create()
    old = bench.venue.orders["O-2"]
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    version = executor.version
    bench.orchestrator.on_order_update(old)
    assert executor.version == version


def test_foreign_orders_are_ignored(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    first, second = bench.create(), bench.create()
    fill = bench.venue.fill(first.snapshot().orders[0].client_order_id, 10, 500)
    order = bench.venue.orders[first.snapshot().orders[0].client_order_id]
    assert second.on_fill(fill).intents == ()
    assert second.on_order_update(order).intents == ()
    assert second.totals.entry_lots == 0


def test_a_late_fill_goes_to_the_position_store(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(entry_price="49", open_order_type="LIMIT")
    bench.stop(executor)
    assert (executor.close_type, executor.is_done) == (CloseType.EARLY_STOP, True)
    fill = bench.venue.fill("O-2", 100, 490, fee_atoms=3)
    bench.pump()
    bench.orchestrator.on_fill(fill)
    (position,) = bench.orchestrator.get_positions_report()["main"]
    assert (position.amount, position.cum_fees_quote) == (Decimal("0.1"), Decimal("3E-8"))
    assert executor.executor_info.net_pnl_quote == 0
    alerts = [n.text for n in bench.orchestrator.take_notices() if n.level == "error"]
    assert any("late fill" in text for text in alerts)


def test_a_late_fill_of_an_archived_executor_is_booked_too(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(entry_price="49", open_order_type="LIMIT")
    bench.stop(executor)
    bench.orchestrator.get_all_reports()
    bench.advance(2)
    assert bench.orchestrator.executors() == ()
    bench.venue.fill("O-2", 100, 490)
    bench.pump()
    (position,) = bench.orchestrator.get_positions_report()["main"]
    assert position.amount == Decimal("0.1")


def test_a_fill_of_an_unknown_executor_is_an_alert(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    bench.create()
    fill = bench.venue.fill("O-2", 1, 500)
    bench.orchestrator.take_notices()
    stranger = Fill(
        "F-9",
        "O-9",
        "nobody",
        "entry",
        fill.market,
        fill.side,
        1,
        500,
        1,
        0,
        is_maker=False,
        ts_ns=0,
    )
    bench.orchestrator.on_fill(stranger)
    assert any("nobody" in notice.text for notice in bench.orchestrator.take_notices())


def test_an_entry_fee_in_base_reduces_what_is_owned(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    bench.price(1000)
    executor = bench.create(amount="1")
    bench.venue.fill("O-2", 1000, 1000, fee_atoms=10_000_000, fee_base_lots=1)
    bench.pump()
    info = executor.executor_info
    assert executor.totals.opened_lots == 999
    assert info.net_pnl_quote == Decimal("-0.1")
    bench.stop(executor)
    assert bench.venue.last("close").request.lots == 999


def test_snapshots_change_only_when_something_changed(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(stop_loss="0.5")
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    before = executor.snapshot()
    bench.price(510)
    assert executor.executor_info.net_pnl_quote == 2
    assert executor.snapshot() is before
    assert before.net_pnl_atoms(510) == 2 * 10**8
    assert before.net_pnl_pct(510) == Decimal("0.02")
    assert before.net_pnl_atoms(None) == 0
    bench.stop(executor)
    assert executor.snapshot() is not before
    assert before.status is RunnableStatus.RUNNING
    assert bench.venue.last("close").state is OrderState.OPEN
