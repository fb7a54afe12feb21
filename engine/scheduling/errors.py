"""What the scheduler raises on its own account."""

from __future__ import annotations

from engine.flow.errors import EngineError


class SchedulingError(EngineError):
    """Root of the scheduler's own errors."""

    default_retryable = False


class EngineNotRunning(SchedulingError, RuntimeError):  # noqa: N818 (the specified name)
    """The execution engine does not run, or is being stopped: it takes no work."""

    default_retryable = True


class QueueFull(SchedulingError):  # noqa: N818 (the specified name)
    """`max_queue_size` tasks are waiting already; `CRITICAL` ones would still be taken."""

    default_retryable = True


class TaskTimeout(SchedulingError):  # noqa: N818 (the specified name)
    """The engine's own deadline passed before the task ended; no built-in `TimeoutError`."""

    default_retryable = True


class TaskCancelled(SchedulingError):  # noqa: N818 (the specified name)
    """The task was called off, skipped or still waiting when the engine stopped.

    No `asyncio.CancelledError`: who awaits the result is not cancelled by it.
    """


class StrayCancellation(SchedulingError):  # noqa: N818 (in the family of the other names)
    """The task awaited something that was cancelled, though nobody cancelled the task.

    An error like any other, in place of the `asyncio.CancelledError`: who awaits the result would
    take that for a cancellation of his own.
    """


class CycleFailed(SchedulingError):  # noqa: N818 (in the family of the other names)
    """An agent's cycle reported a failure without an exception to show for it."""


class AgentConfigError(SchedulingError, ValueError):
    """An agent's configuration has a value that the scheduler cannot use."""


class UnknownAgentType(SchedulingError, ValueError):  # noqa: N818 (the specified name)
    """No agent type of that name is registered."""


class UnknownAgent(SchedulingError, ValueError):  # noqa: N818 (the specified name)
    """No agent has that id."""


class DuplicateAgent(SchedulingError, ValueError):  # noqa: N818 (the specified name)
    """An agent of that id is registered already."""
