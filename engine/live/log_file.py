"""The log file: JSON lines, rotated, written on a thread of its own, never to the terminal."""

from __future__ import annotations

import logging
import os
import queue
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from typing import Any, Final, Self

import structlog
from anyio import CancelScope, to_thread

from engine.scheduling.control.redaction import redacted_tree
from engine.scheduling.log_context import add_running_task

FILE_NAME: Final = "quarterdeck.log"
MAX_BYTES: Final = 10_000_000
BACKUPS: Final = 5
QUEUE_LINES: Final = 10_000
_OURS: Final = frozenset({"executor", "session", "session_time", "timestamp", "level"})
"""Fields that this program makes itself: nothing in them comes from elsewhere."""


class _PrivateFileHandler(RotatingFileHandler):
    """Creates its files readable by their owner only; a line that cannot be written is counted."""

    failed = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own name)
        """Count instead of printing a traceback on a terminal that shows the console."""
        del record
        self.failed += 1

    def _open(self) -> Any:  # noqa: ANN401 (the base class says TextIOWrapper, which open returns)
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, self.mode, encoding=self.encoding, errors=self.errors)


class _DroppingQueueHandler(QueueHandler):
    """Drops a record when the queue is full, and counts it."""

    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            super().enqueue(record)
        except queue.Full:
            self.dropped += 1


class _PatientQueueListener(QueueListener):
    """Waits for room for the mark of the end; the base class fails when the queue is full."""

    def __init__(self, lines: queue.Queue[Any], handler: logging.Handler) -> None:
        super().__init__(lines, handler)
        self._lines = lines

    def enqueue_sentinel(self) -> None:
        self._lines.put(None)


class _Backend(logging.Logger):
    """Takes finished lines: the caller's place is no part of them, so it is not looked for."""

    def findCaller(  # noqa: N802 (the base class's name)
        self,
        stack_info: bool = False,  # noqa: FBT001, FBT002 (as the base class has it)
        stacklevel: int = 1,
    ) -> tuple[str, int, str, str | None]:
        del stack_info, stacklevel
        return "", 0, "", None


def _without_secrets(
    logger: object, method: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Take out what looks like a secret: messages and tracebacks quote whatever a library says."""
    del logger, method
    for name, value in line.items():
        if name not in _OURS:
            line[name] = redacted_tree(value)
    return line


class LogFile:
    """Owns the log of one engine; made by `open`.

    A full queue drops the line instead of holding the engine: the log serves, it does not steer.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE_NAME
        self._handler = _PrivateFileHandler(
            self.path, maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8", delay=True
        )
        self._queue: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_LINES)
        self._listener = _PatientQueueListener(self._queue, self._handler)
        # Not from logging.getLogger: a registered logger would outlive this engine.
        self._backend = _Backend("quarterdeck", logging.DEBUG)
        self._sender = _DroppingQueueHandler(self._queue)
        self._backend.addHandler(self._sender)
        self.log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
            self._backend,
            wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
            processors=[
                add_running_task,  # here, where the caller's context is still that of its task
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                _without_secrets,
                structlog.processors.JSONRenderer(default=str),
            ],
        )

    @property
    def lost_lines(self) -> int:
        """Return how many lines found no room in the queue or could not be written."""
        return self._sender.dropped + self._handler.failed

    @classmethod
    @asynccontextmanager
    async def open(cls, data_dir: Path) -> AsyncIterator[Self]:
        """Log into *data_dir* until the context is left, which flushes."""
        log_file = await to_thread.run_sync(cls, data_dir)
        log_file.start()
        try:
            yield log_file
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(log_file.close)

    def start(self) -> None:
        """Begin to write, on a thread of its own."""
        self._listener.start()

    def close(self) -> None:
        """Write what is left and end the thread; blocks until then.

        Never raises: a full disk must not hide how the engine ended.
        """
        self._listener.stop()
        try:
            self._handler.close()
        except OSError:  # what is still buffered finds no room either
            self._handler.failed += 1
