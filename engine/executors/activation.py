"""Activation bounds: work an order only while the mid is near."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Final, NamedTuple

from engine.executors.wake_conditions import PriceField, PriceTrigger
from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderType, TradeType


class ActivationWindow(NamedTuple):
    """Mids, in half ticks (bid + ask), at which an order works; None is open, both inclusive."""

    low: int | None = None
    high: int | None = None

    def contains(self, mid_half_ticks: int) -> bool:
        """Whether the order works at this mid."""
        return (self.low is None or mid_half_ticks >= self.low) and (
            self.high is None or mid_half_ticks <= self.high
        )

    def edge_triggers(self, market: ConnectorPair, mid_half_ticks: int) -> tuple[PriceTrigger, ...]:
        """Return what must be watched to see the mid enter or leave the window."""
        low, high = self.low, self.high
        if low is not None and mid_half_ticks < low:
            return (PriceTrigger(market, PriceField.MID, is_above=True, level=low),)
        if high is not None and mid_half_ticks > high:
            return (PriceTrigger(market, PriceField.MID, is_above=False, level=high),)
        triggers: list[PriceTrigger] = []
        if low is not None:
            triggers.append(PriceTrigger(market, PriceField.MID, is_above=False, level=low - 1))
        if high is not None:
            triggers.append(PriceTrigger(market, PriceField.MID, is_above=True, level=high + 1))
        return tuple(triggers)


ALWAYS: Final = ActivationWindow()


def activation_window(
    order_ticks: Fraction,
    side: TradeType,
    order_type: OrderType,
    bounds: Sequence[Fraction] | None,
) -> ActivationWindow:
    """Return where an order at *order_ticks* works, as integers that decide exactly.

    Limit types: BUY if O >= M*(1-b0), SELL if O <= M*(1+b0). MARKET: BUY if O*(1-b0) <= M <=
    O*(1+b1), SELL if O*(1-b1) <= M <= O*(1+b0).
    """
    if not bounds:
        return ALWAYS
    near = bounds[0]
    if order_type is OrderType.MARKET:
        far = bounds[-1]
        below, above = (near, far) if side is TradeType.BUY else (far, near)
        return ActivationWindow(
            ceil(2 * order_ticks * (1 - below)), floor(2 * order_ticks * (1 + above))
        )
    if side is TradeType.SELL:
        return ActivationWindow(low=ceil(2 * order_ticks / (1 + near)))
    if near >= 1:
        return ALWAYS
    return ActivationWindow(high=floor(2 * order_ticks / (1 - near)))
