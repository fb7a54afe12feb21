"""What the pool refuses before anything is sent (scheduling 14), and its options."""

from __future__ import annotations

import math
import traceback
from typing import Any

import httpx2
import pytest

from engine.scheduling.pool_options import POOL_OPTIONS
from engine.scheduling.resource_pool import ResourcePool
from tests.unit.resource_pool.conftest import MakePool, Script, StepClock, outcome_of

pytestmark = pytest.mark.anyio
URL = "https://venue.test/v1/thing"

DEFAULTS = {
    "http_pool_size": 20,
    "http_timeout": 30,
    "http_retry_count": 3,
    "http_retry_delay": 1.0,
    "http_retry_max_delay": 30,
    "rate_limit_window": 60,
    "cache_ttl": 60,
    "cache_max_size": 10000,
    "http_max_body": 16 * 1024 * 1024,
    "close_grace": 2,
}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://venue.test/x",
        "venue.test/x",
        "/x",
        "",
        "https://",
        "https://user:hush@venue.test/x",
        "https://hush@venue.test/x",
        "https://venue.test:hush/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        None,
        7,
    ],
)
async def test_only_plain_http_urls_are_taken(
    make_pool: MakePool, script: Script, url: object
) -> None:
    pool = make_pool()
    with pytest.raises(ValueError, match="url") as caught:
        await pool.http_request("GET", url)  # type: ignore[arg-type]
    assert "hush" not in str(caught.value)
    assert script.sent == 0
    assert pool.get_stats()["http_requests"] == 0


@pytest.mark.parametrize("rate_limit", [0, -1, 1.0, "5", True, math.nan])
async def test_a_rate_limit_is_a_whole_number_above_zero(
    make_pool: MakePool, script: Script, rate_limit: Any
) -> None:
    pool = make_pool()
    with pytest.raises(ValueError, match="rate_limit"):
        await pool.http_request("GET", URL, rate_limit=rate_limit)
    with pytest.raises(ValueError, match="rate_limit"):
        pool.configure_api("venue", rate_limit=rate_limit)
    assert script.sent == 0


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, "5", True])
async def test_a_timeout_is_a_finite_number_above_zero(make_pool: MakePool, seconds: Any) -> None:
    with pytest.raises(ValueError, match="timeout"):
        await make_pool().http_request("GET", URL, timeout=seconds)


@pytest.mark.parametrize("method", ["", "GET /", "GE T", None, 7, "A" * 40])
async def test_a_method_is_a_word(make_pool: MakePool, method: Any) -> None:
    with pytest.raises(ValueError, match="method"):
        await make_pool().http_request(method, URL)


@pytest.mark.parametrize("retry", [-1, 1.5, "3"])
async def test_a_retry_count_is_a_count(make_pool: MakePool, retry: Any) -> None:
    with pytest.raises(ValueError, match="retry"):
        await make_pool().http_request("GET", URL, retry=retry)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 201, None, 7])
async def test_an_api_has_a_printable_name(make_pool: MakePool, name: Any) -> None:
    pool = make_pool()
    with pytest.raises(ValueError, match="api_name"):
        await pool.http_request("GET", URL, name)
    with pytest.raises(ValueError, match="api_name"):
        pool.configure_api(name)


async def test_unknown_arguments_and_streams_are_refused(
    make_pool: MakePool, script: Script
) -> None:
    pool = make_pool()
    with pytest.raises(TypeError, match="verify"):
        await pool.http_request("GET", URL, verify=False)
    with pytest.raises(TypeError, match="content"):
        await pool.http_request("PUT", URL, content=iter([b"x"]))
    assert script.sent == 0


@pytest.mark.parametrize("value", ["hush\r\nX: 1", "hush\n", "hush\x00"])
async def test_a_header_that_breaks_http_is_refused_without_being_repeated(
    make_pool: MakePool, script: Script, value: str
) -> None:
    pool = make_pool()
    with pytest.raises(ValueError, match="x-key") as caught:
        await pool.http_request("GET", URL, headers={"X-Key": value})
    assert "hush" not in str(caught.value)
    assert script.sent == 0


