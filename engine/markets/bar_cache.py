"""Bars as a directory of `.npy` files that several processes map at once (DATA-5)."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import numpy as np

from engine.markets.data_report import MarketDataError
from engine.model.bar_columns import (
    FLAG_COLUMNS,
    INTEGER_COLUMNS,
    OPTIONAL_COLUMNS,
    BarColumns,
)
from engine.model.instruments import ConnectorPair, Instrument, Settlement

FORMAT: Final = "quarterdeck-bars-1"
INDEX_FILE: Final = "bars.json"
_DECIMALS: Final = ("tick", "lot", "min_qty", "max_qty", "min_notional", "multiplier")
_PLAIN: Final = ("shortable", "money_precision", "maker_ppb", "taker_ppb")


def save_bar_cache(bars: BarColumns, folder: pathlib.Path) -> None:
    """Write *bars* to *folder*: one `.npy` file for each column, then the index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX_FILE).unlink(missing_ok=True)
    names = [
        name
        for name in (*INTEGER_COLUMNS, *FLAG_COLUMNS, *OPTIONAL_COLUMNS, "is_closed")
        if getattr(bars, name) is not None
    ]
    for name in names:
        np.save(folder / f"{name}.npy", getattr(bars, name), allow_pickle=False)
    for place, values in enumerate(bars.features.values()):
        np.save(folder / f"feature-{place}.npy", values, allow_pickle=False)
    index = {
        "format": FORMAT,
        "symbol": bars.symbol,
        "duration_ns": bars.duration_ns,
        "rows": len(bars),
        "columns": names,
        "features": list(bars.features),
        "data_hash": bars.data_hash,
        "instrument": instrument_document(bars.instrument),
    }
    (folder / INDEX_FILE).write_text(json.dumps(index, indent=1), encoding="utf-8")


def load_bar_cache(
    folder: pathlib.Path, *, is_checked: bool = False, resident_rows: int = 0
) -> BarColumns:
    """Return the bars in *folder*, memory-mapped and read-only.

    Args:
        folder: what `save_bar_cache` wrote.
        is_checked: compare the data with the hash in the index, which reads all of it.
        resident_rows: bars up to which the pages are not given up between runs, nor is what a run
            makes of them put into files: for many runs, one after another, over the same bars.

    Raises:
        MarketDataError: the folder holds no such bars, or others than its index says.
    """
    index = _read_index(folder / INDEX_FILE)
    try:
        columns: dict[str, Any] = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in index["columns"]
        }
        features = {
            name: np.load(folder / f"feature-{place}.npy", mmap_mode="r", allow_pickle=False)
            for place, name in enumerate(index["features"])
        }
        bars = BarColumns(
            instrument=read_instrument(index["instrument"]),
            symbol=index["symbol"],
            duration_ns=index["duration_ns"],
            features=features,
            **columns,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MarketDataError(
            f"{folder / INDEX_FILE}:1: columns: cannot be read ({error}): make the cache again",
            cause=error,
        ) from error
    if len(bars) <= resident_rows:
        # The same pages, which processes share, under arrays that nobody takes for files.
        named = {name: np.asarray(_Pages(column)) for name, column in columns.items()}
        plain = {name: np.asarray(_Pages(column)) for name, column in features.items()}
        bars = bars.with_columns(**named, features=plain)
    if is_checked and bars.data_hash != index["data_hash"]:
        raise MarketDataError(
            f"{folder / INDEX_FILE}:1: data_hash: {index['data_hash'][:12]}... is not that of the "
            f"columns ({bars.data_hash[:12]}...): make the cache again"
        )
    return bars


class _Pages:
    """Keeps a map open under an array that does not know of it."""

    def __init__(self, mapped: np.memmap[Any, Any]) -> None:
        self._mapped = mapped
        self.__array_interface__ = mapped.__array_interface__


def _read_index(path: pathlib.Path) -> dict[str, Any]:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MarketDataError(
            f"{path}:1: file: cannot be read ({error.strerror}): name a folder of cached bars",
            cause=error,
        ) from error
    except ValueError as error:
        raise MarketDataError(
            f"{path}:1: file: is no JSON ({error}): make the cache again", cause=error
        ) from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise MarketDataError(f"{path}:1: format: is not {FORMAT!r}: make the cache again")
    return index


def instrument_document(instrument: Instrument) -> dict[str, Any]:
    """Return *instrument* as JSON values, exact."""
    return {
        "connector_name": instrument.market.connector_name,
        "trading_pair": instrument.market.trading_pair,
        "settlement": instrument.settlement.value,
        **{name: str(getattr(instrument, name)) for name in _DECIMALS},
        **{name: getattr(instrument, name) for name in _PLAIN},
    }


def read_instrument(document: Mapping[str, Any]) -> Instrument:
    """Return the instrument of an `instrument_document`.

    Raises:
        KeyError: a field is missing.
        ValueError: a field cannot be used.
    """
    decimals: dict[str, Any] = {name: Decimal(document[name]) for name in _DECIMALS}
    return Instrument(
        ConnectorPair(document["connector_name"], document["trading_pair"]),
        settlement=Settlement(document["settlement"]),
        **decimals,
        **{name: document[name] for name in _PLAIN},
    )
