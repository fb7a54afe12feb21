from __future__ import annotations

import json
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from engine.backtest.readable_tables import decimal_column
from engine.backtest.results import BacktestResult, ResultStatus
from engine.backtest.results_export import export_result
from engine.backtest.results_io import (
    RESULT_FILE,
    TABLES,
    ResultFormatError,
    load_result,
    save_result,
)
from engine.model.bar_columns import BarColumns

Example = tuple[BarColumns, BacktestResult]


def everything(result: BacktestResult) -> dict[str, Any]:
    """Return all there is of *result* as comparable values."""
    values: dict[str, Any] = {}
    for one in fields(result):
        value = getattr(result, one.name)
        if one.name in TABLES:
            value = (value.dtype, value.tobytes())
        elif one.name == "metrics":
            value = (dict(value.values), dict(value.reasons), dict(value.basis))
        elif one.name == "splits":
            value = {name: everything(part) for name, part in value.items()}
        elif one.name == "order_notes" or (one.name == "events" and value is not None):
            value = [dict(row) for row in value]
        elif hasattr(value, "keys"):
            value = dict(value)
        values[one.name] = value
    return values


def test_a_result_loads_back_without_loss_coord_5(daily_example: Example, tmp_path: Path) -> None:
    _, result = daily_example
    rich = replace(
        result,
        status=ResultStatus.BANKRUPT,
        events=({"seq": 0, "kind": "BAR", "payload": {"close": 1}},),
        warnings=("no costs",),
        flags={"optimistic": "same_close"},
        rejections={"INSUFFICIENT_FUNDS": 3},
        cancellations={"DAY": 1},
        envelope={"sharpe": [0.1, 0.2]},
        splits={"train": result, "test": replace(result, run_id="other")},
        shortfall_atoms=5,
        error=None,
    )
    save_result(rich, tmp_path / "run")
    found = load_result(tmp_path / "run")
    assert everything(found) == everything(rich)
    assert found.metrics["fees_total"] == Decimal("176.00000000")
    assert found.to_json() == rich.to_json()


def test_empty_results_load_back_too(daily_example: Example, tmp_path: Path) -> None:
    _, result = daily_example
    bare = BacktestResult(
        status=ResultStatus.FAILED,
        run_id="r",
        config={},
        run_hash="",
        data_hash="",
        fingerprint="",
        engine="events",
        metrics=result.metrics,
        instruments=(),
        container_metrics=result.container_metrics,
        error="strategy raised at bar 7",
        initial_atoms=5 * 10**8,
    )
    save_result(bare, tmp_path)
    assert everything(load_result(tmp_path)) == everything(bare)
    assert bare.final_equity == Decimal(5)
    assert bare.is_partial


def test_a_result_is_read_only(daily_example: Example) -> None:
    _, result = daily_example
    with pytest.raises(ValueError, match="read-only"):
        result.equity["equity_atoms"][0] = 1
    with pytest.raises(TypeError):
        result.config["x"] = 1  # type: ignore[index]  # that it cannot is the test


def test_the_json_object_has_what_the_command_promises(daily_example: Example) -> None:
    _, result = daily_example
    summary = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert summary["final_equity"] == "127958.50000000"
    assert summary["n_trades"] == 88
    assert summary["fills"] == 176
    assert summary["orders_by_state"] == {"FILLED": 176}
    assert summary["rejections"] == {}
    assert summary["ambiguous_fills"] == 0
    assert summary["engine"] == "events"
    assert summary["bars"] == 5031
    assert summary["bars_per_second"] == 1234.5
    assert summary["fingerprint"] == result.fingerprint
    assert summary["data_report"]["SP500"]["rows_kept"] == 5031
    assert summary["dsr"] is None
    assert summary["undefined"]["dsr"] == "NO_TRIALS"
    assert set(result.metrics.values) <= set(summary)


def test_without_a_fill_the_dominant_reason_is_told_ord_7(daily_example: Example) -> None:
    _, result = daily_example
    rejections = {"MIN_NOTIONAL": 2, "INSUFFICIENT_FUNDS": 5}
    silent = replace(result, fills=result.fills[:0], rejections=rejections)
    expired = replace(silent, cancellations={"DAY": 4, "MIN_NOTIONAL": 4})
    assert expired.to_json()["no_fill_reason"] == "MIN_NOTIONAL"
    assert silent.to_json()["no_fill_reason"] == "INSUFFICIENT_FUNDS"
    assert "no_fill_reason" not in replace(result, rejections=rejections).to_json()


