"""The newest log lines of one agent, for its log panel."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from dataclasses import dataclass
from typing import Final

LINES: Final = 1000
TOLD: Final = {"is_told": True}
"""``extra`` of a log line whose text an alert tells as well."""
_PARENT: Final = logging.getLogger("engine.scheduling.agents")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: wall time in nanoseconds since the epoch, level name, text."""

    ts_ns: int
    level: str
    text: str


class AgentLog(logging.Handler):
    """Keeps the last 1000 lines; older ones go."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[tuple[int, LogLine]] = deque(maxlen=LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep *record*, with the last line of its exception if it has one."""
        text = record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            text = f"{text}: {first_line(error)}"
        line = LogLine(int(record.created * 1e9), record.levelname, text)
        self._lines.append((record.levelno, line))

    def lines(
        self, level: str | int | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[LogLine, ...]:
        """Return a window of the lines of *level* and above, newest last.

        Args:
            level: name or number of the lowest level; None for all.
            limit: most lines that are returned.
            offset: how many of the newest are left out.

        Raises:
            ValueError: there is no such level, or a number is negative.
        """
        lowest = to_level(level)
        if limit < 0 or offset < 0:
            raise ValueError(f"limit and offset must be >= 0, not {limit} and {offset}")
        newest = (line for number, line in reversed(self._lines.copy()) if number >= lowest)
        return tuple(itertools.islice(newest, offset, offset + limit))[::-1]


def is_told(record: logging.LogRecord) -> bool:
    """Return whether an alert tells the text of *record* too: who tells alerts leaves it out."""
    return bool(getattr(record, "is_told", False))


def to_level(level: str | int | None) -> int:
    """Return the number of the log level *level*; 0 for None.

    Raises:
        ValueError: there is no level of that name.
    """
    if level is None:
        return 0
    if isinstance(level, int):
        return level
    names = logging.getLevelNamesMapping()
    if level.upper() not in names:
        raise ValueError(f"level must be one of {', '.join(names)}, not {level!r}")
    return names[level.upper()]


def first_line(error: BaseException) -> str:
    """Return type and first line of *error*, at most 200 characters."""
    lines = str(error).splitlines()
    name = type(error).__name__
    return f"{name}: {lines[0]}"[:200] if lines else name


def agent_logger(agent_id: str, log: AgentLog) -> logging.Logger:
    """Return a logger for one agent: into *log*, and to whatever the logging system is set up for.

    It is not registered, so it goes with its agent.
    """
    logger = logging.Logger(f"{_PARENT.name}.{agent_id}", logging.INFO)  # noqa: LOG001 (see above)
    logger.parent = _PARENT
    logger.addHandler(log)
    return logger
