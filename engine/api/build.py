"""The composition root of a session: picks the parts and hands them in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.config.session_plan import SessionPlan
from engine.containers.inputs import StartInput
from engine.containers.session_assembly import assemble_session
from engine.containers.session_container import SessionContainer
from engine.executors.step import Notice
from engine.live.clock import SystemClock
from engine.live.pace import END_OF_TIME_NS, Pace
from engine.live.picture import Picture
from engine.live.published import PublishedSession
from engine.live.recorder import Recorder
from engine.live.resume import Recovered, ResumedSource
from engine.live.session_runner import BatchWriter, ControllerAction, SessionRunner
from engine.markets.merged_feed import MergedFeed
from engine.markets.source import MarketSource
from engine.model.instruments import ConnectorPair


@dataclass(frozen=True, slots=True)
class BuiltSession:
    """A session that is wired and waits for its loop."""

    id: str
    plan: SessionPlan
    container: SessionContainer
    runner: SessionRunner
    recorder: Recorder
    picture: Picture


def build_container(plan: SessionPlan, *, container_id: str, start_ns: int) -> SessionContainer:
    """Return the container of *plan*, started at *start_ns*; nothing in it touches the outside."""
    account = plan.config.account
    return assemble_session(
        container_id=container_id,
        start_ns=start_ns,
        seed=plan.config.session.seed,
        instruments=plan.instruments,
        bar_ns=plan.config.session.bar,
        currency=account.currency,
        initial_balance=account.initial_balance,
        parity=account.parity,
        broker=plan.config.broker,
        risk=plan.config.risk,
        controllers=plan.controllers,
        strategies=plan.strategies,
        capital={
            section.id: section.total_amount_quote
            for section in plan.config.controllers
            if section.total_amount_quote is not None
        },
        initial_positions=plan.initial_positions,
        executors=plan.config.orchestrator,
    )


@dataclass(frozen=True, slots=True)
class PreparedSession:
    """A session whose container is built and may be fed with an earlier life's journal."""

    id: str
    plan: SessionPlan
    start_ns: int
    container: SessionContainer
    recorder: Recorder


def prepare_session(
    plan: SessionPlan,
    *,
    session_id: str,
    clock: SystemClock,
    notify: Callable[[Notice], None],
) -> PreparedSession:
    """Return the parts of a session of *plan* that hold its state."""
    section = plan.config.session
    start_ns = clock.now_ns() if section.start == "now" else section.start
    # The clock starts at 0: the first input, or an earlier life's first, sets it.
    container = build_container(
        plan, container_id=f"{section.mode}_{plan.config_hash[:8]}", start_ns=0
    )
    recorder = Recorder(
        session_id=session_id, container=container, notify=notify, wall_ns=clock.now_ns
    )
    return PreparedSession(session_id, plan, start_ns, container, recorder)


def prepare_from_state(
    plan: SessionPlan,
    container: SessionContainer,
    kept: Mapping[str, Any],
    *,
    session_id: str,
    clock: SystemClock,
    notify: Callable[[Notice], None],
) -> PreparedSession:
    """Return the parts of a session that goes on with *container*, from a snapshot of its state.

    *kept* is what its recorder has known.
    """
    section = plan.config.session
    start_ns = clock.now_ns() if section.start == "now" else section.start
    recorder = Recorder(
        session_id=session_id, container=container, notify=notify, wall_ns=clock.now_ns
    )
    recorder.go_on(kept)
    return PreparedSession(session_id, plan, start_ns, container, recorder)


def keeps_state(plan: SessionPlan) -> bool:
    """Whether snapshots of the state can be used: somebody resumes, and the state is data only.

    Strategies hold indicators, which are functions. Own controllers and executors may be changed
    between two lives; replaying asks them again.
    """
    config = plan.config
    has_own = bool(config.modules) or any(":" in one.kind for one in config.controllers)
    return config.session.speed != "max" and not has_own and not config.strategies


def build_session(
    prepared: PreparedSession,
    *,
    clock: SystemClock,
    writer: BatchWriter,
    publish: Callable[[PublishedSession], None],
    track: Callable[[Iterable[ControllerAction]], Awaitable[None]],
    recovered: Recovered | None = None,
) -> BuiltSession:
    """Return the session, ready to run on the calling loop.

    With *recovered* its markets go on where the interrupted session stopped hearing them.
    """
    plan, container, recorder = prepared.plan, prepared.container, prepared.recorder
    section = plan.config.session
    start_ns = prepared.start_ns
    sources: Sequence[MarketSource] = plan.sources
    funded_ns: dict[ConnectorPair, int] = {}
    if recovered is not None:
        # Replaying took a while: the new life begins now, and never before the old one ended.
        start_ns = max(clock.now_ns(), recovered.last_ns)
        seen = recovered.quotes
        funded_ns = {one.market: recovered.funded_until(one.market) for one in plan.funding}
        sources = [ResumedSource(one, seen=seen.get(one.market, 0)) for one in sources]
    speed = None if section.speed == "max" else section.speed
    picture = Picture(
        session_id=prepared.id,
        name=section.name,
        mode=section.mode,
        speed="max" if speed is None else f"{speed.normalize():f}x",
        started_ns=start_ns,
        container=container,
        recorder=recorder,
    )
    runner = SessionRunner(
        container=container,
        feed=MergedFeed(sources, start_ns=start_ns, funding=plan.funding, funded_ns=funded_ns),
        pace=Pace(clock=clock, start_ns=start_ns, speed=speed),
        writer=writer,
        recorder=recorder,
        publish=lambda runner: publish(picture.take(runner)),
        track=track,
        monotonic_ns=clock.monotonic_ns,
        start=StartInput(start_ns, "" if recovered is None else recovered.session_id),
        end_ns=END_OF_TIME_NS if section.end_after is None else start_ns + section.end_after,
        keep_positions_at_end=section.on_end == "keep",
        replayed=0 if recovered is None else recovered.replayed,
    )
    return BuiltSession(prepared.id, plan, container, runner, recorder, picture)
