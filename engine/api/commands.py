"""Commands: frozen requests at the door. Each becomes one tracked ``flow.Event``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Command(BaseModel):
    """What every command says: which session it is for and who asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    session: str = Field(min_length=1)
    actor: str = "operator"


class CreateExecutor(Command):
    """Create and start a trading executor.

    ``config`` holds the fields of the executor's configuration model as a form or a file gives
    them: text, numbers, nested mappings. It is validated by the model of ``executor_type``.
    """

    executor_type: str
    config: dict[str, Any]
    controller_id: str = "main"


class StopExecutor(Command):
    """Stop an executor: flatten its position, or keep it as a position hold.

    ``keep_position=None`` leaves the choice to the executor's own configuration.
    """

    executor_id: str
    keep_position: bool | None = None


class UpdateExecutor(Command):
    """Change a running executor by the update type of its configuration."""

    executor_id: str
    changes: dict[str, Any]


class StoreExecutor(Command):
    """Move a terminated executor from the table into the archive."""

    executor_id: str


class StopSession(Command):
    """End a session: flatten every executor, or keep the positions."""

    policy: Literal["flatten", "keep"] = "keep"


class ControllerCommand(Command):
    """What is said about one controller of a session."""

    controller_id: str = Field(min_length=1, max_length=200)


class StopController(ControllerCommand):
    """Let a controller propose nothing any more, and stop its executors.

    ``keep_position=None`` leaves to each executor's configuration what becomes of its position.
    """

    keep_position: bool | None = None


class StartController(ControllerCommand):
    """Let a controller go on that was stopped, or that failed too often."""


class BacktestCommand(Command):
    """What is said about backtests; they belong to no session."""

    session: str = "backtests"


class RunBacktest(BacktestCommand):
    """Queue a backtest: of a file, or of a configuration that an earlier run had.

    ``overrides`` are ``key.key=value`` over either. ``base_dir`` is the folder that relative paths
    of ``config`` start from; a file's own folder counts for ``path``.
    """

    path: str = ""
    config: dict[str, Any] | None = None
    base_dir: str = ""
    name: str = ""
    profile: str | None = None
    overrides: tuple[str, ...] = ()
    backtest_engine: Literal["auto", "events", "compiled"] = "auto"


class CancelBacktest(BacktestCommand):
    """End a queued backtest at once, a running one within a bar; it keeps a partial result."""

    backtest_id: str = Field(min_length=1)


class DeleteBacktest(BacktestCommand):
    """Forget a finished backtest and delete its files."""

    backtest_id: str = Field(min_length=1)


class OptimizationCommand(Command):
    """What is said about studies; they belong to no session."""

    session: str = "optimizations"


class RunOptimization(OptimizationCommand):
    """Queue a study of a file, or go on with one that was cut off (``resume`` is its id)."""

    path: str = ""
    resume: str = ""
    name: str = ""
    backend: Literal["serial", "thread", "process", "kernel", "distributed"] | None = None
    workers: int | None = Field(default=None, ge=1, le=1024)
    cluster: str | None = None
    overrides: tuple[str, ...] = ()


class CancelOptimization(OptimizationCommand):
    """End a study within seconds; what is done stays, and it can be resumed."""

    study_id: str = Field(min_length=1)


class HoldOptimization(OptimizationCommand):
    """Send no further trials of a running study, or let it go on (``held`` false)."""

    study_id: str = Field(min_length=1)
    held: bool = True


class WritePaperSession(OptimizationCommand):
    """Write the strategy of a trial as a paper session file into the data directory."""

    study_id: str = Field(min_length=1)
    index: int = Field(ge=0)


class AgentCommand(Command):
    """What is said about one agent."""

    agent_id: str = Field(min_length=1, max_length=200)


class StartAgent(AgentCommand):
    """Start an agent; its first cycle runs at once."""


class StopAgent(AgentCommand):
    """Stop an agent: its queued cycle is dropped, a running one may end within the grace."""


class RunAgentNow(AgentCommand):
    """Run one cycle of a running agent now; one that is queued comes forward."""


class PauseAgent(AgentCommand):
    """Let a running agent rest: no cycle follows, but it stays ready and can be run now."""


class ResumeAgent(AgentCommand):
    """Let a paused agent go on; its next cycle runs at once."""


class SetAgentPriority(AgentCommand):
    """Change the priority of an agent's cycles, of the queued one too."""

    priority: Literal["critical", "high", "normal", "low", "idle"]


class SetAgentInterval(AgentCommand):
    """Change the base interval of an agent, in seconds; the factors still move it."""

    interval: float = Field(gt=0, le=86_400, allow_inf_nan=False)
