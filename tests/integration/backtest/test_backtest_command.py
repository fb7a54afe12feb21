"""`quarterdeck backtest` and its neighbours as they are typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engine.backtest.metrics import METRIC_NAMES
from tui.cli import run

COMMAND = [sys.executable, "-m", "tui"]
CHECKOUT = Path(__file__).resolve().parents[3]
LEAK = """\
import numpy as np

from engine.strategies.indicators import IndicatorType
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.strategy import Strategy


def tomorrow(bars, params):
    return np.append(bars.close[1:], bars.close[-1:]) - bars.close


class Leak(Strategy):
    @property
    def indicators(self):
        kind = IndicatorType("tomorrow", tomorrow, lambda params: 1, is_trusted=True)
        return {"tomorrow": kind}

    def on_start(self):
        self._next = self.ctx.indicator("tomorrow")

    def on_bar(self, bar):
        kind = SignalKind.DIRECTION if self._next() > 0 else SignalKind.EXIT
        self.ctx.signal(Signal(bar.market, kind, 1 if kind is SignalKind.DIRECTION else 0))
"""
FILE = """\
version: 1
backtest:
  allow_imports: [mine]
  data:
    - {{symbol: SPX, path: {path}, bar: 1d}}
  components:
    strategy: {{class: mine.{name}}}
"""
SLOW = """\
import time

from engine.strategies.strategy import Strategy


class Slow(Strategy):
    def on_bar(self, bar):
        if self.ctx.bar_index() == 50:
            print("begun", flush=True)
        time.sleep(0.002)


class Stuck(Strategy):
    def on_bar(self, bar):
        if self.ctx.bar_index() == 50:
            print("begun", flush=True)
            while True:
                pass


class Raises(Strategy):
    def on_bar(self, bar):
        if self.ctx.bar_index() == 500:
            raise ZeroDivisionError("nothing to divide by")
