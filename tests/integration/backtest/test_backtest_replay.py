"""REPLAY-1 to 3: a recorded run gives its fingerprint again at any pace; a change is found."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.backtest.coordinator import BacktestCoordinator
from engine.backtest.recording import EVENTS_FILE, load_recording, read_header, write_recording
from engine.backtest.replay import Replay
from engine.backtest.replay_settings import Breakpoint, Pace
from engine.backtest.results import BacktestResult
from engine.backtest.results_io import save_result
from engine.config.backtest_file import load_backtest_file
from engine.flow.errors import ValidationError

DAY_NS = 86_400 * 10**9
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
    with Replay(tmp_path, base_dir=SAMPLES, checkpoints=0) as replay:
        difference = replay.verify()
        assert difference is not None
        assert difference.seq == changed["seq"]
        assert "recorded" in str(difference)
        # It stands at the bar of the difference and has gone no further.
        assert changed["ts"] <= replay.now_ns <= changed["ts"] + DAY_NS
        assert replay.bars_done < replay.bars_total


def test_other_data_are_refused(stored: tuple[BacktestResult, Path], tmp_path: Path) -> None:
    result, _ = stored
    (tmp_path / "data").mkdir()
    lines = (SAMPLES / "data" / "sp500-1d.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "data" / "sp500-1d.csv").write_text("\n".join(lines[:-1]), encoding="utf-8")
    save_result(result, tmp_path / "run")
    with pytest.raises(ValidationError, match="the data have changed"):
        Replay(tmp_path / "run", base_dir=tmp_path)


@pytest.mark.parametrize("name", ["backtest", "backtest-bracket", "backtest-donchian"])
def test_a_checkpoint_goes_on_to_the_same_fingerprint(name: str, tmp_path: Path) -> None:
    file = load_backtest_file(
        SAMPLES / f"{name}.yaml", overrides=["engine=events", "record_events=true"]
    )
    result = BacktestCoordinator(base_dir=SAMPLES).run_backtest(file.config)
    save_result(result, tmp_path)
    with Replay(tmp_path, base_dir=SAMPLES, checkpoints=4) as replay:
        assert replay.run() == result.fingerprint
        every = replay.bars_total // 4
        assert replay.checkpoints[:3] == (every, 2 * every, 3 * every)
        for bar in (3 * every + 7, 2 * every, every - 1, 2 * every + 1):
            replay.seek(bar)
            assert replay.bars_done == bar
            assert replay.find_difference() is None
        assert replay.verify() is None
        assert replay.run() == result.fingerprint


def test_pace_waits_for_the_time_between_bars(stored: tuple[BacktestResult, Path]) -> None:
    _, folder = stored
    day = 86_400.0
    for text, per_day in (("1x", day), ("86400x", 1.0), ("max", 0.0)):
        waited: list[float] = []
        with Replay(folder, base_dir=SAMPLES, checkpoints=0) as replay:

            def wait(seconds: float, *, seen: list[float] = waited, one: Replay = replay) -> None:
                seen.append(seconds)
                if len(seen) == 4:
                    one.pause()

            if text == "max":
                assert replay.play(Pace.parse(text), wait=wait)
                assert waited == []
                continue
            assert not replay.play(Pace.parse(text), wait=wait)
            assert replay.bars_done == 5
            assert sum(waited) == pytest.approx(4 * per_day)


def test_step_is_one_bar_at_a_time(stored: tuple[BacktestResult, Path]) -> None:
    result, folder = stored
    with Replay(folder, base_dir=SAMPLES, checkpoints=0) as replay:
        for bar in (1, 2, 3):
            assert not replay.play(Pace.parse("step"), wait=lambda _: None)
            assert replay.bars_done == bar
        assert replay.run() == result.fingerprint


@pytest.mark.parametrize("text", ["", "0x", "fast", "x", "-1x", "1", "1 x", "maximum"])
def test_other_paces_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: max, step, 1x"):
        Pace.parse(text)


def test_breakpoints_by_kind_symbol_and_order(stored: tuple[BacktestResult, Path]) -> None:
    result, folder = stored
    fills = [one for one in result.events or () if one["kind"] == "FILL"]
    third = next(one for one in fills if one["payload"]["order"] == 2)
    cases = [
        ("FILL", fills[0]),
        ("kind=fill,symbol=SPX", fills[0]),
        ("kind=FILL,order=2", third),
    ]
    for text, event in cases:
        where = Breakpoint.parse(text)
        with Replay(folder, base_dir=SAMPLES, breakpoints=[where], checkpoints=0) as replay:
            replay.step(replay.bars_total)
            assert replay.hit is not None
            assert replay.hit["seq"] == event["seq"]
            assert event["ts"] <= replay.now_ns <= event["ts"] + DAY_NS
    with Replay(
        folder, base_dir=SAMPLES, breakpoints=[Breakpoint(symbol="OTHER")], checkpoints=0
    ) as replay:
        replay.step(replay.bars_total)
        assert (replay.hit, replay.is_at_end) == (None, True)


@pytest.mark.parametrize("text", ["", "kind=NOTHING", "colour=red", "order=x", "kind="])
def test_other_breakpoints_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"breakpoint|allowed|valid integer"):
        Breakpoint.parse(text)


def test_a_file_of_events_is_a_recording(
    stored: tuple[BacktestResult, Path], tmp_path: Path
) -> None:
    result, _ = stored
    path = tmp_path / EVENTS_FILE
    write_recording(result, path, base_dir=SAMPLES)
    assert read_header(path)["fingerprint"] == result.fingerprint
    recording = load_recording(path)
    assert recording.events is not None
    assert len(recording.events) == len(result.events or ())
    with Replay(path, checkpoints=0) as replay:
        assert replay.verify() is None
    without = replace(result, events=None)
    write_recording(without, path, base_dir=SAMPLES)
    with Replay(path, checkpoints=0) as replay:
        assert replay.verify() is None
    write_recording(replace(without, fingerprint="0" * 64), path, base_dir=SAMPLES)
    with Replay(path, checkpoints=0) as replay:
        difference = replay.verify()
    assert difference is not None
    assert "the fingerprint differs" in str(difference)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "is empty"),
        ("nonsense\n", ":1: event: is no JSON"),
        ('{"format": "other"}\n', ":1: format: 'other' is not"),
        ('{"format": "quarterdeck-events-1", "kind": "paper"}\n', "'paper' is not 'backtest'"),
        ('{"format": "quarterdeck-events-1", "kind": "backtest"}\n', "is damaged"),
    ],
    ids=["empty", "text", "format", "kind", "keys"],
)
def test_a_file_that_is_no_recording_is_told(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "some.events"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValidationError) as caught:
        Replay(path, base_dir=SAMPLES)
    assert expected in str(caught.value)
    with pytest.raises(ValidationError, match="name the folder of a result or a file"):
        load_recording(tmp_path / "missing.events")


def test_a_missing_event_is_a_difference(
    stored: tuple[BacktestResult, Path], tmp_path: Path
) -> None:
    result, _ = stored
    events = list(result.events or ())
    extra = {**next(one for one in events if one["kind"] == "FILL"), "seq": 10**6}
    write_recording(
        replace(result, events=(*events, extra)), tmp_path / EVENTS_FILE, base_dir=SAMPLES
    )
    with Replay(tmp_path / EVENTS_FILE, checkpoints=0) as replay:
        difference = replay.verify()
    assert difference is not None
    assert (difference.seq, difference.replayed) == (10**6, None)


@pytest.mark.parametrize(
    "components",
    [
        {"strategies": [{"class": "sma_cross"}, {"class": "donchian", "id": "channel"}]},
        {
            "strategy": {"class": "sma_cross"},
            "data_handler": {"class": "HistoricalDataHandler", "params": {"enable_splits": True}},
        },
    ],
    ids=["strategies", "train-and-test"],
)
def test_parts_of_a_result_are_replayed_as_they_were_run(
    tmp_path: Path, components: dict[str, Any]
) -> None:
    values = {
        "engine": "events",
        "record_events": True,
        "data": [{"symbol": "SPX", "path": "data/sp500-1d.csv", "bar": "1d"}],
        "components": components,
    }
    result = BacktestCoordinator(base_dir=SAMPLES).run_backtest(values)
    save_result(result, tmp_path)
    write_recording(result, tmp_path / EVENTS_FILE, base_dir=SAMPLES)
    assert len(result.splits) == 2
    parts = {tmp_path: result} | {
        tmp_path / f"split-{name}": part for name, part in result.splits.items()
    }
    for folder, part in parts.items():
        with Replay(folder, checkpoints=0) as replay:
            assert replay.run() == part.fingerprint
            assert replay.find_difference(is_over=True) is None


def test_a_recording_and_its_data_may_move_together_or_apart(
    stored: tuple[BacktestResult, Path], tmp_path: Path
) -> None:
    result, _ = stored
    before, after = tmp_path / "before", tmp_path / "elsewhere" / "after"
    (before / "project" / "data").mkdir(parents=True)
    (before / "results").mkdir()
    shutil.copy(SAMPLES / "data" / "sp500-1d.csv", before / "project" / "data")
    write_recording(result, before / "results" / EVENTS_FILE, base_dir=before / "project")
    after.parent.mkdir()
    before.rename(after)
    recording = after / "results" / EVENTS_FILE
    with Replay(recording, checkpoints=0) as replay:
        assert replay.verify() is None
    (after / "project" / "data").rename(after / "results" / "data")
    with Replay(recording, checkpoints=0) as replay:
        assert replay.verify() is None
    alone = tmp_path / "alone.events"
    recording.rename(alone)
    with pytest.raises(ValidationError) as caught:
        Replay(alone)
    text = str(caught.value)
    assert "its data file data/sp500-1d.csv is not there, looked in " in text
    assert str(tmp_path.resolve()) in text
    assert "--base-dir" in text
    with Replay(alone, base_dir=after / "results", checkpoints=0) as replay:
        assert replay.verify() is None
