"""Bars of a configuration, loaded once and shared read-only by all containers (CONT-12)."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.backtest.config import BacktestConfig, DataEntry
from engine.markets.data_report import MarketDataError
from engine.markets.mapped_columns import column_like
from engine.model.bar_columns import BarColumns, blocks
from engine.model.calendar import OUTSIDE
from engine.model.instruments import Instrument

FILES_KEPT: Final = 8
"""Files whose bars stay in memory after their run."""


@dataclass(frozen=True, slots=True)
class MarketData:
    """The columns of each symbol in the order of declaration, and what was met in their files."""

    columns: tuple[BarColumns, ...]
    report: Mapping[str, Any]
    execution: tuple[BarColumns | None, ...] = ()
    """Finer bars to match on, by symbol; empty if no symbol has them (TIME-4)."""

    @property
    def data_hash(self) -> str:
        """Return the hash over symbols and columns (DET-2)."""
        digest = hashlib.sha256(b"MARKET1\n")
        for one in self.columns:
            digest.update(f"{one.symbol} {one.data_hash}\n".encode())
        for fine in self.execution:
            digest.update(f"fine {'' if fine is None else fine.data_hash}\n".encode())
        return digest.hexdigest()


class MarketDataStore:
    """Loads files and keeps the last ones; safe for threads."""

    def __init__(self, *, files_kept: int = FILES_KEPT) -> None:
        self._files_kept = files_kept
        self._lock = threading.Lock()
        self._loaded: OrderedDict[tuple[object, ...], tuple[BarColumns, dict[str, Any]]] = (
            OrderedDict()
        )

    def load(self, config: BacktestConfig, base_dir: Path) -> MarketData:
        """Return the bars of *config*; relative paths start from *base_dir*.

        Raises:
            MarketDataError: a file cannot be used; file, line, column and value are named.
        """
        precision = config.components.portfolio.params.money_precision
        loaded = [self._entry(entry, base_dir, precision) for entry in config.data]
        fine = tuple(
            self._fine(entry, columns.instrument, base_dir, precision)
            for entry, (columns, _) in zip(config.data, loaded, strict=True)
        )
        return MarketData(
            tuple(columns for columns, _ in loaded),
            {entry.symbol: report for entry, (_, report) in zip(config.data, loaded, strict=True)},
            fine if any(one is not None for one in fine) else (),
        )

    def _fine(
        self, entry: DataEntry, instrument: Instrument, base_dir: Path, precision: int
    ) -> BarColumns | None:
        """Return the finer bars on the grid of the entry's own: one ledger has one tick."""
        fine = entry.fine_entry()
        if fine is None:
            return None
        on_grid = fine.model_copy(update={"tick": instrument.tick})
        return self._entry(on_grid, base_dir, precision)[0]

    def _entry(
        self, entry: DataEntry, base_dir: Path, precision: int
    ) -> tuple[BarColumns, dict[str, Any]]:
        path = base_dir / entry.path
        try:
            stat = path.stat()
        except OSError as error:
            raise MarketDataError(
                f"{path}:1: file: cannot be read ({error.strerror}): check data.path of "
                f"{entry.symbol}",
                cause=error,
            ) from error
        key = (str(path), stat.st_mtime_ns, stat.st_size, precision, entry.model_dump_json())
        with self._lock:
            if key in self._loaded:
                self._loaded.move_to_end(key)
                return self._loaded[key]
        found = load_entry(entry, path, precision)
        with self._lock:
            self._loaded[key] = found
            while len(self._loaded) > self._files_kept:
                self._loaded.popitem(last=False)
        return found


def load_entry(
    entry: DataEntry, path: Path, money_precision: int
) -> tuple[BarColumns, dict[str, Any]]:
    """Return the bars of one entry and the report of its file.

    Raises:
        MarketDataError: the file cannot be used.
    """
    options = entry.options()
    from engine.markets.bar_loader import load_bar_columns  # with polars, which bars at hand spare

    loaded = load_bar_columns(path, terms=entry.terms(money_precision), options=options)
    columns = loaded.columns
    coarser = entry.coarser()
    if coarser is not None:
        from engine.markets.resampling import resample

        columns = resample(columns, coarser)
    if options.calendar is not None:
        is_closed = column_like(columns.ts_close, dtype=np.dtype(np.bool_))
        for part in blocks(len(columns), columns.ts_close, is_closed):
            sessions = options.calendar.bar_sessions(columns.ts_close[part])
            is_closed[part] = sessions == OUTSIDE
        columns = columns.with_columns(is_closed=is_closed)
    return columns, loaded.report.to_dict()
