"""Every route and every status code of the control API (scheduling 12), by a real client."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import anyio
import pytest

from engine.scheduling import AgentStatus
from engine.scheduling.control.operations import OPERATIONS
from tests.integration.control_api.conftest import HUSH, Api, Slow, running_api

pytestmark = pytest.mark.anyio
ROUTES = [(operation.method, operation.path) for operation in OPERATIONS]
ABOUT_ONE = [(method, path) for method, path in ROUTES if "{agent_id}" in path]
READS = [
    (method, path) for method, path in ABOUT_ONE if method == "GET" and not path.endswith("events")
]


async def test_health_is_open_and_says_nothing_else(api: Api) -> None:
    response = await api.client.get("/health", headers={"authorization": ""})
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_an_agents_whole_life(api: Api) -> None:
    created = await api.client.post(
        "/agents", json={"agent_type": "worker", "name": "first", "config": {"repeat": False}}
    )
    assert created.status_code == 201
    status = created.json()
    agent_id = status["agent_id"]
    assert agent_id.startswith("worker_")
    assert created.headers["location"] == f"/agents/{agent_id}"
    assert (status["name"], status["agent_type"]) == ("first", "worker")
    assert status["status"] == "initialized"
    for _ in range(2):  # repeating is harmless
        started = await api.client.post(f"/agents/{agent_id}/start")
        assert (started.status_code, started.json()["status"]) == (200, "running")
    await api.clock.settle()
    shown = await api.client.get(f"/agents/{agent_id}")
    assert shown.json() == (await api.client.get(f"/agents/{agent_id}/status")).json()
    assert shown.json()["metrics"]["cycles_completed"] == 1
    changed = await api.client.put(
        f"/agents/{agent_id}", json={"name": "second", "config": {"interval": 5}}
    )
    assert changed.status_code == 200
    assert changed.json()["config"] == {"repeat": False, "interval": 5, "name": "second"}
    for _ in range(2):
        stopped = await api.client.post(f"/agents/{agent_id}/stop")
        assert (stopped.status_code, stopped.json()["status"]) == (200, "stopped")
    await api.client.post(f"/agents/{agent_id}/start")
    deleted = await api.client.delete(f"/agents/{agent_id}")
    assert (deleted.status_code, deleted.json()["deleted"]) == (200, True)
    assert (await api.client.get(f"/agents/{agent_id}")).status_code == 404
    assert api.registry.agents == {}


async def test_agents_are_listed_by_window_type_and_state(api: Api) -> None:
    ids = [await api.make("worker") for _ in range(3)] + [await api.make("broken")]
    await api.client.post(f"/agents/{ids[1]}/start")

    async def listed(**query: Any) -> tuple[list[str], int]:
        page = (await api.client.get("/agents", params=query)).json()
        return [agent["agent_id"] for agent in page["agents"]], page["total"]

    assert await listed() == (ids, 4)
    assert await listed(limit=2, offset=1) == (ids[1:3], 4)
    assert await listed(agent_type="broken") == (ids[3:], 1)
    assert await listed(status="RUNNING") == ([ids[1]], 1)
    assert await listed(agent_type="nothing") == ([], 0)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "offset=-1",
        "status=asleep",
        "colour=red",
        "limit=1&limit=2",
    ],
)
async def test_a_wrong_parameter_is_422(api: Api, query: str) -> None:
    response = await api.client.get(f"/agents?{query}")
    assert response.status_code == 422
    assert query.partition("=")[0] in response.json()["detail"]


@pytest.mark.parametrize(("method", "path"), ABOUT_ONE)
async def test_404_is_an_unknown_agent(tmp_path: Path, method: str, path: str) -> None:
    async with running_api(tmp_path, allow_execute=True) as api:
        url = path.replace("{agent_id}", "nobody")
        response = await api.client.request(method, url, json={"name": "x"})
        assert response.status_code == 404
        assert response.json() == {"detail": "there is no agent 'nobody'"}


@pytest.mark.parametrize(
    ("breaks", "calls"),
    [
        ("start", [("POST", "/start", None)]),
        ("stop", [("POST", "/start", None), ("POST", "/stop", None)]),
        ("stop", [("POST", "/start", None), ("DELETE", "", None)]),
        ("", [("PUT", "", {"config": {"breaks": "update"}})]),
    ],
    ids=["start", "stop", "delete", "update"],
)
async def test_an_agent_that_raises_is_500_also_for_a_value_error(
    api: Api,
    logged: pytest.LogCaptureFixture,
    breaks: str,
    calls: list[tuple[str, str, Any]],
) -> None:
    agent_id = await api.make("broken", breaks=breaks, api_key=HUSH, repeat=False)
    for method, action, _ in calls[:-1]:
        assert (await api.client.request(method, f"/agents/{agent_id}{action}")).status_code == 200
    method, action, body = calls[-1]
    response = await api.client.request(method, f"/agents/{agent_id}{action}", json=body)
    assert response.status_code == 500
    detail = response.json()["detail"]
    assert detail.partition(":")[0] in ("ValueError", "KeyError", "RuntimeError")
    assert "second line" not in detail
    assert HUSH not in detail
    written = [one.getMessage() for one in logged.records if ".control." in one.name]
    assert "Traceback" in written[-1]
    assert HUSH not in "".join(written)


async def test_execute_is_off_by_default(api: Api) -> None:
    agent_id = await api.make()
    response = await api.client.post(f"/agents/{agent_id}/execute")
    assert response.status_code == 403
    assert "allow_execute" in response.json()["detail"]


async def test_execute_runs_one_cycle_and_shows_its_result(tmp_path: Path) -> None:
    async with running_api(tmp_path, allow_execute=True) as api:
        agent_id = await api.make("worker", repeat=False)
        idle = await api.client.post(f"/agents/{agent_id}/execute")
        assert (idle.status_code, "start it first" in idle.json()["detail"]) == (409, True)
        await api.client.post(f"/agents/{agent_id}/start")
        await api.clock.settle()
        response = await api.client.post(f"/agents/{agent_id}/execute")
        assert response.status_code == 200
        result = response.json()["result"]
        assert result["success"] is True
        assert result["results"] == {"work": 2, "api_key": "***"}


async def test_execute_of_a_cycle_that_fails_is_500(tmp_path: Path) -> None:
    async with running_api(tmp_path, allow_execute=True) as api:
        agent_id = await api.make("broken", api_key=HUSH, repeat=False)
        await api.client.post(f"/agents/{agent_id}/start")
        await api.clock.settle()
        response = await api.client.post(f"/agents/{agent_id}/execute")
        assert response.status_code == 500
        assert response.json()["detail"] == "LookupError: cycle of ***"


@pytest.mark.parametrize("action", ["start", "execute"])
async def test_503_is_an_engine_that_does_not_run(tmp_path: Path, action: str) -> None:
    async with running_api(tmp_path, engine_runs=False, allow_execute=True) as api:
        agent_id = await api.make()
        response = await api.client.post(f"/agents/{agent_id}/{action}")
        assert response.status_code == 503
        assert (await api.client.get("/health")).json() == {"status": "stopped"}
        assert (await api.client.get(f"/agents/{agent_id}")).status_code == 200


@pytest.mark.parametrize(
    "call", [("POST", "/stop"), ("POST", "/start"), ("DELETE", ""), ("PUT", "")]
)
async def test_409_is_a_transition_in_progress(api: Api, call: tuple[str, str]) -> None:
    agent_id = await api.make("slow", repeat=False)
    async with anyio.create_task_group() as group:
        group.start_soon(api.client.post, f"/agents/{agent_id}/start")
        while api.registry.agents[agent_id].status is not AgentStatus.STARTING:
            await anyio.lowlevel.checkpoint()
        method, action = call
        response = await api.client.request(
            method, f"/agents/{agent_id}{action}", json={"name": "x"}
        )
        assert response.status_code == 409
        assert "starting" in response.json()["detail"]
        Slow.let_go.set()


async def test_409_is_a_duplicate_id(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _size: "same")
    assert (await api.client.post("/agents", json={"agent_type": "worker"})).status_code == 201
    response = await api.client.post("/agents", json={"agent_type": "worker"})
    assert response.status_code == 409
    assert "worker_same" in response.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"agent_type": "nothing"},
        {"agent_type": "os.system"},
        {"agent_type": "worker", "config": {"interval": -1, "api_key": HUSH}},
        {"agent_type": "worker", "config": {"priority": HUSH, "my_token": HUSH}},
    ],
)
async def test_400_is_an_unknown_type_or_a_bad_configuration(
    api: Api, body: dict[str, Any]
) -> None:
    response = await api.client.post("/agents", json=body)
    assert response.status_code == 400
    assert HUSH not in response.text
    assert api.registry.agents == {}


async def test_400_is_a_bad_change_and_the_old_configuration_stays(api: Api) -> None:
    agent_id = await api.make("worker", interval=5)
    response = await api.client.put(f"/agents/{agent_id}", json={"config": {"interval": "soon"}})
    assert response.status_code == 400
    assert (await api.client.get(f"/agents/{agent_id}")).json()["config"] == {"interval": 5}


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[1]", "body"),
        (b'{"config": {}}', "agent_type"),
        (b'{"agent_type": 5}', "agent_type"),
        (b'{"agent_type": "worker", "config": []}', "config"),
        (b'{"agent_type": "worker", "agent_id": "mine"}', "agent_id"),
        (b'{"agent_type": "worker", "name": ""}', "name"),
        (b"[" * 60_000, "body"),
    ],
    ids=["empty", "half", "list", "missing", "type", "config", "extra", "name", "deep"],
)
async def test_422_is_a_wrong_field(api: Api, content: bytes, field: str) -> None:
    response = await api.client.post(
        "/agents", content=content, headers={"content-type": "application/json"}
    )
    assert response.status_code == 422
    assert field in response.json()["detail"]


async def test_422_is_a_change_that_says_nothing(api: Api) -> None:
    agent_id = await api.make()
    assert (await api.client.put(f"/agents/{agent_id}", json={})).status_code == 422


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_415_is_a_body_that_is_no_json(api: Api, media_type: str) -> None:
    response = await api.client.post("/agents", content=b"{}", headers={"content-type": media_type})
    assert response.status_code == 415


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/agents"), ("GET", "/agents"), ("PUT", "/x")]
)
async def test_413_is_a_body_over_64_kib(api: Api, method: str, path: str) -> None:
    response = await api.client.request(
        method, path, content=b"x" * (64 * 1024 + 1), headers={"content-type": "application/json"}
    )
    assert response.status_code == 413
    assert (await api.client.get("/agents")).status_code == 200  # the connection is fit for more


@pytest.mark.parametrize("action", ["", "/start"])
async def test_413_is_also_a_body_that_does_not_tell_its_size(api: Api, action: str) -> None:
    agent_id = await api.make()

    async def flood() -> Any:
        for _ in range(40):
            yield b"x" * 4096

    response = await api.client.request(
        "POST" if action else "PUT",
        f"/agents/{agent_id}{action}",
        content=flood(),
        headers={"content-type": "application/json"},
    )
    assert response.status_code == 413


async def test_the_largest_body_that_is_allowed_is_read(api: Api) -> None:
    frame = json.dumps({"agent_type": "worker", "config": {"note": ""}})
    filled = frame.replace('""', f'"{"x" * (64 * 1024 - len(frame))}"')
    assert len(filled) == 64 * 1024
    response = await api.client.post(
        "/agents", content=filled, headers={"content-type": "application/json"}
    )
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/agents", {"GET", "HEAD", "POST"}),
        ("PATCH", "/agents/x", {"GET", "HEAD", "PUT", "DELETE"}),
        ("GET", "/agents/x/start", {"POST"}),
        ("POST", "/stats", {"GET", "HEAD"}),
        ("OPTIONS", "/agents", {"GET", "HEAD", "POST"}),
    ],
)
async def test_405_names_what_is_allowed(
    api: Api, method: str, path: str, allowed: set[str]
) -> None:
    response = await api.client.request(method, path)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == allowed
    assert "detail" in response.json()
    assert "access-control-allow-origin" not in response.headers


async def test_secrets_are_masked_at_every_depth(api: Api) -> None:
    config = {
        "api_key": HUSH,
        "nested": {"Secret": HUSH, "list": [{"passphrase": HUSH}, {"private": [HUSH]}]},
        "access_token": {"deep": HUSH},
        "venue": "paper",
    }
    agent_id = await api.make("worker", **config)
    for path in (f"/agents/{agent_id}", "/agents"):
        response = await api.client.get(path)
        assert HUSH not in response.text
        assert '"venue":"paper"' in response.text
    assert api.registry.agents[agent_id].config["api_key"] == HUSH


async def test_what_was_shown_can_be_sent_back_without_losing_the_secret(api: Api) -> None:
    agent_id = await api.make("worker", api_key=HUSH, venue="paper")
    shown = (await api.client.get(f"/agents/{agent_id}")).json()["config"]
    await api.client.put(f"/agents/{agent_id}", json={"config": {**shown, "venue": "live"}})
    config = api.registry.agents[agent_id].config
    assert (config["api_key"], config["venue"]) == (HUSH, "live")


async def test_logs_have_level_and_window_and_no_secret(api: Api) -> None:
    agent_id = await api.make("worker", api_key=HUSH)
    agent = api.registry.agents[agent_id]
    for number in range(5):
        agent.logger.info("line %d", number)
    agent.logger.error("venue said %s", HUSH)

    async def lines(**query: Any) -> list[str]:
        response = await api.client.get(f"/agents/{agent_id}/logs", params=query)
        assert response.status_code == 200
        return [line["message"] for line in response.json()["logs"]]

    assert await lines() == [*(f"line {number}" for number in range(5)), "venue said ***"]
    assert await lines(level="error") == ["venue said ***"]
    assert await lines(limit=2, offset=1) == ["line 3", "line 4"]
    response = await api.client.get(f"/agents/{agent_id}/logs", params={"level": "loud"})
    assert response.status_code == 422


async def test_types_figures_and_metrics(api: Api) -> None:
    await api.make()
    types = await api.client.get("/agent-types")
    assert types.json() == {"agent_types": ["broken", "slow", "worker"]}
    stats = (await api.client.get("/stats")).json()
    assert stats == json.loads(json.dumps(api.registry.engine.get_stats()))
    assert stats["running"] is True
    metrics = await api.client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    assert 'quarterdeck_agents{status="initialized"} 1.0' in metrics.text
    assert "quarterdeck_engine_running 1.0" in metrics.text
    assert "quarterdeck_pool_http_requests_total 0.0" in metrics.text


async def test_the_document_tells_every_route_and_no_other(api: Api) -> None:
    document = (await api.client.get("/openapi.json")).json()
    told = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert told == set(ROUTES)
    assert document["servers"] == [{"url": api.server.url}]


@pytest.mark.parametrize(("method", "path"), [*READS, ("GET", "/agents"), ("GET", "/stats")])
async def test_nobody_may_keep_or_sniff_an_answer(api: Api, method: str, path: str) -> None:
    agent_id = await api.make()
    response = await api.client.request(method, path.replace("{agent_id}", agent_id))
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "server" not in response.headers


async def test_nested_secrets_that_were_shown_masked_are_kept_as_well(api: Api) -> None:
    agent_id = await api.make(
        "worker",
        venue={"password": HUSH, "name": "paper"},
        feeds=[{"api_key": HUSH, "depth": 5}],
        access_token={"deep": HUSH},
    )
    shown = (await api.client.get(f"/agents/{agent_id}")).json()["config"]
    shown["venue"]["name"] = "live"
    shown["feeds"].append({"api_key": "***", "depth": 1})
    response = await api.client.put(f"/agents/{agent_id}", json={"config": shown})
    assert response.status_code == 200
    config = api.registry.agents[agent_id].config
    assert config["venue"] == {"password": HUSH, "name": "live"}
    assert config["feeds"] == [{"api_key": HUSH, "depth": 5}, {"depth": 1}]
    assert config["access_token"] == {"deep": HUSH}


@pytest.mark.parametrize(
    "text", [r'{"x": "\ud800"}', r'{"\udfff": 1}', '{"x": NaN}', '{"x": -Infinity}']
)
async def test_a_config_that_has_no_json_form_is_refused(api: Api, text: str) -> None:
    body = f'{{"agent_type": "worker", "config": {text}}}'
    headers = {"content-type": "application/json"}
    response = await api.client.post("/agents", content=body, headers=headers)
    assert (response.status_code, response.json()) == (422, {"detail": "the body is no JSON"})
    assert not api.registry.agents


async def test_half_a_surrogate_pair_of_an_agent_does_not_hide_the_others(api: Api) -> None:
    agent_id = await api.make("worker")
    agent = api.registry.agents[agent_id]
    agent.metrics["last_cycle_error"] = "bad \ud800 text"
    line = {"msg": "bad \ud800 text", "levelno": logging.INFO, "levelname": "INFO"}
    agent.log.emit(logging.makeLogRecord(line))  # past the test's own log, which cannot take it
    listed = await api.client.get("/agents")
    assert listed.status_code == 200
    assert listed.json()["agents"][0]["metrics"]["last_cycle_error"] == "bad \ud800 text"
    logs = await api.client.get(f"/agents/{agent_id}/logs")
    assert logs.json()["logs"][0]["message"] == "bad \ud800 text"