def test_a_folder_without_a_complete_result(daily_example: Example, tmp_path: Path) -> None:
    with pytest.raises(ResultFormatError, match="name the folder of a result"):
        load_result(tmp_path)
    path = tmp_path / RESULT_FILE
    for text, said in (("{", "is no JSON"), ("[]", "format: None"), ('{"format": 1}', "format: 1")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ResultFormatError, match=said):
            load_result(tmp_path)
    save_result(daily_example[1], tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["metrics"]
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ResultFormatError, match="is damaged"):
        load_result(tmp_path)
    save_result(daily_example[1], tmp_path)
    for name, said in (("fills", "table: cannot be read"), ("order_notes", "cannot be read")):
        (tmp_path / f"{name}.parquet").write_bytes(b"nonsense")
        with pytest.raises(ResultFormatError, match=said):
            load_result(tmp_path)
        save_result(daily_example[1], tmp_path)


def test_the_export_has_the_promised_files(daily_example: Example, tmp_path: Path) -> None:
    bars, result = daily_example
    names = {path.name for path in export_result(result, tmp_path, bars=[bars])}
    for table in ("trades", "fills", "equity"):
        assert {f"{table}.parquet", f"{table}.csv"} <= names
    assert {"metrics.json", "config.yaml", "report.html", "result.json"} <= names
    document = yaml.safe_load((tmp_path / "config.yaml").read_text("utf-8"))
    assert document == {"version": 1, "backtest": dict(result.config)}
    assert json.loads((tmp_path / "metrics.json").read_text("utf-8")) == json.loads(
        json.dumps(result.to_json())
    )
    assert everything(load_result(tmp_path)) == everything(result)


def test_exported_decimals_are_exact(daily_example: Example, tmp_path: Path) -> None:
    bars, result = daily_example
    export_result(result, tmp_path)
    rows = pl.read_csv(tmp_path / "trades.csv", infer_schema=False)
    total = sum(Decimal(text) for text in rows["pnl"])
    assert total == result.money(int(result.trades["pnl_atoms"].sum()))
    first = rows.row(0, named=True)
    assert (first["symbol"], first["side"], first["qty"]) == ("SP500", "long", "50")
    entry = int(result.trades["entry_bar"][0])
    assert Decimal(first["entry_price"]) == bars.instrument.price(int(bars.open[entry]))
    assert first["tag"] == "</script>"
    equity = pl.read_csv(tmp_path / "equity.csv", infer_schema=False)
    assert Decimal(equity["equity"][-1]) == result.final_equity
    assert equity["time"][0] == "1999-01-05T00:00:00.000000000Z"
    fills = pl.read_parquet(tmp_path / "fills.parquet")
    assert fills["price"].dtype == pl.Decimal(38, 2)
    assert fills["side_text"].to_list()[:2] == ["buy", "sell"]
    orders = pl.read_csv(tmp_path / "orders.csv")
    assert orders["state"].unique().to_list() == ["FILLED"]
    assert orders["limit"].null_count() == len(orders)


def test_decimal_columns_of_any_step() -> None:
    values = np.array([0, -3, 2**53 + 1], dtype=np.int64)
    assert decimal_column(values, Decimal("0.25")).to_list() == [
        Decimal(0),
        Decimal("-0.75"),
        Decimal(2**53 + 1) / 4,
    ]
    assert decimal_column(values, Decimal(50)).to_list()[1] == Decimal(-150)


def test_mean_prices_off_the_tick_are_shown_to_nine_decimals(
    daily_example: Example, tmp_path: Path
) -> None:
    _, result = daily_example
    trades = result.trades[:1].copy()
    trades["lots"], trades["entry_atoms"] = 3, 10**8 * 10
    export_result(replace(result, trades=trades), tmp_path)
    rows = pl.read_csv(tmp_path / "trades.csv", infer_schema=False)
    assert rows["entry_price"].to_list() == ["3.333333333"]
