"""Checks of an order before it is routed; pure, without side effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from engine.execution.reasons import ReasonCode
from engine.model.instruments import PPB, Instrument
from engine.model.orders import OrderRequest, OrderType, TimeInForce, TradeType, TriggerKind


@dataclass(frozen=True, slots=True)
class OrderContext:
    """What the checks may know beside the order.

    ``instrument`` is None for a market that the session does not trade. ``mark_twice`` is the
    last mark in half ticks, 0 before the first. ``net_lots`` is the signed position, of a hedged
    market the one that the order closes or adds to; ``working_sell_lots`` is what open sell
    orders have yet to sell. Spot sells may go short only with ``is_margin_account`` (PF-8).
    """

    instrument: Instrument | None
    net_lots: int = 0
    working_sell_lots: int = 0
    mark_twice: int = 0
    is_margin_account: bool = False
    is_stopped: bool = False
    now_ns: int = 0


@dataclass(frozen=True, slots=True)
class OrderProblem:
    """Why an order is refused: a code, and a sentence with the values."""

    code: ReasonCode
    text: str


_Check: TypeAlias = Callable[[OrderRequest, Instrument, OrderContext], OrderProblem | None]


class OrderValidator:
    """The checks of an order before it is routed, as a component without state."""

    @staticmethod
    def validate(request: OrderRequest, context: OrderContext) -> OrderProblem | None:
        """Return None if *request* may be routed, else its first problem with the reason code."""
        return find_problem(request, context)


def find_problem(request: OrderRequest, context: OrderContext) -> OrderProblem | None:
    """Return the first problem of *request*, or None if it may be routed."""
    if context.is_stopped:
        return OrderProblem(ReasonCode.CONTAINER_STOPPED, "the session takes no more orders")
    if not request.client_order_id or not request.owner_id:
        return OrderProblem(ReasonCode.MISSING_FIELD, "client_order_id and owner_id are needed")
    if context.instrument is None:
        return OrderProblem(
            ReasonCode.UNKNOWN_SYMBOL, f"{request.market} is not a market of this session"
        )
    for check in _CHECKS:
        problem = check(request, context.instrument, context)
        if problem is not None:
            return problem
    return None


def _side(request: OrderRequest, _: Instrument, __: OrderContext) -> OrderProblem | None:
    if request.side is TradeType.RANGE:
        return OrderProblem(ReasonCode.BAD_SIDE, "the side is RANGE; BUY and SELL are allowed")
    if request.leverage < 1:
        return OrderProblem(
            ReasonCode.BAD_LEVERAGE, f"the leverage is {request.leverage}; 1 or more is allowed"
        )
    return None


def _price(request: OrderRequest, _: Instrument, __: OrderContext) -> OrderProblem | None:
    limit = request.limit_ticks
    trigger = request.trigger
    if request.order_type is OrderType.MARKET:
        if limit is None:
            return None
        return OrderProblem(ReasonCode.BAD_TYPE, "a MARKET order takes no limit price")
    if limit is None and trigger is not None and trigger.limit_offset_ticks is not None:
        return None
    if limit is None:
        return OrderProblem(
            ReasonCode.PRICE_REQUIRED, f"a {request.order_type.name} order needs a limit price"
        )
    if limit <= 0:
        return OrderProblem(
            ReasonCode.PRICE_NOT_POSITIVE, f"the limit price is {limit} ticks; it must be above 0"
        )
    return None


def _trigger(request: OrderRequest, _: Instrument, __: OrderContext) -> OrderProblem | None:
    trigger = request.trigger
    if trigger is None:
        return None
    stop = trigger.stop_ticks
    if trigger.kind is TriggerKind.TRAILING:
        if (trigger.trail_ticks > 0) == (0 < trigger.trail_ppb < PPB):
            return OrderProblem(
                ReasonCode.TRAIL_INVALID,
                f"a trail is a number of ticks or a share below 1; here are {trigger.trail_ticks} "
                f"ticks and {trigger.trail_ppb} ppb",
            )
        if (trigger.limit_offset_ticks or 0) < 0:
            return OrderProblem(
                ReasonCode.TRAIL_INVALID,
                f"the limit offset is {trigger.limit_offset_ticks} ticks; 0 or more is allowed",
            )
        return None
    if stop is None:
        return OrderProblem(
            ReasonCode.PRICE_REQUIRED, f"a {trigger.kind.name} trigger needs a stop price"
        )
    if stop <= 0:
        return OrderProblem(
            ReasonCode.PRICE_NOT_POSITIVE, f"the stop price is {stop} ticks; it must be above 0"
        )
    return None


def _time(request: OrderRequest, _: Instrument, context: OrderContext) -> OrderProblem | None:
    if request.time_in_force is TimeInForce.DAY:
        return OrderProblem(
            ReasonCode.BAD_TYPE, "quotes have no sessions that a DAY order could end with; use GTD"
        )
    if request.time_in_force is not TimeInForce.GTD:
        return None
    if request.expire_ns <= 0:
        return OrderProblem(ReasonCode.EXPIRE_REQUIRED, "a GTD order needs the time of its end")
    if request.expire_ns <= context.now_ns:
        return OrderProblem(
            ReasonCode.EXPIRED_ON_ARRIVAL, f"the order ended at {request.expire_ns}, before now"
        )
    return None


def _quantity(
    request: OrderRequest, instrument: Instrument, _: OrderContext
) -> OrderProblem | None:
    lots = request.lots
    if lots <= 0:
        return OrderProblem(ReasonCode.QTY_NOT_POSITIVE, f"the amount is {lots} lots")
    if lots < instrument.min_lots:
        least = instrument.qty(instrument.min_lots)
        return OrderProblem(
            ReasonCode.QTY_BELOW_MIN, f"the amount {instrument.qty(lots)} is below {least}"
        )
    qty = instrument.qty(lots)
    if qty > instrument.max_qty:
        return OrderProblem(
            ReasonCode.QTY_ABOVE_MAX, f"the amount {qty} is above {instrument.max_qty}"
        )
    return None


def _reduction(
    request: OrderRequest, instrument: Instrument, context: OrderContext
) -> OrderProblem | None:
    only_reduces = request.reduce_only or (request.is_closing and instrument.is_perpetual)
    if only_reduces and context.net_lots * request.side.sign >= 0:
        return OrderProblem(
            ReasonCode.REDUCE_ONLY_NO_POSITION,
            f"there is no position that a {request.side.name} could reduce",
        )
    return None


def _notional(
    request: OrderRequest, instrument: Instrument, context: OrderContext
) -> OrderProblem | None:
    if request.reduce_only or request.lots * request.side.sign == -context.net_lots:
        return None
    price = request.limit_ticks
    if price is None and request.trigger is not None:
        price = request.trigger.stop_ticks
    ticks_twice = context.mark_twice if price is None else 2 * price
    if not ticks_twice:
        return None
    if instrument.notional_atoms(ticks_twice, request.lots) >= 2 * instrument.min_notional_atoms:
        return None
    notional = instrument.money(instrument.notional_atoms(ticks_twice, request.lots)) / 2
    return OrderProblem(
        ReasonCode.MIN_NOTIONAL, f"the notional {notional} is below {instrument.min_notional}"
    )


def _short(
    request: OrderRequest, instrument: Instrument, context: OrderContext
) -> OrderProblem | None:
    if request.side is not TradeType.SELL:
        return None
    sellable = context.net_lots - context.working_sell_lots
    if request.lots <= sellable:
        return None
    held = instrument.qty(max(0, sellable))
    if not instrument.shortable:
        return OrderProblem(
            ReasonCode.NOT_SHORTABLE,
            f"selling {instrument.qty(request.lots)} with {held} to sell would go short, "
            "which the instrument does not allow",
        )
    if not instrument.is_perpetual and not context.is_margin_account:
        return OrderProblem(
            ReasonCode.SHORT_NOT_ALLOWED,
            f"selling {instrument.qty(request.lots)} with {held} to sell would go short, "
            "which needs a margin account",
        )
    return None


_CHECKS: Final[tuple[_Check, ...]] = (
    _side,
    _price,
    _trigger,
    _time,
    _quantity,
    _reduction,
    _notional,
    _short,
)
