"""The line behind which foreign code runs: whatever a handler raises becomes an answer."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from engine.scheduling.control.answers import Refusal, answer, refused
from engine.scheduling.control.redaction import redacted
from engine.scheduling.errors import EngineNotRunning

LOG: Final = logging.getLogger(__name__)
Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
_LONGEST: Final = 300


def guarded(
    handler: Handler, is_running: Callable[[], bool], secrets: Callable[[], Iterable[str]]
) -> Handler:
    """Return *handler* with its errors turned into answers.

    Args:
        handler: answers a request, or raises.
        is_running: whether the engine runs; only then is `EngineNotRunning` somebody else's.
        secrets: the texts that no answer and no log line may hold.
    """

    async def respond(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            return refused(refusal)
        except EngineNotRunning as error:
            if not is_running():
                return refused(Refusal(503, "the execution engine does not run"))
            return _failed(request, error, secrets())
        except Exception as error:  # noqa: BLE001 (boundary: agents and the registry run here)
            return _failed(request, error, secrets())

    return respond


def _failed(request: Request, error: Exception, secrets: Iterable[str]) -> Response:
    known = tuple(secrets)
    trace = "".join(traceback.format_exception(error))
    LOG.error("%s %s failed\n%s", request.method, request.url.path, redacted(trace, known))
    lines = str(error).splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return answer({"detail": redacted(text, known)[:_LONGEST]}, 500)
