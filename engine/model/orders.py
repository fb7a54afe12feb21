"""Orders: what is asked, where it stands, which transitions are legal."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, unique
from typing import Final

from engine.model.instruments import ConnectorPair

STRATEGY_ROLE: Final = "strategy"
"""Role of the orders that the risk manager makes of a strategy's signals."""
STRATEGY_OWNER: Final = "strategy"
"""Owner of those orders."""


@unique
class TradeType(Enum):
    """Side of a trade. RANGE belongs to liquidity provision and is refused everywhere else."""

    BUY = 1
    SELL = 2
    RANGE = 3

    @property
    def sign(self) -> int:
        """Return +1 for BUY, -1 for SELL."""
        return 1 if self is TradeType.BUY else -1

    @property
    def opposite(self) -> TradeType:
        """Return the other side."""
        return TradeType.SELL if self is TradeType.BUY else TradeType.BUY


@unique
class OrderType(Enum):
    """Order type; 4 to 6 are AMM types and unused here."""

    MARKET = 1
    LIMIT = 2
    LIMIT_MAKER = 3

    @property
    def is_limit_type(self) -> bool:
        """Whether the order has a limit price."""
        return self is not OrderType.MARKET


@unique
class PositionAction(Enum):
    """Whether an order opens or closes a perpetual position."""

    OPEN = "OPEN"
    CLOSE = "CLOSE"
    NIL = "NIL"


@unique
class PositionMode(Enum):
    """Whether opposite positions of one market are netted."""

    HEDGE = "HEDGE"
    ONEWAY = "ONEWAY"


@unique
class PositionSide(Enum):
    """Side of a position at the venue; BOTH where opposite positions are netted."""

    LONG = "LONG"
    SHORT = "SHORT"
    BOTH = "BOTH"


@unique
class OrderState(Enum):
    """State of an order as executors and reports see it."""

    PENDING_CREATE = 0
    OPEN = 1
    PENDING_CANCEL = 2
    CANCELED = 3
    PARTIALLY_FILLED = 4
    FILLED = 5
    FAILED = 6


@unique
class OrderStatus(Enum):
    """Place of an order in the order manager's life cycle."""

    RECEIVED = 0
    VALIDATED = 1
    ROUTED = 2
    PARTIAL = 3
    FILLED = 4
    CANCELLED = 5
    REJECTED = 6
    EXPIRED = 7

    @property
    def is_terminal(self) -> bool:
        """Whether the order can no longer change."""
        return self._value_ >= _FIRST_TERMINAL


_FIRST_TERMINAL: Final = OrderStatus.FILLED.value

_S = OrderStatus
TRANSITIONS: Final[dict[OrderStatus, frozenset[OrderStatus]]] = {
    _S.RECEIVED: frozenset({_S.VALIDATED, _S.CANCELLED, _S.REJECTED}),
    _S.VALIDATED: frozenset({_S.ROUTED, _S.CANCELLED, _S.REJECTED}),
    _S.ROUTED: frozenset({_S.PARTIAL, _S.FILLED, _S.CANCELLED, _S.REJECTED, _S.EXPIRED}),
    _S.PARTIAL: frozenset({_S.PARTIAL, _S.FILLED, _S.CANCELLED, _S.EXPIRED}),
} | {status: frozenset() for status in OrderStatus if status.is_terminal}
"""Legal transitions (ORD-1)."""


@unique
class TimeInForce(Enum):
    """How long an order works."""

    GTC = 0
    DAY = 1
    IOC = 2
    FOK = 3
    GTD = 4


@unique
class TriggerKind(Enum):
    """What sets an order off."""

    STOP = 1
    """The price moves against the order's side: a buy waits for a rise."""
    TOUCH = 2
    """The price moves with the order's side: a buy waits for a fall."""
    TRAILING = 3
    """A stop that follows the best price at a distance."""


