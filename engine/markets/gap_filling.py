"""Flat synthetic bars in gaps (DATA-8)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.model.bar_columns import (
    FLAG_COLUMNS,
    INTEGER_COLUMNS,
    MISSING,
    OPTIONAL_COLUMNS,
    BarColumns,
    IntArray,
    day_sessions,
    session_edges,
)
from engine.model.calendar import SessionCalendar


def fill_gaps_flat(bars: BarColumns, *, calendar: SessionCalendar | None = None) -> BarColumns:
    """Return *bars* with a synthetic bar for each whole bar that is missing between two.

    Its prices are the previous close, its volume is 0. With a *calendar* only gaps inside of a
    session are filled. Bars without one fixed length (months) stay as they are.
    """
    length_ns = int(bars.ts_close[0] - bars.ts_open[0]) if len(bars) else 0
    lengths = bars.ts_close - bars.ts_open
    if len(bars) < 2 or bool((lengths != length_ns).any()):
        return bars
    missing = (bars.ts_open[1:] - bars.ts_close[:-1]) // length_ns
    if calendar is not None:
        sessions = calendar.bar_sessions(bars.ts_close)
        missing = np.where(sessions[1:] == sessions[:-1], missing, 0)
    if not missing.any():
        return bars
    return _with_inserted(bars, np.append(missing, 0), length_ns, calendar)


def _with_inserted(
    bars: BarColumns, missing: IntArray, length_ns: int, calendar: SessionCalendar | None
) -> BarColumns:
    source = np.repeat(np.arange(len(bars)), missing + 1)
    first = np.concatenate(([0], np.cumsum(missing + 1)[:-1]))
    place = np.arange(len(source)) - first[source]
    is_new = place > 0
    columns: dict[str, NDArray[Any]] = {
        name: values[source]
        for name in (*INTEGER_COLUMNS, *FLAG_COLUMNS, *OPTIONAL_COLUMNS)
        if (values := getattr(bars, name)) is not None
    }
    columns["ts_open"] = columns["ts_open"] + place * length_ns
    columns["ts_close"] = columns["ts_close"] + place * length_ns
    for name in ("open", "high", "low"):
        columns[name][is_new] = columns["close"][is_new]
    columns["volume"][is_new] = 0
    columns["is_synthetic"] = columns["is_synthetic"] | is_new
    for name in OPTIONAL_COLUMNS:
        if name in columns:
            columns[name][is_new] = MISSING
    if calendar is None:
        starts, ends = day_sessions(columns["ts_open"], columns["ts_close"])
    else:
        whole = np.zeros(len(source), dtype=np.bool_)
        starts, ends = session_edges(calendar.bar_sessions(columns["ts_close"]), whole)
    columns["starts_session"], columns["ends_session"] = starts, ends
    features = {}
    for name, values in bars.features.items():
        features[name] = values[source]
        features[name][is_new] = np.nan
    return bars.with_columns(**columns, features=features)
