"""The drawdown watch of a backtest: smaller sizes, then the kill switch (RISK-4)."""

from __future__ import annotations

from enum import Enum, unique

from engine.model.instruments import PPB
from engine.model.rates import to_ppb
from engine.risk.bar_limits import DrawdownControl, HaltAction, HaltResume


@unique
class Watch(Enum):
    """What an equity sample changed."""

    NOTHING = 0
    REDUCED = 1
    RESTORED = 2
    HALTED = 3


class DrawdownWatch:
    """Compares each equity sample with the peak, in whole numbers; O(1)."""

    __slots__ = ("_control", "_halt_ppb", "_reduce_ppb", "factor_ppb", "is_halted", "peak")

    def __init__(self, control: DrawdownControl, equity_atoms: int) -> None:
        self._control = control
        self._halt_ppb = None if control.max_drawdown is None else to_ppb(control.max_drawdown)
        self._reduce_ppb = (
            None if control.reduce_threshold is None else to_ppb(control.reduce_threshold)
        )
        self.peak = equity_atoms
        self.factor_ppb = PPB
        self.is_halted = False

    @property
    def flattens(self) -> bool:
        """Whether a halt closes the positions as well."""
        return self._control.action is HaltAction.FLATTEN

    def observe(self, equity_atoms: int) -> Watch:
        """Take an equity sample and return what it changed."""
        if equity_atoms >= self.peak:
            self.peak = equity_atoms
            if self.factor_ppb == PPB:
                return Watch.NOTHING
            self.factor_ppb = PPB
            return Watch.RESTORED
        fall = (self.peak - equity_atoms) * PPB
        if self._halt_ppb is not None and not self.is_halted and fall >= self._halt_ppb * self.peak:
            self.is_halted = True
            return Watch.HALTED
        if self._reduce_ppb is None:
            return Watch.NOTHING
        factor = to_ppb(self._control.reduction_factor)
        wanted = factor if fall >= self._reduce_ppb * self.peak else PPB
        if wanted == self.factor_ppb:
            return Watch.NOTHING
        self.factor_ppb = wanted
        return Watch.RESTORED if wanted == PPB else Watch.REDUCED

    def session_started(self, equity_atoms: int) -> bool:
        """Resume if the control says so; return whether it did. The peak starts again."""
        if not self.is_halted or self._control.resume is not HaltResume.NEXT_SESSION:
            return False
        self.is_halted = False
        self.peak = equity_atoms
        self.factor_ppb = PPB
        return True

    def resume(self, equity_atoms: int) -> None:
        """Let entries pass again because a person says so."""
        self.is_halted = False
        self.peak = equity_atoms
        self.factor_ppb = PPB
