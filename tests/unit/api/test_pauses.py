"""Pauses of the process: set while a session runs, restored when it is over."""

from __future__ import annotations

import gc
import sys
import threading
from pathlib import Path

import pytest

from engine.api.pauses import SWITCH_INTERVAL_S, THRESHOLDS, settle, short_pauses
from engine.api.thread import EngineThread


def present() -> tuple[float, tuple[int, int, int], int]:
    return sys.getswitchinterval(), gc.get_threshold(), gc.get_freeze_count()


def test_what_was_is_restored() -> None:
    before = present()
    with short_pauses():
        assert present()[:2] == (SWITCH_INTERVAL_S, THRESHOLDS)
    assert present() == before


@pytest.mark.anyio
async def test_what_lives_is_set_aside_after_a_collection() -> None:
    class Ring:
        def __init__(self) -> None:
            self.itself = self

    with short_pauses():
        Ring()
        await settle(0)
        assert gc.get_freeze_count() > 10_000
        assert not any(isinstance(one, Ring) for one in gc.get_objects())
    assert gc.get_freeze_count() == 0


def test_the_engine_thread_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    before = present()
    thread = EngineThread(config=tmp_path / "none.yaml", data_dir=tmp_path)
    thread.start()
    for one in threading.enumerate():
        if one.name == "engine":
            one.join(30)
    assert thread.health().state.value == "faulted"
    assert present() == before
