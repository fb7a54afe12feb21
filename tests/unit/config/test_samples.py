"""Every file that ships is loaded: sessions can be run, scenarios can be played."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.api import check_session_file, simulate_file
from tui.paths import asset_dir

SAMPLES = Path(str(asset_dir("sample_configs")))
SCENARIOS = sorted((SAMPLES / "scenarios").glob("*.yaml"))
SESSIONS = sorted(set(SAMPLES.rglob("*.yaml")) - set(SCENARIOS))


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_a_sample_session_can_be_run(path: Path) -> None:
    assert check_session_file(path) == ()


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_sample_scenario_can_be_played(path: Path) -> None:
    assert simulate_file(path)["executors"]
