"""The OpenAPI document and the Prometheus text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.scheduling.control.figures import prometheus_text
from engine.scheduling.control.openapi import openapi_document
from engine.scheduling.control.operations import OPERATIONS, SCHEMAS

DOCUMENT = openapi_document(OPERATIONS, SCHEMAS, server_url="http://127.0.0.1:8765")
DESCRIBED = [
    (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_it_is_version_3_1_with_what_that_demands() -> None:
    assert re.fullmatch(r"3\.1\.\d+", DOCUMENT["openapi"])
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert DOCUMENT["security"] == [{"token": []}]
    scheme = DOCUMENT["components"]["securitySchemes"]["token"]
    assert scheme == {"type": "http", "scheme": "bearer"}


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        value: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            value = value[part]
        assert isinstance(value, dict)


def test_every_schema_is_used_and_says_what_it_needs() -> None:
    used = {reference.rpartition("/")[2] for reference in references(DOCUMENT)}
    schemas = DOCUMENT["components"]["schemas"]
    assert used == set(schemas)
    for schema in schemas.values():
        assert set(schema.get("required", ())) <= set(schema.get("properties", ()))


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in DESCRIBED]
    assert len(set(names)) == len(names) == len(OPERATIONS)


@pytest.mark.parametrize(("path", "method", "operation"), DESCRIBED)
def test_each_operation_is_whole(path: str, method: str, operation: dict[str, Any]) -> None:
    assert path.startswith("/")
    assert method in {"get", "post", "put", "delete"}
    assert operation["summary"]
    in_path = set(re.findall(r"{(\w+)}", path))
    parameters = operation.get("parameters", [])
    assert {one["name"] for one in parameters if one["in"] == "path"} == in_path
    assert all(one["required"] for one in parameters if one["in"] == "path")
    assert len({(one["name"], one["in"]) for one in parameters}) == len(parameters)
    responses = operation["responses"]
    assert sum(status.startswith("2") for status in responses) == 1
    assert all(response["description"] for response in responses.values())
    assert ("404" in responses) == ("{agent_id}" in path)
    is_open = operation.get("security") == []
    assert is_open == (path == "/health") == ("401" not in responses)
    assert ("requestBody" in operation) == ("415" in responses)


def test_query_parameters_come_from_the_models() -> None:
    parameters = DOCUMENT["paths"]["/agents"]["get"]["parameters"]
    by_name = {one["name"]: one["schema"] for one in parameters}
    assert set(by_name) == {"agent_type", "status", "limit", "offset"}
    assert (by_name["limit"]["minimum"], by_name["limit"]["maximum"]) == (1, 1000)
    assert by_name["limit"]["default"] == 100


STATS = {
    "running": True,
    "queued_tasks": 3,
    "completed_total": 7,
    "uptime_s": 1.5,
    "loop_lag_ms": None,
    "queued_by_priority": {"CRITICAL": 1, "IDLE": 2},
    "run_time_ms": {"count": 0, "p50": None, "p95": None, "p99": None, "max": None},
    "resource_pool_stats": {"http_requests": 5, "http_error_rate": 0.25, "rate_limit_wait_s": 2.5},
    "scheduler_stats": {
        "interval_adjustments": 4,
        "system_load": {"cpu_usage": 0.5, "network_usage": None},
    },
}


def test_the_figures_can_be_read_back() -> None:
    text = prometheus_text(STATS, {"running": 2, "error": 0}).decode()
    samples = {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples == {
        ("quarterdeck_agents", (("status", "running"),)): 2,
        ("quarterdeck_agents", (("status", "error"),)): 0,
        ("quarterdeck_engine_running", ()): 1,
        ("quarterdeck_engine_queued_tasks", ()): 3,
        ("quarterdeck_engine_completed_total", ()): 7,
        ("quarterdeck_engine_uptime_seconds", ()): 1.5,
        ("quarterdeck_engine_queued_by_priority", (("priority", "CRITICAL"),)): 1,
        ("quarterdeck_engine_queued_by_priority", (("priority", "IDLE"),)): 2,
        ("quarterdeck_engine_run_time_ms", (("figure", "count"),)): 0,
        ("quarterdeck_pool_http_requests_total", ()): 5,
        ("quarterdeck_pool_http_error_rate", ()): 0.25,
        ("quarterdeck_pool_rate_limit_wait_seconds_total", ()): 2.5,
        ("quarterdeck_scheduler_interval_adjustments_total", ()): 4,
        ("quarterdeck_scheduler_system_load", (("figure", "cpu_usage"),)): 0.5,
    }
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    assert kinds["quarterdeck_engine_completed_total"] == "counter"
    assert kinds["quarterdeck_engine_queued_tasks"] == "gauge"
