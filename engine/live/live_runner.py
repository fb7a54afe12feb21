"""Feeds a live trading manager with quotes until the feed, the time or somebody ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from engine.live.live_trading_manager import LiveTradingManager
from engine.live.pace import Pace
from engine.markets.merged_feed import MergedFeed
from engine.model.clock import SECOND_NS, SimulatedClock
from engine.model.quotes import QuoteTick

STOP_GRACE_NS: Final = 12 * SECOND_NS
"""How long strategies that stop may wait for the ends of their orders, in the session's time."""


class LiveRunner:
    """The loop of one account: takes what is due, hands it to the manager, waits for the next.

    ``stop`` may be called from a signal handler or another thread; the rest belongs to the
    thread that calls ``run``.

    Args:
        manager: the strategies; its time is *clock*.
        feed: quotes and the timer in the order of their time.
        pace: maps wall time to the session's.
        clock: the session's time, moved by this loop.
        end_ns: session time at which it ends; None: when the feed does.
        on_second: called with the session's time once per session second.
        on_input: called with each quote, or with the time of the timer, before it is handled.
    """

    def __init__(
        self,
        *,
        manager: LiveTradingManager,
        feed: MergedFeed,
        pace: Pace,
        clock: SimulatedClock,
        end_ns: int | None = None,
        on_second: Callable[[int], None] | None = None,
        on_input: Callable[[QuoteTick | int], None] | None = None,
    ) -> None:
        self._manager = manager
        self._feed = feed
        self._pace = pace
        self._clock = clock
        self._end_ns = end_ns
        self._on_second = on_second
        self._on_input = on_input
        self._stop = threading.Event()
        self.quotes = 0
        self.reason = ""

    def stop(self, reason: str) -> None:
        """Let the loop end after the present item."""
        self.reason = self.reason or reason
        self._stop.set()

    def run(self) -> None:
        """Run until the end."""
        second = -1
        while not self._stop.is_set():
            due_ns = self._feed.peek_ns()
            if due_ns is None:
                self.stop("the market data have ended")
                return
            if self._end_ns is not None and due_ns > self._end_ns:
                due_ns = self._end_ns
                self._wait_until(due_ns)
                if not self._stop.is_set():
                    self._take(due_ns)
                    self.stop("the session's time is over")
                return
            self._wait_until(due_ns)
            if self._stop.is_set():
                return
            item = next(self._feed)
            self._take(item if isinstance(item, QuoteTick) else item.ts_ns)
            if self._on_second is not None and item.ts_ns // SECOND_NS != second:
                second = item.ts_ns // SECOND_NS
                self._on_second(item.ts_ns)

    def _take(self, item: QuoteTick | int) -> None:
        """Hand a quote, or the timer's time, to the manager."""
        if self._on_input is not None:
            self._on_input(item)
        if isinstance(item, QuoteTick):
            self._clock.advance_to(item.ts_ns)
            self.quotes += 1
            self._manager.on_quote(item)
        else:
            self._clock.advance_to(item)
        self._manager.work()

    def wind_down(self) -> None:
        """Let strategies that are stopping come to their ends, quote by quote."""
        deadline = self._clock.now_ns() + STOP_GRACE_NS
        while self._manager.strategies and self._clock.now_ns() < deadline:
            item = next(self._feed, None)
            if item is None:
                return
            self._clock.advance_to(item.ts_ns)
            if isinstance(item, QuoteTick):
                self._manager.on_quote(item)
            self._manager.work()

    def _wait_until(self, due_ns: int) -> None:
        seconds = self._pace.seconds_until(due_ns)
        if seconds > 0:
            self._stop.wait(seconds)
