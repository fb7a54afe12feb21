"""Runs one session: feeds inputs to its container, journals them first, records the effects."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Final, Protocol, TypeAlias

import anyio
import anyio.lowlevel

from engine import flow
from engine.containers.effects import Effects
from engine.containers.inputs import (
    ActionInput,
    ForceStopInput,
    SessionInput,
    StartInput,
    StopInput,
    TimerInput,
    encode,
)
from engine.containers.session_container import SessionContainer
from engine.executors.actions import ActionResult
from engine.live.pace import END_OF_TIME_NS, Pace
from engine.live.recorder import Recorder
from engine.markets.merged_feed import MergedFeed, TimerTick
from engine.model.clock import SECOND_NS
from engine.store.batch import StoreBatch
from engine.store.records import SessionStatus

REQUEST_LIMIT: Final = 8
"""Requests taken into one batch: each may create an executor, which costs more than a quote."""
BATCH_LIMIT: Final = 64
"""Inputs applied between two chances for other tasks to run: keeps the loop's stalls short."""
SIMULATED_BATCH_LIMIT: Final = 256
"""Inputs of one transaction on the simulated clock, where no input waits for its commit."""
STOP_SESSION_DEADLINE_NS: Final = 60 * SECOND_NS
"""Session time that executors get to close before they are forced."""
_HALTED: Final = "the store cannot be written, trading is halted until it can"
PUBLISH_INTERVAL_NS: Final = SECOND_NS // 10
WRITE_RETRY_S: Final = 1.0
TICK_SAMPLES: Final = 512


@unique
class SessionState(Enum):
    """State of a session."""

    CREATED = "created"
    RUNNING = "running"
    HALTED = "halted"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


ControllerAction: TypeAlias = tuple[str, str, ActionResult]
"""(controller id, verb, result) of an action that a controller took by itself."""


class BatchWriter(Protocol):
    """Where journal and records become durable."""

    async def write(self, batch: StoreBatch) -> None:
        """Write *batch* in one transaction."""
        ...


class PendingRequest:
    """An action that somebody waits for."""

    __slots__ = ("_done", "actor", "arguments", "is_given_up", "request_id", "result", "verb")

    def __init__(
        self, *, request_id: str, actor: str, verb: str, arguments: dict[str, object]
    ) -> None:
        self.request_id = request_id
        self.actor = actor
        self.verb = verb
        self.arguments = arguments
        self.result: ActionResult | None = None
        self.is_given_up = False
        self._done = anyio.Event()

    def resolve(self, result: ActionResult) -> None:
        """Give the result to whoever waits."""
        self.result = result
        self._done.set()

    def refuse(self) -> None:
        """Tell whoever waits that the session ended first."""
        self._done.set()

    async def wait(self) -> ActionResult:
        """Wait for the result.

        Raises:
            OperationError: the session ended before the request was carried out.
        """
        await self._done.wait()
        if self.result is None:
            raise flow.OperationError("the session ended first; nothing was done")
        return self.result


@dataclass(slots=True)
class RunnerFigures:
    """How the runner is doing: for the health view."""

    tick_ms: float | None = None
    lag_ms: float | None = None
    problem: str = ""
    ticks_ms: deque[float] = field(default_factory=lambda: deque(maxlen=TICK_SAMPLES))
    """Time of one input in the core, for the newest batches, oldest first."""


