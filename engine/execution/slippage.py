"""Slippage models (backtest.md section 10): how much worse a taker fill is, in ticks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.model.instruments import PPB


class SlippageModel(Protocol):
    """Tells by how many ticks a taker fill worsens; the broker knows which way that is (COST-2)."""

    def worsening_ticks(self, ticks: int) -> int:
        """Return the worsening of a raw price of *ticks*, 0 or more."""
        ...


@dataclass(frozen=True, slots=True)
class NoSlippage:
    """Fills at the raw price."""

    def worsening_ticks(self, ticks: int) -> int:  # noqa: ARG002 (the protocol's signature)
        """Return 0."""
        return 0


@dataclass(frozen=True, slots=True)
class FixedSlippage:
    """A fixed number of ticks, 0 or more."""

    ticks: int

    def worsening_ticks(self, ticks: int) -> int:  # noqa: ARG002 (the protocol's signature)
        """Return the configured ticks."""
        return self.ticks


@dataclass(frozen=True, slots=True)
class RelativeSlippage:
    """A share of the price in parts per billion, rounded up to whole ticks (UNIT-5, UNIT-8)."""

    rate_ppb: int

    def worsening_ticks(self, ticks: int) -> int:
        """Return the share of *ticks*, rounded against us."""
        return -(-abs(ticks) * self.rate_ppb // PPB)
