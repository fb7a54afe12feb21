"""What `--out` writes: tables for other programs, metrics, configuration, report."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from engine.backtest.readable_tables import readable_tables
from engine.backtest.report_html import render_report
from engine.backtest.results import BacktestResult
from engine.backtest.results_io import save_result
from engine.backtest.table_files import write_csv
from engine.model.bar_columns import BarColumns


def export_result(
    result: BacktestResult, folder: pathlib.Path, *, bars: Sequence[BarColumns] = ()
) -> tuple[pathlib.Path, ...]:
    """Write *result* to *folder* for people and programs; return the files.

    Trades, fills, equity and orders as Parquet (the integers of the ledger and readable columns)
    and as CSV (readable columns), `metrics.json`, `config.yaml`, `report.html`, and what
    `load_result` reads. Raises OSError if the folder cannot be written.
    """
    readable = readable_tables(result)
    save_result(result, folder, bars=bars, readable=readable)
    for name, frame_of in readable.items():
        write_csv(folder / f"{name}.csv", len(getattr(result, name)), frame_of)
    summary = json.dumps(result.to_json(), indent=2, allow_nan=False)
    (folder / "metrics.json").write_text(f"{summary}\n", encoding="utf-8")
    document = {"version": 1, "backtest": _plain(result.config)}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    (folder / "report.html").write_text(render_report(result, bars=bars), encoding="utf-8")
    return tuple(sorted(path for path in folder.iterdir() if path.is_file()))


def _plain(value: Any) -> Any:  # noqa: ANN401 (a JSON value)
    """Return *value* with plain dicts and lists, as YAML's safe writer wants them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
