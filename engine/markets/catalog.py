"""A catalogue of bars by symbol, timeframe and month (DATA-6)."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
import shutil
import tempfile
from typing import Any, Final

import numpy as np
import polars as pl

from engine.markets.bar_cache import (
    instrument_document,
    load_bar_cache,
    read_instrument,
    save_bar_cache,
)
from engine.markets.data_report import MarketDataError
from engine.model.bar_columns import (
    FLAG_COLUMNS,
    INTEGER_COLUMNS,
    OPTIONAL_COLUMNS,
    BarColumns,
)

FORMAT: Final = "quarterdeck-catalog-1"
MANIFEST: Final = "manifest.json"
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,99}")
_MAP_FOLDER: Final = ".map"


def write_catalog(root: pathlib.Path, bars: BarColumns, timeframe: str) -> pathlib.Path:
    """Write *bars* to ``root/bars/<symbol>/<timeframe>/<YYYY-MM>.parquet``; return the folder.

    A bar's month is that of its start in UTC. The manifest has rows, first and last stamp and the
    SHA-256 of each part. What was there of the same symbol and timeframe is replaced.

    Raises:
        ValueError: symbol or timeframe is no name of a folder.
    """
    folder = _folder(root, bars.symbol, timeframe)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    for old in folder.glob("*.parquet"):
        old.unlink()
    months = bars.ts_open.astype("datetime64[ns]").astype("datetime64[M]")
    ends = np.append(months[1:] != months[:-1], [True] * min(1, len(bars)))
    parts: list[dict[str, Any]] = []
    start = 0
    for stop in (np.flatnonzero(ends) + 1).tolist():
        part = bars.slice(start, stop)
        path = folder / f"{months[start]}.parquet"
        _frame(part).write_parquet(path)
        parts.append(
            {
                "file": path.name,
                "rows": len(part),
                "first_ts": int(part.ts_open[0]),
                "last_ts": int(part.ts_close[-1]),
                "sha256": _sha256(path),
            }
        )
        start = stop
    manifest = {
        "format": FORMAT,
        "symbol": bars.symbol,
        "timeframe": timeframe,
        "duration_ns": bars.duration_ns,
        "rows": len(bars),
        "data_hash": bars.data_hash,
        "instrument": instrument_document(bars.instrument),
        "features": list(bars.features),
        "parts": parts,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return folder


def read_catalog(
    root: pathlib.Path,
    symbol: str,
    timeframe: str,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    is_checked: bool = True,
) -> BarColumns:
    """Return the bars that start in ``[start_ns, end_ns)``.

    Only the months of the range are opened. They are memory-mapped columns: the first reader of a
    range makes a `.npy` copy beside the parts, which later readers, in any process, map too.

    Raises:
        MarketDataError: there are none, or a part is not what the manifest says.
        ValueError: symbol or timeframe is no name of a folder.
    """
    folder = _folder(root, symbol, timeframe)
    manifest = _read_manifest(folder / MANIFEST)
    wanted = [
        part
        for part in manifest["parts"]
        if (end_ns is None or part["first_ts"] < end_ns)
        and (start_ns is None or part["last_ts"] > start_ns)
    ]
    if not wanted:
        text = "has no bars in the range asked for: choose another"
        raise MarketDataError(f"{folder / MANIFEST}:1: parts: {text}")
    key = hashlib.sha256(" ".join(part["sha256"] for part in wanted).encode()).hexdigest()[:16]
    mapped = folder / _MAP_FOLDER / key
    if not (mapped / "bars.json").is_file():
        _make_map(folder, manifest, wanted, mapped, is_checked=is_checked)
    bars = load_bar_cache(mapped)
    start = 0 if start_ns is None else int(np.searchsorted(bars.ts_open, start_ns))
    stop = len(bars) if end_ns is None else int(np.searchsorted(bars.ts_open, end_ns))
    return bars.slice(start, stop)


def _make_map(
    folder: pathlib.Path,
    manifest: dict[str, Any],
    parts: list[dict[str, Any]],
    target: pathlib.Path,
    *,
    is_checked: bool,
) -> None:
    frames = []
    for part in parts:
        path = folder / part["file"]
        if not path.is_file() or (is_checked and _sha256(path) != part["sha256"]):
            text = "is missing or is not what the manifest says: write the catalogue again"
            raise MarketDataError(f"{path}:1: file: {text}")
        frames.append(pl.read_parquet(path))
    frame = pl.concat(frames)
    names = [name for name in frame.columns if not name.startswith("feature ")]
    columns: dict[str, Any] = {name: frame[name].to_numpy() for name in names}
    bars = BarColumns(
        instrument=read_instrument(manifest["instrument"]),
        symbol=manifest["symbol"],
        duration_ns=manifest["duration_ns"],
        features={name: frame[f"feature {name}"].to_numpy() for name in manifest["features"]},
        **columns,
    )
    # Several processes may do this at once: each writes its own, the first to finish stays.
    target.parent.mkdir(exist_ok=True)
    own = pathlib.Path(tempfile.mkdtemp(dir=target.parent))
    save_bar_cache(bars, own)
    try:
        own.rename(target)
    except OSError:
        shutil.rmtree(own)


def _frame(bars: BarColumns) -> pl.DataFrame:
    columns: dict[str, Any] = {
        name: values
        for name in (*INTEGER_COLUMNS, *FLAG_COLUMNS, *OPTIONAL_COLUMNS)
        if (values := getattr(bars, name)) is not None
    }
    columns |= {f"feature {name}": values for name, values in bars.features.items()}
    return pl.DataFrame(columns)


def _folder(root: pathlib.Path, symbol: str, timeframe: str) -> pathlib.Path:
    for what, name in (("symbol", symbol), ("timeframe", timeframe)):
        if not _SAFE.fullmatch(name):
            raise ValueError(
                f"{what} {name!r} is no name of a folder: use letters, digits, . _ = -"
            )
    return root / "bars" / symbol / timeframe


def _read_manifest(path: pathlib.Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MarketDataError(
            f"{path}:1: file: cannot be read ({error.strerror}): write the catalogue first",
            cause=error,
        ) from error
    except ValueError as error:
        raise MarketDataError(
            f"{path}:1: file: is no JSON ({error}): write the catalogue again", cause=error
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise MarketDataError(f"{path}:1: format: is not {FORMAT!r}: write the catalogue again")
    return manifest


def _sha256(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
