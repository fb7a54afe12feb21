"""Every file that ships is loaded: sessions, backtests and studies are right, scenarios play."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.api import check_session_file, simulate_file
from engine.api.backtest_files import check_backtest_file, is_backtest_file, is_live_file
from engine.api.optimization_files import check_optimization_file, is_optimization_file
from tui.paths import asset_dir

SAMPLES = Path(str(asset_dir("sample_configs")))
SCENARIOS = sorted((SAMPLES / "scenarios").glob("*.yaml"))
OTHERS = sorted(set(SAMPLES.rglob("*.yaml")) - set(SCENARIOS))
BACKTESTS = [path for path in OTHERS if is_backtest_file(path) or is_live_file(path)]
STUDIES = [path for path in OTHERS if is_optimization_file(path)]
SESSIONS = [path for path in OTHERS if path not in (*BACKTESTS, *STUDIES)]


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_a_sample_session_can_be_run(path: Path) -> None:
    assert check_session_file(path) == ()


@pytest.mark.parametrize("path", BACKTESTS, ids=lambda path: path.stem)
def test_a_sample_backtest_or_live_file_can_be_run(path: Path) -> None:
    assert check_backtest_file(path) == ()


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_sample_study_can_be_run(path: Path) -> None:
    assert check_optimization_file(path) == ()


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_sample_scenario_can_be_played(path: Path) -> None:
    assert simulate_file(path)["executors"]
