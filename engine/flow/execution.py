"""The record of one run: status, duration, response, error, and whether a retry makes sense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from engine.flow.errors import EngineError
from engine.flow.plain import to_plain
from engine.flow.status import EventStatus
from engine.flow.unset import Unset, UnsetType

MAX_NESTING: Final = 100
"""So many groups, one in the other, are written in full; the outermost is the first."""


@dataclass(slots=True)
class Execution:
    """Mutable record of a run; it belongs to one event.

    Attributes:
        duration: seconds on a monotonic clock.
        response: what the run returned; None is a legitimate result.
        error: None after success, the exception otherwise.
        retryable: whether the same request may succeed later.
    """

    status: EventStatus = EventStatus.PENDING
    duration: float | UnsetType = Unset
    response: object = Unset
    error: BaseException | UnsetType | None = Unset
    retryable: bool | UnsetType = Unset

    def add_error(self, exc: BaseException) -> None:
        """Record *exc* beside what is recorded already: one, then a flat group in order."""
        known = self.error
        if known is None or isinstance(known, UnsetType):
            self.error = exc
        elif isinstance(known, BaseExceptionGroup):
            self.error = BaseExceptionGroup(known.message, [*known.exceptions, exc])
        else:
            self.error = BaseExceptionGroup("multiple errors", [known, exc])

    def close(
        self,
        status: EventStatus,
        error: BaseException | None,
        *,
        retryable: bool,
        duration: float = 0.0,
    ) -> None:
        """End the record without a response; *duration* is 0 if nothing ran."""
        self.status = status
        self.error = error
        self.retryable = retryable
        self.duration = duration

    def to_dict(self) -> dict[str, object]:
        """Return the five fields as JSON types; Unset becomes None."""
        error = self.error
        return {
            "status": str(self.status),
            "duration": _or_none(self.duration),
            "response": None if self.response is Unset else to_plain(self.response),
            "error": error_to_dict(error) if isinstance(error, BaseException) else None,
            "retryable": _or_none(self.retryable),
        }


def is_retryable(exc: BaseException) -> bool:
    """Return whether the same request may succeed later; a group answers for all its leaves."""
    pending = [exc]
    while pending:
        one = pending.pop()
        if isinstance(one, BaseExceptionGroup):
            pending.extend(one.exceptions)
        elif isinstance(one, EngineError):
            if not one.retryable:
                return False
        elif not isinstance(one, Exception):
            return False
    return True


def error_to_dict(exc: BaseException) -> dict[str, object]:
    """Return *exc* as JSON types: `error`, `message`, and `exceptions` for a group."""
    return _error_to_dict(exc, 1, set())


def _error_to_dict(exc: BaseException, depth: int, path: set[int]) -> dict[str, object]:
    if isinstance(exc, EngineError):
        # One value without a plain form must not take the others with it.
        return {key: to_plain(value) for key, value in exc.to_dict().items()}
    if not isinstance(exc, BaseExceptionGroup):
        return _head(exc, _text(exc))
    if id(exc) in path:
        return _head(exc, "Circular reference detected")
    if depth > MAX_NESTING:
        message = f"Max nesting depth ({MAX_NESTING}) exceeded"
        return {**_head(exc, message), "nested_count": len(exc.exceptions)}
    path.add(id(exc))
    leaves = [_error_to_dict(leaf, depth + 1, path) for leaf in exc.exceptions]
    path.discard(id(exc))
    return {**_head(exc, _text(exc)), "exceptions": leaves}


def _head(exc: BaseException, message: str) -> dict[str, object]:
    return {"error": type(exc).__name__, "message": message}


def _text(exc: BaseException) -> str:
    describe: Callable[[BaseException], str] = str
    try:
        return describe(exc)
    except Exception:  # noqa: BLE001 (boundary: a foreign exception's own text runs here)
        return f"<{type(exc).__name__} without a readable message>"


def _or_none(value: float | UnsetType) -> float | None:
    return None if isinstance(value, UnsetType) else value
