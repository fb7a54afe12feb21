"""The installed command in a real pseudo-terminal: keys in, screen and store out."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest

COMMAND = Path(sys.executable).parent / "quarterdeck"
PATIENCE_S = 40.0
"""Longest wait for anything: far more than it takes, because the machine may be busy."""
POLL_S = 0.05
AGAIN_S = 0.5
_PRIVATE_MODE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")


class Terminal:
    """A pseudo-terminal with the command in it, and what its screen shows."""

    def __init__(
        self,
        arguments: list[str],
        *,
        environment: dict[str, str],
        columns: int,
        lines: int,
        errors: Path | None = None,
        leader: str = "",
    ) -> None:
        called, given = str(COMMAND), arguments
        if leader:
            called, given = "/bin/sh", ["-c", leader, called, *given]
        if errors is not None:
            called, given = "/bin/sh", ["-c", f'exec "$0" "$@" 2>{errors}', called, *given]
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.output = bytearray()
        self._is_open = True
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            called,
            given,
            env=environment,
            dimensions=(lines, columns),
            timeout=None,
        )

    @property
    def pid(self) -> int:
        """The process id of the command."""
        assert self.child.pid is not None
        return self.child.pid

    @property
    def text(self) -> str:
        """All lines of the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def wait_for(self, condition: Callable[[str], bool] | str, *, why: str = "") -> str:
        """Read until the screen fulfils *condition*, or contains it; return the screen's text."""
        is_met = condition if callable(condition) else _contains(condition)
        deadline = time.perf_counter() + PATIENCE_S
        while not is_met(self.text):
            left = deadline - time.perf_counter()
            wanted = why or (condition if isinstance(condition, str) else "the condition")
            assert left > 0, f"waited in vain for {wanted!r}; the screen shows:\n{self.text}"
            assert self._read(left), f"the command ended before {wanted!r}:\n{self.text}"
        return self.text

    def press(self, *keys: str) -> None:
        """Send keys as the bytes that a terminal sends for them."""
        for key in keys:
            self.child.send(key)

    def press_until(self, key: str, condition: Callable[[str], bool], *, why: str) -> str:
        """Press *key* again and again: a dialog drops keys that come before it can be read."""
        deadline = time.perf_counter() + PATIENCE_S
        while not condition(self.text):
            assert time.perf_counter() < deadline, f"waited in vain for {why}:\n{self.text}"
            self.press(key)
            pause = time.perf_counter() + AGAIN_S
            while not condition(self.text) and (left := pause - time.perf_counter()) > 0:
                assert self._read(left), f"the command ended before {why}:\n{self.text}"
        return self.text

    def press_until_ended(self, key: str) -> int:
        """Press *key* again and again until the command has ended; return the exit code."""
        deadline = time.perf_counter() + PATIENCE_S
        is_open = True
        while is_open:
            assert time.perf_counter() < deadline, f"it did not end:\n{self.text}"
            self.press(key)
            pause = time.perf_counter() + AGAIN_S
            while is_open and (left := pause - time.perf_counter()) > 0:
                is_open = self._read(left)
        return self.wait_until_ended()

    def resize(self, columns: int, lines: int) -> None:
        """Change the size of the window."""
        self._screen.resize(lines, columns)
        self.child.setwinsize(lines, columns)

    def hang_up(self) -> None:
        """Close the terminal's window."""
        self._is_open = False
        os.close(self.child.child_fd)

    def wait_until_ended(self) -> int:
        """Read to the end; return the exit code, negative if a signal killed the command."""
        deadline = time.perf_counter() + PATIENCE_S
        while self._is_open and self._read(max(0.0, deadline - time.perf_counter())):
            assert time.perf_counter() < deadline, f"it did not end:\n{self.text}"
        while self.child.isalive():
            assert time.perf_counter() < deadline, "the command did not end"
            signal.sigtimedwait([], POLL_S)
        status = self.child.signalstatus
        return -int(status) if status else int(self.child.exitstatus or 0)

    def modes_left_on(self) -> set[int]:
        """Return the private modes of the terminal that were set and never reset."""
        modes: set[int] = set()
        for numbers, verb in _PRIVATE_MODE.findall(bytes(self.output)):
            change = {int(number) for number in numbers.split(b";")}
            modes = modes | change if verb == b"h" else modes - change
        return modes

    def close(self) -> None:
        """Make sure that nothing is left running."""
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
            self.child.wait()
        if self._is_open:
            self.child.close()

    def _read(self, seconds: float) -> bool:
        """Take in what the command writes next; False at its end."""
        try:
            data = self.child.read_nonblocking(65536, timeout=min(seconds, 1.0))
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.output += data
        self._stream.feed(data)
        return True


class StoreRows:
    """The database of a data directory, read beside whoever writes it."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "quarterdeck.db"

    def __call__(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Return the rows of a SELECT."""
        with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement, values)]


def _contains(wanted: str) -> Callable[[str], bool]:
    return lambda text: wanted in text


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Where the command keeps its state."""
    return tmp_path / "data"


@pytest.fixture
def command() -> str:
    """The path of the installed command."""
    return str(COMMAND)


@pytest.fixture
def store_rows(data_dir: Path) -> StoreRows:
    """Read the store of the command."""
    return StoreRows(data_dir)


@pytest.fixture
def environment(tmp_path: Path, data_dir: Path) -> dict[str, str]:
    """The environment of the command: a capable terminal, and nothing of the user's."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    return kept | {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "QUARTERDECK_DATA_DIR": str(data_dir),
        "QUARTERDECK_CONFIG_DIR": str(tmp_path / "config"),
    }


@pytest.fixture
def open_terminal(environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Return a function that starts the command in a terminal of its own."""
    terminals: list[Terminal] = []

    def start(
        *arguments: str,
        columns: int = 120,
        lines: int = 40,
        errors: Path | None = None,
        leader: str = "",
    ) -> Terminal:
        terminal = Terminal(
            list(arguments),
            environment=environment,
            columns=columns,
            lines=lines,
            errors=errors,
            leader=leader,
        )
        terminals.append(terminal)
        return terminal

    yield start
    for terminal in terminals:
        terminal.close()
