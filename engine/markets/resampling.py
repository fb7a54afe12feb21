"""Coarse bars from fine ones (DATA-9)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.markets.stamps import BarDuration
from engine.model.bar_columns import (
    DAY_NS,
    MISSING,
    BarColumns,
    FloatArray,
    IntArray,
    day_sessions,
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

    Raises:
        ValueError: *duration* is finer than the bars.
    """
    if duration.nominal_ns < bars.duration_ns:
        raise ValueError(
            f"{bars.symbol}: bars of {bars.duration_ns} ns cannot become finer ({duration.text})"
        )
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
    if calendar is None:
        edges = day_sessions(ts_open, ts_close)
    else:
        edges = session_edges(
            calendar.bar_sessions(ts_close), np.zeros(len(starts), dtype=np.bool_)
        )
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
