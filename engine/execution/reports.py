"""What a broker reports about orders: facts, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from engine.execution.reasons import ReasonCode
from engine.model.orders import Fill


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """The broker has the order."""

    client_order_id: str
    ts_ns: int


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """The broker refuses the order; ``text`` tells people why, with the values."""

    client_order_id: str
    ts_ns: int
    code: ReasonCode
    text: str


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """The order filled in part or in whole."""

    fill: Fill

    @property
    def client_order_id(self) -> str:
        """Return the order's client id."""
        return self.fill.client_order_id

    @property
    def ts_ns(self) -> int:
        """Return the time of the fill."""
        return self.fill.ts_ns


@dataclass(frozen=True, slots=True)
class OrderCancelled:
    """What was left of the order is cancelled."""

    client_order_id: str
    ts_ns: int
    code: ReasonCode


@dataclass(frozen=True, slots=True)
class OrderExpired:
    """The order's time is over; what filled stays."""

    client_order_id: str
    ts_ns: int
    code: ReasonCode


@dataclass(frozen=True, slots=True)
class CancelRejected:
    """A cancel did nothing: the order is unknown (UNKNOWN_ORDER) or already done (ORDER_DONE)."""

    client_order_id: str
    ts_ns: int
    code: ReasonCode


OrderReport: TypeAlias = (
    OrderAccepted | OrderRejected | OrderFilled | OrderCancelled | OrderExpired | CancelRejected
)
