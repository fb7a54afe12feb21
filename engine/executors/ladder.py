"""The laddered trailing stop at work (executors.md 4.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
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


class LadderedTrailingStopState:
    """Trigger of a laddered trailing stop: a net PnL fraction, None until it is armed.

    ``hits`` are the levels whose row was used when the stop fired. ``relaxation`` is at least 0
    and below 1.
    """

    __slots__ = ("activation", "cap", "hits", "relaxation", "steps", "trailing", "trigger")

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
        self.activation = activation
        self.trailing = trailing
        self.steps = tuple(steps)
        self.relaxation = relaxation
        self.cap = cap
        self.trigger = trigger
        self.hits = set(hits)

    def distance(self, net_pnl_pct: Fraction) -> Fraction:
        """Return how far the trigger trails at this net PnL."""
        grown = self.relaxation * net_pnl_pct if net_pnl_pct > self.trailing else 0
        return min(self.trailing + grown, self.cap)

    def update(self, net_pnl_pct: Fraction, current_amount: int) -> Fraction | None:
        """Take the newest net PnL; return the ratio to close if the stop fires.

        A ratio of 1 closes everything. After a hit the trigger is armed again.

        Raises:
            ValueError: nothing is open.
        """
        if current_amount <= 0:
            raise ValueError(f"current_amount must be greater than 0, got {current_amount}")
        wanted = net_pnl_pct - self.distance(net_pnl_pct)
        if self.trigger is None:
            if net_pnl_pct >= self.activation:
                self.trigger = wanted
            return None
        if wanted > self.trigger:
            self.trigger = wanted
            return None
        if net_pnl_pct > self.trigger:
            return None
        self.trigger = wanted
        return self._ratio(net_pnl_pct)

    def quiet_band(self, net_pnl_pct: Fraction) -> QuietBand:
        """Return the band around *net_pnl_pct* within which ``update`` changes nothing.

        Where the distance jumps (above ``trailing``) the trigger can also be raised by a fall;
        that is why the band depends on the present net PnL.
        """
        trigger = self.trigger
        if trigger is None:
            return QuietBand(None, self.activation, is_high_inclusive=True)
        low_peak = trigger + min(self.trailing, self.cap)
        can_raise_below = low_peak < self.trailing
        if net_pnl_pct > self.trailing:
            low = self.trailing if can_raise_below else trigger
            return QuietBand(low, self._high_peak(trigger))
        return QuietBand(trigger, low_peak if can_raise_below else self._high_peak(trigger))

    def _high_peak(self, trigger: Fraction) -> Fraction:
        """Return the net PnL, not below ``trailing``, above which the trigger is raised."""
        sloped = (trigger + self.trailing) / (1 - self.relaxation)
        return max(self.trailing, min(sloped, trigger + self.cap))

    def _ratio(self, net_pnl_pct: Fraction) -> Fraction:
        reached = [step for step in self.steps if step.level <= net_pnl_pct]
        if not reached:
            return Fraction(1)
        self.hits.add(reached[-1].level)
        return reached[-1].ratio
