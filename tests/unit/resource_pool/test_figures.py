"""Figures of the pool (scheduling 9): names, types, counts, any state, any thread."""

from __future__ import annotations

import json
import threading
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest

from engine.scheduling.resource_pool import ResourcePool
from tests.unit.resource_pool.conftest import MakePool, Script, StepClock, outcome_of

pytestmark = pytest.mark.anyio
URL = "https://venue.test/v1/thing"

FIELDS = {
    "http_clients": int,
    "http_requests": int,
    "http_attempts": int,
    "http_errors": int,
    "http_error_rate": float,
    "http_in_flight": int,
    "cache_size": int,
    "cache_hits": int,
    "cache_misses": int,
    "cache_evictions": int,
    "cache_hit_rate": float,
    "rate_limited_apis": int,
    "rate_limit_wait_s": float,
}


def check(pool: ResourcePool) -> dict[str, Any]:
    stats = pool.get_stats()
    for name, kind in FIELDS.items():
        assert type(stats[name]) is kind, name
    assert json.loads(json.dumps(stats)) == stats
    assert json.loads(json.dumps(pool.api_stats())) == pool.api_stats()
    return stats


async def test_every_state_has_every_field(make_pool: MakePool) -> None:
    pool = make_pool()
    assert check(pool)["http_clients"] == 0
    await pool.open()
    assert check(pool)["http_clients"] == 1
    await pool.http_request("GET", URL, "venue", 5)
    check(pool)
    await pool.close()
    assert check(pool)["http_clients"] == 0


async def test_each_call_returns_a_fresh_dictionary(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.get_stats().clear()
    pool.api_stats()["x"] = {}
    assert check(pool)
    assert pool.api_stats() == {}


@pytest.mark.parametrize(
    ("steps", "attempts", "errors"),
    [
        ([200], 1, 0),
        ([404], 1, 0),
        ([503, 200], 2, 0),
        ([503], 4, 1),
        ([429], 4, 1),
        ([418], 1, 1),
        ([501], 1, 1),
        ([httpx2.ReadError("reset")], 4, 1),
        ([httpx2.Response(200, headers={"content-type": "application/json"}, text="{")], 1, 1),
        ([httpx2.Response(503, headers={"content-type": "application/json"}, text="{")], 4, 1),
    ],
)
async def test_a_request_counts_as_at_most_one_error(
    clock: StepClock,
    make_pool: MakePool,
    script: Script,
    steps: list[Any],
    attempts: int,
    errors: int,
) -> None:
    script.steps = steps
    pool = make_pool()
    await outcome_of(clock, lambda: pool.http_request("GET", URL, "venue"))
    stats = pool.get_stats()
    assert (stats["http_requests"], stats["http_attempts"]) == (1, attempts)
    assert (stats["http_errors"], stats["http_error_rate"]) == (errors, float(errors))
    assert stats["http_retries"] == attempts - 1
    assert pool.api_stats()["venue"]["retries"] == attempts - 1


async def test_a_cancelled_request_is_no_error(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    async def never(request: httpx2.Request) -> httpx2.Response:
        await anyio.Event().wait()
        raise AssertionError(request)

    script.steps = [never]
    pool = make_pool()
    async with anyio.create_task_group() as group:
        group.start_soon(pool.http_request, "GET", URL)
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    stats = pool.get_stats()
    assert (stats["http_errors"], stats["http_in_flight"]) == (0, 0)


async def test_apis_without_a_limit_are_listed_with_what_they_did(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.http_request("GET", URL, "free")
    pool.configure_api("limited", rate_limit=3)
    figures = pool.api_stats()
    assert list(figures) == ["free", "limited"]
    assert (figures["free"]["limit"], figures["free"]["requests"]) == (None, 1)
    assert (figures["limited"]["limit"], figures["limited"]["used"]) == (3, 0)
    assert pool.get_stats()["rate_limited_apis"] == 1


async def test_another_thread_may_ask_while_the_pool_works(make_pool: MakePool) -> None:
    pool = make_pool(cache_max_size=50)
    stop = threading.Event()
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            while not stop.is_set():
                json.dumps([pool.get_stats(), pool.api_stats()])
        except BaseException as exc:  # noqa: BLE001 (told to the test)
            failures.append(exc)

    thread = threading.Thread(target=ask)
    thread.start()
    for number in range(200):
        await pool.cache_set(f"key{number}", number)
        await pool.http_request("GET", URL, f"api{number}", 1000)
    stop.set()
    thread.join()
    assert failures == []
