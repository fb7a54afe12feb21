"""Indicators of a run as columns: where the bars are, in memory or in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.markets.mapped_columns import column_like, is_mapped
from engine.model.bar_columns import BLOCK_ROWS, BarColumns, blocks
from engine.strategies.column_blocks import bar_blocks
from engine.strategies.indicators import Column, IndicatorType, compute_indicator


def indicator_column(
    kind: IndicatorType,
    bars: BarColumns,
    params: Mapping[str, Any],
    *,
    block_rows: int = BLOCK_ROWS,
) -> Column:
    """Return the column of *kind* over *bars*, read-only; of bars in files it is in a file.

    One that needs only its last rows is computed block by block.

    Raises:
        LookAheadError: a value changes when later bars are taken away.
        ConfigurationError: the parameters are bad, or the column has the wrong length.
    """
    if not is_mapped(bars.close) or not len(bars):
        return compute_indicator(kind, bars, params)
    if not kind.is_trusted or kind.is_recursive:
        return _moved(compute_indicator(kind, bars, params), bars)
    column: Column | None = None
    # One row more than the first meaningful value needs: changes and ranges look back from there.
    for start, skip, part in bar_blocks(bars, kind.lookback(params), block_rows=block_rows):
        values = compute_indicator(kind, part, params)[skip:]
        if column is None:
            column = column_like(bars.close, dtype=values.dtype)
        column[start : start + len(values)] = values
    return _read_only(bars.close if column is None else column)


def _moved(values: Column, bars: BarColumns) -> Column:
    column = column_like(bars.close, dtype=values.dtype)
    for rows in blocks(len(column), column):
        column[rows] = values[rows]
    return _read_only(column)


def _read_only(column: Column) -> Column:
    column.flags.writeable = False
    return column
