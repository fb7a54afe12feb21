"""What the caller gets of a response, and which redirects are followed."""

from __future__ import annotations

import gzip
from typing import Any

import httpx2
import pytest

from engine.scheduling.pool_errors import BodyTooLarge, BodyUndecodable
from tests.unit.resource_pool.conftest import MakePool, Script, StepClock, outcome_of

pytestmark = pytest.mark.anyio
URL = "https://venue.test/v1/thing"


async def data_of(
    clock: StepClock,
    make_pool: MakePool,
    script: Script,
    content: bytes,
    content_type: str | None,
    *,
    raw: bool = False,
) -> Any:
    headers = {} if content_type is None else {"content-type": content_type}
    script.steps = [httpx2.Response(200, headers=headers, content=content)]
    pool = make_pool()
    outcome = await outcome_of(clock, lambda: pool.http_request("GET", URL, raw=raw))
    return outcome if isinstance(outcome, Exception) else outcome[1]


@pytest.mark.parametrize(
    ("content", "content_type", "data"),
    [
        (b'{"a": [1, 2.5, null]}', "application/json", {"a": [1, 2.5, None]}),
        (b"[]", "application/json; charset=utf-8", []),
        (b'{"title": "no"}', "application/problem+json", {"title": "no"}),
        (b'{"a":1}', "APPLICATION/JSON", {"a": 1}),
        (b"", "application/json", None),
        (b" \n", "application/json", None),
        (b'{"a":1}', "text/plain", '{"a":1}'),
        (b'{"a":1}', None, '{"a":1}'),
        ("größe".encode("latin-1"), "text/plain; charset=iso-8859-1", "größe"),
        ("größe".encode(), "text/html", "größe"),
        (b"", "text/plain", ""),
    ],
)
async def test_the_media_type_decides_what_the_data_is(
    clock: StepClock,
    make_pool: MakePool,
    script: Script,
    content: bytes,
    content_type: str | None,
    data: object,
) -> None:
    assert await data_of(clock, make_pool, script, content, content_type) == data


async def test_raw_gives_bytes_whatever_the_type(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    content = b'{"a":1}'
    got = await data_of(clock, make_pool, script, content, "application/json", raw=True)
    assert got == content


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"<html>", "application/json"),
        (b'{"a": NaN}', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"\xff\xfe\x00", "application/json"),
        (b"\xff", "text/plain; charset=utf-8"),
        (b"x", "text/plain; charset=klingon"),
    ],
    ids=["html", "nan", "deep", "bytes", "utf-8", "charset"],
)
async def test_a_body_that_is_not_what_it_says_is_an_error(
    clock: StepClock, make_pool: MakePool, script: Script, content: bytes, content_type: str
) -> None:
    failure = await data_of(clock, make_pool, script, content, content_type)
    assert isinstance(failure, BodyUndecodable)


