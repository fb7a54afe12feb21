"""Why an engine cannot start, in sentences for the operator."""

from __future__ import annotations

from engine.flow.errors import EngineError

__all__ = ["EXIT_FAILED", "EXIT_RETRY_LATER", "EXIT_USAGE", "EngineError", "EngineStartError"]

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_RETRY_LATER = 3


class EngineStartError(EngineError):
    """The engine could not start; ``exit_code`` is what the command ends with."""

    default_retryable = False

    def __init__(self, message: str, *, exit_code: int, cause: BaseException | None = None) -> None:
        super().__init__(message, cause=cause)
        self.exit_code = exit_code
