"""How long the pool waits before it tries again, and when it gives up instead."""

from __future__ import annotations

import math
from email.utils import formatdate

import httpx2
import pytest

from engine.scheduling.pool_errors import RateLimitTimeout, RequestFailed
from engine.scheduling.retry_after import LONGEST_S, retry_after_s
from tests.unit.resource_pool.conftest import (
    Luck,
    MakePool,
    Script,
    StepClock,
    Task,
    outcome_of,
    running_as,
)

pytestmark = pytest.mark.anyio
URL = "https://venue.test/v1/thing"


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, [1, 2, 4]), (0.5, [1.5, 2.5, 4.5]), (1.0, [2, 3, 5])]
)
async def test_the_backoff_doubles_and_jitters_by_its_first_step(
    clock: StepClock,
    make_pool: MakePool,
    script: Script,
    luck: Luck,
    share: float,
    expected: list[float],
) -> None:
    luck.share = share
    script.steps = [503]
    pool = make_pool()
    await outcome_of(clock, lambda: pool.http_request("GET", URL))
    assert clock.slept == expected
    assert set(luck.drawn) == {(0.0, 1.0)}


async def test_one_backoff_is_capped(clock: StepClock, make_pool: MakePool, script: Script) -> None:
    script.steps = [503]
    pool = make_pool(http_retry_count=6, http_retry_delay=2.0, http_retry_max_delay=10.0)
    await outcome_of(clock, lambda: pool.http_request("GET", URL))
    assert clock.slept == [3.0, 5.0, 9.0, 10.0, 10.0, 10.0]


async def test_a_delay_of_zero_does_not_wait(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [503]
    pool = make_pool(http_retry_delay=0)
    await outcome_of(clock, lambda: pool.http_request("GET", URL), seconds=0.0)
    assert clock.slept == []
    assert script.sent == 4


@pytest.mark.parametrize("status", [503, 429])
async def test_retry_after_in_seconds_replaces_the_backoff(
    clock: StepClock, make_pool: MakePool, script: Script, status: int
) -> None:
    script.steps = [httpx2.Response(status, headers={"retry-after": "7"}), 200]
    pool = make_pool()
    assert (await outcome_of(clock, lambda: pool.http_request("GET", URL)))[0] == 200
    assert clock.slept == [7.0]


async def test_retry_after_as_a_date_replaces_the_backoff(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    date = formatdate(clock.wall() + 11, usegmt=True)
    script.steps = [httpx2.Response(503, headers={"retry-after": date}), 200]
    pool = make_pool()
    assert (await outcome_of(clock, lambda: pool.http_request("GET", URL)))[0] == 200
    assert clock.slept == [11.0]


async def test_retry_after_beyond_the_cap_ends_the_retries(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [httpx2.Response(503, headers={"retry-after": "31"}), 200]
    pool = make_pool()
    assert (await outcome_of(clock, lambda: pool.http_request("GET", URL), seconds=0))[0] == 503
    assert script.sent == 1


async def test_a_backoff_beyond_the_tasks_deadline_ends_the_retries(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [503]
    pool = make_pool()
    # The first backoff fits (1.5 s), the second (2.5 s) does not.
    with running_as(Task(deadline=clock.now + 3.0)):
        assert (await outcome_of(clock, lambda: pool.http_request("GET", URL)))[0] == 503
    assert script.sent == 2


async def test_a_failure_beyond_the_tasks_deadline_is_raised(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [httpx2.ReadError("reset")]
    pool = make_pool()
    with running_as(Task(deadline=clock.now + 1.0)):
        failure = await outcome_of(clock, lambda: pool.http_request("GET", URL), seconds=0)
    assert isinstance(failure, RequestFailed)
    assert failure.attempts == 1


async def test_a_retry_whose_turn_comes_too_late_gives_the_last_answer(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [503]
    pool = make_pool()  # a window of 60 s: the second permit comes after the deadline
    with running_as(Task(deadline=clock.now + 10.0)):
        answer = await outcome_of(clock, lambda: pool.http_request("GET", URL, rate_limit=1))
    assert answer[0] == 503
    assert script.sent == 1


async def test_a_first_attempt_whose_turn_comes_too_late_is_refused_at_once(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    pool = make_pool()
    await outcome_of(clock, lambda: pool.http_request("GET", URL, rate_limit=1), seconds=0)
    with running_as(Task(deadline=clock.now + 10.0)):
        failure = await outcome_of(
            clock, lambda: pool.http_request("GET", URL, rate_limit=1), seconds=0
        )
    assert isinstance(failure, RateLimitTimeout)
    assert script.sent == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("0", 0.0),
        ("120", 120.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("inf", LONGEST_S),
        ("999999999", LONGEST_S),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10.0),
        ("Thu, 99 Jan 1970 00:16:50 GMT", None),
    ],
)
def test_the_header_in_every_shape(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text, wall=1000.0) == seconds


async def test_the_wait_is_bounded_for_every_draw(
    clock: StepClock, make_pool: MakePool, script: Script, luck: Luck
) -> None:
    script.steps = [503]
    for share in (0.0, 0.1, 0.9, 1.0):
        luck.share = share
        clock.slept.clear()
        pool = make_pool()
        await outcome_of(clock, lambda pool=pool: pool.http_request("GET", URL))  # type: ignore[misc]
        first, second, third = clock.slept
        assert 1 <= first <= 2 <= second <= 3 < 4 <= third <= 5
        assert math.isclose(third - second, 2.0)
