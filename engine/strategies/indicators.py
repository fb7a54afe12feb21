"""Registered indicators: whole columns whose entry i uses rows up to i only (STR-4, LOOK-1).

Integer indicators of ticks are exact; float ones never feed the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from engine.flow.errors import ConfigurationError
from engine.model.bar_columns import BarColumns, blocks

Column: TypeAlias = NDArray[Any]
"""One value for each bar; the first ``lookback`` - 1 entries are not meaningful."""

Compute: TypeAlias = Callable[[BarColumns, Mapping[str, Any]], Column]
Lookback: TypeAlias = Callable[[Mapping[str, Any]], int]

PREFIX_CUTS: Final = 4
PREFIX_ROWS: Final = 4096


class LookAheadError(ConfigurationError):
    """An indicator or strategy used what it could not know yet (LOOK-1)."""


@dataclass(frozen=True, slots=True)
class IndicatorType:
    """An indicator that strategies may ask for by name.

    ``lookback`` says how many rows the first meaningful value needs; a ``recursive`` one depends
    on every earlier row (LOOK-3). ``is_trusted`` ones have passed the prefix test in the tests.
    """

    name: str
    compute: Compute
    lookback: Lookback
    is_recursive: bool = False
    is_trusted: bool = False


class IndicatorLine(Protocol):
    """The values of an indicator up to the current bar; none of the future can be read."""

    def __call__(self, back: int = 0) -> Any:  # noqa: ANN401 (int or float, as the indicator)
        """Return the value *back* bars before the current one; None before the first."""
        ...


def rolling_sum(values: Column, length: int) -> Column:
    """Return the sum of the last *length* values; of fewer at the start."""
    total = np.cumsum(values)
    if length < len(values):
        shifted = total.copy()
        shifted[length:] -= total[:-length]
        return shifted
    return total


def rolling_extreme(values: Column, length: int, *, highest: bool) -> Column:
    """Return the largest or smallest of the last *length* values; of fewer at the start.

    O(n) whatever the length: running extremes within blocks, forward and backward (van
    Herk/Gil-Werman).
    """
    pick = np.maximum if highest else np.minimum
    count = len(values)
    if length <= 1 or not count:
        return values.copy()
    edge = values.min() if highest else values.max()
    front = np.full(length - 1, edge, dtype=values.dtype)
    rest = -(count + length - 1) % length
    padded = np.concatenate((front, values, np.full(rest, edge, dtype=values.dtype)))
    blocks = padded.reshape(-1, length)
    forward = pick.accumulate(blocks, axis=1).ravel()
    backward = pick.accumulate(blocks[:, ::-1], axis=1)[:, ::-1].ravel()
    result: Column = pick(backward[:count], forward[length - 1 : length - 1 + count])
    return result


def _source(bars: BarColumns, params: Mapping[str, Any]) -> Column:
    name = str(params.get("source", "close"))
    if name in ("open", "high", "low", "close", "volume"):
        column: Column = getattr(bars, name)
        return column
    if name in bars.features:
        return bars.features[name]
    known = ", ".join(["open", "high", "low", "close", "volume", *bars.features])
    raise ConfigurationError(f"indicator source {name!r} is no column of the bars, known: {known}")


def _length(params: Mapping[str, Any]) -> int:
    length = int(params["length"])
    if length < 1:
        raise ConfigurationError(f"indicator length {length} must be 1 or more")
    return length


def _changes(bars: BarColumns, params: Mapping[str, Any]) -> Column:
    values = _source(bars, params)
    return np.diff(values, prepend=values[:1])


def _sum(bars: BarColumns, params: Mapping[str, Any]) -> Column:
    return rolling_sum(_source(bars, params), _length(params))


def _highest(bars: BarColumns, params: Mapping[str, Any]) -> Column:
    values = _source(bars, {"source": "high", **params})
    return rolling_extreme(values, _length(params), highest=True)


def _lowest(bars: BarColumns, params: Mapping[str, Any]) -> Column:
    values = _source(bars, {"source": "low", **params})
    return rolling_extreme(values, _length(params), highest=False)


def _gains(bars: BarColumns, params: Mapping[str, Any]) -> Column:
    return rolling_sum(np.maximum(_changes(bars, params), 0), _length(params))


def _losses(bars: BarColumns, params: Mapping[str, Any]) -> Column:
    return rolling_sum(np.maximum(-_changes(bars, params), 0), _length(params))


def _sma(bars: BarColumns, params: Mapping[str, Any]) -> Column:
    """Mean of prices in ticks; from exact integer sums, so the prefix test is exact."""
    length = _length(params)
    mean: Column = rolling_sum(_source(bars, params), length).astype(np.float64) / length
    mean[: length - 1] = np.nan
    return mean


def _ema(bars: BarColumns, params: Mapping[str, Any]) -> Column:
    """Exponential mean, alpha = 2 / (length + 1), started with the first value."""
    alpha = 2.0 / (_length(params) + 1)
    return _recursion(_source(bars, params).astype(np.float64), alpha)


def _recursion(values: Column, alpha: float) -> Column:
    smoothed, state = np.empty(len(values)), 0.0
    for rows in blocks(len(values)):
        part = []
        for index, value in enumerate(values[rows].tolist(), rows.start):
            state = state + alpha * (value - state) if index else value
            part.append(state)
        smoothed[rows] = part
    return smoothed


def _rsi(bars: BarColumns, params: Mapping[str, Any]) -> Column:
    """RSI of simple sums of gains and losses (Cutler), 0 to 100; 50 when nothing moved."""
    length = _length(params)
    gains, losses = _gains(bars, params), _losses(bars, params)
    moved = gains + losses
    rsi: Column = np.where(moved == 0, 50.0, 100.0 * gains / np.where(moved == 0, 1, moved))
    rsi[:length] = np.nan
    return rsi


def true_range(bars: BarColumns) -> Column:
    """Return max(high, previous close) - min(low, previous close) in ticks; exact."""
    before = np.concatenate((bars.close[:1], bars.close[:-1]))
    high, low = np.maximum(bars.high, before), np.minimum(bars.low, before)
    if len(bars):
        high[0], low[0] = bars.high[0], bars.low[0]
    spread: Column = high - low
    return spread


def _atr(bars: BarColumns, params: Mapping[str, Any]) -> Column:
    """Simple mean of the true range in ticks."""
    length = _length(params)
    mean: Column = rolling_sum(true_range(bars), length).astype(np.float64) / length
    mean[: length - 1] = np.nan
    return mean


def _stdev(bars: BarColumns, params: Mapping[str, Any]) -> Column:
    """Sample standard deviation of the last values, each window by itself."""
    length = max(2, _length(params))
    values = _source(bars, params).astype(np.float64)
    deviation = np.full(len(values), np.nan)
    if len(values) >= length:
        deviation[length - 1 :] = sliding_window_view(values, length).std(axis=1, ddof=1)
    return deviation


def _one_more(params: Mapping[str, Any]) -> int:
    return _length(params) + 1


def indicator_types() -> dict[str, IndicatorType]:
    """Return the indicators that ship, by name; a new mapping each time."""
    shipped = (
        ("sum", _sum, _length, False),
        ("highest", _highest, _length, False),
        ("lowest", _lowest, _length, False),
        ("gains", _gains, _one_more, False),
        ("losses", _losses, _one_more, False),
        ("sma", _sma, _length, False),
        ("ema", _ema, _length, True),
        ("rsi", _rsi, _one_more, False),
        ("atr", _atr, _length, False),
        ("stdev", _stdev, _length, False),
    )
    return {
        name: IndicatorType(name, compute, lookback, is_recursive=recursive, is_trusted=True)
        for name, compute, lookback, recursive in shipped
    }


def find_indicator(types: Mapping[str, IndicatorType], name: str) -> IndicatorType:
    """Return the type *name* of *types*.

    Raises:
        ConfigurationError: it is not registered.
    """
    if name not in types:
        raise ConfigurationError(
            f"indicator {name!r} is not registered, known: {', '.join(sorted(types))}"
        )
    return types[name]


def compute_indicator(kind: IndicatorType, bars: BarColumns, params: Mapping[str, Any]) -> Column:
    """Return the column of *kind* over *bars*, read-only; an untrusted one is tested first.

    Raises:
        LookAheadError: a value changes when later bars are taken away.
        ConfigurationError: the parameters are bad, or the column has the wrong length.
    """
    column = np.asarray(kind.compute(bars, params))
    if column.shape != (len(bars),):
        raise ConfigurationError(
            f"indicator {kind.name} gave {column.shape} values for {len(bars)} bars, one for each "
            "bar is needed"
        )
    if not kind.is_trusted:
        cut = first_leak(kind, bars, params, column)
        if cut is not None:
            raise LookAheadError(
                f"indicator {kind.name} looks ahead: without the bars after {cut} its value at "
                f"bar {cut} or before is another one (LOOK-1)"
            )
    column = column.view()
    column.flags.writeable = False
    return column


def first_leak(
    kind: IndicatorType,
    bars: BarColumns,
    params: Mapping[str, Any],
    column: Column,
    *,
    cuts: int = PREFIX_CUTS,
) -> int | None:
    """Return the first cut at which the prefix test fails, None if it passes everywhere (LOOK-1).

    Long columns are tested on their first `PREFIX_ROWS` rows, and once on the whole.
    """
    for cut in cut_points(len(bars), cuts):
        prefix = np.asarray(kind.compute(bars.prefix(cut + 1), params))
        if not np.array_equal(prefix, column[: cut + 1], equal_nan=_is_float(column)):
            return cut
    return None


def cut_points(length: int, cuts: int = PREFIX_CUTS) -> tuple[int, ...]:
    """Return *cuts* bar indexes to cut at: spread over the start, and one near the end."""
    if length < 2:
        return ()
    short = min(length, PREFIX_ROWS)
    spread = {short * (step + 1) // (cuts + 1) for step in range(cuts)}
    return tuple(sorted(spread | {length - 2}))


def _is_float(column: Column) -> bool:
    return bool(np.issubdtype(column.dtype, np.floating))
