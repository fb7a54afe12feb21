"""The quotes and funding of several markets and the timer, merged in the order of their time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from engine.markets.funding import FundingSchedule
from engine.markets.source import MarketSource
from engine.model.clock import SECOND_NS
from engine.model.funding import FundingRate
from engine.model.instruments import ConnectorPair
from engine.model.quotes import QuoteTick


@dataclass(frozen=True, slots=True)
class TimerTick:
    """The session's time reached a whole interval after its start."""

    ts_ns: int


FeedItem: TypeAlias = QuoteTick | FundingRate | TimerTick

_Head: TypeAlias = tuple[int, int, QuoteTick, Iterator[QuoteTick]]
_NEVER: Final = 2**63 - 1


class MergedFeed:
    """Iterator over the inputs of a session, lazy: one quote of each source is held.

    Quotes of one instant come in the order in which their sources are declared, then funding, the
    timer last. Funding falls due only between the first quote and the last.
    The feed ends with its last source, or after *end_ns*; an item costs O(log sources).

    Args:
        sources: the markets, in the order of the configuration.
        start_ns: session time at which the markets open.
        timer_interval_ns: distance of the timer's ticks; the first comes one interval after start.
        end_ns: the last instant that may be given; None for no limit.
        funding: when perpetuals pay funding, and how much.
        funded_ns: by market, the last payment that was charged already. Later ones that were due
            before the start come first, at the start, with the time at which they were due.

    Raises:
        ValueError: *timer_interval_ns* is not above zero.
    """

    def __init__(
        self,
        sources: Sequence[MarketSource],
        *,
        start_ns: int,
        timer_interval_ns: int = SECOND_NS,
        end_ns: int | None = None,
        funding: Sequence[FundingSchedule] = (),
        funded_ns: Mapping[ConnectorPair, int] | None = None,
    ) -> None:
        if timer_interval_ns <= 0:
            raise ValueError(f"timer interval {timer_interval_ns} ns must be above 0")
        self._interval_ns = timer_interval_ns
        self._timer_ns = start_ns + timer_interval_ns
        self._start_ns = start_ns
        known = funded_ns or {}
        self._funding = [
            (one.next_ns(known.get(one.market, start_ns)), number, one)
            for number, one in enumerate(funding)
        ]
        heapq.heapify(self._funding)
        self._funding_ns = self._funding[0][0] if self._funding else _NEVER
        self._end_ns = _NEVER if end_ns is None else end_ns
        self._bound_ns = start_ns + 1
        """With no quote left: the instant before which timer ticks are still due."""
        self._heads: list[_Head] = []
        for order, source in enumerate(sources):
            quotes = source.ticks(start_ns)
            first = next(quotes, None)
            if first is not None:
                self._heads.append((first.ts_ns, order, first, quotes))
        heapq.heapify(self._heads)
        self._cut()

    def __iter__(self) -> Iterator[FeedItem]:
        return self

    def __next__(self) -> FeedItem:
        heads = self._heads
        timer_ns = self._timer_ns
        due_ns = heads[0][0] if heads else self._bound_ns
        if self._funding_ns < due_ns and self._funding_ns <= timer_ns:
            return self._next_funding()
        if timer_ns < due_ns:
            self._timer_ns = timer_ns + self._interval_ns
            return TimerTick(timer_ns)
        if not heads:
            raise StopIteration
        ts_ns, order, quote, quotes = heads[0]
        following = next(quotes, None)
        if following is not None:
            heapq.heapreplace(heads, (following.ts_ns, order, following, quotes))
        else:
            heapq.heappop(heads)
            self._bound_ns = ts_ns + 1
        if heads and heads[0][0] > self._end_ns:
            self._cut()
        return quote

    def peek_ns(self) -> int | None:
        """Return the time of the next item, None at the end."""
        heads = self._heads
        due_ns = heads[0][0] if heads else self._bound_ns
        aside_ns = min(self._timer_ns, self._funding_ns)
        if aside_ns < due_ns:
            return aside_ns
        return due_ns if heads else None

    def _next_funding(self) -> FundingRate:
        ts_ns, number, schedule = self._funding[0]
        heapq.heapreplace(self._funding, (schedule.next_ns(ts_ns), number, schedule))
        self._funding_ns = self._funding[0][0]
        if ts_ns < self._start_ns:
            return FundingRate(schedule.market, self._start_ns, schedule.rate_ppb, due_ns=ts_ns)
        return FundingRate(schedule.market, ts_ns, schedule.rate_ppb)

    def _cut(self) -> None:
        """Let go of what comes after the end."""
        if self._heads and self._heads[0][0] > self._end_ns:
            self._heads.clear()
            self._bound_ns = self._end_ns + 1
