"""Opening and closing (scheduling 8.5), threads and loops (13)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest

from engine.scheduling.pool_errors import PoolClosed
from engine.scheduling.resource_pool import ResourcePool
from tests.unit.resource_pool.conftest import MakePool, Script, StepClock, settle

pytestmark = pytest.mark.anyio
URL = "https://venue.test/v1/thing"


class Outcome:
    """Runs a call and keeps what came of it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.value: Any = None
        self.is_done = False
        self._call = call

    async def __call__(self) -> None:
        try:
            self.value = await self._call()
        except Exception as exc:  # noqa: BLE001 (an outcome like any other)
            self.value = exc
        self.is_done = True


async def test_closing_twice_is_closing_once(make_pool: MakePool) -> None:
    closed: list[object] = []
    pool = make_pool()
    pool.register_resource("one", "object", closed.append)
    await pool.http_request("GET", URL)
    await pool.close()
    await pool.close()
    assert closed == ["object"]
    assert pool.health_check() == {
        "http_clients": {"default": {"closed": True}},
        "cache_size": 0,
        "rate_limits": {},
    }


async def test_two_that_close_at_once_both_wait_for_the_end(
    clock: StepClock, make_pool: MakePool
) -> None:
    pool = make_pool()
    gate = anyio.Event()
    closed: list[object] = []

    async def closer(obj: object) -> None:
        await gate.wait()
        closed.append(obj)

    pool.register_resource("slow", 1, closer)
    first, second = Outcome(pool.close), Outcome(pool.close)
    async with anyio.create_task_group() as group:
        group.start_soon(first)
        group.start_soon(second)
        await settle()
        assert not first.is_done
        assert not second.is_done
        gate.set()
    assert closed == [1]


