"""The installed command as a process: arguments in; exit code, output and store out."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from engine.store.store import Store

COMMAND = Path(sys.executable).parent / "quarterdeck"
SAMPLES = Path(__file__).resolve().parents[3] / "sample_configs"
PATIENCE_S = 90
POLL_S = 0.01


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """The JSON object that ``run --json`` prints: all that is on standard output."""
        (line,) = self.out.splitlines()
        found = json.loads(line)
        assert isinstance(found, dict)
        return found


class Quarterdeck:
    """Runs the command in an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.command = COMMAND
        self.folder = folder
        self.data_dir = folder / "data"
        kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
        self.environment = kept | {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "QUARTERDECK_DATA_DIR": str(self.data_dir),
            "QUARTERDECK_CONFIG_DIR": str(folder / "config"),
        }

    def __call__(self, *arguments: str | Path) -> Done:
        """Run the command to its end."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=PATIENCE_S)
            return Done(process.returncode, out, err)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(
            [str(self.command), *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def session_file(self, sample: str, changes: Mapping[str, str], *, name: str = "") -> Path:
        """Write a copy of a bundled session with *changes*, each from one text to another."""
        text = (SAMPLES / sample).read_text(encoding="utf-8")
        for old, new in {"path: data/": f"path: {SAMPLES}/data/", **changes}.items():
            assert text.count(old) == 1, f"{sample} does not say {old!r} once"
            text = text.replace(old, new)
        path = self.folder / (name or sample)
        path.write_text(text, encoding="utf-8")
        return path

    def wait_until(self, condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
        """Wait until *condition* holds, which *process* is to bring about."""
        deadline = time.perf_counter() + PATIENCE_S
        while not condition():
            assert process.poll() is None, f"ended first: {process.communicate()}"
            assert time.perf_counter() < deadline, "waited in vain"
            signal.sigtimedwait([], POLL_S)

    def make_store(self) -> None:
        """Make an empty store."""

        async def make() -> None:
            async with Store.open(self.data_dir, now_ns=0):
                pass

        anyio.run(make)

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Return the rows of a SELECT, read beside whoever writes the store."""
        path = self.data_dir / "quarterdeck.db"
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement, values)]

    def is_running(self) -> bool:
        """Whether a session has filled something; no store yet counts as no."""
        try:
            return bool(self.rows("SELECT 1 FROM session WHERE status = 'running' AND fills > 0"))
        except sqlite3.OperationalError:
            return False


@pytest.fixture
def quarterdeck(tmp_path: Path) -> Quarterdeck:
    """Run the command on a data directory of the test's own."""
    return Quarterdeck(tmp_path)


@pytest.fixture(scope="module")
def make_quarterdeck(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Quarterdeck]:
    """Return a maker of environments that live as long as the module's tests."""
    return lambda: Quarterdeck(tmp_path_factory.mktemp("run"))
