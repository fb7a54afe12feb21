"""Details, orders and fills of the fake console engine's executors, derived from their rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from engine.api.views import (
    BarrierRow,
    ConfigField,
    ExecutorDetail,
    ExecutorRow,
    FillRow,
    OrderRow,
    TimelineRow,
)
from engine.testing.fake_rows import FEE, PRICE_STEP, SECOND_NS

STOP_LOSS: Final = Decimal("0.02")
TAKE_PROFIT: Final = Decimal("0.03")
ACTIVATION: Final = Decimal("0.015")
TRAILING_DELTA: Final = Decimal("0.005")
TIME_LIMIT_S: Final = 4 * 3_600


def make_detail(row: ExecutorRow) -> ExecutorDetail:
    """Return everything about the executor of *row*."""
    orders = make_orders(row)
    return ExecutorDetail(
        row=row,
        config=_config(row),
        barriers=_barriers(row),
        orders=orders,
        fills=make_fills(row),
        timeline=_timeline(row, orders),
        max_retries=10,
        updatable=row.lifecycle == "running",
        info=_info(row),
    )


def make_orders(row: ExecutorRow) -> tuple[OrderRow, ...]:
    """Return the orders of *row*, newest first."""
    if row.entry_price is None:
        return ()
    entry = _order(row, "entry", row.side, row.entry_price, row.filled_amount, row.created_ns)
    if row.closed_ns is None or not row.filled_amount or row.mark_price is None:
        return (entry,)
    side = "SELL" if row.side == "BUY" else "BUY"
    return (_order(row, "close", side, row.mark_price, row.filled_amount, row.closed_ns), entry)


def make_fills(row: ExecutorRow) -> tuple[FillRow, ...]:
    """Return the fills of *row*, newest first; the entry is filled in two parts."""
    fills: list[FillRow] = []
    for order in make_orders(row):
        if not order.filled_amount or order.average_price is None:
            continue
        half = order.filled_amount / 2
        for part, amount in ((2, order.filled_amount - half), (1, half)):
            quote = amount * order.average_price
            fills.append(
                FillRow(
                    fill_id=f"{order.client_order_id}-{part}",
                    client_order_id=order.client_order_id,
                    executor_id=row.id,
                    role=order.role,
                    trading_pair=row.trading_pair,
                    side=order.side,
                    price=order.average_price,
                    amount=amount,
                    quote=quote,
                    fee_quote=(quote * FEE).quantize(Decimal("0.0001")),
                    is_maker=part == 1,
                    ts_ns=order.created_ns + part * 204_000_000,
                )
            )
    return tuple(fills)


def _order(
    row: ExecutorRow, role: str, side: str, price: Decimal, filled: Decimal, at_ns: int
) -> OrderRow:
    amount = row.amount if role == "entry" else filled
    state = "failed" if row.lifecycle == "failed" else "filled"
    if state == "filled" and filled < amount:
        state = "partially_filled" if filled else "open"
    return OrderRow(
        client_order_id=f"qd-{row.id[:6]}-{role[0]}1",
        executor_id=row.id,
        role=role,
        connector_name=row.connector_name,
        trading_pair=row.trading_pair,
        side=side,
        order_type="LIMIT" if role == "entry" else "MARKET",
        price=price if role == "entry" else None,
        amount=amount,
        filled_amount=filled,
        average_price=price if filled else None,
        state=state,
        reason=row.last_error if state == "failed" else "",
        created_ns=at_ns,
        updated_ns=at_ns + SECOND_NS,
    )


def _config(row: ExecutorRow) -> tuple[ConfigField, ...]:
    base, quote = row.trading_pair.split("-")
    entry = "--" if row.entry_price is None else str(row.entry_price)
    barrier = "triple_barrier_config."
    return (
        ConfigField("type", f"{row.type}_executor", is_default=True),
        ConfigField("controller_id", row.controller_id, is_default=row.controller_id == "main"),
        ConfigField("connector_name", row.connector_name, is_default=False),
        ConfigField("trading_pair", row.trading_pair, is_default=False),
        ConfigField("side", row.side, is_default=False),
        ConfigField("amount", str(row.amount), is_default=False, unit=base),
        ConfigField("entry_price", entry, is_default=row.entry_price is None, unit=quote),
        ConfigField("leverage", "1", is_default=True, unit="x"),
        ConfigField(f"{barrier}stop_loss", "2%", is_default=False),
        ConfigField(f"{barrier}take_profit", "3%", is_default=False),
        ConfigField(f"{barrier}time_limit", "4h", is_default=False),
        ConfigField(f"{barrier}trailing_stop.activation_price", "1.5%", is_default=False),
        ConfigField(f"{barrier}trailing_stop.trailing_delta", "0.5%", is_default=False),
        ConfigField(f"{barrier}open_order_type", "LIMIT", is_default=True),
        ConfigField(f"{barrier}take_profit_order_type", "MARKET", is_default=True),
        ConfigField("activation_bounds", "none", is_default=True),
        ConfigField("level_id", "none", is_default=True),
    )


def _barriers(row: ExecutorRow) -> tuple[BarrierRow, ...]:
    end_ns = row.created_ns + TIME_LIMIT_S * SECOND_NS
    time_limit = BarrierRow("time limit", "time_limit", None, None, end_ns)
    entry, mark = row.entry_price, row.mark_price
    if entry is None or mark is None:
        return (time_limit,)
    sign = 1 if row.side == "BUY" else -1
    step = PRICE_STEP[row.trading_pair]

    def at(fraction: Decimal) -> Decimal:
        return (entry * (1 + sign * fraction)).quantize(step)

    def away(price: Decimal) -> Decimal:
        return ((price - mark) / mark).quantize(Decimal("0.000001"))

    target, stop, arm = at(TAKE_PROFIT), at(-STOP_LOSS), at(ACTIVATION)
    work = "filled" if row.filled_amount == row.amount else "working"
    return (
        BarrierRow("take profit", "take_profit", target, away(target), note="closes at market"),
        BarrierRow("trailing stop", "trailing_stop", arm, away(arm), note="arms at +1.5%"),
        BarrierRow("entry", "entry", entry, away(entry), note=work),
        BarrierRow("stop loss", "stop_loss", stop, away(stop), note="closes at market"),
        time_limit,
    )


def _timeline(row: ExecutorRow, orders: tuple[OrderRow, ...]) -> tuple[TimelineRow, ...]:
    """Return what happened, newest first."""
    rows = [TimelineRow(row.created_ns, f"created by {row.controller_id}")]
    for order in reversed(orders):
        price = "market" if order.price is None else str(order.price)
        text = f"{order.role} order {order.client_order_id} {order.side} {order.amount} @ {price}"
        rows.append(TimelineRow(order.created_ns, f"{text} placed"))
        if order.filled_amount:
            rows.append(TimelineRow(order.updated_ns, f"{text} {order.state}"))
    if row.last_error:
        rows.append(TimelineRow(row.created_ns + 2 * SECOND_NS, row.last_error, "error"))
    if row.close_type is not None:
        ended_ns = row.closed_ns or row.created_ns + 60 * SECOND_NS
        level = "error" if row.lifecycle == "failed" else "info"
        rows.append(TimelineRow(ended_ns, f"{row.lifecycle}: {row.close_type}", level))
    return tuple(sorted(rows, key=lambda line: line.ts_ns, reverse=True))


def _info(row: ExecutorRow) -> tuple[tuple[str, str], ...]:
    return (
        ("level_id", "none"),
        ("side", row.side),
        ("current_position_average_price", str(row.entry_price)),
        ("close_price", str(row.mark_price)),
        ("current_retries", str(row.retries)),
        ("max_retries", "10"),
        ("remaining_amount", str(row.filled_amount)),
        ("trailing_stop_trigger_pct", "none"),
        ("stale_price", str(row.stale_price)),
        ("order_ids", " ".join(order.client_order_id for order in make_orders(row))),
    )
