"""The engine's errors: one root, and one class wherever a caller would act differently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar


class EngineError(Exception):
    """Root of every error that the engine raises on its own account.

    Args:
        message: what happened, to what, and what to do about it.
        details: values that belong to the message; copied.
        retryable: whether the same request may succeed later; None takes the class's default.
            It is information only: nothing retries because of it.
        cause: the error behind this one; also set as `__cause__`.
    """

    default_retryable: ClassVar[bool] = True

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, object] | None = None,
        retryable: bool | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, object] = dict(details) if details else {}
        self.retryable = self.default_retryable if retryable is None else retryable
        if cause is not None:
            self.__cause__ = cause

    @property
    def cause(self) -> BaseException | None:
        """The error behind this one, if there is one."""
        return self.__cause__

    def __reduce__(self) -> tuple[Callable[..., EngineError], tuple[object, ...]]:
        """Copy and pickle what is there: a subclass's constructor may take something else.

        An error of a worker process that cannot be read back would break the whole pool.
        """
        return _restored, (type(self), self.args, self.__dict__)

    def to_dict(self) -> dict[str, object]:
        """Return `error` (class name), `message`, `retryable`, and `details` if not empty."""
        plain: dict[str, object] = {
            "error": type(self).__name__,
            "message": self.message,
            "retryable": self.retryable,
        }
        if self.details:
            plain["details"] = dict(self.details)
        return plain


def _restored(
    kind: type[EngineError], args: tuple[object, ...], state: Mapping[str, object]
) -> EngineError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ValidationError(EngineError):
    """The input is bad."""

    default_retryable = False


class AccessError(EngineError):
    """Permission was refused for good."""

    default_retryable = False


class ConfigurationError(EngineError):
    """A setting or a status progression is missing."""

    default_retryable = False


class ExecutionError(EngineError):
    """A run failed for an outside reason."""


class EngineConnectionError(EngineError):
    """A connection failed; not the built-in `ConnectionError`, nor an `OSError`."""


class EngineTimeoutError(EngineError):
    """A limit of the engine's own passed; not the built-in `TimeoutError`, nor an `OSError`."""


class NotFoundError(EngineError):
    """An id or a name is absent."""

    default_retryable = False


class UnknownProgressionError(NotFoundError, KeyError):
    """A flow has no progression of that name or id; also a `KeyError`."""

    def __str__(self) -> str:
        return self.message


class ExistsError(EngineError):
    """An id or a name is already there."""

    default_retryable = False


class QueueFullError(EngineError):
    """A queue is at its limit; wait, or raise the limit."""


class OperationError(EngineError):
    """The engine refuses the operation for any other reason."""

    default_retryable = False
