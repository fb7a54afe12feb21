"""Decides whether a session continues an interrupted one, and brings it there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import assert_never

from engine.api.build import PreparedSession
from engine.config.session import RestartPolicyName
from engine.config.session_plan import SessionPlan
from engine.containers.inputs import GIVE_UP
from engine.flow.errors import EngineError
from engine.live.resume import Recovered, replay_session
from engine.live.session_runner import PendingRequest
from engine.store.records import SessionStatus
from engine.store.store import Store


async def find_interrupted(
    store: Store, plan: SessionPlan, note: Callable[[str, str], None]
) -> str | None:
    """Return the session that *plan* should continue, None to begin anew.

    That is the newest one of its name, if it was cut off and had begun; a start that died before
    its first input does not count. A session on the simulated clock is never continued: it can be
    run again.
    """
    section = plan.config.session
    for session_id in store.interrupted:
        note("warning", f"session {session_id} was interrupted; its records are kept")
    if plan.config.restart_policies == {"ignore"} or section.speed == "max":
        return None
    for record in await store.sessions():
        if record.name != section.name:
            continue
        if record.status is not SessionStatus.INTERRUPTED:
            return None
        if not record.inputs:
            continue
        if record.config_hash == plan.config_hash:
            return record.session_id
        note(
            "warning",
            f"session {record.session_id} is not resumed: the session file has changed since",
        )
        return None
    return None


async def recover(
    store: Store,
    session_id: str,
    prepared: PreparedSession,
    note: Callable[[str, str], None],
) -> Recovered | None:
    """Replay the interrupted session into *prepared*; None if that cannot be done.

    After None the container of *prepared* must not be used any more.
    """
    try:
        recovered = await replay_session(
            store, session_id, prepared.container, prepared.recorder.adopt
        )
    except (EngineError, ValueError, KeyError) as error:
        note("error", f"session {session_id} is not resumed: {error}; its records are kept")
        return None
    active = sum(executor.is_active for executor in prepared.container.orchestrator.executors())
    note(
        "warning",
        f"session {session_id} is resumed: {recovered.inputs} inputs replayed, "
        f"{active} executors go on",
    )
    return recovered


def restart_requests(prepared: PreparedSession) -> list[PendingRequest]:
    """Return what the restart policies ask of the executors that came back."""
    config = prepared.plan.config
    return [
        request
        for executor in prepared.container.orchestrator.executors()
        if executor.is_active
        for request in _of_policy(
            config.restart_policy(executor.controller_id), executor.executor_id
        )
    ]


def _of_policy(policy: RestartPolicyName, executor_id: str) -> Iterator[PendingRequest]:
    verb, more = "stop", dict[str, object]()
    match policy:
        case "resume":
            return
        case "flatten":
            more["keep_position"] = False
        case "hold":
            more["keep_position"] = True
        case "ignore":
            verb, more["reason"] = GIVE_UP, "ignored at the restart"
        case _:
            assert_never(policy)
    yield PendingRequest(
        request_id=f"restart-{executor_id}",
        actor="restart",
        verb=verb,
        arguments={"executor_id": executor_id} | more,
    )
