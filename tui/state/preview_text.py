"""A short look at one executor, for the panel beside the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.formatting import (
    direction,
    fit,
    format_clock,
    format_decimal,
    format_percent,
    format_signed_money,
    short_id,
    short_ids,
)
from tui.state.executor_source import state_span
from tui.state.text import Line

if TYPE_CHECKING:
    from engine.api.views import BarrierRow, ExecutorDetail

_LABEL = 13


def preview_lines(detail: ExecutorDetail, height: int) -> tuple[Line, ...]:
    """Return state, position, barriers and the newest events in *height* lines."""
    row = detail.row
    way = direction(row.net_pnl_quote)
    lines: list[Line] = [
        ((f" {short_id(row.id)} ", "title"), (f"{row.type} {row.trading_pair} {row.side}", "")),
        (),
        _pair("state", *state_span(row)),
        _pair("net PnL", f"{format_signed_money(row.net_pnl_quote)}  "
              f"{format_percent(row.net_pnl_pct)}", f"bold {way}"),
        _pair("amount", f"{format_decimal(row.filled_amount)} of {format_decimal(row.amount)}", ""),
        _pair("entry", format_decimal(row.entry_price), ""),
        _pair("mark", format_decimal(row.mark_price), "stale" if row.stale_price else ""),
        _pair("fees", format_decimal(row.fees_quote, 2), ""),
        _pair("controller", row.controller_id, ""),
        _pair("retries", f"{row.retries} of {detail.max_retries}", "warn" if row.retries else ""),
    ]  # fmt: skip
    if row.last_error:
        lines.append(_pair("last error", row.last_error, "error"))
    if detail.barriers:
        lines += [(), ((" Barriers", "head"),), *map(_barrier, detail.barriers)]
    if detail.timeline:
        lines += [(), ((" Newest first", "head"),)]
        lines += [
            ((f" {format_clock(item.ts_ns)} ", "dim"), (short_ids(item.text), ""))
            for item in detail.timeline
        ]
    return tuple(lines[:height])


def _pair(label: str, text: str, role: str) -> Line:
    return ((f" {fit(label, _LABEL)}", "dim"), (text, role))


def _barrier(barrier: BarrierRow) -> Line:
    if barrier.price is not None:
        value = fit(format_decimal(barrier.price), 12, right=True)
    else:
        value = fit("" if barrier.at_ns is None else format_clock(barrier.at_ns), 12, right=True)
    distance = "" if barrier.distance_pct is None else format_percent(barrier.distance_pct)
    note = f"  {barrier.note}" if barrier.note else ""
    return (
        (f" {fit(barrier.name, _LABEL)}", "dim"),
        (value, ""),
        (fit(distance, 9, right=True), "accent"),
        (note, "dim"),
    )
