"""What the risk manager of a backtest reads of its container."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.execution.bar_order import BarOrder


class PositionFacts(Protocol):
    """One symbol's position."""

    @property
    def lots(self) -> int:
        """Signed lots."""
        ...

    @property
    def mark(self) -> int:
        """Last mark in ticks."""
        ...

    @property
    def has_rate(self) -> bool:
        """Whether the instrument's currency can be told in the account's."""
        ...

    def worth(self, lots: int, ticks: int) -> int:
        """Return what signed *lots* are worth at *ticks*, in atoms."""
        ...

    def burden(self, lots: int, ticks: int) -> int:
        """Return the absolute value of *lots* at *ticks*, in atoms."""
        ...

    @property
    def rate(self) -> tuple[int, int]:
        """Account currency for one unit of the instrument's currency, as a fraction."""
        ...


class AccountFacts(Protocol):
    """The account."""

    @property
    def equity(self) -> int:
        """Equity at the last marks, in atoms."""
        ...

    @property
    def positions(self) -> Sequence[PositionFacts]:
        """Positions by symbol."""
        ...

    def free_atoms(self) -> int:
        """Return what new positions may use."""
        ...


class BookFacts(Protocol):
    """The orders of one symbol."""

    @property
    def orders(self) -> Sequence[BarOrder]:
        """What works or is dormant."""
        ...


class OrderFacts(Protocol):
    """All orders."""

    @property
    def books(self) -> Sequence[BookFacts]:
        """Orders by symbol."""
        ...

    def working_lots(self, symbol: int) -> tuple[int, int]:
        """Return what (buy, sell) orders that may enlarge a position have yet to fill."""
        ...

    def nearest_stop(self, symbol: int) -> int | None:
        """Return the protective stop of the position that is nearest to the mark, in ticks."""
        ...
