"""What an executor needs to know of its surroundings."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import OrderRequest
from engine.model.quotes import QuoteTick


@runtime_checkable
class ExecutorStrategy(Protocol):
    """The container's side of an executor. It answers questions; it never places orders.

    There is one for each session; the factory knows its executors by it, by weak reference.
    """

    def now_ns(self) -> int:
        """Return the session's time, nanoseconds since the epoch, UTC."""
        ...

    def instrument(self, market: ConnectorPair) -> Instrument:
        """Return the instrument of *market*.

        Raises:
            KeyError: the session does not trade *market*.
        """
        ...

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return the newest quote of *market*, None before the first one."""
        ...

    def is_affordable(self, request: OrderRequest, reference_ticks: int) -> bool:
        """Whether the account covers *request* at *reference_ticks* (executors.md 2.6)."""
        ...

    def next_order_id(self) -> str:
        """Return a fresh client order id from the session's sequence."""
        ...

    def random_bits(self) -> int:
        """Return at least 64 seeded random bits."""
        ...
