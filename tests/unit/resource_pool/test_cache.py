"""The cache (scheduling 8.4) and its single flight."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from engine.scheduling.pool_errors import PoolError
from engine.scheduling.resource_pool import ResourcePool
from tests.unit.resource_pool.conftest import MakePool, StepClock, settle

pytestmark = pytest.mark.anyio
INF = float("inf")


async def keys_of(pool: ResourcePool, keys: str) -> str:
    """Return which of *keys* are there, without touching their order."""
    return "".join(key for key in keys if key in pool._cache._entries)


async def test_at_its_age_an_entry_is_gone(clock: StepClock, make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.cache_set("key", "value", 10.0)
    clock.advance(9.999)
    assert await pool.cache_get("key") == "value"
    clock.advance(0.001)
    assert await pool.cache_get("key") is None
    assert await pool.cache_get("key", "other") == "other"
    assert pool.get_stats()["cache_size"] == 0


async def test_without_a_lifetime_the_default_counts(clock: StepClock, make_pool: MakePool) -> None:
    pool = make_pool(cache_ttl=5.0)
    await pool.cache_set("old", 1)
    pool.cache_ttl = 50.0
    await pool.cache_set("new", 2)
    clock.advance(5.0)
    assert [await pool.cache_get("old"), await pool.cache_get("new")] == [None, 2]


async def test_zero_stores_nothing_and_drops_what_was_there(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.cache_set("key", 1)
    await pool.cache_set("key", 2, 0)
    assert await pool.cache_get("key") is None
    await pool.cache_set("other", 2, 0)
    assert pool.get_stats()["cache_size"] == 0


async def test_infinity_never_expires(clock: StepClock, make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.cache_set("key", 1, INF)
    clock.advance(1e12)
    assert await pool.cache_get("key") == 1


async def test_a_stored_none_is_a_hit(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.cache_set("key", None)
    assert await pool.cache_get("key", "missing") is None
    assert await pool.cache_get("other", "missing") == "missing"
    stats = pool.get_stats()
    assert (stats["cache_hits"], stats["cache_misses"], stats["cache_hit_rate"]) == (1, 1, 0.5)


async def test_values_are_kept_by_reference(make_pool: MakePool) -> None:
    pool = make_pool()
    value: list[int] = []
    await pool.cache_set("key", value)
    value.append(1)
    assert await pool.cache_get("key") is value


async def test_a_full_cache_drops_the_least_recently_used(make_pool: MakePool) -> None:
    pool = make_pool(cache_max_size=3)
    for key in "abc":
        await pool.cache_set(key, key)
    await pool.cache_get("a")
    await pool.cache_set("d", "d")
    assert await keys_of(pool, "abcd") == "acd"
    assert pool.get_stats()["cache_evictions"] == 1


async def test_a_full_cache_drops_what_has_expired_first(
    clock: StepClock, make_pool: MakePool
) -> None:
    pool = make_pool(cache_max_size=3)
    await pool.cache_set("old", 1, 100.0)
    await pool.cache_set("short", 2, 1.0)
    await pool.cache_set("new", 3, 100.0)
    clock.advance(1.0)
    await pool.cache_set("next", 4)
    assert await pool.cache_get("old") == 1
    assert await pool.cache_get("short") is None
    assert pool.get_stats()["cache_evictions"] == 0


async def test_writing_an_entry_again_renews_it(clock: StepClock, make_pool: MakePool) -> None:
    pool = make_pool(cache_max_size=2)
    await pool.cache_set("a", 1, 10.0)
    await pool.cache_set("b", 2, 10.0)
    clock.advance(5.0)
    await pool.cache_set("a", 3, 10.0)
    clock.advance(6.0)
    assert await pool.cache_get("a") == 3
    assert await pool.cache_get("b") is None


async def test_a_smaller_cache_keeps_the_most_recently_used(
    clock: StepClock, make_pool: MakePool
) -> None:
    pool = make_pool()
    for key in "abcde":
        await pool.cache_set(key, key, 10.0)
    await pool.cache_get("a")
    pool.cache_max_size = 2
    assert await keys_of(pool, "abcde") == "ae"
    assert pool.get_stats()["cache_evictions"] == 3
    pool.cache_max_size = 10
    assert await pool.cache_get("e") == "e"
    clock.advance(10.0)
    assert pool.get_stats()["cache_size"] == 0


async def test_size_zero_switches_the_cache_off(make_pool: MakePool) -> None:
    pool = make_pool(cache_max_size=0)
    await pool.cache_set("key", 1)
    assert await pool.cache_get("key") is None
    assert await pool.cache_get_or_set("key", returning(5)) == 5
    assert pool.get_stats()["cache_size"] == 0
    pool.cache_max_size = 1
    await pool.cache_set("key", 1)
    pool.cache_max_size = 0
    assert pool.get_stats()["cache_size"] == 0


async def test_entries_are_deleted_one_by_one_by_prefix_and_all(make_pool: MakePool) -> None:
    pool = make_pool()
    for key in ("ticker:a", "ticker:b", "book:a", "x"):
        await pool.cache_set(key, key)
    assert await pool.cache_delete("x") is True
    assert await pool.cache_delete("x") is False
    assert await pool.cache_invalidate("ticker:") == 2
    assert await pool.cache_invalidate("ticker:") == 0
    assert await pool.cache_get("book:a") == "book:a"
    await pool.cache_clear()
    assert pool.get_stats()["cache_size"] == 0


async def test_an_expired_entry_was_not_there_to_delete(
    clock: StepClock, make_pool: MakePool
) -> None:
    pool = make_pool()
    await pool.cache_set("ticker:a", 1, 1.0)
    await pool.cache_set("ticker:b", 1, 1.0)
    clock.advance(1.0)
    assert await pool.cache_delete("ticker:a") is False
    assert await pool.cache_invalidate("ticker:") == 0


async def test_the_work_for_one_entry_does_not_grow_with_the_cache(make_pool: MakePool) -> None:
    async def touches(entries: int) -> int:
        pool = make_pool(cache_max_size=entries)
        for number in range(entries):
            await pool.cache_set(f"key{number}", number)
        CountedKey.touches = 0
        await pool.cache_set(CountedKey("new"), 1)
        await pool.cache_get(CountedKey("new"))
        return CountedKey.touches

    assert await touches(10_000) <= await touches(100) + 4


class CountedKey(str):
    """Counts how often it is hashed or compared."""

    __slots__ = ()
    touches = 0

    def __hash__(self) -> int:
        CountedKey.touches += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        CountedKey.touches += 1
        return super().__eq__(other)


# --- single flight ---------------------------------------------------------------------------


def returning(value: object) -> Callable[[], Awaitable[Any]]:
    async def factory() -> object:
        return value

    return factory


class Factory:
    """Runs until it is let go, and counts its runs."""

    def __init__(self, error: Exception | None = None) -> None:
        self.runs = 0
        self.cancelled = 0
        self.let_go = anyio.Event()
        self._error = error

    async def __call__(self) -> object:
        self.runs += 1
        try:
            await self.let_go.wait()
        except BaseException:
            self.cancelled += 1
            raise
        if self._error is not None:
            raise self._error
        return self


class Callers:
    """Many that want the same key."""

    def __init__(self, pool: ResourcePool, factory: Factory) -> None:
        self.results: list[object] = []
        self.scopes: list[anyio.CancelScope] = []
        self._pool = pool
        self._factory = factory

    async def ask(self) -> None:
        scope = anyio.CancelScope()
        self.scopes.append(scope)
        with scope:
            try:
                self.results.append(await self._pool.cache_get_or_set("key", self._factory))
            except Exception as exc:  # noqa: BLE001 (an outcome like any other)
                self.results.append(exc)


async def test_a_hundred_callers_have_one_factory(make_pool: MakePool) -> None:
    pool, factory = make_pool(), Factory()
    callers = Callers(pool, factory)
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(callers.ask)
        await settle()
        factory.let_go.set()
    assert callers.results == [factory] * 100
    assert factory.runs == 1
    assert await pool.cache_get("key") is factory


async def test_a_failure_reaches_all_and_is_not_stored(make_pool: MakePool) -> None:
    error = LookupError("venue")
    pool, factory = make_pool(), Factory(error)
    callers = Callers(pool, factory)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(callers.ask)
        await settle()
        factory.let_go.set()
    assert callers.results == [error] * 10
    assert await pool.cache_get_or_set("key", returning(5)) == 5
    assert factory.runs == 1


async def test_the_traceback_of_a_shared_failure_does_not_grow(make_pool: MakePool) -> None:
    pool, factory = make_pool(), Factory(LookupError("venue"))
    lengths = []

    async def ask() -> None:
        try:
            await pool.cache_get_or_set("key", factory)
        except LookupError as exc:
            traceback, length = exc.__traceback__, 0
            while traceback is not None:
                traceback, length = traceback.tb_next, length + 1
            lengths.append(length)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask)
        await settle()
        factory.let_go.set()
    assert len(set(lengths)) == 1


@pytest.mark.parametrize("who", [0, 1, 9], ids=["first", "second", "last"])
async def test_cancelling_one_caller_disturbs_nobody(make_pool: MakePool, who: int) -> None:
    pool, factory = make_pool(), Factory()
    callers = Callers(pool, factory)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(callers.ask)
        await settle()
        callers.scopes[who].cancel()
        await settle()
        factory.let_go.set()
    assert callers.results == [factory] * 9
    assert (factory.runs, factory.cancelled) == (1, 0)


async def test_cancelling_all_callers_cancels_the_factory(make_pool: MakePool) -> None:
    pool, factory = make_pool(), Factory()
    callers = Callers(pool, factory)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(callers.ask)
        await settle()
        for scope in callers.scopes:
            scope.cancel()
        await settle()
        assert factory.cancelled == 1
        assert callers.results == []
        again = Factory()
        again.let_go.set()
        assert await pool.cache_get_or_set("key", again) is again


async def test_who_asks_while_a_cancelled_factory_unwinds_gets_a_run_of_its_own(
    make_pool: MakePool,
) -> None:
    pool = make_pool()
    unwind = anyio.Event()

    async def stubborn() -> str:
        while not unwind.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await unwind.wait()
        return "stale"

    scope = anyio.CancelScope()

    async def ask() -> None:
        with scope:
            await pool.cache_get_or_set("key", stubborn)

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await settle()
        scope.cancel()
        await settle()
        assert await pool.cache_get_or_set("key", returning("fresh")) == "fresh"
        unwind.set()
        await settle()
    assert await pool.cache_get("key") == "fresh"


async def test_a_factory_may_want_another_key_but_not_its_own(make_pool: MakePool) -> None:
    pool = make_pool()

    async def outer() -> str:
        return f"outer {await pool.cache_get_or_set('inner', returning('inner'))}"

    async def ring() -> object:
        return await pool.cache_get_or_set("ring", ring)

    assert await pool.cache_get_or_set("outer", outer) == "outer inner"
    with pytest.raises(RuntimeError, match="'ring' waits for its own result"):
        await pool.cache_get_or_set("ring", ring)


async def test_what_was_dropped_while_it_was_made_is_not_stored(make_pool: MakePool) -> None:
    pool = make_pool()
    for drop in (
        lambda: pool.cache_delete("key"),
        lambda: pool.cache_invalidate("k"),
        pool.cache_clear,
    ):
        factory = Factory()
        callers = Callers(pool, factory)
        async with anyio.create_task_group() as group:
            group.start_soon(callers.ask)
            await settle()
            await drop()
            factory.let_go.set()
        assert callers.results == [factory]
        assert await pool.cache_get("key") is None


async def test_a_factory_that_cancels_itself_is_a_failure_of_its_own(make_pool: MakePool) -> None:
    pool = make_pool()

    async def factory() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
        raise anyio.get_cancelled_exc_class()

    with pytest.raises(PoolError, match="was cancelled"):
        await pool.cache_get_or_set("key", factory)


async def test_a_value_lives_from_the_moment_it_was_made(
    clock: StepClock, make_pool: MakePool
) -> None:
    pool = make_pool()
    await pool.cache_get_or_set("key", returning(1), 10.0)
    await pool.cache_get_or_set("never", returning(1), 0)
    clock.advance(9.0)
    assert await pool.cache_get_or_set("key", returning(2)) == 1
    assert await pool.cache_get_or_set("never", returning(2)) == 2
    clock.advance(1.0)
    assert await pool.cache_get_or_set("key", returning(3)) == 3


async def test_a_factory_may_be_a_plain_function(make_pool: MakePool) -> None:
    pool = make_pool()
    assert await pool.cache_get_or_set("key", lambda: 5) == 5


async def test_a_coroutine_is_no_factory(make_pool: MakePool) -> None:
    pool = make_pool()
    coroutine: Any = pool.cache_clear()
    with pytest.raises(TypeError, match="must be callable, not coroutine"):
        await pool.cache_get_or_set("key", coroutine)
    assert coroutine.cr_frame is None  # closed, so nothing warns
