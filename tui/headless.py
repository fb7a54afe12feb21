"""A session without a terminal: status lines while it runs, one JSON object at the end."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Final

import anyio

from engine.api import Engine, EngineStartError
from engine.api.pauses import settle, short_pauses

STATUS_INTERVAL_S: Final = 2.0


def run_headless(config: Path, data_dir: Path, *, seconds: float | None, as_json: bool) -> int:
    """Run the session of *config* until it ends, *seconds* have passed or a signal comes.

    Status lines go to standard output, or to standard error with ``as_json``.
    """
    with short_pauses():
        return anyio.run(_run, config, data_dir, seconds, as_json)


async def _run(config: Path, data_dir: Path, seconds: float | None, as_json: bool) -> int:  # noqa: FBT001 (anyio.run passes positional arguments only)
    talk = sys.stderr if as_json else sys.stdout
    exit_code = 0

    def say(line: str) -> bool:
        """Write a line; False if nobody reads any more (a closed pipe or terminal)."""
        try:
            talk.write(f"{line}\n")
            talk.flush()
        except OSError:
            return False
        return True

    async def watch_signals() -> None:
        nonlocal exit_code
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        with anyio.open_signal_receiver(*wanted) as signals:
            async for number in signals:
                exit_code = 128 + number
                engine.request_stop()

    async def print_status() -> None:
        nonlocal exit_code
        is_read = True
        while is_read:
            await anyio.sleep(STATUS_INTERVAL_S)
            is_read = say(engine.status_line())
        exit_code = exit_code or 1
        engine.request_stop()

    try:
        async with (
            Engine.open(config=config, data_dir=data_dir, seconds=seconds) as engine,
            anyio.create_task_group() as tasks,
        ):
            say("\n".join(engine.costs()))
            tasks.start_soon(settle, name="settling")
            tasks.start_soon(watch_signals, name="signals")
            tasks.start_soon(print_status, name="status lines")
            await engine.wait_until_ended()
            tasks.cancel_scope.cancel()
    except EngineStartError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    report = engine.report()
    say(engine.status_line())
    for item in report.left:
        say(f"  left: {item}")
    if as_json:
        sys.stdout.write(json.dumps(engine.summary()) + "\n")
    return exit_code or report.exit_code
