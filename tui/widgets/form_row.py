"""One field of a form: label, control, and what is to be said about its value."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Input

from engine.api.views import FormField
from tui.state.form_lines import error_lines, label_line, note_line
from tui.state.text import Line, clip_facts, pad_line
from tui.widgets.choice import Choice
from tui.widgets.painted import Painted

CONTROL_WIDTH = 16
_NARROW_CONTROL = 11
_NARROW = 48
"""Cells of a row below which a value gives room to what was understood of it."""


class FormRow(Painted):
    """A label and a control in one line; more appear for an error.

    Args:
        item: the field.
        value: what the control begins with.
        label_width: cells to the left of the control.
        show_changes: say what a changed field was.
    """

    DEFAULT_CSS = """
    FormRow { height: 1; }
    FormRow > Input {
        width: 16; height: 1; border: none; padding: 0;
        background: $panel; color: $foreground;
    }
    FormRow > Input.-narrow { width: 11; }
    FormRow > Input:focus { background: $cursor; border: none; }
    FormRow > Choice { width: 1fr; }
    """

    class Edited(Message):
        """The value of a field has changed."""

    class Entered(Message):
        """Enter was pressed in a field."""

    def __init__(
        self, item: FormField, value: str, *, label_width: int, show_changes: bool
    ) -> None:
        super().__init__()
        self.item = item
        self.touched = value != item.default
        self._label_width = label_width
        self._show_changes = show_changes
        self._understood = ""
        self._error = ""
        self._pair = ""
        self._control: Input | Choice = (
            Choice(item.choices, value)
            if item.kind == "choice" and item.choices
            else Input(
                value,
                placeholder="required" if item.required else "none",
                compact=True,
                select_on_focus=True,  # what is typed into a field takes the place of its value
            )
        )
        self._control.styles.margin = (0, 0, 0, label_width)

    @property
    def value(self) -> str:
        """What was typed or chosen."""
        return self._control.value

    @property
    def control_has_focus(self) -> bool:
        """Whether the operator is in this field."""
        return self._control.has_focus

    def compose(self) -> ComposeResult:
        """Compose the control; the row itself paints around it."""
        yield self._control

    def focus_control(self) -> None:
        """Go to this field, scrolling no more than needed."""
        self._control.focus(scroll_visible=False)
        self.scroll_visible(animate=False)

    def show(self, *, understood: str, error: str, trading_pair: str = "") -> None:
        """Say how the value was read, or what is wrong with it; the pair names the units."""
        self._understood, self._error, self._pair = understood, error, trading_pair
        self._repaint()

    def on_mount(self) -> None:
        """Paint the label."""
        self._repaint()

    def on_resize(self, _event: events.Resize) -> None:
        """Break the error anew."""
        if isinstance(self._control, Input):
            self._control.set_class(self._is_narrow(), "-narrow")
        self._repaint()

    def _is_narrow(self) -> bool:
        return 0 < self.size.width < _NARROW

    def on_descendant_focus(self, _event: events.DescendantFocus) -> None:
        """Mark the label of the focused field."""
        self._repaint()

    def on_descendant_blur(self, _event: events.DescendantBlur) -> None:
        """Take the mark off again."""
        self._repaint()

    def on_click(self, event: events.Click) -> None:
        """Go to the field when its label is clicked."""
        if event.widget is self:
            self.focus_control()

    def key_enter(self, event: events.Key) -> None:
        """Take enter here, before the control or a button of the dialog does."""
        event.stop()
        self.post_message(self.Entered())

    @on(Input.Changed)
    @on(Choice.Changed)
    def _changed(self, event: Input.Changed | Choice.Changed) -> None:
        event.stop()
        self.touched = True
        self._error = ""  # it was about the text before; the next check says what holds now
        self._repaint()
        self.post_message(self.Edited())

    def _repaint(self) -> None:
        label = label_line(self.item, focused=self.control_has_focus, wrong=bool(self._error))
        lines: list[Line] = [pad_line(label, self._label_width)]
        if isinstance(self._control, Input):
            control = _NARROW_CONTROL if self._is_narrow() else CONTROL_WIDTH
            room = self.size.width - self._label_width - control - 1
            note = clip_facts(self._note(), room) if room > 0 else self._note()
            lines[0] += ((" " * (control + 1), ""), *note)
        if self._error:
            lines += error_lines(self._error, self.size.width)
        if self.styles.height is None or self.styles.height.value != len(lines):
            self.styles.height = len(lines)
        self.show_lines(lines)

    def _note(self) -> Line:
        default = self.item.default.strip()
        changed = self._show_changes and self.value.strip() != default
        before = (default or "none") if changed else ""
        understood = "" if self._error or cell_len(self.value) == 0 else self._understood
        return note_line(self.item, understood, changed_from=before, trading_pair=self._pair)
