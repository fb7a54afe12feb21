"""The processor and the executor, on a loop with virtual time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from decimal import Decimal
from itertools import pairwise
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from engine import flow

S = flow.EventStatus
pytestmark = pytest.mark.anyio
CONFIG = {"queue_capacity": 100, "capacity_refresh_time": 1.0}


def now() -> float:
    return asyncio.get_running_loop().time()


class Job(flow.Event):
    work: Callable[[], Awaitable[object]] | None = None
    seconds: float = 0.0
    number: int = 0
    log: ClassVar[list[tuple[float, int]]] = []

    @property
    def request(self) -> dict[str, object]:
        return {"number": self.number}

    async def _invoke(self) -> object:
        self.log.append((round(now() - 1000, 3), self.number))
        if self.seconds:
            await asyncio.sleep(self.seconds)
        return self.number if self.work is None else await self.work()


class SubJob(Job):
    pass


class JobProcessor(flow.Processor):
    event_type = Job


class Jobs(flow.Executor):
    processor_type = JobProcessor


class Gated(JobProcessor):
    """Asks `answers`; without one it grants."""

    answers: ClassVar[Callable[[int], Any] | None] = None
    asked: ClassVar[list[tuple[float, int]]] = []

    async def request_permission(self, **request: Any) -> Any:
        type(self).asked.append((round(now() - 1000, 3), request["number"]))
        answer = True if Gated.answers is None else Gated.answers(request["number"])
        return await answer if asyncio.iscoroutine(answer) else answer


class GatedJobs(flow.Executor):
    processor_type = Gated


class Manual(GatedJobs):
    background = False


@pytest.fixture(autouse=True)
def _clean() -> None:
    Job.log.clear()
    Gated.asked.clear()
    Gated.answers = None


def use(answers: Callable[[int], Any]) -> None:
    Gated.answers = staticmethod(answers)


async def ready(executor_type: type[flow.Executor] = Jobs, **config: Any) -> Any:
    executor = executor_type({**CONFIG, **config})
    await executor.start()
    return executor


def spawn(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work)


def status_of(event: flow.Event) -> flow.EventStatus:
    return event.status


def engine_tasks() -> list[str]:
    names = [task.get_name() for task in asyncio.all_tasks()]
    return [name for name in names if name.startswith("flow")]


def consistent(executor: flow.Executor) -> bool:
    listed = [i for s in S for i in executor.states.get_progression(s.value)]
    ids = list(executor.states.items.keys())
    counts = executor.status_counts()
    return sorted(listed) == sorted(ids) and sum(counts.values()) == len(ids)


# --- construction ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value", "text"),
    [
        ("queue_capacity", 0, "Queue capacity must be greater than 0"),
        ("queue_capacity", 10_001, "Queue capacity must be <= 10000"),
        ("capacity_refresh_time", 0.009, "Capacity refresh time must be >= 0.01s"),
        ("capacity_refresh_time", float("nan"), "Capacity refresh time must be >= 0.01s"),
        ("capacity_refresh_time", 3601, "Capacity refresh time must be <= 3600s"),
        ("capacity_refresh_time", "1", "Capacity refresh time must be .* a number, not '1'"),
        ("capacity_refresh_time", True, "Capacity refresh time must be .* a number, not True"),
        ("concurrency_limit", 0, "Concurrency limit must be >= 1"),
        ("max_queue_size", 0, "Max queue size must be >= 1"),
        ("max_denial_tracking", 0, "Max denial tracking must be >= 1"),
        ("max_denials", 0, "Max denials must be >= 1"),
        ("queue_capacity", 1.5, "Queue capacity must be greater than 0 and an integer, not 1.5"),
        ("queue_capacity", True, "Queue capacity must be greater than 0"),
        ("concurrency_limit", 2.5, "Concurrency limit must be >= 1"),
        ("concurrency_limit", float("nan"), "Concurrency limit must be >= 1"),
        ("max_queue_size", 5.0, "Max queue size must be >= 1"),
        ("max_denial_tracking", "5", "Max denial tracking must be >= 1"),
        ("max_denials", 3.5, "Max denials must be >= 1"),
    ],
)
async def test_settings_have_ranges(setting: str, value: Any, text: str) -> None:
    settings: Any = {**CONFIG, "pile": flow.Pile(), setting: value}
    with pytest.raises(ValueError, match=text):
        flow.Processor(**settings)


async def test_a_processor_has_its_settings_as_attributes() -> None:
    pile: flow.Pile[flow.Event] = flow.Pile()
    processor = flow.Processor(10, 0.5, pile)
    assert processor.pile is pile
    assert processor.executor is None
    assert (processor.queue_capacity, processor.available_capacity) == (10, 10)
    assert (processor.concurrency_limit, processor.max_queue_size) == (100, 1000)
    assert (processor.max_denial_tracking, processor.max_denials) == (10_000, 3)
    assert not processor.execution_mode
    assert not processor.is_stopped()
    assert processor._denial_counts == {}
    assert processor.queue.empty()


async def test_create_forwards_settings_of_a_subclass() -> None:
    class Rich(JobProcessor):
        def __init__(self, *args: Any, rate: int = 0, **settings: Any) -> None:
            super().__init__(*args, **settings)
            self.rate = rate

    class RichJobs(flow.Executor):
        processor_type = Rich

    assert (await ready(RichJobs, rate=5)).processor.rate == 5


async def test_an_executor_starts_with_seven_empty_progressions() -> None:
    executor = Jobs()
    assert executor.processor_config == {}
    assert executor.processor is None
    assert executor.event_type is Job
    assert not executor.strict_event_type
    assert executor.states.name == "executor_states"
    assert executor.status_counts() == dict.fromkeys([s.value for s in S], 0)
    assert len(executor.states.progressions) == 7
    assert Jobs(name="x").states.name == "x"


@pytest.mark.parametrize("missing", ["queue_capacity", "capacity_refresh_time"])
async def test_start_names_a_missing_setting(missing: str) -> None:
    executor = Jobs({k: v for k, v in CONFIG.items() if k != missing})
    with pytest.raises(flow.ConfigurationError, match=missing):
        await executor.start()
    assert executor.processor is None


# --- append ------------------------------------------------------------------------------------


async def test_append_is_all_or_nothing() -> None:
    for executor in (Jobs(CONFIG), await ready(max_queue_size=2)):
        event = Job()
        await executor.append(event)
        attempts: list[tuple[Any, Any, type[Exception]]] = [
            (flow.Event(), None, TypeError),
            ("x", None, TypeError),
            (event, None, flow.ExistsError),
            *((Job(), bad, ValueError) for bad in (float("nan"), float("inf"), "1", True, 10**400)),
        ]
        for refused, priority, error in attempts:
            with pytest.raises(error):
                await executor.append(refused, priority)
            assert executor.status_counts()["pending"] == len(executor.states.items) == 1
        assert event in executor
        assert str(event.id) in executor
        assert 5 not in executor
    await executor.append(Job())
    with pytest.raises(flow.QueueFullError, match=r"Queue size \(2\) exceeds max \(2\)") as full:
        await executor.append(Job())
    assert full.value.details == {"queue_size": 2, "max_size": 2}
    assert full.value.retryable
    assert consistent(executor)
    assert len(executor.states.items) == 2


@pytest.mark.parametrize("is_started", [False, True])
async def test_a_terminal_event_is_listed_under_its_own_status_at_once(is_started: bool) -> None:
    executor = await ready(Manual) if is_started else Manual(CONFIG)
    for status in S:
        if status.is_terminal:
            event = Job()
            event.status = status
            await executor.append(event, 1.0)
            assert executor.get_events_by_status(status) == [event]
    with pytest.raises(ValueError, match="Priority"):
        await executor.append(event := Job(execution=flow.Execution(S.FAILED)), float("nan"))
    executor.states.remove_progression("failed")
    with pytest.raises(flow.ConfigurationError, match="'failed' not found"):
        await executor.append(event)
    assert event not in executor
    await executor.start()
    await executor.forward()
    assert not Job.log
    assert sum(executor.status_counts().values()) == len(executor.states.items) - 1


async def test_strict_executors_admit_the_exact_type() -> None:
    strict = Jobs(CONFIG, strict_event_type=True)
    assert strict.strict_event_type
    await strict.append(Job())
    with pytest.raises(TypeError, match="strict_type=True"):
        await strict.append(SubJob())
    assert len(strict.states.items) == 1
    await Jobs(CONFIG).append(SubJob())


# --- running -----------------------------------------------------------------------------------


async def test_ten_events_complete_well_inside_one_refresh_time() -> None:
    executor = await ready()
    for n in range(10):
        await executor.append(Job(number=n))
    await executor.processor.join()
    assert [e.response for e in executor.completed_events] == list(range(10))
    assert now() - 1000 < 0.1
    await executor.stop()
    assert executor.processor.is_stopped()
    assert not executor.processor.execution_mode


async def test_priorities_run_lowest_first_also_those_given_before_the_start() -> None:
    executor: Any = Jobs({**CONFIG, "concurrency_limit": 1})
    for number, priority in ((1, None), (2, 100.0), (3, 1), (4, 100.0), (5, -2.0)):
        await executor.append(Job(number=number), priority)
    await executor.start()
    assert executor.status_counts()["pending"] == 5
    await executor.processor.join()
    assert [n for _, n in Job.log] == [5, 3, 2, 4, 1]
    await executor.stop()


async def test_the_backfill_ignores_the_queue_limit() -> None:
    executor: Any = Jobs({**CONFIG, "max_queue_size": 1})
    for _ in range(1200):
        await executor.append(Job())
    await executor.start()
    assert executor.processor.queue.qsize() == 1200


async def test_a_window_begins_at_most_its_capacity() -> None:
    executor = await ready(queue_capacity=3, capacity_refresh_time=0.5)
    for n in range(7):
        await executor.append(Job(number=n))
    await executor.processor.join()
    assert [t for t, _ in Job.log] == [0, 0, 0, 0.5, 0.5, 0.5, 1.0]
    await asyncio.sleep(0.2)
    await executor.append(Job(number=9))
    await executor.processor.join()
    assert Job.log[-1] == (1.2, 9)
    await executor.stop()


async def test_a_long_event_occupies_one_slot_only() -> None:
    executor = await ready(concurrency_limit=2)
    slow = Job(seconds=60.0)
    await executor.append(slow, 1)
    peak = 0
    for n in range(20):
        await executor.append(Job(number=n, seconds=0.01), 2)
    while executor.status_counts()["completed"] < 20:
        peak = max(peak, executor.status_counts()["processing"])
        await asyncio.sleep(0.005)
    assert peak == 2
    assert slow.status is S.PROCESSING
    assert await executor.shutdown(timeout=1) == 1
    assert status_of(slow) is S.CANCELLED
    assert not engine_tasks()
    assert consistent(executor)


async def test_stop_keeps_queued_events_and_a_restart_runs_them() -> None:
    executor = await ready()
    running = Job(seconds=5.0)
    await executor.append(running)
    await asyncio.sleep(1)
    await executor.stop()
    for n in range(5):
        await executor.append(Job(number=n))
    await asyncio.sleep(10)
    assert running.status is S.COMPLETED
    assert executor.status_counts()["pending"] == 5
    await executor.processor.join()
    processor = executor.processor
    await executor.start()
    await executor.start()
    await executor.processor.join()
    assert executor.processor is processor
    assert executor.status_counts()["completed"] == 6
    await executor.stop()
    await executor.stop()


async def test_start_directly_followed_by_stop_ends_stopped() -> None:
    executor = Jobs(CONFIG)
    await executor.stop()
    await executor.append(Job())
    await executor.start()
    await executor.stop()
    await asyncio.sleep(5)
    assert executor.processor is not None
    assert executor.processor.is_stopped()
    assert executor.status_counts()["pending"] == 1


async def test_a_later_start_queues_pending_events_that_are_in_no_queue() -> None:
    executor = await ready(Manual)
    lost = Job()
    await executor.append(lost)
    assert await executor.processor.dequeue() is lost
    await executor.start()
    await executor.start()
    assert executor.processor.queue.qsize() == 1


async def test_a_second_execute_waits_for_the_first() -> None:
    processor = JobProcessor(10, 1.0, flow.Pile())
    async with asyncio.TaskGroup() as group:
        first = group.create_task(processor.execute())
        second = group.create_task(processor.execute())
        await asyncio.sleep(1)
        assert processor.execution_mode
        await processor.stop()
    assert first.done()
    assert second.done()
    assert not processor.execution_mode


async def test_cancelling_the_loop_cancels_what_it_began() -> None:
    pile: flow.Pile[flow.Event] = flow.Pile()
    processor = JobProcessor(10, 1.0, pile)
    event = Job(seconds=9.0)
    pile.add(event)
    await processor.enqueue(event.id)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await processor.execute()
    assert event.status is S.CANCELLED
    assert not processor.execution_mode
    assert not engine_tasks()


async def test_join_waits_for_running_events_and_returns_at_once_when_idle() -> None:
    executor = await ready()
    await executor.processor.join()
    await executor.append(Job(seconds=3.0))
    await executor.processor.join()
    assert now() == pytest.approx(1003)
    assert executor.status_counts()["completed"] == 1


async def test_an_idle_executor_sets_no_timer() -> None:
    executor = await ready()
    await executor.append(Job())
    await executor.processor.join()
    await asyncio.sleep(0)
    loop: Any = asyncio.get_running_loop()
    assert not [timer for timer in loop._scheduled if not timer.cancelled()]
    assert executor.processor._wake is not None


# --- the queue ---------------------------------------------------------------------------------


async def test_the_queue_holds_priorities_and_ids() -> None:
    processor = JobProcessor(10, 1.0, flow.Pile())
    first, second, third = Job(), Job(), Job()
    for event in (first, second, third):
        processor.pile.add(event)
    await processor.enqueue(first.id)
    await processor.queue.put((5, second.id))
    await processor.enqueue(str(third.id), 5)
    assert processor.queue.qsize() == 3
    assert await processor.queue.get() == (5.0, second.id)
    assert await processor.dequeue() is third
    assert await processor.queue.get() == (first.created_at.timestamp(), first.id)
    with pytest.raises(flow.NotFoundError):
        await processor.enqueue(uuid4())
    await processor.enqueue(uuid4(), 1)
    waiter = spawn(processor.dequeue())
    lost = spawn(processor.dequeue())
    await asyncio.sleep(0)
    lost.cancel()
    await asyncio.sleep(0)
    await processor.enqueue(first)
    assert await waiter is first
    assert processor.queue.empty()


async def test_an_id_may_be_queued_twice_and_runs_once() -> None:
    executor = await ready(Manual)
    event = Job()
    await executor.append(event, 1)
    await executor.processor.enqueue(event.id, 2)
    await executor.processor.enqueue(event.id, 3)
    assert executor.processor.queue.qsize() == 3
    await executor.forward()
    assert executor.processor.queue.empty()
    assert len(Job.log) == 1
    await executor.append(other := Job(), 1)
    await executor.processor.enqueue(other.id, 2)
    assert executor.processor.queue.discard(other.id.int)
    assert not executor.processor.queue.discard(other.id.int)
    assert executor.processor.queue.empty()


async def test_discarded_entries_do_not_pile_up() -> None:
    queue = JobProcessor(10, 1.0, flow.Pile()).queue
    for n in range(1000):
        queue.push(1.0, n)
    for n in range(999):
        queue.discard(n)
    assert len(queue._ready) < 200
    entry = queue.take()
    assert entry is not None
    assert entry[2] == 999


# --- batches on demand -------------------------------------------------------------------------


async def test_process_runs_one_batch_by_priority() -> None:
    executor = await ready(Manual, queue_capacity=2)
    for n in range(5):
        await executor.append(Job(number=n, seconds=1.0), 5 - n)
    await executor.forward()
    assert {n for _, n in Job.log} == {3, 4}
    assert executor.status_counts()["completed"] == 2
    assert executor.processor.available_capacity == 2
    executor.processor.available_capacity = 0
    await executor.forward()
    assert executor.processor.available_capacity == 0
    assert executor.status_counts()["completed"] == 2


async def test_process_works_without_an_executor_and_drops_what_is_gone() -> None:
    pile: flow.Pile[flow.Event] = flow.Pile()
    processor = JobProcessor(10, 1.0, pile)
    event = Job()
    pile.add(event)
    await processor.enqueue(uuid4(), 1)
    await processor.enqueue(event)
    await processor.process()
    assert event.status is S.COMPLETED
    assert processor.queue.empty()


async def test_overlapping_batches_share_the_capacity_and_cancel_their_own() -> None:
    executor = await ready(Manual, queue_capacity=4, concurrency_limit=3)
    events = [Job(number=n, seconds=5.0) for n in range(6)]
    for event in events:
        await executor.append(event, event.number)
    first = spawn(executor.processor.process())
    second = spawn(executor.processor.process())
    await asyncio.sleep(1)
    assert executor.status_counts()["processing"] == 3
    first.cancel()
    second.cancel()
    await asyncio.wait({first, second})
    assert first.cancelled()
    assert executor.status_counts()["cancelled"] == 3
    assert consistent(executor)
    await executor.forward()
    assert executor.status_counts()["completed"] == 3


async def test_forward_waits_for_events_that_the_loop_began_before() -> None:
    executor = await ready()
    early = Job(seconds=3.0)
    await executor.append(early)
    await asyncio.sleep(1)
    await executor.forward()
    assert early.status is S.COMPLETED
    assert early in executor.completed_events
    await Jobs().forward()
    await executor.stop()


@pytest.mark.parametrize("executor_type", [Jobs, GatedJobs], ids=["unchecked", "checked"])
async def test_a_batch_that_waits_for_a_slot_is_not_lost_when_the_loop_restarts(
    executor_type: type[flow.Executor],
) -> None:
    executor = await ready(executor_type, concurrency_limit=1)
    first, second = Job(seconds=3.0), Job(seconds=50.0)
    await executor.append(first)
    await asyncio.sleep(1)
    await executor.stop()
    await executor.append(second)
    batch = spawn(executor.forward())
    await asyncio.sleep(1)
    await executor.start()
    await asyncio.sleep(5)
    assert second in executor.processing_events
    joined = spawn(executor.processor.join())
    await asyncio.sleep(1)
    assert not joined.done()
    assert await executor.cancel(second)
    await batch
    await joined
    assert status_of(second) is S.CANCELLED
    await executor.stop()


class Told(flow.Processor):
    event_type = Job


async def test_the_executor_is_told_exactly_twice() -> None:
    told: list[tuple[flow.Event, Any, flow.EventStatus]] = []

    class Recorder(flow.Executor):
        processor_type = Told

        async def _update_progression(self, event: flow.Event, force_status: Any = None) -> None:
            told.append((event, force_status, event.status))
            await super()._update_progression(event, force_status)

    async def fail() -> None:
        raise ValueError

    class Streamed(Job):
        streaming = True

        async def stream(self) -> AsyncIterator[object]:
            yield 1

    executor = await ready(Recorder)
    for event, end in ((Job(), S.COMPLETED), (Job(work=fail), S.FAILED), (Streamed(), S.COMPLETED)):
        told.clear()
        await executor.append(event)
        await executor.processor.join()
        assert told == [(event, S.PROCESSING, S.PENDING), (event, None, end)]
    await executor.stop()


# --- permission --------------------------------------------------------------------------------


async def test_a_denied_event_waits_and_is_aborted_at_the_third_strike() -> None:
    use(lambda _: False)
    executor = await ready(GatedJobs, capacity_refresh_time=0.1)
    event = Job()
    await executor.append(event, 10)
    await asyncio.sleep(0.5)
    assert executor.processor._denial_counts == {event.id: 1}
    assert executor.processor.queue.qsize() == 1
    assert await executor.wait(event) is event
    assert [t for t, _ in Gated.asked] == pytest.approx([0, 1, 3], abs=0.01)
    assert event.status is S.ABORTED
    assert isinstance(event.execution.error, flow.AccessError)
    assert executor.get_events_by_status("aborted") == [event]
    assert executor.processor._denial_counts == {}
    assert executor.processor.queue.empty()
    await executor.processor.join()
    await executor.stop()


async def test_forward_ignores_the_wait_and_the_priority_sinks() -> None:
    use(lambda _: False)
    executor = await ready(Manual)
    event = Job()
    await executor.append(event, 10)
    for priority in (11.0, 13.0):
        await executor.forward()
        assert executor.processor.queue._parked[0][0] == priority
        assert executor.processor.available_capacity == 100
    await executor.forward()
    assert event.status is S.ABORTED


async def test_plain_denials_as_a_rate_limit_lose_nothing() -> None:
    grants: list[float] = []

    def check(_: int) -> bool:
        if grants and now() - grants[-1] < 0.1:
            return False
        grants.append(now())
        return True

    use(check)
    executor = await ready(GatedJobs, queue_capacity=10, capacity_refresh_time=0.5)
    for n in range(50):
        await executor.append(Job(number=n))
    await executor.processor.join()
    assert executor.status_counts()["completed"] == 50
    assert all(b - a >= 0.1 for a, b in pairwise(grants))
    assert now() - 1000 < 30


async def test_a_number_asks_to_wait_without_a_strike() -> None:
    grants: list[float] = []

    def check(_: int) -> float | bool:
        wait = grants[-1] + 0.2 - now() if grants else 0.0
        if wait > 1e-9:
            return wait
        grants.append(now())
        return True

    use(check)
    executor = await ready(GatedJobs)
    for n in range(5):
        await executor.append(Job(number=n), n)
    await executor.processor.join()
    assert [n for _, n in Job.log] == [0, 1, 2, 3, 4]
    assert now() - 1000 == pytest.approx(0.8, abs=0.01)
    assert executor.processor._denial_counts == {}


async def test_a_check_that_fails_after_its_event_was_cancelled_changes_nothing() -> None:
    async def fails() -> bool:
        await asyncio.sleep(5)
        raise ValueError

    use(lambda _: fails())
    executor = await ready(GatedJobs)
    await executor.append(event := Job())
    await asyncio.sleep(1)
    assert await executor.cancel(event)
    await executor.processor.join()
    assert event.status is S.CANCELLED
    assert isinstance(event.execution.error, asyncio.CancelledError)
    assert executor.get_events_by_status(S.CANCELLED) == [event]
    await executor.stop()


@pytest.mark.parametrize("executor_type", [GatedJobs, Manual])
@pytest.mark.parametrize(
    "answer",
    [float("nan"), float("inf"), -1, -0.5, 10**400, 1j, Decimal("NaN"), Decimal(-2)],
    ids=lambda value: str(value)[:5],
)
async def test_a_number_that_is_no_wait_fails_the_event_instead_of_granting(
    executor_type: type[flow.Executor], answer: Any
) -> None:
    use(lambda number: answer if number == 0 else True)
    executor = await ready(executor_type)
    await executor.append(bad := Job(number=0), 1)
    await executor.append(good := Job(number=1), 2)
    await executor.forward()
    await executor.processor.join()
    assert (bad.status, good.status) == (S.FAILED, S.COMPLETED)
    assert isinstance(bad.execution.error, flow.ValidationError)
    assert repr(answer) in bad.execution.error.message
    assert [number for _, number in Job.log] == [1]
    assert consistent(executor)
    await executor.stop()


@pytest.mark.parametrize("answer", [0, 0.0, Decimal(0), None, ""])
async def test_zero_is_a_false_value_and_so_a_strike(answer: Any) -> None:
    use(lambda _: answer)
    executor = await ready(Manual)
    await executor.append(event := Job())
    await executor.forward()
    assert executor.processor._denial_counts == {event.id: 1}
    assert event.status is S.PENDING


async def test_the_oldest_denial_counter_is_dropped_first() -> None:
    use(lambda _: None)
    executor = await ready(Manual, max_denial_tracking=10)
    events = [Job(number=n) for n in range(15)]
    for n, event in enumerate(events):
        await executor.append(event, n * 100)
        executor.processor.queue.discard(event.id.int)
    for event in events:
        await executor.processor.enqueue(event, 1)
        await executor.forward()
        executor.processor.queue.discard(event.id.int)
    assert list(executor.processor._denial_counts) == [e.id for e in events[5:]]
    await executor.processor.stop()
    assert executor.processor._denial_counts == {}


@pytest.mark.parametrize("executor_type", [GatedJobs, Manual])
@pytest.mark.parametrize("exc", [ValueError("x"), asyncio.CancelledError(), flow.AccessError("x")])
async def test_a_failing_check_fails_its_event_only(
    executor_type: type[flow.Executor], exc: BaseException
) -> None:
    def check(number: int) -> bool:
        if number == 0:
            raise exc
        return True

    use(check)
    executor = await ready(executor_type)
    bad, good = Job(number=0), Job(number=1)
    await executor.append(bad, 1)
    await executor.append(good, 2)
    await executor.forward()
    await executor.processor.join()
    assert (bad.status, good.status) == (S.FAILED, S.COMPLETED)
    assert bad.execution.error is exc
    assert consistent(executor)
    await executor.stop()


async def test_a_slow_check_delays_neither_stop_nor_loses_the_event() -> None:
    async def slow() -> bool:
        await asyncio.sleep(60)
        return True

    use(lambda _: slow())
    executor = await ready(GatedJobs)
    event = Job()
    await executor.append(event, 1)
    await asyncio.sleep(1)
    await executor.stop()
    assert now() - 1000 == pytest.approx(1)
    assert executor.processor.queue.qsize() == 1
    assert event.status is S.PENDING
    use(lambda _: True)
    await executor.start()
    await executor.processor.join()
    assert status_of(event) is S.COMPLETED
    await executor.stop()


async def test_stopping_from_inside_a_check_is_harmless() -> None:
    executor = await ready(GatedJobs)

    async def check() -> bool:
        await executor.stop()
        return True

    use(lambda _: check())
    await executor.append(Job(), 1)
    await asyncio.sleep(1)
    assert executor.processor.queue.qsize() == 1
    assert executor.processor.is_stopped()


async def test_cancelling_process_during_a_check_puts_the_event_back() -> None:
    async def slow() -> bool:
        await asyncio.sleep(60)
        return True

    use(lambda _: slow())
    executor = await ready(Manual)
    await executor.append(Job(), 1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await executor.forward()
    assert executor.processor.queue.qsize() == 1
    assert executor.processor.available_capacity == 100


async def test_an_event_that_ends_or_goes_while_its_check_runs_does_not_begin() -> None:
    executor = await ready(GatedJobs)

    async def slow() -> bool:
        await asyncio.sleep(1)
        return True

    use(lambda _: slow())
    cancelled, removed = Job(number=1), Job(number=2)
    await executor.append(cancelled, 1)
    await executor.append(removed, 2)
    await asyncio.sleep(0.5)
    assert await executor.cancel(cancelled)
    await asyncio.sleep(1)
    executor.states.remove_item(removed)
    await executor.processor.join()
    assert Job.log == []
    assert consistent(executor)
    await executor.stop()


# --- cancelling, skipping, waiting -------------------------------------------------------------


async def test_cancel_in_each_state() -> None:
    executor = await ready(concurrency_limit=1)
    running, waiting, done = Job(seconds=9.0), Job(), Job()
    done.status = S.FAILED
    for priority, event in enumerate((running, waiting, done)):
        await executor.append(event, priority)
    await asyncio.sleep(1)
    assert await executor.cancel(waiting)
    assert executor.processor.queue.empty()
    assert isinstance(waiting.execution.error, asyncio.CancelledError)
    assert await executor.cancel(running.id)
    assert not await executor.cancel(running)
    assert not await executor.cancel(done)
    await executor.processor.join()
    assert executor.get_events_by_status(S.CANCELLED) == [waiting, running]
    assert executor.failed_events == [done]
    with pytest.raises(flow.NotFoundError):
        await executor.cancel(uuid4())
    unstarted = Jobs()
    await unstarted.append(lone := Job(), 5)
    assert await unstarted.cancel(lone)
    assert consistent(unstarted)


async def test_cancel_between_the_grant_and_the_first_step() -> None:
    executor = await ready(GatedJobs)
    event = Job()
    await executor.append(event, 1)
    while executor.processor.find_run(event.id.int) is None:  # noqa: ASYNC110 (a step, not a time)
        await asyncio.sleep(0)
    if event.status is S.PENDING:
        assert await executor.cancel(event)
    await executor.append(second := Job(), 1)
    assert await executor.cancel(second)
    await executor.processor.join()
    assert second.status is S.CANCELLED
    assert consistent(executor)


async def test_an_event_that_swallows_its_cancellation_is_not_cancelled() -> None:
    async def stubborn() -> int:
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            return 1
        return 2

    executor = await ready()
    event = Job(work=stubborn)
    await executor.append(event)
    await asyncio.sleep(1)
    assert not await executor.cancel(event)
    assert event.status is S.COMPLETED


def undying(gate: asyncio.Event) -> Callable[[], Awaitable[object]]:
    async def work() -> None:
        while not gate.is_set():
            with suppress(asyncio.CancelledError):
                await gate.wait()

    return work


async def test_an_event_that_ignores_its_cancellation_is_given_up_loudly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = asyncio.Event()
    executor = await ready(concurrency_limit=3)
    await executor.append(stuck := Job(work=undying(gate)), 1)
    await executor.append(Job(seconds=60.0), 2)
    await asyncio.sleep(1)
    assert not await executor.cancel(stuck)
    assert now() - 1000 == pytest.approx(2)
    assert await executor.shutdown(timeout=3.0) == 2
    assert now() - 1000 == pytest.approx(6)
    assert [str(stuck.id) in record.getMessage() for record in caplog.records] == [True, True]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert executor.status_counts()["cancelled"] == 1
    assert executor.processing_events == [stuck]
    gate.set()
    await executor.processor.join()
    assert status_of(stuck) is S.COMPLETED
    assert not engine_tasks()
    assert consistent(executor)


async def test_skip_takes_pending_events_only() -> None:
    executor = await ready(Manual)
    event = Job()
    await executor.append(event)
    assert await executor.skip(event.id)
    assert not await executor.skip(event)
    assert executor.get_events_by_status("skipped") == [event]
    assert executor.processor.queue.empty()


async def test_wait_returns_the_event_when_the_index_agrees() -> None:
    executor = await ready()
    event = Job(seconds=1.0)
    await executor.append(event)
    assert await executor.wait(event.id) is event
    assert event in executor.completed_events
    assert await executor.wait(event) is event
    with pytest.raises(flow.NotFoundError):
        await executor.wait(uuid4())
    await executor.stop()
    await executor.append(gone := Job())
    waiter = spawn(executor.wait(gone))
    await asyncio.sleep(0)
    await executor.cleanup_events([S.PENDING])
    with pytest.raises(flow.NotFoundError, match="removed"):
        await waiter


async def test_subscribers_hear_every_change_once_and_cannot_disturb(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[tuple[flow.EventStatus, flow.EventStatus, int]] = []
    executor = await ready()

    def hear(event: flow.Event, old: flow.EventStatus, new: flow.EventStatus) -> None:
        assert event in executor.get_events_by_status(new)
        heard.append((old, new, sum(executor.status_counts().values())))
        raise RuntimeError

    unsubscribe = executor.subscribe(hear)
    await executor.append(Job())
    with caplog.at_level(logging.CRITICAL):
        await executor.processor.join()
    assert heard == [(S.PENDING, S.PROCESSING, 1), (S.PROCESSING, S.COMPLETED, 1)]
    unsubscribe()
    unsubscribe()
    await executor.append(Job())
    await executor.processor.join()
    assert len(heard) == 2


async def test_a_base_exception_of_an_event_ends_neither_loop_nor_batch() -> None:
    async def leave() -> None:
        raise SystemExit(3)

    executor = await ready()
    bad, good = Job(work=leave), Job()
    await executor.append(bad, 1)
    await executor.append(good, 2)
    await executor.processor.join()
    assert (bad.status, good.status) == (S.FAILED, S.COMPLETED)
    assert await executor.shutdown() == 0
    assert await Jobs().shutdown() == 0


# --- the index ---------------------------------------------------------------------------------


async def test_inspect_state_and_repr_have_one_format() -> None:
    executor = Jobs(name="my_executor")
    await executor.append(Job())
    assert executor.inspect_state() == (
        "Executor State (my_executor):\n  pending: 1 event\n  processing: 0 events\n"
        "  completed: 0 events\n  failed: 0 events\n  cancelled: 0 events\n"
        "  skipped: 0 events\n  aborted: 0 events"
    )
    assert repr(flow.Executor()) == (
        "Executor(total=0, pending=0, processing=0, completed=0, failed=0, cancelled=0, "
        "skipped=0, aborted=0)"
    )


async def test_an_event_leaves_every_other_status_progression() -> None:
    executor = Jobs()
    event = Job()
    await executor.append(event)
    executor.states.get_progression("failed").append(event)
    executor.states.get_progression("failed").append(event)
    mine = flow.Progression([event], name="mine")
    executor.states.add_progression(mine)
    for status in (S.COMPLETED, S.COMPLETED, S.ABORTED):
        await executor._update_progression(event, status)
        assert executor.get_events_by_status(status) == [event]
        assert consistent(executor)
    assert event.status is S.PENDING
    assert event in mine
    with pytest.raises(KeyError):
        executor.get_events_by_status("invalid_status")
    assert executor.get_events_by_status("aborted") == executor.get_events_by_status(S.ABORTED)


async def test_a_missing_status_progression_is_named_and_does_not_end_the_loop() -> None:
    executor = await ready()
    removed = executor.states.remove_progression("completed")
    event = Job()
    with pytest.raises(
        flow.ConfigurationError, match=r"Progression 'completed' not found.*pending"
    ):
        await executor._update_progression(event, S.COMPLETED)
    await executor.append(event)
    await executor.processor.join()
    assert event.status is S.COMPLETED
    assert executor.status_counts()["completed"] == 0
    executor.states.add_progression(removed)
    await executor._update_progression(event)
    assert executor.completed_events == [event]
    assert executor.processing_events == executor.pending_events == []


async def test_a_move_waits_for_the_progressions_lock_even_when_cancelled() -> None:
    executor = await ready()
    event = Job(seconds=1.0)
    await executor.append(event)
    await asyncio.sleep(0.5)
    async with executor.states.progressions:
        await asyncio.sleep(1)
        assert event.status is S.COMPLETED
        assert executor.processing_events == [event]
        executor.processor.find_run(event.id.int).task.cancel()
        await asyncio.sleep(0)
    assert await executor.wait(event) is event
    assert executor.completed_events == [event]


async def test_cancelling_an_event_that_waits_for_the_lock_to_begin() -> None:
    executor = await ready()
    events = [Job(), Job()]
    async with executor.states.progressions:
        for event in events:
            await executor.append(event)
        await asyncio.sleep(0.1)
        assert executor.processor.find_run(events[0].id.int) is not None
        cancelling = spawn(executor.cancel(events[0]))
        executor.processor.find_run(events[1].id.int).task.cancel()
        await asyncio.sleep(0.1)
    assert await cancelling
    await executor.processor.join()
    assert [event.status for event in events] == [S.CANCELLED, S.CANCELLED]
    assert Job.log == []
    assert consistent(executor)


async def test_cleanup_removes_the_named_statuses_everywhere() -> None:
    executor = await ready(Manual)
    events = {status: Job() for status in S}
    for status, event in events.items():
        await executor.append(event)
        event.status = status
        await executor._update_progression(event)
    mine = flow.Progression(list(events.values()), name="mine")
    executor.states.add_progression(mine)
    assert await executor.cleanup_events() == 3
    left = [S.PENDING, S.PROCESSING, S.CANCELLED, S.SKIPPED]
    assert list(executor.states.items) == [events[s] for s in left]
    assert mine.order == [events[s].id for s in left]
    assert await executor.cleanup_events("skipped") == 1
    assert await executor.cleanup_events([S.PENDING, "cancelled", S.PENDING]) == 2
    assert events[S.PENDING] not in executor
    assert await executor.cleanup_events() == 0
    with pytest.raises(KeyError):
        await executor.cleanup_events(["nonsense"])
    data = executor.states.to_dict()
    assert [one["id"] for one in data["items"]["items"]] == [events[S.PROCESSING].id]


async def test_a_removed_running_event_finishes_and_is_not_listed_again() -> None:
    executor = await ready()
    event = Job(seconds=1.0)
    await executor.append(event)
    await asyncio.sleep(0.5)
    waiter = spawn(executor.wait(event))
    await asyncio.sleep(0)
    assert await executor.cleanup_events([S.PROCESSING]) == 1
    assert await waiter is event
    await executor.processor.join()
    assert event.status is S.COMPLETED
    assert executor.completed_events == []
    assert consistent(executor)


async def test_cleanup_waits_for_the_items_lock_first_and_lets_others_run() -> None:
    executor = Jobs()
    for _ in range(2500):
        await executor.append(Job())
    async with executor.states.items:
        cleaning = spawn(executor.cleanup_events("pending"))
        await asyncio.sleep(0)
        assert not executor.states.progressions.async_lock.is_held
    sizes = set()
    while not cleaning.done():
        await asyncio.sleep(0)
        sizes.add(len(executor.states.items))
    assert cleaning.result() == 2500
    assert all(b - a <= 1000 for a, b in pairwise(sorted(sizes)))


async def test_after_a_swallowed_cancellation_the_next_event_runs_in_another_task() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            return

    async def clean() -> int:
        task = asyncio.current_task()
        return -1 if task is None else task.cancelling()

    executor = await ready(concurrency_limit=1)
    first, second = Job(work=stubborn), Job(work=clean)
    await executor.append(first, 1)
    await executor.append(second, 2)
    await asyncio.sleep(1)
    assert not await executor.cancel(first)
    await executor.processor.join()
    assert second.response == 0


async def test_the_states_come_back_from_a_snapshot() -> None:
    async def fail() -> None:
        raise flow.AccessError("no")

    executor = await ready()
    for n in range(4):
        await executor.append(Job(number=n, work=fail if n == 2 else None), n)
    await executor.processor.join()
    await executor.stop()
    await executor.append(Job(number=9))
    for event in executor.states.items:
        event.work = None
    data = json.loads(json.dumps(executor.states.to_dict("json")))
    copy: flow.Flow[Job] = flow.Flow.from_dict(data, item_type=Job)
    assert copy.to_dict("json") == data
    assert [e.number for e in copy.items] == [0, 1, 2, 3, 9]
    for status in S:
        ours, theirs = (x.get_progression(status.value).order for x in (executor.states, copy))
        assert ours == theirs


async def test_terminal_events_in_the_queue_only_move_the_index() -> None:
    executor = await ready(Manual)
    event = Job()
    await executor.append(event)
    await event.invoke()
    await executor.forward()
    assert executor.completed_events == [event]
    assert len(Job.log) == 1


async def test_an_overloaded_producer_is_refused_and_cleaning_bounds_the_memory() -> None:
    executor = await ready(max_queue_size=1000)
    stored = 0
    for n in range(5000):
        await executor.append(Job(number=n))
        if n % 500 == 0:
            await executor.processor.join() if n < 100 else await asyncio.sleep(10)
            await executor.cleanup_events()
        stored = max(stored, len(executor.states.items))
    assert stored < 1500
    await executor.stop()
