"""A control API on a real server in this loop, over a real registry and engine."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from blockbuster import blockbuster_ctx

from engine.scheduling import AgentFactory, AgentRegistry, BaseAgent
from engine.scheduling.control_api import ControlServer, control_server
from engine.scheduling.control_settings import ControlApiSettings
from engine.testing.manual_clock import ManualClock

SAFETY_S = 60.0
"""Real time after which a test is broken; nothing asserts it."""
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # plain HTTP: spares reading them
HUSH = "hush-7c1e"
"""The secret that may appear nowhere."""


@pytest.fixture(autouse=True)
def _blocking_calls_are_errors() -> Iterator[None]:
    with blockbuster_ctx("engine"):
        yield


class Worker(BaseAgent):
    """Counts its cycles."""

    async def _run_cycle(self, resource_pool: Any) -> dict[str, Any]:
        self.increment("work")
        self.logger.info("worked with api_key=%s", HUSH)
        return {"work": self.metrics["work"], "api_key": HUSH}


class Broken(Worker):
    """Cannot be started, stopped or changed, and its cycles fail."""

    async def _initialize(self) -> None:
        if self.config.get("breaks") == "start":
            raise ValueError(f"no venue for token={HUSH}\nsecond line")

    async def _cleanup(self) -> None:
        if self.config.get("breaks") == "stop":
            raise KeyError("half closed")

    async def _on_config_update(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        if new.get("breaks") == "update":
            raise RuntimeError(f"cannot change: {new['api_key']}")

    async def _run_cycle(self, resource_pool: Any) -> dict[str, Any]:
        raise LookupError(f"cycle of {self.config['api_key']}")


class Slow(Worker):
    """Starts when it is let go."""

    let_go: anyio.Event

    async def _initialize(self) -> None:
        Slow.let_go = anyio.Event()
        await Slow.let_go.wait()


@dataclass
class Api:
    """Everything a test looks at."""

    client: httpx2.AsyncClient
    registry: AgentRegistry
    clock: ManualClock
    server: ControlServer
    token: str

    async def make(self, agent_type: str = "worker", **config: Any) -> str:
        """Create an agent through the API and return its id."""
        response = await self.client.post(
            "/agents", json={"agent_type": agent_type, "config": config}
        )
        assert response.status_code == 201, response.text
        return str(response.json()["agent_id"])


@asynccontextmanager
async def running_api(
    data_dir: Path, *, engine_runs: bool = True, **settings: Any
) -> AsyncIterator[Api]:
    """Serve until the context is left."""
    clock = ManualClock()
    factory = AgentFactory()
    for name, kind in {"worker": Worker, "broken": Broken, "slow": Slow}.items():
        factory.register_agent_type(name, kind)
    config = {"scheduler": {"system_sample_interval": 0}}
    registry = AgentRegistry(factory, config=config, clock=clock)
    if engine_runs:
        await registry.start()
    with anyio.fail_after(SAFETY_S):
        wanted = ControlApiSettings(enabled=True, port=0, **settings)
        async with control_server(registry, wanted, data_dir=data_dir, clock=clock) as server:
            assert server is not None
            assert server.token_path is not None
            token = server.token_path.read_text().strip()
            async with httpx2.AsyncClient(
                base_url=server.url,
                headers={"authorization": f"Bearer {token}"},
                trust_env=False,
                verify=NO_AUTHORITIES,
            ) as client:
                yield Api(client, registry, clock, server, token)
        if engine_runs:
            await registry.stop()


@pytest.fixture
async def api(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with running_api(tmp_path) as running:
        yield running


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog
