"""The top bar's one line: am I live, am I making money, is anything broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.formatting import (
    direction,
    fit,
    format_clock,
    format_duration,
    format_signed_money,
    wrap_words,
)
from tui.state.modes import badge_span
from tui.state.text import Line, Span, ends, line_width

if TYPE_CHECKING:
    from engine.api.views import HealthView, SessionRow

_SLOW_FEED_MS = 3_000.0
_SLOW_TICK_MS = 5.0
_MOST_WARNING_LINES = 3
_GAP: Span = ("  ", "bar")


def top_line(
    health: HealthView, session: SessionRow | None, width: int, *, read_only: bool = False
) -> Line:
    """Return the top bar in exactly *width* cells; what matters least goes first."""
    if session is None:
        state = f" {health.state.value} engine… " if _is_starting(health) else health.state.value
        name: Line = ((" quarterdeck ", "bar bold"), (state, "bar dim"))
        return _on_bar(ends(name, ((health.message, "bar dim"), (" ", "bar")), width))
    left, right = _left_parts(session, read_only=read_only), _right_parts(health, session)
    for drop_left, drop_right in ((0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (3, 4)):
        shown_left = _join(left[: len(left) - drop_left])
        shown_right = _join(right[drop_right:])
        if line_width(shown_left) + line_width(shown_right) < width:
            return _on_bar(ends(shown_left, shown_right, width))
    return _on_bar(ends(left[0], right[-1], width))


def warning_lines(health: HealthView, width: int) -> list[Line]:
    """Return what the operator must know of a running engine, in lines of *width* cells."""
    if health.state.value != "running" or not health.message:
        return []
    rows = wrap_words(f"⚠ {health.message}", max(width - 2, 1))
    return [((fit(f" {row}", width), "alarm"),) for row in rows[:_MOST_WARNING_LINES]]


def profit_span(session: SessionRow) -> Span:
    """Return the session's profit so far, with arrow and sign."""
    profit = session.equity - session.initial_equity
    return (format_signed_money(profit), direction(profit))


def _is_starting(health: HealthView) -> bool:
    return health.state.value == "starting"


def _left_parts(session: SessionRow, *, read_only: bool) -> list[Line]:
    """Return the parts at the left, the last to drop first."""
    pairs = session.markets[0] if session.markets else ""
    more = f" +{len(session.markets) - 1}" if len(session.markets) > 1 else ""
    badge, role = badge_span(session.mode)
    return [
        ((f"{badge}RO " if read_only else badge, role),),
        ((session.name, "bar bold"),),
        ((f"{pairs}{more}", "bar dim"),),
    ]


def _right_parts(health: HealthView, session: SessionRow) -> list[Line]:
    """Return the parts at the right, the first to drop first."""
    parts: list[Line] = []
    if health.tick_ms is not None:
        role = "bar warn" if health.tick_ms > _SLOW_TICK_MS else "bar"
        parts.append((("engine ", "bar dim"), (f"{health.tick_ms:.1f}ms", role)))
    if health.lag_ms is not None:
        late = health.lag_ms > _SLOW_FEED_MS
        text = format_duration(health.lag_ms / 1_000)
        parts.append(
            (("feed ", "bar dim"), (f"{text}{' ⚠' * late}", "bar warn" if late else "bar"))
        )
    parts.append(((format_clock(session.now_ns) + "Z", "bar"),))
    if session.alerts:
        parts.append(((f"⚠ {session.alerts}", "bar warn"),))
    text, way = profit_span(session)
    parts.append(((text, f"bar bold {way}"), (" ", "bar")))
    return parts


def _join(parts: list[Line]) -> Line:
    spans: list[Span] = []
    for part in parts:
        spans.extend(((_GAP,) if spans else ()) + part)
    return tuple(spans)


def _on_bar(line: Line) -> Line:
    return tuple((text, roles or "bar") for text, roles in line)
