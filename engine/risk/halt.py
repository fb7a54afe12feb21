"""The kill switch: drawdown from the peak, or somebody's decision (RISK-4)."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from typing import Final

from engine.model.instruments import PPB

_SHOWN_STEP: Final = Decimal("0.000001")


class KillSwitch:
    """Halts entries when equity falls too far from its peak, or on demand.

    Only a person resumes it; the peak then starts again from the equity of that moment.
    """

    def __init__(self, *, max_drawdown: Decimal | None, equity_atoms: int) -> None:
        self._max_drawdown = max_drawdown
        # A fraction finer than 1e-9 counts as the next larger one.
        self._max_ppb = (
            None
            if max_drawdown is None
            else int((max_drawdown * PPB).to_integral_value(ROUND_CEILING))
        )
        self._peak_atoms = equity_atoms
        self._reason = ""

    @property
    def is_halted(self) -> bool:
        """Whether only exits and reductions may pass."""
        return bool(self._reason)

    @property
    def reason(self) -> str:
        """Return why trading is halted, empty if it is not."""
        return self._reason

    @property
    def peak_atoms(self) -> int:
        """Return the highest equity seen."""
        return self._peak_atoms

    def observe(self, equity_atoms: int) -> bool:
        """Take an equity sample, O(1); return whether it halted trading just now."""
        if equity_atoms >= self._peak_atoms:
            self._peak_atoms = equity_atoms
            return False
        if self._max_ppb is None or self._reason or self._peak_atoms <= 0:
            return False
        fall = self._peak_atoms - equity_atoms
        if fall * PPB < self._max_ppb * self._peak_atoms:
            return False
        drawdown = (Decimal(fall) / self._peak_atoms).quantize(_SHOWN_STEP, ROUND_DOWN)
        self._reason = (
            f"drawdown {drawdown.normalize():f} reached {self._max_drawdown} (risk.max_drawdown)"
        )
        return True

    def halt(self, reason: str) -> None:
        """Halt entries for *reason*; a halt that stands keeps its reason."""
        self._reason = self._reason or reason

    def resume(self, equity_atoms: int) -> None:
        """Let entries pass again; drawdown counts from *equity_atoms* on."""
        self._reason = ""
        self._peak_atoms = equity_atoms
