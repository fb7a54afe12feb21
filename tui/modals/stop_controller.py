"""The dialog that stops a controller: what ends with it, flatten or keep, and no accidents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from engine.api.console import ConsoleEngine
from tui.formatting import clean, plural
from tui.modals.dialog import Clock
from tui.modals.stop_dialog import FLATTEN, StopDialog
from tui.state.text import Line

_MOST: Final = 1_000
"""Executors that are looked at for the figures."""


class StopControllerModal(StopDialog):
    """Stop one controller and its executors by one command.

    In a live session flattening needs a typed word, everywhere else ``y`` confirms.

    Args:
        engine: the door.
        session: the session of the controller.
        controller_id: the controller.
        clock: see ``Dialog``.
    """

    nothing_text = "It has no executors now; it proposes nothing any more."

    def __init__(
        self,
        engine: ConsoleEngine,
        session: str,
        controller_id: str,
        *,
        clock: Clock = time.perf_counter,
    ) -> None:
        page = engine.executors(session, filter_text=f"controller:{controller_id}", count=_MOST)
        mine = (row for row in page.rows if row.controller_id == controller_id)
        super().__init__(engine, session, mine, clock=clock)
        self._controller_id = controller_id

    @property
    def word(self) -> str:
        """What must be typed to confirm; empty if a key is enough."""
        return FLATTEN if self.mode == "live" and not self._keep else ""

    @property
    def verb(self) -> str:
        """What the button says."""
        return f"Stop controller, {'keep' if self._keep else FLATTEN}"

    def title_text(self) -> str:
        """Return verb and object."""
        return f"Stop controller {clean(self._controller_id)}"

    def head_note(self) -> str:
        """Say what goes with it."""
        return f"and its {plural(len(self._rows), 'executor')}" if self._rows else ""

    def consequences(self) -> Sequence[Line]:
        """Return what stopping does, and how it is taken back."""
        again: Line = (("K lets it go on again; its ended executors stay ended", "dim"),)
        return [*super().consequences(), again]

    def send(self) -> str:
        """Submit the command and return its id."""
        from engine.api.commands import StopController

        return self.engine.submit(
            StopController(
                session=self.session, controller_id=self._controller_id, keep_position=self._keep
            )
        )
