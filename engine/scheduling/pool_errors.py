"""What the resource pool raises on its own account."""

from __future__ import annotations

from engine.scheduling.errors import SchedulingError


class PoolError(SchedulingError):
    """Root of the pool's errors."""

    default_retryable = True


class PoolClosed(PoolError):  # noqa: N818 (the specified name)
    """The pool is closed, or was closed while the call waited."""

    default_retryable = False


class RateLimitTimeout(PoolError):  # noqa: N818 (the specified name)
    """The wait at a rate gate is longer than the time the running task has left."""


class RequestFailed(PoolError):  # noqa: N818 (the specified name)
    """A request brought no answer that can be used.

    Args:
        message: method, host and path, how many attempts, and what the last one met.
        attempts: how many attempts were sent.
        last_error: what ended the last one; also the `__cause__`.
    """

    def __init__(self, message: str, *, attempts: int, last_error: BaseException) -> None:
        super().__init__(
            message,
            details={"attempts": attempts, "last_error": type(last_error).__name__},
            cause=last_error,
        )
        self.attempts = attempts
        self.last_error = last_error


class BodyTooLarge(RequestFailed):
    """The response is larger than `http_max_body`; reading was given up."""

    default_retryable = False


class BodyUndecodable(RequestFailed, ValueError):  # noqa: N818 (in the family of the names)
    """The response is not what its headers say: bad JSON, charset or compression."""

    default_retryable = False
