"""Plays executors on one market and leaves out the quotes that change nothing (FAST-1).

The container, the executors and the broker are those of the event path; they say which prices and
instants they wait for. Compiled code looks along the bars for the first quote that reaches one,
only that one is played, and the one before it, so that everybody sees the market as it was. What
is left out would have moved the mark and nothing else, so both paths leave the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from engine.backtest.bar_quotes import DEPTH_LOTS
from engine.backtest.control import RunControl
from engine.backtest.kernel_layout import WALK_HIGH_FIRST, WALK_LOW_FIRST, WALK_NEARER
from engine.containers.inputs import SessionInput, TimerInput
from engine.containers.session_container import REPORT_INTERVAL_NS, SessionContainer
from engine.execution.bar_settings import PathMode
from engine.markets.mapped_columns import column_like
from engine.model.bar_columns import (
    BLOCK_ROWS,
    INTEGER_COLUMNS,
    MISSING,
    BarColumns,
    IntArray,
    release_pages,
)
from engine.model.clock import SECOND_NS
from engine.model.instruments import Instrument
from engine.model.quotes import BarPoint, QuoteTick
from engine.portfolio.hedged_ledger import HedgedLedger
from engine.portfolio.ledger import MarketLedger

SLICE: Final = 1 << 18
"""Bars between two looks at whether the run is to go on."""
_LARGEST: Final = 2**62
_NEVER: Final = 2**63 - 1
_POINTS: Final = 4
_FIXED: Final = {PathMode.OHLC: WALK_HIGH_FIRST, PathMode.OLHC: WALK_LOW_FIRST}

Give = Callable[[SessionInput], None]
"""Plays one input and keeps what it caused."""


class ScannedPlay:
    """The inputs of one market's bars, of which only those are played that can do anything.

    Args:
        container: takes the inputs; its executors wait for prices and instants.
        bars: of the market, one after the other.
        instrument: the market.
        path: order of the extremes; `pessimistic` asks what the container holds.
        give: plays one input.
        control: is told how far the run is, and may end it.
        count_fills: how many fills there were so far.
    """

    def __init__(
        self,
        *,
        container: SessionContainer,
        bars: BarColumns,
        instrument: Instrument,
        path: PathMode,
        give: Give,
        control: RunControl,
        count_fills: Callable[[], int],
    ) -> None:
        self._container = container
        self._bars = bars
        self._instrument = instrument
        self._path = path
        self._give = give
        self._control = control
        self._count_fills = count_fills
        self._start_ns = int(bars.ts_open[0])
        self._interval_ns = max(SECOND_NS, bars.duration_ns // _POINTS)
        self._timers_per_report = -(-REPORT_INTERVAL_NS // self._interval_ns)
        self._timer = 1
        """Number of the next timer; the first comes one interval after the start."""
        self._quote = self._next_quote(0)
        """Number of the next quote: four times its bar plus its place on the path."""
        self._decided = (-1, WALK_NEARER)
        """The bar whose path was chosen last, and how."""
        self._end = _POINTS * _bars_with_quotes(bars)
        self._last_ns = self._time_of(self._end - 1) if self._end else 0
        self._sampled = 0
        self._equity: IntArray = column_like(bars.close)
        self._released = 0
        """Samples after which pages were let go."""
        self.last_quote: QuoteTick | None = None

    def play(self, begin: Callable[[int], None]) -> None:
        """Play everything, or until the run is cancelled.

        *begin* is called with the time of the first quote when that has been played.
        """
        self._load_kernel()
        if self._quote < self._end:
            self._play_quote(self._quote)
            begin(self._time_of(self._quote - 1))
        while self._quote < self._end and not self._control.is_cancelled:
            stop = min(self._end, self._quote + _POINTS * SLICE)
            quote, timer = self._next_inputs(stop)
            if quote > self._quote:
                self._play_quote(self._quote_before(quote))
            if timer <= self._last_ns and timer < self._time_of(quote):
                self._play_timer(timer)
            elif quote < stop:
                self._play_quote(quote)
            self._report()

    def samples(self, final_atoms: int) -> tuple[IntArray, IntArray]:
        """Return the ends of the bars that were played and the equity there.

        The last of them has *final_atoms*, the equity when everything was closed (PF-15).
        """
        count = min(self._sampled + 1, len(self._bars))
        self._equity[count - 1] = final_atoms
        return self._bars.ts_close[:count], self._equity[:count]

    def _load_kernel(self) -> None:
        from engine.backtest.jit import is_compiled
        from engine.backtest.kernel_quotes import first_waking

        if not is_compiled("kernel_quotes", "first_waking"):
            self._control.begin_compiling()
        self._first_waking = first_waking

    # --- what comes next -----------------------------------------------------------------------

    def _next_inputs(self, stop: int) -> tuple[int, int]:
        """Return the next quote that does anything, before *stop*, and the next such timer's time.

        The earlier of them is to be played.
        """
        container, bars = self._container, self._bars
        due_ns = container.orchestrator.next_wake_ns()
        timer_ns = _NEVER
        if due_ns is not None:
            stop = min(stop, self._first_quote_from(due_ns))
            timer_ns = self._timer_from(due_ns)
        if container.orchestrator.waits_for_report:
            timer_ns = min(timer_ns, self._report_timer_ns())
        if timer_ns != _NEVER:
            stop = min(stop, self._first_quote_from(timer_ns + 1))
        keys = container.quiet_below(self._instrument.market)
        if keys is None:
            return min(stop, self._quote), timer_ns
        if stop <= self._quote:
            return self._quote, timer_ns
        here, later = self._paths()
        spread = bars.spread
        found = self._first_waking(
            bars.open,
            bars.high,
            bars.low,
            bars.close,
            np.zeros(0, dtype=np.int64) if spread is None else spread,
            bars.is_synthetic,
            np.array(keys, dtype=np.int64),
            later,
            self._quote,
            here,
            stop,
        )
        return int(found), timer_ns

    def _paths(self) -> tuple[int, int]:
        """Return how the bar of the next quote is walked, and those after it."""
        if self._path in _FIXED:
            fixed = _FIXED[self._path]
            return fixed, fixed
        if self._path is PathMode.ADAPTIVE:
            return WALK_NEARER, WALK_NEARER
        later = self._feared()
        bar, decided = self._decided
        return (decided if bar == self._quote // _POINTS else later), later

    def _feared(self) -> int:
        """Return the path that the position of now fears, the market's own without one."""
        lots = self._container.portfolio.net_lots(self._instrument.market)
        if lots:
            return WALK_LOW_FIRST if lots > 0 else WALK_HIGH_FIRST
        return WALK_NEARER

    def _time_of(self, quote: int) -> int:
        return quote_ns(self._bars, quote)

    def _next_quote(self, quote: int) -> int:
        """Return *quote*, or the first after it whose bar has quotes."""
        absent = self._bars.is_synthetic
        bar = quote // _POINTS
        if bar >= len(absent) or not absent[bar]:
            return quote
        present = np.flatnonzero(~absent[bar:])
        return _POINTS * (bar + int(present[0]) if len(present) else len(absent))

    def _quote_before(self, quote: int) -> int:
        """Return the last quote before *quote* whose bar has quotes."""
        bar, point = divmod(quote, _POINTS)
        if point:
            return quote - 1
        bar -= 1
        while self._bars.is_synthetic[bar]:
            bar -= 1
        return _POINTS * bar + _POINTS - 1

    def _first_quote_from(self, ts_ns: int) -> int:
        """Return the first quote that is not before *ts_ns*, and none that was played."""
        bar = int(np.searchsorted(self._bars.ts_close, ts_ns, side="right"))
        if bar >= len(self._bars):
            return self._end
        quote = _POINTS * bar
        while quote < _POINTS * bar + _POINTS - 1 and self._time_of(quote) < ts_ns:
            quote += 1
        return max(self._quote, min(self._end, self._next_quote(quote)))

    def _timer_from(self, ts_ns: int) -> int:
        """Return when the first timer comes that is not before *ts_ns* and not over."""
        number = max(self._timer, -(-(ts_ns - self._start_ns) // self._interval_ns))
        return self._start_ns + number * self._interval_ns

    def _report_timer_ns(self) -> int:
        """Return when the next timer comes that brings a report: every so many, from the first."""
        every = self._timers_per_report
        number = self._timer + (1 - self._timer) % every
        return self._start_ns + number * self._interval_ns

    # --- playing -------------------------------------------------------------------------------

    def _play_quote(self, quote: int) -> None:
        bars = self._bars
        bar, point = divmod(quote, _POINTS)
        ts_ns = self._time_of(quote)
        self._pass_timers(ts_ns - 1)
        price, kind = int(bars.open[bar]), BarPoint.OPEN
        if point == _POINTS - 1:
            price, kind = int(bars.close[bar]), BarPoint.CLOSE
        elif point:
            kind = BarPoint.INSIDE
            price = self._extreme(bar, point)
        spread = 0 if bars.spread is None else int(bars.spread[bar])
        spread = 0 if spread == MISSING else spread
        bid = max(1, price - spread // 2)
        market, depth = self._instrument.market, DEPTH_LOTS
        item = QuoteTick(market, ts_ns, bid, bid + spread, depth, depth, bar_point=kind)
        self._sample_until(ts_ns)
        self._give(item)
        self.last_quote = item
        self._quote = self._next_quote(quote + 1)

    def _extreme(self, bar: int, point: int) -> int:
        """Return the first or second extreme of *bar*; its path is chosen when it is first asked.

        A position of the time after the bar's open decides, whether its first extreme is played
        or left out: in between nothing is filled.
        """
        bars = self._bars
        if self._decided[0] != bar:
            self._decided = (bar, self._paths()[1])
        high, low, opening = int(bars.high[bar]), int(bars.low[bar]), int(bars.open[bar])
        how = self._decided[1]
        high_first = how == WALK_HIGH_FIRST
        if how == WALK_NEARER:
            high_first = high - opening < opening - low
        return high if high_first == (point == 1) else low

    def _play_timer(self, ts_ns: int) -> None:
        self._sample_until(ts_ns)
        self._pass_timers(ts_ns - 1)
        self._container.expect_report_at(self._report_timer_ns())
        self._timer += 1
        self._give(TimerInput(ts_ns))

    def _pass_timers(self, ts_ns: int) -> None:
        """Count the timers up to *ts_ns*, none of which does anything."""
        self._timer = max(self._timer, (ts_ns - self._start_ns) // self._interval_ns + 1)

    # --- samples -------------------------------------------------------------------------------

    def _sample_until(self, ts_ns: int) -> None:
        """Note the equity of the bars that end by *ts_ns*: what is held is what was held then."""
        bars, first = self._bars, self._sampled
        ends = bars.ts_close
        if first >= len(ends) or ends[first] > ts_ns:
            return
        stop = first + int(np.searchsorted(ends[first:], ts_ns, side="right"))
        portfolio = self._container.portfolio
        ledger = portfolio.ledgers[self._instrument.market]
        for start in range(first, stop, BLOCK_ROWS):
            end = min(stop, start + BLOCK_ROWS)
            if ledger.net_lots and ledger.mark_twice:
                self._equity[start:end] = self._marked(ledger, portfolio.equity_twice, start, end)
            else:
                self._equity[start:end] = portfolio.equity_atoms
            self._sampled = end
            self._release()

    def _release(self) -> None:
        """Let go of pages of bars in files, after each block of them."""
        if self._sampled < self._released + BLOCK_ROWS:
            return
        self._released = self._sampled
        bars = self._bars
        release_pages(self._equity, *(getattr(bars, name) for name in INTEGER_COLUMNS))

    def _marked(
        self, ledger: MarketLedger | HedgedLedger, equity_twice: int, first: int, stop: int
    ) -> IntArray:
        """Return the equity at the closes of the bars from *first* to *stop*."""
        marks = self._marks_twice(first, stop)
        value = ledger.net_lots * ledger.scale
        base = equity_twice - value * ledger.mark_twice
        worth = abs(value) * (int(marks.max()) + 1) + abs(base)
        if worth < _LARGEST:
            twice: IntArray = base + value * marks
            return twice // 2
        exact = [(base + value * mark) // 2 for mark in marks.tolist()]
        return np.array(exact, dtype=np.int64)

    def _marks_twice(self, first: int, stop: int) -> IntArray:
        """Return bid plus ask at the closes of the bars; bars without quotes keep the last."""
        bars = self._bars
        rows = np.arange(first, stop)
        if bars.is_synthetic[first:stop].any():
            present = np.where(bars.is_synthetic[first:stop], -1, rows)
            rows = np.maximum.accumulate(present)
            if rows[0] < 0:
                before = np.flatnonzero(~bars.is_synthetic[:first])
                rows[rows < 0] = before[-1] if len(before) else 0
        closes = bars.close[rows]
        spread = np.zeros(len(rows), dtype=np.int64)
        if bars.spread is not None:
            spread = bars.spread[rows]
            spread = np.where(spread == MISSING, 0, spread)
        marks: IntArray = 2 * np.maximum(1, closes - spread // 2) + spread
        return marks

    def _report(self) -> None:
        self._control.report(
            bars_done=self._sampled,
            bars_total=len(self._bars),
            now_ns=self._container.clock.now_ns(),
            equity_atoms=self._container.portfolio.equity_atoms,
            fills=self._count_fills(),
            events=self._container.events_published,
        )


def _bars_with_quotes(bars: BarColumns) -> int:
    """Return the number of the last bar that has quotes, from 1; 0 without one."""
    for stop in range(len(bars), 0, -BLOCK_ROWS):
        start = max(0, stop - BLOCK_ROWS)
        present = np.flatnonzero(~bars.is_synthetic[start:stop])
        if len(present):
            return start + int(present[-1]) + 1
    return 0


def quote_ns(bars: BarColumns, quote: int) -> int:
    """Return the time of *quote*: 0, 1/3 and 2/3 of its bar, and just before its end."""
    bar, point = divmod(quote, _POINTS)
    if bar >= len(bars):
        return _NEVER
    opens_ns, closes_ns = int(bars.ts_open[bar]), int(bars.ts_close[bar])
    if point == _POINTS - 1:
        return closes_ns - 1
    return opens_ns + point * (closes_ns - opens_ns) // 3
