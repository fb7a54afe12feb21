"""Prices scaled by an adjusted close (DATA-7)."""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.markets.number_columns import FormatProblem, parse_float_column
from engine.model.bar_columns import BarColumns, FloatArray, IntArray

_BOUND: Final = 2**62


def adjust_by_ratio(bars: BarColumns, adjusted: FloatArray) -> BarColumns:
    """Return *bars* with O/H/L/C times adjusted/close, half to even, and volume by the inverse.

    ``adjusted`` are prices, read as their shortest decimals. The arithmetic is that of integers.

    Raises:
        ValueError: an adjusted close is missing or not above 0.
    """
    try:
        column = parse_float_column(adjusted)
    except (FormatProblem, OverflowError) as error:
        raise ValueError(f"an adjusted close cannot be used ({error})") from error
    if column.kinds is not None or bool((column.scaled <= 0).any()):
        bad = int(np.argmax((column.scaled <= 0) | (~np.isfinite(adjusted))))
        raise ValueError(f"the adjusted close of bar {bad} is {adjusted[bad]}, not above 0")
    tick = bars.instrument.tick
    # value in ticks = scaled / 10**decimals / tick = scaled * up / down
    up, down = (1 / (tick * 10**column.decimals)).as_integer_ratio()
    scaled = column.rounded()[0]
    prices = {
        name: _scaled(getattr(bars, name), scaled, up, bars.close, down)
        for name in ("open", "high", "low", "close")
    }
    volume = np.where(
        bars.volume > 0, _scaled(bars.volume, bars.close, down, scaled, up), bars.volume
    )
    vwap = bars.vwap
    if vwap is not None:
        vwap = np.where(vwap > 0, _scaled(vwap, scaled, up, bars.close, down), vwap)
    return bars.with_columns(**prices, volume=volume, vwap=vwap)


def _scaled(
    values: IntArray, numerators: IntArray, up: int, denominators: IntArray, down: int
) -> IntArray:
    """Return ``values * numerators * up / (denominators * down)``, half to even."""
    bound = int(np.abs(values).max(initial=0)) * int(np.abs(numerators).max(initial=0)) * up
    below = int(np.abs(denominators).max(initial=0)) * down
    if 2 * max(bound, below) < _BOUND:
        top, bottom = values * numerators * up, denominators * down
    else:
        top = values.astype(object) * numerators.astype(object) * up
        bottom = denominators.astype(object) * down
    quotient = top // bottom
    twice = 2 * (top - quotient * bottom)
    is_up = (twice > bottom) | ((twice == bottom) & (quotient % 2 == 1))
    result: IntArray = (quotient + is_up.astype(np.int64)).astype(np.int64)
    return result
