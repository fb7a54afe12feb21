"""Creating an executor from the keyboard and with the mouse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from engine.api.commands import CreateExecutor
from engine.api.views import FormCheck
from engine.testing import fake_forms
from engine.testing.fake_console import FakeConsoleEngine
from tui.modals.create_executor import CreateExecutorModal
from tui.state.text import plain
from tui.widgets.choice import Choice
from tui.widgets.form import Form
from tui.widgets.form_row import FormRow

pytestmark = pytest.mark.anyio

OpenStage = Callable[..., AbstractAsyncContextManager[Pilot[None]]]
Shown = Callable[[Pilot[None], str], str]
STOP_LOSS = "triple_barrier_config.stop_loss"


def row_of(pilot: Pilot[None], name: str) -> FormRow:
    return next(row for row in pilot.app.screen.query(FormRow) if row.item.name == name)


def said(row: FormRow) -> str:
    return "\n".join(plain(line) for line in row.lines)


async def test_it_opens_on_the_first_field_that_must_be_filled_in(
    open_stage: OpenStage, shown: Shown
) -> None:
    async with open_stage(CreateExecutorModal(FakeConsoleEngine(), "main")) as pilot:
        assert row_of(pilot, "amount").control_has_focus
        assert "◌ PAPER" in shown(pilot, "#head")
        assert "Amount: " in shown(pilot, "#help")
        assert "1 field still to fill" in shown(pilot, "#preview")
        assert "✗" not in said(row_of(pilot, "amount"))


async def test_values_are_checked_and_previewed_while_typing(
    open_stage: OpenStage, shown: Shown
) -> None:
    modal = CreateExecutorModal(FakeConsoleEngine(), "main", check_delay=0)
    async with open_stage(modal) as pilot:
        await pilot.press(*"0.04x")
        assert "✗ '0.04x' is not a number above 0" in said(row_of(pilot, "amount"))
        assert "1 field to correct" in shown(pilot, "#preview")
        await pilot.press("backspace")
        assert "✗" not in said(row_of(pilot, "amount"))
        assert "BUY 0.04 BTC at 64,480.4" in shown(pilot, "#preview")
        await pilot.press("down", "down", "down", *"2%")
        assert "= 0.02" in said(row_of(pilot, STOP_LOSS))
        assert "63,190.8" in shown(pilot, "#preview")
        await pilot.press("up")
        assert row_of(pilot, "leverage").control_has_focus


async def test_keys_are_gathered_before_the_engine_is_asked(open_stage: OpenStage) -> None:
    asked: list[str] = []

    class CountingEngine(FakeConsoleEngine):
        def check_create(
            self, session: str, executor_type: str, values: Mapping[str, str]
        ) -> FormCheck:
            asked.append(values["amount"])
            return super().check_create(session, executor_type, values)

    modal = CreateExecutorModal(CountingEngine(), "main", check_delay=60)
    async with open_stage(modal) as pilot:
        before = len(asked)
        await pilot.press(*"123")
        assert "1" not in asked[before:]
        assert "12" not in asked[before:]
        await pilot.press("enter")
        assert asked[-1] == "123"


async def test_enter_goes_to_create_and_enter_creates_exactly_that(open_stage: OpenStage) -> None:
    engine, results = FakeConsoleEngine(), list[str | None]()
    async with open_stage(CreateExecutorModal(engine, "main"), results.append) as pilot:
        await pilot.press(*"0.04", "enter")
        assert isinstance(pilot.app.focused, Button)
        assert engine.submitted == []
        await pilot.press("enter")
    assert engine.submitted == [
        CreateExecutor(
            session="main",
            executor_type="position_executor",
            config={
                "connector_name": "paper_perpetual",
                "trading_pair": "BTC-USDT",
                "side": "BUY",
                "amount": "0.04",
                "leverage": "1",
                "triple_barrier_config": {
                    "open_order_type": "LIMIT",
                    "take_profit_order_type": "MARKET",
                },
            },
        )
    ]
    assert results == ["cmd-0001"]


async def test_enter_in_a_wrong_form_shows_every_error_and_sends_nothing(
    open_stage: OpenStage,
) -> None:
    engine = FakeConsoleEngine()
    modal = CreateExecutorModal(engine, "main", prefill={"level_id": "x"})
    async with open_stage(modal) as pilot:
        await pilot.press("tab", "tab", "enter")
        assert row_of(pilot, "amount").control_has_focus
        assert "✗ Amount is missing" in said(row_of(pilot, "amount"))
        await pilot.click("#create")
    assert engine.submitted == []


async def test_a_draft_survives_escape_until_it_is_created(open_stage: OpenStage) -> None:
    engine, drafts, results = FakeConsoleEngine(), dict[str, dict[str, str]](), list[str | None]()
    first = CreateExecutorModal(engine, "main", drafts=drafts)
    async with open_stage(first, results.append) as pilot:
        await pilot.press(*"0.5", "escape")
    assert results == [None]
    assert drafts["position_executor"]["amount"] == "0.5"
    again = CreateExecutorModal(engine, "main", drafts=drafts)
    async with open_stage(again, results.append) as pilot:
        assert row_of(pilot, "amount").value == "0.5"
        await pilot.press("enter", "enter")
    assert len(engine.submitted) == 1
    assert drafts == {}


async def test_an_untouched_form_leaves_no_draft(open_stage: OpenStage) -> None:
    drafts = {"position_executor": {"amount": ""}}
    async with open_stage(CreateExecutorModal(FakeConsoleEngine(), "main", drafts=drafts)) as pilot:
        await pilot.press("escape")
    assert drafts == {}


async def test_prefill_fills_the_form(open_stage: OpenStage) -> None:
    modal = CreateExecutorModal(
        FakeConsoleEngine(), "main", prefill={"type": "twap_executor", "side": "SELL"}
    )
    async with open_stage(modal) as pilot:
        assert "TWAP" in modal.title_text() or row_of(pilot, "side").value == "SELL"
        assert row_of(pilot, "side").value == "SELL"


async def test_the_type_can_be_chosen_and_keeps_each_draft(
    open_stage: OpenStage, shown: Shown
) -> None:
    engine = FakeConsoleEngine(types=(fake_forms.POSITION, fake_forms.TWAP))
    async with open_stage(CreateExecutorModal(engine, "main")) as pilot:
        await pilot.press(*"0.7")
        assert shown(pilot, "#type-label").startswith("  Type")
        pilot.app.screen.query_one("#type", Choice).focus()
        await pilot.press("right")
        await pilot.pause()
        assert "equal slices" in shown(pilot, "#head")
        assert shown(pilot, "#type-label").startswith("▸ Type")
        assert row_of(pilot, "total_duration").value == ""
        await pilot.press("left")
        await pilot.pause()
        assert row_of(pilot, "amount").value == "0.7"


async def test_a_live_session_that_is_not_armed_creates_nothing(
    open_stage: OpenStage, shown: Shown
) -> None:
    engine = FakeConsoleEngine(mode="live")
    modal = CreateExecutorModal(engine, "main", prefill={"amount": "1"})
    async with open_stage(modal) as pilot:
        assert "● LIVE" in shown(pilot, "#head")
        assert pilot.app.screen.query_one("#create", Button).disabled
        await pilot.press("enter", "enter")
        modal.action_create()
    assert engine.submitted == []


async def test_without_a_session_it_says_so_and_closes(open_stage: OpenStage, shown: Shown) -> None:
    engine, results = FakeConsoleEngine(state="starting"), list[str | None]()
    async with open_stage(CreateExecutorModal(engine, "main"), results.append) as pilot:
        assert "no executor types" in shown(pilot, "#head")
        await pilot.click("#create")
        await pilot.press("escape")
    assert results == [None]


async def test_everything_works_with_the_mouse(open_stage: OpenStage) -> None:
    engine, results = FakeConsoleEngine(), list[str | None]()
    modal = CreateExecutorModal(engine, "main", prefill={"amount": "0.02"})
    async with open_stage(modal, results.append) as pilot:
        side = next(row for row in pilot.app.screen.query(FormRow) if row.item.name == "side")
        choice = side.query_one(Choice)
        await pilot.click(choice, offset=(8, 0))
        assert side.value == "SELL"
        label = row_of(pilot, "entry_price")
        await pilot.click(label, offset=(3, 0))
        assert label.control_has_focus
        await pilot.click("#create")
    command = engine.submitted[0]
    assert isinstance(command, CreateExecutor)
    assert command.config["side"] == "SELL"
    assert results == ["cmd-0001"]


async def test_a_choice_takes_letters_and_turns_around(open_stage: OpenStage) -> None:
    modal = CreateExecutorModal(FakeConsoleEngine(), "main")
    async with open_stage(modal, size=(80, 24)) as pilot:
        row = row_of(pilot, "triple_barrier_config.open_order_type")
        choice = row.query_one(Choice)
        row.focus_control()
        await pilot.press("m")
        assert choice.value == "MARKET"
        await pilot.press("right")
        assert choice.value == "LIMIT"
        await pilot.press("left", "z")
        assert choice.value == "MARKET"
        await pilot.click(choice, offset=(0, 0))
        assert choice.value == "LIMIT_MAKER"


async def test_it_fits_80x24_by_scrolling(open_stage: OpenStage) -> None:
    async with open_stage(CreateExecutorModal(FakeConsoleEngine(), "main"), size=(80, 24)) as pilot:
        screen = pilot.app.screen
        for widget in screen.query("#dialog, #buttons, #help, #preview"):
            assert screen.region.contains_region(widget.region)
        label = row_of(pilot, "level_id")
        label.focus_control()
        await pilot.pause()
        assert screen.query_one(Form).region.contains_region(label.query_one(Input).region)


async def test_an_error_goes_with_the_first_key_that_changes_its_field(
    open_stage: OpenStage,
) -> None:
    modal = CreateExecutorModal(FakeConsoleEngine(), "main", check_delay=3_600)
    async with open_stage(modal) as pilot:
        await pilot.press("enter")
        assert "✗" in said(row_of(pilot, "amount"))
        await pilot.press("0")
        assert "✗" not in said(row_of(pilot, "amount"))


async def test_what_is_typed_into_a_field_takes_the_place_of_its_value(
    open_stage: OpenStage,
) -> None:
    """Typing 2 behind a leverage of 1 would be 12 times the money."""
    modal = CreateExecutorModal(FakeConsoleEngine(), "main", check_delay=0)
    async with open_stage(modal) as pilot:
        await pilot.press("down", "down", "2")
        row = row_of(pilot, "leverage")
        assert (row.value, row.control_has_focus) == ("2", True)
        await pilot.press("up", "down", "end", "5")
        assert row.value == "25", "a key that moves keeps the value"
