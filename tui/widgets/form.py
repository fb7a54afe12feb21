"""A form generated from ``FormField``s, checked by the engine while it is being filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from engine.api.views import FormCheck, FormField
from tui.actions import Scope, bindings_for
from tui.state.form_lines import form_preview_lines, help_line, label_width
from tui.state.text import Line, clip_facts
from tui.widgets.form_row import FormRow
from tui.widgets.painted import Painted

Check = Callable[[Mapping[str, str]], FormCheck]

CHECK_DELAY_S: Final = 0.1
REFRESH_S: Final = 1.0
_MARKETS: Final = ("trading_pair", "buying_market")
"""Fields that say what ``base`` and ``quote`` are."""


class Form(VerticalScroll, can_focus=False):
    """Fields in groups, each with its control, what was understood of it, or what is wrong.

    The engine checks ``CHECK_DELAY_S`` after the last key, and once a second, because previews
    move with the market. An error is shown once its field was changed, or after ``complete()``.

    Args:
        fields: the form.
        check: asks the engine; it must answer at once.
        values: what was typed before, by field name; it overrides the defaults.
        check_delay: seconds from the last change to the check; 0 checks at once.
        show_changes: say beside a changed field what it was.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.FORM)
    DEFAULT_CSS = """
    Form {
        height: 1fr; scrollbar-size-vertical: 1; scrollbar-color: $frame;
        scrollbar-background: $panel; scrollbar-color-hover: $primary;
        scrollbar-background-hover: $panel; scrollbar-color-active: $primary;
        scrollbar-background-active: $panel;
    }
    Form .form--group { height: 1; color: $text-muted; text-style: bold; margin-top: 1; }
    Form .form--first, Form .form--blank { margin-top: 0; }
    """

    class Checked(Message):
        """The engine has answered; ``form.check`` holds what it understood."""

        def __init__(self, form: Form) -> None:
            super().__init__()
            self.form = form

        @property
        def control(self) -> Form:
            """The form."""
            return self.form

    class Completed(Message):
        """Enter was pressed in a form without errors."""

        def __init__(self, form: Form) -> None:
            super().__init__()
            self.form = form

    def __init__(
        self,
        fields: tuple[FormField, ...],
        check: Check,
        *,
        values: Mapping[str, str] | None = None,
        check_delay: float = CHECK_DELAY_S,
        show_changes: bool = False,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        known = values or {}
        self._fields = fields
        self._ask = check
        self._delay = check_delay
        self._debounce: Timer | None = None
        self._revealed = False
        width = label_width(fields)
        self._rows = {
            item.name: FormRow(
                item,
                known.get(item.name, item.default),
                label_width=width,
                show_changes=show_changes,
            )
            for item in fields
        }
        self.check = FormCheck()

    @property
    def values(self) -> dict[str, str]:
        """What every field holds now, as it was typed."""
        return {name: row.value for name, row in self._rows.items()}

    @property
    def changes(self) -> dict[str, str]:
        """The values that differ from their field's default."""
        return {
            item.name: self._rows[item.name].value
            for item in self._fields
            if self._rows[item.name].value.strip() != item.default.strip()
        }

    @property
    def labels(self) -> dict[str, str]:
        """The labels of all fields by their name, in their order."""
        return {item.name: item.label for item in self._fields}

    @property
    def shown_errors(self) -> tuple[str, ...]:
        """Names of the fields whose errors are on the screen."""
        return tuple(
            name
            for name, row in self._rows.items()
            if name in self.check.errors and (self._revealed or row.touched)
        )

    @property
    def help(self) -> Line:
        """What the field with the focus accepts, and how its value was read."""
        item = next((row.item for row in self._rows.values() if row.control_has_focus), None)
        return help_line(item, self.check.understood.get(item.name, "") if item else "")

    def compose(self) -> ComposeResult:
        """Compose a title for each group and a row for each field."""
        group = None
        for item in self._fields:
            if item.group != group:
                first = " form--first" if group is None else ""
                group = item.group
                if group or not first:
                    blank = "" if group else " form--blank"
                    yield Static(Content(group), classes=f"form--group{first}{blank}")
            yield self._rows[item.name]

    def on_mount(self) -> None:
        """Check what the form begins with."""
        self.check_now()
        self.set_interval(REFRESH_S, self._check_again)

    def check_now(self) -> None:
        """Ask the engine about the form as it is."""
        if self._debounce is not None:
            self._debounce.stop()
            self._debounce = None
        self.check = self._ask(self.values)
        shown = self.shown_errors
        market = next((row.value for name, row in self._rows.items() if name in _MARKETS), "")
        pair = market.rpartition(":")[2]  # venue:PAIR where the form is about two markets
        for name, row in self._rows.items():
            error = self.check.errors.get(name, "") if name in shown else ""
            understood = self.check.understood.get(name, "")
            row.show(understood=understood, error=error, trading_pair=pair)
        self.post_message(self.Checked(self))

    def _check_again(self) -> None:
        if self._debounce is None:
            self.check_now()

    def focus_first(self) -> None:
        """Focus the first field in error, else the first that must be filled in, else the first."""
        self.scroll_home(animate=False)
        names = [item.name for item in self._fields]
        wrong = [name for name in names if name in self.check.errors]
        needed = [item.name for item in self._fields if item.required and not item.default]
        for name in (*wrong, *needed, *names):
            self._rows[name].focus_control()
            return

    def complete(self) -> bool:
        """Check now; show every error and go to the first one. Return whether there is none."""
        self._revealed = True
        self.check_now()
        if not self.check.ok:
            self.focus_first()
        return self.check.ok

    def action_step(self, by: int) -> None:
        """Move the focus by one field; at the ends it goes on to what is beside the form."""
        if by > 0:
            self.screen.focus_next()
        else:
            self.screen.focus_previous()

    @on(FormRow.Edited)
    def _edited(self, event: FormRow.Edited) -> None:
        event.stop()
        if self._debounce is not None:
            self._debounce.stop()
            self._debounce = None
        if self._delay > 0:
            self._debounce = self.set_timer(self._delay, self.check_now)
        else:
            self.check_now()

    @on(FormRow.Entered)
    def _entered(self, event: FormRow.Entered) -> None:
        event.stop()
        if self.complete():
            self.post_message(self.Completed(self))


class FormPreview(Painted):
    """What the engine would do with a form, and whether it is ready to be sent."""

    DEFAULT_CSS = """
    FormPreview { width: 42; height: 1fr; padding: 0 0 0 1; border-left: solid $panel; }
    """

    _form: Form | None = None

    def show_form(self, form: Form) -> None:
        """Show the preview of *form*."""
        self._form = form
        size = self.content_size
        lines = form_preview_lines(
            form.check,
            size.width,
            shown_errors=form.shown_errors,
            height=size.height,
            labels=form.labels,
        )
        self.show_lines(lines)

    def on_resize(self, _event: events.Resize) -> None:
        """Arrange the pairs anew."""
        if self._form is not None:
            self.show_form(self._form)


class FormHelp(Painted):
    """One line: the help of the field that has the focus."""

    DEFAULT_CSS = """
    FormHelp { height: 1; }
    """

    def show_form(self, form: Form) -> None:
        """Show the help for the focused field of *form*."""
        self.show_lines([clip_facts(form.help, self.size.width or 80, " · ")])