class SessionRunner:
    """The shell around one session's container.

    Every input is durable in the journal before the container sees it; what it caused is written
    in one transaction with the next inputs. Belongs to one event loop.
    """

    def __init__(
        self,
        *,
        container: SessionContainer,
        feed: MergedFeed,
        pace: Pace,
        writer: BatchWriter,
        recorder: Recorder,
        publish: Callable[[SessionRunner], None],
        track: Callable[[Iterable[ControllerAction]], Awaitable[None]],
        monotonic_ns: Callable[[], int],
        start: StartInput,
        end_ns: int = END_OF_TIME_NS,
        stop_deadline_ns: int = STOP_SESSION_DEADLINE_NS,
        keep_positions_at_end: bool,
        replayed: int = 0,
    ) -> None:
        self._container = container
        self._feed = feed
        self._pace = pace
        self._writer = writer
        self._recorder = recorder
        self._publish = publish
        self._track = track
        self._actions: list[ControllerAction] = []
        self._monotonic_ns = monotonic_ns
        self._end_ns = end_ns
        self._stop_deadline_ns = stop_deadline_ns
        self._keep_at_end = keep_positions_at_end
        self._requests: deque[PendingRequest] = deque()
        self._waiting: dict[str, PendingRequest] = {}
        self._stop_wish: tuple[bool, str] | None = None
        self._stopping_since_ns: int | None = None
        self._stop_reason = ""
        self._wake = anyio.Event()
        self._start: StartInput | None = start
        self._last_ns = self._started_ns = start.ts_ns
        self._published_at = 0
        self._has_answered = False
        self._at_rest: Callable[[int, tuple[int, str, str]], None] | None = None
        self._newest: SessionInput | None = None
        self.replayed = replayed
        """Inputs of earlier lives that this one had to replay."""
        self.state = SessionState.CREATED
        self.figures = RunnerFigures()

    @property
    def started_ns(self) -> int:
        """Return the session time of the first input."""
        return self._started_ns

    @property
    def now_ns(self) -> int:
        """Return the session time of the newest input."""
        return self._last_ns

    @property
    def is_simulated(self) -> bool:
        """Whether session time runs free of wall time."""
        return self._pace.is_simulated

    @property
    def queue_length(self) -> int:
        """Return how many requests wait for their turn."""
        return len(self._requests)

    async def perform(self, request: PendingRequest) -> ActionResult:
        """Let the session carry out *request*; return what became of it.

        Raises:
            OperationError: the session is not running.
        """
        if self.state not in (SessionState.RUNNING, SessionState.HALTED):
            raise flow.OperationError(f"the session is {self.state.value}")
        self._requests.append(request)
        self._wake.set()
        try:
            return await request.wait()
        finally:
            # Whoever asked has given up: what has not begun must not be done behind their back.
            if request in self._requests:
                self._requests.remove(request)
            request.is_given_up = request.result is None

    def preload(self, requests: Iterable[PendingRequest]) -> None:
        """Queue requests that are carried out with the session's first quotes."""
        self._requests.extend(requests)

    def at_rest(self, take: Callable[[int, tuple[int, str, str]], None]) -> None:
        """Call *take* once, when all that the inputs so far have caused is written.

        It gets how many inputs of this life were applied, and the last of them as it is in the
        journal. The container is what these inputs have made of it, until *take* returns. A session
        that stops does not call it any more.
        """
        self._at_rest = take

    def request_stop(self, *, keep_positions: bool, actor: str) -> None:
        """Ask the session to end; the first wish counts."""
        if self._stop_wish is None:
            self._stop_wish = (keep_positions, actor)
            self._wake.set()

    async def run(self) -> None:
        """Run until the feed or the session's time ends, or until a stop is asked for."""
        self.state = SessionState.RUNNING
        try:
            while self.state is not SessionState.STOPPED:
                batch = await self._gather()
                await self._write(self._recorder.take_batch(map(encode, batch)))
                self._rest(len(batch))
                for start in range(0, len(batch), BATCH_LIMIT):
                    self._apply_all(batch[start : start + BATCH_LIMIT])
                    if self._pace.is_simulated or len(batch) > BATCH_LIMIT:
                        await anyio.lowlevel.checkpoint()
                await self._track_actions()
                self._finish_stop()
                self._publish_if_due()
            self._recorder.finish(SessionStatus.STOPPED, self._stop_reason)
            await self._write(self._recorder.take_batch(()))
        except BaseException:
            if self.state is not SessionState.STOPPED:
                self.state = SessionState.FAILED
            raise
        finally:
            self._refuse_waiting()
            self._publish(self)

    def _rest(self, waiting: int) -> None:
        """Let whoever wants it look at the state between what is written and what is to come."""
        take, newest = self._at_rest, self._newest
        if take is not None and newest is not None and self.state is SessionState.RUNNING:
            self._at_rest = None
            take(self._recorder.inputs - waiting, encode(newest))

    async def _gather(self) -> list[SessionInput]:
        while True:
            batch = self._due_inputs()
            if batch:
                return batch
            with anyio.move_on_after(self._seconds_to_wait()):
                await self._wake.wait()
            self._wake = anyio.Event()

    def _seconds_to_wait(self) -> float | None:
        due = min(self._feed.peek_ns() or END_OF_TIME_NS, self._end_ns)
        return None if due == END_OF_TIME_NS else self._pace.seconds_until(due)

    def _due_inputs(self) -> list[SessionInput]:
        if self._start is not None:
            start, self._start = self._start, None
            return [start]
        if self._is_stop_overdue():
            return [ForceStopInput(self._last_ns)]
        now = self._pace.now_ns()
        batch = self._due_from_feed(now)
        limit = self._batch_limit()
        stamp = self._stamp(now, is_behind=len(batch) == limit)
        while self._requests and len(batch) < limit + REQUEST_LIMIT:
            request = self._requests.popleft()
            self._waiting[request.request_id] = request
            batch.append(
                ActionInput(
                    stamp, request.request_id, request.actor, request.verb, request.arguments
                )
            )
        if self._stopping_since_ns is None:
            wish = self._stop_wish or self._end_wish(now)
            if wish:
                keep, actor = wish
                batch.append(StopInput(stamp, keep, actor))
        self._last_ns = batch[-1].ts_ns if batch else self._last_ns
        return batch

    def _due_from_feed(self, now: int) -> list[SessionInput]:
        horizon = now if self._stopping_since_ns is not None else min(now, self._end_ns)
        if self._requests and self._pace.is_simulated:
            # The simulated clock must not run ahead of somebody who asks.
            horizon = min(horizon, self._last_ns)
        batch: list[SessionInput] = []
        limit = self._batch_limit()
        while len(batch) < limit:
            due = self._feed.peek_ns()
            if due is None or due > horizon:
                break
            item = next(self._feed)
            batch.append(TimerInput(item.ts_ns) if isinstance(item, TimerTick) else item)
        if batch:
            self._last_ns = batch[-1].ts_ns
        return batch

    def _batch_limit(self) -> int:
        """Return how many inputs are taken at once; few while a stop may need no further one."""
        is_patient = self._pace.is_simulated and self._stopping_since_ns is None
        return SIMULATED_BATCH_LIMIT if is_patient else BATCH_LIMIT

    def _stamp(self, now: int, *, is_behind: bool) -> int:
        """Return the stamp of a request: now, but never before what the feed still has to give."""
        if is_behind or self._pace.is_simulated:
            return self._last_ns
        return max(self._last_ns, now)

    def _end_wish(self, now: int) -> tuple[bool, str] | None:
        due = self._feed.peek_ns()
        reached_end = now >= self._end_ns and (due is None or due > self._end_ns)
        return (self._keep_at_end, "plan") if reached_end or due is None else None

    def _apply_all(self, batch: Iterable[SessionInput]) -> None:
        started = self._monotonic_ns()
        count = 0
        for item in batch:
            self._take_effects(self._container.apply(item))
            if isinstance(item, StopInput):
                self._stopping_since_ns = item.ts_ns
                kept = "positions kept" if item.keep_positions else "flattened"
                self._stop_reason = f"stopped by {item.actor}, {kept}"
                self.state = SessionState.STOPPING
            count += 1
            self._newest = item
        elapsed_ms = (self._monotonic_ns() - started) / 1e6
        self.figures.tick_ms = elapsed_ms / max(1, count)
        self.figures.ticks_ms.append(self.figures.tick_ms)
        if not self._pace.is_simulated:
            self.figures.lag_ms = max(0, self._pace.now_ns() - self._last_ns) / 1e6

    def _take_effects(self, effects: Effects) -> None:
        self._recorder.record(effects)
        self._actions.extend(effects.actions)
        for request_id, result in effects.results:
            request = self._waiting.pop(request_id, None)
            if request is not None:
                self._answer(request, result)

    def _answer(self, request: PendingRequest, result: ActionResult) -> None:
        if request.is_given_up:
            # It was in the journal already when its command timed out: it counts, and is told.
            self._recorder.tell(
                "warning",
                f"{request.verb} by {request.actor} was carried out after its command had been "
                f"given up: {result.message}",
            )
        request.resolve(result)
        self._has_answered = True

    async def _track_actions(self) -> None:
        if self._actions:
            actions, self._actions = self._actions, []
            await self._track(actions)

    def _is_stop_overdue(self) -> bool:
        if self._stopping_since_ns is None or self._container.is_stopped:
            return False
        return (
            self._last_ns - self._stopping_since_ns > self._stop_deadline_ns
            # Without a further input nothing can end by itself.
            or self._feed.peek_ns() is None
        )

    def _finish_stop(self) -> None:
        if self._stopping_since_ns is not None and self._container.is_stopped:
            self.state = SessionState.STOPPED

    def _publish_if_due(self) -> None:
        now = self._monotonic_ns()
        if now - self._published_at >= PUBLISH_INTERVAL_NS or self._has_answered:
            self._published_at = now
            self._has_answered = False
            self._publish(self)

    async def _write(self, batch: StoreBatch) -> None:
        """Write *batch*; while that fails nothing is traded, because nothing could be recorded."""
        while True:
            try:
                await self._writer.write(batch)
            except flow.EngineError as error:
                if not self.figures.problem:
                    self._recorder.tell("error", f"{_HALTED}: {error}")
                self.figures.problem = f"{_HALTED}: {error}"
                if self.state is SessionState.RUNNING:
                    self.state = SessionState.HALTED
                self._publish(self)
                await anyio.sleep(WRITE_RETRY_S)
                continue
            if self.figures.problem:
                self._recorder.tell("info", "the store can be written again, trading goes on")
            self.figures.problem = ""
            if self.state is SessionState.HALTED:
                self.state = SessionState.RUNNING
            return

    def _refuse_waiting(self) -> None:
        for request in (*self._waiting.values(), *self._requests):
            request.refuse()
        self._waiting.clear()
        self._requests.clear()
