"""Tables as Parquet and CSV files, long ones a block of rows at a time."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl

from engine.markets.mapped_columns import temporary_column
from engine.model.bar_columns import release_pages
from engine.model.run_tables import Table

ROWS_AT_ONCE: Final = 1 << 16
"""Rows of a long table that are in memory at once."""
LARGE_TABLE_ROWS: Final = 1 << 21
"""From this many rows on a table that is read is kept in a temporary file and memory-mapped."""
_STAMPS: Final = "%Y-%m-%dT%H:%M:%S%.9fZ"

FrameOf: TypeAlias = Callable[[slice], pl.DataFrame]
"""Makes the data frame of some rows; asked for all of them in order, perhaps several times."""


def write_parquet(
    path: pathlib.Path, count: int, frame_of: FrameOf, *, row_group_size: int | None = None
) -> None:
    """Write *count* rows to *path*.

    Raises:
        OSError: it cannot be written.
    """
    try:
        if count <= ROWS_AT_ONCE:
            frame_of(slice(0, count)).write_parquet(path, row_group_size=row_group_size)
        else:
            _rows(count, frame_of).sink_parquet(path, row_group_size=row_group_size)
    except pl.exceptions.PolarsError as error:
        raise _unwritten(path, error) from error


def write_csv(path: pathlib.Path, count: int, frame_of: FrameOf) -> None:
    """Write *count* rows to *path*, stamps with nanoseconds in UTC.

    Raises:
        OSError: it cannot be written.
    """
    try:
        if count <= ROWS_AT_ONCE:
            frame_of(slice(0, count)).write_csv(path, datetime_format=_STAMPS)
        else:
            _rows(count, frame_of).sink_csv(path, datetime_format=_STAMPS)
    except pl.exceptions.PolarsError as error:
        raise _unwritten(path, error) from error


def _rows(count: int, frame_of: FrameOf) -> pl.LazyFrame:
    from polars.io.plugins import register_io_source

    def source(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        del batch_size
        rows = count if n_rows is None else min(n_rows, count)
        for start in range(0, rows, ROWS_AT_ONCE):
            frame = frame_of(slice(start, min(rows, start + ROWS_AT_ONCE)))
            if with_columns is not None:
                frame = frame.select(with_columns)
            yield frame if predicate is None else frame.filter(predicate)

    return register_io_source(source, schema=frame_of(slice(0, 0)).schema)


def _unwritten(path: pathlib.Path, error: pl.exceptions.PolarsError) -> OSError:
    reason = str(error).partition("\n")[0][:120]
    return OSError(0, reason, str(path))


def read_parquet(
    path: pathlib.Path, dtype: np.dtype[Any], *, large_rows: int = LARGE_TABLE_ROWS
) -> Table:
    """Return the columns of *dtype* in *path* as a structured array.

    With *large_rows* rows or more it is memory-mapped, in a file that vanishes with the array.

    Raises:
        OSError, PolarsError: the file is missing or damaged.
        NoRoomError: the disk is full.
    """
    names = list(dtype.names or ())
    scan = pl.scan_parquet(path).select(names)
    count = int(scan.select(pl.len()).collect().item())
    if count < large_rows:
        table = np.zeros(count, dtype=dtype)
        _fill(table, pl.read_parquet(path, columns=names))
        return table
    table = temporary_column(count, dtype)
    start = 0
    for frame in scan.collect_batches(chunk_size=ROWS_AT_ONCE, maintain_order=True):
        _fill(table[start : start + len(frame)], frame)
        start += len(frame)
        release_pages(table)
    return table


def _fill(table: Table, frame: pl.DataFrame) -> None:
    for name in frame.columns:
        table[name] = frame[name].to_numpy()
