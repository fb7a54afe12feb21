"""The door loads on first use; questions about files need no engine."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from engine import api
from engine.api.engine_errors import EngineError
from engine.api.files import check_session_file, list_sessions, simulate_file
from tui.paths import session_file

SCENARIO = """\
instrument: {trading_pair: AAA-USDT, tick: 0.01, lot: 0.001}
balances: {USDT: 1000}
executor:
  type: position_executor
  connector_name: sim_perpetual
  trading_pair: AAA-USDT
  side: BUY
  amount: 2
  triple_barrier_config: {open_order_type: MARKET, take_profit: 0.02}
steps:
  - {at: 0, bid: 49.99, ask: 50}
  - {at: 1, bid: 52, ask: 52.01}
"""


@pytest.mark.parametrize("name", api.__all__)
def test_every_name_at_the_door_loads(name: str) -> None:
    assert getattr(api, name).__name__ == name


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = api.nothing


def test_a_good_session_file_has_no_problems() -> None:
    assert check_session_file(session_file("paper.yaml")) == ()


def test_a_bad_session_file_is_told_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("version: 2\nvenues: []\ncolour: red\n", encoding="utf-8")
    problems = check_session_file(path)
    assert len(problems) >= 3
    assert all(str(path) in problem for problem in problems)


def test_a_scenario_file_is_played(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    report = simulate_file(path)
    assert report["executors"][0]["close_type"] == "TAKE_PROFIT"
    assert Decimal(report["account"]["equity"]) == 1004


def test_a_bad_scenario_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text("steps: 7\n", encoding="utf-8")
    with pytest.raises(EngineError):
        simulate_file(path)


def test_a_data_directory_without_sessions(tmp_path: Path) -> None:
    assert list_sessions(tmp_path / "nothing") == ()
