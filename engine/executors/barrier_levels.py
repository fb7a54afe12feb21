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
    basis = totals.scaled_basis
    constant, slope = totals.net_line()
    if slope <= 0 or basis <= 0:
        return BarrierLevels(totals.sign)
    line = basis, constant, slope
    close_at, raise_at = _trailing_levels(line, trailing)
    return BarrierLevels(
        totals.sign,
        None if stop_loss is None else _floor(_at(line, (-stop_loss).as_integer_ratio())),
        None if take_profit is None else _ceil(_at(line, take_profit.as_integer_ratio())),
        close_at,
        raise_at,
    )


def with_trailing(
    levels: BarrierLevels, totals: LedgerTotals, trailing: TrailingStopState
) -> BarrierLevels:
    """Return *levels* after the trailing trigger has moved; something must be open."""
    line = (totals.scaled_basis, *totals.net_line())
    close_at, raise_at = _trailing_levels(line, trailing)
    return BarrierLevels(levels.sign, levels.stop_loss, levels.take_profit, close_at, raise_at)


_Ratio = tuple[int, int]
_Line = tuple[int, int, int]
"""Basis, constant and slope: the net PnL is (constant + slope * signed mark) / basis."""


def _trailing_levels(
    line: _Line, trailing: TrailingStopState | None
) -> tuple[int | None, int | None]:
    """Return where the trailing stop closes and where it is armed or raised."""
    if trailing is None:
        return None, None
    if trailing.trigger is None:
        return None, _floor(_at(line, trailing.activation.as_integer_ratio())) + 1
    trigger = trailing.trigger.as_integer_ratio()
    peak = _sum(trigger, trailing.delta.as_integer_ratio())
    return _ceil(_at(line, trigger)) - 1, _floor(_at(line, peak)) + 1


def _at(line: _Line, net: _Ratio) -> _Ratio:
    """Return the signed mark at which the net PnL is *net*, as a fraction."""
    basis, constant, slope = line
    return net[0] * basis - net[1] * constant, net[1] * slope


def _sum(left: _Ratio, right: _Ratio) -> _Ratio:
    return left[0] * right[1] + right[0] * left[1], left[1] * right[1]


def _floor(value: _Ratio) -> int:
    return value[0] // value[1]


def _ceil(value: _Ratio) -> int:
    return -(-value[0] // value[1])
