"""Base of every agent: its life cycle and one unit of work."""

from __future__ import annotations

import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, ClassVar, Final

import anyio

from engine.model.clock import to_iso
from engine.scheduling.agent_config import read_cycle_settings
from engine.scheduling.agent_log import AgentLog, LogLine, agent_logger, first_line
from engine.scheduling.agent_metrics import AgentMetrics
from engine.scheduling.agent_status import AgentStatus
from engine.scheduling.clock import Clock, SystemClock
from engine.scheduling.errors import AgentConfigError
from engine.scheduling.task_names import check_name

LOG: Final = logging.getLogger("engine.scheduling")


class BaseAgent(ABC):
    """Something that does one unit of work again and again.

    Subclasses give `_run_cycle`; `_initialize`, `_cleanup` and `_on_config_update` do nothing
    unless they are overridden. `config` may set `interval` and `cycle_timeout` (seconds),
    `priority` and `repeat`; everything else in it is the subclass's own.

    Attributes:
        agent_id: its id.
        config: its configuration, a copy of its own.
        status: where it stands.
        metrics: its counters.
        log: its newest log lines.
        logger: writes into `log` and to the logging system, never to the terminal.
        clock: tells the time of the metrics; the registry sets its engine's.
        quiesce: awaited by `stop` before the clean-up; the engine that runs the agent sets it.

    Raises:
        AgentConfigError: `config` is no mapping.
        ValueError: the id cannot be one.
    """

    is_protected: ClassVar[bool] = False
    """Whether programs may not stop, change or delete it over HTTP; a person at the console may."""

    def __init__(self, agent_id: str, config: Mapping[str, Any] | None = None) -> None:
        self.agent_id: Final = check_name(agent_id, "agent id")
        self.config: dict[str, Any] = _copied_config(agent_id, config)
        self.status = AgentStatus.INITIALIZED
        self.metrics = AgentMetrics()
        self.log: Final = AgentLog()
        self.logger: Final = agent_logger(agent_id, self.log)
        self.clock: Clock = SystemClock()
        self.quiesce: Callable[[], Awaitable[object]] | None = None
        self._transition: Final = anyio.Lock()
        self._listeners: Final[list[Callable[[BaseAgent], object]]] = []

    @property
    def is_changing(self) -> bool:
        """Whether a start, a stop or a change of the configuration is under way."""
        return self._transition.locked()

    # --- life ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Initialize and be `running`; nothing happens if it is already.

        Raises:
            Exception: what `_initialize` raised; the agent is then in `error`.
        """
        async with self._transition:
            if self.status is AgentStatus.RUNNING:
                return
            async with self._moving(AgentStatus.STARTING, AgentStatus.RUNNING):
                await self._initialize()

    async def stop(self) -> None:
        """Let a running cycle end, clean up and be `stopped`; nothing happens if it is already.

        An agent that was never started has nothing to clean up.

        Raises:
            Exception: what `_cleanup` raised; the agent is then in `error`.
        """
        async with self._transition:
            if self.status is AgentStatus.STOPPED:
                return
            was_started = self.status is not AgentStatus.INITIALIZED
            async with self._moving(AgentStatus.STOPPING, AgentStatus.STOPPED):
                if self.quiesce is not None:
                    await self.quiesce()
                if was_started:
                    await self._cleanup()

    async def update_config(self, new: Mapping[str, Any]) -> None:
        """Take the entries of *new* into the configuration.

        Raises:
            AgentConfigError: the engine cannot use one of them.
            Exception: what `_on_config_update` raised; the old configuration is back then.
        """
        async with self._transition:
            old = self.config
            merged = {**old, **_mapping(self.agent_id, new)}
            read_cycle_settings(merged, agent_id=self.agent_id)
            self.config = merged
            try:
                await self._on_config_update(dict(old), dict(self.config))
            except BaseException:
                self.config = old
                raise
            self._tell()

    def mark_error(self, reason: str) -> None:
        """Be in `error` for *reason*; for the engine."""
        self.metrics.increment("errors")
        self.metrics["last_cycle_error"] = reason[:200]
        self.logger.error("%s", reason)
        self._move_to(AgentStatus.ERROR)

    # --- work ------------------------------------------------------------------------------

    async def run_cycle(self, resource_pool: Any) -> dict[str, Any]:  # noqa: ANN401 (the engine's pool, or a stand-in)
        """Do one unit of work and tell how it went; exceptions become part of the answer.

        Returns:
            `success`, `duration` in seconds, and `results` or `error`. Without running anything,
            `success` and `message`, when the agent is not `running`.
        """
        if self.status is not AgentStatus.RUNNING:
            return {"success": False, "message": f"agent {self.agent_id} is {self.status}"}
        began = self.clock.monotonic()
        try:
            return await self.execute_cycle(resource_pool)
        except Exception as error:
            self.logger.exception("cycle failed")
            return {
                "success": False,
                "duration": self.clock.monotonic() - began,
                "error": first_line(error),
            }

    async def execute_cycle(self, resource_pool: Any) -> dict[str, Any]:  # noqa: ANN401 (as above)
        """Do one unit of work and let its exceptions through; what the engine runs.

        The engine looks at the status first, and logs what comes through.
        """
        began = self.clock.monotonic()
        try:
            results = self._checked_results(await self._run_cycle(resource_pool))
        except Exception as error:
            self.note_failure(error, self.clock.monotonic() - began)
            raise
        duration = self.clock.monotonic() - began
        self.metrics.increment("cycles_completed")
        self._note_cycle(duration)
        return {"success": True, "duration": duration, "results": results}

    def note_failure(self, error: BaseException, duration: float) -> None:
        """Count a cycle that failed after *duration* seconds; for the engine's own deadline too."""
        self.metrics.increment("cycles_failed")
        self.metrics.increment("errors")
        self.metrics["last_cycle_error"] = first_line(error)
        self._note_cycle(duration)

    def increment(self, name: str, by: float = 1) -> None:
        """Add *by* to the counter *name*, which is made if there is none."""
        self.metrics.increment(name, by)

    # --- looking ---------------------------------------------------------------------------

    def get_status(self) -> dict[str, Any]:
        """Return `agent_id`, `status` (a word), and copies of `metrics` and `config`."""
        return {
            "agent_id": self.agent_id,
            "status": self.status.value,
            "metrics": dict(self.metrics),
            "config": dict(self.config),
        }

    def log_lines(
        self, limit: int = 100, offset: int = 0, level: str | int | None = None
    ) -> tuple[LogLine, ...]:
        """Return a window of the newest log lines; see `AgentLog.lines`."""
        return self.log.lines(level, limit, offset)

    def subscribe(self, listener: Callable[[BaseAgent], object]) -> Callable[[], None]:
        """Call *listener* after every change of status, metrics or configuration.

        Returns:
            What ends it.
        """
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    # --- for subclasses --------------------------------------------------------------------

    async def _initialize(self) -> None:  # noqa: B027 (a hook, not an obligation)
        """Prepare for cycles."""

    async def _cleanup(self) -> None:  # noqa: B027 (as above)
        """Give back what `_initialize` took."""

    async def _on_config_update(self, old: dict[str, Any], new: dict[str, Any]) -> None:  # noqa: B027 (as above)
        """React to a changed configuration; raising restores the old one."""

    @abstractmethod
    async def _run_cycle(self, resource_pool: Any) -> Mapping[str, Any] | None:  # noqa: ANN401 (see run_cycle)
        """Do one unit of work and return its results."""

    # --- within ----------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _moving(self, through: AgentStatus, to: AgentStatus) -> AsyncIterator[None]:
        self._move_to(through)
        try:
            yield
        except BaseException as error:
            self.metrics.increment("errors")
            self.metrics["last_cycle_error"] = first_line(error)
            self._move_to(AgentStatus.ERROR)
            raise
        self._move_to(to)

    def _checked_results(self, results: object) -> dict[str, Any]:
        if results is not None and not isinstance(results, Mapping):
            name = f"{type(self).__name__}._run_cycle"
            raise TypeError(f"{name} must return a mapping, not {type(results).__name__}")
        return dict(results or {})

    def _move_to(self, status: AgentStatus) -> None:
        self.status = status
        self._tell()

    def _note_cycle(self, duration: float) -> None:
        self.metrics["last_cycle_time"] = duration
        self.metrics["last_cycle_completed"] = to_iso(int(self.clock.wall() * 1e9))
        self._tell()

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(self)
            except Exception:
                LOG.exception("a listener of agent %s failed", self.agent_id)


def _mapping(agent_id: str, config: object) -> Mapping[str, Any]:
    if not isinstance(config, Mapping):
        raise AgentConfigError(f"agent {agent_id}: config must be a mapping, not {config!r}")
    return config


def _copied_config(agent_id: str, config: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if config is None else dict(_mapping(agent_id, config))
