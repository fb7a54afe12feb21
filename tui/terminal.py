"""The terminal may go away while something is being painted: that must never hang the console."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import IO, Any

from textual.drivers.linux_driver import LinuxDriver


class LosableFile:
    """What is written to a terminal, until the terminal is gone; from then on it is dropped.

    Textual writes in a thread of its own, behind a queue of 30 texts. An error would end that
    thread; the queue would fill up, and the event loop would wait for it for ever, deaf to the
    very signal that says that the terminal has gone.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.is_lost = False

    def write(self, text: str) -> None:
        """Write *text*, or drop it."""
        self._try(lambda: self._file.write(text))

    def flush(self) -> None:
        """Send what is buffered, or drop it."""
        self._try(self._file.flush)

    def _try(self, step: Callable[[], object]) -> None:
        if self.is_lost:
            return
        try:
            step()
        except (OSError, ValueError):  # gone, or closed
            self.is_lost = True

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (everything else is the file's own)
        return getattr(self._file, name)


class ConsoleDriver(LinuxDriver):
    """Textual's driver over a terminal that may be lost.

    It paints on standard output, which is known to be a terminal; Textual takes standard error,
    where ``2>file`` would leave the screen dark.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (Textual's own)
        super().__init__(*arguments, **options)
        file = sys.__stdout__ or self._file
        if file is not None:
            self._file = LosableFile(file)  # type: ignore[assignment]  # it does what is used
