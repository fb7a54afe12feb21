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
    from engine.api.views import EquityView, MarketRow, PositionRow, SessionRow

_SECOND_NS: Final = 1_000_000_000
_STALE_S: Final = 5.0
_CURVE_FROM_HEIGHT: Final = 6
_HEADER_LINES: Final = 4
_MIN_CURVE_WIDTH: Final = 24
_MIN_TREND: Final = 6
_BID_AND_ASK_FROM: Final = 46
_STATE_ROLES: Final = {"running": "ok", "faulted": "error", "stopping": "warn", "paused": "warn"}


def session_lines(
    session: SessionRow,
    equity: EquityView,
    curve: tuple[Line, ...],
    width: int,
    height: int,
) -> tuple[Line, ...]:
    """Return mode, state, equity and profit, and *curve* if it is as high as the rest."""
    lines = [_state_line(session, width), _equity_line(session, equity, width, height)]
    lines.append(_parts_line(session, width))
    if height >= _CURVE_FROM_HEIGHT:
        lines += [(), *curve]
    return tuple(lines[:height])


def curve_height(height: int) -> int:
    """Return how many lines of a panel of *height* lines belong to the curve."""
    return height - _HEADER_LINES if height >= _CURVE_FROM_HEIGHT else 0


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
    both = width >= _BID_AND_ASK_FROM
    names = max((len(market.trading_pair) for market in markets), default=0)
    quotes = max((len(_quote(market, both=both)) for market in markets), default=0)
    return tuple(_market_line(m, now_ns, names, quotes, width, both=both) for m in markets)


def position_lines(positions: tuple[PositionRow, ...], width: int) -> tuple[Line, ...]:
    """Return one line for each position under a heading: amount, entry, open profit."""
    held = [position for position in positions if position.amount or position.unrealized_pnl]
    if not held:
        return (((" No open position.", "dim"),),)
    lines: list[Line] = [((" Positions", "head"),)]
    names = max(len(position.trading_pair) for position in held)
    amounts = max(len(format_decimal(position.amount)) for position in held)
    for position in held:
        left: Line = (
            (f" {fit(position.trading_pair, names)}  ", "bold"),
            (fit(format_decimal(position.amount), amounts, right=True), ""),
            (" @ ", "dim"),
            (format_decimal(position.entry_price), ""),
        )
        way = direction(position.unrealized_pnl)
        right: Line = ((format_signed_money(position.unrealized_pnl), way), (" ", ""))
        lines.append(ends(left, right, width))
    return tuple(lines)


def _state_line(session: SessionRow, width: int) -> Line:
    age = format_duration((session.now_ns - session.started_ns) / _SECOND_NS)
    left: Line = (
        (" ", ""),
        badge_span(session.mode),
        (f"  {session.name}  ", "bold"),
        (f"● {session.state}", _STATE_ROLES.get(session.state, "dim")),
    )
    up: Line = (("up ", "dim"), (f"{age} ", ""))
    speed: Line = (("speed ", "dim"), (f"{session.speed}  ", ""))
    return ends(left, _that_fits((speed, up), width - line_width(left) - 1), width)


def _that_fits(parts: tuple[Line, ...], room: int) -> Line:
    """Return as many of *parts* as fit, the last ones first."""
    for start in range(len(parts)):
        line = tuple(span for part in parts[start:] for span in part)
        if line_width(line) <= room:
            return line
    return ()


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
    """Return what the profit is made of: gains less fees, funding if any; if need be in short."""
    short = _parts(session, "open", "real", "fee")
    long = _parts(session, "open", "realised", "fees")
    is_wide = sum(map(line_width, long)) + 2 <= width
    if not is_wide and sum(map(line_width, short)) <= width:
        return tuple(span for part in short for span in part)
    parts = long
    running = session.executors.get("running", 0)
    parts.append(((f" {running:,}", ""), (" running", "dim")))
    line: Line = ()
    for part in parts:
        longer = (*line, *(((" ", ""),) if line else ()), *part)
        if line_width(longer) > width:
            break
        line = longer
    return line


def _parts(session: SessionRow, *words: str) -> list[Line]:
    values = (session.unrealized_pnl, session.realized_pnl)
    parts: list[Line] = [
        ((f" {word} ", "dim"), (format_signed_money(value), direction(value)))
        for word, value in zip(words, values, strict=False)
    ]
    parts.append(((f" {words[-1]} ", "dim"), (format_money(session.fees), "")))
    if session.funding:
        amount = format_signed_money(session.funding)
        parts.append(((" funding ", "dim"), (amount, direction(session.funding))))
    return parts


def _market_line(
    market: MarketRow, now_ns: int, names: int, quotes: int, width: int, *, both: bool
) -> Line:
    age_s = None if market.quote_ns is None else max(0, now_ns - market.quote_ns) / _SECOND_NS
    stale = age_s is None or age_s > _STALE_S
    change = market.change_pct
    way = "stale" if stale else direction(change, 6)
    left: Line = (
        (f" {fit(market.trading_pair, names)}  ", "stale" if stale else "bold"),
        (fit(_quote(market, both=both), quotes, right=True), "stale" if stale else ""),
        (fit(format_percent(change), 9, right=True), way),
    )
    note = _market_note(age_s, stale=stale)
    cells = min(32, width - line_width(left) - len(note) - 4)
    if cells >= _MIN_TREND:
        left = (*left, ("  ", ""), (sparkline(market.trend, cells), "stale" if stale else "spark"))
    return ends(left, ((note, "warn"), (" ", "")) if note else (), width)


def _market_note(age_s: float | None, *, stale: bool) -> str:
    if not stale:
        return ""
    return "waiting" if age_s is None else f"⚠ {format_duration(age_s)} old"


def _quote(market: MarketRow, *, both: bool) -> str:
    if market.bid is None or market.ask is None:
        return format_decimal(market.mid)
    if not both:
        # In whole ticks: a figure that changes its width would push the trend off the line.
        exponent = market.bid.as_tuple().exponent
        return format_decimal(market.mid, max(-exponent, 0) if isinstance(exponent, int) else None)
    return f"{format_decimal(market.bid)} / {format_decimal(market.ask)}"


def _axis(value: float, span: float) -> str:
    return f"{value:,.0f}" if span >= 10 else f"{value:,.2f}"


def _thin(values: tuple[float, ...], count: int) -> tuple[float, ...]:
    if len(values) <= count or count < 2:
        return values
    last = len(values) - 1
    return tuple(values[index * last // (count - 1)] for index in range(count))
