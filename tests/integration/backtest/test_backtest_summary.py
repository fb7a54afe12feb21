"""What a run says of its orders: every ending by its reason, on both paths (ORD-7)."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.backtest import results_export
from engine.backtest.results_export import export_result
from engine.strategies.bracket import BracketParams
from tui.cli import run

HEADER = "date,open,high,low,close,volume\n"
BARS = """\
2020-01-01,100,101,99,100,1000
2020-01-02,103,106,101,105,1000
2020-01-03,103,106,101,105,1000
"""
PRINTS = """\
from engine.strategies.strategy import Strategy


class Talks(Strategy):
    def on_bar(self, bar):
        print("here")
"""
FAILS = """\
from engine.strategies.strategy import Strategy


class Fails(Strategy):
    def on_bar(self, bar):
        raise RuntimeError("no")
"""


def run_script(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    order: dict[str, Any],
    *,
    engine: str = "events",
    broker: dict[str, Any] | None = None,
    strategy: dict[str, Any] | None = None,
    **section: Any,
) -> dict[str, Any]:
    """Run one scripted order at the first bar's close through the command; return its summary."""
    (folder / "bars.csv").write_text(HEADER + BARS, encoding="utf-8")
    orders = [{"bar": 0, "side": "buy", "qty": 1, **order}]
    document = {
        "version": 1,
        "backtest": {
            "data": [{"symbol": "X", "path": "bars.csv", "bar": "1d", "tick": "0.01"}],
            "components": {
                "strategy": strategy or {"class": "scripted", "params": {"orders": orders}},
                "broker": {"params": broker or {}},
            },
            **section,
        },
    }
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    arguments = ["backtest", str(file), "--json", "--out", str(folder / "out"), "--engine", engine]
    assert run(arguments) == 0
    summary: dict[str, Any] = json.loads(capsys.readouterr().out)
    return summary


@pytest.mark.parametrize("engine", ["events", "compiled"])
@pytest.mark.parametrize(
    ("order", "broker", "refused", "cut", "states"),
    [
        ({"qty": 0}, {}, {"QTY_NOT_POSITIVE": 1}, {}, {"REJECTED": 1}),
        ({"qty": 600, "tif": "FOK"}, {"max_participation": 0.5}, {}, {"FOK": 1}, {"CANCELLED": 1}),
        ({"type": "LIMIT", "limit": 90, "tif": "DAY"}, {}, {}, {"DAY": 1}, {"EXPIRED": 1}),
        ({"type": "LIMIT", "limit": 90}, {}, {}, {"END_OF_RUN": 1}, {"CANCELLED": 1}),
        ({"qty": 9999}, {"insufficient_funds": "trim"}, {}, {"INSUFFICIENT_FUNDS": 1}, None),
        ({"qty": 9999}, {}, {"INSUFFICIENT_FUNDS": 1}, {}, {"REJECTED": 1}),
        (
            {"type": "LIMIT", "limit": 101.005},
            {"price_grid": "strict"},
            {"PRICE_OFF_GRID": 1},
            {},
            {"REJECTED": 1},
        ),
        ({"bracket": {"sl": 101.5, "tp": 200}}, {}, {}, {"OCO": 1}, {"CANCELLED": 1, "FILLED": 2}),
    ],
)
def test_every_ending_is_counted_by_its_reason_ord_7(
    engine: str,
    order: dict[str, Any],
    broker: dict[str, Any],
    refused: dict[str, int],
    cut: dict[str, int],
    states: dict[str, int] | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    summary = run_script(tmp_path, capsys, order, engine=engine, broker=broker)
    assert summary["engine"] == engine
    assert summary["rejections"] == refused
    assert summary["cancellations"] == cut
    if states is not None:
        assert summary["orders_by_state"] == states


def test_the_table_of_orders_has_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_script(tmp_path, capsys, {"type": "STOP_LIMIT", "stop": 104, "limit": 105, "tif": "DAY"})
    with (tmp_path / "out" / "orders.csv").open(encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    assert (row["type"], row["tif"], row["state"]) == ("STOP_LIMIT", "DAY", "FILLED")


def test_what_a_strategy_prints_is_not_in_the_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "talking.py").write_text(PRINTS, encoding="utf-8")
    summary = run_script(
        tmp_path,
        capsys,
        {},
        strategy={"class": "talking.Talks"},
        allow_imports=["talking"],
    )
    assert summary["status"] == "COMPLETED"


def test_errors_that_were_skipped_are_told_evt_6(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "failing.py").write_text(FAILS, encoding="utf-8")
    summary = run_script(
        tmp_path,
        capsys,
        {},
        strategy={"class": "failing.Fails"},
        allow_imports=["failing"],
        stop_on_error=False,
    )
    assert summary["status"] == "COMPLETED"
    assert summary["warnings"][0] == ("3 errors of components were skipped (stop_on_error: false)")


def test_distances_of_a_bracket_have_their_unit_in_the_key_cost_5() -> None:
    told = BracketParams.model_validate({"stop_loss_pct": 2, "take_profit_bps": 300})
    assert told == BracketParams.model_validate({"stop_loss": "0.02", "take_profit": "0.03"})
    with pytest.raises(ValueError, match="stop_loss is given already"):
        BracketParams.model_validate({"stop_loss": "0.02", "stop_loss_pct": 2})


def test_ctrl_c_while_the_report_is_made_does_not_lose_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: Any, **named: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGALRM)  # what a second later ends a run that is stuck
        return export_result(*given, **named)

    monkeypatch.setattr(results_export, "export_result", interrupted)
    summary = run_script(tmp_path, capsys, {})
    assert (summary["status"], summary["fills"]) == ("COMPLETED", 2)
    assert (tmp_path / "out" / "fills.csv").exists()


def test_a_script_about_a_symbol_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AssertionError):
        run_script(tmp_path, capsys, {"symbol": "Y"})
    assert "orders.0.symbol: 'Y' is not in the data (UNKNOWN_SYMBOL), use X" in (
        capsys.readouterr().err
    )
