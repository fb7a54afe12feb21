"""Coarse bars from fine ones (DATA-9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from engine.markets.mapped_columns import is_mapped
from engine.markets.stamps import BarDuration
from engine.model.bar_columns import (
    BLOCK_ROWS,
    DAY_NS,
    INTEGER_COLUMNS,
    MISSING,
    OPTIONAL_COLUMNS,
    BarColumns,
    BoolArray,
    FloatArray,
    IntArray,
    day_sessions,
    release_pages,
    session_edges,
)
from engine.model.calendar import SessionCalendar

_MONDAY_NS: Final = 4 * DAY_NS
"""1970-01-05, where weeks begin."""
_BOUND: Final = 2**62


def resample(
    bars: BarColumns,
    duration: BarDuration,
    *,
    calendar: SessionCalendar | None = None,
    keep_partial_end: bool = False,
    block_rows: int = BLOCK_ROWS,
) -> BarColumns:
    """Return *bars* joined to *duration*.

    A coarse bar covers whole periods since the epoch (weeks since a Monday), is known at its end
    and has the first open, highest high, lowest low, last close and the sum of the volumes; VWAP
    is weighted by volume and rounded half to even. The bar that still forms at the end of the data
    is left out: nobody may see it.

    Args:
        bars: fine bars.
        duration: length of the coarse ones, no shorter than that of *bars*.
        calendar: sessions of the coarse bars; a day in UTC without one.
        keep_partial_end: keep the last bar although the data end inside of it.
        block_rows: fine bars in files are joined so many at a time.

    Raises:
        ValueError: *duration* is finer than the bars.
    """
    if duration.nominal_ns < bars.duration_ns:
        raise ValueError(
            f"{bars.symbol}: bars of {bars.duration_ns} ns cannot become finer ({duration.text})"
        )
    if is_mapped(bars.close) and len(bars) > block_rows:
        parts = [
            _resampled(part, duration, calendar, keep_partial_end=keep_partial_end or not is_last)
            for part, is_last in _parts(bars, duration, block_rows)
        ]
        return _chained(parts, calendar)
    return _resampled(bars, duration, calendar, keep_partial_end=keep_partial_end)


def _parts(
    bars: BarColumns, duration: BarDuration, block_rows: int
) -> Iterator[tuple[BarColumns, bool]]:
    """Yield the bars in parts of whole periods, and whether it is the last one."""
    start = 0
    while start < len(bars):
        stop = min(len(bars), start + block_rows)
        while stop < len(bars):
            opens, _ = _periods(bars.ts_open[start : stop + 1], duration)
            whole = int(np.searchsorted(opens, opens[-1]))
            if whole:
                stop = start + whole
                break
            stop = min(len(bars), 2 * stop - start)
        part = bars.slice(start, stop)
        yield part, stop == len(bars)
        release_pages(*(getattr(bars, name) for name in INTEGER_COLUMNS))
        start = stop


def _chained(parts: Sequence[BarColumns], calendar: SessionCalendar | None) -> BarColumns:
    """Return coarse bars one after the other, with the sessions of all."""
    names = (*INTEGER_COLUMNS, *OPTIONAL_COLUMNS, "is_synthetic")
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in parts])
        for name in names
        if getattr(parts[0], name) is not None
    }
    edges = _session_edges(columns["ts_open"], columns["ts_close"], calendar)
    features = {
        name: np.concatenate([one.features[name] for one in parts]) for name in parts[0].features
    }
    return parts[0].with_columns(
        starts_session=edges[0], ends_session=edges[1], features=features, **columns
    )


def _session_edges(
    ts_open: IntArray, ts_close: IntArray, calendar: SessionCalendar | None
) -> tuple[BoolArray, BoolArray]:
    if calendar is None:
        return day_sessions(ts_open, ts_close)
    return session_edges(calendar.bar_sessions(ts_close), np.zeros(len(ts_open), dtype=np.bool_))


def _resampled(
    bars: BarColumns,
    duration: BarDuration,
    calendar: SessionCalendar | None,
    *,
    keep_partial_end: bool,
) -> BarColumns:
    opens, closes = _periods(bars.ts_open, duration)
    if len(bars) and bool((bars.ts_close > closes).any()):
        raise ValueError(f"{bars.symbol}: bars reach over the ends of {duration.text}")
    starts = np.flatnonzero(np.diff(opens, prepend=opens[:1] - 1)) if len(bars) else opens
    if len(starts) and not keep_partial_end and int(bars.ts_close[-1]) < int(closes[-1]):
        starts, stop = starts[:-1], int(starts[-1])
    else:
        stop = len(bars)
    return _joined(bars, starts, stop, opens, closes, duration, calendar)


def _periods(ts_open: IntArray, duration: BarDuration) -> tuple[IntArray, IntArray]:
    """Return start and end of the period that each stamp lies in."""
    if duration.months:
        months = ts_open.astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64)
        first = months // duration.months * duration.months
        starts, ends = (
            one.astype("datetime64[M]").astype("datetime64[ns]").astype(np.int64)
            for one in (first, first + duration.months)
        )
        return starts, ends
    length = duration.fixed_ns
    offset = _MONDAY_NS if length % (7 * DAY_NS) == 0 else 0
    starts = (ts_open - offset) // length * length + offset
    return starts, starts + length


def _joined(
    bars: BarColumns,
    starts: IntArray,
    stop: int,
    opens: IntArray,
    closes: IntArray,
    duration: BarDuration,
    calendar: SessionCalendar | None,
) -> BarColumns:
    ends = np.append(starts[1:], stop)[: len(starts)]
    last = ends - 1
    ts_open, ts_close = opens[starts], closes[starts]
    columns: dict[str, Any] = {
        "ts_open": ts_open,
        "ts_close": ts_close,
        "open": bars.open[starts],
        "high": _reduced(np.maximum, bars.high, starts, stop),
        "low": _reduced(np.minimum, bars.low, starts, stop),
        "close": bars.close[last],
        "volume": _volumes(bars.volume, starts, stop),
        "is_synthetic": _reduced(np.logical_and, bars.is_synthetic, starts, stop),
        "vwap": _vwap(bars, starts, stop),
        "trades": None if bars.trades is None else _counts(bars.trades, starts, stop),
        "spread": None if bars.spread is None else bars.spread[last],
    }
    edges = _session_edges(ts_open, ts_close, calendar)
    features: dict[str, FloatArray] = {name: one[last] for name, one in bars.features.items()}
    return bars.with_columns(
        duration_ns=duration.nominal_ns,
        starts_session=edges[0],
        ends_session=edges[1],
        features=features,
        **columns,
    )


def _reduced(reduce: np.ufunc, values: Any, starts: IntArray, stop: int) -> Any:  # noqa: ANN401 (arrays of one dtype)
    return reduce.reduceat(values[:stop], starts) if len(starts) else values[:0]


def _volumes(volume: IntArray, starts: IntArray, stop: int) -> IntArray:
    """Return the sums; unknown where a part is unknown."""
    total = _reduced(np.add, np.maximum(volume, 0), starts, stop)
    is_unknown = _reduced(np.logical_or, volume < 0, starts, stop)
    return np.where(is_unknown, -1, total)


def _counts(counts: IntArray, starts: IntArray, stop: int) -> IntArray:
    total = _reduced(np.add, np.where(counts == MISSING, 0, counts), starts, stop)
    return np.where(_reduced(np.logical_or, counts == MISSING, starts, stop), MISSING, total)


def _vwap(bars: BarColumns, starts: IntArray, stop: int) -> IntArray | None:
    """Return sum(vwap * volume) / sum(volume), half to even; missing without volumes."""
    if bars.vwap is None:
        return None
    known = (bars.vwap != MISSING) & (bars.volume > 0)
    prices, volume = np.where(known, bars.vwap, 0), np.where(known, bars.volume, 0)
    most = int(np.abs(prices).max(initial=0)) * int(volume.sum())
    if most >= _BOUND:
        prices, volume = prices.astype(object), volume.astype(object)
    top = _reduced(np.add, prices * volume, starts, stop)
    bottom = _reduced(np.add, volume, starts, stop)
    safe = np.where(bottom == 0, 1, bottom)
    quotient = top // safe
    twice = 2 * (top - quotient * safe)
    is_up = (twice > safe) | ((twice == safe) & (quotient % 2 == 1))
    return np.where(bottom == 0, MISSING, quotient + is_up.astype(np.int64)).astype(np.int64)