async def test_the_error_does_not_repeat_the_body(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    failure = await data_of(clock, make_pool, script, b'{"secret": hush', "application/json")
    link: BaseException | None = failure
    while link is not None:
        assert "hush" not in repr(link)
        assert "hush" not in str(vars(link))
        link = link.__cause__


async def test_broken_compression_is_undecodable(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    async def respond(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(
            200, headers={"content-encoding": "gzip"}, stream=httpx2.ByteStream(b"no gzip")
        )

    script.steps = [respond]
    pool = make_pool()
    failure = await outcome_of(clock, lambda: pool.http_request("GET", URL))
    assert isinstance(failure, BodyUndecodable)
    assert script.sent == 1


async def test_the_cap_counts_what_comes_out_of_the_compression(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)

    async def respond(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(
            200, headers={"content-encoding": "gzip"}, stream=httpx2.ByteStream(bomb)
        )

    script.steps = [respond]
    pool = make_pool(http_max_body=1_000_000)
    failure = await outcome_of(clock, lambda: pool.http_request("GET", URL))
    assert isinstance(failure, BodyTooLarge)


async def test_a_declared_length_over_the_cap_is_not_read_at_all(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    touched = []

    class Stream(httpx2.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            touched.append(1)
            yield b"x"

    async def respond(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-length": "1000"}, stream=Stream())

    script.steps = [respond]
    pool = make_pool(http_max_body=999)
    failure = await outcome_of(clock, lambda: pool.http_request("GET", URL))
    assert isinstance(failure, BodyTooLarge)
    assert touched == []


async def test_head_has_a_length_and_no_body(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [httpx2.Response(200, headers={"content-length": "1000"})]
    pool = make_pool(http_max_body=10)
    assert await outcome_of(clock, lambda: pool.http_request("HEAD", URL)) == (200, "")


def redirect(status: int, location: str) -> httpx2.Response:
    return httpx2.Response(status, headers={"location": location})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_reads_follow_redirects(
    clock: StepClock, make_pool: MakePool, script: Script, method: str, status: int
) -> None:
    script.steps = [redirect(status, "/v2/thing"), httpx2.Response(200, text="there")]
    pool = make_pool()
    assert (await outcome_of(clock, lambda: pool.http_request(method, URL)))[0] == 200
    assert [str(request.url) for request in script.requests] == [URL, "https://venue.test/v2/thing"]
    assert {request.method for request in script.requests} == {method}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_writes_follow_none(
    clock: StepClock, make_pool: MakePool, script: Script, method: str
) -> None:
    script.steps = [redirect(307, "/v2/thing"), 200]
    pool = make_pool()
    assert (await outcome_of(clock, lambda: pool.http_request(method, URL)))[0] == 307
    assert script.sent == 1


async def test_five_redirects_are_followed_and_the_sixth_is_the_answer(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [redirect(302, "/again")]
    pool = make_pool()
    assert (await outcome_of(clock, lambda: pool.http_request("GET", URL)))[0] == 302
    assert script.sent == 6
    assert pool.get_stats()["http_attempts"] == 1


@pytest.mark.parametrize(
    "location",
    [
        "http://venue.test/v1/thing",
        "ftp://venue.test/x",
        "https://me:pw@venue.test/x",
        "file:///etc",
    ],
)
async def test_some_redirects_are_never_followed(
    clock: StepClock, make_pool: MakePool, script: Script, location: str
) -> None:
    script.steps = [redirect(302, location), 200]
    pool = make_pool()
    assert (await outcome_of(clock, lambda: pool.http_request("GET", URL)))[0] == 302
    assert script.sent == 1


async def test_another_origin_gets_no_keys(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [redirect(302, "https://elsewhere.test/x"), 200]
    pool = make_pool()
    headers = {"X-MBX-APIKEY": "hush", "Authorization": "Bearer hush", "Accept": "text/plain"}
    await outcome_of(clock, lambda: pool.http_request("GET", URL, headers=headers))
    first, second = script.requests
    assert first.headers["x-mbx-apikey"] == "hush"
    assert "hush" not in str(second.headers.multi_items())
    assert second.headers["accept"] == "text/plain"
    assert second.headers["host"] == "elsewhere.test"


async def test_credentials_given_for_one_origin_stay_there(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [redirect(302, "/x"), redirect(302, "https://elsewhere.test/x"), 200]
    pool = make_pool()
    await outcome_of(clock, lambda: pool.http_request("GET", URL, auth=("me", "hush")))
    given = ["authorization" in request.headers for request in script.requests]
    assert given == [True, True, False]


async def test_cookies_of_one_answer_are_not_sent_again(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [httpx2.Response(200, headers={"set-cookie": "id=1; Path=/"}), 200, 200]
    pool = make_pool()
    for _ in range(2):
        await outcome_of(clock, lambda: pool.http_request("GET", URL))
    assert "cookie" not in script.requests[1].headers
    await outcome_of(clock, lambda: pool.http_request("GET", URL, cookies={"mine": "2"}))
    assert script.requests[2].headers["cookie"] == "mine=2"
