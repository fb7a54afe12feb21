"""The dialog that creates an executor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.events import DescendantFocus
from textual.widgets import Button

from engine.api.console import ConsoleEngine
from engine.api.views import ExecutorTypeView, FormCheck
from tui.actions import Scope
from tui.modals.dialog import Dialog
from tui.state.prefill import TYPE
from tui.widgets.choice import Choice
from tui.widgets.form import CHECK_DELAY_S, Form, FormHelp, FormPreview
from tui.widgets.painted import Painted

_KEYS: Final = "⏎ check, ⏎ again creates · tab field · ← → choice · esc keeps the draft"
_LAST_STEP: Final = "✓ the preview is what will be created · ⏎ creates it · esc keeps the draft"


class CreateExecutorModal(Dialog):
    """Fill in the form of an executor type and create one.

    Args:
        engine: the door.
        session: the session that the executor belongs to.
        prefill: what the form begins with, by dotted field name, in place of a draft; ``type``
            chooses the form.
        drafts: kept by the app, by executor type; what was typed survives esc until quit.
        check_delay: see ``Form``.
    """

    scopes: ClassVar[tuple[Scope, ...]] = (Scope.FORM, Scope.CHOICE, Scope.DIALOG)
    AUTO_FOCUS = ""
    heading: ClassVar[str] = "New executor"
    DEFAULT_CSS = """
    CreateExecutorModal #dialog { width: 112; height: 32; }
    CreateExecutorModal #types { height: 2; layout: horizontal; }
    CreateExecutorModal #types Painted { width: 17; height: 1; }
    CreateExecutorModal #types Choice { width: 1fr; }
    CreateExecutorModal #work { height: 1fr; }
    CreateExecutorModal #form-box { width: 1fr; height: 1fr; }
    CreateExecutorModal.-narrow FormPreview { width: 33; }
    """

    def __init__(
        self,
        engine: ConsoleEngine,
        session: str,
        *,
        prefill: Mapping[str, str] | None = None,
        drafts: dict[str, dict[str, str]] | None = None,
        check_delay: float = CHECK_DELAY_S,
    ) -> None:
        super().__init__(engine, session)
        self.add_class("-full")
        self._types = engine.executor_types(session)
        self._prefill = dict(prefill or {})
        self._drafts = {} if drafts is None else drafts
        self._delay = check_delay
        wanted = self._prefill.pop(TYPE, "")
        self._type: ExecutorTypeView | None = next(
            (item for item in self._types if wanted in _names_of(item)),
            self._types[0] if self._types else None,
        )
        self._form: Form | None = None

    @property
    def form_values(self) -> dict[str, str]:
        """What the fields hold now, as it was typed."""
        return {} if self._form is None else self._form.values

    def title_text(self) -> str:
        """Return the heading with the type, if there is only one."""
        chosen = f": {self._type.title}" if self._type and len(self._types) == 1 else ""
        return f"{self.heading}{chosen}"

    def head_note(self) -> str:
        """Return what the type does."""
        return self._type.summary if self._type else "offers no executor types yet"

    def compose_body(self) -> ComposeResult:
        """Compose the chooser of the type, the form and its preview."""
        if len(self._types) > 1 and self._type is not None:
            with Container(id="types"):
                yield Painted(id="type-label")
                yield Choice(tuple(item.title for item in self._types), self._type.title, id="type")
        with Horizontal(id="work"):
            with Container(id="form-box"):
                if self._type is not None:
                    yield self._make_form(self._type)
            yield FormPreview(id="preview")
        yield FormHelp(id="help")

    def compose_buttons(self) -> ComposeResult:
        """Compose Cancel and Create."""
        yield self.button("Cancel", "esc", "cancel")
        create = self.button("Create", "⏎", "create", confirm=True)
        create.disabled = self.mode == "live" or self._type is None
        yield create

    def on_mount(self) -> None:
        """Go to the first field that must be filled in."""
        super().on_mount()
        self._mark_type()
        frame = self.query_one("#dialog")
        live = "a live session must be armed to create an executor"
        frame.border_subtitle = live if self.mode == "live" else _KEYS
        if self._form is not None:
            self.call_after_refresh(self._form.focus_first)

    def _mark_type(self) -> None:
        for label in self.query("#type-label").results(Painted):
            is_chosen = self.query_one("#type").has_focus
            spans = (("▸ ", "key"), ("Type", "bold")) if is_chosen else (("  Type", "dim"),)
            label.show_lines([spans])

    def action_cancel(self) -> None:
        """Close and keep what was typed."""
        self._keep_draft()
        self.finish(None)

    def action_create(self) -> None:
        """Send the command, if the engine has no objection."""
        form, chosen = self._form, self._type
        if form is None or chosen is None or self.mode == "live" or not form.complete():
            return
        from engine.api.commands import CreateExecutor

        command = CreateExecutor(
            session=self.session, executor_type=chosen.type, config=form.check.values
        )
        self._drafts.pop(chosen.type, None)
        self.finish(self.engine.submit(command))

    @on(Form.Checked)
    def _show_check(self, event: Form.Checked) -> None:
        self.query_one(FormPreview).show_form(event.form)
        self.query_one(FormHelp).show_form(event.form)

    @on(Form.Completed)
    def _offer_create(self) -> None:
        create = self.query_one("#create", Button)
        if not create.disabled:
            create.focus()
            self.query_one("#dialog").border_subtitle = _LAST_STEP

    @on(Choice.Changed, "#type")
    async def _change_type(self, event: Choice.Changed) -> None:
        chosen = next((item for item in self._types if item.title == event.value), None)
        if chosen is None or chosen is self._type:
            return
        self._keep_draft()
        self._type, self._prefill = chosen, {}
        self.show_head()
        box = self.query_one("#form-box", Container)
        await box.remove_children()
        await box.mount(self._make_form(chosen))

    def on_descendant_focus(self, _event: DescendantFocus) -> None:
        """Show the help of the field, and what enter does now."""
        self._mark_type()
        if self._form is not None:
            self.query_one(FormHelp).show_form(self._form)
            if self.mode != "live" and not isinstance(self.focused, Button):
                self.query_one("#dialog").border_subtitle = _KEYS

    def _make_form(self, chosen: ExecutorTypeView) -> Form:
        values = self._prefill or self._drafts.get(chosen.type, {})

        def check(typed: Mapping[str, str]) -> FormCheck:
            return self.engine.check_create(self.session, chosen.type, typed)

        fields = tuple(item for item in chosen.fields if item.name != TYPE)
        self._form = Form(fields, check, values=values, check_delay=self._delay)
        return self._form

    def _keep_draft(self) -> None:
        if self._form is None or self._type is None:
            return
        if self._form.changes:
            self._drafts[self._type.type] = self._form.values
        else:
            self._drafts.pop(self._type.type, None)


def _names_of(item: ExecutorTypeView) -> set[str]:
    return {item.type, item.type.removesuffix("_executor"), item.title}
