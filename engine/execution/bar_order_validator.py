"""Checks of a bar order before it is routed; pure, without side effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from engine.execution.bar_order import (
    BASIS_FILL,
    GTC,
    GTD,
    KIND_NAMES,
    LIMIT,
    MARKET,
    MARKET_IF_TOUCHED,
    MOC,
    MOO,
    OFFSET_ATR,
    OFFSET_NONE,
    OFFSET_PPB,
    OFFSET_PRICE,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    TRAILING_STOP_LIMIT,
    BarOrder,
)
from engine.execution.reasons import ReasonCode
from engine.model.instruments import PPB, Instrument


class BarOrderContext:
    """What the checks may know beside the order.

    ``net_lots`` is the signed position, ``working_sell_lots`` what open sells that may go short
    have yet to sell, ``mark`` the last close in ticks (None before the first), ``arrival_ns``
    when the order reaches the market.
    """

    __slots__ = (
        "allow_nonpositive",
        "arrival_ns",
        "instrument",
        "is_duplicate",
        "is_halted",
        "is_margin",
        "is_oco_closed",
        "is_stopped",
        "mark",
        "net_lots",
        "working_sell_lots",
    )

    def __init__(
        self,
        instrument: Instrument | None,
        *,
        net_lots: int = 0,
        working_sell_lots: int = 0,
        mark: int | None = None,
        arrival_ns: int = 0,
        is_margin: bool = True,
        is_stopped: bool = False,
        is_halted: bool = False,
        is_duplicate: bool = False,
        is_oco_closed: bool = False,
        allow_nonpositive: bool = False,
    ) -> None:
        self.instrument = instrument
        self.net_lots = net_lots
        self.working_sell_lots = working_sell_lots
        self.mark = mark
        self.arrival_ns = arrival_ns
        self.is_margin = is_margin
        self.is_stopped = is_stopped
        self.is_halted = is_halted
        self.is_duplicate = is_duplicate
        self.is_oco_closed = is_oco_closed
        self.allow_nonpositive = allow_nonpositive


_Check: TypeAlias = Callable[[BarOrder, Instrument, BarOrderContext], ReasonCode | None]

_WITH_LIMIT: Final = (LIMIT, STOP_LIMIT)
_WITH_STOP: Final = (STOP, STOP_LIMIT, MARKET_IF_TOUCHED)
_AT_MARKET: Final = (MARKET, MOO, MOC)
_TRAILING: Final = (TRAILING_STOP, TRAILING_STOP_LIMIT)


def find_bar_problem(order: BarOrder, context: BarOrderContext) -> ReasonCode | None:
    """Return the first problem of *order*, None if it may be routed."""
    if context.is_stopped:
        return ReasonCode.CONTAINER_STOPPED
    if context.is_halted and not order.reduce_only and context.net_lots * order.side >= 0:
        return ReasonCode.RISK_HALTED
    if context.is_duplicate:
        return ReasonCode.DUPLICATE_CLIENT_ID
    if order.symbol < 0 or order.kind < 0 or not order.side:
        return ReasonCode.MISSING_FIELD
    if context.instrument is None:
        return ReasonCode.UNKNOWN_SYMBOL
    for check in _CHECKS:
        problem = check(order, context.instrument, context)
        if problem is not None:
            return problem
    return None


def _shape(order: BarOrder, _: Instrument, __: BarOrderContext) -> ReasonCode | None:
    if order.side not in (1, -1):
        return ReasonCode.BAD_SIDE
    if not 0 <= order.kind < len(KIND_NAMES) or not GTC <= order.tif <= GTD:
        return ReasonCode.BAD_TYPE
    if order.kind in _AT_MARKET and (order.limit is not None or order.stop is not None):
        return ReasonCode.BAD_TYPE
    if order.post_only and order.kind not in _WITH_LIMIT:
        return ReasonCode.BAD_TYPE
    if order.size_ppb and order.lots:
        return ReasonCode.BAD_TYPE
    return None


def _quantity(order: BarOrder, instrument: Instrument, _: BarOrderContext) -> ReasonCode | None:
    if order.size_ppb:
        return None if 0 < order.size_ppb <= PPB else ReasonCode.QTY_NOT_POSITIVE
    if order.lots <= 0:
        return ReasonCode.QTY_NOT_POSITIVE
    if order.lots < instrument.min_lots:
        return ReasonCode.QTY_BELOW_MIN
    if instrument.lot * order.lots > instrument.max_qty:
        return ReasonCode.QTY_ABOVE_MAX
    return None


def _prices(order: BarOrder, _: Instrument, context: BarOrderContext) -> ReasonCode | None:
    kind, limit, stop = order.kind, order.limit, order.stop
    if kind == STOP_LIMIT and (limit is None or stop is None):
        return ReasonCode.STOP_LIMIT_INCOMPLETE
    if (kind == LIMIT and limit is None) or (kind in _WITH_STOP and stop is None):
        return ReasonCode.PRICE_REQUIRED
    if context.allow_nonpositive:
        return None
    for price in (limit, stop, order.activation):
        if price is not None and price <= 0:
            return ReasonCode.PRICE_NOT_POSITIVE
    return None


def is_offset(unit: int, value: int, bars: int) -> bool:
    """Whether a trail or an offset is one: positive, of a known unit, below the whole price."""
    if not OFFSET_PRICE <= unit <= OFFSET_ATR or value <= 0:
        return False
    if unit == OFFSET_PPB:
        return value < PPB
    return unit != OFFSET_ATR or bars >= 1


def _trail(order: BarOrder, _: Instrument, __: BarOrderContext) -> ReasonCode | None:
    if order.kind in _TRAILING and not is_offset(
        order.trail_unit, order.trail_value, order.trail_n
    ):
        return ReasonCode.TRAIL_INVALID
    if order.limit_offset < 0:
        return ReasonCode.TRAIL_INVALID
    return None


def _time(order: BarOrder, _: Instrument, context: BarOrderContext) -> ReasonCode | None:
    if order.tif != GTD or order.kind in (MOO, MOC):
        return None
    if order.expire_ns <= 0:
        return ReasonCode.EXPIRE_REQUIRED
    return ReasonCode.EXPIRED_ON_ARRIVAL if order.expire_ns <= context.arrival_ns else None


def _bracket(order: BarOrder, _: Instrument, context: BarOrderContext) -> ReasonCode | None:
    bracket = order.bracket
    if bracket is None:
        return None
    if bracket.sl_trail_unit != OFFSET_NONE and not is_offset(
        bracket.sl_trail_unit, bracket.sl_trail_value, bracket.sl_trail_n
    ):
        return ReasonCode.TRAIL_INVALID
    sl, tp = bracket.sl, bracket.tp
    if bracket.basis == BASIS_FILL:
        return _offsets_problem(order)
    if not context.allow_nonpositive and (
        (sl is not None and sl <= 0) or (tp is not None and tp <= 0)
    ):
        return ReasonCode.PRICE_NOT_POSITIVE
    entry = order.limit if order.limit is not None else order.stop
    if entry is None:
        return None
    if (sl is not None and order.side * (entry - sl) <= 0) or (
        tp is not None and order.side * (tp - entry) <= 0
    ):
        return ReasonCode.BRACKET_INVERTED
    return None


def _offsets_problem(order: BarOrder) -> ReasonCode | None:
    bracket = order.bracket
    if bracket is None:
        return None
    for value, unit, bars in (
        (bracket.sl, bracket.sl_unit, bracket.sl_n),
        (bracket.tp, bracket.tp_unit, bracket.tp_n),
    ):
        if value is not None and not is_offset(unit, value, bars):
            return ReasonCode.BRACKET_INVERTED
    return None


def _reduction(order: BarOrder, _: Instrument, context: BarOrderContext) -> ReasonCode | None:
    if order.reduce_only and context.net_lots * order.side >= 0:
        return ReasonCode.REDUCE_ONLY_NO_POSITION
    return None


def _notional(
    order: BarOrder, instrument: Instrument, context: BarOrderContext
) -> ReasonCode | None:
    least = instrument.min_notional_atoms
    if not least or order.reduce_only or order.size_ppb:
        return None
    if order.lots * order.side == -context.net_lots:
        return None
    price = order.limit if order.limit is not None else order.stop
    if price is None:
        price = context.mark
    if price is None or abs(instrument.notional_atoms(price, order.lots)) >= least:
        return None
    return ReasonCode.MIN_NOTIONAL


def _short(order: BarOrder, instrument: Instrument, context: BarOrderContext) -> ReasonCode | None:
    if order.side > 0 or order.reduce_only:
        return None
    if instrument.shortable and context.is_margin:
        return None
    if order.lots <= context.net_lots - context.working_sell_lots and context.net_lots > 0:
        return None
    return ReasonCode.SHORT_NOT_ALLOWED if instrument.shortable else ReasonCode.NOT_SHORTABLE


def _group(_: BarOrder, __: Instrument, context: BarOrderContext) -> ReasonCode | None:
    return ReasonCode.OCO_GROUP_CLOSED if context.is_oco_closed else None


_CHECKS: Final[tuple[_Check, ...]] = (
    _shape,
    _quantity,
    _prices,
    _trail,
    _time,
    _bracket,
    _reduction,
    _notional,
    _short,
    _group,
)
