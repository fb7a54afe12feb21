"""The retry table of scheduling 8.2, row by row, over a scripted transport."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import anyio
import httpx2
import pytest

from engine.scheduling.http_outcome import RETRIES, Outcome, outcome_of_error
from engine.scheduling.pool_errors import BodyTooLarge, BodyUndecodable, RequestFailed
from tests.unit.resource_pool.conftest import (
    Luck,
    MakePool,
    Script,
    Step,
    StepClock,
    outcome_of,
    settle,
)

pytestmark = pytest.mark.anyio
URL = "https://venue.test/v1/thing"
IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]
OTHERS = ["POST", "PATCH"]


def certificate_error() -> httpx2.ConnectError:
    error = httpx2.ConnectError("certificate verify failed")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
    return error


async def ask(clock: StepClock, make_pool: MakePool, method: str, **extra: Any) -> Any:
    pool = make_pool()
    return await outcome_of(clock, lambda: pool.http_request(method, URL, **extra))


@pytest.mark.parametrize("method", IDEMPOTENT + OTHERS)
@pytest.mark.parametrize(
    "error",
    [
        httpx2.ConnectError("name lookup"),
        httpx2.ConnectTimeout("connect"),
        httpx2.PoolTimeout("no free connection"),
    ],
    ids=["lookup", "connect", "pool"],
)
async def test_nothing_was_sent_so_every_method_is_tried_again(
    clock: StepClock, make_pool: MakePool, script: Script, method: str, error: Exception
) -> None:
    script.steps = [error, error, httpx2.Response(200, json={"ok": True})]
    assert await ask(clock, make_pool, method) == (200, {"ok": True})
    assert script.sent == 3


@pytest.mark.parametrize("method", IDEMPOTENT)
@pytest.mark.parametrize(
    "error",
    [
        httpx2.ReadError("reset"),
        httpx2.WriteError("reset"),
        httpx2.RemoteProtocolError("peer closed"),
        httpx2.ReadTimeout("slow"),
        ConnectionResetError("reset"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_broken_attempt_is_repeated_when_that_is_harmless(
    clock: StepClock, make_pool: MakePool, script: Script, method: str, error: Exception
) -> None:
    script.steps = [error, 204]
    assert (await ask(clock, make_pool, method))[0] == 204
    assert script.sent == 2


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.parametrize(
    "error",
    [
        httpx2.ReadError("reset"),
        httpx2.WriteError("reset"),
        httpx2.RemoteProtocolError("peer closed"),
        httpx2.ReadTimeout("slow"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_order_is_never_sent_again_after_a_broken_attempt(
    clock: StepClock, make_pool: MakePool, script: Script, method: str, error: Exception
) -> None:
    script.steps = [error, 200]
    failure = await ask(clock, make_pool, method)
    assert isinstance(failure, RequestFailed)
    assert failure.attempts == 1
    assert failure.last_error is error
    assert failure.__cause__ is error
    assert script.sent == 1


async def test_post_is_repeated_when_its_caller_says_it_is_harmless(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [httpx2.ReadError("reset"), 200]
    assert (await ask(clock, make_pool, "POST", idempotent=True))[0] == 200
    assert script.sent == 2


async def test_get_is_not_repeated_when_its_caller_says_it_is_not_harmless(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [503, 200]
    assert (await ask(clock, make_pool, "GET", idempotent=False))[0] == 503
    assert script.sent == 1


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 429])
async def test_busy_statuses_are_tried_four_times_and_then_returned(
    clock: StepClock, make_pool: MakePool, script: Script, status: int
) -> None:
    script.steps = [status]
    assert (await ask(clock, make_pool, "GET"))[0] == status
    assert script.sent == 4


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 429, 418])
@pytest.mark.parametrize("method", OTHERS)
async def test_other_methods_get_their_status_at_once(
    clock: StepClock, make_pool: MakePool, script: Script, method: str, status: int
) -> None:
    script.steps = [status]
    assert (await ask(clock, make_pool, method))[0] == status
    assert script.sent == 1


@pytest.mark.parametrize(
    "status", [200, 204, 301, 304, 400, 401, 403, 404, 409, 418, 422, 501, 505]
)
async def test_any_other_status_is_final(
    clock: StepClock, make_pool: MakePool, script: Script, status: int
) -> None:
    script.steps = [status]
    assert (await ask(clock, make_pool, "GET"))[0] == status
    assert script.sent == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_certificate_that_does_not_verify_is_final(
    clock: StepClock, make_pool: MakePool, script: Script, method: str
) -> None:
    script.steps = [certificate_error()]
    failure = await ask(clock, make_pool, method)
    assert isinstance(failure, RequestFailed)
    assert script.sent == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_undecodable_body_is_final(
    clock: StepClock, make_pool: MakePool, script: Script, method: str
) -> None:
    script.steps = [
        httpx2.Response(200, headers={"content-type": "application/json"}, content=b"{oops")
    ]
    failure = await ask(clock, make_pool, method)
    assert isinstance(failure, BodyUndecodable)
    assert isinstance(failure, ValueError)
    assert failure.attempts == script.sent == 1


async def test_a_body_that_is_too_large_is_final(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [httpx2.Response(200, content=b"x" * 101)]
    pool = make_pool(http_max_body=100)
    failure = await outcome_of(clock, lambda: pool.http_request("GET", URL))
    assert isinstance(failure, BodyTooLarge)
    assert script.sent == 1


async def test_the_largest_body_that_is_allowed_is_read(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [httpx2.Response(200, content=b"x" * 100)]
    pool = make_pool(http_max_body=100)
    assert await outcome_of(clock, lambda: pool.http_request("GET", URL)) == (200, "x" * 100)


async def test_after_the_last_attempt_the_failure_tells_how_many_there_were(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    last = httpx2.ReadError("fourth")
    script.steps = [httpx2.ReadError("first"), httpx2.ReadError("second"), 503, last]
    failure = await ask(clock, make_pool, "GET")
    assert isinstance(failure, RequestFailed)
    assert (failure.attempts, failure.last_error, failure.__cause__) == (4, last, last)
    assert failure.to_dict()["details"] == {"attempts": 4, "last_error": "ReadError"}


async def test_an_attempt_that_takes_too_long_counts_as_broken(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    async def never(request: httpx2.Request) -> httpx2.Response:
        await clock.sleep(10_000)
        raise AssertionError(request)

    script.steps = [never, 200]
    assert (await ask(clock, make_pool, "GET", timeout=5.0))[0] == 200
    assert script.sent == 2


async def test_a_post_that_takes_too_long_was_sent_once(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    async def never(request: httpx2.Request) -> httpx2.Response:
        await clock.sleep(10_000)
        raise AssertionError(request)

    script.steps = [never]
    failure = await ask(clock, make_pool, "POST", timeout=5.0)
    assert isinstance(failure, RequestFailed)
    assert isinstance(failure.last_error, TimeoutError)
    assert script.sent == 1


@pytest.mark.parametrize(("retry", "sent"), [(None, 4), (True, 4), (False, 1), (0, 1), (1, 2)])
async def test_the_caller_may_say_how_often(
    clock: StepClock, make_pool: MakePool, script: Script, retry: bool | int | None, sent: int
) -> None:
    script.steps = [503]
    assert (await ask(clock, make_pool, "GET", retry=retry))[0] == 503
    assert script.sent == sent


async def test_the_count_may_change_while_the_pool_runs(
    clock: StepClock, make_pool: MakePool, script: Script, luck: Luck
) -> None:
    pool = make_pool(http_retry_count=5)
    pool.http_retry_count = 1
    script.steps = [503]
    await outcome_of(clock, lambda: pool.http_request("GET", URL))
    assert script.sent == 2


@pytest.mark.parametrize("where", ["attempt", "backoff", "gate"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_cancellation_is_propagated_at_once(
    clock: StepClock, make_pool: MakePool, script: Script, where: str, method: str
) -> None:
    async def never(request: httpx2.Request) -> httpx2.Response:
        await anyio.Event().wait()
        raise AssertionError(request)

    steps: dict[str, Step] = {
        "attempt": never,
        "backoff": httpx2.ConnectError("refused"),
        "gate": 200,
    }
    script.steps = [steps[where]]
    pool = make_pool()
    if where == "gate":
        await pool.http_request(method, URL, "venue", 1)
    ended: list[BaseException] = []

    async def ask() -> None:
        try:
            await pool.http_request(method, URL, "venue", 1 if where == "gate" else None)
        except BaseException as exc:
            ended.append(exc)
            raise

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await settle()
        group.cancel_scope.cancel()
    assert [type(exc) for exc in ended] == [asyncio.CancelledError]
    assert script.sent == 1
    assert pool.get_stats()["http_errors"] == 0


def test_time_that_is_up_before_anything_was_sent_counts_as_no_connection() -> None:
    assert outcome_of_error(TimeoutError(), is_sent=False) is Outcome.NOT_SENT
    assert outcome_of_error(TimeoutError(), is_sent=True) is Outcome.BROKEN


def test_the_table_has_a_row_for_every_outcome() -> None:
    assert set(RETRIES) == set(Outcome)
    assert all(RETRIES[outcome][0] or not RETRIES[outcome][1] for outcome in Outcome)
