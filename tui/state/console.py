"""What all screens share: the engine's handle, the session in view, how things are shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.formatting import format_clock, format_date_time, format_duration

if TYPE_CHECKING:
    from engine.api.console import ConsoleEngine
    from engine.api.views import SessionRow

_SECOND_NS = 1_000_000_000
_DAY_NS = 86_400 * _SECOND_NS
_SHORT_AGE = 5
"""Characters of an age that leave room for ``ago`` in the narrowest column of times."""


class ConsoleState:
    """Shared view state. *clock* is monotonic, in seconds; *wanted* a session's name or id."""

    def __init__(
        self,
        engine: ConsoleEngine,
        *,
        clock: Callable[[], float],
        wanted: str | None = None,
        time_format: str = "utc",
        read_only: bool = False,
        fps: int = 10,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.time_format = time_format
        self.read_only = read_only
        self.fps = fps
        self.drafts: dict[str, dict[str, str]] = {}
        """What was typed into create forms and not sent, by executor type; kept until quit."""
        self.paused_at: float | None = None
        self._wanted = wanted
        self._session_id = ""

    def session_row(self) -> SessionRow | None:
        """Return the session in view, or None before it exists."""
        return pick_session(self.engine.sessions(), self._wanted)

    @property
    def session(self) -> str:
        """Id of the session in view; empty before it exists. Looked up once."""
        if not self._session_id:
            row = self.session_row()
            self._session_id = "" if row is None else row.id
        return self._session_id

    def choose_session(self, name: str) -> bool:
        """Look at the session *name*; False, and no change, if there is none."""
        known = any(name in (row.id, row.name) for row in self.engine.sessions())
        if known:
            self._wanted, self._session_id = name, ""
        return known

    @property
    def paused_for(self) -> float | None:
        """Seconds since the display was paused, or None."""
        return None if self.paused_at is None else self.clock() - self.paused_at

    def toggle_pause(self) -> bool:
        """Pause the display or go on; return whether it is paused now."""
        self.paused_at = self.clock() if self.paused_at is None else None
        return self.paused_at is not None

    def stamp(self, at_ns: int, now_ns: int | None, *, millis: bool = True) -> str:
        """Return an instant as the operator wants to see it."""
        if self.time_format == "relative" and now_ns is not None:
            if now_ns - at_ns < _SECOND_NS:
                return "now"
            age = format_duration(float((now_ns - at_ns) // _SECOND_NS))
            return f"{age} ago" if len(age) <= _SHORT_AGE else age
        if self.time_format == "local":
            at_ns += local_offset_ns(at_ns)
        return format_clock(at_ns, millis=millis)

    def day_stamp(self, at_ns: int) -> str:
        """Return an instant in at most 11 cells: the time of day, another day's with its date."""
        session = self.session_row()
        now_ns = None if session is None else session.now_ns
        if self.time_format == "relative" or now_ns is None:
            return self.stamp(at_ns, now_ns, millis=False)
        local = self.time_format == "local"
        at_ns, now_ns = (one + (local_offset_ns(one) if local else 0) for one in (at_ns, now_ns))
        if at_ns // _DAY_NS == now_ns // _DAY_NS:
            return format_clock(at_ns)
        return format_date_time(at_ns)[5:16]


def pick_session(rows: tuple[SessionRow, ...], wanted: str | None) -> SessionRow | None:
    """Return the session whose id or name is *wanted*; the first one if none is wanted."""
    if wanted is None:
        return rows[0] if rows else None
    return next((row for row in rows if wanted in (row.id, row.name)), None)


def local_offset_ns(at_ns: int) -> int:
    """Return how far local time is ahead of UTC at *at_ns*."""
    from datetime import UTC, datetime

    if not 0 <= at_ns <= 253_402_214_400_000_000_000:
        return 0
    offset = datetime.fromtimestamp(at_ns // _SECOND_NS, UTC).astimezone().utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) * _SECOND_NS
