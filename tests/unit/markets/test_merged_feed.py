from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice

import pytest

from engine.markets.funding import FundingSchedule
from engine.markets.merged_feed import FeedItem, MergedFeed, TimerTick
from engine.model.clock import SECOND_NS
from engine.model.funding import FundingRate
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick


class ScriptedSource:
    """Quotes at given instants after the start; counts how many were taken."""

    def __init__(self, name: str, offsets_ns: tuple[int, ...], *, is_endless: bool = False) -> None:
        self.market = ConnectorPair("paper", f"{name}-X")
        self.instrument = Instrument(self.market, Decimal(1), Decimal(1))
        self._offsets_ns = offsets_ns
        self._is_endless = is_endless
        self.taken = 0

    def ticks(self, start_ns: int) -> Iterator[QuoteTick]:
        for offset_ns in self._offsets_ns:
            self.taken += 1
            yield QuoteTick(self.market, start_ns + offset_ns, 1, 2, 1, 1)
        while self._is_endless:
            self.taken += 1
            yield QuoteTick(self.market, start_ns + self.taken * SECOND_NS, 1, 2, 1, 1)


def _name(item: FeedItem) -> str:
    match item:
        case TimerTick():
            return "timer"
        case FundingRate():
            return f"{item.market.base} {item.rate_ppb}"
        case QuoteTick():
            return item.market.base


def shape(items: Iterator[FeedItem] | MergedFeed, start_ns: int = 0) -> list[tuple[str, int]]:
    return [(_name(item), item.ts_ns - start_ns) for item in items]


def test_quotes_and_timer_come_in_the_order_of_time() -> None:
    feed = MergedFeed(
        [ScriptedSource("A", (0, 7, 25)), ScriptedSource("B", (3, 12))],
        start_ns=1000,
        timer_interval_ns=10,
    )
    assert shape(feed, 1000) == [
        ("A", 0),
        ("B", 3),
        ("A", 7),
        ("timer", 10),
        ("B", 12),
        ("timer", 20),
        ("A", 25),
    ]


def test_at_one_instant_declaration_order_counts_and_the_timer_is_last() -> None:
    feed = MergedFeed(
        [ScriptedSource("B", (5, 10)), ScriptedSource("A", (5, 10))],
        start_ns=0,
        timer_interval_ns=5,
    )
    assert shape(feed) == [
        ("B", 5),
        ("A", 5),
        ("timer", 5),
        ("B", 10),
        ("A", 10),
        ("timer", 10),
    ]


def test_the_timer_ticks_each_second_by_default() -> None:
    feed = MergedFeed([ScriptedSource("A", (0, 3 * SECOND_NS))], start_ns=0)
    assert shape(feed)[1:3] == [("timer", SECOND_NS), ("timer", 2 * SECOND_NS)]


def test_peek_tells_the_time_of_the_next_item_and_takes_nothing() -> None:
    feed = MergedFeed([ScriptedSource("A", (0, 7))], start_ns=0, timer_interval_ns=5)
    seen = []
    while (due := feed.peek_ns()) is not None:
        assert feed.peek_ns() == due
        assert next(feed).ts_ns == due
        seen.append(due)
    assert seen == [0, 5, 7]
    with pytest.raises(StopIteration):
        next(feed)


def test_the_end_is_inclusive_and_the_timer_reaches_it() -> None:
    feed = MergedFeed(
        [ScriptedSource("A", (0, 20, 21, 40))], start_ns=0, timer_interval_ns=10, end_ns=20
    )
    assert shape(feed) == [("A", 0), ("timer", 10), ("A", 20), ("timer", 20)]


def test_the_timer_fills_the_time_to_the_end_when_the_next_quote_lies_beyond() -> None:
    feed = MergedFeed([ScriptedSource("A", (0, 100))], start_ns=0, timer_interval_ns=10, end_ns=25)
    assert shape(feed) == [("A", 0), ("timer", 10), ("timer", 20)]


def test_a_feed_whose_quotes_all_lie_beyond_the_end_has_only_its_timer() -> None:
    feed = MergedFeed([ScriptedSource("A", (50,))], start_ns=0, timer_interval_ns=10, end_ns=15)
    assert shape(feed) == [("timer", 10)]


def test_a_feed_ends_with_its_last_source() -> None:
    feed = MergedFeed(
        [ScriptedSource("A", ()), ScriptedSource("B", (0, 12))], start_ns=0, timer_interval_ns=10
    )
    assert shape(feed) == [("B", 0), ("timer", 10), ("B", 12)]


def test_a_feed_without_sources_is_empty() -> None:
    feed = MergedFeed([], start_ns=5)
    assert feed.peek_ns() is None
    assert list(feed) == []


def test_only_one_quote_of_each_source_is_taken_ahead() -> None:
    source = ScriptedSource("A", (), is_endless=True)
    feed = MergedFeed([source], start_ns=0)
    assert source.taken == 1
    list(islice(feed, 10))
    assert source.taken <= 11


@pytest.mark.parametrize("interval_ns", [0, -1])
def test_a_timer_needs_an_interval(interval_ns: int) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        MergedFeed([], start_ns=0, timer_interval_ns=interval_ns)


def test_funding_comes_behind_the_quotes_and_before_the_timer_of_its_instant() -> None:
    source = ScriptedSource("A", (0, 10, 12, 35))
    funding = [
        FundingSchedule(source.market, 7, interval_ns=10),
        FundingSchedule(source.market, -3, interval_ns=15),
    ]
    feed = MergedFeed([source], start_ns=0, timer_interval_ns=10, funding=funding)
    assert feed.peek_ns() == 0
    assert shape(feed) == [
        ("A", 0),
        ("A", 10),
        ("A 7", 10),
        ("timer", 10),
        ("A", 12),
        ("A -3", 15),
        ("A 7", 20),
        ("timer", 20),
        ("A 7", 30),
        ("A -3", 30),
        ("timer", 30),
        ("A", 35),
    ]


def test_funding_does_not_keep_a_feed_alive() -> None:
    source = ScriptedSource("A", (0, 3))
    funding = [FundingSchedule(source.market, 7, interval_ns=2)]
    feed = MergedFeed([source], start_ns=0, timer_interval_ns=5, funding=funding)
    assert shape(feed) == [("A", 0), ("A 7", 2), ("A", 3)]
    assert feed.peek_ns() is None


def test_funding_that_was_due_before_the_start_comes_first_and_once() -> None:
    source = ScriptedSource("A", (0, 7))
    funding = [FundingSchedule(source.market, 7, interval_ns=10)]
    feed = MergedFeed(
        [source],
        start_ns=45,
        timer_interval_ns=100,
        funding=funding,
        funded_ns={source.market: 20},
    )
    assert feed.peek_ns() == 30
    late = [item for item in feed if isinstance(item, FundingRate)]
    assert late == [
        FundingRate(source.market, 45, 7, due_ns=30),
        FundingRate(source.market, 45, 7, due_ns=40),
        FundingRate(source.market, 50, 7),
    ]
    assert [one.was_due_ns for one in late] == [30, 40, 50]
