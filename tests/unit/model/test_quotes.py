"""Reference prices of a quote, and the enumerations that the field uses."""

from __future__ import annotations

import pytest

from engine.model.instruments import ConnectorPair
from engine.model.orders import PositionSide
from engine.model.quotes import PriceType, QuoteTick

QUOTE = QuoteTick(ConnectorPair("paper", "BTC-USDT"), 0, 100, 103, 1, 1)


@pytest.mark.parametrize(
    ("price_type", "half_ticks"),
    [
        (PriceType.MidPrice, 203),
        (PriceType.BestBid, 200),
        (PriceType.BestAsk, 206),
        (PriceType.LastTrade, None),
        (PriceType.LastOwnTrade, None),
        (PriceType.InventoryCost, None),
        (PriceType.Custom, None),
    ],
)
def test_a_quote_has_bid_ask_and_mid(price_type: PriceType, half_ticks: int | None) -> None:
    assert QUOTE.half_ticks(price_type) == half_ticks


def test_the_values_are_field_standard() -> None:
    assert [(one.name, one.value) for one in PriceType] == [
        ("MidPrice", 1),
        ("BestBid", 2),
        ("BestAsk", 3),
        ("LastTrade", 4),
        ("LastOwnTrade", 5),
        ("InventoryCost", 6),
        ("Custom", 7),
    ]
    assert [one.value for one in PositionSide] == ["LONG", "SHORT", "BOTH"]
