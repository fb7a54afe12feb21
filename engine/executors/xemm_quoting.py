"""Where a cross-exchange maker quotes, and which taker prices leave its quote alone (7.7)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from engine.executors.xemm_config import XEMMExecutorConfig
from engine.model.orders import TradeType


@dataclass(frozen=True, slots=True)
class QuoteWindow:
    """Taker prices in ticks, both inclusive, at which a working quote stays."""

    low: int
    high: int

    def contains(self, ticks: int) -> bool:
        """Whether a quote stays at this taker price."""
        return self.low <= ticks <= self.high


class XEMMQuoting:
    """The prices of 7.7 as exact factors: maker price times factor is the taker price.

    Args:
        config: side and profitabilities.
        cost: both fees as a fraction of the amount.
    """

    def __init__(self, config: XEMMExecutorConfig, cost: Fraction) -> None:
        self.is_buy = config.maker_side is TradeType.BUY
        self._cost = cost
        self._target = self._factor(Fraction(config.target_profitability))
        edges = (
            self._factor(Fraction(config.min_profitability)),
            self._factor(Fraction(config.max_profitability)),
        )
        self._least, self._most = min(edges), max(edges)

    @property
    def has_price(self) -> bool:
        """Whether the target gives a price above zero."""
        return self._target > 0

    def maker_ticks(self, taker_ticks: int, tick_ratio: Fraction) -> int:
        """Return the price to quote: the target's, on the grid, never less profitable.

        Args:
            taker_ticks: what the taker market would give or take.
            tick_ratio: a tick of the taker market in ticks of the maker market, converted.
        """
        exact = taker_ticks * tick_ratio / self._target
        return max(1, floor(exact)) if self.is_buy else ceil(exact)

    def profitability(self, maker_ticks: int, taker_ticks: int, tick_ratio: Fraction) -> Fraction:
        """Return the net profit of a quote as a fraction of its price."""
        gross = taker_ticks * tick_ratio / maker_ticks - 1
        return (gross if self.is_buy else -gross) - self._cost

    def window(self, maker_ticks: int, tick_ratio: Fraction) -> QuoteWindow:
        """Return the taker prices at which a quote at *maker_ticks* stays.

        Its net profit is from the least to the most one, or quoting again would give the same
        price: on a coarse grid the target itself can be outside, and would be cancelled for ever.
        """
        low, high = (
            ceil(maker_ticks * self._least / tick_ratio),
            floor(maker_ticks * self._most / tick_ratio),
        )
        here = maker_ticks * self._target / tick_ratio
        if self.is_buy:
            same_low, same_high = ceil(here), ceil(here + self._target / tick_ratio) - 1
        else:
            same_low, same_high = floor(here - self._target / tick_ratio) + 1, floor(here)
        return QuoteWindow(min(low, same_low), max(high, same_high))

    def _factor(self, profitability: Fraction) -> Fraction:
        won = profitability + self._cost
        return 1 + won if self.is_buy else 1 - won
