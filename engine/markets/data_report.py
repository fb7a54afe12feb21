"""What was found in a data file, what was done about it, and what cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from engine.flow.errors import ValidationError
from engine.model.clock import SECOND_NS, to_iso

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
"""The policies of each check, the default first."""

GAPS_KEPT: Final = 100
"""Gaps that a report lists; all of them are counted."""
_OBSERVATIONS: Final = ("V9", "V10")


class MarketDataError(ValidationError):
    """A data file cannot be used; the message names file, line, column and value."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Time without bars: from the end of one bar to the start of the next."""

    from_ns: int
    to_ns: int

    def to_dict(self) -> dict[str, Any]:
        """Return the gap as JSON values."""
        seconds = (self.to_ns - self.from_ns) // SECOND_NS
        return {"from": to_iso(self.from_ns), "to": to_iso(self.to_ns), "seconds": seconds}


@dataclass(frozen=True, slots=True)
class DataReport:
    """What the loader met in a data file.

    ``counts`` has one entry for each check. ``rounded_prices`` are those with more than nine
    decimals; ``rounded_volumes`` are not whole lots and were rounded down; ``clock_changes`` are
    local stamps that exist twice or never, read with the earlier offset; ``largest_rounding`` is
    the largest change of a price by V12. Without a trading calendar V9 counts every gap, weekends
    and holidays too. ``gaps`` are the first of them. ``inserted_bars`` came from ``fill_gaps``.
    """

    rows_read: int
    rows_kept: int
    counts: Mapping[str, int]
    rounded_prices: int
    rounded_volumes: int
    clock_changes: int
    largest_rounding: Decimal
    ignored_columns: tuple[str, ...]
    gaps: tuple[Gap, ...] = ()
    inserted_bars: int = 0
    synthetic_bars: int = 0
    unknown_volumes: int = 0
    tick: Decimal | None = None
    is_tick_inferred: bool = False
    first_ns: int | None = None
    last_ns: int | None = None
    data_hash: str = ""

    @property
    def defects(self) -> int:
        """Return how often something was wrong; gaps and jumps (V9, V10) are observations."""
        found = sum(count for code, count in self.counts.items() if code not in _OBSERVATIONS)
        return found + self.rounded_prices + self.rounded_volumes + self.clock_changes

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values; prices as text, stamps in ISO 8601."""
        return {
            "rows_read": self.rows_read,
            "rows_kept": self.rows_kept,
            "counts": dict(self.counts),
            "defects": self.defects,
            "gap_count": self.counts.get("V9", 0),
            "gaps": [gap.to_dict() for gap in self.gaps],
            "rounded_prices": self.rounded_prices,
            "rounded_volumes": self.rounded_volumes,
            "clock_changes": self.clock_changes,
            "largest_rounding": f"{self.largest_rounding.normalize():f}",
            "ignored_columns": list(self.ignored_columns),
            "inserted_bars": self.inserted_bars,
            "synthetic_bars": self.synthetic_bars,
            "unknown_volumes": self.unknown_volumes,
            "tick": None if self.tick is None else f"{self.tick:f}",
            "tick_inferred": self.is_tick_inferred,
            "first_ts": None if self.first_ns is None else to_iso(self.first_ns),
            "last_ts": None if self.last_ns is None else to_iso(self.last_ns),
            "data_hash": self.data_hash,
        }
