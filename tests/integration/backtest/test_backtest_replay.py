"""REPLAY-1 to 3: a stored run gives its fingerprint again at any pace; a change is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.backtest.coordinator import BacktestCoordinator
from engine.backtest.replay import Replay
from engine.backtest.results import BacktestResult
from engine.backtest.results_io import save_result
from engine.config.backtest_file import load_backtest_file
from engine.flow.errors import ValidationError

SAMPLES = Path(__file__).resolve().parents[3] / "sample_configs"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[BacktestResult, Path]:
    file = load_backtest_file(
        SAMPLES / "backtest.yaml", overrides=["engine=events", "record_events=true"]
    )
    result = BacktestCoordinator(base_dir=SAMPLES).run_backtest(file.config)
    folder = tmp_path_factory.mktemp("run")
    save_result(result, folder)
    return result, folder


def test_it_gives_the_fingerprint_whatever_the_pace(stored: tuple[BacktestResult, Path]) -> None:
    result, folder = stored
    for steps in ([], [1, 7, 1000], [3000]):
        with Replay(folder, base_dir=SAMPLES) as replay:
            for bars in steps:
                replay.step(bars)
            assert replay.bars_done == sum(steps)
            assert replay.verify() is None
            assert replay.run() == result.fingerprint


def test_it_can_go_back_and_forth(stored: tuple[BacktestResult, Path]) -> None:
    result, folder = stored
    with Replay(folder, base_dir=SAMPLES) as replay:
        for bar in (500, 100, 2500):
            replay.seek(bar)
            assert replay.bars_done == bar
        assert replay.run() == result.fingerprint


def test_it_stops_at_a_breakpoint(stored: tuple[BacktestResult, Path]) -> None:
    _, folder = stored

    def is_fill(event: Mapping[str, Any]) -> bool:
        return str(event["kind"]) == "FILL"

    with Replay(folder, base_dir=SAMPLES, breakpoint_=is_fill) as replay:
        first = replay.step(5000)
        assert first < 5000
        newest = [event for event in replay.events if event["ts"] >= replay.events[-1]["ts"]]
        assert any(is_fill(event) for event in replay.events[-len(newest) - 3 :])
        assert first < replay.step(5000) < 5000


def test_the_first_event_that_differs_is_told(
    stored: tuple[BacktestResult, Path], tmp_path: Path
) -> None:
    result, _ = stored
    events = list(result.events or ())
    place = next(number for number, one in enumerate(events) if one["kind"] == "FILL")
    changed = dict(events[place])
    changed["payload"] = {**changed["payload"], "lots": 1}
    events[place] = changed
    save_result(replace(result, events=tuple(events)), tmp_path)
    with Replay(tmp_path, base_dir=SAMPLES) as replay:
        difference = replay.verify()
    assert difference is not None
    assert difference.seq == changed["seq"]
    assert "recorded" in str(difference)


def test_other_data_are_refused(stored: tuple[BacktestResult, Path], tmp_path: Path) -> None:
    result, _ = stored
    (tmp_path / "data").mkdir()
    lines = (SAMPLES / "data" / "sp500-1d.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "data" / "sp500-1d.csv").write_text("\n".join(lines[:-1]), encoding="utf-8")
    save_result(result, tmp_path / "run")
    with pytest.raises(ValidationError, match="the data have changed"):
        Replay(tmp_path / "run", base_dir=tmp_path)
