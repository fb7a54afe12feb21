"""Sample strategy: plays a list of orders by bar index from its parameters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum, unique
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from engine.model.bar_columns import BarColumns
from engine.model.bar_view import AnyBar
from engine.model.clock import from_iso
from engine.model.instruments import ConnectorPair
from engine.strategies.signal_codes import BarOrderType, OcoMode, OffsetUnit, TimeInForce
from engine.strategies.signal_rows import TagIndex, row_of, table_of
from engine.strategies.signal_table import SignalTable
from engine.strategies.signals import Bracket, Offset, Signal, SignalKind
from engine.strategies.strategy import Strategy

_PERCENT = Decimal(100)
_BPS = Decimal(10_000)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@unique
class Side(StrEnum):
    """Side of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """Return +1 or -1."""
        return 1 if self is Side.BUY else -1


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _code(value: object) -> object:
    return value.strip().upper().replace(" ", "_") if isinstance(value, str) else value


def _instant(value: object) -> object:
    return from_iso(value) if isinstance(value, str) else value


class OffsetSpec(_Section):
    """A distance, told in exactly one unit."""

    price: Decimal | None = Field(default=None, gt=0, description="price difference")
    pct: Decimal | None = Field(default=None, gt=0, description="per hundred: 3 is 3 %")
    bps: Decimal | None = Field(default=None, gt=0, description="per ten thousand")
    ticks: int | None = Field(default=None, ge=1, description="ticks")
    atr: Decimal | None = Field(default=None, gt=0, description="multiple of the ATR")
    length: int = Field(default=14, ge=1, description="bars of the ATR")

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        given = [self.price, self.pct, self.bps, self.ticks, self.atr]
        if sum(one is not None for one in given) != 1:
            raise ValueError("give exactly one of price, pct, bps, ticks, atr")
        return self

    def offset(self) -> Offset:
        """Return the distance."""
        if self.price is not None:
            return Offset(self.price, OffsetUnit.PRICE)
        if self.pct is not None:
            return Offset(self.pct / _PERCENT, OffsetUnit.PPB)
        if self.bps is not None:
            return Offset(self.bps / _BPS, OffsetUnit.PPB)
        if self.ticks is not None:
            return Offset(Decimal(self.ticks), OffsetUnit.TICKS)
        return Offset(self.atr or Decimal(0), OffsetUnit.ATR, self.length)


Distance: TypeAlias = Annotated[
    OffsetSpec,
    BeforeValidator(lambda value: value if isinstance(value, dict) else {"price": value}),
]
"""A distance; a plain number is a price difference."""


class BracketSpec(_Section):
    """Exits of an entry: prices, or with ``basis: fill`` distances from the average fill price."""

    sl: Decimal | OffsetSpec | None = Field(default=None, description="stop loss")
    tp: Decimal | OffsetSpec | None = Field(default=None, description="take profit")
    sl_trail: Distance | None = Field(default=None, description="distance of a trailing stop")
    basis: Literal["absolute", "fill"] = Field(default="absolute", description="what sl, tp are")

    @model_validator(mode="after")
    def _not_mixed(self) -> Self:
        parts = [part for part in (self.sl, self.tp) if part is not None]
        if self.basis == "absolute" and any(isinstance(part, OffsetSpec) for part in parts):
            raise ValueError("sl and tp are prices unless basis is fill")
        return self

    def bracket(self) -> Bracket:
        """Return the bracket."""
        trail = None if self.sl_trail is None else self.sl_trail.offset()
        return Bracket(self._exit(self.sl), self._exit(self.tp), trail)

    def _exit(self, part: Decimal | OffsetSpec | None) -> Decimal | Offset | None:
        if isinstance(part, OffsetSpec):
            return part.offset()
        if part is None or self.basis == "absolute":
            return part
        return Offset(part, OffsetUnit.PRICE)


OrderTypeField: TypeAlias = Annotated[
    BarOrderType, BeforeValidator(lambda v: _by_name(BarOrderType, v))
]
TifField: TypeAlias = Annotated[TimeInForce, BeforeValidator(lambda v: _by_name(TimeInForce, v))]
OcoField: TypeAlias = Annotated[OcoMode, BeforeValidator(lambda v: _by_name(OcoMode, v))]


def _by_name(kind: type[BarOrderType | TimeInForce | OcoMode], value: object) -> object:
    name = _code(value)
    if isinstance(name, str):
        if name not in kind.__members__:
            raise ValueError(f"must be one of {', '.join(kind.__members__)}")
        return kind[name]
    return value