"""


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(SLOW, encoding="utf-8")
    return tmp_path


def file_of(folder: Path, name: str) -> Path:
    path = folder / f"{name}.yaml"
    data = CHECKOUT / "sample_configs" / "data" / "sp500-1d.csv"
    path.write_text(FILE.format(path=data, name=name), encoding="utf-8")
    return path


def test_json_prints_one_object_with_every_name(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "backtest", "backtest.yaml", "--json", "--engine", "events")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    assert set(METRIC_NAMES) <= set(found)
    for name in (
        "final_equity", "n_trades", "fills", "orders_by_state", "rejections", "ambiguous_fills",
        "engine", "bars", "bars_per_second", "fingerprint", "data_report",
    ):  # fmt: skip
        assert name in found, name
    assert isinstance(found["final_equity"], str)
    assert (found["engine"], found["bars"], found["n_trades"]) == ("events", 5031, 88)
    assert found["partial"] is False


def test_two_runs_have_the_same_fingerprint(capsys: pytest.CaptureFixture[str]) -> None:
    marks = {
        json.loads(
            said(capsys, "backtest", "backtest-bracket.yaml", "--json", "--engine", "events")[1]
        )["fingerprint"]
        for _ in range(2)
    }
    assert len(marks) == 1


def test_the_report_has_metrics_plots_and_trades(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, _ = said(
        capsys, "backtest", "backtest.yaml", "--engine", "events", "--out", str(tmp_path / "out")
    )
    assert code == 0
    for text in ("total return", "sharpe", "equity", "drawdown", "trades (20 of 88", "fingerprint"):
        assert text in out
    assert any("\u2800" < letter < "\u28ff" for letter in out)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {
        "trades.parquet", "trades.csv", "fills.parquet", "fills.csv", "equity.parquet",
        "equity.csv", "metrics.json", "config.yaml", "report.html",
    } <= names  # fmt: skip
    assert len(pl.read_parquet(tmp_path / "out" / "trades.parquet")) == 88


def test_a_mistake_in_the_file_ends_with_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("version: 1\nbacktest: {daat: []}\n", encoding="utf-8")
    for command in ("backtest", "validate", "explain", "check-lookahead", "check"):
        code, out, err = said(capsys, command, str(path))
        assert (code, out) == (2, ""), command
        assert f"{path}:2: backtest.daat: is not a known key, did you mean 'data'?" in err


def test_bad_data_end_with_2_and_name_file_and_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = tmp_path / "bars.csv"
    data.write_text(
        "date,open,high,low,close\n2020-01-01,1,2,1,1\n2020-01-02,1,2,3,1\n", encoding="utf-8"
    )
    path = tmp_path / "b.yaml"
    path.write_text(
        "version: 1\nbacktest:\n  data: [{symbol: X, path: bars.csv, bar: 1d}]\n"
        "  components: {strategy: {class: buy_and_hold}}\n",
        encoding="utf-8",
    )
    code, out, err = said(capsys, "backtest", str(path))
    assert (code, out) == (2, "")
    assert f"{data}:3:" in err


def test_a_strategy_that_raises_ends_with_1_and_a_partial_object(
    capsys: pytest.CaptureFixture[str], mine: Path
) -> None:
    code, out, err = said(capsys, "backtest", str(file_of(mine, "Raises")), "--json")
    assert code == 1
    found = json.loads(out)
    assert (found["status"], found["partial"], found["bars"]) == ("FAILED", True, 501)
    assert "ZeroDivisionError: nothing to divide by" in err
    assert "strategy.on_bar" in err


@pytest.mark.parametrize("name", ["Slow", "Stuck"])
def test_ctrl_c_ends_with_130_and_a_partial_object(mine: Path, name: str) -> None:
    process = subprocess.Popen(
        [*COMMAND, "backtest", str(file_of(mine, name)), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env=dict(os.environ),
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    found = json.loads(out)
    assert (found["status"], found["partial"]) == ("CANCELLED", True)
    assert 50 < found["bars"] < 5031
    assert name == "Slow" or found["bars"] == 51
    assert "Traceback" not in err


def test_a_leak_is_found_and_a_clean_strategy_passes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(LEAK, encoding="utf-8")
    code, out, _ = said(capsys, "check-lookahead", str(file_of(tmp_path, "Leak")), "--json")
    assert code == 1
    found = json.loads(out)
    assert found["lookahead"] == "failed"
    failed = {(one["test"], one["subject"]) for one in found["findings"] if not one["passed"]}
    assert failed == {("prefix", "signals"), ("poison", "signals"), ("prefix", "tomorrow()")}
    code, out, _ = said(capsys, "check-lookahead", "backtest.yaml")
    assert code == 0
    assert "look-ahead passed" in out


def test_explain_and_schema_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "explain", "backtest.yaml", "--set", "seed=3")
    assert code == 0
    assert "seed: 3" in out
    assert "# command line" in out
    code, out, _ = said(capsys, "schema")
    assert code == 0
    assert "BacktestConfig" in json.loads(out)["$defs"]
    assert said(capsys, "validate", "backtest.yaml") == (0, "", "")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("components.data_handler.params.split.train=0.00001", "both need at least one"),
        ("components.data_handler.params.split.purge=100000", "both need at least one"),
        ("components.data_handler.params.split.train=2", "is not between 0 and 1"),
        ("data.0.tick=0.3", ""),
        ("data.0.lot=0.000000001", "volume"),
        ("data.0.multiplier=0.000000003", "NON_INTEGRAL_SCALE"),
    ],
    ids=["train", "purge", "share", "tick", "lot", "scale"],
)
def test_what_cannot_work_with_the_data_is_said_without_a_traceback(
    capsys: pytest.CaptureFixture[str], override: str, expected: str
) -> None:
    code, out, err = said(
        capsys,
        "backtest",
        "backtest.yaml",
        "--json",
        "--engine",
        "events",
        "--set",
        "components.data_handler.params.enable_splits=true",
        "--set",
        override,
    )
    assert expected in err
    assert "Traceback" not in err
    assert (code == 0) is (not expected)
    assert code == 0 or out == ""


@pytest.mark.parametrize(
    "command", ["run", "check", "simulate", "backtest", "optimize", "live", "replay", "validate"]
)
def test_the_data_directory_may_stand_behind_every_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "--help"]) == 0
    assert "--data-dir DIR" in capsys.readouterr().out
