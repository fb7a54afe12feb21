"""Who may enter: token, Host, Origin, failed logins; where the server listens and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import stat
from pathlib import Path

import anyio
import httpx2
import psutil
import pytest

from engine.scheduling import AgentFactory, AgentRegistry
from engine.scheduling.control.operations import OPERATIONS
from engine.scheduling.control.token_file import ControlApiError
from engine.scheduling.control_api import control_server
from engine.scheduling.control_settings import ControlApiSettings
from tests.integration.control_api.conftest import Api, running_api

pytestmark = pytest.mark.anyio
CLOSED = [(one.method, one.path) for one in OPERATIONS if not one.is_open]
CERTIFICATE = Path(__file__).parents[1] / "resource_pool" / "self_signed.pem"


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_every_route_but_health_needs_the_token(api: Api, method: str, path: str) -> None:
    url = path.replace("{agent_id}", "nobody")
    for headers in ({"authorization": ""}, {"authorization": "Bearer wrong"}):
        response = await api.client.request(method, url, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert "nobody" not in response.text


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Basic {token}",
        "{token}",
        "bearer{token}",
        "Bearer {token}x",
        "Token {token}",
    ],
)
async def test_anything_else_is_no_token(api: Api, value: str) -> None:
    headers = {"authorization": value.format(token=api.token)}
    assert (await api.client.get("/agents", headers=headers)).status_code == 401


async def test_the_scheme_is_written_as_one_likes(api: Api) -> None:
    headers = {"authorization": f"bEARER {api.token}"}
    assert (await api.client.get("/agents", headers=headers)).status_code == 200


async def test_a_token_in_the_url_is_none(api: Api) -> None:
    for name in ("token", "access_token", "authorization"):
        url = f"/agents?{name}={api.token}"
        assert (await api.client.get(url, headers={"authorization": ""})).status_code == 401


async def test_the_token_is_asked_for_before_anything_else(api: Api) -> None:
    nothing = {"authorization": ""}
    for method, url, headers, content in [
        ("GET", "/no-such-route", nothing, b""),
        ("PATCH", "/agents", nothing, b""),
        ("GET", "/agents", {**nothing, "host": "evil.test"}, b""),
        ("GET", "/agents", {**nothing, "origin": "https://evil.test"}, b""),
        ("POST", "/agents", nothing, b"x" * 100_000),
        ("GET", "/agents?limit=0", nothing, b""),
    ]:
        response = await api.client.request(method, url, headers=headers, content=content)
        assert response.status_code == 401, (method, url)


async def test_more_than_ten_failed_logins_in_a_minute_are_429(api: Api) -> None:
    wrong = {"authorization": "Bearer wrong"}
    for _ in range(10):
        assert (await api.client.get("/agents", headers=wrong)).status_code == 401
    assert (await api.client.get("/agents")).status_code == 200  # ten are not more than ten
    response = await api.client.get("/agents", headers=wrong)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "60"
    assert (await api.client.get("/agents")).status_code == 429  # nobody learns that he guessed it
    assert (await api.client.get("/health")).status_code == 200
    await api.clock.run_for(60.1)
    assert (await api.client.get("/agents")).status_code == 200


async def test_no_token_at_all_is_no_failed_login(api: Api) -> None:
    for _ in range(20):
        response = await api.client.get("/agents", headers={"authorization": ""})
        assert response.status_code == 401
    assert (await api.client.get("/agents")).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/agents"])
@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test:80", "127.0.0.1.evil.test", "[::2]", "localhost.", ""]
)
async def test_a_foreign_host_is_400(api: Api, path: str, host: str) -> None:
    assert (await api.client.get(path, headers={"host": host})).status_code == 400


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:9", "desk.test"]
)
async def test_a_known_host_is_fine(tmp_path: Path, host: str) -> None:
    async with running_api(tmp_path, allowed_hosts=("desk.test",)) as api:
        assert (await api.client.get("/agents", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.test", "null", "http://127.0.0.1", "http://127.0.0.1:1", "file://"]
)
async def test_a_foreign_origin_is_403(api: Api, origin: str) -> None:
    response = await api.client.get("/agents", headers={"origin": origin})
    assert response.status_code == 403
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_the_own_origin_is_fine(api: Api) -> None:
    response = await api.client.get("/agents", headers={"origin": api.server.url})
    assert response.status_code == 200


async def test_the_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    tokens = []
    for _ in range(2):
        async with running_api(tmp_path / "state") as api:
            tokens.append(api.token)
            assert api.server.token_path is not None
            assert stat.S_IMODE(api.server.token_path.stat().st_mode) == 0o600
    assert tokens[0] == tokens[1]
    assert len(tokens[0]) >= 32


async def test_the_token_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_TOKEN", "0123456789abcdef")
    settings = ControlApiSettings(enabled=True, port=0, token="env:DESK_TOKEN")  # noqa: S106 (a reference)
    async with control_server(registry(), settings, data_dir=tmp_path) as server:
        assert server is not None
        assert server.token_path is None
        async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as client:
            headers = {"authorization": "Bearer 0123456789abcdef"}
            assert (await client.get("/agents", headers=headers)).status_code == 200
    assert os.listdir(tmp_path) == []  # noqa: PTH208 (Path's own is refused as well)


def registry() -> AgentRegistry:
    return AgentRegistry(AgentFactory())


async def test_it_is_off_by_default(tmp_path: Path) -> None:
    async with control_server(registry(), ControlApiSettings(), data_dir=tmp_path) as server:
        assert server is None
    assert os.listdir(tmp_path) == []  # noqa: PTH208 (Path's own is refused as well)


async def test_it_listens_on_loopback_and_no_more_after_the_end(api: Api, tmp_path: Path) -> None:
    assert api.server.url == f"http://127.0.0.1:{api.server.port}"
    async with running_api(tmp_path / "other") as other:
        port = other.server.port
        assert (await other.client.get("/health")).status_code == 200
    with pytest.raises(OSError, match="connect"):
        await anyio.connect_tcp("127.0.0.1", port)


async def test_ipv6_loopback_works_as_well(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        return
    async with running_api(tmp_path, host="::1") as api:
        assert api.server.url.startswith("http://[::1]:")
        assert (await api.client.get("/agents")).status_code == 200


async def test_a_port_in_use_is_told_plainly(api: Api, tmp_path: Path) -> None:
    settings = ControlApiSettings(enabled=True, port=api.server.port)
    with pytest.raises(ControlApiError, match=f"127.0.0.1:{api.server.port}.*another"):
        async with control_server(registry(), settings, data_dir=tmp_path):
            pass


async def test_signal_handlers_stay_as_they_were(tmp_path: Path) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    async with running_api(tmp_path) as api:
        await api.client.get("/health")
        assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


async def test_nothing_is_written_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with running_api(tmp_path) as api:
        await api.client.get("/agents/x")
        stream = await anyio.connect_tcp("127.0.0.1", api.server.port)
        await stream.send(b"nonsense\r\n\r\n")  # uvicorn warns about it
        assert (await stream.receive()).startswith(b"HTTP/1.1 400")
        await stream.aclose()
    assert capfd.readouterr() == ("", "")


async def test_tls_with_the_certificate_of_the_settings(tmp_path: Path) -> None:
    trust = ssl.create_default_context(cafile=CERTIFICATE)
    settings = ControlApiSettings(
        enabled=True,
        port=0,
        certificate=CERTIFICATE,
        host="0.0.0.0",  # noqa: S104 (what is tested)
        allow_remote=True,
    )
    async with control_server(registry(), settings, data_dir=tmp_path) as server:
        assert server is not None
        assert server.token_path is not None
        token = server.token_path.read_text().strip()
        url = f"https://127.0.0.1:{server.port}"
        async with httpx2.AsyncClient(base_url=url, verify=trust, trust_env=False) as client:
            headers = {"authorization": f"Bearer {token}"}
            assert (await client.get("/agents", headers=headers)).status_code == 200


async def test_a_certificate_that_is_none_is_told_plainly(tmp_path: Path) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_text("nonsense")
    settings = ControlApiSettings(enabled=True, port=0, certificate=certificate)
    with pytest.raises(ControlApiError, match="certificate"):
        async with control_server(registry(), settings, data_dir=tmp_path):
            pass


async def test_no_token_appears_in_any_log(
    tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    async with running_api(tmp_path) as api:
        await api.client.get("/agents")
        await api.client.get(f"/agents?token={api.token}")
        await api.client.get("/agents", headers={"authorization": f"Bearer {api.token}x"})
        text = "\n".join(f"{one.getMessage()} {one.args}" for one in logged.records)
        assert api.token not in text


async def test_the_server_leaves_no_descriptor_open(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:  # loads what is loaded once
        await api.client.get("/health")
    process = psutil.Process()
    before = process.num_fds()
    async with running_api(tmp_path) as api:
        await api.client.get("/agents")
    assert process.num_fds() == before
