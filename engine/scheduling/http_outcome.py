"""The retry table: what an attempt met, and what follows from it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from enum import Enum, unique
from typing import Final

import httpx2


@unique
class Outcome(Enum):
    """What one attempt met.

    Attributes:
        ANSWERED: a status that is final.
        BUSY: a status that asks for another try.
        LIMITED: 429.
        BANNED: 418.
        NOT_SENT: no byte of the request left: name, connect, no free connection.
        BROKEN: the peer may have seen the request: read or write error, time over.
        REFUSED: no further try can help: certificate, arguments, body.
    """

    ANSWERED = "answered"
    BUSY = "busy"
    LIMITED = "limited"
    BANNED = "banned"
    NOT_SENT = "not sent"
    BROKEN = "broken"
    REFUSED = "refused"


RETRIES: Final = {
    Outcome.ANSWERED: (False, False),
    Outcome.BUSY: (True, False),
    Outcome.LIMITED: (True, False),
    Outcome.BANNED: (False, False),
    Outcome.NOT_SENT: (True, True),
    Outcome.BROKEN: (True, False),
    Outcome.REFUSED: (False, False),
}
"""Whether another attempt may follow: for an idempotent request, for any other."""

BUSY_STATUSES: Final = frozenset({408, 425, 500, 502, 503, 504})
LIMITED_STATUS: Final = 429
BANNED_STATUS: Final = 418
BAN_S: Final = 120.0
"""How long a 418 without `Retry-After` closes the gate."""


def may_retry(outcome: Outcome, *, idempotent: bool) -> bool:
    """Return whether the table allows another attempt."""
    for_idempotent, for_others = RETRIES[outcome]
    return for_idempotent if idempotent else for_others


def outcome_of_status(status: int) -> Outcome:
    """Return what *status* means."""
    if status == LIMITED_STATUS:
        return Outcome.LIMITED
    if status == BANNED_STATUS:
        return Outcome.BANNED
    return Outcome.BUSY if status in BUSY_STATUSES else Outcome.ANSWERED


def counts_as_error(status: int) -> bool:
    """Return whether a request that ends with *status* counts as an error."""
    return outcome_of_status(status) is not Outcome.ANSWERED or status >= 500


def outcome_of_error(error: BaseException, *, is_sent: bool) -> Outcome:
    """Return what *error* means.

    Args:
        error: what the HTTP library raised, or the end of the attempt's time.
        is_sent: whether a byte of the request may have left.
    """
    if any(isinstance(link, ssl.SSLCertVerificationError) for link in _chain(error)):
        return Outcome.REFUSED
    match error:
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.PoolTimeout():
            return Outcome.NOT_SENT
        case httpx2.LocalProtocolError() | httpx2.UnsupportedProtocol():
            return Outcome.REFUSED
        case httpx2.TransportError() | OSError():
            return Outcome.BROKEN if is_sent else Outcome.NOT_SENT
        case _:
            return Outcome.REFUSED


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(16):  # a chain may be a ring
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__
