"""The table of a study that runs: rows come one by one, and it is read whole, often."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from engine.api.optimization_views import TrialRow

FAILED: Final = frozenset({"FAILED", "OOM", "TIMEOUT"})
"""Statuses of trials that went wrong."""


class GrowingTable:
    """Rows by index; a row that comes again (another window of the same trial) takes its place.

    Adding costs in proportion to the new rows, not to the table.

    Args:
        direction: ``maximize`` or ``minimize``.
    """

    def __init__(self, direction: str) -> None:
        self._sign = _sign(direction)
        self._indices: list[int] = []
        self._rows: list[TrialRow] = []
        self._failed = 0
        self._best: TrialRow | None = None

    @property
    def failed(self) -> int:
        """Return how many rows went wrong."""
        return self._failed

    @property
    def best(self) -> TrialRow | None:
        """Return the row that ranks first, None if none has an objective."""
        return self._best

    def rows(self) -> tuple[TrialRow, ...]:
        """Return all rows by index."""
        return tuple(self._rows)

    def add(self, rows: Iterable[TrialRow]) -> None:
        """Put *rows* in their places."""
        for row in rows:
            place = bisect_left(self._indices, row.index)
            if place < len(self._indices) and self._indices[place] == row.index:
                self._replace(place, row)
            else:
                self._indices.insert(place, row.index)
                self._rows.insert(place, row)
                self._failed += row.status in FAILED
                self._take(row)

    def _replace(self, place: int, row: TrialRow) -> None:
        before = self._rows[place]
        self._rows[place] = row
        self._failed += (row.status in FAILED) - (before.status in FAILED)
        if self._best is not None and self._best.index == row.index:
            self._best = None
            for one in self._rows:
                self._take(one)
        else:
            self._take(row)

    def _take(self, row: TrialRow) -> None:
        if row.objective is not None and (
            self._best is None or _rank(row, self._sign) > _rank(self._best, self._sign)
        ):
            self._best = row


def best_of(rows: Iterable[TrialRow], direction: str) -> TrialRow | None:
    """Return the row that ranks first, None if none has an objective."""
    sign = _sign(direction)
    known = [row for row in rows if row.objective is not None]
    return max(known, key=lambda row: _rank(row, sign), default=None)


def _sign(direction: str) -> float:
    return -1.0 if direction == "minimize" else 1.0


def _rank(row: TrialRow, sign: float) -> tuple[float, int]:
    return sign * (row.objective or 0.0), -row.index
