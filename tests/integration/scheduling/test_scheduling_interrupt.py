"""Scheduling 6: an interrupt inside a task is recorded and reaches the host."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio
from engine.scheduling import TaskState
from engine.testing.agent_bench import quiet_engine
from engine.testing.manual_clock import ManualClock

engine = quiet_engine(ManualClock())

async def work(pool):
    raise {error}

async def submit():
    await engine.start()
    return await engine.schedule_task("a", "t", work)

loop = asyncio.new_event_loop()
handle = loop.run_until_complete(submit())
try:
    loop.run_forever()
except {error}:
    print("raised to the host")
stats = engine.get_stats()
print(handle.state, type(handle.error).__name__, stats["failed_total"], stats["running_tasks"])
loop.run_until_complete(engine.stop())
loop.close()
"""


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_an_interrupt_is_recorded_and_raised_to_the_host(error: str) -> None:
    program = PROGRAM.format(error=error)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.splitlines() == ["raised to the host", f"failed {error} 1 0"], done.stderr
    assert done.returncode == 0
