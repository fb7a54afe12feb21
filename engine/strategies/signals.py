"""What a strategy wants: signals, for the risk manager only (backtest.md STR-2)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, unique

from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderType


@unique
class SignalKind(StrEnum):
    """How the value of a signal is read."""

    TARGET_WEIGHT = "target_weight"
    """Share of equity that the position is to be worth, signed."""
    TARGET_QTY = "target_qty"
    """Position in base, signed."""
    DIRECTION = "direction"
    """The sign of the value; the risk manager's sizer says how much."""
    EXIT = "exit"
    """No position; the value is ignored."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A wish about the position of one market.

    ``strength`` in [0, 1] multiplies the size. ``limit`` is the price of a limit order; off the
    grid it is rounded to the passive side.

    Raises:
        ValueError: the strength is outside [0, 1], or a limit order has no limit price.
    """

    market: ConnectorPair
    kind: SignalKind
    value: Decimal = Decimal(0)
    strength: Decimal = Decimal(1)
    order_type: OrderType = OrderType.MARKET
    limit: Decimal | None = None
    tag: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"signal strength {self.strength} is outside 0 to 1")
        if not self.value.is_finite():
            raise ValueError(f"signal value {self.value} is not a finite number")
        if self.order_type.is_limit_type != (self.limit is not None):
            raise ValueError(f"signal with {self.order_type.name} and limit {self.limit}")
