"""What the container knows of the markets: newest quotes, trends, bars made of quotes."""

from __future__ import annotations

import pytest

from engine.containers.data_handler import BARS_KEPT, TREND_LENGTH, DataHandler
from engine.model.clock import SECOND_NS
from engine.testing.small_session import MARKET, OTHER, SPOT, START_NS, instrument_of, quote_at


@pytest.fixture
def handler() -> DataHandler:
    instruments = {market: instrument_of(market) for market in (MARKET, OTHER)}
    return DataHandler(instruments=instruments, bar_ns=60 * SECOND_NS)


def test_nothing_is_known_before_the_first_quote(handler: DataHandler) -> None:
    assert handler.markets == (MARKET, OTHER)
    assert handler.quote(MARKET) is None
    assert handler.quote(SPOT) is None
    assert handler.first_mid_twice(MARKET) == 0
    assert handler.trend(MARKET) == ()
    assert handler.history(MARKET, 5) == ()


def test_the_newest_quote_and_the_first_mid_are_kept(handler: DataHandler) -> None:
    handler.on_quote(quote_at(0, "10.00", "10.02"))
    newest = quote_at(0.5, "10.10", "10.13")
    handler.on_quote(newest)
    assert handler.quote(MARKET) == newest
    assert handler.first_mid_twice(MARKET) == 2002
    assert handler.quote(OTHER) is None


def test_a_market_that_is_not_traded_is_refused(handler: DataHandler) -> None:
    with pytest.raises(KeyError):
        handler.on_quote(quote_at(0, "1.00", "1.01", SPOT))
    with pytest.raises(KeyError):
        handler.instrument(SPOT)


def test_a_bar_is_complete_with_the_first_quote_of_the_next(handler: DataHandler) -> None:
    for second, bid in ((0, "10.00"), (20, "10.40"), (40, "9.50"), (59, "10.20")):
        assert handler.on_quote(quote_at(second, bid, bid)) is None
    bar = handler.on_quote(quote_at(61, "11.00", "11.00"))
    assert bar is not None
    assert (bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks) == (
        1000,
        1040,
        950,
        1020,
    )
    assert (bar.ts_open_ns, bar.ts_close_ns) == (START_NS, START_NS + 60 * SECOND_NS)
    assert bar.volume_lots == -1


def test_complete_bars_are_history_and_the_open_one_is_not(handler: DataHandler) -> None:
    bars = [handler.on_quote(quote_at(60 * n, f"{10 + n}.00", f"{10 + n}.00")) for n in range(4)]
    complete = tuple(bar for bar in bars if bar is not None)
    assert len(complete) == 3
    assert handler.history(MARKET, 10) == complete
    assert handler.history(MARKET, 2) == complete[1:]
    assert handler.history(MARKET, 0) == ()
    assert handler.history(OTHER, 10) == ()


def test_an_interval_without_quotes_has_no_bar(handler: DataHandler) -> None:
    handler.on_quote(quote_at(0, "10.00", "10.00"))
    handler.on_quote(quote_at(600, "11.00", "11.00"))
    handler.on_quote(quote_at(660, "12.00", "12.00"))
    opens = [bar.ts_open_ns for bar in handler.history(MARKET, 10)]
    assert opens == [START_NS, START_NS + 600 * SECOND_NS]


def test_the_trend_has_at_most_one_mid_per_second(handler: DataHandler) -> None:
    for second in (0, 0.4, 0.9, 1.0, 1.5, 3.7):
        handler.on_quote(quote_at(second, "10.00", "10.02"))
    stamps = [ts_ns - START_NS for ts_ns, _ in handler.trend(MARKET)]
    assert stamps == [0, SECOND_NS, 3_700_000_000]


def test_trend_and_history_are_bounded() -> None:
    handler = DataHandler(instruments={MARKET: instrument_of(MARKET)}, bar_ns=SECOND_NS)
    for second in range(BARS_KEPT + 3):
        handler.on_quote(quote_at(second, "10.00", "10.00"))
    assert len(handler.trend(MARKET)) == TREND_LENGTH
    assert len(handler.history(MARKET, 10**6)) == BARS_KEPT
