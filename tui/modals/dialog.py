"""The frame of every dialog: where one is, what is asked, buttons, a guard against type-ahead."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Button

from engine.api.console import ConsoleEngine
from engine.api.views import SessionRow
from tui.actions import Scope, bindings_for
from tui.formatting import clean, mode_badge, mode_role
from tui.state.text import Line
from tui.widgets.painted import Painted
from tui.widgets.top_bar import TopBar

GUARD_S: Final = 0.3
"""How long after its first paint a dialog that confirms something drops every key."""

Clock = Callable[[], float]


class DialogHead(Painted):
    """First line of a dialog: the badge of the mode, the session, and what it is about."""

    DEFAULT_CSS = """
    DialogHead { height: 1; margin-bottom: 1; }
    """


class Dialog(ModalScreen[str | None]):
    """A dialog about one session. It ends with the id of the command that it sent, or None.

    Subclasses yield their body from ``compose_body`` and their buttons from ``compose_buttons``.

    Args:
        engine: the door.
        session: id or name of the session that the command is for.
        clock: seconds from any origin; tests pass their own.
        guarded: drop keys typed in the first ``GUARD_S`` seconds, so that type-ahead from the
            list behind cannot confirm.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.DIALOG)
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.DIALOG,)
    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog #dialog {
        width: 84; max-width: 100%; height: auto; max-height: 96%; padding: 0 1;
        background: $surface; color: $foreground; border: round $mode-paper;
        border-title-color: $foreground; border-title-style: bold;
        border-subtitle-color: $text-muted;
    }
    Dialog.-live #dialog { border: double $mode-live; }
    Dialog.-replay #dialog { border: dashed $mode-replay; }
    Dialog.-test #dialog { border: dashed $mode-test; }
    Dialog.-short.-full DialogHead { margin-bottom: 0; }
    Dialog.-short.-full #buttons { margin-top: 0; }
    Dialog #buttons { height: 1; margin-top: 1; align-horizontal: right; }
    Dialog #buttons Button {
        min-width: 12; height: 1; border: none; margin-left: 2; padding: 0 1;
        background: $panel; color: $foreground; text-style: none; background-tint: transparent 0%;
    }
    Dialog #buttons Button:hover { background: $cursor; border: none; }
    Dialog #buttons Button.-confirm { text-style: bold; }
    Dialog #buttons Button:focus {
        background: $primary; color: $background; text-style: bold;
        background-tint: transparent 0%;
    }
    Dialog #buttons Button:disabled {
        text-opacity: 50%; text-style: none; border: none !important;
    }
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal")]  # noqa: RUF012 (Screen declares it so)
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-normal-h")]  # noqa: RUF012 (Screen declares it so)

    heading: ClassVar[str] = ""

    def __init__(
        self,
        engine: ConsoleEngine,
        session: str,
        *,
        clock: Clock = time.perf_counter,
        guarded: bool = False,
    ) -> None:
        super().__init__()
        self.engine = engine
        self.session = session
        self._clock = clock
        self._guarded = guarded
        self._painted_s: float | None = None

    @property
    def session_row(self) -> SessionRow | None:
        """The session as it is now."""
        rows = self.engine.sessions()
        return next((row for row in rows if self.session in {row.id, row.name}), None)

    @property
    def mode(self) -> str:
        """The mode of the session; without a session the words say so."""
        row = self.session_row
        return "no session" if row is None else row.mode

    def compose(self) -> ComposeResult:
        """Compose the frame; the body and the buttons come from the subclass."""
        yield TopBar(self.engine, self.session)
        with Vertical(id="dialog") as frame:
            frame.border_title = Content(clean(self.title_text()))
            yield DialogHead(id="head")
            yield from self.compose_body()
            with Horizontal(id="buttons"):
                yield from self.compose_buttons()

    def compose_body(self) -> ComposeResult:
        """Yield what stands between the head and the buttons."""
        yield from ()

    def compose_buttons(self) -> ComposeResult:
        """Yield the buttons, Cancel first."""
        yield self.button("Cancel", "n", "cancel")

    def title_text(self) -> str:
        """Return what the dialog does, for its border."""
        return self.heading

    def head_note(self) -> str:
        """Return what the first line says after the session's name."""
        return ""

    def on_mount(self) -> None:
        """Take the colours of the mode and start the guard."""
        role = mode_role(self.mode)
        self.add_class(role.replace("mode-", "-"))
        self.show_head()
        self.call_after_refresh(self._start_guard)

    def show_head(self) -> None:
        """Paint the first line anew."""
        note = clean(self.head_note())
        row = self.session_row
        name = (f" {clean(row.name if row else self.session)}  ", "bold")
        line: Line = ((f" {mode_badge(self.mode)} ", mode_role(self.mode)), name, (note, "dim"))
        self.query_one("#head", DialogHead).show_lines([line])

    def _start_guard(self) -> None:
        self._painted_s = self._clock()

    def on_key(self, event: events.Key) -> None:
        """Drop what was typed before the operator can have read the dialog."""
        waited_s = Message().time - event.time  # under load a key comes late
        painted = self._painted_s
        if self._guarded and (painted is None or self._clock() - waited_s - painted < GUARD_S):
            event.stop()

    def button(self, text: str, key: str, action: str, *, confirm: bool = False) -> Button:
        """Return a button that says its key and runs *action* of this dialog."""
        made = Button(
            compact=True,
            id=action.replace("_", "-"),
            classes="-confirm" if confirm else None,
            action=f"screen.{action}",
        )
        made.active_effect_duration = 0  # while it glows a button is deaf
        self.relabel(made, text, key)
        return made

    def relabel(self, button: Button, text: str, key: str) -> None:
        """Let *button* say *text*, behind its *key* if it has one."""
        keyed = (f"{key} ", "not bold") if key else ("", "")
        button.label = Content.assemble(keyed, clean(text))
        button.refresh(layout=True)

    def finish(self, command_id: str | None) -> None:
        """Close; *command_id* is the dialog's result."""
        _ = self.dismiss(command_id)  # to await it inside of a handler of this screen would hang

    def action_cancel(self) -> None:
        """Close without doing anything."""
        self.finish(None)

    def action_next_button(self) -> None:
        """Move the focus to the right."""
        self.focus_next()

    def action_previous_button(self) -> None:
        """Move the focus to the left."""
        self.focus_previous()
