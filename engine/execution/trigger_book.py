"""Orders of one market that wait for a price: stops, touches, trailing stops (TICK-2)."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final

from engine.execution.live_order import LiveOrder
from engine.execution.resting_side import RestingSide
from engine.model.instruments import PPB
from engine.model.orders import OrderTrigger, TriggerKind

_RISE: Final = -1
_FALL: Final = 1


@unique
class TriggerBasis(StrEnum):
    """Which price sets orders off."""

    LAST = "last"
    BID_ASK = "bid_ask"
    MID = "mid"


class TriggerBook:
    """Waiting orders by level, each side against its own reference price.

    All prices are in half ticks, so that a mid stays whole. A reference that reaches nothing costs
    two comparisons a side and one for each trailing stop.
    """

    __slots__ = ("_sides", "_trailing")

    def __init__(self) -> None:
        # By (side of the order, way of the price): rising prices reach the lowest level first.
        self._sides = {(side, way): RestingSide(way) for side in (1, -1) for way in (_RISE, _FALL)}
        self._trailing: dict[str, LiveOrder] = {}

    def __len__(self) -> int:
        return len(self._trailing) + sum(len(side.keys) for side in self._sides.values())

    def add(self, order: LiveOrder, reference_twice: int | None) -> None:
        """Let *order* wait; a trailing stop begins at its start, or else at the reference."""
        trigger = order.request.trigger
        if trigger is None:
            return
        if trigger.kind is TriggerKind.TRAILING:
            self._trailing[order.request.client_order_id] = order
            if trigger.start_ticks is not None:
                order.extreme_twice = 2 * trigger.start_ticks
            elif trigger.activation_ticks is None:
                order.extreme_twice = reference_twice
        self._place(order, trigger)

    def discard(self, order: LiveOrder) -> None:
        """Take *order* out, if it is there."""
        self._trailing.pop(order.request.client_order_id, None)
        trigger = order.request.trigger
        if trigger is not None and order.level_twice is not None:
            self._sides[_key(order, trigger)].discard(order, order.level_twice)

    def reached(self, buy_twice: int, sell_twice: int) -> list[LiveOrder]:
        """Return what the references of buys and sells reach, by arrival."""
        found = []
        for (side, _), waiting in self._sides.items():
            reference = buy_twice if side > 0 else sell_twice
            if waiting.is_reached(reference):
                found += [order for order, _ in waiting.reached(reference)]
        found.sort(key=lambda order: order.number)
        return found

    def follow(self, buy_twice: int, sell_twice: int) -> None:
        """Let the trailing stops follow their references."""
        for order in self._trailing.values():
            trigger = order.request.trigger
            if trigger is None:
                continue
            sign = order.sign
            reference = buy_twice if sign > 0 else sell_twice
            extreme = order.extreme_twice
            if extreme is None:
                activation = trigger.activation_ticks
                if activation is not None and sign * (2 * activation - reference) < 0:
                    continue
            elif sign * (extreme - reference) <= 0:
                continue
            if order.level_twice is not None:
                self._sides[_key(order, trigger)].discard(order, order.level_twice)
            order.extreme_twice = reference
            self._place(order, trigger)

    def _place(self, order: LiveOrder, trigger: OrderTrigger) -> None:
        if trigger.kind is TriggerKind.TRAILING:
            extreme = order.extreme_twice
            if extreme is None:
                return
            order.level_twice = trailing_level(extreme, trigger, order.sign)
        elif trigger.stop_ticks is not None:
            order.level_twice = 2 * trigger.stop_ticks
        if order.level_twice is not None:
            self._sides[_key(order, trigger)].add(order, order.level_twice)


def trailing_level(extreme_twice: int, trigger: OrderTrigger, sign: int) -> int:
    """Return the stop in half ticks: a whole tick, away from the market (FILL-17)."""
    offset = 2 * trigger.trail_ticks
    if trigger.trail_ppb:
        offset = -(-abs(extreme_twice) * trigger.trail_ppb // PPB)
    level = extreme_twice + sign * offset
    return -(-level // 2) * 2 if sign > 0 else level // 2 * 2


def _key(order: LiveOrder, trigger: OrderTrigger) -> tuple[int, int]:
    rises = (order.sign > 0) != (trigger.kind is TriggerKind.TOUCH)
    return order.sign, _RISE if rises else _FALL
