"""The wake index: what fires, and what it costs."""

from __future__ import annotations

import pytest

from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.executors.wake_index import WakeIndex
from engine.model.instruments import ConnectorPair
from engine.model.quotes import QuoteTick

MARKET = ConnectorPair("paper", "BTC-USDT")
OTHER = ConnectorPair("paper", "ETH-USDT")


def quote(bid: int, ask: int, market: ConnectorPair = MARKET) -> QuoteTick:
    return QuoteTick(market, 0, bid, ask, 1, 1)


def price(field: PriceField, level: int, *, above: bool) -> WakeConditions:
    return WakeConditions((PriceTrigger(MARKET, field, is_above=above, level=level),))


@pytest.mark.parametrize(
    ("field", "above", "level", "misses", "hits"),
    [
        (PriceField.BID, True, 100, (99, 200), (100, 200)),
        (PriceField.BID, False, 100, (101, 102), (100, 102)),
        (PriceField.ASK, True, 100, (1, 99), (1, 100)),
        (PriceField.ASK, False, 100, (1, 101), (1, 100)),
        (PriceField.MID, True, 201, (100, 100), (100, 101)),
        (PriceField.MID, False, 201, (101, 101), (100, 101)),
    ],
)
def test_each_kind_of_trigger_is_inclusive(
    field: PriceField, above: bool, level: int, misses: tuple[int, int], hits: tuple[int, int]
) -> None:
    index = WakeIndex()
    index.update("a", price(field, level, above=above))
    assert index.fire_quote(quote(*misses)) == []
    assert index.fire_quote(quote(*hits, market=OTHER)) == []
    assert index.fire_quote(quote(*hits)) == ["a"]
    assert index.fire_quote(quote(*hits)) == []


def test_an_owner_fires_once_even_if_both_sides_are_met() -> None:
    index = WakeIndex()
    index.update(
        "a",
        WakeConditions(
            (
                PriceTrigger(MARKET, PriceField.BID, is_above=True, level=1),
                PriceTrigger(MARKET, PriceField.ASK, is_above=False, level=9),
            )
        ),
    )
    assert index.fire_quote(quote(5, 6)) == ["a"]


def test_of_two_levels_of_one_kind_the_nearer_counts() -> None:
    index = WakeIndex()
    index.update(
        "a",
        WakeConditions(
            (
                PriceTrigger(MARKET, PriceField.BID, is_above=False, level=90),
                PriceTrigger(MARKET, PriceField.BID, is_above=False, level=95),
            )
        ),
    )
    assert index.fire_quote(quote(95, 96)) == ["a"]


def test_new_conditions_replace_the_old_ones() -> None:
    index = WakeIndex()
    index.update("a", price(PriceField.BID, 100, above=True))
    index.update("a", price(PriceField.BID, 120, above=True))
    assert index.fire_quote(quote(110, 111)) == []
    index.update("a", WakeConditions(at_ns=5))
    assert index.fire_quote(quote(130, 131)) == []
    assert index.fire_time(5) == ["a"]


def test_times_fire_in_order_and_can_be_withdrawn() -> None:
    index = WakeIndex()
    assert index.next_time_ns() is None
    for name, at_ns in (("late", 30), ("early", 10), ("gone", 5), ("same", 10)):
        index.update(name, WakeConditions(at_ns=at_ns))
    index.remove("gone")
    index.remove("never there")
    assert index.next_time_ns() == 10
    assert index.fire_time(9) == []
    assert index.fire_time(29) == ["early", "same"]
    assert index.next_time_ns() == 30
    assert len(index) == 3


def test_what_fired_and_comes_back_waits_again() -> None:
    index = WakeIndex()
    conditions = price(PriceField.BID, 100, above=True)
    for _ in range(2):
        index.update("a", conditions)
        assert index.fire_quote(quote(100, 101)) == ["a"]


class CountedLevel(int):
    """A level that counts how often it is compared."""

    comparisons = 0

    def __lt__(self, other: int) -> bool:
        CountedLevel.comparisons += 1
        return super().__lt__(other)

    def __le__(self, other: int) -> bool:
        CountedLevel.comparisons += 1
        return super().__le__(other)

    def __eq__(self, other: object) -> bool:
        CountedLevel.comparisons += 1
        return super().__eq__(other)

    __hash__ = int.__hash__


def comparisons_of_idle_ticks(owners: int) -> int:
    index = WakeIndex()
    for number in range(owners):
        index.update(f"e{number}", price(PriceField.BID, CountedLevel(1_000 + number), above=True))
    CountedLevel.comparisons = 0
    for _ in range(100):
        assert index.fire_quote(quote(500, 501)) == []
    return CountedLevel.comparisons


def test_an_idle_tick_compares_one_level_whatever_waits() -> None:
    assert comparisons_of_idle_ticks(10) == 100
    assert comparisons_of_idle_ticks(5_000) == 100


def test_withdrawn_entries_do_not_pile_up() -> None:
    index = WakeIndex()
    index.update("other", price(PriceField.BID, 10**9, above=True))
    for level in range(10_000):
        index.update("a", price(PriceField.BID, 10**6 + level, above=True))
    assert len(index._markets[MARKET][1]._heap) < 200


def test_the_least_keys_bound_what_a_quote_can_wake() -> None:
    index = WakeIndex()
    never = float("inf")
    assert index.least_keys(MARKET) == (never,) * 6
    index.update("a", price(PriceField.BID, 90, above=False))
    index.update("b", price(PriceField.ASK, 110, above=True))
    index.update("c", price(PriceField.ASK, 105, above=True))
    assert index.least_keys(MARKET) == (-90, never, never, 105, never, never)
    assert index.least_keys(OTHER) == (never,) * 6
    assert index.fire_quote(quote(100, 107)) == ["c"]
    assert index.least_keys(MARKET) == (-90, never, never, 110, never, never)
