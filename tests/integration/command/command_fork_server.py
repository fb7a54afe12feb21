"""Runs the command in forks of one process that has imported everything: starting costs nothing.

A line of JSON on standard input is a list of arguments. The answer is the fork's process id on a
line, and after its end the word `dead` on another. The forks' own output goes nowhere.
"""

from __future__ import annotations

import json
import os
import sys

from anyio._backends import _asyncio

import engine.api.engine
import engine.store.database
import engine.store.migrating
import tui.headless
from tui.cli import run

PRELOADED = (_asyncio, engine, tui)


def main() -> None:
    """Serve until standard input is closed."""
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(nowhere, descriptor)
            os._exit(run(json.loads(line)))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        os.waitpid(pid, 0)
        sys.stdout.write("dead\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
