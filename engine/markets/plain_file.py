"""Whole columns of files that are not bars: trades, quotes, funding, corporate actions."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, TypeVar

import numpy as np
import polars as pl

from engine.markets.bar_loader import number_column
from engine.markets.data_report import MarketDataError
from engine.markets.number_columns import (
    FormatProblem,
    NumberColumn,
    floor_to_grid,
    places_for,
    to_grid,
)
from engine.markets.records import open_records
from engine.markets.stamp_columns import MixedZonesError, StampColumns
from engine.markets.stamps import EpochUnit
from engine.model.bar_columns import BoolArray, IntArray

_T = TypeVar("_T")
STAMP_NAMES: Final = ("timestamp", "date", "time", "datetime", "ts")


class PlainFile:
    """A file with stamps and further columns, read as a whole and in the order of time.

    Args:
        path: the file, its format by its suffix.
        aliases: allowed names of each column, in lower case.
        required: columns that must be there, beside the stamp.
        timezone: zone of stamps without offset, UTC if None.
        epoch_unit: unit of stamps that are whole numbers.

    Raises:
        MarketDataError: it cannot be read, or a column is missing.
        ValueError: the time zone is not known.
    """

    def __init__(
        self,
        path: pathlib.Path,
        *,
        aliases: Mapping[str, tuple[str, ...]],
        required: tuple[str, ...],
        timezone: str | None = None,
        epoch_unit: EpochUnit | None = None,
    ) -> None:
        self.path = path
        self._records = open_records(path)
        names = {alias: name for name, all_ in aliases.items() for alias in all_}
        names |= dict.fromkeys(STAMP_NAMES, "timestamp")
        self._places: dict[str, int] = {}
        for place, cell in enumerate(self._records.header):
            name = names.get(cell.strip().lower())
            if name in self._places:
                raise MarketDataError(f"{path}:1: header: has two columns for {name!r}: keep one")
            if name:
                self._places[name] = place
        for name in ("timestamp", *required):
            if name not in self._places:
                allowed = ", ".join(aliases.get(name, STAMP_NAMES))
                raise MarketDataError(f"{path}:1: header: lacks the column {name}: add {allowed}")
        frames = list(self._records.batches())
        if not frames or not sum(len(frame) for frame in frames):
            raise MarketDataError(f"{path}:1: row: none follows the header: add rows")
        self._frame = pl.concat(frames)
        stamps = StampColumns(timezone=timezone, epoch_unit=epoch_unit)
        self._ts = self._guarded("timestamp", lambda: self._read_stamps(stamps))
        self.order = np.argsort(self._ts, kind="stable")
        self.ts: IntArray = self._ts[self.order]

    def __len__(self) -> int:
        return len(self.ts)

    def has(self, name: str) -> bool:
        """Whether the file has the column *name*."""
        return name in self._places

    def series(self, name: str) -> pl.Series:
        """Return the column *name* in the order of time, as the file has it."""
        return self._raw(name).gather(self.order)

    def ticks(self, name: str, tick: Decimal) -> IntArray:
        """Return positive prices in whole ticks, half to even.

        Raises:
            MarketDataError: one is missing, no number, or not above 0.
        """
        column = self._numbers(name, tick)
        self.refuse(name, column.scaled <= 0, "is not above 0: a positive price is allowed (V4)")
        return self._guarded(name, lambda: to_grid(column, tick).steps)[self.order]

    def lots(self, name: str, lot: Decimal) -> IntArray:
        """Return sizes in whole lots, rounded down.

        Raises:
            MarketDataError: one is missing, no number, or negative.
        """
        column = self._numbers(name, lot)
        self.refuse(name, column.scaled < 0, "is negative: 0 or more is allowed (V5)")
        return self._guarded(name, lambda: floor_to_grid(column, lot)[0])[self.order]

    def whole(self, name: str, step: Decimal) -> IntArray:
        """Return numbers of any sign in whole *steps*.

        Raises:
            MarketDataError: one is missing, no number, or not a multiple of the step.
        """
        column = self._numbers(name, step)
        grid = self._guarded(name, lambda: to_grid(column, step))
        self.refuse(name, grid.is_moved, f"is not a multiple of {step:f}")
        return grid.steps[self.order]

    def optional_whole(self, name: str, step: Decimal) -> IntArray:
        """Return the same, 0 where the file has a blank.

        Raises:
            MarketDataError: a value is no number, or not a multiple of the step.
        """
        column = self._guarded(name, lambda: number_column(self._raw(name), places_for(step)))
        grid = self._guarded(name, lambda: to_grid(column, step))
        self.refuse(name, grid.is_moved, f"is not a multiple of {step:f}")
        return grid.steps[self.order]

    def refuse(self, name: str, is_bad: BoolArray, text: str) -> None:
        """Refuse the first row of the file where *is_bad*.

        Raises:
            MarketDataError: there is one.
        """
        if is_bad.any():
            raise self._error(int(np.argmax(is_bad)), name, text)

    def refuse_in_order(self, name: str, is_bad: BoolArray, text: str) -> None:
        """Do the same for flags in the order of time."""
        if is_bad.any():
            raise self._error(int(self.order[int(np.argmax(is_bad))]), name, text)

    def _raw(self, name: str) -> pl.Series:
        return self._frame[str(self._places[name])]

    def _read_stamps(self, stamps: StampColumns) -> IntArray:
        series = self._raw("timestamp")
        if series.dtype == pl.String:
            return stamps.read(series)
        if series.dtype.is_integer():
            return stamps.read_epochs(series)
        if series.dtype in (pl.Date, pl.Datetime):
            return stamps.read_moments(series)
        raise FormatProblem(0, f"is of the type {series.dtype}: use a timestamp, date or text")

    def _numbers(self, name: str, step: Decimal) -> NumberColumn:
        column = self._guarded(name, lambda: number_column(self._raw(name), places_for(step)))
        if column.kinds is not None:
            self.refuse(name, column.kinds != 0, "is blank or infinite: a number is needed (V1)")
        return column

    def _guarded(self, name: str, read: Callable[[], _T]) -> _T:
        try:
            return read()
        except MixedZonesError as problem:
            raise self._error(problem.row, name, f"{problem} (MIXED_ZONES)") from problem
        except FormatProblem as problem:
            raise self._error(problem.row, name, f"{problem} (FORMAT)") from problem
        except OverflowError as error:
            text = "needs more than 62 bits: set a coarser step (FORMAT)"
            raise self._error(0, name, text) from error

    def _error(self, row: int, name: str, text: str) -> MarketDataError:
        line, cells = self._records.locate(row)
        place = self._places[name]
        value = repr(cells[place][:40]) if place < len(cells) else "row"
        return MarketDataError(f"{self.path}:{line}: {name}: {value} {text}")
