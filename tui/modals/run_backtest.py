"""The dialog that runs a backtest: a sample, a file, or an earlier one with changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.widgets import Button

from engine.api.views import FormCheck
from tui.actions import Scope
from tui.formatting import clean
from tui.modals.backtest_dialog import BacktestDialog
from tui.paths import sample_backtests
from tui.state.backtest_form import change_fields, command_values, new_fields
from tui.state.console import ConsoleState
from tui.state.form_lines import form_preview_lines
from tui.widgets.form import CHECK_DELAY_S, Form, FormHelp
from tui.widgets.painted import Painted

if TYPE_CHECKING:
    from engine.api.backtest_views import BacktestDetail
    from engine.api.commands import RunBacktest

_KEYS: Final = "⏎ check, ⏎ again runs · tab ↑ ↓ field · ← → choice · esc cancel"
_CHECKING: Final = "checking …"


class RunBacktestModal(BacktestDialog):
    """Choose what to run; the engine checks it while it is typed, in a thread.

    Args:
        console: the shared view state.
        detail: run this one again, with changes.
        check_delay: see ``Form``.
    """

    scopes: ClassVar[tuple[Scope, ...]] = (Scope.FORM, Scope.CHOICE, Scope.DIALOG)
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    RunBacktestModal #dialog { width: 96; }
    RunBacktestModal #run-form { height: auto; max-height: 11; }
    RunBacktestModal #run-form Form { height: auto; max-height: 11; }
    RunBacktestModal FormRow > Input { width: 1fr; }
    RunBacktestModal #run-preview { height: 9; margin-top: 1; border-top: solid $panel; }
    RunBacktestModal.-short #run-preview { height: 6; margin-top: 0; }
    RunBacktestModal.-short #run-form, RunBacktestModal.-short #run-form Form { max-height: 10; }
    RunBacktestModal.-short #buttons { margin-top: 0; }
    """

    class Answered(Message):
        """The engine has checked the command *key*."""

        def __init__(self, key: str, check: FormCheck) -> None:
            super().__init__()
            self.key = key
            self.check = check

    def __init__(
        self,
        console: ConsoleState,
        detail: BacktestDetail | None = None,
        *,
        check_delay: float = CHECK_DELAY_S,
    ) -> None:
        super().__init__(console)
        self._detail = detail
        self._samples = sample_backtests()
        self._answers: dict[str, FormCheck] = {}
        self._asked = ""
        fields = new_fields(tuple(self._samples)) if detail is None else change_fields(detail)
        self._form = Form(fields, self._check, check_delay=check_delay, show_changes=False)

    def title_text(self) -> str:
        """Return what is run."""
        if self._detail is None:
            return "Run a backtest"
        return f"Run {self._detail.row.name} again, with changes"

    def head_note(self) -> str:
        """Say that nothing real is touched."""
        return "on stored data, in its own process; no order leaves this machine"

    def compose_body(self) -> ComposeResult:
        """Compose the form over its preview."""
        with Container(id="run-form"):
            yield self._form
        yield FormHelp(id="help")
        yield Painted(id="run-preview")

    def compose_buttons(self) -> ComposeResult:
        """Compose Cancel and Run."""
        yield self.button("Cancel", "esc", "cancel")
        yield self.button("Run", "⏎", "run", confirm=True)

    def on_mount(self) -> None:
        """Go to the first field."""
        super().on_mount()
        self.query_one("#dialog").border_subtitle = _KEYS
        self.call_after_refresh(self._form.focus_first)

    # --- checking --------------------------------------------------------------------------------

    def _command(self, typed: Mapping[str, str]) -> tuple[RunBacktest | None, dict[str, str]]:
        from engine.api.commands import RunBacktest

        values, errors = command_values(typed, samples=self._samples, detail=self._detail)
        return (None, errors) if errors else (RunBacktest.model_validate(values), {})

    def _check(self, typed: Mapping[str, str]) -> FormCheck:
        command, errors = self._command(typed)
        if command is None:
            return FormCheck(errors=errors)
        key = command.model_dump_json(exclude={"name"})
        answer = self._answers.get(key)
        if answer is None:
            if key != self._asked:
                self._asked = key
                self.run_worker(
                    partial(self._ask_engine, key, command),
                    thread=True, exclusive=True, exit_on_error=False, group="check",
                )  # fmt: skip
            return FormCheck(errors={"": _CHECKING})
        return replace(answer, errors=self._placed(answer.errors))

    def _placed(self, errors: Mapping[str, str]) -> dict[str, str]:
        """Put an error beside a field that is there; the key that it names goes first."""
        names = self._form.values
        placed: dict[str, str] = {}
        for field, text in errors.items():
            named = [name for name in names if "." in name and name in text]
            owner = min(named, key=text.index, default=field)
            placed.setdefault(owner if owner in names else "", text)
        return placed

    def _ask_engine(self, key: str, command: RunBacktest) -> None:
        """Ask the engine; runs in a thread, for files are read."""
        try:
            check = self.engine.check_backtest(command)
        except Exception as error:  # noqa: BLE001 (boundary: the engine's answer was an exception)
            check = FormCheck(errors={"": f"{type(error).__name__}: {error}"})
        self.post_message(self.Answered(key, check))

    def on_run_backtest_modal_answered(self, event: Answered) -> None:
        """Show what the engine says."""
        event.stop()
        self._answers[event.key] = event.check
        self._form.check_now()

    @on(Form.Checked)
    def _show_check(self, event: Form.Checked) -> None:
        preview = self.query_one("#run-preview", Painted)
        lines = form_preview_lines(
            event.form.check, preview.content_size.width, shown_errors=event.form.shown_errors
        )
        verdict = [line for line in lines[-1:] if line]
        room = max(1, preview.content_size.height - len(verdict))
        body = [line for line in lines[1:-1] if line][:room]
        preview.show_lines([*verdict, *body])
        self.query_one(FormHelp).show_form(event.form)

    @on(Form.Completed)
    def _offer_run(self) -> None:
        self.query_one("#run", Button).focus()

    def action_run(self) -> None:
        """Send the command, if the engine has no objection."""
        command, _ = self._command(self._form.values)
        if command is not None and self._form.complete():
            self.finish(self.engine.submit(command))

    def on_descendant_focus(self) -> None:
        """Show the help of the field."""
        self.query_one(FormHelp).show_form(self._form)

    def show_problem(self, text: str) -> None:
        """Say that the engine could not be asked."""
        self.query_one("#dialog").border_subtitle = clean(text)
