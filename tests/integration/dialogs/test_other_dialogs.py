"""Updating, storing and quitting."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Button

from engine.api.commands import StoreExecutor, UpdateExecutor
from engine.testing.fake_console import FakeConsoleEngine
from tui.modals.quit import QuitDialog
from tui.modals.store_executor import StoreExecutorModal
from tui.modals.update_executor import UpdateExecutorModal
from tui.widgets.form_row import FormRow

pytestmark = pytest.mark.anyio

OpenStage = Callable[..., AbstractAsyncContextManager[Pilot[None]]]
Shown = Callable[[Pilot[None], str], str]


def tick_tock() -> Callable[[], float]:
    """Return a clock that is a second further at every look."""
    seconds = iter(range(1_000_000))
    return lambda: float(next(seconds))


async def test_an_update_sends_what_the_engine_understood(
    open_stage: OpenStage, shown: Shown
) -> None:
    engine, results = FakeConsoleEngine(), list[str | None]()
    executor_id = engine.row_at(0).id
    modal = UpdateExecutorModal(engine, "main", executor_id, check_delay=0)
    async with open_stage(modal, results.append) as pilot:
        update = pilot.app.screen.query_one("#update", Button)
        assert update.disabled
        assert "position BTC-USDT BUY running" in shown(pilot, "#head")
        await pilot.press("end", "backspace", "backspace", *"1%")
        assert str(update.label) == "⏎ Change 1 field"
        assert "63,478.8" in shown(pilot, "#preview")
        await pilot.press("enter", "enter")
    assert engine.submitted == [
        UpdateExecutor(
            session="main",
            executor_id=executor_id,
            changes={
                "triple_barrier_config": {
                    "stop_loss": "0.01",
                    "take_profit": "0.03",
                    "time_limit": 14_400,
                    "trailing_stop": {"activation_price": "0.015", "trailing_delta": "0.005"},
                }
            },
        )
    ]
    assert results == ["cmd-0001"]


async def test_a_changed_field_says_what_it_was(open_stage: OpenStage) -> None:
    engine = FakeConsoleEngine()
    modal = UpdateExecutorModal(engine, "main", engine.row_at(0).id, check_delay=0)
    async with open_stage(modal) as pilot:
        await pilot.press("end", "x")
        row = pilot.app.screen.query(FormRow).first()
        assert "was 2%" in row.lines[0][-1][0]
        await pilot.press("enter")
        modal.action_update()
    assert engine.submitted == []


@pytest.mark.parametrize(
    ("place", "reason"),
    [(9, "this one is failed"), (1, "Executors of type grid cannot be changed")],
)
async def test_what_cannot_be_changed_says_why(
    open_stage: OpenStage, shown: Shown, place: int, reason: str
) -> None:
    engine = FakeConsoleEngine()
    async with open_stage(UpdateExecutorModal(engine, "main", engine.row_at(place).id)) as pilot:
        assert reason in shown(pilot, "#why")
        await pilot.press("escape")
    assert engine.submitted == []


async def test_an_executor_that_is_gone_says_so(open_stage: OpenStage, shown: Shown) -> None:
    modal = UpdateExecutorModal(FakeConsoleEngine(), "main", "nobody")
    async with open_stage(modal) as pilot:
        assert "no executor nobody" in shown(pilot, "#why")
        modal.action_update()


async def test_storing_asks_and_sends_one_command_for_each_that_ended(
    open_stage: OpenStage, shown: Shown
) -> None:
    engine, results = FakeConsoleEngine(), list[str | None]()
    rows = [engine.row_at(place) for place in (0, 10, 11)]
    modal = StoreExecutorModal(engine, "main", rows, clock=tick_tock())
    async with open_stage(modal, results.append) as pilot:
        assert pilot.app.screen.query_one("#dialog").border_title == "Store 2 executors"
        assert "1 executor still active" in shown(pilot, "#head")
        assert "cannot be undone" in shown(pilot, "#meaning")
        await pilot.press("y")
    assert engine.submitted == [
        StoreExecutor(session="main", executor_id=row.id) for row in rows[1:]
    ]
    assert results == ["cmd-0002"]


async def test_nothing_to_store(open_stage: OpenStage, shown: Shown) -> None:
    engine = FakeConsoleEngine()
    modal = StoreExecutorModal(engine, "main", [engine.row_at(0)], clock=tick_tock())
    async with open_stage(modal) as pilot:
        assert "Nothing to store" in shown(pilot, "#executors")
        await pilot.press("y", "enter")
    assert engine.submitted == []


async def test_quitting_lists_what_runs_and_what_is_exposed(
    open_stage: OpenStage, shown: Shown
) -> None:
    async with open_stage(
        QuitDialog(FakeConsoleEngine(), "main", clock=tick_tock()), size=(80, 24)
    ) as pilot:
        text = shown(pilot, "#running")
        assert "8 executors running" in text
        assert "… and 3 more" in text
        assert "+0.1250" in text
        assert "8,060.05 USDT" in text


async def test_quitting_with_nothing_running(open_stage: OpenStage, shown: Shown) -> None:
    engine = FakeConsoleEngine(state="empty")
    async with open_stage(QuitDialog(engine, "main", clock=tick_tock())) as pilot:
        assert "No executor is running." in shown(pilot, "#running")
        assert "Exposure" not in shown(pilot, "#running")


@pytest.mark.parametrize(
    ("key", "choice"),
    [("enter", None), ("escape", None), ("n", None), ("k", "keep"), ("y", "keep"),
     ("f", "flatten")],
)  # fmt: skip
async def test_quitting_does_what_was_chosen(
    open_stage: OpenStage, key: str, choice: str | None
) -> None:
    results: list[str | None] = []
    modal = QuitDialog(FakeConsoleEngine(), "main", clock=tick_tock())
    async with open_stage(modal, results.append) as pilot:
        await pilot.press(key)
    assert results == [choice]


@pytest.mark.parametrize("kind", ["store", "quit"])
async def test_type_ahead_is_dropped_in_every_dialog_that_confirms(
    open_stage: OpenStage, kind: str
) -> None:
    engine, results = FakeConsoleEngine(), list[str | None]()
    modal: ModalScreen[str | None] = (
        StoreExecutorModal(engine, "main", [engine.row_at(10)], clock=lambda: 5.0)
        if kind == "store"
        else QuitDialog(engine, "main", clock=lambda: 5.0)
    )
    async with open_stage(modal, results.append) as pilot:
        await pilot.press("y", "k", "f", "enter", "escape")
        assert results == []
    assert engine.submitted == []
