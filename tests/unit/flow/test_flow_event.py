"""Events: construction, life cycle, streams, retry and serialisation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import pytest

from engine import flow

S = flow.EventStatus
pytestmark = pytest.mark.anyio


class Job(flow.Event):
    work: Callable[[], Awaitable[object]] | None = None
    data: dict[str, Any] = {}  # noqa: RUF012 (copied for each event)
    number: int = 0
    LIMIT: ClassVar[int] = 3

    async def _invoke(self) -> object:
        return None if self.work is None else await self.work()


def raising(exc: BaseException) -> Callable[[], Awaitable[object]]:
    async def work() -> object:
        raise exc

    return work


async def forever() -> None:
    await asyncio.Event().wait()


def test_an_event_has_a_random_v4_id_and_an_aware_time() -> None:
    first, second = Job(), Job()
    assert first.id.version == 4
    assert first.id.variant == "specified in RFC 4122"
    assert first.id is first.id
    assert first.id != second.id
    assert first.created_at.tzinfo is UTC
    assert first.metadata == {}
    first.metadata["x"] = 1
    assert second.metadata == {}
    assert first
    assert repr(first) == f"Job(id={first.id})"


def test_id_and_time_are_given_in_several_forms_and_read_only() -> None:
    uid, when = UUID(int=5), datetime(2026, 1, 2, 3, tzinfo=UTC)
    event = Job()
    for form in (when, when.timestamp(), when.isoformat(), when.replace(tzinfo=None)):
        event = Job(id=str(uid), created_at=form)
        assert event.id == uid
        assert event.created_at == when
    assert Job(id=uid) == Job(id=uid)
    assert len({Job(id=uid), Job(id=uid)}) == 1
    assert Job() != "x"
    for name in ("id", "created_at"):
        with pytest.raises(AttributeError):
            setattr(event, name, uid)


@pytest.mark.parametrize(
    "fields",
    [
        {"nonsense": 1},
        {"LIMIT": 1},
        {"id": "x"},
        {"id": 5},
        {"created_at": "x"},
        {"created_at": None},
        {"created_at": 1e300},
        {"metadata": 1},
        {"execution": 1},
        *({"timeout": bad} for bad in (0, -1, float("inf"), float("nan"), "1", True, 10**400)),
    ],
    ids=str,
)
def test_bad_construction_is_a_value_error(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the class is the rule)
        Job(**fields)


def test_fields_have_defaults_and_mutable_ones_are_copied() -> None:
    first, second = Job(), Job(number=7)
    first.data["a"] = 1
    assert second.data == {}
    assert (first.number, second.number) == (0, 7)


def test_a_field_without_default_is_required() -> None:
    class Order(flow.Event):
        symbol: str

    assert Order(symbol="X").symbol == "X"
    with pytest.raises(ValueError, match="symbol"):
        Order()


def test_a_subclass_may_change_defaults_and_hook_construction() -> None:
    class Hooked(Job):
        timeout = 5.0
        streaming: bool = True
        number: int = 3

        def model_post_init(self, context: object) -> None:
            self.data["seen"] = (context, self.number)

    event = Hooked()
    assert (event.timeout, event.streaming) == (5.0, True)
    assert event.data == {"seen": (None, 3)}

    class Broken(Job):
        timeout = 0.0

    with pytest.raises(ValueError, match="timeout"):
        Broken()


def test_the_status_takes_members_and_strings_only() -> None:
    event = Job()
    event.status = "failed"
    assert event.status is S.FAILED
    event.status = S.PENDING
    with pytest.raises(ValueError):  # noqa: PT011 (the class is the rule)
        event.status = "nonsense"
    with pytest.raises(ValueError, match=r"^Invalid status type"):
        event.status = 1  # type: ignore[assignment]  # refused
    assert event.request == {}
    with pytest.raises(AttributeError):
        event.response = 1  # type: ignore[misc]  # read-only


async def test_success_fills_the_record() -> None:
    event = Job()
    await event.invoke()
    record = event.execution
    assert (record.status, record.response, record.error) == (S.COMPLETED, None, None)
    assert record.retryable is False
    assert isinstance(record.duration, float)


async def test_the_status_is_processing_before_the_work_begins() -> None:
    seen: list[flow.EventStatus] = []

    async def work() -> None:
        seen.append(event.status)

    event = Job(work=work)
    await event.invoke()
    assert seen == [S.PROCESSING]


@pytest.mark.parametrize(
    ("exc", "retryable"),
    [
        (ValueError("x"), True),
        (TimeoutError("venue"), True),
        (flow.AccessError("x"), False),
        (flow.EngineTimeoutError("inner"), True),
        (ExceptionGroup("g", [ValueError()]), True),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("limit", [None, 5.0])
async def test_an_error_is_stored_and_not_raised(
    exc: Exception, retryable: bool, limit: float | None
) -> None:
    event = Job(work=raising(exc), timeout=limit)
    await event.invoke()
    assert event.status is S.FAILED
    assert event.execution.error is exc
    assert event.execution.retryable is retryable
    assert event.response is flow.Unset
    assert event.execution.duration is not flow.Unset


async def test_the_base_event_does_nothing_but_say_so() -> None:
    event = flow.Event()
    await event.invoke()
    assert "Subclasses must implement _invoke" in str(event.execution.error)
    with pytest.raises(NotImplementedError, match="Subclasses must implement stream"):
        await event.stream()  # type: ignore[misc]  # awaitable only to say this
    await (fresh := flow.Event()).consume_stream()
    assert "Subclasses must implement stream" in str(fresh.execution.error)


async def test_the_own_limit_ends_an_event_as_cancelled() -> None:
    event = Job(work=forever, timeout=0.05)
    await event.invoke()
    assert event.status is S.CANCELLED
    assert isinstance(event.execution.error, flow.EngineTimeoutError)
    assert not isinstance(event.execution.error, OSError)
    assert "timed out after 0.05s" in str(event.execution.error)
    assert event.execution.retryable is True
    assert event.execution.duration is not flow.Unset


async def test_work_that_swallows_its_limit_has_exceeded_it_all_the_same() -> None:
    async def stubborn() -> int:
        try:
            await forever()
        except asyncio.CancelledError:
            return 1
        return 2

    async def failing() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            raise ValueError("while cleaning up") from None

    for work in (stubborn, failing):
        event = Job(work=work, timeout=0.05)
        await event.invoke()
        assert event.status is S.CANCELLED
        assert "timed out" in str(event.execution.error)


@pytest.mark.parametrize("fails", [False, True])
async def test_work_that_never_yields_cannot_be_cut_off_and_keeps_its_outcome(fails: bool) -> None:
    async def hold() -> int:
        loop: Any = asyncio.get_running_loop()
        loop.block(5.0)
        if fails:
            raise ValueError("late")
        return 7

    event = Job(work=hold, timeout=0.05)
    await event.invoke()
    # What was done must not look as if a retry were safe.
    assert event.status is (S.FAILED if fails else S.COMPLETED)
    assert event.response == (flow.Unset if fails else 7)


@pytest.mark.parametrize("limit", [None, 9.0])
async def test_cancellation_from_outside_is_recorded_and_raised(limit: float | None) -> None:
    event = Job(work=forever, timeout=limit)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await event.invoke()
    assert event.status is S.CANCELLED
    assert isinstance(event.execution.error, asyncio.CancelledError)
    assert event.execution.retryable is True


@pytest.mark.parametrize("exc", [BaseExceptionGroup("g", [SystemExit()]), GeneratorExit()])
async def test_other_base_exceptions_are_recorded_and_raised(exc: BaseException) -> None:
    event = Job(work=raising(exc))
    with pytest.raises(type(exc)):
        await event.invoke()
    assert event.status is S.FAILED
    assert event.execution.retryable is False


async def test_of_many_calls_one_runs() -> None:
    count = 0

    async def work() -> int:
        nonlocal count
        count += 1
        await asyncio.sleep(0.01)
        return count

    event = Job(work=work)
    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(event.invoke())
    assert count == event.response == 1
    await event.invoke()
    assert count == 1


async def test_a_terminal_event_stays_as_it_is() -> None:
    event = Job(work=raising(ValueError()))
    for status in S:
        if status.is_terminal:
            event.status = status
            await event.invoke()
            assert event.status is status
            assert event.execution.error is flow.Unset


async def test_cancelling_a_waiter_spares_the_run_and_cancelling_the_run_releases_waiters() -> None:
    event = Job(work=forever)
    async with asyncio.TaskGroup() as group:
        runner = group.create_task(event.invoke())
        await asyncio.sleep(0)
        waiters = [group.create_task(event.invoke()) for _ in range(2)]
        await asyncio.sleep(0)
        waiters[0].cancel()
        await asyncio.sleep(0)
        assert str(event.status) == "processing"
        runner.cancel()
    assert waiters[0].cancelled()
    assert not waiters[1].cancelled()
    assert runner.cancelled()
    assert event.status is S.CANCELLED


async def test_a_status_that_the_work_set_itself_is_final() -> None:
    async def work() -> int:
        event.status = S.SKIPPED
        return 1

    event = Job(work=work)
    await event.invoke()
    assert event.status is S.SKIPPED
    assert event.response == 1


class Stream(Job):
    streaming = True
    ending: str = ""

    async def stream(self) -> AsyncIterator[object]:
        assert self.status is S.PROCESSING
        yield 1
        if self.ending == "error":
            raise ValueError("x")
        if self.ending == "hang":
            await forever()
        if self.ending == "own":
            self.execution.response = 42
            self.status = S.SKIPPED
        yield 2


@pytest.mark.parametrize(
    ("ending", "status"),
    [("", S.COMPLETED), ("error", S.FAILED), ("hang", S.CANCELLED), ("own", S.SKIPPED)],
)
async def test_a_stream_is_recorded_like_a_run(ending: str, status: flow.EventStatus) -> None:
    event = Stream(ending=ending, timeout=1.0)
    await event.consume_stream()
    assert event.status is status
    assert event.execution.duration is not flow.Unset
    assert event.response == {"": None, "own": 42}.get(ending, flow.Unset)


async def test_a_coroutine_that_returns_a_stream_is_awaited() -> None:
    class Late(Job):
        async def stream(self) -> AsyncIterator[object]:  # type: ignore[override]  # the other form
            return _numbers()

    event = Late()
    await event.consume_stream()
    assert event.status is S.COMPLETED


async def _numbers() -> AsyncIterator[object]:
    yield 1


def test_a_fresh_event_shares_nothing_and_remembers_its_origin() -> None:
    old = Job(timeout=2.0, number=3, data={"a": [1]}, metadata={"k": [1]})
    old.status = S.FAILED
    fresh = old.as_fresh_event()
    assert type(fresh) is Job
    assert fresh.id != old.id
    assert fresh.execution == flow.Execution()
    assert (fresh.timeout, fresh.number, fresh.data) == (2.0, 3, {"a": [1]})
    fresh.data["a"].append(2)
    assert old.data == {"a": [1]}
    origin = {"id": str(old.id), "created_at": old.created_at}
    assert fresh.metadata == {"original": origin}
    copied = old.as_fresh_event(copy_meta=True)
    assert copied.metadata == {"k": [1], "original": origin}
    assert copied.metadata["k"] is not old.metadata["k"]
    assert "original" not in old.metadata
    assert old.status is S.FAILED


def test_to_dict_has_the_base_fields_the_record_and_the_declared_ones() -> None:
    event = Job(data={"id": UUID(int=1)}, timeout=1.0)
    python = event.to_dict()
    assert list(python) == ["id", "created_at", "metadata", "execution", "work", "data", "number"]
    assert python["id"] == event.id
    assert python["created_at"] == event.created_at
    plain = event.to_dict("json")
    assert plain["id"] == str(event.id)
    assert plain["data"] == {"id": str(UUID(int=1))}
    json.dumps(plain)
    with pytest.raises(ValueError, match="mode"):
        event.to_dict("xml")  # type: ignore[arg-type]  # refused


async def test_an_event_comes_back_from_its_dict() -> None:
    done, failed = Job(number=4), Job(work=raising(flow.AccessError("no", details={"a": 1})))
    await done.invoke()
    await failed.invoke()
    failed.work = None
    for event in (done, failed, Job()):
        for mode in ("python", "json"):
            copy = Job.from_dict(event.to_dict(mode))
            assert copy == event
            assert copy.to_dict("json") == event.to_dict("json")
    assert Job.from_dict(done.to_dict()).response is None
    assert Job.from_dict(Job().to_dict()).response is flow.Unset


@pytest.mark.parametrize(
    "change",
    [
        {"execution": None},
        {"execution": {"status": "nonsense"}},
        {"execution": {"status": "failed"}},
        {"id": "x"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_corrupt_dict_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(flow.ValidationError):
        Job.from_dict({**Job().to_dict(), **change})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("duration", "long"),
        ("duration", float("nan")),
        ("duration", float("inf")),
        ("duration", -1.0),
        ("duration", 10**400),
        ("duration", True),
        ("retryable", "maybe"),
        ("retryable", 1),
        ("error", "text"),
        ("error", {"message": [1]}),
        ("error", {"error": "ValueError", "message": [1]}),
        ("error", {"error": "ValueError", "message": "x", "retryable": "no"}),
        ("error", {"error": "G", "message": "x", "exceptions": "all"}),
        ("error", {"error": "G", "message": "x", "exceptions": [{"error": 5, "message": ""}]}),
    ],
    ids=str,
)
def test_a_corrupt_record_is_refused_and_the_field_named(field: str, value: Any) -> None:
    record = {**flow.Execution(flow.EventStatus.FAILED).to_dict(), field: value}
    with pytest.raises(flow.ValidationError, match=f"record is corrupt: its {field} is"):
        Job.from_dict({**Job().to_dict(), "execution": record})


async def test_the_error_of_a_group_comes_back_from_its_dict() -> None:
    group = ExceptionGroup("g", [ValueError("v"), ExceptionGroup("h", [flow.AccessError("no")])])
    event = Job(work=raising(group))
    await event.invoke()
    event.work = None
    copy = Job.from_dict(json.loads(json.dumps(event.to_dict("json"))))
    assert copy.to_dict("json") == event.to_dict("json")
