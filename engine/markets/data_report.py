"""What was found in a data file, what was done about it, and what cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from engine.flow.errors import ValidationError

Policy: TypeAlias = Literal["error", "drop", "fix", "keep"]
"""What a check does with what it finds."""

CHECKS: Final[Mapping[str, tuple[Policy, ...]]] = {
    "V1": ("error", "drop", "fix"),
    "V2": ("fix", "error", "drop"),
    "V3": ("error", "drop", "fix"),
    "V4": ("error", "drop", "keep"),
    "V5": ("error", "drop", "fix"),
    "V6": ("drop", "error"),
    "V7": ("error", "drop", "fix"),
    "V8": ("fix", "error"),
    "V9": ("keep", "error"),
    "V10": ("keep", "error"),
    "V11": ("error", "drop"),
    "V12": ("fix", "error", "drop"),
    "V13": ("error", "drop"),
}
"""The policies of each check (backtest.md 2.3), the default first."""

_OBSERVATIONS: Final = ("V9", "V10")


class MarketDataError(ValidationError):
    """A data file cannot be used; the message names file, line, column and value."""


@dataclass(frozen=True, slots=True)
class DataReport:
    """What the loader met in a data file.

    ``counts`` has one entry for each check. ``rounded_prices`` are those with more than nine
    decimals; ``rounded_volumes`` are not whole lots and were rounded down; ``clock_changes`` are
    local stamps that exist twice or never, read with the earlier offset; ``largest_rounding`` is
    the largest change of a price by V12. No trading calendar is known here, so V9 counts
    every gap, weekends and holidays too.
    """

    rows_read: int
    rows_kept: int
    counts: Mapping[str, int]
    rounded_prices: int
    rounded_volumes: int
    clock_changes: int
    largest_rounding: Decimal
    ignored_columns: tuple[str, ...]

    @property
    def defects(self) -> int:
        """Return how often something was wrong; gaps and jumps (V9, V10) are observations."""
        found = sum(count for code, count in self.counts.items() if code not in _OBSERVATIONS)
        return found + self.rounded_prices + self.rounded_volumes + self.clock_changes
