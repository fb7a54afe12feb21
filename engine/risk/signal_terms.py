"""What a signal asks of its order, as a session can place it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Final

from engine.model.instruments import PPB, Instrument
from engine.model.orders import OrderTrigger, OrderType, TimeInForce, TriggerKind
from engine.strategies.signal_codes import BarOrderType, BracketBasis, OffsetUnit
from engine.strategies.signals import Bracket, Offset, Signal

_LIMITED: Final = (
    BarOrderType.LIMIT,
    BarOrderType.STOP_LIMIT,
)
_STOPS: Final = {
    BarOrderType.STOP: TriggerKind.STOP,
    BarOrderType.STOP_LIMIT: TriggerKind.STOP,
    BarOrderType.MARKET_IF_TOUCHED: TriggerKind.TOUCH,
}
_TRAILS: Final = (BarOrderType.TRAILING_STOP, BarOrderType.TRAILING_STOP_LIMIT)


class UnsupportedSignalError(ValueError):
    """A session cannot place such an order; the message says what of it."""


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """Type and prices of an order, on the instrument's grid."""

    order_type: OrderType = OrderType.MARKET
    limit_ticks: int | None = None
    trigger: OrderTrigger | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expire_ns: int = 0
    reduce_only: bool = False


def check_supported(signal: Signal) -> None:
    """Raise if no session can place an order for *signal*.

    Raises:
        UnsupportedSignalError: it has something that exists in backtests only, or lacks a price.
    """
    only_in_backtests = [
        name
        for name, is_asked in (
            ("an OCO group", bool(signal.oco_group)),
            ("replace by tag", bool(signal.replace)),
            ("size_pct", signal.size_pct is not None),
            ("a distance in ATRs", any(map(_is_atr, _distances(signal)))),
        )
        if is_asked
    ]
    order_type = signal.order_type
    if order_type in (BarOrderType.MOO, BarOrderType.MOC):
        only_in_backtests.append(f"order type {order_type.name}")
    if only_in_backtests:
        raise UnsupportedSignalError(f"{', '.join(only_in_backtests)} can be had in backtests only")
    if isinstance(order_type, OrderType):
        return
    missing = [
        name
        for name, is_missing in (
            ("limit", order_type in _LIMITED and signal.limit is None),
            ("stop", order_type in _STOPS and signal.stop is None),
            ("trail", order_type in _TRAILS and signal.trail is None),
            (
                "limit_offset",
                order_type is BarOrderType.TRAILING_STOP_LIMIT and signal.limit_offset is None,
            ),
        )
        if is_missing
    ]
    if missing:
        raise UnsupportedSignalError(f"a {order_type.name} order needs {' and '.join(missing)}")


def terms_of(signal: Signal, instrument: Instrument, *, is_buy: bool) -> OrderTerms:
    """Return the terms of the order for *signal*, which `check_supported` let pass.

    Prices off the grid are rounded: a limit to the passive side, a stop away from the market.
    """
    limit = signal.limit
    return OrderTerms(
        order_type=_order_type(signal),
        limit_ticks=None if limit is None else instrument.passive_ticks(limit, is_buy=is_buy),
        trigger=_trigger(signal, instrument, is_buy=is_buy),
        time_in_force=TimeInForce[signal.tif.name],
        expire_ns=signal.expire_ns,
        reduce_only=signal.reduce_only,
    )


def _order_type(signal: Signal) -> OrderType:
    order_type = signal.order_type
    if isinstance(order_type, OrderType):
        return order_type
    if order_type is BarOrderType.LIMIT and signal.post_only:
        return OrderType.LIMIT_MAKER
    is_limited = order_type in _LIMITED or order_type is BarOrderType.TRAILING_STOP_LIMIT
    return OrderType.LIMIT if is_limited else OrderType.MARKET


def _trigger(signal: Signal, instrument: Instrument, *, is_buy: bool) -> OrderTrigger | None:
    order_type = signal.order_type
    if isinstance(order_type, OrderType):
        return None
    kind = _STOPS.get(order_type)
    if kind is not None and signal.stop is not None:
        rises = is_buy is (kind is TriggerKind.STOP)
        return OrderTrigger(kind, stop_ticks=_ticks(signal.stop, instrument, up=rises))
    trail = signal.trail
    if order_type not in _TRAILS or trail is None:
        return None
    offset, activation = signal.limit_offset, signal.activation
    return replace(
        trail_trigger(trail, instrument),
        activation_ticks=None if activation is None else _ticks(activation, instrument, up=is_buy),
        limit_offset_ticks=None if offset is None else _ticks(offset, instrument, up=not is_buy),
    )


def trail_trigger(trail: Offset, instrument: Instrument) -> OrderTrigger:
    """Return the trigger of a stop that trails by *trail*; a price is rounded to ticks, up."""
    if trail.unit is OffsetUnit.PPB:
        share = int((trail.amount * PPB).to_integral_value(ROUND_DOWN))
        return OrderTrigger(TriggerKind.TRAILING, trail_ppb=share)
    if trail.unit is OffsetUnit.TICKS:
        return OrderTrigger(TriggerKind.TRAILING, trail_ticks=int(trail.amount))
    return OrderTrigger(TriggerKind.TRAILING, trail_ticks=_ticks(trail.amount, instrument, up=True))


def risk_to_stop(signal: Signal, instrument: Instrument, *, side: int, mark_twice: int) -> int:
    """Return how far the stop of a signal's bracket is from its entry, in half ticks; 0: none.

    The entry is the limit, the stop of a stop order, or the mark; the exit's stop is rounded away
    from the market.
    """
    stop = None if signal.bracket is None else signal.bracket.stop
    if stop is None:
        return 0
    price = signal.limit if signal.limit is not None else signal.stop
    tick = Fraction(instrument.tick)
    entry = Fraction(mark_twice, 2) if price is None else Fraction(price) / tick
    if isinstance(stop, Decimal):
        level = Fraction(stop) / tick
    elif stop.unit is OffsetUnit.PPB:
        level = entry * (1 - side * Fraction(stop.amount))
    elif stop.unit is OffsetUnit.TICKS:
        level = entry - side * int(stop.amount)
    else:
        level = entry - side * ceil(Fraction(stop.amount) / tick)
    ticks = floor(level) if side > 0 else ceil(level)
    return int(2 * abs(entry - ticks))


def find_inverted(signal: Signal, *, side: int) -> str:
    """Return what is wrong with a bracket of prices on an entry with a price, empty if nothing.

    A long needs stop < entry < target, a short target < entry < stop.
    """
    bracket = signal.bracket
    entry = signal.limit if signal.limit is not None else signal.stop
    if bracket is None or entry is None or bracket.basis is BracketBasis.FILL:
        return ""
    for name, price, sign in (("stop", bracket.stop, -side), ("target", bracket.target, side)):
        if isinstance(price, Decimal) and sign * (price - entry) <= 0:
            where = "above" if sign > 0 else "below"
            return f"the {name} {price} of the bracket must be {where} the entry {entry}"
    return ""


def _distances(signal: Signal) -> Iterator[Offset]:
    bracket = signal.bracket or Bracket()
    for part in (signal.trail, bracket.stop, bracket.target, bracket.trail):
        if isinstance(part, Offset):
            yield part


def _ticks(price: Decimal, instrument: Instrument, *, up: bool) -> int:
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    return int((price / instrument.tick).to_integral_value(rounding))


def _is_atr(distance: Offset) -> bool:
    return distance.unit is OffsetUnit.ATR
