"""What an executor needs to know of its surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Protocol, runtime_checkable

from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import OrderRequest, OrderType
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
        """Whether the account covers *request* at *reference_ticks*."""
        ...

    def next_order_id(self) -> str:
        """Return a fresh client order id from the session's sequence."""
        ...

    def random_bits(self) -> int:
        """Return at least 64 seeded random bits."""
        ...


@runtime_checkable
class RateSource(Protocol):
    """A strategy that converts between assets."""

    def rate(self, source: str, target: str) -> Fraction | None:
        """Return how many *target* one *source* is; None while it is unknown."""
        ...


@runtime_checkable
class SharedBudget(Protocol):
    """A strategy that checks several orders against one account."""

    def first_shortage(self, candidates: Sequence[tuple[OrderRequest, int]]) -> int | None:
        """Return the number of the first order that the account does not cover; None if all fit.

        Each order, with its reference price in ticks, locks what it needs before the next one is
        looked at; afterwards nothing stays locked.
        """
        ...


@runtime_checkable
class OrderTypeSource(Protocol):
    """A strategy that knows which orders a venue takes; without it every venue takes all."""

    def order_types(self, market: ConnectorPair) -> frozenset[OrderType]:
        """Return the order types of *market*."""
        ...


@runtime_checkable
class GasSource(Protocol):
    """A strategy that knows venues whose orders cost gas; without it no venue does."""

    def gas(self, market: ConnectorPair) -> tuple[str, Decimal] | None:
        """Return token and amount of the network's fee for an order; None if there is none."""
        ...
