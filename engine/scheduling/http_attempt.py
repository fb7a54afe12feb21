"""One attempt: send, follow redirects, read the body, all within one total time."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import Final

import httpx2

from engine.scheduling.clock import Clock
from engine.scheduling.http_answer import Answer
from engine.scheduling.http_call import HttpCall
from engine.scheduling.http_outcome import Outcome, outcome_of_error
from engine.scheduling.http_transport import Progress
from engine.scheduling.timed_wait import DeadlinePassed, within

MAX_REDIRECTS: Final = 5
# What another origin gets to see of the headers; keys of venues have names of their own.
_HARMLESS: Final = frozenset({"accept", "accept-encoding", "connection", "host", "user-agent"})


class OversizedBody(Exception):  # noqa: N818 (internal: says what happened, becomes BodyTooLarge)
    """The body is over the cap."""


class AttemptFailed(Exception):  # noqa: N818 (internal: becomes RequestFailed)
    """An attempt brought no answer; the `__cause__` says why."""

    def __init__(self, outcome: Outcome, error: Exception) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome
        self.error = error


async def attempt(
    client: httpx2.AsyncClient, call: HttpCall, clock: Clock, *, max_body: int
) -> Answer:
    """Send *call* once and return the answer, read to its end.

    Args:
        client: the shared client.
        call: what to send; its timeout covers waiting for a connection up to the last byte.
        clock: measures that time.
        max_body: bytes of the decoded body after which reading is given up.

    Raises:
        AttemptFailed: there is no answer.
        ValueError: the arguments make no valid request.
    """
    progress = Progress()
    try:
        return await within(clock, call.timeout, partial(_send, client, call, progress, max_body))
    except DeadlinePassed:
        late = TimeoutError(f"no complete answer within {call.timeout:g} s")
        outcome = outcome_of_error(late, is_sent=progress.is_sent)
        raise AttemptFailed(outcome, late) from None
    except httpx2.LocalProtocolError:
        # From None: the library repeats the header, and with it a key.
        raise ValueError(f"{call.place}: a header or the body breaks HTTP's rules") from None
    except (httpx2.RequestError, OversizedBody, OSError) as exc:
        raise AttemptFailed(outcome_of_error(exc, is_sent=progress.is_sent), exc) from exc


async def _send(
    client: httpx2.AsyncClient, call: HttpCall, progress: Progress, max_body: int
) -> Answer:
    arguments = dict(call.arguments)
    auth = arguments.pop("auth", httpx2.USE_CLIENT_DEFAULT)
    request = client.build_request(
        call.method, call.url, timeout=None, extensions=progress.extensions(), **arguments
    )
    redirects = 0
    while True:
        response = await client.send(request, auth=auth, stream=True, follow_redirects=False)
        try:
            answer = await _read(response, max_body)
        finally:
            await response.aclose()
        following = _following(response)
        if following is None or redirects == MAX_REDIRECTS:
            return answer
        redirects += 1
        request, auth = following, None  # its header is carried over where that is right


async def _read(response: httpx2.Response, max_body: int) -> Answer:
    declared = response.headers.get("content-length", "")
    if response.request.method != "HEAD" and declared.isdecimal() and int(declared) > max_body:
        raise OversizedBody(f"the body has {declared} bytes, allowed are {max_body}")
    body = bytearray()
    async with aclosing(response.aiter_bytes()) as parts:
        async for part in parts:
            body += part
            if len(body) > max_body:
                raise OversizedBody(f"the body has more than {max_body} bytes")
    return Answer(response.status_code, response.headers, bytes(body))


def _following(response: httpx2.Response) -> httpx2.Request | None:
    """Return the request that a redirect asks for, None where it is not to be followed."""
    request, following = response.request, response.next_request
    if following is None or request.method not in ("GET", "HEAD"):
        return None
    url = following.url
    if url.scheme not in ("http", "https") or url.userinfo:
        return None
    if request.url.scheme == "https" and url.scheme != "https":
        return None
    if url.origin != request.url.origin:
        for name in set(following.headers) - _HARMLESS:
            del following.headers[name]
    return following
