"""The engine: one data directory, its store, its sessions, its tracked work."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, cast

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from engine import flow
from engine.agents.ports import SessionPorts
from engine.api.agent_host import AgentHost
from engine.api.backtest_desk import BacktestDesk
from engine.api.backtest_views import ContainerRow
from engine.api.board import Board
from engine.api.build import (
    BuiltSession,
    PreparedSession,
    build_session,
    keeps_state,
    prepare_from_state,
    prepare_session,
)
from engine.api.command_event import CommandEvent
from engine.api.commands import (
    AgentCommand,
    BacktestCommand,
    Command,
    CreateExecutor,
    OptimizationCommand,
    StartController,
    StopController,
    StopExecutor,
    StopSession,
    StoreExecutor,
    UpdateExecutor,
)
from engine.api.engine_errors import EXIT_FAILED, EXIT_RETRY_LATER, EXIT_USAGE, EngineStartError
from engine.api.optimization_desk import OptimizationDesk
from engine.api.recovery import find_interrupted, recover, restart_requests
from engine.api.summary import left_over, session_summary, status_line
from engine.api.views import EngineState, HealthView, StopReport
from engine.api.work import Work
from engine.config.document import ConfigError
from engine.config.session_plan import SessionPlan, load_session_plan
from engine.containers.inputs import START_CONTROLLER, STOP_CONTROLLER
from engine.executors.actions import ActionResult
from engine.executors.step import Notice
from engine.live.clock import SystemClock
from engine.live.log_file import LogFile
from engine.live.published import PublishedSession
from engine.live.resume import Recovered
from engine.live.session_runner import PendingRequest, SessionState
from engine.live.session_state import FOLDER
from engine.live.state_taker import StateTaker
from engine.model.clock import to_iso
from engine.scheduling.clock import Clock as AgentClock
from engine.scheduling.clock import SystemClock as SystemAgentClock
from engine.scheduling.clock import TimerClock
from engine.store.errors import StoreError, StoreInUseError
from engine.store.records import AuditRecord, SessionRecord, SessionStatus
from engine.store.store import Store

STOP_DEADLINE_S: Final = 10.0
PANEL_INTERVAL_S: Final = 0.25


class Engine:
    """Runs a session in the background until it is stopped. Belongs to one event loop.

    Made by ``open``; leaving the context stops gracefully, with a deadline.
    """

    def __init__(
        self,
        *,
        board: Board,
        store: Store,
        log_file: LogFile,
        clock: SystemClock,
        stop_deadline_s: float,
        data_dir: Path,
    ) -> None:
        self.board = board
        self._store = store
        self._data_dir = data_dir
        self._log = log_file.log
        self._clock = clock
        self._session: BuiltSession | None = None
        self._agents: AgentHost | None = None
        self._agent_requests = 0
        self._ended = anyio.Event()
        self._started_at = clock.monotonic_ns()
        self._stop_deadline_s = stop_deadline_s
        self.work = Work(board=board, clock=clock, perform=self.perform, audit=self._audit)
        self.backtests = BacktestDesk(
            board=board, clock=clock, data_dir=data_dir, write=store.write, note=self._note
        )
        self.work.backtests = self.backtests.executor
        self.optimizations = OptimizationDesk(
            board=board, clock=clock, data_dir=data_dir, note=self._note
        )
        self.work.studies = (self.optimizations.executor, self.optimizations.trials)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        config: Path,
        data_dir: Path,
        seconds: float | None = None,
        board: Board | None = None,
        clock: SystemClock | None = None,
        stop_deadline_s: float = STOP_DEADLINE_S,
    ) -> AsyncIterator[Self]:
        """Start the session of the file *config* on *data_dir*; stop it at the end.

        ``seconds`` of wall time end it earlier. The board receives what it publishes. What has
        not stopped ``stop_deadline_s`` seconds after it was asked to is left to recovery.

        Raises:
            EngineStartError: the file or the data directory cannot be used; the message says why.
        """
        clock = clock or SystemClock()
        board = board or Board()
        plan = await _load(config)
        try:
            async with (
                Store.open(data_dir, now_ns=clock.now_ns()) as store,
                LogFile.open(data_dir) as log_file,
            ):
                engine = cls(
                    board=board,
                    store=store,
                    log_file=log_file,
                    clock=clock,
                    stop_deadline_s=stop_deadline_s,
                    data_dir=data_dir,
                )
                # Outside of the task group, which would wrap the error that says why not.
                session, requests = await engine._build(plan)
                async with anyio.create_task_group() as tasks:
                    await engine._start(session, requests, tasks, seconds)
                    try:
                        yield engine
                    finally:
                        with anyio.CancelScope(shield=True):
                            await engine._stop()
                        tasks.cancel_scope.cancel()
        except StoreInUseError as error:
            raise EngineStartError(
                error.message, exit_code=EXIT_RETRY_LATER, cause=error
            ) from error
        except StoreError as error:
            raise EngineStartError(error.message, exit_code=EXIT_USAGE, cause=error) from error

    async def take(self, event: CommandEvent) -> None:
        """Queue a command's event; its outcome is published on the board."""
        await self.work.take_command(event)

    async def perform(self, command: Command, request_id: str) -> str:
        """Carry out *command* and return what the operator should know.

        Raises:
            EngineError: it could not be done; the message says why.
        """
        if isinstance(command, BacktestCommand):
            return await self.backtests.perform(command)
        if isinstance(command, OptimizationCommand):
            return await self.optimizations.perform(command)
        session = self._find_session(command.session)
        if isinstance(command, StopSession):
            keep = command.policy == "keep"
            session.runner.request_stop(keep_positions=keep, actor=command.actor)
            return f"session {session.plan.config.session.name} is stopping"
        if isinstance(command, AgentCommand):
            return await self._agents_of(session).perform(command)
        verb, arguments = _as_action(command)
        result = await session.runner.perform(
            PendingRequest(
                request_id=request_id, actor=command.actor, verb=verb, arguments=arguments
            )
        )
        if not result.ok:
            raise flow.OperationError(result.message, details={"code": result.code.value})
        return result.message

    def request_stop(self) -> None:
        """Ask the session to end: as the operator said, else under its configured policy."""
        if self._session is not None:
            policy = self.board.stop_policy or self._session.plan.config.session.on_end
            actor = "operator" if self.board.stop_policy else "engine"
            self._session.runner.request_stop(keep_positions=policy == "keep", actor=actor)

    async def wait_until_ended(self) -> None:
        """Wait until the session is over."""
        await self._ended.wait()

    def report(self) -> StopReport:
        """Return how the session ended, and what was left."""
        published = self._published()
        if published is None:
            return StopReport(clean=False, exit_code=EXIT_FAILED, message=self.board.health.message)
        is_clean = published.state == SessionState.STOPPED.value
        return StopReport(
            clean=is_clean,
            left=left_over(published),
            exit_code=0 if is_clean else EXIT_FAILED,
            message=status_line(published) if is_clean else self.board.health.message,
        )

    def status_line(self) -> str:
        """Return one line about the session."""
        published = self._published()
        return "starting" if published is None else status_line(published)

    def summary(self) -> dict[str, Any]:
        """Return the session as one JSON object: decimals as text."""
        published = self._published()
        session = self._session
        if published is None or session is None:
            return {}
        seconds = (self._clock.monotonic_ns() - self._started_at) / 1e9
        return session_summary(
            published,
            journal_hash=session.recorder.journal_hash,
            seconds=round(seconds, 3),
            agents={} if self._agents is None else self._agents.summary(),
        )

    def costs(self) -> tuple[str, ...]:
        """Return what the session assumes about costs, and a warning if they are zero."""
        if self._session is None:
            return ()
        plan = self._session.plan
        return (plan.costs, plan.cost_warning) if plan.cost_warning else (plan.costs,)

    async def _build(self, plan: SessionPlan) -> tuple[BuiltSession, list[PendingRequest]]:
        """Return the session, with its row in the store, and what it is asked at the start."""
        prepared, recovered = await self._prepare(plan)
        session = build_session(
            prepared,
            clock=self._clock,
            writer=self._store,
            publish=self._publish,
            track=self.work.take_actions,
            recovered=recovered,
        )
        code_version = await to_thread.run_sync(importlib.metadata.version, "quarterdeck")
        record = _session_record(plan, session, self._clock.now_ns(), code_version)
        await self._store.create_session(
            record, adopts="" if recovered is None else recovered.adopts
        )
        self._agents = self._make_agents(session)
        requests = (
            restart_requests(prepared)
            if recovered is not None
            else [_planned_request(index, one) for index, one in enumerate(plan.executors)]
        )
        return session, requests

    async def _start(
        self,
        session: BuiltSession,
        requests: list[PendingRequest],
        tasks: TaskGroup,
        seconds: float | None,
    ) -> None:
        self._session = session
        session.runner.preload(requests)
        for request in requests:
            tasks.start_soon(self._watch_planned, request, name="planned request")
        await self.work.start()
        await self.backtests.start(await self._store.backtests())
        await self.optimizations.start()
        self.board.health = HealthView(EngineState.RUNNING)
        self._note("info", f"session {session.id} started from {session.plan.path}")
        self._note("info", session.plan.costs)
        if session.plan.cost_warning:
            self._note("warning", session.plan.cost_warning)
        tasks.start_soon(self._run_session, session, name="session")
        agents = self._agents_of(session)
        agents.begin()
        tasks.start_soon(agents.run, name="agents")
        tasks.start_soon(self._refresh_panels, name="state panels")
        if seconds is not None:
            tasks.start_soon(self._end_after, seconds, name="time limit")

    async def _prepare(self, plan: SessionPlan) -> tuple[PreparedSession, Recovered | None]:
        """Return the session's parts: new, or as an interrupted session left them."""
        session_id = _session_id(plan, self._clock.now_ns())
        make = partial(
            prepare_session, session_id=session_id, clock=self._clock, notify=self._notify
        )
        interrupted = await find_interrupted(self._store, plan, self._note)
        prepared = make(plan)
        if interrupted is None:
            return prepared, None
        self.board.health = HealthView(EngineState.STARTING, message=f"resuming {interrupted}")
        found = await recover(
            self._store,
            interrupted,
            prepared,
            self._note,
            states=self._data_dir / FOLDER,
            from_state=partial(
                prepare_from_state,
                plan,
                session_id=session_id,
                clock=self._clock,
                notify=self._notify,
            ),
        )
        if found is None:
            # The failed replay has used the plan's controllers: they must be made anew.
            return make(await _load(plan.path)), None
        return found

    async def _run_session(self, session: BuiltSession) -> None:
        """Supervise the session: a fault is shown and stored, the engine stays."""
        try:
            await session.runner.run()
        except Exception as error:  # noqa: BLE001 (supervisor: the console must stay and say it)
            message = f"session {session.id} failed: {type(error).__name__}: {error}"
            self._log.error(message, exc_info=error, session=session.id)
            self.board.add_log(
                ts_ns=session.runner.now_ns, level="error", source="engine", text=message
            )
            self.board.health = HealthView(
                EngineState.FAULTED, message=message, exit_code=EXIT_FAILED
            )
            await self._store_failure(session, message)
        finally:
            self._ended.set()
        if self._agents is not None:
            await self._agents.stop()  # what they would act on is over

    async def _store_failure(self, session: BuiltSession, message: str) -> None:
        session.recorder.finish(SessionStatus.FAILED, message)
        try:
            await self._store.write(session.recorder.take_batch(()))
        except flow.EngineError as error:
            self._note("error", f"the end of session {session.id} could not be stored: {error}")

    async def _stop(self) -> None:
        """End the session, then the tracked work; after the deadline leave it to recovery."""
        if self.board.health.state is EngineState.RUNNING:
            self.board.health = HealthView(EngineState.STOPPING)
        self.request_stop()
        with anyio.move_on_after(self._stop_deadline_s) as deadline:
            if self._agents is not None:
                await self._agents.stop()
            await self._ended.wait()
        message = ""
        if deadline.cancelled_caught:
            message = (
                f"the session did not stop within {self._stop_deadline_s:g} s; "
                f"it is recovered at the next start"
            )
            self._note("error", message)
        await self.backtests.shutdown()
        await self.optimizations.shutdown()
        await self.work.shutdown()
        if self._session is not None and not deadline.cancelled_caught:
            await self._flush_audit(self._session)
            self._session.container.close()
        if self.board.health.state is not EngineState.FAULTED:
            self.board.health = HealthView(EngineState.STOPPED, message=message)

    async def _flush_audit(self, session: BuiltSession) -> None:
        try:
            await self._store.write(session.recorder.take_batch(()))
        except flow.EngineError as error:
            self._note("error", f"the last records could not be stored: {error}")

    async def _watch_planned(self, request: PendingRequest) -> None:
        try:
            result = await request.wait()
        except flow.OperationError:
            return
        if not result.ok:
            self._note("error", f"{request.verb} of {request.actor} failed: {result.message}")

    async def _refresh_panels(self) -> None:
        told = ""
        while True:
            try:
                await self._refresh_once()
            except Exception as error:  # noqa: BLE001 (supervisor: what is shown stops no trading)
                text = f"{type(error).__name__}: {error}"
                if text != told:
                    told = text
                    self._log.error("state panels cannot be brought up to date", exc_info=error)
                    self._note("error", f"state panels cannot be brought up to date: {text}")
            self.board.beat(self._clock.monotonic_ns())
            await anyio.sleep(PANEL_INTERVAL_S)

    async def _refresh_once(self) -> None:
        if self._agents is not None:
            await self._agents.refresh()
        await self.work.forget_old()
        self.work.refresh_panels()
        self.backtests.publish()
        await self.optimizations.refresh()
        self.board.containers = self._containers()

    def _containers(self) -> tuple[ContainerRow, ...]:
        """Return the session's container and those of running backtests."""
        session = self._session
        if session is None:
            return self.backtests.containers()
        container = session.container
        counted = container.metrics
        row = ContainerRow(
            id=container.id,
            mode=session.plan.config.session.mode,
            state=session.runner.state.value,
            components=container.component_names,
            events=container.events_published,
            bars_done=counted.bars_processed,
            bars_total=0,
            started_ns=session.runner.started_ns,
            owner=session.id,
            pid=os.getpid(),
            rss_bytes=None,
            errors=counted.errors,
        )
        return (row, *self.backtests.containers())

    async def _end_after(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self.request_stop()

    def _publish(self, published: PublishedSession) -> None:
        self.board.publish_session(published)
        agents = self._agents
        headline = "" if agents is None else agents.headline()
        if agents is not None:
            agents.on_picture()
        if self.board.health.state in (EngineState.RUNNING, EngineState.STOPPING):
            self.board.health = HealthView(
                self.board.health.state,
                message=" · ".join(filter(None, (published.problem, headline))),
                tick_ms=published.tick_ms,
                lag_ms=published.lag_ms,
                store_ms=self._store.write_ms,
                queue=published.queue,
                beat_ns=self._clock.monotonic_ns(),
            )

    def _notify(self, notice: Notice) -> None:
        """Put a notice of the core on the board and in the log file."""
        source = "executor" if notice.executor_id else "session"
        self.board.add_log(
            ts_ns=notice.ts_ns,
            level=notice.level,
            source=source,
            text=notice.text,
            executor_id=notice.executor_id or None,
        )
        log = getattr(self._log, notice.level)
        log(notice.text, executor=notice.executor_id, session_time=to_iso(notice.ts_ns))

    def _note(self, level: str, text: str) -> None:
        self.board.add_log(ts_ns=self._clock.now_ns(), level=level, source="engine", text=text)
        getattr(self._log, level)(text)

    def _audit(self, record: AuditRecord) -> None:
        if self._session is not None:
            self._session.recorder.add_audit(replace(record, session_id=self._session.id))

    def _published(self) -> PublishedSession | None:
        return None if self._session is None else self.board.sessions.get(self._session.id)

    def _state_taker(self, session: BuiltSession) -> StateTaker | None:
        if not keeps_state(session.plan):
            return None
        return StateTaker(
            session_id=session.id,
            config_hash=session.plan.config_hash,
            container=session.container,
            recorder=session.recorder,
            runner=session.runner,
            folder=self._data_dir / FOLDER,
        )

    def _make_agents(self, session: BuiltSession) -> AgentHost:
        agents = AgentHost(
            plan=session.plan,
            ports=SessionPorts(
                container=session.container,
                runner=session.runner,
                recorder=session.recorder,
                store=self._store,
                data_dir=self._data_dir,
                states=self._state_taker(session),
            ),
            published=self._published,
            act=self._act_for_agent,
            board=self.board,
            note=self._note,
            tell=session.recorder.tell,
            log=self._log,
            clock=_agent_clock(self._clock),
            wall_ns=self._clock.now_ns,
        )
        self.work.agents = agents.tasks
        return agents

    async def _act_for_agent(
        self, actor: str, verb: str, arguments: Mapping[str, Any]
    ) -> ActionResult:
        """Let the session carry out what an agent asks for; tracked like a controller's action."""
        session = self._session
        if session is None:
            raise flow.OperationError("there is no session yet")
        self._agent_requests += 1
        result = await session.runner.perform(
            PendingRequest(
                request_id=f"{actor}-{self._agent_requests}",
                actor=actor,
                verb=verb,
                arguments=_json_values(dict(arguments)),
            )
        )
        await self.work.take_actions([(actor, verb, result)])
        return result

    def _agents_of(self, session: BuiltSession) -> AgentHost:
        if self._agents is None:
            raise flow.OperationError(f"session {session.id} has no agents yet")
        return self._agents

    def _find_session(self, name: str) -> BuiltSession:
        session = self._session
        if session is None or name not in (session.id, session.plan.config.session.name):
            raise flow.NotFoundError(f"there is no session {name!r}")
        return session


def _agent_clock(clock: SystemClock) -> AgentClock:
    """Return *clock* if it can wake somebody, as one that is moved by hand can; else the system's.

    A clock that only tells nanoseconds is for stamps.
    """
    can_wake = isinstance(clock, TimerClock) and hasattr(clock, "monotonic")
    return cast("AgentClock", clock) if can_wake else SystemAgentClock()


async def _load(config: Path) -> SessionPlan:
    try:
        return await to_thread.run_sync(load_session_plan, config)
    except ConfigError as error:
        raise EngineStartError(error.message, exit_code=EXIT_USAGE, cause=error) from error


def _session_id(plan: SessionPlan, now_ns: int) -> str:
    stamp = to_iso(now_ns)[:23].replace("-", "").replace(":", "").replace(".", "")
    return f"{plan.config.session.name}-{stamp}"


def _session_record(
    plan: SessionPlan, session: BuiltSession, now_ns: int, code_version: str
) -> SessionRecord:
    account = session.container.portfolio.account_snapshot()
    return SessionRecord(
        session_id=session.id,
        name=plan.config.session.name,
        mode=plan.config.session.mode,
        status=SessionStatus.RUNNING,
        started_ns=now_ns,
        updated_ns=now_ns,
        config_hash=plan.config_hash,
        config_text=plan.config_text,
        code_version=code_version,
        seed=plan.config.session.seed,
        currency=account.currency,
        initial_equity=account.initial_equity,
        equity=account.equity,
    )


def _planned_request(index: int, config: Any) -> PendingRequest:  # noqa: ANN401 (any executor's configuration)
    values = config.model_dump(mode="json", exclude={"id", "type", "timestamp", "controller_id"})
    return PendingRequest(
        request_id=f"plan-{index}",
        actor="plan",
        verb="create",
        arguments={
            "executor_type": config.type,
            "config": values,
            "controller_id": config.controller_id,
        },
    )


def _as_action(command: Command) -> tuple[str, dict[str, Any]]:
    match command:
        case CreateExecutor():
            return "create", {
                "executor_type": command.executor_type,
                "config": _json_values(command.config),
                "controller_id": command.controller_id,
            }
        case StopExecutor():
            return "stop", {
                "executor_id": command.executor_id,
                "keep_position": command.keep_position,
            }
        case UpdateExecutor():
            return "update", {
                "executor_id": command.executor_id,
                "changes": _json_values(command.changes),
            }
        case StoreExecutor():
            return "store", {"executor_id": command.executor_id}
        case StopController():
            return STOP_CONTROLLER, {
                "controller_id": command.controller_id,
                "keep_position": command.keep_position,
            }
        case StartController():
            return START_CONTROLLER, {"controller_id": command.controller_id}
        case _:
            raise flow.OperationError(f"there is no command {type(command).__name__}")


def _json_values(value: Any) -> Any:  # noqa: ANN401 (JSON in, JSON out)
    """Return *value* with decimals as text, so that the journal loses nothing."""
    if isinstance(value, dict):
        return {key: _json_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_values(item) for item in value]
    return value if isinstance(value, str | int | None) else str(value)
