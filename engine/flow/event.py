"""Events: tracked units of asynchronous work."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Mapping
from inspect import isawaitable
from typing import ClassVar, Final, NoReturn, Self, final

from engine.flow.clock import monotonic
from engine.flow.element import Element, Mode
from engine.flow.errors import EngineTimeoutError
from engine.flow.execution import Execution, is_retryable
from engine.flow.plain import copy_containers
from engine.flow.status import EventStatus
from engine.flow.stored_record import record_from
from engine.flow.unset import Unset, UnsetType

__all__ = ["Event", "EventStatus", "Execution", "Unset", "UnsetType"]


_NOBODY: Final[tuple[asyncio.Future[None], ...]] = ()
_PROCESSING: Final = EventStatus.PROCESSING
_COMPLETED: Final = EventStatus.COMPLETED


class Event(Element):
    """One unit of work: a subclass says what it does, the engine says how it went.

    Subclasses implement `_invoke()`, or `stream()` with `streaming=True`, and declare their
    fields as annotated class attributes with defaults. An event belongs to one event loop.

    Args:
        fields: `id`, `created_at`, `metadata`, `execution`, `timeout` (seconds, finite and
            above 0, or None), `streaming`, and the declared fields.

    Raises:
        ValueError: an unknown keyword or a bad value.
    """

    unserialised: ClassVar[frozenset[str]] = frozenset({"timeout", "streaming"})

    timeout: float | None = None
    streaming: bool = False

    # None while nobody runs the event; otherwise those who wait for the run to end.
    _turns: tuple[asyncio.Future[None], ...] | None = None

    def __init__(self, **fields: object) -> None:
        record = fields.pop("execution", None) if fields else None
        if record is None:
            record = Execution()
        elif not isinstance(record, Execution):
            raise ValueError(f"execution must be an Execution, not {type(record).__name__}")
        self.execution = record
        self._fill(fields)
        if self.timeout is not None:
            _check_timeout(self.timeout)
        if self._is_hooked:
            self.model_post_init(None)

    # --- views of the record ---------------------------------------------------------------

    @property
    def status(self) -> EventStatus:
        """Status of the record; a member or its string may be assigned."""
        return self.execution.status

    @status.setter
    def status(self, status: EventStatus | str) -> None:
        if not isinstance(status, str):
            raise ValueError(f"Invalid status type: {type(status).__name__}")  # noqa: TRY004 (the specification asks for ValueError)
        self.execution.status = EventStatus(status)

    @property
    def response(self) -> object:
        """What the run returned; `Unset` until it has."""
        return self.execution.response

    @property
    def request(self) -> dict[str, object]:
        """Keyword arguments for the permission check."""
        return {}

    # --- for subclasses --------------------------------------------------------------------

    async def _invoke(self) -> object:
        """Do the work and return its result; at most once for each event."""
        raise NotImplementedError(f"Subclasses must implement _invoke ({type(self).__name__})")

    def stream(self) -> AsyncIterator[object]:
        """Yield results; subclasses write an async generator."""
        return _NoStream(f"Subclasses must implement stream ({type(self).__name__})")

    # --- running ---------------------------------------------------------------------------

    @final
    def invoke(self) -> Coroutine[object, object, None]:
        """Run `_invoke()` once and record the outcome; errors are stored, not raised.

        Of concurrent calls one runs and the others wait for it. A terminal event stays as it
        is. Only cancellation and other exceptions that are no `Exception` are raised.
        """
        return self._track(self._invoke)

    @final
    def consume_stream(self) -> Coroutine[object, object, None]:
        """Consume `stream()` to its end and record the outcome as `invoke()` does.

        A terminal status or a response that the stream set itself is kept.
        """
        return self._track(self._exhaust)

    async def _track(self, work: Callable[[], Awaitable[object]]) -> None:
        while self._turns is not None and not self.execution.status.is_terminal:
            await self._wait_for_turn(self._turns)
        record = self.execution
        if record.status.is_terminal:
            return
        self._turns = _NOBODY
        record.status = _PROCESSING
        started = monotonic()
        try:
            response = await (work() if self.timeout is None else self._limited(work))
        except _OutOfTimeError as exc:
            self._record_timeout(started, exc.__cause__)
        except BaseException as exc:
            self._record_error(exc, started)
            if not isinstance(exc, Exception):
                raise
        else:
            self._record_response(response, started)
        finally:
            if self._turns:
                self._end_turn()
            else:
                self._turns = None

    async def _limited(self, work: Callable[[], Awaitable[object]]) -> object:
        # Foreign code raises TimeoutErrors too: ours is one that follows our own deadline.
        scope = asyncio.timeout(self.timeout)
        try:
            async with scope:
                response = await work()
        except Exception as exc:
            if scope.expired():
                raise _OutOfTimeError from exc
            raise
        if scope.expired():  # the work swallowed the cancellation
            raise _OutOfTimeError
        return response

    async def _wait_for_turn(self, turns: tuple[asyncio.Future[None], ...]) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns = (*turns, turn)
        await turn

    def _end_turn(self) -> None:
        turns, self._turns = self._turns, None
        for turn in turns or ():
            if not turn.done():
                turn.set_result(None)

    async def _exhaust(self) -> object:
        source = self.stream()
        if isawaitable(source) and not hasattr(source, "__anext__"):
            source = await source
        async for _ in source:
            continue
        response = self.execution.response
        return None if response is Unset else response

    def _record_response(self, response: object, started: float) -> None:
        record = self.execution
        record.duration = monotonic() - started
        record.response = response
        if record.status.is_terminal:  # set by the work itself, and final
            return
        record.error = None
        record.retryable = False
        record.status = _COMPLETED

    def _record_error(self, exc: BaseException, started: float) -> None:
        if isinstance(exc, asyncio.CancelledError):
            self._close(EventStatus.CANCELLED, exc, started, retryable=True)
        else:
            self._close(EventStatus.FAILED, exc, started, retryable=is_retryable(exc))

    def _record_timeout(self, started: float, cause: BaseException | None) -> None:
        error = EngineTimeoutError(
            f"{type(self).__name__} {self.id} timed out after {self.timeout}s", cause=cause
        )
        self._close(EventStatus.CANCELLED, error, started, retryable=True)

    def _close(
        self, status: EventStatus, error: BaseException, started: float, *, retryable: bool
    ) -> None:
        record = self.execution
        if record.status.is_terminal:  # set by the work itself, and final
            status = record.status
        record.close(status, error, retryable=retryable, duration=monotonic() - started)

    # --- copies and snapshots --------------------------------------------------------------

    def as_fresh_event(self, copy_meta: bool = False) -> Self:  # noqa: FBT001, FBT002 (the specification's signature)
        """Return a new pending event with the same fields; containers are copied.

        Args:
            copy_meta: whether the new metadata starts as a copy of the old. Either way its
                `original` names this event.
        """
        values = {name: copy_containers(getattr(self, name)) for name in self._fields}
        fresh = type(self)(**values)
        if copy_meta:
            fresh.metadata.update({k: copy_containers(v) for k, v in self.metadata.items()})
        fresh.metadata["original"] = {"id": str(self.id), "created_at": self.created_at}
        return fresh

    def to_dict(self, mode: Mode = "python") -> dict[str, object]:
        """Return `id`, `created_at`, `metadata`, `execution` and the declared fields."""
        data = super().to_dict(mode)
        head = {name: data.pop(name) for name in ("id", "created_at", "metadata")}
        return {**head, "execution": self.execution.to_dict(), **data}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Return the event that `to_dict` described; ValidationError if it is corrupt."""
        rest = dict(data)
        record = record_from(rest.pop("execution", None))
        event = super().from_dict(rest)
        event.execution = record
        return event


class _OutOfTimeError(Exception):
    """An event's own limit passed; never leaves this module."""


class _NoStream:
    """The stream of an event that has none: it fails as soon as it is used."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __await__(self) -> Generator[object, None, NoReturn]:
        raise NotImplementedError(self._message)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> NoReturn:
        raise NotImplementedError(self._message)


def _check_timeout(timeout: object) -> None:
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    # Compared, not asked by `isfinite`: that overflows for an integer that no float can hold.
    if not is_number or not 0 < timeout <= sys.float_info.max:  # type: ignore[operator]  # is_number narrowed it
        raise ValueError(f"timeout must be finite and above 0 seconds, not {timeout!r}")
