"""What a broker of bar orders offers, whoever fills them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum, unique
from typing import Protocol

from engine.execution.bar_order import BarFill, BarOrder, News


@unique
class BrokerHealth(StrEnum):
    """Whether a broker can be used."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNHEALTHY = "UNHEALTHY"


class Broker(Protocol):
    """Takes orders and reports what became of them; idempotent on the client id."""

    def submit(self, order: BarOrder, *, now_ns: int) -> bool:
        """Take *order*; False if it was rejected at once."""
        ...

    def cancel(self, which: BarOrder | str, *, now_ns: int) -> bool:
        """Cancel an order; False if there is nothing left of it."""
        ...

    def replace(
        self,
        which: BarOrder | str,
        *,
        now_ns: int,
        lots: int | None = None,
        limit: int | None = None,
        stop: int | None = None,
    ) -> bool:
        """Change an order; False if it cannot be changed."""
        ...

    def on_market(self, data: Sequence[tuple[int, int]]) -> list[News]:
        """Take market data (symbol, bar); return what it caused."""
        ...

    def open_orders(self) -> list[BarOrder]:
        """Return the orders that can still fill."""
        ...

    def positions(self) -> dict[str, int]:
        """Return signed lots by symbol."""
        ...

    def balances(self) -> dict[str, int]:
        """Return cash in atoms by currency."""
        ...

    def fills(self, since: int = 0) -> list[BarFill]:
        """Return the fills from number *since* on."""
        ...

    def capabilities(self) -> dict[str, tuple[str, ...] | bool]:
        """Return types, times in force and features."""
        ...

    def connect(self) -> None:
        """Begin."""
        ...

    def close(self) -> None:
        """End."""
        ...

    def health(self) -> BrokerHealth:
        """Return whether it can be used."""
        ...
