"""The console: modes, theme, global keys, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from importlib.resources.abc import Traversable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from textual import events, on
from textual.app import App
from textual.binding import BindingType
from textual.notifications import Notify, SeverityLevel
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import Worker, WorkerState

from tui.actions import ACTIONS, Scope, bindings_for
from tui.key_gate import KeyGate
from tui.screens.base import CommandEntered, ConsoleScreen
from tui.settings import DEFAULT_THEME, PNL_COLORS, TIME_FORMATS, Settings
from tui.state.console import ConsoleState
from tui.state.modes import mode_title
from tui.theming import ThemeFileError, complete, load_theme, theme_names, with_pnl_colors
from tui.widgets.safe import safe

if TYPE_CHECKING:
    from textual.command import Provider
    from textual.driver import Driver
    from textual.theme import Theme
    from textual.types import CSSPathType

    from engine.api.console import ConsoleEngine
    from tui.modals.settings import ThemeWanted
    from tui.modals.start_paper import SessionWanted
    from tui.state.command_line import Command

_TWICE_S = 2.0
_MOST_TOASTS = 3
_TIMES = "  x"
_SAVING = "settings"
_KEYS = "keys"


def _palette_provider() -> type[Provider]:
    from tui.palette import ActionProvider

    return ActionProvider


@runtime_checkable
class _WithKeyBar(Protocol):
    """A screen that answers keys in its key bar."""

    def say(self, text: str) -> None: ...
    def pull_all(self) -> None: ...
    def update_keys(self) -> None: ...


class ConsoleApp(App[None], inherit_bindings=False):
    """The operator's console over one engine.

    Args:
        engine: the only door to the engine.
        session: name or id of the session to look at; None takes the first.
        on_first_paint: called once, when the first frame is on the screen.
        settings: what the operator chose before.
        settings_problem: why *settings* are not what the operator's file says; it is told and
            stays on the screen.
        theme: shown in place of the settings' theme in this run; it is not remembered.
        save: keeps what the operator chooses; called in a thread of its own, None keeps nothing.
        themes_dir: where the theme files are.
        own_themes_dir: where the operator's own theme files are; it need not exist. A file of the
            theme on show is read again when it changes.
        clock: monotonic seconds; the event loop's by default.
    """

    TITLE = "quarterdeck"
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.EVERYWHERE)
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_palette_provider}
    CSS_PATH: ClassVar[CSSPathType | None] = ["css/app.tcss", "css/screens.tcss"]
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [  # noqa: RUF012 (as App declares it)
        (0, "-tiny"), (80, "-narrow"), (100, "-normal"), (160, "-wide"),
    ]  # fmt: skip
    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [  # noqa: RUF012 (as App declares it)
        (0, "-flat"), (24, "-short"), (34, "-normal-h"), (50, "-tall"),
    ]  # fmt: skip
    ESCAPE_TO_MINIMIZE = False
    DEFAULT_MODE = "dashboard"

    def __init__(
        self,
        engine: ConsoleEngine,
        *,
        session: str | None = None,
        on_first_paint: Callable[[], None] | None = None,
        settings: Settings,
        settings_problem: str = "",
        theme: str | None = None,
        save: Callable[[Settings], None] | None = None,
        themes_dir: Traversable,
        own_themes_dir: Path | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._theme_problem = ""
        self.settings = settings  # the styles ask for it already while the app is made
        super().__init__()
        self.animation_level = "none"
        self._save = save
        self._save_lock = Lock()
        self.themes_dir = themes_dir
        self._own_themes_dir = own_themes_dir
        self._theme_stamp: int | None = None
        self.console_state = ConsoleState(
            engine,
            clock=clock or _loop_clock,
            wanted=session,
            time_format=settings.time_format,
            read_only=settings.read_only,
            fps=settings.fps,
        )
        self.next_session: Path | None = None
        """Session file that is to run when this console has ended; None for none."""
        self._key_gate = KeyGate(self)
        self._on_first_paint = on_first_paint
        self._interrupted_at = float("-inf")
        self._history: list[str] = []
        self._last_look: object = None
        self._settings_problem = settings_problem
        self._keymap_problems: tuple[str, ...] = ()
        if settings.keymap:
            self._use_keymap(settings.keymap)
        self._start_theme(theme or settings.theme)

    def get_driver_class(self) -> type[Driver]:
        """Return Textual's driver, over a terminal that may be lost where that is possible."""
        chosen = super().get_driver_class()
        if chosen.__name__ != "LinuxDriver":
            return chosen
        from tui.terminal import ConsoleDriver

        return ConsoleDriver

    def _use_keymap(self, wanted: Mapping[str, str]) -> None:
        from tui.keymap import check_keymap

        checked = check_keymap(wanted)
        self._keymap_problems = checked.problems
        self.set_keymap(dict(checked.keys))

    # --- screens, each made when it is first wanted -----------------------------------------------

    def get_default_screen(self) -> Screen[Any]:
        """Return the dashboard: to start as the default screen saves parsing all styles twice."""
        from tui.screens.dashboard import DashboardScreen

        return DashboardScreen(self.console_state)

    def _executors(self) -> Screen[Any]:
        from tui.screens.executors import ExecutorsScreen

        return ExecutorsScreen(self.console_state)

    def _agents(self) -> Screen[Any]:
        from tui.screens.agents import AgentsScreen

        return AgentsScreen(self.console_state)

    def _flow(self) -> Screen[Any]:
        from tui.screens.flow import FlowScreen

        return FlowScreen(self.console_state)

    def _backtests(self) -> Screen[Any]:
        from tui.screens.backtests import BacktestsScreen

        return BacktestsScreen(self.console_state)

    def _containers(self) -> Screen[Any]:
        from tui.screens.containers import ContainersScreen

        return ContainersScreen(self.console_state)

    def _optimization(self) -> Screen[Any]:
        from tui.screens.studies import StudiesScreen

        return StudiesScreen(self.console_state)

    def _logs(self) -> Screen[Any]:
        from tui.screens.logs import LogsScreen

        return LogsScreen(self.console_state)

    # --- start ---------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Know the other modes, and start to look at the engine."""
        self.run_worker(self._key_gate.run(), group=_KEYS)
        self.add_mode("dashboard", self.get_default_screen)
        self.add_mode("executors", self._executors)
        self.add_mode("agents", self._agents)
        self.add_mode("flow", self._flow)
        self.add_mode("backtests", self._backtests)
        self.add_mode("containers", self._containers)
        self.add_mode("optimization", self._optimization)
        self.add_mode("logs", self._logs)
        self.set_interval(1.0, self._look_at_engine)
        if self._own_themes_dir is not None:
            self.set_interval(1.0, self._reload_theme)

    def on_ready(self) -> None:
        """Start the engine as soon as the first frame is on the screen."""
        self.screen.call_after_refresh(self._first_paint)

    async def on_event(self, event: events.Event) -> None:
        """Let keys pass one by one; drop those typed while the screens are being closed."""
        if isinstance(event, events.InputEvent) and not self.screen_stack:
            return
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
        elif not self._key_gate.holds(event):
            try:
                await super().on_event(event)
            finally:
                self._key_gate.passed()

    def _first_paint(self) -> None:
        self._look_at_engine()
        callback, self._on_first_paint = self._on_first_paint, None
        if callback is not None:
            callback()
        for problem in (self._settings_problem, *self._keymap_problems, self._theme_problem):
            if problem:
                self.tell(problem, severity="warning", timeout=3_600.0)

    @safe
    def _look_at_engine(self) -> None:
        """End if the engine could not start; keep the title and the frame in step with the mode."""
        health = self.console_state.engine.health()
        session = self.console_state.session_row()
        if session is None:
            if health.state.value == "faulted" and health.exit_code:
                self.exit(return_code=health.exit_code)  # the command line says why
            return
        look = (session.mode, session.name)
        if look != self._last_look:
            self._last_look = look
            self.set_terminal_title(mode_title(session.mode, session.name))

    def set_terminal_title(self, title: str) -> None:
        """Show *title* as the title of the terminal's window."""
        self.title = title
        if self._driver is not None and not self.is_headless:
            safe = "".join(character for character in title if character.isprintable())
            self._driver.write(f"\x1b]2;{safe}\x07")

    # --- theme -----------------------------------------------------------------------------------

    def get_css_variables(self) -> dict[str, str]:
        """Return the theme's variables, with those of the console that it lacks."""
        own = complete(super().get_css_variables())
        variables = with_pnl_colors(own, self.settings.pnl_colors)
        self.theme_variables = variables
        return variables

    def known_themes(self) -> tuple[str, ...]:
        """Return our themes first, then the operator's, then those of Textual."""
        ours = theme_names(self.themes_dir)
        folder = self._own_themes_dir
        own = theme_names(folder) if folder is not None and folder.is_dir() else ()
        first = dict.fromkeys((*ours, *own))
        return (*first, *sorted(name for name in self.available_themes if name not in first))

    def _own_theme(self, name: str) -> Path | None:
        """Return the operator's file of the theme *name*, or None; it goes before ours."""
        if self._own_themes_dir is None or Path(name).name != name:
            return None
        path = self._own_themes_dir / f"{name}.yaml"
        return path if path.is_file() else None

    def _load_theme(self, name: str) -> Theme:
        """Return the theme *name* from the operator's files, from ours, or of Textual."""
        own = self._own_theme(name)
        if own is not None and self._own_themes_dir is not None:
            self._theme_stamp = own.stat().st_mtime_ns
            theme = load_theme(self._own_themes_dir, name)
            theme.name = name  # the file's name is what the operator chooses it by
            return theme
        known = None if name in theme_names(self.themes_dir) else self.available_themes.get(name)
        return known or load_theme(self.themes_dir, name)

    @safe
    def _reload_theme(self) -> None:
        """Show the operator's theme file anew if it was written since."""
        own = self._own_theme(self.theme)
        if own is None or own.stat().st_mtime_ns == self._theme_stamp:
            return
        try:
            self.register_theme(self._load_theme(self.theme))
        except ThemeFileError as error:
            self.tell(str(error), severity="warning", timeout=3_600.0)
            return
        self.refresh_css(animate=False)

    def _start_theme(self, name: str) -> None:
        """Take the first theme before any style is parsed: a later change parses all again."""
        for wanted in (name, DEFAULT_THEME):
            try:
                theme = self._load_theme(wanted)
            except (ThemeFileError, OSError) as error:
                self._theme_problem = str(error)
                continue
            self.register_theme(theme)
            self.set_reactive(ConsoleApp.theme, theme.name)
            self.set_class(theme.dark, "-dark-mode", update=False)
            self.set_class(not theme.dark, "-light-mode", update=False)
            self.stylesheet.set_variables(self.get_css_variables())
            return

    def use_theme(self, name: str) -> bool:
        """Switch to the theme *name*; on a mistake say so and return False."""
        try:
            self.register_theme(self._load_theme(name))
        except (ThemeFileError, OSError) as error:
            self._theme_problem = str(error)
            return False
        self.theme = name
        return True

    def on_theme_wanted(self, event: ThemeWanted) -> None:
        """Show the theme that the settings ask for."""
        event.stop()
        self.use_theme(event.name)

    def _theme_taken(self, name: str | None) -> None:
        if name is not None:
            self._remember(replace(self.settings, theme=name))

    # --- what is remembered ----------------------------------------------------------------------

    def _remember(self, settings: Settings) -> None:
        """Keep *settings* for the next start, without making the screen wait."""
        self.settings = settings
        if self._save is not None:
            self.run_worker(self._save_newest, group=_SAVING, thread=True, exit_on_error=False)

    def _save_newest(self) -> None:
        """Write the newest settings: one writer at a time, so that the last one wins."""
        with self._save_lock:
            if self._save is not None:
                self._save(self.settings)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Say so if the settings could not be written."""
        if event.worker.group == _SAVING and event.state is WorkerState.ERROR:
            self.tell(
                f"The settings hold until quit; they were not saved: {event.worker.error}",
                severity="warning",
                timeout=3_600.0,
            )

    def action_pnl_colors(self) -> None:
        """Show profit and loss in the next pair of colours."""
        place = PNL_COLORS.index(self.settings.pnl_colors)
        self._remember(replace(self.settings, pnl_colors=PNL_COLORS[(place + 1) % len(PNL_COLORS)]))
        self.refresh_css(animate=False)
        self.say(f"Profit and loss in {self.settings.pnl_colors.replace('_', ' and ')}.")

    # --- talking ---------------------------------------------------------------------------------

    def tell(
        self, text: str, *, severity: SeverityLevel = "information", timeout: float = 4.0
    ) -> None:
        """Show a toast; *text* is never read as markup."""
        self.notify(text, severity=severity, timeout=timeout, markup=False)

    def on_notify(self, event: Notify) -> None:
        """Count a toast that is shown already in place of stacking it; keep the newest three."""
        fresh, shown = event.notification, self._notifications  # Textual has no public list of them
        text = fresh.message
        for old in list(shown):
            before, mark, times = old.message.rpartition(_TIMES)
            counted = mark and before == text and times.isdecimal()
            if old.severity == fresh.severity and (old.message == text or counted):
                fresh.message = f"{text}{_TIMES}{int(times) + 1 if counted else 2}"
                del shown[old]
        while len(shown) >= _MOST_TOASTS:
            by_worth = sorted(shown, key=lambda one: (one.severity == "error", one.raised_at))
            del shown[by_worth[0]]

    def show_problem(self, text: str) -> None:
        """Say that the engine answered with an exception."""
        self.say(f"⚠ {text}")

    def say(self, text: str) -> None:
        """Answer in the key bar, or in a toast where there is none."""
        screen = self.screen
        if isinstance(screen, _WithKeyBar):
            screen.say(text)
        else:
            self.tell(text)

    # --- actions ---------------------------------------------------------------------------------

    def action_mode(self, name: str) -> None:
        """Go to a mode."""
        _ = self.switch_mode(name)

    def action_help(self) -> None:
        """List all keys."""
        from tui.modals.help import HelpScreen

        scopes: tuple[Scope, ...] = getattr(self.screen, "scopes", tuple(Scope))
        _ = self.push_screen(HelpScreen(self.console_state, scopes, dict(self._keymap)))

    def action_alerts(self) -> None:
        """Show the warnings and errors so far."""
        from tui.modals.alerts import AlertsScreen

        _ = self.push_screen(AlertsScreen(self.console_state), self._alert_chosen)

    def _alert_chosen(self, executor_id: str | None) -> None:
        if executor_id is not None and isinstance(self.screen, ConsoleScreen):
            self.screen.open_executor(executor_id)

    def action_settings(self) -> None:
        """Choose a theme and how things are shown."""
        from tui.modals.settings import SettingsScreen

        settings = SettingsScreen(self.console_state, self.known_themes(), self.theme)
        _ = self.push_screen(settings, self._theme_taken)

    def action_command_line(self) -> None:
        """Open the command line."""
        from tui.state.command_line import suggestions

        names = [row.name for row in self.console_state.engine.sessions()]
        words = suggestions(self.known_themes(), names, self._possible_actions())
        history = tuple(self._history)
        if isinstance(self.screen, ConsoleScreen):
            self.screen.open_prompt(":", suggestions=words, history=history)
        else:
            from tui.modals.command_prompt import CommandPrompt

            _ = self.push_screen(CommandPrompt(words, history), self._command_typed)

    def _command_typed(self, text: str | None) -> None:
        if text is not None:
            self.run_command(text)

    def action_jump(self) -> None:
        """Overlay a letter on every panel; the letter goes there."""
        from tui.modals.jump import JumpScreen

        panels = [one for one in self.screen.focus_chain if one.region]
        if len(panels) > 1:
            regions = [one.region for one in panels]
            _ = self.push_screen(JumpScreen(regions), partial(self._jumped, panels))
        else:
            self.say("There is only one panel here.")

    def _jumped(self, panels: list[Widget], place: int | None) -> None:
        if place is not None and panels[place].is_mounted:
            panels[place].focus()

    def action_pause(self) -> None:
        """Freeze the display, or go on."""
        paused = self.console_state.toggle_pause()
        if isinstance(self.screen, _WithKeyBar):
            if not paused:
                self.screen.pull_all()
            self.screen.update_keys()
        self.say("The display stands still; the engine goes on. p resumes." if paused else "Live.")

    def action_time_format(self) -> None:
        """Show times in the next format."""
        state = self.console_state
        place = TIME_FORMATS.index(state.time_format)
        state.time_format = TIME_FORMATS[(place + 1) % len(TIME_FORMATS)]
        if isinstance(self.screen, ConsoleScreen):
            self.screen.repaint_tables()
        self._remember(replace(self.settings, time_format=state.time_format))
        self.say(f"Times are {state.time_format.upper()}.")

    async def action_quit(self) -> None:
        """Ask what to do with running executors, then quit."""
        self._ask_to_quit()

    @safe
    def _ask_to_quit(self) -> None:
        from tui.modals.quit import QuitDialog

        state = self.console_state
        if state.session_row() is None:
            self.exit(return_code=0)
            return
        _ = self.push_screen(
            QuitDialog(state.engine, state.session, clock=state.clock), self._quit_chosen
        )

    def _quit_chosen(self, choice: Literal["keep", "flatten"] | None) -> None:
        if choice is not None:
            self._end_session(choice)

    def _end_session(self, policy: Literal["keep", "flatten"]) -> None:
        """Quit; what the operator wishes goes before what the session's file says."""
        session = self.console_state.session
        try:
            if session:
                from engine.api.commands import StopSession

                self.console_state.engine.submit(StopSession(session=session, policy=policy))
        finally:
            self.exit(return_code=0)

    def on_session_wanted(self, event: SessionWanted) -> None:
        """Ask what becomes of the session on show, then leave it for the wanted one."""
        from tui.modals.start_paper import StartPaperDialog

        path, parameters = event.path, event.parameters

        state = self.console_state

        def chosen(policy: Literal["keep", "flatten"] | None) -> None:
            if policy is not None:
                self.next_session = path
                self._end_session(policy)

        _ = self.push_screen(
            StartPaperDialog(
                state.engine, state.session, path=path, parameters=parameters, clock=state.clock
            ),
            chosen,
        )

    def action_interrupt(self) -> None:
        """Copy what is selected; pressed twice within two seconds: quit."""
        selected = self.screen.get_selected_text()
        if selected:
            self.copy_to_clipboard(selected)
            self.say("Copied the selection.")
            return
        now = self.console_state.clock()
        if now - self._interrupted_at <= _TWICE_S:
            self._end_session("keep")
            return
        self._interrupted_at = now
        self.say("Press ctrl+c again within 2 s to quit and keep positions; q asks first.")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[Any]:
        """Return nothing: our own provider lists every action."""
        del screen
        return ()

    # --- command line -----------------------------------------------------------------------------

    @on(CommandEntered)
    def _command_entered(self, event: CommandEntered) -> None:
        event.stop()
        self.run_command(event.text)

    def run_command(self, text: str) -> None:
        """Carry out one line of the command line."""
        if not text.strip():
            return
        self._history.append(text)
        from tui.state.command_line import parse_command

        command = parse_command(text, [action.id for action in ACTIONS if not action.fixed])
        handlers: dict[str, Callable[[Command], None]] = {
            "q": lambda _: self._run("quit"),
            "help": lambda _: self.action_help(),
            "settings": lambda _: self.action_settings(),
            "theme": self._command_theme,
            "exec": self._command_exec,
            "session": self._command_session,
            "mode": lambda command: self.action_mode(command.argument),
            "action": self._command_action,
        }
        if command.problem:
            self.say(command.problem)
        else:
            handlers[command.name](command)

    def _run(self, action: str) -> None:
        self.call_later(self.run_action, action)

    def _possible_actions(self) -> dict[str, str]:
        """Return id -> first key of what the screen and its focus can do, as the palette has it."""
        bound = {one.binding.id: key for key, one in reversed(self.screen.active_bindings.items())}
        return {name: key for name, key in bound.items() if name}

    def _command_action(self, command: Command) -> None:
        self.call_after_refresh(self._press_key_of, command.argument)

    def _press_key_of(self, action_id: str) -> None:
        key = self._possible_actions().get(action_id)
        if key is None:
            self.say(f"{action_id} is not possible here. ? lists what is.")
        else:
            self.simulate_key(key)

    def _command_theme(self, command: Command) -> None:
        if not command.argument:
            self.action_settings()
        elif self.use_theme(command.argument):
            self._theme_taken(command.argument)
        else:
            self.say(self._theme_problem)

    def _command_session(self, command: Command) -> None:
        if not self.console_state.choose_session(command.argument):
            names = ", ".join(row.name for row in self.console_state.engine.sessions())
            self.say(f"There is no session {command.argument!r}; there are {names or 'none'}.")

    def _command_exec(self, command: Command) -> None:
        _ = self.switch_mode("executors")
        self.call_later(self._filter_executors, command.argument)

    def _filter_executors(self, text: str) -> None:
        from tui.screens.executor_actions import ExecutorScreen

        if isinstance(self.screen, ExecutorScreen):
            self.screen.table.set_filter(text)


def _loop_clock() -> float:
    return asyncio.get_running_loop().time()
