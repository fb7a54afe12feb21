"""How the console starts, what it does when things go wrong, and that any hand can use it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from textual import events
from textual.widgets import Button

from engine.api import views
from engine.testing.fake_console import FakeConsoleEngine
from tests.integration.shell.conftest import THEMES, Console, OpenConsole, widget_lines
from tui.actions import ACTIONS
from tui.app import ConsoleApp
from tui.screens.base import ConsoleScreen
from tui.screens.executor_actions import ExecutorScreen
from tui.settings import Settings
from tui.widgets.live_table import LiveTable
from tui.widgets.mode_bar import ModeBar
from tui.widgets.notices import FaultBar
from tui.widgets.painted import Painted
from tui.widgets.top_bar import TopBar

pytestmark = pytest.mark.anyio


def table(console: Console) -> LiveTable[Any]:
    return console.app.screen.query_one("#executors", LiveTable)


def pull(console: Console) -> None:
    screen = console.app.screen
    assert isinstance(screen, ConsoleScreen)
    screen.pull_all()


# --- start ---------------------------------------------------------------------------------------


async def test_the_engine_is_started_once_after_the_first_frame() -> None:
    started: list[int] = []
    app = ConsoleApp(
        FakeConsoleEngine(state="starting"),
        settings=Settings(fps=0),
        themes_dir=THEMES,
        clock=lambda: 0.0,
        on_first_paint=lambda: started.append(len(app.screen.query("#executors"))),
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("2", "1")
        assert started == [1]


async def test_the_frame_is_there_before_the_engine(open_console: OpenConsole) -> None:
    engine = FakeConsoleEngine()
    engine.state = "starting"
    async with open_console(engine) as console:
        assert "starting engine…" in console.shown(TopBar)
        assert "Starting the engine…" in console.shown("#session")
        await console.press("n")
        assert "the engine is starting" in console.hint()
        await console.press("x", "e", "S", "enter", "space", "asterisk", "y", "0", "6", "2")
        engine.state = "running"
        pull(console)
        assert "BTC-USDT" in console.shown("#executors")


async def test_a_key_map_and_a_theme_with_mistakes_are_told_and_left_out(
    open_console: OpenConsole,
) -> None:
    settings = Settings(fps=0, theme="nrod", keymap={"exec.nwe": "n", "exec.new": "N"})
    async with open_console(settings=settings) as console:
        assert console.app.theme == "quarterdeck-dark"
        messages = [note.message for note in console.app._notifications]
        assert any("did you mean 'exec.new'" in message for message in messages)
        assert any("there is no theme 'nrod'" in message for message in messages)
        await console.press("N")
        assert type(console.app.screen).__name__ == "CreateExecutorModal"


async def test_a_settings_file_with_a_mistake_is_told_and_stays_told() -> None:
    app = ConsoleApp(
        FakeConsoleEngine(),
        settings=Settings(fps=0),
        settings_problem="The defaults are used: config.yaml: fps is 900",
        themes_dir=THEMES,
        clock=lambda: 0.0,
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        (note,) = app._notifications
        assert "fps is 900" in note.message
        assert note.timeout >= 3_600


async def test_a_read_only_console_refuses_and_says_so(open_console: OpenConsole) -> None:
    async with open_console(settings=Settings(fps=0, read_only=True)) as console:
        assert "READ ONLY" in console.hint()
        for key in ("n", "x", "e", "S"):
            await console.press(key)
            assert "This console is read only" in console.hint()


async def test_the_terminal_title_shows_the_mode(open_console: OpenConsole) -> None:
    async with open_console(FakeConsoleEngine(mode="live")) as console:
        console.app._look_at_engine()
        assert console.app.title == "● LIVE main · quarterdeck"
        assert console.app.screen.has_class("-live")


# --- trouble -------------------------------------------------------------------------------------


async def test_an_engine_that_does_not_answer_gets_a_bar_until_it_does(
    open_console: OpenConsole,
) -> None:
    engine = FakeConsoleEngine()
    beat = views.HealthView(views.EngineState.RUNNING, beat_ns=100_000_000_000)
    engine.health = lambda: beat  # type: ignore[method-assign]  # a fake's silence
    async with open_console(engine) as console:
        bar = console.app.screen.query_one(FaultBar)
        assert not bar.display
        console.now[0] += 5
        pull(console)
        await console.pilot.pause()
        assert bar.display
        assert "has not answered for 5s" in console.shown(FaultBar)
        beat = replace(beat, beat_ns=105_000_000_000)
        pull(console)
        assert not bar.display


async def test_a_halt_of_trading_is_told_on_every_screen_until_it_is_over(
    open_console: OpenConsole,
) -> None:
    engine = FakeConsoleEngine()
    halt = "the store cannot be written, trading is halted until it can: disk is full"
    health = views.HealthView(views.EngineState.RUNNING, halt, beat_ns=100_000_000_000)
    engine.health = lambda: health  # type: ignore[method-assign]  # a fake's full disk
    async with open_console(engine, size=(80, 24)) as console:
        for keys in ("1", "2", "6", "0", "question_mark", "escape", "1", "x", "escape", "enter"):
            await console.press(keys)
            bar = console.app.screen.query_one(TopBar)
            bar.pull()
            await console.pilot.pause()
            assert f"⚠ {halt}" in " ".join(console.shown(TopBar).split())
            assert bar.size.width == 80
        await console.press("escape")
        health = replace(health, message="")
        bar = console.app.screen.query_one(TopBar)
        bar.pull()
        await console.pilot.pause()
        assert bar.size.height == 1
        assert "halted" not in console.shown(TopBar)


class Broken(FakeConsoleEngine):
    """One question fails."""

    broken = True

    def markets(self, session: str) -> tuple[views.MarketRow, ...]:
        if self.broken:
            raise RuntimeError("no [/markup] here")
        return super().markets(session)


async def test_a_failing_question_is_shown_in_its_panel_and_goes_away(
    open_console: OpenConsole,
) -> None:
    engine = Broken()
    async with open_console(engine) as console:
        assert "RuntimeError: no [/markup] here" in console.shown("#markets")
        assert "BTC-USDT" in console.shown("#executors")
        engine.broken = False
        await console.press("r")
        assert "64,480.4" in console.shown("#markets")


class NoTable(FakeConsoleEngine):
    """The executor table fails."""

    def executors(self, session: str, **query: Any) -> views.ExecutorPage:
        raise RuntimeError("store is closed")


async def test_a_failing_table_says_so_and_keys_go_on(open_console: OpenConsole) -> None:
    async with open_console(NoTable()) as console:
        assert "store is closed" in console.shown("#executors")
        await console.press("0")
        assert "order rejected" in console.shown("#log")


async def test_a_fault_before_any_session_ends_with_its_exit_code() -> None:
    engine = FakeConsoleEngine(executors=0)
    app = ConsoleApp(engine, settings=Settings(fps=0), themes_dir=THEMES, clock=lambda: 0.0)
    async with app.run_test(size=(80, 24)) as pilot:
        engine.state = "starting"
        app._look_at_engine()
        assert app.return_code is None
        fault = views.HealthView(views.EngineState.FAULTED, "paper.yaml:3: [x] bad", exit_code=2)
        engine.health = lambda: fault  # type: ignore[method-assign]  # a fake's fault
        app._look_at_engine()
        await pilot.pause()
    assert app.return_code == 2


async def test_a_later_fault_keeps_the_console_and_shows_a_bar(open_console: OpenConsole) -> None:
    engine = FakeConsoleEngine()
    async with open_console(engine) as console:
        engine.state = "faulted"
        console.app._look_at_engine()
        pull(console)
        await console.pilot.pause()
        assert console.app.return_code is None
        assert "Engine fault: store: disk is full" in console.shown("FaultBar")


async def test_a_bad_filter_is_explained_and_escape_clears_it(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("slash", *"zzz", "enter")
        assert "Nothing matches zzz" in console.shown("#executors")
        await console.press("escape")
        assert "BTC-USDT" in console.shown("#executors")


async def test_a_failed_command_is_reported_with_its_reason(open_console: OpenConsole) -> None:
    engine = FakeConsoleEngine(refusal="risk: kill switch is on")
    async with open_console(engine, size=(120, 40)) as console:
        screen = console.app.screen
        assert isinstance(screen, ExecutorScreen)
        from engine.api.commands import StopExecutor

        command_id = engine.submit(StopExecutor(session="main", executor_id="x"))
        screen.reporter.watch([command_id])
        pull(console)
        assert "Could not stop executor x: risk: kill switch is on" in console.hint()


async def test_markup_in_any_field_is_only_text(open_console: OpenConsole) -> None:
    engine = FakeConsoleEngine()
    evil = "[/BTC] [bold]\x1b[31m\n"
    engine.replace_row(
        replace(engine.row_at(4), trading_pair=evil, type=evil, last_error=evil, controller_id=evil)
    )
    async with open_console(engine, size=(200, 60)) as console:
        await console.press("2", "slash", "[", "/", "]", "enter", "escape", "0", "6", "1", "q")
        await console.press("escape", "question_mark", "escape")
        assert console.app.return_code is None
        assert console.app._exception is None


# --- sizes ---------------------------------------------------------------------------------------


async def test_a_small_terminal_gets_one_clear_sentence_and_the_facts(
    open_console: OpenConsole,
) -> None:
    async with open_console(size=(40, 10)) as console:
        text = " ".join(console.shown("TooSmall").split())
        assert "This terminal is 40x10. quarterdeck needs at least 80x24" in text
        assert "PAPER" in console.shown(TopBar)
        assert "+1,385.96" in console.shown(TopBar)
        assert not console.app.screen.query_one("#body").display
        assert console.hint().split() == ["?", "help", "q", "quit"]
        await console.pilot.resize_terminal(120, 40)
        await console.pilot.pause()
        assert "filter" in console.hint()
        assert console.app.screen.query_one("#body").display
        assert "BTC-USDT" in console.shown("#executors")


async def test_nobody_acts_on_rows_that_a_small_terminal_does_not_show(
    open_console: OpenConsole,
) -> None:
    async with open_console(size=(40, 10)) as console:
        for key in ("x", "n", "e", "S", "5", "x", "7", "n", "8", "n"):
            await console.press(key)
            assert isinstance(console.app.screen, ConsoleScreen), key
        assert "n needs 80x24. q quits." in console.hint()
        await console.pilot.resize_terminal(80, 24)
        await console.press("1", "n")
        assert not isinstance(console.app.screen, ConsoleScreen)


@pytest.mark.parametrize("keys", [("7", "g", "j", "j", "d"), ("7", "n"), ("8", "n"), ("1", "n")])
async def test_buttons_of_forms_are_on_the_screen_of_80x24(
    keys: tuple[str, ...], open_console: OpenConsole
) -> None:
    async with open_console(size=(80, 24)) as console:
        await console.press(*keys)
        await console.settle()
        buttons = list(console.app.screen.query(Button))
        assert len(buttons) == 2
        frame = console.app.screen.query_one("#dialog").content_region
        assert all(frame.contains_region(button.region) for button in buttons)
        head = console.shown("#head")
        assert "…" not in head


@pytest.mark.parametrize("small", [(40, 10), (20, 5), (300, 5), (5, 90)])
async def test_keys_work_again_when_the_terminal_is_large_enough_again(
    open_console: OpenConsole, small: tuple[int, int]
) -> None:
    async with open_console(size=(120, 40)) as console:
        await console.press("tab")
        before = console.app.focused
        await console.pilot.resize_terminal(*small)
        await console.settle()
        assert console.app.focused is None
        await console.pilot.resize_terminal(80, 24)
        await console.settle()
        assert console.app.focused is before is not None
    async with open_console(size=small) as console:
        await console.pilot.resize_terminal(120, 40)
        await console.pilot.pause()
        await console.press("j", "j")
        assert "no meaning" not in console.hint()


@pytest.mark.parametrize("size", [(80, 24), (99, 33), (120, 40), (200, 60)])
async def test_every_line_has_the_width_of_its_widget(
    size: tuple[int, int], open_console: OpenConsole
) -> None:
    async with open_console(size=size) as console:
        for mode in "1260":
            await console.press(mode)
            widgets = [*console.app.screen.query(Painted), *console.app.screen.query(LiveTable)]
            for widget in widgets:
                width = (
                    widget.scrollable_content_region.width
                    if isinstance(widget, LiveTable)
                    else widget.size.width
                )
                for y in range(widget.size.height):
                    assert widget.render_line(y).cell_length == width, (widget, y)


async def test_screens_stay_small(open_console: OpenConsole) -> None:
    async with open_console() as console:
        for mode in "1260":
            await console.press(mode)
            assert len(console.app.screen.query("*")) < 60


# --- mouse ---------------------------------------------------------------------------------------


async def test_rows_headers_modes_and_keys_can_be_clicked(open_console: OpenConsole) -> None:
    async with open_console() as console:
        pilot = console.pilot
        await pilot.click("#executors", offset=(6, 5))
        assert table(console).model.cursor == 3
        await pilot.click("#executors", offset=(6, 5), times=2)
        await pilot.pause()
        assert type(console.app.screen).__name__ == "ExecutorDetailScreen"
        await console.press("escape")
        await pilot.click("#executors", offset=(4, 1))
        assert table(console).model.query.sort == "id"
        x = widget_lines(console.app.screen.query_one(ModeBar))[0].index("Executors")
        await pilot.click(ModeBar, offset=(x, 0))
        await pilot.pause()
        screen = console.app.screen
        assert isinstance(screen, ConsoleScreen)
        assert screen.mode == "executors"
        x = console.hint().index("help")
        await pilot.click("KeyBar", offset=(x, 0))
        await pilot.pause()
        assert type(console.app.screen).__name__ == "HelpScreen"


async def test_the_wheel_scrolls_and_leaves_the_cursor_alone(open_console: OpenConsole) -> None:
    engine = FakeConsoleEngine(executors=500)
    async with open_console(engine) as console:
        before = table(console).model.cursor_id
        table(console).scroll_to(y=100, animate=False, immediate=True)
        await console.pilot.pause()
        assert table(console).model.top == 100
        assert table(console).model.cursor_id == before


async def test_a_sort_menu_can_be_clicked(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("o")
        await console.pilot.click(".sort-list", offset=(5, 1))
        await console.pilot.pause()
        assert table(console).model.query.sort == "type"


# --- any keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_keys_never_raise_and_never_act_without_asking(
    seed: int, open_console: OpenConsole
) -> None:
    generator = random.Random(seed)
    keys = [key for action in ACTIONS for key in action.keys.split(",")]
    keys = [key for key in keys if key not in {"q", "ctrl+c"}] + ["tab", "escape", "escape", "v"]
    async with open_console(FakeConsoleEngine(executors=60), size=(100, 30)) as console:
        for _ in range(6):
            console.app.simulate_key("escape")
            for _ in range(10):
                console.app.simulate_key(generator.choice(keys))
            console.engine.advance()
            await console.pilot.pause()
        assert console.app._exception is None
        assert console.app.return_code is None
        acting = {"StopExecutor", "StoreExecutor", "CreateExecutor", "StopSession"}
        assert not acting & {type(command).__name__ for command in console.engine.submitted}


async def test_a_key_typed_while_quitting_is_dropped(open_console: OpenConsole) -> None:
    async with open_console() as console:
        app = console.app
    await app.on_event(events.Key("j", "j"))
    assert app._exception is None


async def test_a_key_without_meaning_says_so(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("V")
        assert "V has no meaning here. ? lists the keys." in console.hint()
        console.now[0] += 10
        pull(console)
        assert "quit" in console.hint()


async def test_marks_are_stopped_together(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("j", "space", "space", "x")
        assert type(console.app.screen).__name__ == "StopExecutorModal"
        assert "2 executors" in str(console.app.screen.query_one("#dialog").border_title)


async def test_command_lines_reach_filter_session_and_modes(open_console: OpenConsole) -> None:
    async with open_console() as console:
        console.app.run_command("exec eur")
        await console.pilot.pause()
        assert table(console).model.query.filter_text == "eur"
        console.app.run_command("session nope")
        assert "There is no session 'nope'; there are main" in console.hint()
        console.app.run_command("session main")
        console.app.run_command("theme nrod")
        assert "there is no theme 'nrod'" in console.hint()
        console.app.run_command("logs")
        await console.pilot.pause()
        screen = console.app.screen
        assert isinstance(screen, ConsoleScreen)
        assert screen.mode == "logs"
        await console.press("colon", "up")
        console.app.run_command("help")
        await console.pilot.pause()
        assert type(console.app.screen).__name__ == "HelpScreen"


async def test_a_log_line_opens_its_executor_or_says_why_not(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("0")
        log = console.app.screen.query_one("#log", LiveTable)
        about = [row.executor_id for row in console.engine.log()]
        log.model.move_to(next(i for i, one in enumerate(about) if one is None))
        await console.press("enter")
        assert "not about an executor" in console.hint()
        if any(about):
            log.model.move_to(next(i for i, one in enumerate(about) if one is not None))
            await console.press("enter")
            assert type(console.app.screen).__name__ == "ExecutorDetailScreen"


async def test_hidden_screens_ask_for_nothing(open_console: OpenConsole) -> None:
    engine = FakeConsoleEngine()
    async with open_console(engine, settings=Settings(fps=10)) as console:
        dashboard = console.app.screen
        assert isinstance(dashboard, ConsoleScreen)
        await console.press("2")
        assert dashboard._clock_timer is not None
        assert not dashboard._clock_timer._active.is_set()
        await console.press("1")
        assert dashboard._clock_timer._active.is_set()


# --- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "policy"), [(("q", "k"), "keep"), (("q", "y"), "keep"), (("q", "f"), "flatten")]
)
async def test_what_the_operator_chose_at_the_end_goes_before_the_session_file(
    open_console: OpenConsole, keys: tuple[str, ...], policy: str
) -> None:
    async with open_console() as console:
        for key in keys:
            await console.press(key)
        assert console.app.return_code == 0
        (command,) = console.engine.submitted
        assert type(command).__name__ == "StopSession"
        assert command.model_dump()["policy"] == policy


async def test_interrupted_twice_it_keeps_positions(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("ctrl+c")
        assert console.engine.submitted == []
        await console.press("ctrl+c")
        assert console.app.return_code == 0
        assert [command.model_dump()["policy"] for command in console.engine.submitted] == ["keep"]
