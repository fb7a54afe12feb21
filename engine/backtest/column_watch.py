"""Looks between two slices of a column whether it is to go on (OPT-10, OPT-11)."""

from __future__ import annotations

from collections.abc import Callable

from engine.flow.errors import OperationError


class ColumnTooLongError(OperationError):
    """A column took longer than it may."""


class ColumnEndedError(OperationError):
    """A column was cancelled before its last bar."""


class ColumnWatch:
    """The time of one column after another; belongs to one thread.

    Args:
        is_cancelled: whether nothing of the grid is wanted any more.
        monotonic_ns: a clock that never goes back.
        limit_ns: longest time of a column, None for any.
    """

    def __init__(
        self,
        is_cancelled: Callable[[], bool],
        *,
        monotonic_ns: Callable[[], int],
        limit_ns: int | None = None,
    ) -> None:
        self._is_cancelled = is_cancelled
        self._monotonic_ns = monotonic_ns
        self._limit_ns = limit_ns
        self._due_ns = 0

    def begin(self) -> None:
        """Count the time of the next column from now on."""
        if self._limit_ns is not None:
            self._due_ns = self._monotonic_ns() + self._limit_ns

    def look(self) -> None:
        """Be asked between two slices.

        Raises:
            ColumnEndedError: nothing of the grid is wanted any more.
            ColumnTooLongError: the column took longer than it may.
        """
        if self._is_cancelled():
            raise ColumnEndedError("cancelled")
        self.check()

    def check(self) -> None:
        """Look at the time only: a column that was played to its end is kept.

        Raises:
            ColumnTooLongError: it took longer than it may.
        """
        if self._limit_ns is not None and self._monotonic_ns() > self._due_ns:
            raise ColumnTooLongError(f"longer than {self._limit_ns / 1e9:g} s")
