"""Takes a snapshot of a session's state when enough inputs have come since the last one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from anyio import to_thread

from engine.containers.session_container import SessionContainer
from engine.live.object_graph import GraphError
from engine.live.recorder import Recorder
from engine.live.session_runner import SessionRunner
from engine.live.session_state import (
    MOST_EXECUTORS,
    StateError,
    StateHeader,
    code_digest,
    copied,
    entry_digest,
    plain_text,
    write_state,
)

STATE_EVERY: Final = 100_000
"""Inputs between two snapshots: a resume has to replay no more, that is a few seconds."""


class StateTaker:
    """Asks the runner for a moment at rest, takes the state there, writes it in a thread.

    Belongs to the engine's loop; whoever owns it calls ``work`` now and then.
    """

    def __init__(
        self,
        *,
        session_id: str,
        config_hash: str,
        container: SessionContainer,
        recorder: Recorder,
        runner: SessionRunner,
        folder: Path,
        every: int = STATE_EVERY,
        most_executors: int = MOST_EXECUTORS,
    ) -> None:
        self._session_id = session_id
        self._config_hash = config_hash
        self._container = container
        self._recorder = recorder
        self._runner = runner
        self._folder = folder
        self._every = every
        self._most_executors = most_executors
        self._since = -runner.replayed
        """Inputs of this life in the last snapshot; what had to be replayed is before them."""
        self._taken: tuple[int, str, bytes] | None = None
        self._code = ""
        self.problem = ""
        """Why the last snapshot could not be taken."""

    async def work(self) -> int:
        """Write the snapshot that was taken, or ask for one; return the bytes that were written."""
        if not self._code:
            # At once: later the files may be of another version than what runs.
            self._code = await to_thread.run_sync(code_digest)
        if self._taken is not None:
            (entries, last_entry, copy), self._taken = self._taken, None
            header = StateHeader(
                self._session_id, entries, last_entry, self._config_hash, self._code
            )
            try:
                text = await to_thread.run_sync(plain_text, copy)
            except GraphError as error:
                self.problem = error.message
                return 0
            await to_thread.run_sync(write_state, self._folder, header, text)
            return len(text)
        if self._recorder.inputs - self._since >= self._every:
            self._runner.at_rest(self._take)
        return 0

    def _take(self, entries: int, newest: tuple[int, str, str]) -> None:
        self._since = entries
        try:
            copy = copied(self._container, self._recorder, most_executors=self._most_executors)
        except StateError as error:
            self.problem = error.message
            return
        self.problem = ""
        self._taken = (entries, entry_digest(*newest), copy)
