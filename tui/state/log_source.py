"""Log lines and operator commands as table sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.formatting import format_duration, short_id, short_ids
from tui.state.columns import Column, raw_of, time_of
from tui.state.command_watch import target_name
from tui.state.console import ConsoleState
from tui.state.list_source import ListSource

if TYPE_CHECKING:
    from engine.api.views import CommandRow, LogRow

KEPT_LINES: Final = 10_000
LEVELS: Final = ("debug", "info", "warning", "error")
_LEVEL_ROLES: Final = {"debug": "dim", "info": "", "warning": "warn", "error": "error"}
_LEVEL_WORDS: Final = {"debug": "·", "info": "·", "warning": "⚠ warn", "error": "✗ error"}
_STATUS_ROLES: Final = {
    "completed": "ok", "failed": "error", "aborted": "error", "cancelled": "warn",
    "skipped": "warn", "pending": "accent", "processing": "accent",
}  # fmt: skip
_STATUS_SHAPES: Final = {
    "completed": "✓", "failed": "✗", "aborted": "✗", "cancelled": "·", "skipped": "·",
    "pending": "○", "processing": "◌",
}  # fmt: skip


class LogSource(ListSource["LogRow"]):
    """The newest log lines, oldest first. ``pull`` asks the engine for what is new."""

    def __init__(self, console: ConsoleState, *, compact: bool = False) -> None:
        self._console = console
        self._compact = compact
        self._after = -1
        self.level = 0
        """Index into ``LEVELS`` of the lowest level shown."""
        super().__init__(
            noun="log lines",
            columns=self._small_columns() if compact else self._columns(),
            row_id=lambda row: str(row.seq),
            text=lambda row: f"{row.level} {row.source} {row.text} {row.executor_id or ''}",
            tail=True,
        )

    def _columns(self) -> tuple[Column[LogRow], ...]:
        return (
            Column("time", "Time", 12, self._time, frozen=True, raw=time_of("ts_ns")),
            Column("level", "Level", 7, _level, raw=raw_of("level")),
            Column("source", "From", 12, _source, rank=2, raw=_raw_source),
            Column("text", "Message", 30, _text, flexible=True, raw=lambda row: row.text),
        )

    def _small_columns(self) -> tuple[Column[LogRow], ...]:
        return (
            Column("time", "Time", 8, self._time, frozen=True, raw=time_of("ts_ns")),
            Column("level", "", 1, _shape, raw=raw_of("level")),
            Column("text", "Message", 20, _short, flexible=True, raw=lambda row: row.text),
        )

    def pull(self) -> None:
        """Take the lines that are new."""
        rows = self._console.engine.log(after=self._after, count=KEPT_LINES)
        if not rows:
            return
        self._after = rows[-1].seq
        lowest = LEVELS[self.level]
        self.append(tuple(row for row in rows if _reaches(row.level, lowest)), keep=KEPT_LINES)

    def set_level(self, level: int) -> None:
        """Show *level* (an index into ``LEVELS``) and above; reads the kept lines again."""
        self.level = level
        self._after = -1
        self.replace(())
        self.pull()

    def _time(self, row: LogRow) -> tuple[str, str]:
        session = self._console.session_row()
        now_ns = session.now_ns if session else None
        return (self._console.stamp(row.ts_ns, now_ns, millis=not self._compact), "dim")


class CommandSource(ListSource["CommandRow"]):
    """The newest operator commands, newest first."""

    def __init__(self, console: ConsoleState) -> None:
        self._console = console
        super().__init__(
            noun="commands",
            columns=(
                Column("time", "Time", 12, self._time, frozen=True, raw=time_of("ts_ns")),
                Column("kind", "Command", 15, lambda r: (r.kind, "bold")),
                Column(
                    "target", "Target", 12, lambda r: (target_name(r), ""), raw=lambda r: r.target
                ),
                Column("status", "Status", 12, _status, raw=raw_of("status")),
                Column("took", "Took", 7, _took, "right", rank=2, raw=raw_of("duration_ms")),
                Column("actor", "By", 9, lambda r: (r.actor, "dim"), rank=3),
                Column(
                    "reason",
                    "Reason",
                    20,
                    lambda r: (short_ids(r.reason), "error" if r.status == "failed" else "dim"),
                    rank=1,
                    flexible=True,
                    raw=lambda r: r.reason,
                ),
            ),
            row_id=lambda row: row.id,
            text=lambda row: f"{row.kind} {row.target} {row.status} {row.actor} {row.reason}",
        )

    def pull(self) -> None:
        """Take the newest commands."""
        self.replace(self._console.engine.commands(count=500))

    def _time(self, row: CommandRow) -> tuple[str, str]:
        session = self._console.session_row()
        return (self._console.stamp(row.ts_ns, session.now_ns if session else None), "dim")


def _level(row: LogRow) -> tuple[str, str]:
    return (_LEVEL_WORDS.get(row.level, row.level), _LEVEL_ROLES.get(row.level, ""))


def _shape(row: LogRow) -> tuple[str, str]:
    return (_LEVEL_WORDS.get(row.level, "·")[0], _LEVEL_ROLES.get(row.level, ""))


def _source(row: LogRow) -> tuple[str, str]:
    """Return who says it: an executor by its id, which ``enter`` opens."""
    return (short_id(row.executor_id), "bold") if row.executor_id else (row.source, "dim")


def _raw_source(row: LogRow) -> str:
    return row.executor_id or row.source


def _short(row: LogRow) -> tuple[str, str]:
    text, role = _text(row)
    return (f"{short_id(row.executor_id)} {text}" if row.executor_id else text, role)


def _text(row: LogRow) -> tuple[str, str]:
    return (short_ids(row.text), _LEVEL_ROLES.get(row.level, ""))


def _status(row: CommandRow) -> tuple[str, str]:
    return (f"{_STATUS_SHAPES.get(row.status, '·')} {row.status}",
            _STATUS_ROLES.get(row.status, ""))  # fmt: skip


def _took(row: CommandRow) -> tuple[str, str]:
    return ("" if row.duration_ms is None else format_duration(row.duration_ms / 1_000), "dim")


def _reaches(level: str, lowest: str) -> bool:
    return level not in LEVELS or LEVELS.index(level) >= LEVELS.index(lowest)
