"""A POST that is sent twice with one Idempotency-Key happens once."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from engine.scheduling import AgentStatus
from tests.integration.control_api.conftest import Api, Slow, running_api

pytestmark = pytest.mark.anyio
NEW = {"agent_type": "worker"}


async def test_the_same_key_makes_one_agent(api: Api) -> None:
    first = await api.client.post("/agents", json=NEW, headers={"idempotency-key": "k1"})
    again = await api.client.post("/agents", json=NEW, headers={"idempotency-key": "k1"})
    other = await api.client.post("/agents", json=NEW, headers={"idempotency-key": "k2"})
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 201)
    assert first.json() == again.json() != other.json()
    assert len(api.registry.agents) == 2


async def test_a_key_counts_for_its_path_and_for_ten_minutes(api: Api) -> None:
    key = {"idempotency-key": "k1"}
    await api.client.post("/agents", json=NEW, headers=key)
    [agent_id] = api.registry.agents
    started = await api.client.post(f"/agents/{agent_id}/start", headers=key)
    assert started.json()["status"] == "running"
    await api.clock.run_for(599.0)
    await api.client.post("/agents", json=NEW, headers=key)
    assert len(api.registry.agents) == 1
    await api.clock.run_for(2.0)
    await api.client.post("/agents", json=NEW, headers=key)
    assert len(api.registry.agents) == 2


async def test_a_failure_is_tried_again(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        agent_id = await api.make("broken", breaks="start", repeat=False)
        key = {"idempotency-key": "k1"}
        url = f"/agents/{agent_id}/start"
        assert (await api.client.post(url, headers=key)).status_code == 500
        api.registry.agents[agent_id].config["breaks"] = ""
        assert (await api.client.post(url, headers=key)).status_code == 200


async def test_a_key_whose_request_still_runs_is_409(api: Api) -> None:
    agent_id = await api.make("slow", repeat=False)
    url = f"/agents/{agent_id}/start"
    statuses: list[int] = []

    async def start() -> None:
        response = await api.client.post(url, headers={"idempotency-key": "k1"})
        statuses.append(response.status_code)

    async with anyio.create_task_group() as group:
        group.start_soon(start)
        while api.registry.agents[agent_id].status is not AgentStatus.STARTING:
            await anyio.lowlevel.checkpoint()
        second = await api.client.post(url, headers={"idempotency-key": "k1"})
        assert second.status_code == 409
        assert "idempotency key" in second.json()["detail"]
        Slow.let_go.set()
    assert statuses == [200]


@pytest.mark.parametrize("key", ["", "x" * 201])
async def test_a_key_has_1_to_200_characters(api: Api, key: str) -> None:
    response = await api.client.post("/agents", json=NEW, headers={"idempotency-key": key})
    assert response.status_code == 422
    assert api.registry.agents == {}
