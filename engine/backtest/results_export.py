"""What `--out` writes: tables for other programs, metrics, configuration, report."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import yaml

from engine.backtest.readable_tables import equity_frame, fill_frame, order_frame, trade_frame
from engine.backtest.report_html import render_report
from engine.backtest.results import BacktestResult
from engine.backtest.results_io import save_result, table_frame
from engine.model.bar_columns import BarColumns


def export_result(
    result: BacktestResult, folder: pathlib.Path, *, bars: Sequence[BarColumns] = ()
) -> tuple[pathlib.Path, ...]:
    """Write *result* to *folder* for people and programs; return the files.

    Trades, fills, equity and orders as Parquet (the integers of the ledger and readable columns)
    and as CSV (readable columns), `metrics.json`, `config.yaml`, `report.html`, and what
    `load_result` reads. Raises OSError if the folder cannot be written.
    """
    save_result(result, folder, bars=bars)
    frames = {
        "equity": equity_frame(result),
        "trades": trade_frame(result),
        "fills": fill_frame(result),
        "orders": order_frame(result),
    }
    for name, readable in frames.items():
        exact = table_frame(getattr(result, name))
        taken = set(exact.columns)
        more = readable.rename({one: f"{one}_text" for one in readable.columns if one in taken})
        pl.concat([exact, more], how="horizontal").write_parquet(folder / f"{name}.parquet")
        readable.write_csv(folder / f"{name}.csv", datetime_format="%Y-%m-%dT%H:%M:%S%.9fZ")
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
