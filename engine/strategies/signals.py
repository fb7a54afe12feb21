"""What a strategy wants: signals, for the risk manager only (STR-2)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, unique

from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderType
from engine.strategies.signal_codes import (
    BarOrderType,
    BracketBasis,
    OcoMode,
    OffsetUnit,
    TimeInForce,
)


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
    ORDER = "order"
    """Quantity in base to be ordered, whatever the position is; ``side`` or its sign says which."""


@dataclass(frozen=True, slots=True)
class Offset:
    """A distance from a price.

    ``amount`` is a price difference (PRICE), a fraction (PPB: 0.03 is 3 %), a number of ticks
    (TICKS), or a multiple of the ATR over ``atr_length`` bars (ATR).
    """

    amount: Decimal
    unit: OffsetUnit
    atr_length: int = 14


@dataclass(frozen=True, slots=True)
class Bracket:
    """Exits that are declared with an entry (FILL-20, FILL-21).

    Stop and target are prices, or distances from the fill: each by its type.
    """

    stop: Decimal | Offset | None = None
    target: Decimal | Offset | None = None
    trail: Offset | None = None

    @property
    def basis(self) -> BracketBasis:
        """Return whether prices or distances from the fill are given."""
        counts_from_fill = any(isinstance(part, Offset) for part in (self.stop, self.target))
        return BracketBasis.FILL if counts_from_fill else BracketBasis.ABSOLUTE

    def __post_init__(self) -> None:
        kinds = {type(part) for part in (self.stop, self.target) if part is not None}
        if len(kinds) > 1:
            raise ValueError("a bracket has a price and a distance: give both exits the same way")


@dataclass(frozen=True, slots=True)
class Signal:
    """A wish about the position of one market.

    ``strength`` in [0, 1] multiplies the size. Prices off the grid are rounded: a limit to the
    passive side, a stop away from the market (UNIT-5). With ``only_flat`` the signal counts only
    while neither a position nor a working order of the market exists. ``cancel`` names the tag of
    own working orders to be cancelled instead of ordering anything; ``replace`` the tag of one to
    be changed to this signal's quantity and prices. Sessions have no MOO and MOC, no OCO groups,
    no ATRs, no size_pct and no replace: they deny such a signal and say why.

    Raises:
        ValueError: the strength is outside [0, 1], or prices and order type do not belong together.
    """

    market: ConnectorPair
    kind: SignalKind
    value: Decimal = Decimal(0)
    strength: Decimal = Decimal(1)
    order_type: OrderType | BarOrderType = OrderType.MARKET
    limit: Decimal | None = None
    tag: str = ""
    stop: Decimal | None = None
    trail: Offset | None = None
    limit_offset: Decimal | None = None
    activation: Decimal | None = None
    tif: TimeInForce = TimeInForce.GTC
    expire_ns: int = 0
    bracket: Bracket | None = None
    reduce_only: bool = False
    post_only: bool = False
    size_pct: Decimal | None = None
    """Fraction of the free funds that a market order may use, resolved at the fill (FILL-30)."""
    oco_group: int = 0
    oco_mode: OcoMode = OcoMode.DEFAULT
    only_flat: bool = False
    cancel: str = ""
    replace: str = ""
    side: int = 0
    """Of an ORDER: +1 buy, -1 sell; 0 takes the sign of the value."""

    def __post_init__(self) -> None:
        for name in ("value", "strength"):
            number = getattr(self, name)
            if type(number) is int:
                object.__setattr__(self, name, Decimal(number))
            else:
                _check_number(name, number)
        if not 0 <= self.strength <= 1:
            raise ValueError(f"signal strength {self.strength} is outside 0 to 1")
        for name in ("limit", "stop", "limit_offset", "activation", "size_pct"):
            price = getattr(self, name)
            if price is not None:
                _check_number(name, price)
        order_type = self.order_type
        if isinstance(order_type, OrderType) and order_type.is_limit_type != (
            self.limit is not None
        ):
            raise ValueError(f"signal with {order_type.name} and limit {self.limit}")


def _check_number(name: str, number: object) -> None:
    """Raise unless *number* is a finite decimal; binary floats are never money or prices."""
    if not isinstance(number, Decimal):
        raise TypeError(f"signal {name} {number!r} is no Decimal")
    if not number.is_finite():
        raise ValueError(f"signal {name} {number} is not a finite number")
