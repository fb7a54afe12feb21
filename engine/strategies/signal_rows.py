"""One signal in whole numbers: what the risk manager sees, and a row of a signal table."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal
from typing import Final, NamedTuple

import numpy as np

from engine.model.instruments import PPB, Instrument
from engine.model.orders import OrderType
from engine.strategies.signal_codes import (
    BarOrderType,
    BracketBasis,
    KindCode,
    OcoMode,
    OffsetUnit,
    TimeInForce,
)
from engine.strategies.signal_table import DEFAULTS, NO_PRICE, Column, SignalTable
from engine.strategies.signals import Bracket, Offset, Signal, SignalKind

_KINDS: Final = {
    SignalKind.TARGET_WEIGHT: KindCode.TARGET_WEIGHT,
    SignalKind.TARGET_QTY: KindCode.TARGET_QTY,
    SignalKind.DIRECTION: KindCode.DIRECTION,
    SignalKind.EXIT: KindCode.EXIT,
    SignalKind.ORDER: KindCode.ORDER,
}
_TYPES: Final = {
    OrderType.MARKET: (BarOrderType.MARKET, False),
    OrderType.LIMIT: (BarOrderType.LIMIT, False),
    OrderType.LIMIT_MAKER: (BarOrderType.LIMIT, True),
}


class SignalRow(NamedTuple):
    """A signal in ticks, lots and parts per billion; fields as the columns of `SignalTable`.

    Of kind ORDER ``side`` is +1 or -1 and ``value`` the lots; of the others ``side`` is 0.
    """

    bar: int = 0
    kind: int = KindCode.DIRECTION
    value: int = 0
    side: int = 0
    strength_ppb: int = PPB
    only_flat: int = 0
    order_type: int = BarOrderType.MARKET
    limit: int = NO_PRICE
    stop: int = NO_PRICE
    trail: int = NO_PRICE
    trail_unit: int = OffsetUnit.NONE
    limit_offset: int = NO_PRICE
    activation: int = NO_PRICE
    tif: int = TimeInForce.GTC
    expire: int = 0
    bracket_basis: int = BracketBasis.ABSOLUTE
    sl: int = NO_PRICE
    tp: int = NO_PRICE
    sl_trail: int = NO_PRICE
    sl_unit: int = OffsetUnit.PRICE
    tp_unit: int = OffsetUnit.PRICE
    sl_trail_unit: int = OffsetUnit.NONE
    trail_n: int = 14
    sl_n: int = 14
    tp_n: int = 14
    sl_trail_n: int = 14
    off_grid: int = 0
    reduce_only: int = 0
    post_only: int = 0
    size_ppb: int = 0
    oco_group: int = 0
    oco_mode: int = OcoMode.DEFAULT
    cancel_tag: int = 0
    replace_tag: int = 0
    tag: int = 0


FIELDS: Final = SignalRow._fields


class TagIndex:
    """Numbers of tags in the order in which they come up; the empty tag is 0."""

    def __init__(self) -> None:
        self._numbers = {"": 0}

    @property
    def tags(self) -> tuple[str, ...]:
        """Return the tags by number."""
        return tuple(self._numbers)

    def number(self, tag: str) -> int:
        """Return the number of *tag*, a new one if it is new."""
        return self._numbers.setdefault(tag, len(self._numbers))


class _Grid:
    """Rounds prices of one signal to the grid of its instrument (UNIT-5)."""

    def __init__(self, instrument: Instrument, *, is_buy: bool) -> None:
        self._instrument = instrument
        self._is_buy = is_buy
        self.off_grid = False

    def passive(self, price: Decimal | None) -> int:
        return self._ticks(price, up=not self._is_buy)

    def far(self, price: Decimal | None) -> int:
        """A stop: away from the market, buys up and sells down."""
        return self._ticks(price, up=self._is_buy)

    def exit_stop(self, price: Decimal | None) -> int:
        """The stop of a bracket: its order has the other side."""
        return self._ticks(price, up=not self._is_buy)

    def exit_limit(self, price: Decimal | None) -> int:
        """The target of a bracket: a limit of the other side, passive."""
        return self._ticks(price, up=self._is_buy)

    def _ticks(self, price: Decimal | None, *, up: bool) -> int:
        if price is None:
            return NO_PRICE
        exact = price / self._instrument.tick
        ticks = int(exact.to_integral_value(ROUND_CEILING if up else ROUND_FLOOR))
        self.off_grid = self.off_grid or ticks != exact
        return ticks

    def offset(self, offset: Offset | None) -> tuple[int, int]:
        """Return (amount, unit); a price difference is rounded to a whole number of ticks, up."""
        if offset is None:
            return NO_PRICE, OffsetUnit.NONE
        match offset.unit:
            case OffsetUnit.PRICE:
                return self._ticks(offset.amount, up=True), OffsetUnit.PRICE
            case OffsetUnit.PPB:
                return _ppb(offset.amount), OffsetUnit.PPB
            case OffsetUnit.ATR:
                return _ppb(offset.amount), OffsetUnit.ATR
            case _:
                return int(offset.amount), OffsetUnit.TICKS


def row_of(signal: Signal, *, instrument: Instrument, bar: int, tags: TagIndex) -> SignalRow:
    """Return *signal*, given at the close of *bar*, in whole numbers."""
    kind = _KINDS[signal.kind]
    if _is_plain(signal):
        return SignalRow(
            bar,
            kind,
            _value(signal, kind, instrument),
            strength_ppb=PPB if signal.strength == 1 else _ppb(signal.strength),
            only_flat=int(signal.only_flat),
            tag=tags.number(signal.tag),
        )
    post_only = signal.post_only
    order_type = signal.order_type
    if isinstance(order_type, OrderType):
        order_type, is_maker = _TYPES[order_type]
        post_only = post_only or is_maker
    side = signal.side or (1 if signal.value > 0 else -1)
    grid = _Grid(instrument, is_buy=side > 0)
    trail, trail_unit = grid.offset(signal.trail)
    bracket = signal.bracket or Bracket()
    sl, sl_unit = _exit(bracket.stop, grid, is_stop=True)
    tp, tp_unit = _exit(bracket.target, grid, is_stop=False)
    sl_trail, sl_trail_unit = grid.offset(bracket.trail)
    is_touched = order_type is BarOrderType.MARKET_IF_TOUCHED
    row = {
        "limit": grid.passive(signal.limit),
        "stop": grid.passive(signal.stop) if is_touched else grid.far(signal.stop),
        "limit_offset": grid.passive(signal.limit_offset),
        "activation": grid.far(signal.activation),
    }
    return SignalRow(
        bar=bar,
        kind=kind,
        value=_value(signal, kind, instrument),
        side=side if kind is KindCode.ORDER else 0,
        strength_ppb=_ppb(signal.strength),
        only_flat=int(signal.only_flat),
        order_type=order_type,
        trail=trail,
        trail_unit=trail_unit,
        tif=signal.tif,
        expire=signal.expire_ns,
        bracket_basis=bracket.basis,
        sl=sl,
        tp=tp,
        sl_trail=sl_trail,
        sl_unit=sl_unit,
        tp_unit=tp_unit,
        sl_trail_unit=sl_trail_unit,
        trail_n=_length(signal.trail),
        sl_n=_length(bracket.stop),
        tp_n=_length(bracket.target),
        sl_trail_n=_length(bracket.trail),
        off_grid=int(grid.off_grid),
        reduce_only=int(signal.reduce_only),
        post_only=int(post_only),
        size_ppb=0 if signal.size_pct is None else _ppb(signal.size_pct),
        oco_group=signal.oco_group,
        oco_mode=signal.oco_mode,
        cancel_tag=tags.number(signal.cancel),
        replace_tag=tags.number(signal.replace),
        tag=tags.number(signal.tag),
        **row,
    )


def _is_plain(signal: Signal) -> bool:
    """Whether *signal* is a market order without anything: most are."""
    return (
        signal.order_type is OrderType.MARKET
        and signal.kind is not SignalKind.ORDER
        and signal.bracket is None
        and signal.size_pct is None
        and signal.tif is TimeInForce.GTC
        and not signal.cancel
        and not signal.replace
        and not signal.oco_group
        and not signal.reduce_only
    )


def _exit(part: Decimal | Offset | None, grid: _Grid, *, is_stop: bool) -> tuple[int, int]:
    if isinstance(part, Offset):
        return grid.offset(part)
    return (grid.exit_stop(part) if is_stop else grid.exit_limit(part)), OffsetUnit.PRICE


def _ppb(value: Decimal) -> int:
    return int((value * PPB).to_integral_value(ROUND_DOWN))


def _length(part: Decimal | Offset | None) -> int:
    return part.atr_length if isinstance(part, Offset) else 14


def _value(signal: Signal, kind: KindCode, instrument: Instrument) -> int:
    match kind:
        case KindCode.TARGET_WEIGHT:
            return _ppb(signal.value)
        case KindCode.DIRECTION:
            return (signal.value > 0) - (signal.value < 0)
        case KindCode.EXIT:
            return 0
        case KindCode.ORDER:
            # With ``side`` a negative quantity is nonsense, which the validator says.
            lots = instrument.floor_lots(signal.value)
            return lots if signal.side else abs(lots)
        case _:
            return instrument.floor_lots(signal.value)


def table_of(rows: Iterable[SignalRow], tags: tuple[str, ...]) -> SignalTable:
    """Return *rows* as columns."""
    tuples = list(rows)
    columns: dict[str, Column] = {}
    for index, name in enumerate(FIELDS):
        column = np.asarray([one[index] for one in tuples], dtype=DEFAULTS[name][0])
        column.flags.writeable = False
        columns[name] = column
    return SignalTable(columns, tags)


def rows_of(table: SignalTable) -> list[SignalRow]:
    """Return *table* as rows."""
    lists = [table[name].tolist() for name in FIELDS]
    return [SignalRow(*values) for values in zip(*lists, strict=True)]
