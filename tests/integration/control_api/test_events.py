"""Server-sent events of one agent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx2
import pytest

from engine.scheduling import AgentStatus
from engine.scheduling.control.agent_events import AgentEvents
from tests.integration.control_api.conftest import HUSH, Api

pytestmark = pytest.mark.anyio


async def statuses(response: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def test_the_status_comes_at_once_on_change_and_every_five_seconds(api: Api) -> None:
    agent_id = await api.make("worker", api_key=HUSH, repeat=False)
    async with api.client.stream("GET", f"/agents/{agent_id}/events") as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        events = statuses(response)
        first = await anext(events)
        assert (first["status"], first["config"]["api_key"]) == ("initialized", "***")
        await api.clock.settle()
        await api.clock.run_for(5.1)
        assert await anext(events) == first
        api.registry.agents[agent_id]._move_to(AgentStatus.ERROR)
        assert (await anext(events))["status"] == "error"
        await events.aclose()  # type: ignore[attr-defined]


async def test_changes_that_come_at_once_are_told_as_one(api: Api) -> None:
    agent_id = await api.make("worker")
    agent = api.registry.agents[agent_id]
    async with api.client.stream("GET", f"/agents/{agent_id}/events") as response:
        events = statuses(response)
        await anext(events)
        await api.clock.settle()
        for status in (AgentStatus.STARTING, AgentStatus.RUNNING, AgentStatus.STOPPED):
            agent._move_to(status)
        assert (await anext(events))["status"] == "stopped"
        await events.aclose()  # type: ignore[attr-defined]


async def test_the_stream_ends_with_its_agent(api: Api) -> None:
    agent_id = await api.make("worker")
    async with api.client.stream("GET", f"/agents/{agent_id}/events") as response:
        events = statuses(response)
        await anext(events)
        await api.client.delete(f"/agents/{agent_id}")
        assert [event async for event in events] == []


async def test_who_leaves_is_forgotten(api: Api) -> None:
    agent_id = await api.make("worker")
    agent = api.registry.agents[agent_id]
    before = len(agent._listeners)
    async with api.client.stream("GET", f"/agents/{agent_id}/events") as response:
        await anext(statuses(response))
        assert len(agent._listeners) == before + 1
    while len(agent._listeners) > before:
        await anyio.lowlevel.checkpoint()


async def test_the_stop_of_the_server_ends_the_stream(tmp_path: Any) -> None:
    from tests.integration.control_api.conftest import running_api

    seen: list[dict[str, Any]] = []
    async with anyio.create_task_group() as group, running_api(tmp_path) as api:
        agent_id = await api.make("worker")
        listening = anyio.Event()
        client = httpx2.AsyncClient(
            base_url=api.server.url,
            headers={"authorization": f"Bearer {api.token}"},
            trust_env=False,
            timeout=None,
        )

        async def listen() -> None:
            async with client, client.stream("GET", f"/agents/{agent_id}/events") as response:
                async for event in statuses(response):
                    seen.append(event)
                    listening.set()

        group.start_soon(listen)
        await listening.wait()
    assert len(seen) == 1


async def test_a_head_request_gets_no_stream(api: Api) -> None:
    agent_id = await api.make("worker")
    response = await api.client.head(f"/agents/{agent_id}/events")
    assert (response.status_code, response.content) == (200, b"")


async def test_a_slow_reader_is_dropped(api: Api, logged: pytest.LogCaptureFixture) -> None:
    agent_id = await api.make("worker")
    agent = api.registry.agents[agent_id]
    stuck = anyio.Event()
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            stuck.set()
            await anyio.sleep_forever()

    async def receive() -> dict[str, Any]:
        await anyio.sleep_forever()
        raise AssertionError

    events = AgentEvents(
        agent, lambda one: {"id": one.agent_id}, api.registry, api.clock, anyio.Event()
    )
    async with anyio.create_task_group() as group:
        group.start_soon(events, {"type": "http", "method": "GET"}, receive, send)
        await stuck.wait()
        await api.clock.settle()
        await api.clock.run_for(10.1)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert "too slow" in logged.text
