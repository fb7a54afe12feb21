"""The full-width line: a fault, and an engine that does not answer."""

from __future__ import annotations

import pytest

from engine.api.views import EngineState, HealthView
from tui.widgets.notices import SILENT_AFTER_S, trouble_text

BEAT_NS = 50_000_000_000


def health(state: EngineState, *, beat_ns: int | None = BEAT_NS) -> HealthView:
    return HealthView(state, message="the disk is full.", beat_ns=beat_ns)


def test_a_fault_is_told_whatever_the_time() -> None:
    assert trouble_text(health(EngineState.FAULTED), 50.0) == (
        " ⚠ Engine fault: the disk is full. q quits."
    )


def test_an_engine_that_publishes_is_no_trouble() -> None:
    assert trouble_text(health(EngineState.RUNNING), 50.0 + SILENT_AFTER_S) == ""


def test_an_engine_that_is_silent_for_more_than_three_seconds_is_told_with_its_age() -> None:
    text = trouble_text(health(EngineState.RUNNING), 54.9)
    assert "not answered for 4s" in text
    assert "q quits" in text


@pytest.mark.parametrize("state", [EngineState.STARTING, EngineState.STOPPING, EngineState.STOPPED])
def test_only_a_running_engine_is_expected_to_speak(state: EngineState) -> None:
    assert trouble_text(health(state), 1_000.0) == ""


def test_before_the_first_beat_nothing_is_expected() -> None:
    assert trouble_text(health(EngineState.RUNNING, beat_ns=None), 1_000.0) == ""
