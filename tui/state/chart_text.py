"""The viewer's charts as lines: price with entries and exits, equity, drawdown, one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tui.formatting import (
    clip,
    direction,
    fit,
    format_compact,
    format_date_time,
    format_decimal,
    format_percent,
    sparkline,
)
from tui.state.plot import Canvas, Window, join_bounds
from tui.state.text import Line, Span, clip_facts
from tui.state.trade_source import price_text

if TYPE_CHECKING:
    from engine.api.result_tables import TradeRow
    from tui.state.result_reader import ChartData

GUTTER: Final = 11
KINDS: Final = ("all", "price", "equity", "drawdown")
LEGEND: Final = "▲ long ▼ short ✓ gain ✗ loss ┄ buy & hold"
_DENSE: Final = 3
"""Cells that a trade needs for its marks to be told apart."""
_DAY_NS: Final = 86_400 * 10**9
_LEAST_FOR_THREE: Final = 15
_SHARES: Final = {"price": 4, "equity": 3, "drawdown": 2}


@dataclass(slots=True)
class Pane:
    """One chart: its canvas and what stands at its left."""

    name: str
    canvas: Canvas
    top: str
    bottom: str

    def lines(self, cursor: int | None) -> list[Line]:
        """Return the pane with its axis."""
        last = self.canvas.height - 1
        lines: list[Line] = []
        for y, drawn in enumerate(self.canvas.lines(cursor)):
            label, role = "", "dim"
            if y == 0:
                label = self.top
            elif y == last:
                label = self.bottom
            elif y == last // 2 or (last == 1 and y == 0):
                label, role = self.name, "bold"
            axis: Span = (" ┤" if y in (0, last) else " │", "dim")
            lines.append(((fit(label, GUTTER - 2, right=True), role), axis, *drawn))
        return lines


@dataclass(slots=True)
class Picture:
    """Everything drawn once for a window, a size and a kind; the cursor is put in later."""

    window: Window
    panes: tuple[Pane, ...]
    extra: tuple[Line, ...]

    def lines(self, cursor_ns: int) -> list[Line]:
        """Return all lines with the cursor at an instant."""
        cell = self.window.cell_of(cursor_ns)
        cursor = cell if 0 <= cell < self.window.cells else None
        lines = [line for pane in self.panes for line in pane.lines(cursor)]
        return [*lines, *self.extra, axis_line(self.window, cursor)]


def draw(data: ChartData, width: int, height: int, kind: str) -> Picture:
    """Return the charts of *data* in *width* by *height* cells."""
    window = Window(data.from_ns, data.to_ns, max(1, width - GUTTER))
    dense = len(data.trades) * _DENSE > window.cells
    extra = (density_line(data.trades, window),) if dense and height > _LEAST_FOR_THREE else ()
    names = _panes_of(kind, height, has_price=bool(data.price.values))
    rows = max(len(names), height - 1 - len(extra))
    total = sum(_SHARES[name] for name in names)
    heights = [max(1, rows * _SHARES[name] // total) for name in names]
    heights[0] = max(1, rows - sum(heights[1:]))
    panes = tuple(
        _pane(name, data, window, size, dense=dense)
        for name, size in zip(names, heights, strict=True)
    )
    return Picture(window, panes, extra)


def shows_price(kind: str, height: int) -> bool:
    """Return whether the price is among the charts of *kind* that fit *height* lines."""
    return "price" in _panes_of(kind, height, has_price=True)


def _panes_of(kind: str, height: int, *, has_price: bool) -> tuple[str, ...]:
    if kind == "price" and not has_price:
        kind = "equity"
    if kind in ("equity", "drawdown"):
        return (kind,)
    if kind == "price":
        return ("price",)
    main = ("price", "equity") if has_price and height > _LEAST_FOR_THREE else ("equity",)
    return (*main, "drawdown")


def _pane(name: str, data: ChartData, window: Window, height: int, *, dense: bool) -> Pane:
    if name == "drawdown":
        low, _ = join_bounds([data.drawdown.bounds])
        canvas = Canvas(window.cells, height, (min(low, -0.0001), 0.0))
        canvas.fill_from_top(data.drawdown, window, "down")
        return Pane(name, canvas, "0.00%", format_percent(min(low, 0.0)))
    if name == "price":
        low, high = join_bounds([data.price.bounds])
        canvas = Canvas(window.cells, height, (low, high))
        canvas.draw(data.price, window, "spark")
        if not dense:
            _mark_trades(canvas, data.trades, data.symbol, window)
        title = clip(data.symbol, GUTTER - 2) or name
        return Pane(title, canvas, _label(high), _label(low))
    curves = [data.equity.bounds, data.hold.bounds if data.hold.values else None]
    low, high = join_bounds(curves)
    canvas = Canvas(window.cells, height, (low, high))
    if data.hold.values:
        canvas.draw(data.hold, window, "dim", every=2)
    canvas.draw(data.equity, window, "accent bold")
    return Pane(name, canvas, _label(high), _label(low))


def _label(value: float) -> str:
    if abs(value) >= 1_000_000:
        return format_compact(value)
    if abs(value) >= 1_000:
        return format_decimal(value, 0 if abs(value) >= 100_000 else 1)
    return price_text(value)


def _mark_trades(canvas: Canvas, trades: Sequence[TradeRow], symbol: str, window: Window) -> None:
    """Put a shape at every entry and exit: the side, and whether it brought a gain."""
    for trade in trades:
        if trade.symbol != symbol:
            continue
        way = direction(trade.pnl)
        exit_row = canvas.row_of(trade.exit_price) // 4
        canvas.mark(window.cell_of(trade.exit_ns), exit_row,
                    "✗" if way == "down" else "✓", way)  # fmt: skip
        entry_row = canvas.row_of(trade.entry_price) // 4
        shape = "▲" if trade.side > 0 else "▼"
        canvas.mark(window.cell_of(trade.entry_ns), entry_row, shape, "key")


def density_line(trades: Sequence[TradeRow], window: Window) -> Line:
    """Return how many entries fall into each cell, where single marks would cover all."""
    counts = [0.0] * window.cells
    for trade in trades:
        cell = window.cell_of(trade.entry_ns)
        if 0 <= cell < window.cells:
            counts[cell] += 1
    shown = sparkline([count or None for count in counts], window.cells)
    return ((fit("trades", GUTTER - 2, right=True), "bold"), (" │", "dim"), (shown, "spark"))


def axis_line(window: Window, cursor: int | None) -> Line:
    """Return the time axis: first, middle and last stamp, and the cursor's foot."""
    cells = window.cells
    short = window.to_ns - window.from_ns < 3 * _DAY_NS
    text = [" "] * cells
    for place, at in ((0, 0), (cells // 2, cells // 2), (cells - 1, cells - 1)):
        stamp = format_date_time(window.time_of(at))
        stamp = stamp[5:16] if short else stamp[:10]
        start = min(max(0, place - (len(stamp) // 2 if place else 0)), cells - len(stamp))
        if start >= 0:
            text[start : start + len(stamp)] = stamp
    spans: list[Span] = [(" " * (GUTTER - 2) + " └", "dim")]
    if cursor is None:
        return (*spans, ("".join(text), "dim"))
    before, after = "".join(text[:cursor]), "".join(text[cursor + 1 :])
    foot = "▲" if text[cursor] == " " else text[cursor]  # a stamp stays readable
    return (*spans, (before, "dim"), (foot, "key bold"), (after, "dim"))


def readout(
    data: ChartData, at_ns: int, trade: TradeRow | None, cash: float | None, width: int
) -> Line:
    """Return what holds at the cursor: time, price, equity, drawdown, trade."""
    equity, price = data.equity.value_at(at_ns), data.price.value_at(at_ns)
    fall, hold = data.drawdown.value_at(at_ns), data.hold.value_at(at_ns)
    short = data.to_ns - data.from_ns < 400 * _DAY_NS
    stamp = format_date_time(at_ns)[: 16 if short else 10]
    spans: list[Span] = [(" ▲ ", "key"), (stamp, "bold")]
    if trade is not None:
        gain = format_percent(trade.return_pct)
        word = "LONG" if trade.side > 0 else "SHORT"
        spans += [("  trade ", "dim"), (f"{trade.number + 1:,} {word} ", "bold"),
                  (gain, direction(trade.return_pct, 4))]  # fmt: skip
    if price is not None:
        spans += [(f"  {data.symbol} ", "dim"), (price_text(price), "")]
    if equity is not None:
        spans += [("  equity ", "dim"), (format_decimal(equity, 0), "bold")]
        if cash:
            spans += [(f" {format_percent(equity / cash - 1)}", direction(equity - cash))]
    if fall is not None:
        spans += [("  dd ", "dim"), (format_percent(fall), "")]
    if hold is not None and width >= 100:
        spans += [("  hold ", "dim"), (format_decimal(hold, 0), "")]
    return clip_facts(tuple(spans), width)
