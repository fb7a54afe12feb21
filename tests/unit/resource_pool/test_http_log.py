"""No query, header or body in any log, whoever writes it (scheduling 8.1)."""

from __future__ import annotations

import logging
import traceback

import httpx2
import pytest

from engine.scheduling.http_log import hide_request_details
from tests.unit.resource_pool.conftest import MakePool, Script, StepClock, outcome_of

pytestmark = pytest.mark.anyio
SECRET = "hush-9f3c"  # noqa: S105 (what is looked for)
URL = f"https://venue.test/v1/order?signature={SECRET}&b=1"


async def ask(clock: StepClock, make_pool: MakePool) -> object:
    pool = make_pool()
    return await outcome_of(
        clock,
        lambda: pool.http_request(
            "POST", URL, "venue", 5, headers={"X-Key": SECRET}, json={"secret": SECRET}
        ),
    )


@pytest.mark.parametrize(
    "step",
    [
        200,
        503,
        429,
        418,
        httpx2.ReadError("reset"),
        httpx2.ConnectError("refused"),
        httpx2.Response(302, headers={"location": f"https://x.test/?a={SECRET}"}),
        httpx2.Response(200, headers={"content-type": "application/json"}, text=f"{{{SECRET}"),
        httpx2.Response(200, headers={"x-token": SECRET}, text=SECRET),
    ],
    ids=str,
)
async def test_logs_and_errors_show_method_host_and_path_only(
    clock: StepClock,
    make_pool: MakePool,
    script: Script,
    caplog: pytest.LogCaptureFixture,
    step: object,
) -> None:
    script.steps = [step]  # type: ignore[list-item]
    with caplog.at_level(logging.DEBUG):
        outcome = await ask(clock, make_pool)
    if isinstance(outcome, BaseException):
        assert SECRET not in "".join(traceback.format_exception(outcome))
    written = "\n".join(f"{record.getMessage()} {record.args}" for record in caplog.records)
    assert "POST venue.test/v1/order" in written
    assert SECRET not in written
    assert "signature" not in written


def test_the_wire_log_of_the_http_library_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    hide_request_details()
    hide_request_details()
    with caplog.at_level(logging.DEBUG):
        for part in ("connection", "http11", "http2", "proxy", "socks"):
            logging.getLogger(f"httpcore2.{part}").debug("headers=%r", [(b"x-key", SECRET)])
        url = httpx2.URL(URL)
        logging.getLogger("httpx2").info('HTTP Request: %s %s "%s"', "GET", url, "200")
        logging.getLogger("httpx2").info("plain")
    assert [record.getMessage() for record in caplog.records] == [
        'HTTP Request: GET venue.test/v1/order "200"',
        "plain",
    ]
    assert len(logging.getLogger("httpx2").filters) == 1
