"""Collections and the queue against simple models, and their costs by counting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from engine import flow
from engine.flow.queue import EventQueue

ids = st.integers(0, 5).map(lambda n: UUID(int=n))
steps = st.lists(
    st.tuples(st.sampled_from(["append", "exclude", "popleft", "insert", "include"]), ids),
    max_size=40,
)


@given(steps)
def test_a_progression_behaves_as_a_list(actions: list[tuple[str, UUID]]) -> None:
    ours, model = flow.Progression(), list[UUID]()
    for action, one in actions:
        if action == "append":
            ours.append(one)
            model.append(one)
        elif action == "include":
            assert ours.include(one) is (one not in model)
            model += [] if one in model else [one]
        elif action == "exclude":
            assert ours.exclude(one) is (one in model)
            model = [other for other in model if other != one]
        elif action == "insert":
            ours.insert(1, one)
            model.insert(1, one)
        elif model:
            assert ours.popleft() == model.pop(0)
        assert ours.order == model
        assert len(ours) == len(model)
        assert all((key in ours) is (key in model) for key in map(UUID, map(str, model)))


actions = st.lists(
    st.tuples(
        st.sampled_from(["push", "take", "take_due", "park", "discard", "put_back"]),
        st.integers(0, 4),
        st.integers(0, 3),
    ),
    max_size=60,
)


@given(actions)
@example([(move, 0, 0) for move in ("push", "push", "park", "park", "put_back", "take_due")])
def test_the_queue_behaves_as_a_sorted_list(moves: list[tuple[str, int, int]]) -> None:
    queue = EventQueue(lambda: None)
    model: list[tuple[float, int, int]] = []  # priority, sequence, key
    waits: dict[int, tuple[float, int]] = {}  # sequence to due time and age
    for now, (move, key, number) in enumerate(moves):
        if move == "push":
            queue.push(float(number), key)
            model.append((float(number), queue.sequence, key))
        elif move == "discard":
            assert queue.discard(key) is any(one[2] == key for one in model)
            model = [one for one in model if one[2] != key]
        else:
            due = sorted(
                (waits[one[1]][1], one)
                for one in model
                if one[1] in waits and waits[one[1]][0] <= now
            )
            fresh = sorted(one for one in model if one[1] not in waits)
            if move == "take_due":
                expected = due[0][1] if due else (fresh[0] if fresh else None)
                taken = queue.take_due(now)
            else:
                expected = min(model, default=None)
                taken = queue.take()
            assert (taken and taken[:3]) == expected
            if taken is not None and expected is not None:
                model.remove(expected)
                if move == "park":
                    queue.park(taken, taken[0] + 1, now + number)
                    model.append((taken[0] + 1, queue.sequence, taken[2]))
                    waits[queue.sequence] = (now + number, taken[3])
                elif move == "put_back":
                    queue.put_back(taken)
                    model.append(expected)
                    waits.pop(expected[1], None)
        assert queue.qsize() == len(model)
        assert queue.empty() is (not model)
        assert all((key in queue) is any(one[2] == key for one in model) for key in range(5))


class CountedKey(int):
    touches = 0

    def __hash__(self) -> int:
        CountedKey.touches += 1
        return int.__hash__(self)

    def __eq__(self, other: object) -> bool:
        CountedKey.touches += 1
        return int.__eq__(self, other)


def touches_of(action: Callable[[], object]) -> int:
    CountedKey.touches = 0
    action()
    return CountedKey.touches


def executor_with(size: int) -> tuple[flow.Executor, list[flow.Event]]:
    executor, events = flow.Executor(), [flow.Event() for _ in range(size)]
    for event in events:
        event._key = CountedKey(event._key)

    async def fill() -> None:
        for event in events:
            await executor.append(event)

    asyncio.run(fill())
    return executor, events


OPERATIONS: dict[str, Callable[[flow.Executor, flow.Event], object]] = {
    "move": lambda x, e: asyncio.run(x._update_progression(e, flow.EventStatus.COMPLETED)),
    "move back": lambda x, e: asyncio.run(x._update_progression(e, flow.EventStatus.PENDING)),
    "counts": lambda x, _: x.status_counts(),
    "inspect": lambda x, _: x.inspect_state(),
    "repr": lambda x, _: repr(x),
    "contains": lambda x, e: e in x,
    "list nothing": lambda x, _: x.get_events_by_status("failed"),
    "remove": lambda x, e: x.states.remove_item(e),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_touches_as_many_keys_among_100_as_among_5000(name: str) -> None:
    def cost(size: int) -> int:
        executor, events = executor_with(size)
        return touches_of(lambda: OPERATIONS[name](executor, events[size // 2]))

    assert cost(5000) <= cost(100) + 4


def test_listing_touches_what_it_lists_and_cleaning_what_it_removes() -> None:
    def costs(size: int) -> tuple[int, int]:
        executor, events = executor_with(size)
        for event in events[:50]:
            asyncio.run(executor._update_progression(event, flow.EventStatus.FAILED))
        listing = touches_of(lambda: executor.get_events_by_status("failed"))
        return listing, touches_of(lambda: asyncio.run(executor.cleanup_events("failed")))

    small, large = costs(100), costs(5000)
    assert large[0] <= small[0] + 4
    assert large[1] <= small[1] + 50


def test_storage_follows_a_progression_that_shrinks() -> None:
    progression = flow.Progression(UUID(int=n) for n in range(10_000))
    for n in range(9_990):
        progression.exclude(UUID(int=n))
    assert progression.members.__sizeof__() < 10_000
    executor, events = executor_with(5000)

    async def move_all() -> None:
        for event in events:
            await executor._update_progression(event, flow.EventStatus.SKIPPED)

    asyncio.run(move_all())
    assert executor.states.get_progression("pending").members.__sizeof__() < 10_000
    pile: Any = flow.Pile(events)
    for event in events[:4_990]:
        pile.remove(event)
    assert pile.by_key.__sizeof__() < 10_000
