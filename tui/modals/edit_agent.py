"""The dialog that changes how often, and how urgently, agents run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Button

from engine.api.console import ConsoleEngine
from tui.actions import Scope
from tui.formatting import clean, plural
from tui.modals.dialog import Dialog
from tui.state.agent_form import agent_fields, check_agent_form
from tui.widgets.form import CHECK_DELAY_S, Form, FormHelp

if TYPE_CHECKING:
    from engine.api.commands import AgentCommand
    from engine.api.views import AgentRow

_KEYS: Final = "⏎ check, ⏎ again changes · tab ↑ ↓ field · esc cancel"


class EditAgentModal(Dialog):
    """Change base interval and priority of one agent, or of several at once.

    The result is the id of the last command; ``command_ids`` holds all of them.

    Args:
        engine: the door.
        session: the session in view.
        rows: the agents.
        check_delay: see ``Form``.
    """

    scopes: ClassVar[tuple[Scope, ...]] = (Scope.FORM, Scope.CHOICE, Scope.DIALOG)
    AUTO_FOCUS = "Button"
    DEFAULT_CSS = """
    EditAgentModal #agent-form { height: 4; }
    EditAgentModal FormHelp { margin-top: 1; }
    """

    def __init__(
        self,
        engine: ConsoleEngine,
        session: str,
        rows: Sequence[AgentRow],
        *,
        check_delay: float = CHECK_DELAY_S,
    ) -> None:
        super().__init__(engine, session)
        self._rows = tuple(rows)
        self._form = Form(
            agent_fields(rows), check_agent_form, check_delay=check_delay, show_changes=True
        )
        self.command_ids: tuple[str, ...] = ()

    def title_text(self) -> str:
        """Return verb and object."""
        if len(self._rows) == 1:
            return f"Change agent {self._rows[0].id}"
        return f"Change {plural(len(self._rows), 'agent')}"

    def head_note(self) -> str:
        """Return which agents are changed."""
        return clean(", ".join(row.id for row in self._rows[:3])) + "…" * (len(self._rows) > 3)

    def compose_body(self) -> ComposeResult:
        """Compose the form."""
        with Container(id="agent-form"):
            yield self._form
        yield FormHelp(id="help")

    def compose_buttons(self) -> ComposeResult:
        """Compose Cancel and Change."""
        yield self.button("Cancel", "esc", "cancel")
        yield self.button("Change nothing", "⏎", "update", confirm=True)

    def on_mount(self) -> None:
        """Go to the first field."""
        super().on_mount()
        self.query_one("#dialog").border_subtitle = _KEYS
        self.call_after_refresh(self._form.focus_first)

    def action_update(self) -> None:
        """Send what changed, for each agent."""
        form = self._form
        if not form.changes or not form.complete():
            return
        self.command_ids = tuple(
            self.engine.submit(command) for row in self._rows for command in self._commands(row)
        )
        self.finish(self.command_ids[-1] if self.command_ids else None)

    def _commands(self, row: AgentRow) -> list[AgentCommand]:
        from engine.api.commands import SetAgentInterval, SetAgentPriority

        kinds: dict[str, type[AgentCommand]] = {
            "interval": SetAgentInterval,
            "priority": SetAgentPriority,
        }
        values = self._form.check.values
        return [
            kind.model_validate({"session": self.session, "agent_id": row.id, name: values[name]})
            for name, kind in kinds.items()
            if name in self._form.changes and name in values
        ]

    @on(Form.Checked)
    def _show_check(self, event: Form.Checked) -> None:
        self.query_one(FormHelp).show_form(event.form)
        update = self.query_one("#update", Button)
        count = len(event.form.changes)
        update.disabled = not count
        self.relabel(update, f"Change {plural(count, 'field')}" if count else "Change nothing", "⏎")

    @on(Form.Completed)
    def _offer_update(self) -> None:
        update = self.query_one("#update", Button)
        if not update.disabled:
            update.focus()

    def on_descendant_focus(self) -> None:
        """Show the help of the field."""
        self.query_one(FormHelp).show_form(self._form)
