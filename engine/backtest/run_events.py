"""Payloads and counts of the events of a run, and what is wrong with a signal's numbers."""

from __future__ import annotations

from typing import Any, Final

from engine.containers.bus import BusKind
from engine.execution.bar_order import (
    BarFill,
    BarOrder,
    DueNews,
    OrderNews,
    PositionNews,
)
from engine.model.market_events import Funding
from engine.strategies.signal_rows import SignalRow
from engine.strategies.signal_table import NO_PRICE

_LARGEST: Final = 1 << 62
_DEFAULT_ROW: Final = SignalRow()


def range_problem(row: SignalRow) -> str:
    """Return what is too large for the ledger's integers, empty if nothing is."""
    if abs(row.value) >= _LARGEST:
        return "QTY_ABOVE_MAX"
    prices = (row.limit, row.stop, row.trail, row.limit_offset, row.activation, row.sl, row.tp)
    if any(abs(price) >= _LARGEST and price != NO_PRICE for price in prices):
        return "PRICE_OUT_OF_RANGE"
    return ""


def is_exit(order: BarOrder) -> bool:
    """Return whether *order* can only reduce a position."""
    return order.reduce_only or order.is_child


def signal_facts(row: SignalRow, tag: str) -> dict[str, Any]:
    """Return what a signal says beyond the defaults."""
    said = {
        name: int(value)
        for name, value, default in zip(row._fields, row, _DEFAULT_ROW, strict=True)
        if value != default and not name.endswith("tag")
    }
    return {"bar": row.bar, "kind": int(row.kind), "value": row.value, **said, "tag": tag}


def order_facts(order: BarOrder) -> dict[str, Any]:
    """Return the payload of an ORDER."""
    return {
        "symbol": order.symbol,
        "side": order.side,
        "type": order.kind_name,
        "lots": order.lots,
        "size_ppb": order.size_ppb,
        "limit": order.limit,
        "stop": order.stop,
        "role": order.role,
        "tag": order.tag,
    }


def news_facts(news: OrderNews) -> dict[str, Any]:
    """Return the payload of an ORDER_UPDATE."""
    return {"order": news.order.seq, "state": news.state, "reason": news.reason}


def position_facts(news: PositionNews) -> dict[str, Any]:
    """Return the payload of a POSITION; money in atoms, lots signed."""
    return {
        "lots": news.lots,
        "cost_atoms": news.cost_atoms,
        "realised_atoms": news.realised_atoms,
        "cash_atoms": news.cash_atoms,
    }


def due_kind(news: DueNews) -> BusKind:
    """Return FUNDING or CORPORATE_ACTION."""
    return BusKind.FUNDING if isinstance(news.event, Funding) else BusKind.CORPORATE_ACTION


def due_facts(news: DueNews) -> dict[str, Any]:
    """Return the payload of a FUNDING or CORPORATE_ACTION."""
    event = news.event
    if isinstance(event, Funding):
        return {"stamp": event.ts_ns, "rate_ppb": event.rate_ppb, "lots": news.lots}
    return {
        "stamp": event.ts_ns,
        "kind": event.kind.value,
        "ratio_num": event.ratio_num,
        "ratio_den": event.ratio_den,
        "amount_atoms": event.amount_atoms,
        "lots": news.lots,
    }


def fill_facts(fill: BarFill) -> dict[str, Any]:
    """Return the payload of a FILL."""
    return {
        "order": fill.order.seq,
        "side": fill.side,
        "lots": fill.lots,
        "ticks": fill.ticks,
        "fee_atoms": fill.fee_atoms,
        "maker": fill.is_maker,
    }
