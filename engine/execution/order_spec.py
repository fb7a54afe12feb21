"""An order as people and scripts write it, and its way onto the grid (backtest.md 6.1, UNIT-5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from engine.execution.bar_order import (
    BASIS_ABSOLUTE,
    BASIS_FILL,
    KIND_NAMES,
    MARKET,
    MARKET_IF_TOUCHED,
    OCO_CANCEL,
    OCO_DEFAULT,
    OCO_REDUCE,
    OFFSET_ATR,
    OFFSET_PPB,
    OFFSET_PRICE,
    OFFSET_TICKS,
    ROLE_ENTRY,
    TIF_NAMES,
    BarOrder,
    Bracket,
)
from engine.execution.bar_settings import PriceGrid
from engine.execution.reasons import ReasonCode
from engine.model.clock import from_iso
from engine.model.instruments import PPB, Instrument

_SIDES: Final = {"buy": 1, "sell": -1, "1": 1, "-1": -1, "+1": 1}
_BPS_PER_ONE: Final = 10_000
_PCT_PER_ONE: Final = 100
_OCO_MODES: Final = {None: OCO_DEFAULT, "reduce": OCO_REDUCE, "cancel": OCO_CANCEL}


def _decimal(value: object) -> object:
    """Read a number by its shortest text, so that 0.1 is 0.1."""
    return Decimal(repr(value)) if isinstance(value, float) else value


Number: TypeAlias = Annotated[Decimal, BeforeValidator(_decimal)]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OffsetSpec(_Spec):
    """A distance from a price: exactly one of the units.

    ``pct`` is per hundred, ``bps`` per ten thousand of the price, ``price`` a price difference,
    ``atr`` a multiple of the mean true range of ``n`` bars, frozen at submission.
    """

    price: Number | None = None
    pct: Number | None = None
    bps: Number | None = None
    ticks: int | None = None
    atr: Number | None = None
    n: int = Field(default=14, ge=1, description="bars of the ATR")

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        given = [
            name
            for name in ("price", "pct", "bps", "ticks", "atr")
            if getattr(self, name) is not None
        ]
        if len(given) != 1:
            raise ValueError(f"give one of price, pct, bps, ticks, atr; here are {given or 'none'}")
        return self

    def on_grid(self, instrument: Instrument) -> tuple[int, int, int]:
        """Return (unit, value, bars); a price difference is rounded up to a tick."""
        if self.ticks is not None:
            return OFFSET_TICKS, self.ticks, 0
        if self.price is not None:
            return OFFSET_PRICE, instrument.adverse_ticks(self.price, is_buy=True), 0
        if self.pct is not None:
            return OFFSET_PPB, int(self.pct * PPB / _PCT_PER_ONE), 0
        if self.bps is not None:
            return OFFSET_PPB, int(self.bps * PPB / _BPS_PER_ONE), 0
        return OFFSET_ATR, int((self.atr or Decimal(0)) * PPB), self.n


class BracketSpec(_Spec):
    """Exits of an entry: prices, or with ``basis: fill`` offsets from its average price."""

    sl: Number | OffsetSpec | None = None
    tp: Number | OffsetSpec | None = None
    sl_trail: OffsetSpec | None = None
    basis: Literal["absolute", "fill"] = "absolute"

    @model_validator(mode="after")
    def _fits_the_basis(self) -> Self:
        for name in ("sl", "tp"):
            value = getattr(self, name)
            if value is None:
                continue
            if (self.basis == "fill") != isinstance(value, OffsetSpec):
                wanted = "an offset such as {pct: 2}" if self.basis == "fill" else "a price"
                raise ValueError(f"{name}: basis {self.basis} needs {wanted}")
        return self


class OrderSpec(_Spec):
    """An order before it is on any grid; what is missing is told by the broker as a reason.

    ``size_pct`` is a fraction in (0, 1] of the free funds (FILL-30), ``expire`` ISO 8601 or
    nanoseconds since the epoch.
    """

    symbol: str | None = None
    side: str | int | None = None
    type: str = "MARKET"
    qty: Number | None = None
    size_pct: Number | None = None
    limit: Number | None = None
    stop: Number | None = None
    trail: OffsetSpec | None = None
    limit_offset: Number | None = None
    activation: Number | None = None
    tif: str = "GTC"
    expire: str | int | None = None
    reduce_only: bool = False
    post_only: bool = False
    oco_group: str | None = None
    oco_mode: Literal["reduce", "cancel"] | None = None
    bracket: BracketSpec | None = None
    role: str = ROLE_ENTRY
    strategy_id: str = ""
    tag: str = ""
    client_id: str = ""


class _Grid:
    """Puts prices on the grid; notes if a strict grid refuses one."""

    def __init__(self, instrument: Instrument, *, strict: bool) -> None:
        self._instrument = instrument
        self._strict = strict
        self.is_off = False

    def ticks(self, price: Decimal | None, *, up: bool) -> int | None:
        """Return *price* in ticks, rounded up or down if it is between two."""
        if price is None:
            return None
        instrument = self._instrument
        ticks = instrument.adverse_ticks(price, is_buy=up)
        if self._strict and instrument.price(ticks) != price:
            self.is_off = True
        return ticks


def place_on_grid(
    spec: OrderSpec,
    symbols: Sequence[str],
    instruments: Sequence[Instrument],
    *,
    price_grid: PriceGrid = PriceGrid.LENIENT,
) -> tuple[BarOrder, ReasonCode | None]:
    """Return the order of *spec* in integers, and why it cannot be one (None if it can).

    Off-grid prices (UNIT-5): limits passive, stops away from the market, quantities toward zero;
    a strict grid answers PRICE_OFF_GRID instead.
    """
    side = _SIDES.get(str(spec.side).lower(), 0)
    kind = _index(KIND_NAMES, spec.type)
    tif = _index(TIF_NAMES, spec.tif)
    symbol = symbols.index(spec.symbol) if spec.symbol in symbols else -1
    problem = _shape_problem(spec, side=side, kind=kind, tif=tif, symbol=symbol)
    order = BarOrder(
        symbol,
        side or 1,
        max(kind, 0),
        tif=max(tif, 0),
        role=spec.role,
        owner=spec.strategy_id,
        tag=spec.tag,
        client_id=spec.client_id,
    )
    if problem is not None:
        return order, problem
    instrument = instruments[symbol]
    grid = _Grid(instrument, strict=price_grid is PriceGrid.STRICT)
    is_buy = side > 0
    order.lots = instrument.floor_lots(spec.qty) if spec.qty is not None else 0
    order.size_ppb = int(spec.size_pct * PPB) if spec.size_pct is not None else 0
    order.limit = grid.ticks(spec.limit, up=not is_buy)
    order.stop = grid.ticks(spec.stop, up=is_buy != (kind == MARKET_IF_TOUCHED))
    order.activation = grid.ticks(spec.activation, up=not is_buy)
    order.limit_offset = grid.ticks(spec.limit_offset, up=True) or 0
    if spec.trail is not None:
        order.trail_unit, order.trail_value, order.trail_n = spec.trail.on_grid(instrument)
    if isinstance(spec.expire, str):
        order.expire_ns = from_iso(spec.expire)
    elif spec.expire is not None:
        order.expire_ns = spec.expire
    order.reduce_only = spec.reduce_only
    order.post_only = spec.post_only
    order.oco_group = spec.oco_group or 0
    order.oco_mode = _OCO_MODES[spec.oco_mode]
    if spec.bracket is not None:
        order.bracket = _bracket(spec.bracket, instrument, grid, is_buy=is_buy)
    return order, ReasonCode.PRICE_OFF_GRID if grid.is_off else None


def _shape_problem(
    spec: OrderSpec, *, side: int, kind: int, tif: int, symbol: int
) -> ReasonCode | None:
    if spec.symbol is None or spec.side is None:
        return ReasonCode.MISSING_FIELD
    if spec.qty is None and spec.size_pct is None:
        return ReasonCode.MISSING_FIELD
    if symbol < 0:
        return ReasonCode.UNKNOWN_SYMBOL
    if not side:
        return ReasonCode.BAD_SIDE
    if kind < MARKET or tif < 0:
        return ReasonCode.BAD_TYPE
    return None


def _bracket(spec: BracketSpec, instrument: Instrument, grid: _Grid, *, is_buy: bool) -> Bracket:
    bracket = Bracket(basis=BASIS_FILL if spec.basis == "fill" else BASIS_ABSOLUTE)
    if isinstance(spec.sl, OffsetSpec):
        bracket.sl_unit, bracket.sl, bracket.sl_n = spec.sl.on_grid(instrument)
    else:
        bracket.sl = grid.ticks(spec.sl, up=not is_buy)
    if isinstance(spec.tp, OffsetSpec):
        bracket.tp_unit, bracket.tp, bracket.tp_n = spec.tp.on_grid(instrument)
    else:
        bracket.tp = grid.ticks(spec.tp, up=is_buy)
    if spec.sl_trail is not None:
        trail = spec.sl_trail.on_grid(instrument)
        bracket.sl_trail_unit, bracket.sl_trail_value, bracket.sl_trail_n = trail
    return bracket


def _index(names: Sequence[str], name: str) -> int:
    upper = name.upper()
    return names.index(upper) if upper in names else -1


def read_order_spec(values: Mapping[str, object]) -> OrderSpec:
    """Return the order that *values* describe.

    Raises:
        pydantic.ValidationError: an unknown key, or a value that is no number, price or time.
    """
    return OrderSpec.model_validate(dict(values))
