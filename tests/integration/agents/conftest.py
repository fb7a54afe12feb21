"""The agents of a session under a clock that is moved by hand; blocking calls are errors."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from blockbuster import blockbuster_ctx

from engine.agents.ports import SessionPorts
from engine.api.agent_host import AgentHost
from engine.api.board import Board
from engine.config.session_plan import PlannedAgent, SessionPlan
from engine.executors.actions import ActionResult
from engine.store.store import Store
from engine.testing.manual_clock import ManualClock
from engine.testing.small_session import START_NS, SmallSession, small_plan


@pytest.fixture(autouse=True)
def _blocking_calls_are_errors() -> Iterator[None]:
    with blockbuster_ctx("engine"):
        yield


class QuietLog:
    """Stands for the log file: keeps what was written."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        def write(text: str, **_: object) -> None:
            self.lines.append((level, text))

        return write


@dataclass
class Stage:
    """A host with its session, its clock and what it told."""

    host: AgentHost
    session: SmallSession
    board: Board
    clock: ManualClock
    log: QuietLog
    notes: list[tuple[str, str]] = field(default_factory=list)
    alerts: list[tuple[str, str]] = field(default_factory=list)

    async def run_for(self, seconds: float) -> None:
        """Let *seconds* pass, one by one, then publish."""
        limiter = to_thread.current_default_thread_limiter()
        for _ in range(int(seconds)):
            await self.clock.run_for(1.0)
            # A thread works in real time, which this clock knows nothing of.
            await wait_until(lambda: not limiter.borrowed_tokens)
            await self.clock.settle()
        await self.host.refresh()

    def row(self, agent_id: str) -> Any:
        return self.board.agents[agent_id].row


OpenStage = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def open_stage(tmp_path: Path) -> OpenStage:
    """Open a stage: ``async with open_stage(agents=(...), sections={...}) as stage``."""

    @asynccontextmanager
    async def opened(
        *,
        agents: tuple[PlannedAgent, ...] = (),
        sections: Mapping[str, Mapping[str, Any]] | None = None,
        begin: bool = True,
    ) -> AsyncIterator[Stage]:
        clock = ManualClock(START_NS)
        plan = _with_agents(small_plan(sections=sections), agents)
        session = SmallSession(plan, clock=clock)
        session.begin()
        session.quote(1, "9.99", "10.01")
        async with Store.open(tmp_path / "data", now_ns=START_NS) as store:
            log = QuietLog()
            board = Board()
            notes: list[tuple[str, str]] = []
            alerts: list[tuple[str, str]] = []

            async def act(_: str, verb: str, arguments: Mapping[str, Any]) -> ActionResult:
                return session.act(verb, **arguments)

            host = AgentHost(
                plan=plan,
                ports=SessionPorts(
                    container=session.container,
                    runner=session.built.runner,
                    recorder=session.built.recorder,
                    store=store,
                    data_dir=tmp_path / "data",
                ),
                published=session.published,
                act=act,
                board=board,
                note=lambda level, text: notes.append((level, text)),
                tell=lambda level, text: alerts.append((level, text)),
                log=log,
                clock=clock,
                wall_ns=clock.now_ns,
                rng=random.Random(1),
            )
            stage = Stage(host, session, board, clock, log, notes, alerts)
            async with anyio.create_task_group() as tasks:
                host.begin()
                tasks.start_soon(host.run)
                try:
                    if begin:
                        host.on_picture()
                        await wait_until(lambda: board.scheduling is not None)
                    yield stage
                finally:
                    await host.stop()

    return opened


async def wait_until(condition: Callable[[], bool]) -> None:
    """Let the loop run until *condition* holds."""
    with anyio.fail_after(20):
        while not condition():
            await anyio.lowlevel.checkpoint()


def _with_agents(plan: SessionPlan, agents: tuple[PlannedAgent, ...]) -> SessionPlan:
    return SessionPlan(
        plan.path,
        plan.config,
        plan.sources,
        plan.controllers,
        plan.strategies,
        plan.executors,
        agents,
    )
