"""Barriers on the net PnL, turned into whole price ticks without loss."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from engine.executors.barriers import TrailingStopState
from engine.executors.fill_ledger import LedgerTotals
from engine.executors.wake_conditions import PriceField, PriceTrigger
from engine.model.instruments import ConnectorPair


@dataclass(frozen=True, slots=True)
class BarrierLevels:
    """Marks at which a barrier's condition holds, as *signed* marks: sign times ticks.

    Net PnL grows with the signed mark, for longs and shorts alike, and it is linear in it. So
    ``net <= x`` is the same as ``signed mark <= level`` with an integer level: comparing with the
    level is the exact rule, not an approximation. None means that the barrier cannot fire.
    """

    sign: int = 1
    stop_loss: int | None = None
    """Fires at or below."""
    take_profit: int | None = None
    """Fires at or above."""
    trailing_close: int | None = None
    """Fires at or below."""
    trailing_raise: int | None = None
    """At or above it the trailing trigger is armed or raised."""

    def triggers(
        self, market: ConnectorPair, *, is_take_profit_monitored: bool
    ) -> tuple[PriceTrigger, ...]:
        """Return the price triggers that see every one of these levels being reached."""
        watched = PriceField.BID if self.sign > 0 else PriceField.ASK
        falling = [level for level in (self.stop_loss, self.trailing_close) if level is not None]
        rising = [self.trailing_raise] if self.trailing_raise is not None else []
        if is_take_profit_monitored and self.take_profit is not None:
            rising.append(self.take_profit)
        found: list[PriceTrigger] = []
        if falling:
            found.append(self._trigger(market, watched, max(falling), is_rising=False))
        if rising:
            found.append(self._trigger(market, watched, min(rising), is_rising=True))
        return tuple(found)

    def _trigger(
        self, market: ConnectorPair, watched: PriceField, level: int, *, is_rising: bool
    ) -> PriceTrigger:
        is_above = is_rising == (self.sign > 0)
        return PriceTrigger(market, watched, is_above=is_above, level=self.sign * level)


NO_LEVELS: Final = BarrierLevels()


def barrier_levels(
    totals: LedgerTotals,
    stop_loss: Fraction | Decimal | None,
    take_profit: Fraction | Decimal | None,
    trailing: TrailingStopState | None,
) -> BarrierLevels:
    """Return the levels of 4.1 and 4.2 for the fills so far; none while nothing is open."""
    sign, basis = totals.sign, totals.scaled_basis
    constant, slope = totals.net_line()
    if slope <= 0 or basis <= 0:
        return BarrierLevels(sign)

    def at(numerator: int, denominator: int) -> tuple[int, int]:
        """Return the signed mark at which the net PnL is the given fraction, as a fraction."""
        return numerator * basis - denominator * constant, denominator * slope

    close_at = raise_at = None
    if trailing is not None:
        peak = trailing.activation.numerator, trailing.activation.denominator
        if trailing.trigger is not None:
            trigger = trailing.trigger.numerator, trailing.trigger.denominator
            close_at = _ceil(at(*trigger)) - 1
            peak = _sum(trigger, (trailing.delta.numerator, trailing.delta.denominator))
        raise_at = _floor(at(*peak)) + 1
    return BarrierLevels(
        sign,
        None if stop_loss is None else _floor(at(*(-stop_loss).as_integer_ratio())),
        None if take_profit is None else _ceil(at(*take_profit.as_integer_ratio())),
        close_at,
        raise_at,
    )


def _sum(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    return left[0] * right[1] + right[0] * left[1], left[1] * right[1]


def _floor(value: tuple[int, int]) -> int:
    return value[0] // value[1]


def _ceil(value: tuple[int, int]) -> int:
    return -(-value[0] // value[1])
