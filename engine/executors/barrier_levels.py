"""Barriers on the net PnL, turned into whole price ticks without loss."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from engine.executors.barriers import TrailingStopState
from engine.executors.fill_ledger import LedgerTotals
from engine.executors.wake_conditions import PriceField, PriceTrigger
from engine.model.instruments import ConnectorPair


class BarrierLevels(NamedTuple):
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

    def with_stop_at(self, level: int | None) -> BarrierLevels:
        """Return these levels with one more stop at the signed mark *level*: the nearer one fires.

        None adds none.
        """
        if level is None or (self.stop_loss is not None and self.stop_loss >= level):
            return self
        return self._replace(stop_loss=level)

    def triggers(
        self, market: ConnectorPair, *, is_take_profit_monitored: bool
    ) -> tuple[PriceTrigger, ...]:
        """Return the price triggers that see every one of these levels being reached."""
        sign, low, high, trail, rise = self
        if trail is not None and (low is None or trail > low):
            low = trail
        if not is_take_profit_monitored or (rise is not None and high is not None and rise < high):
            high = rise
        if high is None:
            high = rise
        if sign > 0:
            falling = (
                () if low is None else (PriceTrigger(market, _BID, is_above=False, level=low),)
            )
            rising = (
                () if high is None else (PriceTrigger(market, _BID, is_above=True, level=high),)
            )
        else:
            falling = (
                () if low is None else (PriceTrigger(market, _ASK, is_above=True, level=-low),)
            )
            rising = (
                () if high is None else (PriceTrigger(market, _ASK, is_above=False, level=-high),)
            )
        return falling + rising


_BID: Final = PriceField.BID
_ASK: Final = PriceField.ASK
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


def trailed(
    levels: BarrierLevels, totals: LedgerTotals, trailing: TrailingStopState, signed_mark: int
) -> BarrierLevels:
    """Return *levels* with the trailing trigger set by *signed_mark*, its best one so far.

    The net PnL is linear in the mark, so the stop stays as many ticks below its best mark until
    the next fill: ``net(x) < net(best) - delta`` is the same as ``x <= best - reach``. *levels* and
    *trailing* are those before; something must be open.
    """
    sign, stop_loss, take_profit, close_at, raise_at = levels
    if close_at is not None and raise_at is not None and trailing.is_from(totals):
        reach = raise_at - 1 - close_at
    else:
        numerator, denominator = trailing.delta_ratio
        _, slope = totals.net_line()
        reach = numerator * totals.scaled_basis // (denominator * slope) + 1
    return BarrierLevels(sign, stop_loss, take_profit, signed_mark - reach, signed_mark + 1)


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
        return None, _floor(_at(line, trailing.activation_ratio)) + 1
    trigger = trailing.trigger.as_integer_ratio()
    peak = _sum(trigger, trailing.delta_ratio)
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