class ScriptedOrder(_Section):
    """One line of the script: at the close of bar ``bar``, place, cancel or replace an order."""

    bar: int = Field(ge=0, description="bar index, from 0, at whose close it is given")
    symbol: str | None = Field(default=None, description="symbol; every one without it")
    kind: Annotated[SignalKind, BeforeValidator(_lower)] = Field(
        default=SignalKind.ORDER, description="order, or a signal that the sizer turns into one"
    )
    side: Annotated[Side | None, BeforeValidator(_lower)] = Field(
        default=None, description="buy or sell"
    )
    type: OrderTypeField = Field(default=BarOrderType.MARKET, description="order type")
    qty: Decimal | None = Field(default=None, description="quantity in base, or signed target")
    weight: Decimal | None = Field(default=None, description="signed share of equity")
    size_pct: Decimal | None = Field(
        default=None, description="fraction of the free funds, resolved at the fill"
    )
    strength: Decimal = Field(default=Decimal(1), ge=0, le=1, description="multiplies the size")
    limit: Decimal | None = Field(default=None, description="limit price")
    stop: Decimal | None = Field(default=None, description="stop price")
    trail: Distance | None = Field(default=None, description="distance of the trail")
    limit_offset: Decimal | None = Field(
        default=None, description="limit of a trailing stop limit, beyond its stop"
    )
    activation: Decimal | None = Field(default=None, description="price that starts the trail")
    tif: TifField = Field(default=TimeInForce.GTC, description="GTC, DAY, IOC, FOK or GTD")
    expire: Annotated[int | None, BeforeValidator(_instant)] = Field(
        default=None, description="ISO 8601 stamp of GTD"
    )
    reduce_only: bool = Field(default=False, description="may only reduce the position")
    post_only: bool = Field(default=False, description="rejected if it would take")
    oco_group: int = Field(default=0, ge=0, description="orders of one group cancel each other")
    oco_mode: OcoField = Field(default=OcoMode.DEFAULT, description="reduce or cancel")
    bracket: BracketSpec | None = Field(default=None, description="exits of the entry")
    only_flat: bool = Field(default=False, description="only without position and orders")
    tag: str = Field(default="", max_length=80, description="label")
    cancel: str = Field(default="", description="tag of own working orders to cancel instead")
    replace: str = Field(default="", description="tag of an own working order to change instead")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.cancel or self.replace or self.kind is SignalKind.EXIT:
            return self
        if self.kind in (SignalKind.ORDER, SignalKind.DIRECTION) and self.side is None:
            raise ValueError(f"side is needed: a {self.kind.value} buys or sells")
        if self.kind is SignalKind.TARGET_WEIGHT and self.weight is None:
            raise ValueError("weight is needed for a target_weight")
        if self.kind is SignalKind.TARGET_QTY and self.qty is None:
            raise ValueError("qty is needed for a target_qty")
        return self

    def signal(self, market: ConnectorPair) -> Signal:
        """Return the line as a signal about *market*."""
        return Signal(
            market,
            self.kind,
            self._value(),
            strength=self.strength,
            order_type=self.type,
            limit=self.limit,
            stop=self.stop,
            trail=None if self.trail is None else self.trail.offset(),
            limit_offset=self.limit_offset,
            activation=self.activation,
            tif=self.tif,
            expire_ns=self.expire or 0,
            bracket=None if self.bracket is None else self.bracket.bracket(),
            reduce_only=self.reduce_only,
            post_only=self.post_only,
            size_pct=self.size_pct,
            oco_group=self.oco_group,
            oco_mode=self.oco_mode,
            only_flat=self.only_flat,
            tag=self.tag,
            cancel=self.cancel,
            replace=self.replace,
            side=0 if self.side is None else self.side.sign,
        )

    def _value(self) -> Decimal:
        match self.kind:
            case SignalKind.TARGET_WEIGHT:
                return self.weight or Decimal(0)
            case SignalKind.DIRECTION:
                return Decimal(0 if self.side is None else self.side.sign)
            case SignalKind.EXIT:
                return Decimal(0)
            case _:
                return self.qty or Decimal(0)


class ScriptedParams(_Section):
    """Parameters of `Scripted`."""

    orders: tuple[ScriptedOrder, ...] = Field(default=(), description="orders by bar index")


class Scripted(Strategy):
    """Gives the orders of its list, in the order of the list within a bar."""

    reusable: ClassVar[bool] = True
    per_market: ClassVar[bool] = True

    def __init__(self, params: ScriptedParams) -> None:
        super().__init__()
        self._orders = params.orders
        self._by_bar: dict[int, list[ScriptedOrder]] = defaultdict(list)
        for order in params.orders:
            self._by_bar[order.bar].append(order)

    def check_symbols(self, symbols: Sequence[str]) -> None:
        """Refuse a script about a symbol that is not there: its orders would be lost."""
        for number, order in enumerate(self._orders):
            if order.symbol is not None and order.symbol not in symbols:
                raise ValueError(
                    f"orders.{number}.symbol: {order.symbol!r} is not in the data "
                    f"(UNKNOWN_SYMBOL), use {', '.join(symbols)}"
                )

    def on_bar(self, bar: AnyBar) -> None:
        """Give this bar's orders."""
        for order in self._by_bar.get(self.ctx.bar_index(bar.market), ()):
            if order.symbol in (None, bar.market.trading_pair):
                self.ctx.signal(order.signal(bar.market))

    def signals(self, bars: BarColumns, *, start: int = 0) -> SignalTable:
        """Return the whole list."""
        tags = TagIndex()
        rows = [
            row_of(
                order.signal(bars.instrument.market),
                instrument=bars.instrument,
                bar=index,
                tags=tags,
            )
            for index in sorted(self._by_bar)
            if start <= index < len(bars)
            for order in self._by_bar[index]
            if order.symbol in (None, bars.symbol)
        ]
        return table_of(rows, tags.tags)
