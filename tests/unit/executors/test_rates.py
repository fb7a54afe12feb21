"""Rates between assets, and what executors do without one."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from engine.executors.rates import MarketRates, unwrapped
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick
from engine.testing.executor_bench import bench_instrument


def market(pair: str) -> Instrument:
    return bench_instrument(market=ConnectorPair("paper", pair))


EUR_USDT = market("EUR-USDT")
BNB_BTC = market("BNB-BTC")
BTC_USDT = market("BTC-USDT")


def rates(*quoted: tuple[Instrument, int, int], parity: tuple[str, ...] = ()) -> MarketRates:
    quotes = {item.market: QuoteTick(item.market, 0, bid, ask, 1, 1) for item, bid, ask in quoted}
    return MarketRates(
        instruments=(EUR_USDT, BNB_BTC, BTC_USDT),
        quote_of=quotes.get,
        parity=parity,
        fixed={("GBP", "EUR"): Decimal("1.25")},
    )


@pytest.mark.parametrize(
    ("source", "target", "rate"),
    [
        ("USDT", "USDT", "1"),
        ("WETH", "ETH", "1"),
        ("USDC.E", "usdc", "1"),
        ("EUR", "USDT", "1.1"),
        ("USDT", "EUR", Fraction(10, 11)),
        ("GBP", "EUR", "1.25"),
        ("EUR", "GBP", "0.8"),
        ("GBP", "USDT", "1.375"),
        ("BNB", "USDT", "4"),
        ("WBNB", "USDT", "4"),
        ("USDT", "USD", "1"),
        ("EUR", "USD", "1.1"),
    ],
)
def test_a_rate_is_fixed_or_a_mid_or_parity_or_over_one_asset(
    source: str, target: str, rate: str | Fraction
) -> None:
    known = rates((EUR_USDT, 10, 12), (BNB_BTC, 1, 1), (BTC_USDT, 390, 410), parity=("USDT", "USD"))
    assert known.rate(source, target) == Fraction(rate)


@pytest.mark.parametrize(
    ("source", "target"), [("EUR", "USDT"), ("USDT", "EUR"), ("DOGE", "USDT"), ("GBP", "USDT")]
)
def test_without_a_quote_there_is_no_rate(source: str, target: str) -> None:
    assert rates(parity=("USDT", "EUR")).rate(source, target) is None
    assert rates((EUR_USDT, 0, 12)).rate(source, target) is None


def test_what_wrapped_tokens_stand_for() -> None:
    assert [unwrapped(name) for name in ("wbtc", "WAVAX", "BTC")] == ["BTC", "AVAX", "BTC"]
