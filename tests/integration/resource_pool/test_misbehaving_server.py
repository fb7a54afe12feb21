"""The pool against a real server that misbehaves."""

from __future__ import annotations

import json
import logging
import ssl
import traceback
from email.utils import formatdate
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import anyio.lowlevel
import httpx2
import psutil
import pytest
from anyio.abc import SocketAttribute

from engine.scheduling.pool_errors import BodyTooLarge, BodyUndecodable, PoolClosed, RequestFailed
from engine.scheduling.resource_pool import ResourcePool
from tests.integration.resource_pool.conftest import (
    SAFETY_S,
    Behaviour,
    Exchange,
    RestlessClock,
    Server,
    running_server,
)
from tests.unit.resource_pool.conftest import Luck, StepClock, settle

pytestmark = pytest.mark.anyio
JSON = {"content-type": "application/json"}


def answers(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.answer(status, body, headers)

    return behave


async def resets(exchange: Exchange) -> None:
    await exchange.reset()


async def closes(exchange: Exchange) -> None:
    await exchange.stream.aclose()


async def closes_in_the_body(exchange: Exchange) -> None:
    await exchange.send_head(200, {"content-length": "100"})
    await exchange.stream.send(b"half")
    await exchange.stream.aclose()


async def talks_nonsense(exchange: Exchange) -> None:
    await exchange.stream.send(b"SMTP ready\r\n\r\n")
    await exchange.stream.aclose()


class Drip:
    """Sends a head and single bytes, and never the end."""

    def __init__(self) -> None:
        self.dripped = anyio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.send_head(200, {"content-length": "1000", "content-type": "text/plain"})
        for _ in range(3):
            await exchange.stream.send(b".")
            await anyio.lowlevel.checkpoint()
        self.dripped.set()
        await anyio.sleep_forever()


class Silence:
    """Takes the request and never answers."""

    def __init__(self) -> None:
        self.asked = anyio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        self.asked.set()
        await anyio.sleep_forever()


async def test_a_plain_exchange(pool: ResourcePool, server: Server) -> None:
    url = server.on("/ok", answers(200, b'{"price": "1.5"}', JSON))
    status, data = await pool.http_request(
        "POST", url, params={"a": "1"}, json={"b": 2}, headers={"X-Key": "k"}
    )
    assert (status, data) == (200, {"price": "1.5"})
    [exchange] = server.exchanges
    assert exchange.target == "/ok?a=1"
    assert json.loads(exchange.body) == {"b": 2}
    assert exchange.headers["x-key"] == "k"


@pytest.mark.parametrize("behaviour", [resets, closes, closes_in_the_body, talks_nonsense])
async def test_a_broken_exchange_is_repeated_for_a_read(
    pool: ResourcePool, server: Server, behaviour: Behaviour
) -> None:
    url = server.on("/x", behaviour, behaviour, answers(200, b"fine"))
    assert await pool.http_request("GET", url) == (200, "fine")
    assert server.hits("/x") == 3


@pytest.mark.parametrize("behaviour", [resets, closes, closes_in_the_body, talks_nonsense])
async def test_a_broken_exchange_is_never_repeated_for_an_order(
    pool: ResourcePool, server: Server, behaviour: Behaviour
) -> None:
    url = server.on("/order", behaviour, answers(200))
    with pytest.raises(RequestFailed) as caught:
        await pool.http_request("POST", url, json={"qty": "1"})
    assert caught.value.attempts == 1
    assert isinstance(caught.value.__cause__, httpx2.TransportError)
    assert server.hits("/order") == 1


async def test_a_body_that_drips_ends_with_the_total_time(
    pool: ResourcePool, server: Server, clock: RestlessClock
) -> None:
    drip = Drip()
    url = server.on("/drip", drip)
    caught: list[RequestFailed] = []

    async def ask() -> None:
        with pytest.raises(RequestFailed) as info:
            await pool.http_request("GET", url, retry=False)
        caught.append(info.value)

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await drip.dripped.wait()
        clock.advance(29.999)
        await anyio.lowlevel.checkpoint()
        assert not caught
        clock.advance(0.001)
    [failure] = caught
    assert isinstance(failure.last_error, TimeoutError)
    assert "30 s" in str(failure)


async def test_silence_is_repeated_for_a_read_and_not_for_an_order(
    pool: ResourcePool, server: Server, clock: RestlessClock
) -> None:
    silent, mute = Silence(), Silence()
    read = server.on("/read", silent, answers(200, b"at last"))
    order = server.on("/order", mute, answers(200))
    results: list[object] = []

    async def ask() -> None:
        results.append(await pool.http_request("GET", read))

    async def place() -> None:
        with pytest.raises(RequestFailed):
            await pool.http_request("POST", order)

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        group.start_soon(place)
        await silent.asked.wait()
        await mute.asked.wait()
        clock.advance(30.0)
    assert results == [(200, "at last")]
    assert (server.hits("/read"), server.hits("/order")) == (2, 1)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_obeyed(
    pool: ResourcePool, server: Server, clock: RestlessClock, status: int, form: str
) -> None:
    text = "7" if form == "seconds" else formatdate(clock.wall() + 7, usegmt=True)
    url = server.on("/busy", answers(status, headers={"retry-after": text}), answers(200, b"now"))
    assert await pool.http_request("GET", url) == (200, "now")
    assert clock.slept.count(7.0) == 1


async def test_503_is_tried_four_times(pool: ResourcePool, server: Server) -> None:
    url = server.on("/down", answers(503, b"closed for today"))
    assert await pool.http_request("GET", url) == (503, "closed for today")
    assert server.hits("/down") == 4


async def test_nothing_listens(pool: ResourcePool) -> None:
    for method in ("GET", "POST"):
        with pytest.raises(RequestFailed) as caught:
            await pool.http_request(method, "http://127.0.0.1:1/")
        assert caught.value.attempts == 4  # nothing was sent, so an order may be tried again
        assert isinstance(caught.value.last_error, httpx2.ConnectError)


async def test_json_that_is_none(pool: ResourcePool, server: Server) -> None:
    url = server.on("/html", answers(200, b"<html>maintenance", JSON))
    with pytest.raises(BodyUndecodable):
        await pool.http_request("GET", url)
    assert server.hits("/html") == 1


async def test_a_huge_body_is_given_up(pool: ResourcePool, server: Server) -> None:
    sent = 0

    async def endless(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.send_head(200, {"transfer-encoding": "chunked"})
        while True:
            await exchange.stream.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            sent += 0x10000

    pool.http_max_body = 1_000_000
    url = server.on("/endless", endless)
    with pytest.raises(BodyTooLarge):
        await pool.http_request("GET", url)
    assert sent < 100_000_000
    assert (await pool.http_request("GET", server.on("/ok", answers(200))))[0] == 200


async def test_what_is_given_up_gives_its_connection_back(
    pool: ResourcePool, server: Server, clock: RestlessClock
) -> None:
    pool.http_pool_size = 1
    pool.http_max_body = 10
    large = server.on("/large", answers(200, b"x" * 1000))
    with pytest.raises(BodyTooLarge):
        await pool.http_request("GET", large)
    assert pool.get_stats()["http_connections"] == 0
    drip = Drip()
    pool.http_max_body = 10_000
    dripping = server.on("/drip", drip)

    async with anyio.create_task_group() as group:
        group.start_soon(pool.http_request, "GET", dripping)
        await drip.dripped.wait()
        assert pool.get_stats()["http_connections"] == 1
        group.cancel_scope.cancel()
    assert pool.get_stats()["http_connections"] == 0
    assert await pool.http_request("GET", server.on("/ok", answers(200, b"x"))) == (200, "x")


async def test_a_ring_of_redirects_ends(pool: ResourcePool, server: Server) -> None:
    url = server.on("/ring", answers(302, headers={"location": "/ring"}))
    assert (await pool.http_request("GET", url))[0] == 302
    assert server.hits("/ring") == 6


async def test_the_same_connection_serves_one_request_after_the_other(
    pool: ResourcePool, server: Server
) -> None:
    url = server.on("/ok", answers(200, b"x"))
    for _ in range(5):
        await pool.http_request("GET", url)
    assert server.connections_made == 1


async def test_no_more_connections_than_allowed_all_apis_together(
    pool: ResourcePool, server: Server
) -> None:
    pool.http_pool_size = 3
    full, let_go = anyio.Event(), anyio.Event()

    async def hold(exchange: Exchange) -> None:
        if server.open_connections == 3:
            full.set()
        await let_go.wait()
        await exchange.answer(200)

    url = server.on("/hold", hold)
    async with running_server() as other, anyio.create_task_group() as group:
        elsewhere = other.on("/ok", answers(200))
        for number in range(12):
            group.start_soon(pool.http_request, "GET", url, f"api{number % 4}")
        await full.wait()
        group.start_soon(pool.http_request, "GET", elsewhere)
        await settle()
        assert (server.most_connections, other.most_connections) == (3, 0)
        assert pool.get_stats()["http_connections"] == 3
        let_go.set()
    assert server.most_connections == 3
    assert server.hits("/hold") == 12
    assert pool.get_stats()["http_connections"] == 0


async def test_idle_connections_to_other_hosts_count_as_well(pool: ResourcePool) -> None:
    pool.http_pool_size = 2
    let_go, both = anyio.Event(), anyio.Event()

    async def meet(exchange: Exchange) -> None:
        if two.open_connections + one.open_connections >= 2:
            both.set()
        await both.wait()
        await exchange.answer(200)

    async def hold(exchange: Exchange) -> None:
        await let_go.wait()
        await exchange.answer(200)

    async with running_server() as one, running_server() as two:
        idle, held = one.on("/meet", meet), two.on("/hold", hold)
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(pool.http_request, "GET", idle)
        assert one.open_connections == 2
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(pool.http_request, "GET", held)
            while two.hits("/hold") < 2:
                await anyio.lowlevel.checkpoint()
            await settle()
            assert (one.open_connections, two.open_connections) == (0, 2)
            let_go.set()


async def test_more_connections_may_be_allowed_while_requests_run(
    pool: ResourcePool, server: Server
) -> None:
    pool.http_pool_size = 1
    let_go, two = anyio.Event(), anyio.Event()

    async def hold(exchange: Exchange) -> None:
        if server.open_connections == 2:
            two.set()
        await let_go.wait()
        await exchange.answer(200)

    url = server.on("/hold", hold)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(pool.http_request, "GET", url)
        while server.hits("/hold") == 0:
            await anyio.lowlevel.checkpoint()
        assert server.open_connections == 1
        pool.http_pool_size = 2
        await two.wait()
        let_go.set()
    assert server.most_connections == 2


async def test_fewer_connections_stay_open_after_a_change(
    pool: ResourcePool, server: Server
) -> None:
    both, let_go = anyio.Event(), anyio.Event()

    async def meet(exchange: Exchange) -> None:
        if server.open_connections == 2:
            both.set()
        await both.wait()
        if exchange.target == "/held":
            await let_go.wait()
        await exchange.answer(200)

    async with anyio.create_task_group() as group:
        group.start_soon(pool.http_request, "GET", server.on("/meet", meet))
        group.start_soon(pool.http_request, "GET", server.on("/held", meet))
        await both.wait()
        while pool.get_stats()["http_connections"] > 1:
            await anyio.lowlevel.checkpoint()
        pool.http_pool_size = 1  # one is idle, the other one still runs
        let_go.set()
    await pool.http_request("GET", server.on("/ok", answers(200)))
    await settle()
    assert server.open_connections == 1


async def test_waiting_for_a_connection_too_long_was_not_sent(
    pool: ResourcePool, server: Server, clock: RestlessClock
) -> None:
    pool.http_pool_size = 1
    held, let_go = anyio.Event(), anyio.Event()

    async def hold(exchange: Exchange) -> None:
        held.set()
        await let_go.wait()
        await exchange.answer(200)

    url = server.on("/hold", hold)
    order = server.on("/order", answers(200, b"placed"))
    results: list[object] = []

    async def place() -> None:
        results.append(await pool.http_request("POST", order, timeout=40.0))

    async with anyio.create_task_group() as group:
        group.start_soon(partial(pool.http_request, "PUT", url, timeout=1000.0))
        await held.wait()
        group.start_soon(place)
        await settle()
        clock.advance(40.0)
        await settle()
        assert pool.get_stats()["http_retries"] == 1
        let_go.set()
    assert results == [(200, "placed")]
    assert server.hits("/order") == 1


async def test_an_order_whose_handshake_never_ends_was_not_sent(
    pool: ResourcePool, clock: RestlessClock
) -> None:
    pool.http_retry_count = 1
    accepted = 0
    arrived = anyio.Event()

    async def mute(stream: anyio.abc.SocketStream) -> None:
        nonlocal accepted
        async with stream:
            await stream.receive()  # the client's hello
            accepted += 1
            arrived.set()
            await anyio.sleep_forever()

    failures: list[RequestFailed] = []

    async def place(port: int) -> None:
        with pytest.raises(RequestFailed) as caught:
            await pool.http_request("POST", f"https://127.0.0.1:{port}/order")
        failures.append(caught.value)

    process = psutil.Process()
    before = process.num_fds()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, mute)
        group.start_soon(place, listener.extra(SocketAttribute.local_port))  # noqa: S610 (anyio's)
        for attempt in (1, 2):
            await arrived.wait()
            assert accepted == attempt
            arrived = anyio.Event()
            clock.advance(30.0)
        while not failures:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert failures[0].attempts == 2
    assert process.num_fds() == before


async def test_nothing_is_open_after_the_end(server: Server, clock: RestlessClock) -> None:
    process = psutil.Process()
    before = process.num_fds()
    async with ResourcePool(clock=clock, rng=Luck()) as pool:
        url = server.on("/ok", answers(200))
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(pool.http_request, "GET", url)
        assert server.open_connections > 0
        assert process.num_fds() > before
    while server.open_connections:
        await anyio.lowlevel.checkpoint()
    assert process.num_fds() == before


async def test_a_close_during_a_request_leaves_nothing_open(
    server: Server, clock: RestlessClock
) -> None:
    silent = Silence()
    url = server.on("/silent", silent)
    pool = ResourcePool({"close_grace": 0.0}, clock=clock, rng=Luck())
    outcomes: list[BaseException] = []

    async def ask() -> None:
        try:
            await pool.http_request("POST", url)
        except PoolClosed as closed:
            outcomes.append(closed)

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await silent.asked.wait()
        await pool.close()
    assert len(outcomes) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_self_signed_server_is_refused_without_a_second_try(
    pool: ResourcePool, tls: ssl.SSLContext, method: str
) -> None:
    async with running_server(tls) as server:
        url = server.on("/ok", answers(200))
        with pytest.raises(RequestFailed) as caught:
            await pool.http_request(method, url)
        assert "certificate verify failed" in str(caught.value)
        assert caught.value.attempts == 1
        assert server.exchanges == []


async def test_the_same_server_is_taken_once_its_authority_is_known(
    clock: RestlessClock,
    tls: ssl.SSLContext,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with (
        running_server(tls) as server,
        running_server() as plain,
        ResourcePool(clock=clock, rng=Luck()) as pool,
    ):
        assert (await pool.http_request("POST", server.on("/ok", answers(200))))[0] == 200
        down = server.on("/down", answers(302, headers={"location": plain.url + "/x"}))
        assert (await pool.http_request("GET", down))[0] == 302
        assert plain.exchanges == []


async def test_the_environments_proxy_is_not_asked(
    clock: RestlessClock, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with ResourcePool(clock=clock, rng=Luck()) as pool:
        assert (await pool.http_request("GET", server.on("/ok", answers(200))))[0] == 200


async def test_no_secret_reaches_a_log_or_a_traceback(
    pool: ResourcePool, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "hush-51f0"  # noqa: S105 (what is looked for)
    ok = server.on("/ok", answers(200, secret.encode(), {"set-cookie": f"s={secret}"}))
    broken = server.on("/broken", resets)
    bad = server.on("/bad", answers(200, f"{{{secret}".encode(), JSON))
    to = server.on("/to", answers(302, headers={"location": f"/ok?token={secret}"}))
    written: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for url in (ok, broken, bad, to):
            for method in ("GET", "POST"):
                try:
                    await pool.http_request(
                        method,
                        f"{url}?signature={secret}",
                        headers={"X-MBX-APIKEY": secret, "Authorization": f"Bearer {secret}"},
                        content=secret,
                    )
                except RequestFailed as failure:
                    written += traceback.format_exception(failure)
    written += [
        f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records
    ]
    text = "\n".join(written)
    assert "/ok" in text
    assert "RequestFailed" in text
    assert secret not in text
    assert "signature" not in text


async def test_exactly_so_many_arrive_in_a_window(server: Server) -> None:
    clock = StepClock()
    url = server.on("/ok", answers(200))
    async with ResourcePool({"rate_limit_window": 1.0}, clock=clock, rng=Luck()) as pool:
        with anyio.fail_after(SAFETY_S):
            async with anyio.create_task_group() as group:
                for _ in range(23):
                    group.start_soon(pool.http_request, "GET", url, "venue", 5)
                for arrived in (5, 10, 15, 20, 23):
                    while server.hits("/ok") < arrived or pool.get_stats()["http_in_flight"]:
                        await anyio.lowlevel.checkpoint()
                    assert server.hits("/ok") == arrived
                    clock.advance(1.0)
                    await settle()
                    assert server.hits("/ok") == arrived  # both ends belong to a window
                    clock.advance(0.001)
