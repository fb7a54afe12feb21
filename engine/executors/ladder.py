"""The laddered trailing stop at work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Final

PNL_RELAXATION: Final = Decimal("0.9")
"""Default part of the net PnL by which the distance grows."""
MAX_TRAILING_PCT: Final = Decimal("0.05")
"""Default largest distance."""


@dataclass(frozen=True, slots=True)
class LadderStep:
    """One row: at a net PnL of at least ``level``, a hit closes ``ratio`` of what was opened."""

    level: Fraction
    ratio: Fraction


@dataclass(frozen=True, slots=True)
class QuietBand:
    """Net PnLs around the present one at which an update changes nothing.

    It ends at or below ``low``, and above ``high`` (at ``high`` if ``is_high_inclusive``). None
    means that it has no end.
    """

    low: Fraction | None
    high: Fraction
    is_high_inclusive: bool = False


Ratio = tuple[int, int]
"""A fraction that need not be in lowest terms; the denominator is above zero."""


class LadderedTrailingStopState:
    """Trigger of a laddered trailing stop: a net PnL fraction, None until it is armed.

    ``hits`` are the levels whose row was used when the stop fired. ``relaxation`` is at least 0
    and below 1. Inside it is whole numbers over a common scale: it is asked at every new best
    price of the market, and reducing fractions would cost more than all the rest.
    """

    __slots__ = (
        "_activation",
        "_cap",
        "_relaxation",
        "_scale",
        "_trailing",
        "_trigger",
        "hits",
        "steps",
    )

    def __init__(
        self,
        *,
        activation: Fraction,
        trailing: Fraction,
        steps: Iterable[LadderStep] = (),
        relaxation: Fraction = Fraction(PNL_RELAXATION),
        cap: Fraction = Fraction(MAX_TRAILING_PCT),
        trigger: Fraction | None = None,
        hits: Iterable[Fraction] = (),
    ) -> None:
        values = (activation, trailing, relaxation, cap)
        scale = self._scale = lcm(*(value.denominator for value in values))
        self._activation, self._trailing, self._relaxation, self._cap = (
            int(value * scale) for value in values
        )
        self.steps = tuple(steps)
        self._trigger: Ratio | None = None
        self.trigger = trigger
        self.hits = set(hits)

    @property
    def activation(self) -> Fraction:
        """Return the net PnL at which it is armed."""
        return Fraction(self._activation, self._scale)

    @property
    def trigger(self) -> Fraction | None:
        """Return the net PnL at or below which it fires."""
        return None if self._trigger is None else Fraction(*self._trigger)

    @trigger.setter
    def trigger(self, trigger: Fraction | None) -> None:
        self._trigger = None if trigger is None else trigger.as_integer_ratio()

    @property
    def trigger_ratio(self) -> Ratio | None:
        """Return ``trigger`` as numerator and denominator."""
        return self._trigger

    def distance(self, net_pnl_pct: Fraction) -> Fraction:
        """Return how far the trigger trails at this net PnL."""
        return Fraction(
            self._distance(net_pnl_pct.numerator, net_pnl_pct.denominator),
            net_pnl_pct.denominator * self._scale,
        )

    def update(self, net_pnl_pct: Fraction, current_amount: int) -> Fraction | None:
        """Take the newest net PnL; return the ratio to close if the stop fires.

        A ratio of 1 closes everything. After a hit the trigger is armed again.

        Raises:
            ValueError: nothing is open.
        """
        return self.update_ratio(net_pnl_pct.as_integer_ratio(), current_amount)

    def update_ratio(self, net: Ratio, current_amount: int) -> Fraction | None:
        """Do what ``update`` does, with the net PnL as numerator and denominator.

        Raises:
            ValueError: nothing is open.
        """
        if current_amount <= 0:
            raise ValueError(f"current_amount must be greater than 0, got {current_amount}")
        numerator, denominator = net
        scaled, unit = numerator * self._scale, denominator * self._scale
        if self._trigger is None:
            if scaled >= self._activation * denominator:
                self._trigger = scaled - self._distance(numerator, denominator), unit
            return None
        wanted = scaled - self._distance(numerator, denominator)
        trigger, base = self._trigger
        if wanted * base > trigger * unit:
            self._trigger = wanted, unit
            return None
        if scaled * base > trigger * unit:
            return None
        self._trigger = wanted, unit
        return self._ratio(Fraction(numerator, denominator))

    def quiet_band(self, net_pnl_pct: Fraction) -> QuietBand:
        """Return the band around *net_pnl_pct* within which ``update`` changes nothing.

        Where the distance jumps (above ``trailing``) the trigger can also be raised by a fall;
        that is why the band depends on the present net PnL.
        """
        low, high = self.quiet_ratios(net_pnl_pct.as_integer_ratio())
        return QuietBand(
            None if low is None else Fraction(*low),
            Fraction(*high),
            is_high_inclusive=self._trigger is None,
        )

    def quiet_ratios(self, net: Ratio) -> tuple[Ratio | None, Ratio]:
        """Return low and high of ``quiet_band`` as numerators and denominators."""
        if self._trigger is None:
            return None, (self._activation, self._scale)
        trigger, base = self._trigger
        scale, trailing = self._scale, self._trailing
        low_peak = trigger * scale + min(trailing, self._cap) * base
        can_raise_below = low_peak < trailing * base
        if net[0] * scale > trailing * net[1]:
            low = (trailing, scale) if can_raise_below else self._trigger
            return low, self._high_peak()
        return self._trigger, (low_peak, base * scale) if can_raise_below else self._high_peak()

    def _distance(self, numerator: int, denominator: int) -> int:
        """Return the distance times the denominator and the scale."""
        distance = self._trailing * denominator
        if numerator * self._scale > distance:
            distance += self._relaxation * numerator
        return min(distance, self._cap * denominator)

    def _high_peak(self) -> Ratio:
        """Return the net PnL, not below ``trailing``, above which the trigger is raised."""
        trigger, base = self._trigger or (0, 1)
        scale, steep = self._scale, self._scale - self._relaxation
        sloped = trigger * scale + self._trailing * base, base * steep
        capped = trigger * scale + self._cap * base, base * scale
        peak = sloped if sloped[0] * scale < capped[0] * steep else capped
        return peak if peak[0] * scale > self._trailing * peak[1] else (self._trailing, scale)

    def _ratio(self, net_pnl_pct: Fraction) -> Fraction:
        reached = [step for step in self.steps if step.level <= net_pnl_pct]
        if not reached:
            return Fraction(1)
        self.hits.add(reached[-1].level)
        return reached[-1].ratio
