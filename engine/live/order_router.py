"""What live trading needs of the connection to a venue.

A router is a façade that any thread may use: `submit` and `cancel` hand over and return, what
became of them comes as updates. Real venues come with their routers; paper has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeAlias

from engine import flow
from engine.execution.broker import BrokerHealth
from engine.execution.reports import (
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderRejected,
)
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, OrderRequest, OrderStatus, TradeType


class VenueError(flow.OperationError):
    """The venue could not be reached, and nothing of the request can have left."""


class UnknownOutcomeError(flow.OperationError):
    """A request left and no answer came: whether the venue took it is not known."""


@dataclass(frozen=True, slots=True)
class VenueFill:
    """One trade as the venue tells it; ``trade_id`` is unique in its account.

    ``client_order_id`` is empty for an order that was not placed with one. ``ts_ns`` is the
    venue's clock, which may differ from ours.
    """

    trade_id: str
    client_order_id: str
    venue_order_id: str
    market: ConnectorPair
    side: TradeType
    lots: int
    ticks: int
    fee_atoms: int
    is_maker: bool
    ts_ns: int

    def to_fill(self, instrument: Instrument, *, owner_id: str, role: str) -> Fill:
        """Return the trade as a fill of *owner_id*; *instrument* is its market's."""
        return Fill(
            fill_id=self.trade_id,
            client_order_id=self.client_order_id,
            owner_id=owner_id,
            role=role,
            market=self.market,
            side=self.side,
            lots=self.lots,
            ticks=self.ticks,
            notional_atoms=instrument.notional_atoms(self.ticks, self.lots),
            fee_atoms=self.fee_atoms,
            is_maker=self.is_maker,
            ts_ns=self.ts_ns,
        )


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue has it."""

    client_order_id: str
    venue_order_id: str
    request: OrderRequest
    status: OrderStatus
    filled_lots: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """A position as the venue has it; ``average_ticks`` is None where it tells none."""

    lots: int
    average_ticks: int | None = None


VenueUpdate: TypeAlias = (
    OrderAccepted | OrderRejected | OrderCancelled | OrderExpired | CancelRejected | VenueFill
)
"""News from the venue; may come twice, late and out of order."""


class OrderRouter(Protocol):
    """One account at one venue.

    Every method may raise VenueError when the venue cannot be reached.
    """

    @property
    def name(self) -> str:
        """The venue's name, as its connector."""
        ...

    def submit(self, order: OrderRequest, *, strategy_id: str, now_ns: int) -> None:
        """Send an order; idempotent on its client order id.

        Raises:
            VenueError: it was surely not sent.
            UnknownOutcomeError: it may have been.
        """
        ...

    def cancel(self, client_order_id: str, *, market: ConnectorPair, now_ns: int) -> None:
        """Ask for a cancel."""
        ...

    def take_updates(self, now_ns: int) -> Sequence[VenueUpdate]:
        """Return the news since the last call; empty while disconnected."""
        ...

    def find_order(self, client_order_id: str) -> VenueOrder | None:
        """Return an order by its client order id, None if the venue knows none."""
        ...

    def open_orders(self) -> Sequence[VenueOrder]:
        """Return the account's open orders, foreign ones too."""
        ...

    def positions(self) -> Mapping[ConnectorPair, VenuePosition]:
        """Return the account's positions by market."""
        ...

    def balances(self) -> Mapping[str, Decimal]:
        """Return the account's cash by asset."""
        ...

    def fills(self, since: int) -> tuple[Sequence[VenueFill], int]:
        """Return the account's fills from the cursor *since* on, and the next cursor."""
        ...

    def capabilities(self) -> Mapping[str, tuple[str, ...] | bool]:
        """Return order types, times in force and features."""
        ...

    def connect(self) -> None:
        """Connect, or connect again."""
        ...

    def close(self) -> None:
        """Disconnect."""
        ...

    def health(self) -> BrokerHealth:
        """Return whether it can be used."""
        ...
