"""The price ladder: every barrier at its price, with its distance from the mark."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from engine.api.views import BarrierRow, ExecutorRow
from tui.formatting import (
    clean,
    clip,
    fit,
    format_clock,
    format_decimal,
    format_duration,
    format_percent,
)
from tui.state.text import Line, line_width

MARK: Final = "mark"
_NAME: Final = 14
_PRICE: Final = 11
_AWAY: Final = 9
_ROLES: Final = {
    "take_profit": "up",
    "trailing_stop": "accent",
    "stop_loss": "down",
    "entry": "bold",
    "time_limit": "accent",
    MARK: "bold",
}
_DONE: Final = frozenset({"failed", "terminated"})


class _Rung(NamedTuple):
    """One priced line of the ladder."""

    kind: str
    name: str
    price: Decimal
    away: Decimal | None
    note: str


def ladder_lines(
    row: ExecutorRow, barriers: Sequence[BarrierRow], now_ns: int | None, *, width: int, height: int
) -> list[Line]:
    """Return the ladder of *row* in *width* by *height* cells, the highest price on top.

    Rungs stand in proportion to their prices as far as the lines allow; below them stand the
    barriers in time. Between entry and mark the axis shows whether the executor wins or loses.
    """
    timed = [item for item in barriers if item.price is None]
    rungs = _rungs(row, barriers)
    below = [_time_line(item, now_ns, ended=row.lifecycle in _DONE, width=width) for item in timed]
    if row.lifecycle in _DONE and not barriers:
        below = [(("It has ended: nothing is waited for.", "dim"),)]
    if not rungs:
        return [(("No price to wait for yet.", "dim"),), (), *below][:height]
    room = max(height - len(below) - 1, len(rungs))
    places = _places([rung.price for rung in rungs], room)
    by_place = dict(zip(places, rungs, strict=True))
    won = _won_between(row, rungs, places)
    lines = [
        _rung_line(by_place[place], width) if place in by_place else _axis_line(place, won)
        for place in range(max(places) + 1)
    ]
    return [*lines, (), *below][:height]


def _rungs(row: ExecutorRow, barriers: Sequence[BarrierRow]) -> list[_Rung]:
    """Return what has a price, highest first; the mark stands above a barrier at its price."""
    rungs = [
        _Rung(item.kind, item.name, item.price, item.distance_pct, item.note)
        for item in barriers
        if item.price is not None and item.price.is_finite()
    ]
    mark = row.mark_price if row.mark_price is not None and row.mark_price.is_finite() else None
    entry = row.entry_price
    if entry is not None and entry.is_finite() and not any(r.kind == "entry" for r in rungs):
        rungs.append(_Rung("entry", "entry", entry, (entry - mark) / mark if mark else None, ""))
    if mark is not None:
        rungs.append(_Rung(MARK, MARK, mark, None, "stale" if row.stale_price else ""))
    return sorted(rungs, key=lambda rung: (-rung.price, rung.kind != MARK))


def _places(prices: Sequence[Decimal], room: int) -> list[int]:
    """Return a line for each of *prices*, in their order, in proportion where lines are free."""
    high, span, last = prices[0], prices[0] - prices[-1], len(prices) - 1
    places: list[int] = []
    for number, price in enumerate(prices):
        ideal = round((high - price) / span * (room - 1)) if span else number
        least = places[-1] + 1 if places else 0
        places.append(min(max(ideal, least), room - 1 - (last - number)))
    return places


def _won_between(
    row: ExecutorRow, rungs: Sequence[_Rung], places: Sequence[int]
) -> tuple[int, int, str]:
    """Return the lines between entry and mark, and the role of winning or losing."""
    found = {rung.kind: place for rung, place in zip(rungs, places, strict=True)}
    if MARK not in found or "entry" not in found:
        return (0, -1, "dim")
    first, last = sorted((found[MARK], found["entry"]))
    above = found[MARK] < found["entry"]
    wins = above if row.side == "BUY" else not above
    return (first, last, "up" if wins else "down")


def _axis_line(place: int, won: tuple[int, int, str]) -> Line:
    first, last, role = won
    inside = first < place < last
    return ((" " * (_NAME + 1), ""), ("┃" if inside else "│", role if inside else "dim"))


def _rung_line(rung: _Rung, width: int) -> Line:
    role = _ROLES.get(rung.kind, "")
    name = fit(rung.name, _NAME)
    price = fit(format_decimal(rung.price), _PRICE, right=True)
    if rung.kind == MARK:
        head: Line = ((f"{name} ", "bold"), ("●", "key"), (price, "bold"))
        room = width - line_width(head) - 1
        tail = f" {clean(rung.note)}" if rung.note else " " + "─" * max(room, 0)
        return (*head, (tail, "warn" if rung.note else "dim"))
    away = fit(format_percent(rung.away), _AWAY, right=True)
    head = ((f"{name} ", role), ("┼", "dim"), (price, role), (away, ""))
    room = width - line_width(head) - 2
    return (*head, (f"  {clip(rung.note, room)}", "dim")) if room > 3 else head


def _time_line(item: BarrierRow, now_ns: int | None, *, ended: bool, width: int) -> Line:
    at = f"at {format_clock(item.at_ns)}" if item.at_ns is not None else "at no fixed time"
    left = ""
    if item.at_ns is not None and now_ns is not None and not ended:
        seconds = (item.at_ns - now_ns) / 1_000_000_000
        left = f"in {format_duration(seconds)}  " if seconds > 0 else "is over  "
    head: Line = (
        (f"{fit(item.name, _NAME)} ", _ROLES["time_limit"]),
        ("◌ ", "dim"),
        (left, "bold"),
        (at, "dim"),
    )
    room = width - line_width(head) - 2
    return (*head, (f"  {clip(item.note, room)}", "dim")) if item.note and room > 3 else head
