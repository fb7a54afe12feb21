"""Rates between assets: what one unit of an asset is in another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Final

from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick

_WRAPPED: Final = {
    "WETH": "ETH",
    "WBTC": "BTC",
    "WBNB": "BNB",
    "WAVAX": "AVAX",
    "WMATIC": "MATIC",
    "WSOL": "SOL",
    "USDC.E": "USDC",
}
"""Tokens that stand for another one, one to one."""


def unwrapped(asset: str) -> str:
    """Return the asset that *asset* stands for, one to one; most stand for themselves."""
    name = asset.upper()
    return _WRAPPED.get(name, name)


class MarketRates:
    """The rates that a session knows: fixed ones, those of its own markets, parity.

    A rate is asked for in this order: the same asset (wrapped tokens count as what they stand
    for), a fixed rate, the mid of a market that trades one for the other, parity; then the same
    over one asset in between. A market without a valid quote gives no rate: better none than an
    invented one.

    Args:
        instruments: markets whose mids are rates.
        quote_of: returns the newest quote of a market.
        parity: assets that count 1:1 with each other.
        fixed: how many of the second asset one of the first is.
    """

    def __init__(
        self,
        *,
        instruments: Iterable[Instrument],
        quote_of: Callable[[ConnectorPair], QuoteTick | None],
        parity: Collection[str] = (),
        fixed: Mapping[tuple[str, str], Decimal] | None = None,
    ) -> None:
        self._quote_of = quote_of
        self._parity = frozenset(map(unwrapped, parity))
        self._fixed = {
            (unwrapped(source), unwrapped(target)): Fraction(rate)
            for (source, target), rate in (fixed or {}).items()
        }
        self._markets: dict[tuple[str, str], Instrument] = {}
        for item in instruments:
            pair = unwrapped(item.market.base), unwrapped(item.market.quote)
            self._markets.setdefault(pair, item)
        pairs = (*self._markets, *self._fixed)
        self._assets = tuple(dict.fromkeys(name for pair in pairs for name in pair))

    def rate(self, source: str, target: str) -> Fraction | None:
        """Return how many *target* one *source* is; None while it is unknown."""
        source, target = unwrapped(source), unwrapped(target)
        direct = self._direct(source, target)
        if direct is not None or self._is_traded(source, target):
            return direct
        for between in self._assets:
            first, second = self._direct(source, between), self._direct(between, target)
            if first is not None and second is not None:
                return first * second
        return None

    def _is_traded(self, source: str, target: str) -> bool:
        return (source, target) in self._markets or (target, source) in self._markets

    def _direct(self, source: str, target: str) -> Fraction | None:
        if source == target:
            return Fraction(1)
        if (source, target) in self._fixed:
            return self._fixed[source, target]
        if (target, source) in self._fixed:
            return 1 / self._fixed[target, source]
        if (source, target) in self._markets:
            return self._mid(self._markets[source, target])
        if (target, source) in self._markets:
            mid = self._mid(self._markets[target, source])
            return None if mid is None else 1 / mid
        return Fraction(1) if {source, target} <= self._parity else None

    def _mid(self, instrument: Instrument) -> Fraction | None:
        quote = self._quote_of(instrument.market)
        if quote is None or quote.bid_ticks <= 0 or quote.ask_ticks <= 0:
            return None
        return Fraction(instrument.tick) * (quote.bid_ticks + quote.ask_ticks) / 2
