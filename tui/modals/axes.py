"""The dialog that chooses what a heat map shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Button

from tui.actions import Scope
from tui.modals.backtest_dialog import BacktestDialog
from tui.state.console import ConsoleState
from tui.state.heat_map import Axes
from tui.state.study_form import axes_fields, check_axes, chosen_axes
from tui.widgets.form import CHECK_DELAY_S, Form, FormHelp

if TYPE_CHECKING:
    from engine.api.optimization_views import StudyDetail

_KEYS: Final = "⏎ shows it · tab ↑ ↓ field · ← → letter choice · esc cancel"


class AxesModal(BacktestDialog):
    """Two parameters and a metric; ``chosen`` holds them when the result is not None.

    Args:
        console: the shared view state.
        detail: the study.
        axes: what the map shows now.
    """

    scopes: ClassVar[tuple[Scope, ...]] = (Scope.FORM, Scope.CHOICE, Scope.DIALOG)
    AUTO_FOCUS = ""
    heading: ClassVar[str] = "Axes and metric of the heat map"
    DEFAULT_CSS = """
    AxesModal #axes-form { height: auto; max-height: 10; min-height: 4; }
    AxesModal #axes-form Form { height: auto; max-height: 10; }
    """

    def __init__(
        self,
        console: ConsoleState,
        detail: StudyDetail,
        axes: Axes,
        *,
        check_delay: float = CHECK_DELAY_S,
    ) -> None:
        super().__init__(console)
        self._detail = detail
        self._form = Form(axes_fields(detail, axes), check_axes, check_delay=check_delay)
        self.chosen = axes

    def head_note(self) -> str:
        """Return which study."""
        return f"{self._detail.row.name} {self._detail.row.id}"

    def compose_body(self) -> ComposeResult:
        """Compose the form."""
        with Container(id="axes-form"):
            yield self._form
        yield FormHelp(id="help")

    def compose_buttons(self) -> ComposeResult:
        """Compose Cancel and Show."""
        yield self.button("Cancel", "esc", "cancel")
        yield self.button("Show", "⏎", "show", confirm=True)

    def on_mount(self) -> None:
        """Go to the first field."""
        super().on_mount()
        self.query_one("#dialog").border_subtitle = _KEYS
        self.call_after_refresh(self._form.focus_first)

    def action_show(self) -> None:
        """Take what was chosen."""
        if self._form.complete():
            self.chosen = chosen_axes(self._form.values)
            self.finish("axes")

    @on(Form.Completed)
    def _take(self) -> None:
        self.action_show()

    @on(Form.Checked)
    def _show_check(self, event: Form.Checked) -> None:
        self.query_one(FormHelp).show_form(event.form)
        self.query_one("#show", Button).disabled = not event.form.check.ok

    def on_descendant_focus(self) -> None:
        """Show the help of the field."""
        self.query_one(FormHelp).show_form(self._form)
