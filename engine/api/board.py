"""The board: what the engine has published, read by other threads.

The engine's thread replaces whole immutable values; a reader takes one reference and works on it.
That needs no lock: replacing a reference is atomic, and nothing on the board is changed in place.
The rows are imported when the first one is made: the console's first frame needs the health only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from engine.api.health import EngineState, HealthView

if TYPE_CHECKING:
    from engine import flow
    from engine.api.agent_views import AgentDetail, SchedulingView
    from engine.api.backtest_views import BacktestDetail, ContainerRow
    from engine.api.commands import Command
    from engine.api.optimization_views import StudyDetail
    from engine.api.views import CommandRow, FlowStateView, LogRow
    from engine.live.published import PublishedSession

COMMANDS_KEPT: Final = 500
LOG_LINES_KEPT: Final = 2000


class Board:
    """Newest published state. Only the engine's thread writes, except for ``refuse``."""

    def __init__(self) -> None:
        self.health = HealthView(EngineState.STARTING)
        self.sessions: dict[str, PublishedSession] = {}
        self.flow_states: tuple[FlowStateView, ...] = ()
        self.flow_executors: Callable[[], tuple[flow.Executor, ...]] = tuple
        """The executors behind ``flow_states``; their flows may be read from any thread."""
        self.agents: Mapping[str, AgentDetail] = {}
        self.scheduling: SchedulingView | None = None
        self.backtests: Mapping[str, BacktestDetail] = {}
        self.optimizations: Mapping[str, StudyDetail] = {}
        """By id, newest first."""
        self.containers: tuple[ContainerRow, ...] = ()
        self.commands: dict[str, CommandRow] = {}
        self.log: tuple[LogRow, ...] = ()
        self.stop_policy: Literal["flatten", "keep"] | None = None
        """What the operator wants to become of positions when the engine stops; None: as planned.

        It is set by the thread of the console, so that a stop that follows at once knows it.
        """
        self._next_log_seq = 0

    def beat(self, monotonic_ns: int) -> None:
        """Say that the engine's loop was alive at *monotonic_ns*."""
        self.health = replace(self.health, beat_ns=monotonic_ns)

    def publish_session(self, session: PublishedSession) -> None:
        """Replace the published state of one session."""
        self.sessions = {**self.sessions, session.id: session}

    def publish_command(self, row: CommandRow) -> None:
        """Add or replace a command row; the oldest rows go first."""
        rows = {**self.commands, row.id: row}
        while len(rows) > COMMANDS_KEPT:
            del rows[next(iter(rows))]
        self.commands = rows

    def refuse(
        self, command_id: str, command: Command, reason: str, *, target: str, ts_ns: int
    ) -> None:
        """Record a command that never reached the engine."""
        from engine.api.views import CommandRow

        self.publish_command(
            CommandRow(
                id=command_id,
                ts_ns=ts_ns,
                actor=command.actor,
                kind=type(command).__name__,
                target=target,
                status="aborted",
                reason=reason,
                duration_ms=None,
            )
        )

    def add_log(
        self, *, ts_ns: int, level: str, source: str, text: str, executor_id: str | None = None
    ) -> None:
        """Append one log line; the oldest lines go first."""
        from engine.api.views import LogRow

        row = LogRow(self._next_log_seq, ts_ns, level, source, text, executor_id)
        self._next_log_seq += 1
        self.log = (*self.log[-(LOG_LINES_KEPT - 1) :], row)
