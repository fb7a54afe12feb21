"""Server-sent events: the status of one agent, on change and every five seconds."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from engine.scheduling.base_agent import BaseAgent
from engine.scheduling.clock import Clock
from engine.scheduling.control.answers import SAFE_HEADERS
from engine.scheduling.control.ports import ControlledRegistry
from engine.scheduling.timed_wait import DeadlinePassed, wait_until_set, within

LOG: Final = logging.getLogger(__name__)
PERIOD_S: Final = 5.0
SLOW_READER_S: Final = 10.0
"""Time in which one event must leave; a reader that is slower is dropped."""


class AgentEvents(Response):
    """A stream that ends when the reader leaves or is slow, the agent goes or the server stops.

    Changes that come faster than the reader reads become one event: each holds the whole status.

    Args:
        agent: whose status is told.
        status_of: makes the status object.
        registry: tells whether the agent is still there.
        clock: beats the period.
        closing: set when the server stops.
    """

    def __init__(
        self,
        agent: BaseAgent,
        status_of: Callable[[BaseAgent], dict[str, Any]],
        registry: ControlledRegistry,
        clock: Clock,
        closing: anyio.Event,
    ) -> None:
        super().__init__(headers=SAFE_HEADERS, media_type="text/event-stream")
        del self.headers["content-length"]
        self._agent = agent
        self._status_of = status_of
        self._registry = registry
        self._clock = clock
        self._closing = closing
        self._changed = anyio.Event()
        self._is_slow = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until there is a reason to end."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        if scope["method"] != "HEAD":
            async with anyio.create_task_group() as group:
                group.start_soon(self._end_with_reader, receive, group.cancel_scope)
                group.start_soon(self._end_with_server, group.cancel_scope)
                await self._send_events(send)
                group.cancel_scope.cancel()
        if not self._is_slow:  # else the end would wait for the reader as well
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_events(self, send: Send) -> None:
        leave_agent = self._agent.subscribe(lambda _agent: self._changed.set())
        leave_registry = self._registry.subscribe(lambda _agent_id: self._changed.set())
        try:
            while self._is_there():
                self._changed = anyio.Event()
                text = json.dumps(self._status_of(self._agent), separators=(",", ":"))
                body = f"event: status\ndata: {text}\n\n".encode()
                message = {"type": "http.response.body", "body": body, "more_body": True}
                await within(self._clock, SLOW_READER_S, partial(send, message))
                await wait_until_set(self._clock, PERIOD_S, self._changed)
        except DeadlinePassed:
            self._is_slow = True
            LOG.warning("a reader of the events of %s was too slow", self._agent.agent_id)
        finally:
            leave_agent()
            leave_registry()

    def _is_there(self) -> bool:
        return self._registry.get_agent(self._agent.agent_id) is self._agent

    @staticmethod
    async def _end_with_reader(receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def _end_with_server(self, scope: anyio.CancelScope) -> None:
        await self._closing.wait()
        scope.cancel()