@dataclass(frozen=True, slots=True)
class OrderTrigger:
    """Condition that an order waits for before it acts as its type says.

    A MARKET order with a STOP is a stop order, a LIMIT order with one a stop-limit order. STOP and
    TOUCH have ``stop_ticks``; TRAILING has ``trail_ticks`` or ``trail_ppb`` (a share of the
    extreme), and may have an ``activation_ticks`` from which it starts. A LIMIT order that trails
    has ``limit_offset_ticks`` instead of a limit: how far beyond its trigger it is placed. The
    extreme that it trails begins at ``start_ticks``, without them at the price of its arrival.
    """

    kind: TriggerKind
    stop_ticks: int | None = None
    trail_ticks: int = 0
    trail_ppb: int = 0
    activation_ticks: int | None = None
    limit_offset_ticks: int | None = None
    start_ticks: int | None = None


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What an executor or a strategy wants to have placed.

    ``lots`` is positive; ``limit_ticks`` is None for MARKET. ``owner_id`` is the executor's or the
    strategy's id, ``role`` says what the order is for the owner: entry, take_profit, close, ...
    """

    client_order_id: str
    market: ConnectorPair
    side: TradeType
    order_type: OrderType
    lots: int
    limit_ticks: int | None
    position_action: PositionAction
    leverage: int
    owner_id: str
    role: str
    reduce_only: bool = False
    trigger: OrderTrigger | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expire_ns: int = 0
    """End of a GTD order."""

    @property
    def is_closing(self) -> bool:
        """Whether a perpetual's position may only get smaller by it."""
        return self.reduce_only or self.position_action is PositionAction.CLOSE

    @property
    def is_immediate(self) -> bool:
        """Whether it takes what there is at once: a market order that waits for no price."""
        return self.order_type is OrderType.MARKET and self.trigger is None

    @property
    def executor_id(self) -> str | None:
        """Return the executor that owns the order, None if a strategy does."""
        return None if self.role == STRATEGY_ROLE else self.owner_id


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the order manager knows it; a change makes a new value."""

    request: OrderRequest
    seq: int
    status: OrderStatus
    created_ns: int
    updated_ns: int
    reason: str = ""
    filled_lots: int = 0
    filled_atoms: int = 0
    fee_atoms: int = 0
    is_cancel_requested: bool = False
    late_fill: bool = False
    """A fill came when the order was over already (live only)."""
    overfill: bool = False
    """More was filled than was ordered (live only)."""

    @property
    def remaining_lots(self) -> int:
        """Return what is not filled yet."""
        return self.request.lots - self.filled_lots

    @property
    def is_open(self) -> bool:
        """Whether it can still fill."""
        return not self.status.is_terminal

    @property
    def state(self) -> OrderState:
        """Return the state in the executors' vocabulary."""
        if self.is_open and self.is_cancel_requested:
            return OrderState.PENDING_CANCEL
        return _STATE_OF_STATUS[self.status]


_STATE_OF_STATUS: Final = {
    OrderStatus.RECEIVED: OrderState.PENDING_CREATE,
    OrderStatus.VALIDATED: OrderState.PENDING_CREATE,
    OrderStatus.ROUTED: OrderState.OPEN,
    OrderStatus.PARTIAL: OrderState.PARTIALLY_FILLED,
    OrderStatus.FILLED: OrderState.FILLED,
    OrderStatus.CANCELLED: OrderState.CANCELED,
    OrderStatus.REJECTED: OrderState.FAILED,
    OrderStatus.EXPIRED: OrderState.CANCELED,
}


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. ``notional_atoms`` and ``fee_atoms`` are in the quote asset's atoms.

    ``fee_atoms`` is positive when we pay. ``fee_base_lots`` is the part of the fee that the
    venue took out of the base amount (its value is contained in ``fee_atoms``). ``fee_in`` is a
    fee in another asset, with its amount: it is no part of ``fee_atoms``, and whoever counts it
    has to convert it.
    """

    fill_id: str
    client_order_id: str
    owner_id: str
    role: str
    market: ConnectorPair
    side: TradeType
    lots: int
    ticks: int
    notional_atoms: int
    fee_atoms: int
    is_maker: bool
    ts_ns: int
    fee_base_lots: int = 0
    fee_in: tuple[str, Decimal] | None = None

    @property
    def executor_id(self) -> str | None:
        """Return the executor that owns the order, None if a strategy does."""
        return None if self.role == STRATEGY_ROLE else self.owner_id


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Wish to cancel one order."""

    client_order_id: str
    market: ConnectorPair
    owner_id: str


@dataclass(frozen=True, slots=True)
class OrderQuery:
    """Wish to hear the state of one order, which has been silent for too long."""

    client_order_id: str
    market: ConnectorPair
    owner_id: str
