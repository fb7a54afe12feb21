"""A line on standard error that tells how far a command is."""

from __future__ import annotations

import shutil
import sys


class ProgressBar:
    """One line that is drawn over; nothing when standard error is no terminal."""

    def __init__(self, *, is_shown: bool) -> None:
        self._is_shown = is_shown
        self._width = 0

    def show(self, line: str) -> None:
        """Show *line* in the place of the one before."""
        if not self._is_shown:
            return
        fitting = line[: shutil.get_terminal_size().columns - 1]
        self._width = max(self._width, len(fitting))
        sys.stderr.write(f"\r{fitting:<{self._width}}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Leave an empty line."""
        if self._is_shown and self._width:
            sys.stderr.write(f"\r{'':<{self._width}}\r")
            sys.stderr.flush()
