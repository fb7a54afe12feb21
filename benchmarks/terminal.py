"""A program in a pseudo-terminal, and when what shows up on it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

Condition: TypeAlias = Callable[[], bool]

_PLACE = re.compile(rb"\x1b\[(\d+);\d+H")
_ENVIRONMENT = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}


class NeverShownError(RuntimeError):
    """The program did not show in time what was waited for."""


class Terminal:
    """Starts *command* on a terminal of its own; leaving the context kills it.

    ``started`` is when, in seconds of ``time.perf_counter``. What the program writes is only seen,
    and its time only taken, while one of the methods runs.
    """

    def __init__(self, command: Sequence[str], *, home: Path, columns: int, rows: int) -> None:
        environment = {**os.environ, **_ENVIRONMENT, "HOME": str(home)}
        self._seen = b""
        self._screen, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.started = time.perf_counter()
        self._child = subprocess.Popen(
            list(command),
            stdin=inside,
            stdout=inside,
            stderr=inside,
            env=environment,
            start_new_session=True,
        )
        os.close(inside)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._child.kill()
        self._child.wait()
        os.close(self._screen)

    def press(self, key: str) -> float:
        """Send *key*; return when. What was shown before is forgotten."""
        self._seen = b""
        pressed = time.perf_counter()
        os.write(self._screen, key.encode())
        return pressed

    def until_shown(self, *texts: str, timeout: float = 60.0) -> float:
        """Return when the last of *texts* was there.

        Raises:
            NeverShownError: they were not within *timeout* seconds.
        """
        wanted = [text.encode() for text in texts]
        return self._until(lambda: all(text in self._seen for text in wanted), str(texts), timeout)

    def until_on_row(self, glyph: str, row: int, *, timeout: float = 10.0) -> float:
        """Return when *glyph* was painted on the terminal's line *row*, counted from 1.

        Raises:
            NeverShownError: it was not within *timeout* seconds.
        """
        what = f"{glyph} on line {row}"
        return self._until(lambda: row in self.rows_of(glyph), what, timeout)

    def rows_of(self, glyph: str) -> list[int]:
        """Return the lines on which *glyph* was painted since the last key press."""
        rows: list[int] = []
        row = 0
        for piece in _PLACE.split(self._seen)[1:]:
            if piece.isdigit():
                row = int(piece)
            elif glyph.encode() in piece.partition(b"\n")[0]:
                rows.append(row)
        return rows

    def watch(self, seconds: float) -> None:
        """Let the program go on for *seconds*."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._read(left)

    def _until(self, is_there: Condition, what: str, timeout: float) -> float:
        deadline = time.perf_counter() + timeout
        while not is_there():
            if time.perf_counter() > deadline:
                tail = self._seen[-300:].decode(errors="replace")
                raise NeverShownError(f"{what} was not shown within {timeout:g} s; last: {tail!r}")
            self._read(0.5)
        return time.perf_counter()

    def _read(self, timeout: float) -> None:
        ready, _, _ = select.select([self._screen], [], [], timeout)
        if not ready:
            return
        try:
            self._seen += os.read(self._screen, 1 << 16)
        except OSError as error:  # the program has gone
            tail = self._seen[-300:].decode(errors="replace")
            raise NeverShownError(f"the program ended; last: {tail!r}") from error
