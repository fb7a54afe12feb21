"""The session's header, its equity curve and its markets, as styled lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.formatting import (
    direction,
    fit,
    format_decimal,
    format_duration,
    format_money,
    format_percent,
    format_signed_money,
    sparkline,
)
from tui.state.braille import braille_curve
from tui.state.modes import badge_span
from tui.state.text import Line, Span, ends, line_width

if TYPE_CHECKING:
    from engine.api.views import EquityView, MarketRow, SessionRow

_SECOND_NS: Final = 1_000_000_000
_STALE_S: Final = 5.0
_CURVE_FROM_HEIGHT: Final = 6
_MIN_CURVE_WIDTH: Final = 24
_STATE_ROLES: Final = {"running": "ok", "faulted": "error", "stopping": "warn", "paused": "warn"}


def session_lines(
    session: SessionRow, equity: EquityView, width: int, height: int
) -> tuple[Line, ...]:
    """Return mode, state, equity, profit and the curve in *width* x *height* cells."""
    lines = [_state_line(session, width), _equity_line(session, equity, width, height)]
    lines.append(_parts_line(session, width))
    if height >= _CURVE_FROM_HEIGHT:
        lines.append(())
        lines.extend(curve_lines(equity, width, height - len(lines)))
    return tuple(lines[:height])


def curve_lines(equity: EquityView, width: int, height: int) -> tuple[Line, ...]:
    """Return the equity curve with its highest and lowest value at the axis."""
    if height < 1 or width < _MIN_CURVE_WIDTH:
        return ()
    if len(equity.values) < 2:
        return (((" The equity curve begins with the first samples.", "dim"),),)
    high, low = max(equity.values), min(equity.values)
    labels = [_axis(high, high - low), _axis(low, high - low)]
    margin = max(len(label) for label in labels) + 1
    rows = braille_curve(equity.values, width - margin - 3, height)
    last = len(rows) - 1
    lines: list[Line] = []
    for index, row in enumerate(rows):
        label = labels[0] if index == 0 else labels[1] if index == last else ""
        lines.append(((fit(label, margin, right=True), "dim"), (" ┤", "dim"), (row, "spark")))
    return tuple(lines)


def market_lines(markets: tuple[MarketRow, ...], now_ns: int, width: int) -> tuple[Line, ...]:
    """Return one line for each market: quote, change, trend, and its age when it is old."""
    names = max((len(market.trading_pair) for market in markets), default=0)
    quotes = max((len(_quote(market)) for market in markets), default=0)
    return tuple(_market_line(market, now_ns, names, quotes, width) for market in markets)


def _state_line(session: SessionRow, width: int) -> Line:
    age = format_duration((session.now_ns - session.started_ns) / _SECOND_NS)
    left: Line = (
        (" ", ""),
        badge_span(session.mode),
        (f"  {session.name}  ", "bold"),
        (f"● {session.state}", _STATE_ROLES.get(session.state, "dim")),
    )
    right: Line = (("up ", "dim"), (age, ""), ("  speed ", "dim"), (f"{session.speed} ", ""))
    return ends(left, right, width)


def _equity_line(session: SessionRow, equity: EquityView, width: int, height: int) -> Line:
    profit = session.equity - session.initial_equity
    way = direction(profit)
    share = profit / session.initial_equity if session.initial_equity else None
    left: tuple[Span, ...] = (
        (" ", ""),
        (format_money(session.equity), "bold"),
        (f" {session.currency}   ", "dim"),
        (format_signed_money(profit), f"bold {way}"),
        (f"  {format_percent(share)}", way),
    )
    room = width - line_width(left) - 3
    if height >= _CURVE_FROM_HEIGHT or room < 6:
        return left
    cells = min(24, room)
    return ends(left, ((sparkline(_thin(equity.values, cells), cells), "spark"), (" ", "")), width)


def _parts_line(session: SessionRow, width: int) -> Line:
    line: list[Span] = [(" ", "")]
    for word, value in (("realised", session.realized_pnl), ("open", session.unrealized_pnl)):
        way = direction(value)
        text = format_signed_money(value)
        line += [(f"{word} ", "dim"), (text, way), ("  ", "")]
    line += [("fees ", "dim"), (format_money(session.fees), ""), ("  ", "")]
    counts: Line = tuple(line)
    running = session.executors.get("running", 0)
    more: Line = ((f"{running:,}", ""), (" running ", "dim"))
    return ends(counts, more, width) if line_width(counts) + line_width(more) < width else counts


def _market_line(market: MarketRow, now_ns: int, names: int, quotes: int, width: int) -> Line:
    age_s = None if market.quote_ns is None else max(0, now_ns - market.quote_ns) / _SECOND_NS
    stale = age_s is None or age_s > _STALE_S
    change = market.change_pct
    way = "stale" if stale else direction(change, 6)
    left: Line = (
        (f" {fit(market.trading_pair, names)}  ", "stale" if stale else "bold"),
        (fit(_quote(market), quotes, right=True), "stale" if stale else ""),
        ("  " + fit(format_percent(change), 8, right=True), way),
    )
    note = _market_note(age_s, stale=stale)
    room = width - line_width(left) - len(note) - 4
    cells = min(32, max(0, room))
    trend: Span = (sparkline(market.trend, cells), "stale" if stale else "spark")
    return ends((*left, ("  ", ""), trend), ((note, "warn"), (" ", "")), width)


def _market_note(age_s: float | None, *, stale: bool) -> str:
    if not stale:
        return ""
    return "waiting" if age_s is None else f"⚠ {format_duration(age_s)} old"


def _quote(market: MarketRow) -> str:
    if market.bid is None or market.ask is None:
        return "--"
    return f"{format_decimal(market.bid)} / {format_decimal(market.ask)}"


def _axis(value: float, span: float) -> str:
    return f"{value:,.0f}" if span >= 10 else f"{value:,.2f}"


def _thin(values: tuple[float, ...], count: int) -> tuple[float, ...]:
    if len(values) <= count or count < 2:
        return values
    last = len(values) - 1
    return tuple(values[index * last // (count - 1)] for index in range(count))
