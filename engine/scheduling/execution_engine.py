"""The execution engine: takes tasks, orders them, runs them within slots, reports."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import math
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Final, Self

import anyio

from engine.scheduling import engine_options as spec
from engine.scheduling.adaptive_scheduler import AdaptiveScheduler
from engine.scheduling.agent_book import AgentBook
from engine.scheduling.agent_cycles import AgentCycles, merge, settings_of
from engine.scheduling.agent_record import Work
from engine.scheduling.alerts import AlertMonitor
from engine.scheduling.clock import Clock, SystemClock
from engine.scheduling.conductor import TaskConductor, TaskListener
from engine.scheduling.dispatcher import Dispatcher
from engine.scheduling.engine_report import agent_report, first_in_line, queue_stats
from engine.scheduling.errors import EngineNotRunning, QueueFull
from engine.scheduling.health import HealthNews, HealthReport
from engine.scheduling.health_check import HealthCheck
from engine.scheduling.load_sampler import LoadSampler
from engine.scheduling.load_watch import LoadWatch
from engine.scheduling.loop_owner import LoopOwner, running_loop
from engine.scheduling.option import Option, Optioned, OptionSpec
from engine.scheduling.periodic import Periodic
from engine.scheduling.resource_pool import ResourcePool
from engine.scheduling.run_record import RunRecord
from engine.scheduling.settings import SchedulingSettings
from engine.scheduling.shutdown import Shutdown
from engine.scheduling.stop_report import StopReport
from engine.scheduling.task_checks import check_work, checked_delay, checked_timeout
from engine.scheduling.task_context import CURRENT_TASK
from engine.scheduling.task_handle import AgentRecord, TaskHandle
from engine.scheduling.task_names import check_name
from engine.scheduling.task_priority import TaskPriority, to_priority
from engine.scheduling.task_snapshot import TaskSnapshot
from engine.scheduling.thread_door import ThreadDoor
from engine.scheduling.timers import Timers

LOG: Final = logging.getLogger("engine.scheduling")


class ExecutionEngine(Optioned):
    """Runs agents and their tasks by priority, within slots, with deadlines.

    Every option is an attribute that may be assigned while the engine runs; it counts from the next
    decision on. All methods belong to the loop that called `start`, but `get_stats`, `agent_stats`
    and `schedule_threadsafe`, which may be called from anywhere.

    Args:
        config: options by name, with the sections `resource_pool`, `scheduler` and `alerts`.
        resource_pool: the pool of others, who open and close it; None makes one.
        scheduler: turns figures into intervals; None makes one.
        clock: tells time and sleeps.
        rng: draws jitter, spread and back-off.
        sampler: measures the system's load; None uses psutil.

    Attributes:
        resource_pool: what every task is called with.
        scheduler: the adaptive scheduler.
        alerts: alerts on load, pool and queue.

    Raises:
        ValueError: an option is unknown or refused.
    """

    OPTIONS: ClassVar[Mapping[str, OptionSpec[Any]]] = spec.ENGINE_OPTIONS
    SECTIONS = frozenset({"resource_pool", "scheduler", "alerts"})
    max_concurrent_tasks = Option(spec.MAX_CONCURRENT_TASKS)
    task_timeout_multiplier = Option(spec.TASK_TIMEOUT_MULTIPLIER)
    health_check_interval = Option(spec.HEALTH_CHECK_INTERVAL)
    critical_reserve = Option(spec.CRITICAL_RESERVE)
    aging_interval = Option(spec.AGING_INTERVAL)
    max_queue_size = Option(spec.MAX_QUEUE_SIZE)
    default_timeout = Option(spec.DEFAULT_TIMEOUT)
    cancel_grace = Option(spec.CANCEL_GRACE)
    stop_grace = Option(spec.STOP_GRACE)
    overdue_after = Option(spec.OVERDUE_AFTER)
    start_spread = Option(spec.START_SPREAD)
    dispatch_budget = Option(spec.DISPATCH_BUDGET)
    loop_lag_warn = Option(spec.LOOP_LAG_WARN)

    def __init__(
        self,
        config: Mapping[str, Any] | SchedulingSettings | None = None,
        resource_pool: Any = None,  # noqa: ANN401 (a ResourcePool, or a stand-in)
        scheduler: Any = None,  # noqa: ANN401 (an AdaptiveScheduler, or a stand-in)
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        sampler: LoadSampler | None = None,
    ) -> None:
        given = config.to_config() if isinstance(config, SchedulingSettings) else config
        self._owner: Final = LoopOwner()
        super().__init__(given)
        sections = {name: _section(given, name) for name in sorted(self.SECTIONS)}
        self._clock: Final[Clock] = clock or SystemClock()
        self._rng: Final = rng or random.Random()
        if resource_pool is not None and sections["resource_pool"]:
            raise ValueError("resource_pool: give its options to the pool that you pass in")
        if scheduler is not None and sections["scheduler"]:
            raise ValueError("scheduler: give its options to the scheduler that you pass in")
        self._owns_pool: Final = resource_pool is None
        self.resource_pool: Final[Any] = (
            ResourcePool(sections["resource_pool"], clock=self._clock, rng=self._rng)
            if resource_pool is None
            else resource_pool
        )
        self.scheduler: Final[Any] = (
            AdaptiveScheduler(sections["scheduler"], clock=self._clock, rng=self._rng)
            if scheduler is None
            else scheduler
        )
        self.alerts: Final = AlertMonitor(self._clock, sections["alerts"])
        self._conductor: Final = TaskConductor(self.scheduler)
        self._dispatcher: Final = Dispatcher(self._clock, self._conductor, self._owner)
        self._dispatcher.pool = self.resource_pool
        self._cycles: Final = AgentCycles(self._dispatcher, self.scheduler, self._clock)
        self._conductor.cycles = self._cycles
        self._book: Final = AgentBook()
        self._health: Final = HealthNews()
        self._checker: Final = HealthCheck(self._dispatcher, self._book, self.resource_pool, self)
        self._load: Final = LoadWatch(
            sampler or LoadSampler(self._clock, self.scheduler),
            self.scheduler,
            self.resource_pool,
            self._dispatcher,
            self.alerts,
        )
        self._health_task: Final = Periodic(
            "health check", self._check_health_and_alerts, self._health_pause, self._clock
        )
        self._sample_task: Final = Periodic(
            "load sample", self._load.sample, self._load.pause, self._clock
        )
        self._task_types: Final[set[str]] = set()
        self._is_running = False
        self._is_accepting = False
        self._started_at = 0.0
        self._timers: Timers | None = None
        self._door: ThreadDoor | None = None
        self._starting: Final = anyio.Lock()
        self._shutdown: Shutdown | None = None
        self._stopping: asyncio.Future[StopReport] | None = None
        for name in self.OPTIONS:
            self._pass_on(name)

    # --- life ------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether the engine is between start and stop."""
        return self._is_running

    @property
    def clock(self) -> Clock:
        """The engine's clock."""
        return self._clock

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        with anyio.CancelScope(shield=True):
            await self.stop()

    async def start(self) -> None:
        """Begin to work on the running loop; a second call does nothing but warn.

        The queue is empty: registry and agents decide what is scheduled again.

        Raises:
            RuntimeError: it runs on another loop.
        """
        self._leave_closed_loop()
        self._owner.check()
        async with self._starting:
            if self._stopping is not None:
                await asyncio.shield(self._stopping)
            if self._is_running:
                LOG.warning("the execution engine is running already")
                return
            if self._owns_pool:
                await self.resource_pool.open()
            self._open()

    async def stop(self, grace: float | None = None, drain: bool = False) -> StopReport:  # noqa: FBT001, FBT002 (specified)
        """Stop, and return what became of the work; a stopped engine returns an empty report.

        Submissions are refused at once. Running tasks get *grace* seconds (`stop_grace` if None) to
        end, with *drain* ready ones still start within it; then what runs is cancelled, and
        abandoned if it does not unwind within `cancel_grace`. Called from inside a task, that task
        is not waited for. Cancelling the call cancels the running tasks without further grace.

        Raises:
            ValueError: *grace* is not finite; a negative one counts as 0.
        """
        seconds = self.stop_grace if grace is None else checked_delay(grace, "grace")
        self._leave_closed_loop()
        if not self._is_running:
            return StopReport()
        self._owner.check()
        if self._stopping is None:
            assert self._timers is not None  # noqa: S101 (running)
            self._is_accepting = False
            self._shutdown = Shutdown(self._dispatcher, self._book, self._timers)
            self._stopping = asyncio.get_running_loop().create_future()
            self._spare_caller()
            self._dispatcher.serve(self._stop(self._shutdown, seconds, drain=drain), "stop")
        else:
            self._spare_caller()
        try:
            return await asyncio.shield(self._stopping)
        except asyncio.CancelledError:
            if self._shutdown is not None:
                self._shutdown.hurry()
            raise

    # --- submission ------------------------------------------------------------------------

    async def schedule_agent_cycle(
        self,
        agent: Any,  # noqa: ANN401 (a BaseAgent, or anything like one)
        priority: TaskPriority | int | str = TaskPriority.NORMAL,
        delay: float = 0.0,
    ) -> TaskHandle:
        """Queue a cycle of *agent*; one that is queued already is merged with it and returned.

        Args:
            agent: has `agent_id`, `config`, `status` and `run_cycle`.
            priority: level of this cycle, not of those that follow.
            delay: seconds before it may start.

        Raises:
            EngineNotRunning: the engine is not running.
            QueueFull: too many tasks wait.
            ValueError: an argument or the agent's configuration cannot be used.
        """
        self._check_accepting()
        level = to_priority(priority)
        seconds = checked_delay(delay, "delay")
        record = self.track_agent(agent)
        if record.cycles.queued is None:
            self._check_room(level)
        now = self._dispatcher.now()
        return self._cycles.schedule(record, level, now=now, due=now + seconds)

    async def schedule_task(
        self,
        agent_id: str,
        task_type: str,
        coroutine: Work,
        priority: TaskPriority | int | str = TaskPriority.NORMAL,
        delay: float = 0.0,
        timeout: float | None = None,  # noqa: ASYNC109 (of the task, not of this call)
        exclusive: bool = False,  # noqa: FBT001, FBT002 (specified)
    ) -> TaskHandle:
        """Queue a task; returns before it runs.

        Args:
            agent_id: the agent it works for.
            task_type: what kind of work it is.
            coroutine: takes the resource pool and returns an awaitable.
            priority: its level.
            delay: seconds before it may start; negative ones count as 0.
            timeout: seconds it may run, times `task_timeout_multiplier`; inf: no limit; None:
                `default_timeout`.
            exclusive: whether at most one of this agent and type runs, and at most one waits.

        Raises:
            EngineNotRunning: the engine is not running.
            QueueFull: too many tasks wait.
            TypeError: *coroutine* is not callable.
            ValueError: another argument cannot be used.
        """
        return self._submit(agent_id, task_type, coroutine, priority, delay, timeout, exclusive)

    def schedule_threadsafe(
        self,
        agent_id: str,
        task_type: str,
        coroutine: Work,
        priority: TaskPriority | int | str = TaskPriority.NORMAL,
        delay: float = 0.0,
        timeout: float | None = None,
        exclusive: bool = False,  # noqa: FBT001, FBT002 (specified)
    ) -> concurrent.futures.Future[Any]:
        """Queue a task from any thread; see `schedule_task`.

        Returns:
            A future of what the task returns or raises. Cancelling it cancels the task. Errors of
            the submission itself, but those below, are its exception too.

        Raises:
            EngineNotRunning: the engine is not running.
            TypeError: *coroutine* is not callable.
        """
        door = self._door
        check_work(coroutine)
        if door is None or not self._is_accepting:
            raise EngineNotRunning("the execution engine is not running: start it first")
        return door.submit(
            partial(
                self._submit, agent_id, task_type, coroutine, priority, delay, timeout, exclusive
            )
        )

    def _submit(
        self,
        agent_id: str,
        task_type: str,
        work: Work,
        priority: TaskPriority | int | str,
        delay: float,
        timeout: float | None,
        exclusive: bool,  # noqa: FBT001 (as the callers have it)
    ) -> TaskHandle:
        if not callable(work):
            check_work(work)
        self._check_accepting()
        record = None
        if agent_id.__class__ is str:
            record = self._book.records.get(agent_id)
        if record is None:
            record = self._new_record(agent_id)
        if task_type.__class__ is not str or task_type not in self._task_types:
            self._check_task_type(task_type)
        level = priority if priority.__class__ is TaskPriority else to_priority(priority)
        assert isinstance(level, TaskPriority)  # noqa: S101 (for the type checker)
        seconds = 0.0 if delay.__class__ is float and not delay else checked_delay(delay, "delay")
        limit = self._default_timeout if timeout is None else checked_timeout(timeout)
        now = self._dispatcher.now()
        lane = None
        if exclusive:
            lane = record.lane(task_type)
            if lane.queued is not None:
                merge(self._dispatcher, lane.queued, level, now + seconds)
                return lane.queued
        dispatcher = self._dispatcher
        if level and self._queue_cap:
            self._check_room(level)
        return dispatcher.submit(record, task_type, work, level, now, now + seconds, limit, lane)

    # --- agents ----------------------------------------------------------------------------

    def track_agent(self, agent: Any) -> AgentRecord:  # noqa: ANN401 (a BaseAgent, or anything like one)
        """Know *agent* from now on: it is watched, and its `stop` waits for its cycle.

        Raises:
            ValueError: its id cannot be one.
            TypeError: it has no `run_cycle`.
        """
        self._owner.check()
        record = self._book.track(agent)
        if hasattr(agent, "quiesce"):
            agent.quiesce = partial(self.quiesce_agent, record.agent_id)
        return record

    async def quiesce_agent(self, agent_id: str, grace: float | None = None) -> None:
        """Call off what waits of *agent_id*, and wait until its running cycle has ended (5.5).

        After *grace* seconds (`stop_grace` if None) the cycle is cancelled. Called from inside that
        cycle, it is not waited for.
        """
        self._owner.check()
        record = self._book.find(agent_id)
        if record is None:
            return
        for waiting in list(record.queued):
            waiting.cancel()
        cycle = record.cycles.running
        if cycle is None or cycle.is_final or cycle is CURRENT_TASK.get():
            return
        seconds = self.stop_grace if grace is None else checked_delay(grace, "grace")
        assert self._timers is not None  # noqa: S101 (something runs)
        timer = self._timers.call_at(self._dispatcher.now() + seconds, cycle.cancel)
        try:
            await cycle.ended_or_abandoned()
        finally:
            timer.cancel()

    def forget_agent(self, agent_id: str) -> None:
        """Know *agent_id* no more: its waiting work is called off, its figures are dropped."""
        self._owner.check()
        record = self._book.find(agent_id)
        if record is not None:
            for waiting in list(record.queued):
                waiting.cancel()
            self._book.forget(agent_id)
        self.scheduler.forget(agent_id)

    def set_agent_priority(self, agent_id: str, priority: TaskPriority | int | str) -> None:
        """Give the queued cycle of *agent_id*, if there is one, another level, up or down.

        Raises:
            ValueError: there is no such level.
        """
        self._owner.check()
        level = to_priority(priority)
        record = self._book.find(agent_id)
        if record is not None and record.cycles.queued is not None:
            self._dispatcher.set_priority(record.cycles.queued, level)

    def drop_cycle(self, agent_id: str) -> bool:
        """Call the queued cycle of *agent_id* off; return whether there was one.

        A running cycle goes on, and is followed by another if the agent still repeats.
        """
        self._owner.check()
        record = self._book.find(agent_id)
        queued = None if record is None else record.cycles.queued
        return queued is not None and queued.cancel()

    def first_delay(self, agent: Any) -> float:  # noqa: ANN401 (as above)
        """Return a delay for the first of many agents that start together, seconds (5.4)."""
        base = settings_of(self.track_agent(agent)).interval or self.scheduler.default_interval
        return self._rng.uniform(0.0, min(self.start_spread, base))

    # --- looking ---------------------------------------------------------------------------

    def get_stats(self) -> dict[str, Any]:
        """Return the engine's figures (9): a fresh dictionary that JSON takes; any thread."""
        now = self._dispatcher.now()
        return {
            "running": self._is_running,
            "agents_tracked": len(self._book),
            "uptime_s": now - self._started_at if self._is_running else 0.0,
            **queue_stats(self._dispatcher, now=now),
            "resource_pool_stats": self.resource_pool.get_stats(),
            "scheduler_stats": self.scheduler.get_stats(),
        }

    def agent_stats(self, agent_id: str) -> dict[str, Any]:
        """Return the figures of one agent; any thread. Those of an unknown one are 0 and None."""
        return agent_report(self._book, agent_id, self.scheduler, self._clock)

    def run_history(self, agent_id: str) -> tuple[RunRecord, ...]:
        """Return the newest cycles of *agent_id*, oldest first, at most 100."""
        self._owner.check()
        record = self._book.find(agent_id)
        return () if record is None else tuple(record.history)

    def queue_snapshot(self, limit: int = 100) -> tuple[TaskSnapshot, ...]:
        """Return up to *limit* waiting tasks: ready ones by level, parked, the soonest delayed."""
        self._owner.check()
        return first_in_line(self._dispatcher, self._book, limit)

    def subscribe(self, listener: TaskListener) -> Callable[[], None]:
        """Call *listener* with a task, the state it left (None at first) and the one it is in.

        It is called on the engine's loop, in the middle of its work: it must be quick.

        Returns:
            What ends it.
        """
        self._owner.check()
        listeners = self._conductor.listeners
        listeners.append(listener)
        self._dispatcher.is_observed = True

        def unsubscribe() -> None:
            if listener in listeners:
                listeners.remove(listener)
            self._dispatcher.is_observed = bool(listeners)

        return unsubscribe

    # --- health ----------------------------------------------------------------------------

    @property
    def last_health(self) -> HealthReport:
        """The report of the latest health check."""
        return self._health.report

    def add_health_listener(self, listener: Callable[[HealthReport], object]) -> None:
        """Call *listener* with every report whose verdict differs from the one before."""
        self._owner.check()
        self._health.add(listener)

    def remove_health_listener(self, listener: Callable[[HealthReport], object]) -> None:
        """Do not call *listener* any more."""
        self._owner.check()
        self._health.remove(listener)

    async def check_health(self) -> HealthReport:
        """Look at agents, tasks, loop and pool now, and return the report."""
        self._owner.check()
        report = await self._checker.look()
        self._health.publish(report)
        return report

    # --- within ----------------------------------------------------------------------------

    def _open(self) -> None:
        loop = self._owner.take()
        if isinstance(self.scheduler, AdaptiveScheduler):
            self.scheduler.owner.take()
            self.scheduler.on_option_changed = self._scheduler_option_changed
        self._timers = self._dispatcher.open(loop)
        self._door = ThreadDoor(loop)
        self._started_at = self._dispatcher.now()
        self._is_running = self._is_accepting = True
        self._load.reset()
        self.alerts.evaluate({"engine_not_running": None})
        self._dispatcher.serve(self._health_task.run(self._timers), "health")
        self._dispatcher.serve(self._sample_task.run(self._timers), "load")

    async def _stop(self, shutdown: Shutdown, grace: float, *, drain: bool) -> None:
        report = StopReport()
        stopping = self._stopping
        try:
            report = await shutdown.run(grace, drain=drain)
            # Before the pool: the health check looks at it.
            await self._dispatcher.end_services()
            if self._owns_pool:
                await self.resource_pool.close()
        except Exception:
            LOG.exception("the execution engine did not stop cleanly")
        finally:
            self._close()
            if stopping is not None and not stopping.done():
                stopping.set_result(report)

    def _close(self) -> None:
        self._is_running = self._is_accepting = False
        self._stopping = self._shutdown = None
        self._door = None
        self._owner.release()
        if isinstance(self.scheduler, AdaptiveScheduler):
            self.scheduler.owner.release()
        self.alerts.evaluate({"engine_not_running": 1.0})

    def _leave_closed_loop(self) -> None:
        """Be stopped if the loop the engine ran on is closed: nothing of it can run any more."""
        loop = self._owner.loop
        if self._is_running and loop is not None and loop.is_closed():
            LOG.warning("the loop of the execution engine was closed while it ran")
            self._owner.release()
            self._dispatcher.forget_all()
            for record in self._book:
                for waiting in list(record.queued):
                    waiting.cancel()
            self._close()

    def _spare_caller(self) -> None:
        """Do not wait for the task that asks for the stop."""
        task = CURRENT_TASK.get()
        if isinstance(task, TaskHandle) and self._shutdown is not None:
            self._shutdown.spare(task)

    def _check_accepting(self) -> None:
        if not self._is_accepting:
            raise EngineNotRunning("the execution engine is not running: start it first")
        if running_loop() is not self._owner.loop:
            self._owner.check()

    def _check_room(self, level: TaskPriority) -> None:
        dispatcher, cap = self._dispatcher, self._queue_cap
        queued = dispatcher.ready_count + dispatcher.delayed_count + dispatcher.parked_count
        if cap and level and queued >= cap:
            dispatcher.counters.rejected += 1
            raise QueueFull(
                f"{queued} tasks are waiting, max_queue_size is {cap}: wait, or raise it",
                details={"queued": queued, "max_queue_size": cap},
            )

    def _check_task_type(self, task_type: str) -> None:
        check_name(task_type, "task type")
        if len(self._task_types) < 1000:
            self._task_types.add(task_type)

    def _new_record(self, agent_id: str) -> AgentRecord:
        record = self._book.record(agent_id)
        while self._book.dropped:
            self.scheduler.forget(self._book.dropped.pop())
        return record

    def _health_pause(self) -> float:
        return self.health_check_interval

    async def _check_health_and_alerts(self) -> None:
        await self.check_health()
        if self._load.pause() == math.inf:
            self._load.evaluate()

    def _scheduler_option_changed(self, name: str) -> None:
        if name == "system_sample_interval":
            self._sample_task.wake()

    # --- options ---------------------------------------------------------------------------

    def _before_assign(self) -> None:
        self._owner.check()

    def _check_together(self, values: Mapping[str, Any]) -> None:
        spec.check_together(values)

    def _option_changed(self, name: str) -> None:
        self._pass_on(name)
        if name in {"max_concurrent_tasks", "critical_reserve", "aging_interval"}:
            self._dispatcher.wake()
        elif name == "health_check_interval":
            self._health_task.wake()

    def _pass_on(self, name: str) -> None:
        """Put an option where it is read for every task."""
        value, dispatcher = self._options[name], self._dispatcher
        match name:
            case "max_concurrent_tasks":
                dispatcher.limit = value
            case "critical_reserve":
                dispatcher.reserve = value
            case "task_timeout_multiplier":
                dispatcher.multiplier = value
            case "cancel_grace":
                dispatcher.cancel_grace = value
            case "dispatch_budget":
                dispatcher.budget = value
            case "aging_interval":
                dispatcher.ready.aging_interval = value
            case "default_timeout":
                self._default_timeout: float = value
            case "max_queue_size":
                self._queue_cap: int = value
            case _:
                pass  # read where it is needed


def _section(config: Mapping[str, Any] | None, name: str) -> Mapping[str, Any] | None:
    section = (config or {}).get(name)
    if section is not None and not isinstance(section, Mapping):
        raise ValueError(f"{name} must be a mapping of options, not {section!r}")
    return section
