"""The detail of one executor: what it shows, its tabs, its keys, its clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from engine.api.commands import StopExecutor
from engine.testing.fake_console import FakeConsoleEngine
from tui.modals.create_executor import CreateExecutorModal
from tui.modals.stop_executor import StopExecutorModal
from tui.modals.store_executor import StoreExecutorModal
from tui.modals.update_executor import UpdateExecutorModal
from tui.screens.executor_detail import ExecutorDetailScreen
from tui.state.text import plain
from tui.widgets.ladder import Ladder
from tui.widgets.line_view import LineView

pytestmark = pytest.mark.anyio

OpenStage = Callable[..., AbstractAsyncContextManager[Pilot[None]]]
Shown = Callable[[Pilot[None], str], str]


def detail_of(engine: FakeConsoleEngine, place: int, **options: object) -> ExecutorDetailScreen:
    read_only = bool(options.get("read_only"))
    return ExecutorDetailScreen(
        engine, "main", engine.row_at(place).id, fps=0, read_only=read_only, clock=lambda: 0.0
    )


def page(pilot: Pilot[None]) -> str:
    return "\n".join(plain(line) for line in pilot.app.screen.query_one(LineView).lines)


async def test_state_money_and_barriers_are_in_view(open_stage: OpenStage, shown: Shown) -> None:
    async with open_stage(detail_of(FakeConsoleEngine(), 0)) as pilot:
        facts = shown(pilot, "#facts")
        assert "State running" in facts
        assert "▲ +13.13 USDT (+0.51%)" in facts
        assert "retries 0/10" in facts
        ladder = shown(pilot, "#ladder")
        assert [line.split()[0] for line in ladder.splitlines() if line[:1].isalpha()] == [
            "take", "trailing", "mark", "entry", "stop", "time",
        ]  # fmt: skip
        assert "-2.55%" in ladder
        assert "in 1h55m" in ladder


async def test_actions_are_listed_with_their_letters(open_stage: OpenStage, shown: Shown) -> None:
    async with open_stage(detail_of(FakeConsoleEngine(), 10)) as pilot:
        await pilot.press("K")
        assert "in the list of executors" in shown(pilot, "KeyBar")
        await pilot.press("a")
        listed = shown(pilot, ".actions")
        assert "Only an active executor can be stopped" in listed
        assert "S  Move a terminated executor into the archive" in listed
        await pilot.press("S")
        await pilot.pause()
        assert isinstance(pilot.app.screen, StoreExecutorModal)


async def test_the_last_error_is_in_view(open_stage: OpenStage, shown: Shown) -> None:
    async with open_stage(detail_of(FakeConsoleEngine(), 8), size=(80, 24)) as pilot:
        assert "✗ order rejected by paper_perpetual" in shown(pilot, "#facts")


async def test_tabs_by_key_and_by_mouse(open_stage: OpenStage, shown: Shown) -> None:
    async with open_stage(detail_of(FakeConsoleEngine(), 10)) as pilot:
        assert "[Orders 2]" in shown(pilot, "#tabs")
        await pilot.press("right_square_bracket")
        assert "[Fills 4]" in shown(pilot, "#tabs")
        assert "taker" in page(pilot)
        await pilot.press("left_square_bracket", "left_square_bracket")
        assert "[Raw 10]" in shown(pilot, "#tabs")
        assert "stale_price" in page(pilot)
        await pilot.click("#tabs", offset=(25, 0))
        assert "[Timeline 6]" in shown(pilot, "#tabs")
        assert "created by trend-a" in page(pilot)
        await pilot.press("right_square_bracket")
        assert "  stop_loss" in page(pilot)


async def test_narrow_screens_have_tabs_only(open_stage: OpenStage, shown: Shown) -> None:
    async with open_stage(detail_of(FakeConsoleEngine(), 0), size=(80, 24)) as pilot:
        assert not pilot.app.screen.query_one("#ladder-box").display
        assert "[Barriers]" in shown(pilot, "#tabs")
        assert "take profit" in page(pilot)
        await pilot.press("Y")
        assert pilot.app.clipboard == ""
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert "[Orders 1]" in shown(pilot, "#tabs")
        assert pilot.app.screen.query_one(Ladder).display


async def test_copying(open_stage: OpenStage) -> None:
    engine = FakeConsoleEngine()
    async with open_stage(detail_of(engine, 0)) as pilot:
        await pilot.press("y")
        assert pilot.app.clipboard == engine.row_at(0).id
        await pilot.press("Y")
        head, first = pilot.app.clipboard.splitlines()
        assert head.split("\t")[:3] == ["Time", "Role", "Side"]
        assert first.split("\t")[2:5] == ["BUY", "0.0400", "64,120.0"]


@pytest.mark.parametrize(
    ("place", "key", "modal"),
    [
        (0, "x", StopExecutorModal),
        (0, "X", StopExecutorModal),
        (0, "e", UpdateExecutorModal),
        (10, "S", StoreExecutorModal),
        (0, "n", CreateExecutorModal),
    ],
)
async def test_keys_open_their_dialogs(
    open_stage: OpenStage, place: int, key: str, modal: type[Screen[object]]
) -> None:
    async with open_stage(detail_of(FakeConsoleEngine(), place)) as pilot:
        await pilot.press(key)
        await pilot.pause()
        assert isinstance(pilot.app.screen, modal)


@pytest.mark.parametrize(
    ("place", "key", "reason"),
    [
        (10, "x", "Only an active executor can be stopped"),
        (10, "e", "Only a running executor can be changed"),
        (0, "S", "Only an ended executor can be stored"),
    ],
)
async def test_what_is_not_possible_says_why(
    open_stage: OpenStage, shown: Shown, place: int, key: str, reason: str
) -> None:
    async with open_stage(detail_of(FakeConsoleEngine(), place)) as pilot:
        await pilot.press(key)
        assert isinstance(pilot.app.screen, ExecutorDetailScreen)
        assert reason in shown(pilot, "KeyBar")


async def test_a_read_only_console_changes_nothing(open_stage: OpenStage, shown: Shown) -> None:
    async with open_stage(detail_of(FakeConsoleEngine(), 0, read_only=True)) as pilot:
        await pilot.press("x", "e", "S", "n")
        assert isinstance(pilot.app.screen, ExecutorDetailScreen)
        assert "read only" in shown(pilot, "KeyBar")


@pytest.mark.parametrize("key", ["escape", "backspace"])
async def test_back_goes_back(open_stage: OpenStage, key: str) -> None:
    results: list[None] = []
    async with open_stage(detail_of(FakeConsoleEngine(), 0), results.append) as pilot:
        await pilot.press("tab", "shift+tab", "z", "r", key)
    assert results == [None]


async def test_the_outcome_of_a_command_is_shown_and_a_failure_stays(
    open_stage: OpenStage, shown: Shown
) -> None:
    engine = FakeConsoleEngine(refusal="[/venue] is closed")
    screen = detail_of(engine, 0)
    async with open_stage(screen) as pilot:
        screen.reporter.watch([engine.submit(StopExecutor(session="main", executor_id="a"))])
        screen.pull()
        await pilot.pause()
        assert "Could not stop executor a: [/venue] is closed" in shown(pilot, "KeyBar")
        assert [toast.severity for toast in pilot.app._notifications] == ["error"]
        engine.refusal = ""
        screen.reporter.watch([engine.submit(StopExecutor(session="main", executor_id="a"))])
        screen.pull()
        assert "Stopped executor a" in shown(pilot, "KeyBar")


async def test_an_executor_that_is_gone_says_so(open_stage: OpenStage, shown: Shown) -> None:
    screen = ExecutorDetailScreen(FakeConsoleEngine(), "main", "nobody", fps=0)
    async with open_stage(screen) as pilot:
        assert "not in the session any more" in shown(pilot, "#facts")
        await pilot.press("x", "Y")
        assert "not in the session" in screen.why_not("exec.stop")


async def test_the_paint_clock_shows_news_and_stops_behind_a_dialog(
    open_stage: OpenStage, shown: Shown
) -> None:
    engine = FakeConsoleEngine()
    screen = ExecutorDetailScreen(engine, "main", engine.row_at(0).id, fps=10)
    async with open_stage(screen) as pilot:
        timer = screen._timer
        assert timer is not None
        assert timer._active.is_set()
        engine.replace_row(replace(engine.row_at(0), net_pnl_quote=Decimal("77.00")))
        screen.pull()
        assert "▲ +77.00" in shown(pilot, "#facts")
        await pilot.press("x")
        await pilot.pause()
        assert not timer._active.is_set()
        await pilot.press("tab")
        pilot.app.pop_screen()
        await pilot.pause()
        assert timer._active.is_set()


NASTY = "[/b] [red]\x1b[31m\n\u202e漢字 \ud800"


async def test_any_text_renders(open_stage: OpenStage) -> None:
    engine = FakeConsoleEngine()
    row = replace(
        engine.row_at(0),
        type=NASTY,
        controller_id=NASTY,
        connector_name=NASTY,
        trading_pair=NASTY,
        lifecycle=NASTY,
        close_type=NASTY,
        last_error=NASTY,
        net_pnl_quote=Decimal("NaN"),
        mark_price=Decimal("Infinity"),
        net_pnl_pct=Decimal("NaN"),
        trend=(float("nan"), 1.0),
    )

    class NastyEngine(FakeConsoleEngine):
        def executor(self, session: str, executor_id: str):  # type: ignore[no-untyped-def]
            detail = FakeConsoleEngine().executor("main", row.id)
            assert detail is not None
            return replace(detail, row=row, info=((NASTY, NASTY),))

    async with open_stage(
        ExecutorDetailScreen(NastyEngine(), "main", row.id, fps=0), size=(80, 24)
    ) as pilot:
        for _ in range(6):
            await pilot.press("right_square_bracket")
        await pilot.app.push_screen(
            StopExecutorModal(NastyEngine(), "main", [replace(row, lifecycle="running")])
        )
        await pilot.pause()
        assert isinstance(pilot.app.screen, StopExecutorModal)


async def test_a_duplicate_begins_with_the_values_and_leaves_a_draft(
    open_stage: OpenStage,
) -> None:
    drafts: dict[str, dict[str, str]] = {}
    screen = ExecutorDetailScreen(
        FakeConsoleEngine(), "main", FakeConsoleEngine().row_at(0).id, fps=0, drafts=drafts
    )
    async with open_stage(screen) as pilot:
        await pilot.press("d")
        await pilot.pause()
        modal = pilot.app.screen
        assert isinstance(modal, CreateExecutorModal)
        assert modal.form_values["triple_barrier_config.time_limit"] == "4h"
        await pilot.press("escape")
        await pilot.pause()
        assert drafts["position_executor"]["triple_barrier_config.time_limit"] == "4h"
        await pilot.press("n")
        await pilot.pause()
        again = pilot.app.screen
        assert isinstance(again, CreateExecutorModal)
        assert again.form_values == modal.form_values
