"""Decides whether a session continues an interrupted one, and brings it there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, assert_never

from anyio import to_thread

from engine.api.build import PreparedSession, keeps_state
from engine.config.session import RestartPolicyName
from engine.config.session_plan import SessionPlan
from engine.containers.inputs import GIVE_UP
from engine.containers.session_container import SessionContainer
from engine.flow.errors import EngineError
from engine.live.resume import Recovered, lives_of, replay_session
from engine.live.session_runner import PendingRequest
from engine.live.session_state import (
    StateError,
    StateHeader,
    entry_digest,
    read_state,
    restored,
)
from engine.store.records import SessionStatus
from engine.store.store import Store

FromState: TypeAlias = Callable[[SessionContainer, Mapping[str, Any]], PreparedSession]
"""Makes a session's parts of a container from a snapshot, and what its recorder has known."""


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
    *,
    states: Path,
    from_state: FromState,
) -> tuple[PreparedSession, Recovered] | None:
    """Replay the interrupted session into *prepared*; None if that cannot be done.

    With a snapshot in the folder *states* only what came after it is replayed, into what
    *from_state* makes of it, and that is returned. After None the container of *prepared* must not
    be used any more.
    """
    try:
        known = await _newest_state(store, session_id, prepared, note, states, from_state)
        begin = None
        if known is not None:
            begin, prepared = known
        recovered = await replay_session(
            store, session_id, prepared.container, prepared.recorder.adopt, begin=begin
        )
    except (EngineError, ValueError, KeyError) as error:
        note("error", f"session {session_id} is not resumed: {error}; its records are kept")
        return None
    active = sum(executor.is_active for executor in prepared.container.orchestrator.executors())
    after = "" if begin is None else f" after a snapshot of {recovered.inputs - recovered.replayed}"
    note(
        "warning",
        f"session {session_id} is resumed: {recovered.replayed} inputs replayed{after}, "
        f"{active} executors go on",
    )
    return prepared, recovered


async def _newest_state(
    store: Store,
    session_id: str,
    prepared: PreparedSession,
    note: Callable[[str, str], None],
    states: Path,
    from_state: FromState,
) -> tuple[tuple[str, int], PreparedSession] | None:
    """Return the newest snapshot of the session or an earlier life: where it ends, and its parts.

    One that cannot be used is told, and looked past: the journal has everything.
    """
    config_hash = prepared.plan.config_hash
    if not keeps_state(prepared.plan):
        return None
    for life in reversed(await lives_of(store, session_id)):
        try:
            found = await to_thread.run_sync(
                partial(read_state, states, life, config_hash=config_hash)
            )
            if found is None:
                continue
            header, text = found
            await _check_journal(store, header)
            state = await to_thread.run_sync(restored, text)
        except (EngineError, OSError) as error:
            note("warning", f"the snapshot of {life} is not used: {error}; its journal is replayed")
            continue
        return (life, header.entries), from_state(*state)
    return None


async def _check_journal(store: Store, header: StateHeader) -> None:
    """Check that the journal that is to be gone on with is the snapshot's.

    Raises:
        StateError: it is another one.
    """
    entries = await store.journal(header.session_id, after_seq=header.entries - 2, limit=1)
    digests = [entry_digest(one.ts_ns, one.kind, one.payload) for one in entries]
    if digests != [header.last_entry]:
        raise StateError("its journal is another one")


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
