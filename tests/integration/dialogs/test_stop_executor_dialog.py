"""Stopping executors: what it says, and that nothing stops by accident."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal

import pytest
from textual.pilot import Pilot
from textual.widgets import Button

from engine.api.commands import StopExecutor
from engine.api.views import ExecutorRow
from engine.testing.fake_console import FakeConsoleEngine
from tui.modals.stop_executor import StopExecutorModal

pytestmark = pytest.mark.anyio

OpenStage = Callable[..., AbstractAsyncContextManager[Pilot[None]]]
Shown = Callable[[Pilot[None], str], str]


class Clock:
    """A clock that stands at *now* seconds; it starts long after the dialog has opened."""

    def __init__(self) -> None:
        self.now = 0.0
        self.step = 1.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def modal_for(
    engine: FakeConsoleEngine, *places: int, clock: Clock | None = None
) -> StopExecutorModal:
    rows: list[ExecutorRow] = [engine.row_at(place) for place in places]
    return StopExecutorModal(engine, "main", rows, clock=clock or Clock())


async def test_it_says_what_is_stopped_and_what_it_costs(
    open_stage: OpenStage, shown: Shown
) -> None:
    engine = FakeConsoleEngine()
    async with open_stage(modal_for(engine, 0, 5)) as pilot:
        assert pilot.app.screen.query_one("#dialog").border_title == "Stop 2 executors"
        assert "◌ PAPER" in shown(pilot, "#head")
        listed = shown(pilot, "#executors")
        assert "A9X8abXw" in listed
        assert "▲ +13.13" in listed
        facts = shown(pilot, "#consequences")
        assert "1 working order" in facts
        assert "sells 0.1200 BTC" in facts
        assert "≈ 7,737.65 USDT at market" in facts
        assert "costs    ≈ 3.87 USDT fee" in facts
        assert "▲ +11.29 USDT" in facts
        assert "cannot be undone" in facts
        await pilot.press("k")
        facts = shown(pilot, "#consequences")
        assert "+0.1200 BTC" in facts
        assert "no stop loss or take profit guards it" in facts
        assert "fee" not in facts


async def test_focus_is_on_cancel_and_enter_does_not_confirm(open_stage: OpenStage) -> None:
    engine, results = FakeConsoleEngine(), list[str | None]()
    async with open_stage(modal_for(engine, 0), results.append) as pilot:
        focused = pilot.app.focused
        assert focused is not None
        assert focused.id == "cancel"
        await pilot.press("enter")
    assert results == [None]
    assert engine.submitted == []


async def test_keys_typed_too_early_are_dropped(open_stage: OpenStage) -> None:
    engine, results, clock = FakeConsoleEngine(), list[str | None](), Clock()
    clock.step = 0.01
    async with open_stage(modal_for(engine, 0, clock=clock), results.append) as pilot:
        await pilot.press("y", "enter", "escape", "y")
        assert results == []
        assert engine.submitted == []
        clock.step = 1.0
        await pilot.press("y")
    assert len(engine.submitted) == 1
    assert results == ["cmd-0001"]


@pytest.mark.parametrize("key", ["n", "escape"])
async def test_no_means_no(open_stage: OpenStage, key: str) -> None:
    engine, results = FakeConsoleEngine(), list[str | None]()
    async with open_stage(modal_for(engine, 0), results.append) as pilot:
        await pilot.press(key)
    assert results == [None]
    assert engine.submitted == []


@pytest.mark.parametrize(("keys", "keep"), [(("y",), False), (("k", "y"), True),
                                            (("k", "f", "y"), False)])  # fmt: skip
async def test_yes_sends_one_command_for_each(
    open_stage: OpenStage, keys: tuple[str, ...], keep: bool
) -> None:
    engine, results = FakeConsoleEngine(), list[str | None]()
    modal = modal_for(engine, 0, 5, 4)
    async with open_stage(modal, results.append) as pilot:
        await pilot.press(*keys)
    assert engine.submitted == [
        StopExecutor(session="main", executor_id=engine.row_at(place).id, keep_position=keep)
        for place in (0, 5, 4)
    ]
    assert modal.command_ids == ("cmd-0001", "cmd-0002", "cmd-0003")
    assert results == ["cmd-0003"]


async def test_the_button_repeats_verb_count_and_choice(open_stage: OpenStage) -> None:
    async with open_stage(modal_for(FakeConsoleEngine(), 0, 5)) as pilot:
        button = pilot.app.screen.query_one("#confirm", Button)
        assert str(button.label) == "y Stop 2 executors, flatten"
        await pilot.press("k")
        assert str(button.label) == "y Stop 2 executors, keep"


async def test_what_has_ended_is_left_out_and_counted(open_stage: OpenStage, shown: Shown) -> None:
    engine = FakeConsoleEngine()
    async with open_stage(modal_for(engine, 0, 6, 9, 10)) as pilot:
        assert "3 executors already ended or closing" in shown(pilot, "#head")
        await pilot.press("y")
    assert len(engine.submitted) == 1


async def test_nothing_to_stop_can_only_be_closed(open_stage: OpenStage, shown: Shown) -> None:
    engine, results = FakeConsoleEngine(), list[str | None]()
    async with open_stage(modal_for(engine, 10), results.append) as pilot:
        assert "Nothing to stop" in shown(pilot, "#executors")
        await pilot.press("y", "k", "enter")
    assert engine.submitted == []
    assert results == [None]


async def test_flattening_a_live_position_needs_the_typed_word(open_stage: OpenStage) -> None:
    engine, results = FakeConsoleEngine(mode="live"), list[str | None]()
    async with open_stage(modal_for(engine, 0, 5), results.append) as pilot:
        confirm = pilot.app.screen.query_one("#confirm", Button)
        assert confirm.disabled
        await pilot.press("y")
        assert engine.submitted == []
        pilot.app.screen.query_one("#word").focus()
        await pilot.press(*"flatten", "enter")
        assert engine.submitted == []
        await pilot.press("space", "2")
        assert not confirm.disabled
        await pilot.press("enter")
    assert len(engine.submitted) == 2
    assert results == ["cmd-0002"]


async def test_keeping_a_live_position_needs_no_word(open_stage: OpenStage) -> None:
    engine = FakeConsoleEngine(mode="live")
    async with open_stage(modal_for(engine, 0)) as pilot:
        await pilot.press("k", "y")
    assert [type(command) for command in engine.submitted] == [StopExecutor]


async def test_everything_works_with_the_mouse(open_stage: OpenStage) -> None:
    engine, results = FakeConsoleEngine(), list[str | None]()
    async with open_stage(modal_for(engine, 0), results.append, size=(80, 24)) as pilot:
        await pilot.click("#policy", offset=(14, 0))
        await pilot.click("#confirm")
    command = engine.submitted[0]
    assert isinstance(command, StopExecutor)
    assert command.keep_position is True
    assert results == ["cmd-0001"]


async def test_figures_stay_fresh_while_the_dialog_is_open(
    open_stage: OpenStage, shown: Shown
) -> None:
    from dataclasses import replace

    engine = FakeConsoleEngine()
    modal = modal_for(engine, 0)
    async with open_stage(modal) as pilot:
        engine.replace_row(replace(engine.row_at(0), net_pnl_quote=Decimal("-5.00")))
        modal._refresh_rows()
        assert "▼ -5.00" in shown(pilot, "#executors")