async def test_what_the_http_library_refuses_is_not_repeated_either(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [httpx2.LocalProtocolError("Illegal header value b'hush'")]
    pool = make_pool()
    failure = await outcome_of(clock, lambda: pool.http_request("GET", URL))
    assert isinstance(failure, ValueError)
    assert "hush" not in "".join(traceback.format_exception(failure))
    assert script.sent == 1


@pytest.mark.parametrize("base_url", ["ftp://x", "https://u:p@x", "https://x/?a=1", "https://x/#f"])
def test_a_base_url_is_plain(base_url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        ResourcePool().configure_api("venue", base_url=base_url)


@pytest.mark.parametrize("key", ["", "x" * 513, None, 7, b"x"])
async def test_a_cache_key_is_a_string_of_1_to_512_characters(
    make_pool: MakePool, key: Any
) -> None:
    pool = make_pool()
    for call in (
        lambda: pool.cache_get(key),
        lambda: pool.cache_set(key, 1),
        lambda: pool.cache_delete(key),
        lambda: pool.cache_get_or_set(key, pool.cache_clear),
    ):
        with pytest.raises(ValueError, match="cache key"):
            await call()


@pytest.mark.parametrize("ttl", [-1, -0.001, math.nan, "5", True, 10**400])
async def test_a_lifetime_is_a_number_of_at_least_zero(make_pool: MakePool, ttl: Any) -> None:
    pool = make_pool()
    with pytest.raises(ValueError, match="ttl"):
        await pool.cache_set("key", 1, ttl)
    with pytest.raises(ValueError, match="ttl"):
        await pool.cache_get_or_set("key", pool.cache_clear, ttl)


def test_the_options_have_their_defaults() -> None:
    pool = ResourcePool()
    assert {name: getattr(pool, name) for name in POOL_OPTIONS} == DEFAULTS
    assert set(POOL_OPTIONS) == set(DEFAULTS)


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="http_pool_sise"):
        ResourcePool({"http_pool_sise": 3})


BAD: list[tuple[str, list[object]]] = [
    ("http_pool_size", [0, -1, 1.5, True, "3", None, 10_001]),
    ("http_timeout", [0, -1, math.inf, math.nan, True, "3"]),
    ("http_retry_count", [-1, 1.5, True, 101]),
    ("http_retry_delay", [-0.1, math.inf, math.nan, False]),
    ("http_retry_max_delay", [-0.1, math.inf, math.nan, False]),
    ("rate_limit_window", [0, -1, math.inf, math.nan, True]),
    ("cache_ttl", [-1, math.nan, True]),
    ("cache_max_size", [-1, 1.5, True]),
    ("http_max_body", [-1, 1.5, True]),
    ("close_grace", [-1, math.inf, math.nan, True]),
]


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD for value in values]
)
def test_a_refused_value_leaves_the_old_one(name: str, value: object) -> None:
    pool = ResourcePool()
    with pytest.raises(ValueError, match=name):
        setattr(pool, name, value)
    assert getattr(pool, name) == DEFAULTS[name]
    with pytest.raises(ValueError, match=name):
        ResourcePool({name: value})


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_every_option_can_be_assigned(name: str) -> None:
    pool = ResourcePool()
    setattr(pool, name, 7)
    assert getattr(pool, name) == 7


async def test_an_apis_settings_reach_its_requests(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    pool = make_pool()
    pool.configure_api("venue", "https://venue.test/api/", {"X-Key": "hush"}, timeout=3.0)
    await outcome_of(clock, lambda: pool.http_request("GET", "/v1/time?a=1", "venue"), seconds=0)
    await outcome_of(clock, lambda: pool.http_request("GET", "v1/time", "venue"), seconds=0)
    await outcome_of(
        clock, lambda: pool.http_request("GET", "https://other.test/x", "venue"), seconds=0
    )
    first, second, third = script.requests
    assert str(first.url) == "https://venue.test/api/v1/time?a=1"
    assert str(second.url) == "https://venue.test/api/v1/time"
    assert first.headers["x-key"] == second.headers["x-key"] == "hush"
    assert "x-key" not in third.headers
    assert clock.bounds == pytest.approx([3.0] * 3)


async def test_the_callers_headers_win(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    pool = make_pool()
    pool.configure_api("venue", headers={"X-Key": "configured", "X-Other": "1"})
    await outcome_of(
        clock, lambda: pool.http_request("GET", URL, "venue", headers={"x-key": "given"})
    )
    assert script.requests[0].headers["x-key"] == "given"
    assert script.requests[0].headers["x-other"] == "1"
