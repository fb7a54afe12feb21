"""Value at risk of a session's positions (`max_portfolio_risk`, RISK-3)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from math import fsum, sqrt
from typing import Final, Protocol

from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import Bar, QuoteTick
from engine.risk.facts import AccountFacts

QUANTILE_95: Final = 1.6448536
"""Normal quantile of the 95 % value at risk."""
RISK_RETURNS: Final = 60
LEAST_RETURNS: Final = 20


class BarFacts(Protocol):
    """The markets with their bars."""

    @property
    def markets(self) -> tuple[ConnectorPair, ...]:
        """All markets of the session."""
        ...

    def instrument(self, market: ConnectorPair) -> Instrument:
        """Return the instrument of *market*."""
        ...

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return the newest quote, None before the first."""
        ...

    def history(self, market: ConnectorPair, n: int) -> Sequence[Bar]:
        """Return at most the last *n* complete bars, oldest first."""
        ...


class ValueAtRisk:
    """One-bar parametric value at risk as a fraction of the equity.

    1.6448536 * sqrt(w' S w): w are the signed values / equity, S is the sample covariance of the
    last 60 simple bar returns. With fewer than 20 returns it is gross value / equity *
    ``default_vol``.

    Args:
        bars: markets, quotes and bars.
        account: equity and positions.
        default_vol: volatility of a bar while too few are known.
    """

    def __init__(self, *, bars: BarFacts, account: AccountFacts, default_vol: Decimal) -> None:
        self._bars = bars
        self._account = account
        self._default_vol = float(default_vol)

    def most_lots(
        self, market: ConnectorPair, *, sign: int, held: int, lots: int, ticks: int, limit: Decimal
    ) -> int:
        """Return how many of *lots* may be ordered, found by bisection.

        Args:
            market: what is traded.
            sign: +1 for a buy, -1 for a sell.
            held: signed lots that are held and work on the order's side.
            lots: what is asked for.
            ticks: what the market is valued at.
            limit: fraction of the equity.
        """
        bound = float(limit)
        if self._account.equity_atoms <= 0:
            return 0
        if self.value(market, held + sign * lots, ticks) <= bound:
            return lots
        low, high = 0, lots
        while high - low > 1:
            middle = (low + high) // 2
            if self.value(market, held + sign * middle, ticks) <= bound:
                low = middle
            else:
                high = middle
        return low

    def value(self, market: ConnectorPair, lots: int, ticks: int) -> float:
        """Return the value at risk / equity if *market* held *lots* valued at *ticks*."""
        equity = float(self._account.equity_atoms)
        weights, returns = [], []
        for one in self._bars.markets:
            scale = self._bars.instrument(one).atoms_per_tick_lot
            if one == market:
                atoms = float(lots * ticks * scale)
            else:
                quote = self._bars.quote(one)
                mid_twice = 0 if quote is None else quote.bid_ticks + quote.ask_ticks
                atoms = self._account.net_lots(one) * mid_twice * scale / 2
            if not atoms:
                continue
            weights.append(atoms / equity)
            returns.append(self._returns(one))
        length = min((len(one) for one in returns), default=0)
        if length < LEAST_RETURNS:
            return fsum(abs(one) for one in weights) * self._default_vol
        series = [one[len(one) - length :] for one in returns]
        means = [fsum(one) / length for one in series]
        variance = fsum(
            weights[i]
            * weights[j]
            * fsum(
                (a - means[i]) * (b - means[j]) for a, b in zip(series[i], series[j], strict=True)
            )
            / (length - 1)
            for i in range(len(weights))
            for j in range(len(weights))
        )
        return QUANTILE_95 * sqrt(max(0.0, variance))

    def _returns(self, market: ConnectorPair) -> list[float]:
        closes = [bar.close_ticks for bar in self._bars.history(market, RISK_RETURNS + 1)]
        return [after / before - 1.0 for before, after in pairwise(closes)]
