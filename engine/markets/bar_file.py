"""Bars of a file as the table that a replayed market walks."""

from __future__ import annotations

import pathlib

from engine.markets.bar_loader import load_bar_columns
from engine.markets.bar_options import BarFileOptions, InstrumentTerms
from engine.markets.bar_table import BarTable

__all__ = ["BarFileOptions", "load_bars"]

_PRECISION = 40
"""The grid of a replayed market is checked when its instrument is built."""


def load_bars(path: pathlib.Path, options: BarFileOptions | None = None) -> BarTable:
    """Return the bars in the file *path*, in the order of time.

    Raises:
        MarketDataError: the file cannot be read or used.
        ValueError: the time zone or a policy in *options* is not known.
    """
    options = options or BarFileOptions()
    terms = InstrumentTerms("replay", lot=options.lot, money_precision=_PRECISION)
    loaded = load_bar_columns(path, terms=terms, options=options)
    bars = loaded.columns
    return BarTable(
        bars.instrument.tick,
        tuple(bars.ts_open.tolist()),
        tuple(bars.ts_close.tolist()),
        tuple(bars.open.tolist()),
        tuple(bars.high.tolist()),
        tuple(bars.low.tolist()),
        tuple(bars.close.tolist()),
        tuple(bars.volume.tolist()),
        tuple(bars.is_synthetic.tolist()),
        {name: tuple(values.tolist()) for name, values in bars.features.items()},
        loaded.report,
    )
