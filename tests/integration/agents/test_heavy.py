"""Heavy work of agents goes to a process of its own, which a cancellation kills."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from engine.agents.config import AgentSection
from engine.agents.heavy import in_process
from engine.agents.loading import load_agent_class
from engine.agents.own_module import own_name
from tests.integration.agents.conftest import OpenStage

pytestmark = pytest.mark.anyio

OWN = """
import os
import time
from engine.agents.session_agent import SessionAgent

def where(number):
    return os.getpid(), number * 2

def refuse():
    raise ValueError("no such number")

def hang(mark):
    with open(mark, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)

class Heavy(SessionAgent):
    async def _run_cycle(self, resource_pool):
        pid, doubled = await self.context.compute(where, 21)
        return {"note": f"{doubled} elsewhere" if pid != os.getpid() else "here"}
"""


async def test_functions_of_python_are_computed_elsewhere() -> None:
    assert await in_process(os.getpid) != os.getpid()


async def test_it_gives_way_to_engine_and_console() -> None:
    assert await in_process(os.getpriority, os.PRIO_PROCESS, 0) >= 10


async def test_what_is_not_at_the_top_of_a_module_is_refused() -> None:
    with pytest.raises(TypeError, match="at the top of a module"):
        await in_process(lambda: 1)


async def test_an_agent_beside_its_session_file_computes_elsewhere(
    tmp_path: Path, open_stage: OpenStage
) -> None:
    (tmp_path / "heavy_own.py").write_text(OWN)
    section = AgentSection.model_validate({"id": "mine", "class": "heavy_own:Heavy"})
    kind = await to_thread.run_sync(partial(load_agent_class, section, base_dir=tmp_path))
    async with open_stage() as stage:
        context = stage.host._context_of("mine")
        agent = kind("mine", {})
        agent.attach(context)
        agent.status = agent.status.__class__.RUNNING
        answer = await agent.run_cycle(None)
        assert answer["success"], answer
        assert agent.note == "42 elsewhere"
        module = __import__(own_name("heavy_own"))
        with pytest.raises(ValueError, match="no such number"):
            await context.compute(module.refuse)


async def test_a_cancellation_kills_the_worker(tmp_path: Path) -> None:
    (tmp_path / "heavy_hang.py").write_text(OWN)
    section = AgentSection.model_validate({"id": "mine", "class": "heavy_hang:Heavy"})
    await to_thread.run_sync(partial(load_agent_class, section, base_dir=tmp_path))
    hang = __import__(own_name("heavy_hang")).hang
    mark = anyio.Path(tmp_path / "pid")
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(in_process, hang, str(mark))
            while not await mark.exists() or not await mark.read_text():
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    pid = int(await mark.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
