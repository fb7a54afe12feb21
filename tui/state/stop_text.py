"""What stopping executors would do, in numbers and in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from engine.api.views import ExecutorRow, OrderRow
from tui.formatting import (
    clean,
    direction,
    fit,
    format_decimal,
    format_money,
    format_signed_money,
    plural,
    short_id,
)
from tui.state.text import Line

MAX_LISTED: Final = 5
_STOPPABLE: Final = frozenset({"created", "running"})
_WORKING: Final = frozenset({"pending_create", "open", "partially_filled", "pending_cancel"})


@dataclass(frozen=True, slots=True)
class StopFacts:
    """What stands behind some executors.

    ``amounts`` maps base assets to what is held, signed; ``notional``, ``fee`` and ``pnl`` map
    quote assets to money. ``fee`` is what flattening would cost at the rate paid so far; an
    executor that has paid none yet adds nothing to it.
    """

    count: int
    working_orders: int
    amounts: Mapping[str, Decimal]
    notional: Mapping[str, Decimal]
    fee: Mapping[str, Decimal]
    pnl: Mapping[str, Decimal]


def stoppable(rows: Iterable[ExecutorRow]) -> tuple[ExecutorRow, ...]:
    """Return the rows of executors that a stop still changes."""
    return tuple(row for row in rows if row.lifecycle in _STOPPABLE)


def is_working(order: OrderRow) -> bool:
    """Return whether *order* may still be filled."""
    return order.state.lower() in _WORKING


def gather_facts(rows: Sequence[ExecutorRow], orders: Iterable[OrderRow]) -> StopFacts:
    """Add up what *rows* hold; *orders* are theirs."""
    amounts: dict[str, Decimal] = {}
    notional: dict[str, Decimal] = {}
    fee: dict[str, Decimal] = {}
    pnl: dict[str, Decimal] = {}
    for row in rows:
        if not row.filled_amount:
            continue
        base, _, quote = row.trading_pair.partition("-")
        sign = 1 if row.side == "BUY" else -1
        value = row.filled_amount * (row.mark_price or row.entry_price or Decimal(0))
        amounts[base] = amounts.get(base, Decimal(0)) + sign * row.filled_amount
        notional[quote] = notional.get(quote, Decimal(0)) + value
        pnl[quote] = pnl.get(quote, Decimal(0)) + row.net_pnl_quote
        if row.volume_quote:
            cost = value * row.fees_quote / row.volume_quote
            fee[quote] = fee.get(quote, Decimal(0)) + cost
    working = sum(1 for order in orders if is_working(order))
    return StopFacts(len(rows), working, amounts, notional, fee, pnl)


def executor_lines(rows: Sequence[ExecutorRow]) -> list[Line]:
    """Return one line for each of the first rows, and how many more there are."""
    lines: list[Line] = [_executor_line(row) for row in rows[:MAX_LISTED]]
    if len(rows) > MAX_LISTED:
        lines.append(((f"… and {len(rows) - MAX_LISTED} more", "dim"),))
    return lines


def consequence_lines(facts: StopFacts, *, keep: bool) -> list[Line]:
    """Return what stopping trades or keeps, and what it costs."""
    lines: list[Line] = []
    if facts.working_orders:
        orders = plural(facts.working_orders, "working order")
        lines.append((("cancels  ", "dim"), (orders, "bold")))
    if not facts.amounts:
        lines.append((("holds nothing: there is no position to flatten or to keep", "dim"),))
    elif keep:
        lines.append((("keeps    ", "dim"), (_amounts(facts.amounts, signed=True), "bold")))
        lines.append((("         ≈ ", "dim"), (_money(facts.notional), "")))
        text = "⚠ no stop loss or take profit guards it any more"
        lines.append((("         ", ""), (text, "warn")))
    else:
        lines.append((("trades   ", "dim"), (_amounts(facts.amounts, signed=False), "bold")))
        lines.append((("         ≈ ", "dim"), (f"{_money(facts.notional)} at market", "")))
        if facts.fee:
            lines.append((("costs    ", "dim"), (f"≈ {_money(facts.fee)}", ""), (" fee", "dim")))
        lines.append((("books    ", "dim"), *_pnl(facts.pnl), (" net so far", "dim")))
    lines.append((("cannot be undone", "warn"),))
    return lines


def _executor_line(row: ExecutorRow) -> Line:
    amount = f"{format_decimal(row.filled_amount)} of {format_decimal(row.amount)}"
    return (
        (f"{short_id(row.id)}  ", "bold"),
        (f"{fit(row.type, 9)} {fit(row.trading_pair, 9)} {fit(row.side, 5)}", ""),
        (f"{fit(amount, 18, right=True)}  ", "dim"),
        (format_signed_money(row.net_pnl_quote), direction(row.net_pnl_quote)),
        ("  ⚠ retries" if row.retries else "", "warn"),
    )


def _amounts(amounts: Mapping[str, Decimal], *, signed: bool) -> str:
    parts = []
    for base, amount in amounts.items():
        if signed:
            sign = "+" if amount > 0 else ""
            parts.append(f"{sign}{format_decimal(amount)} {clean(base)}")
        elif amount:
            verb = "sells" if amount > 0 else "buys"
            parts.append(f"{verb} {format_decimal(abs(amount))} {clean(base)}")
    return ", ".join(parts) or "nothing: longs and shorts cancel out"


def _money(amounts: Mapping[str, Decimal]) -> str:
    return " + ".join(f"{format_money(value)} {clean(unit)}" for unit, value in amounts.items())


def _pnl(amounts: Mapping[str, Decimal]) -> Line:
    spans: list[tuple[str, str]] = []
    for unit, value in amounts.items():
        spans += [(format_signed_money(value), direction(value)), (f" {clean(unit)} ", "dim")]
    return tuple(spans)
