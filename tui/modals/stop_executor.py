"""The dialog that stops executors: what it costs, flatten or keep, and no accidents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from engine.api.console import ConsoleEngine
from engine.api.views import ExecutorRow
from tui.formatting import plural
from tui.modals.dialog import Clock
from tui.modals.stop_dialog import FLATTEN, StopDialog

REFRESH_S: Final = 1.0


class StopExecutorModal(StopDialog):
    """Stop one or many executors, each with a command of its own.

    The result is the id of the last command; ``command_ids`` holds all of them. In a live session
    flattening needs a typed word, everywhere else ``y`` confirms; enter presses what has the focus,
    which is Cancel.

    Args:
        engine: the door.
        session: the session of the executors.
        rows: the executors; those that have ended or are closing are left out and counted.
        clock: see ``Dialog``.
    """

    nothing_text = "Nothing to stop: these executors have ended or are closing."

    def __init__(
        self,
        engine: ConsoleEngine,
        session: str,
        rows: Sequence[ExecutorRow],
        *,
        clock: Clock = time.perf_counter,
    ) -> None:
        super().__init__(engine, session, rows, clock=clock)
        self._left_out = len(rows) - len(self._rows)
        self.command_ids: tuple[str, ...] = ()

    @property
    def can_stop(self) -> bool:
        """Whether an executor is left to stop."""
        return bool(self._rows)

    @property
    def word(self) -> str:
        """What must be typed to confirm; empty if a key is enough."""
        live = self.mode == "live" and not self._keep
        return f"{FLATTEN} {len(self._rows)}" if live else ""

    @property
    def verb(self) -> str:
        """What the button says: verb and count."""
        after = "keep" if self._keep else FLATTEN
        return f"Stop {plural(len(self._rows), 'executor')}, {after}"

    def title_text(self) -> str:
        """Return verb and count."""
        return f"Stop {plural(len(self._rows), 'executor')}"

    def head_note(self) -> str:
        """Say what is left out."""
        if not self._left_out:
            return ""
        return f"{plural(self._left_out, 'executor')} already ended or closing: left out"

    def on_mount(self) -> None:
        """Keep the facts fresh; Textual shows them, it calls ``on_mount`` of each base class."""
        self.set_interval(REFRESH_S, self._refresh_rows)

    def send(self) -> str:
        """Submit one command for each executor and return the id of the last."""
        from engine.api.commands import StopExecutor

        self.command_ids = tuple(
            self.engine.submit(
                StopExecutor(session=self.session, executor_id=row.id, keep_position=self._keep)
            )
            for row in self._rows
        )
        return self.command_ids[-1]

    def _refresh_rows(self) -> None:
        """Take fresh figures; an executor that has ended meanwhile keeps its last ones."""
        details = {row.id: self.engine.executor(self.session, row.id) for row in self._rows}
        found = {name: detail.row for name, detail in details.items() if detail is not None}
        self._rows = tuple(found.get(row.id, row) for row in self._rows)
        self.show_facts()