async def test_everything_refuses_after_the_end_but_what_only_looks(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.cache_set("key", 1)
    client = await pool.get_http_client()
    await pool.close()
    calls: list[Callable[[], Any]] = [
        lambda: pool.http_request("GET", URL),
        pool.get_http_client,
        lambda: pool.cache_get("key"),
        lambda: pool.cache_set("key", 1),
        lambda: pool.cache_delete("key"),
        pool.cache_clear,
        lambda: pool.cache_invalidate("k"),
        lambda: pool.cache_get_or_set("key", pool.cache_clear),
    ]
    for call in calls:
        with pytest.raises(PoolClosed):
            await call()
    with pytest.raises(PoolClosed):
        pool.configure_api("venue")
    with pytest.raises(PoolClosed):
        pool.register_resource("one", 1, print)
    assert client.is_closed
    stats = pool.get_stats()
    assert (stats["http_clients"], stats["cache_size"], stats["closed"]) == (0, 0, True)
    await pool.close()


async def test_a_closed_pool_can_be_opened_again(make_pool: MakePool) -> None:
    pool = make_pool()
    first = await pool.get_http_client()
    assert await pool.get_http_client("other") is first
    await pool.close()
    await pool.open()
    second = await pool.get_http_client()
    assert second is not first
    assert not second.is_closed
    assert (await pool.http_request("GET", URL))[0] == 200
    assert pool.health_check()["http_clients"] == {"default": {"closed": False}}


async def test_opening_an_open_pool_changes_nothing(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.open()
    client = await pool.get_http_client()
    await pool.open()
    assert await pool.get_http_client() is client


async def test_the_context_opens_and_closes(script: Script) -> None:
    async with ResourcePool(transport=httpx2.MockTransport(script)) as pool:
        assert (await pool.http_request("GET", URL))[0] == 200
    with pytest.raises(PoolClosed):
        await pool.cache_get("key")


async def test_the_history_of_starts_survives_closing(
    clock: StepClock, make_pool: MakePool
) -> None:
    pool = make_pool()
    await pool.http_request("GET", URL, "venue", 2)
    await pool.close()
    await pool.open()
    assert pool.health_check()["rate_limits"] == {"venue": 1}  # the venue counts on as well


async def test_who_waits_at_a_gate_or_for_a_retry_or_a_factory_is_woken(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    pool = make_pool()
    script.steps = [200, 503]
    await pool.http_request("GET", URL, "venue", 1)
    never = anyio.Event()
    waiting = [
        Outcome(lambda: pool.http_request("GET", URL, "venue", 1)),
        Outcome(lambda: pool.http_request("GET", URL)),
        Outcome(lambda: pool.cache_get_or_set("key", never.wait)),
        Outcome(lambda: pool.cache_get_or_set("key", never.wait)),
    ]
    async with anyio.create_task_group() as group:
        for outcome in waiting:
            group.start_soon(outcome)
        await settle()
        assert not any(outcome.is_done for outcome in waiting)
        await pool.close()
        await settle()
        assert [type(outcome.value) for outcome in waiting] == [PoolClosed] * 4
    assert script.sent == 2


async def test_what_is_being_sent_gets_its_grace(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    pool = make_pool()

    async def soon(request: httpx2.Request) -> httpx2.Response:
        await clock.sleep(1.9)
        return httpx2.Response(200, text="in time")

    async def late(request: httpx2.Request) -> httpx2.Response:
        await clock.sleep(2.1)
        raise AssertionError(request)

    script.steps = [soon, late]
    first = Outcome(lambda: pool.http_request("POST", URL))
    second = Outcome(lambda: pool.http_request("POST", URL))
    closing = Outcome(pool.close)
    async with anyio.create_task_group() as group:
        group.start_soon(first)
        group.start_soon(second)
        await settle()
        assert pool.get_stats()["http_in_flight"] == 2
        group.start_soon(closing)
        await settle()
        with pytest.raises(PoolClosed):
            await pool.http_request("GET", URL)
        await clock.run_for(1.95)
        assert first.value == (200, "in time")
        assert not closing.is_done
        await clock.run_for(0.1)
        assert isinstance(second.value, PoolClosed)
        assert closing.is_done
    assert pool.get_stats()["http_in_flight"] == 0


async def test_an_answer_that_asks_for_a_retry_during_the_grace_gets_none(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    pool = make_pool()

    async def busy(request: httpx2.Request) -> httpx2.Response:
        await clock.sleep(1.0)
        return httpx2.Response(503)

    script.steps = [busy]
    outcome = Outcome(lambda: pool.http_request("GET", URL))
    async with anyio.create_task_group() as group:
        group.start_soon(outcome)
        await settle()
        group.start_soon(pool.close)
        await clock.run_for(1.0)
        assert outcome.value == (503, "")
    assert script.sent == 1


async def test_objects_are_closed_in_reverse_order_and_a_failing_one_stops_nobody(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool()
    order: list[object] = []

    async def close_later(obj: object) -> None:
        await anyio.lowlevel.checkpoint()
        order.append(obj)

    def fail(obj: object) -> None:
        order.append(obj)
        raise LookupError("disk")

    pool.register_resource("first", 1, order.append)
    pool.register_resource("second", 2, fail)
    pool.register_resource("third", 3, close_later)
    with caplog.at_level(logging.ERROR, "engine.scheduling"):
        await pool.close()
    assert order == [3, 2, 1]
    assert [record.getMessage() for record in caplog.records] == ["resource second failed to close"]


async def test_an_object_that_does_not_close_is_given_up(
    clock: StepClock, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool()
    order: list[object] = []

    async def hang(obj: object) -> None:
        await anyio.Event().wait()

    pool.register_resource("first", 1, order.append)
    pool.register_resource("second", 2, hang)
    async with anyio.create_task_group() as group:
        group.start_soon(pool.close)
        await clock.run_for(10.5)
    assert order == [1]
    assert "resource second did not close within 10 s" in caplog.text


async def test_names_of_resources_are_unique(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.register_resource("one", 1, print)
    with pytest.raises(ValueError, match="'one' is registered already"):
        pool.register_resource("one", 2, print)
    with pytest.raises(ValueError, match="must not be empty"):
        pool.register_resource("", 2, print)
    with pytest.raises(TypeError, match="must be callable"):
        pool.register_resource("two", 2, "no")  # type: ignore[arg-type]
    await pool.close()


async def test_a_cancelled_close_still_closes(clock: StepClock, make_pool: MakePool) -> None:
    pool = make_pool()
    closed: list[object] = []
    pool.register_resource("one", 1, closed.append)
    client = await pool.get_http_client()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await pool.close()
    assert closed == [1]
    assert client.is_closed
    assert pool.get_stats()["closed"]


async def test_a_factory_that_ignores_the_end_does_not_hold_it(
    clock: StepClock, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool()
    let_go = anyio.Event()

    async def stubborn() -> None:
        while not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await let_go.wait()

    outcome = Outcome(lambda: pool.cache_get_or_set("key", stubborn))
    closing = Outcome(pool.close)
    async with anyio.create_task_group() as group:
        group.start_soon(outcome)
        await settle()
        group.start_soon(closing)
        await settle()
        assert isinstance(outcome.value, PoolClosed)
        await clock.run_for(2.0)
        assert closing.is_done
        assert "ignores its cancellation" in caplog.text
        let_go.set()
        await settle()


async def test_another_thread_may_look_but_not_touch(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.cache_set("key", 1)
    seen: list[Any] = []

    def look() -> None:
        seen.append(pool.get_stats()["cache_size"])
        seen.append(pool.api_stats())
        for touch in (
            lambda: setattr(pool, "http_timeout", 5.0),
            lambda: pool.configure_api("venue"),
            lambda: pool.register_resource("one", 1, print),
            pool.health_check,
            lambda: asyncio.run(pool.cache_get("key")),
            lambda: asyncio.run(pool.close()),
        ):
            try:
                touch()
            except RuntimeError as exc:
                seen.append(type(exc))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [1, {}, *[RuntimeError] * 6]
    assert await pool.cache_get("key") == 1


def test_a_pool_belongs_to_its_loop_until_it_is_closed() -> None:
    pool = ResourcePool()

    async def use() -> None:
        await pool.cache_set("key", 1)

    asyncio.run(use())
    with pytest.raises(RuntimeError, match="another thread or event loop"):
        asyncio.run(use())


def test_a_closed_pool_can_move_to_another_loop() -> None:
    pool = ResourcePool()

    async def use() -> None:
        async with pool:
            await pool.cache_set("key", 1)

    asyncio.run(use())
    asyncio.run(use())
