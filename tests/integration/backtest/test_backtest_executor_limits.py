"""EVT-1, CFG-3: executors in a backtest meet the risk manager's limits, or are told they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.backtest.config import as_config
from engine.backtest.results import BacktestResult
from engine.config.backtest_file import load_backtest_file
from engine.config.document import ConfigError
from engine.flow.errors import ConfigurationError
from engine.testing.bar_market import bars_of, run_on

ROWS = [(10_000, 10_000, 10_000, 10_000), (10_000, 10_300, 9_900, 10_000)] * 3


def document(**components: Any) -> dict[str, Any]:
    return {
        "data": [{"symbol": "ACME", "path": "ACME.csv", "settlement": "derivative"}],
        "components": components,
        "executors": [
            {
                "type": "position_executor",
                "connector_name": "backtest",
                "trading_pair": "ACME-USD",
                "side": "BUY",
                "amount": 100,
                "triple_barrier_config": {
                    "stop_loss": "0.005",
                    "take_profit": "0.02",
                    "open_order_type": "MARKET",
                },
            }
        ],
    }


def run(*, risk: dict[str, Any] | None = None, **broker: Any) -> BacktestResult:
    config = as_config(document(risk_manager={"params": risk or {}}, broker={"params": broker}))
    return run_on(config, bars_of(ROWS))


@pytest.mark.parametrize(
    ("risk", "lots"),
    [
        ({"max_position_pct": "0.02"}, 20),
        ({"max_leverage": {"value": "0.03"}}, 30),
        ({"max_gross_exposure": 4000}, 40),
        ({"max_portfolio_heat": "0.05"}, 50),
        ({"max_portfolio_heat": "0.05", "no_stop_risk": "0.5"}, 100),
    ],
)
def test_a_limit_cuts_an_executors_entry(risk: dict[str, Any], lots: int) -> None:
    assert int(run(risk=risk).fills["lots"][0]) == lots


def test_a_filter_keeps_an_executor_out_and_the_reason_is_counted() -> None:
    result = run(risk={"trading_hours": ["05:00-06:00"]})
    assert not len(result.fills)
    assert result.rejections["TRADING_HOURS"] >= 1


@pytest.mark.parametrize(
    ("path", "price"), [("ohlc", 10_300), ("olhc", 9_900), ("adaptive", 9_900)]
)
def test_the_path_of_a_bar_is_the_brokers(path: str, price: int) -> None:
    result = run(path=path)
    assert result.flags["path"] == path
    assert int(result.fills["ticks"][1]) == price


FILE = """version: 1
backtest:
  data:
    - {symbol: ACME, path: acme.csv, bar: 1d}
  executors:
    - {type: position_executor, connector_name: backtest, trading_pair: ACME-USD, side: BUY,
       amount: 1, triple_barrier_config: {stop_loss: 0.01}}
  components:
    broker:
      params:
        max_participation: 0.1
    risk_manager:
      params:
        exit_memory: true
        drawdown_control: {max_drawdown: 0.2, action: flatten}
"""


def test_keys_that_would_do_nothing_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "acme.csv").write_text("date,open,high,low,close\n2024-01-01,1,1,1,1\n")
    path = tmp_path / "run.yaml"
    path.write_text(FILE)
    with pytest.raises(ConfigError) as caught:
        load_backtest_file(path)
    lines = [text.partition("run.yaml:")[2] for text in caught.value.problems]
    assert lines == [
        (
            "11: backtest.components.broker.params.max_participation: 0.1 has no meaning for "
            "executors, which trade on quotes: leave it at None"
        ),
        (
            "14: backtest.components.risk_manager.params.exit_memory: true is about signals: "
            "executors keep it false"
        ),
        (
            "15: backtest.components.risk_manager.params.drawdown_control.action: 'flatten' is not "
            "done to executors, which keep their own exits: use 'halt'"
        ),
    ]


def test_a_configuration_without_a_file_is_refused_too() -> None:
    with pytest.raises(ConfigurationError, match=r"broker.params.fill_timing: this_close has no"):
        run(fill_timing="this_close")
