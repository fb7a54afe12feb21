"""Single events of the executors, for who looks at one status: O(what is listed)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from engine import flow
from engine.api.command_event import CommandEvent, target_of
from engine.api.views import FlowEventRow

_NAMES: Final = ("task_id", "backtest_id", "study_id", "trial_id", "number", "index")
"""Fields by which the kinds of events are known to people."""


def flow_event_rows(
    executors: Iterable[flow.Executor], name: str, status: str, *, count: int
) -> tuple[FlowEventRow, ...]:
    """Return the events of the executor *name* in *status*, the newest arrivals first.

    May be called from any thread: it reads flows and piles only.

    Args:
        executors: those that there are.
        name: as its panel is called; an unknown one has no events.
        status: one of the seven; empty for all, then by time of creation.
        count: most rows returned.
    """
    for executor in executors:
        if executor.states.name != name:
            continue
        if status:
            events = _in_status(executor, status, count)
        else:
            every = [one for word in flow.EventStatus for one in _in_status(executor, word, count)]
            every.sort(key=lambda event: event.created_at, reverse=True)
            events = every[:count]
        return tuple(_row(event) for event in events)
    return ()


def _in_status(executor: flow.Executor, status: str, count: int) -> list[flow.Event]:
    keys = executor.states.get_progression(str(status)).keys()
    return executor.states.items.select_keys(keys[: -count - 1 : -1])


def _row(event: flow.Event) -> FlowEventRow:
    duration = event.execution.duration
    return FlowEventRow(
        id=str(event.id),
        created_ns=int(event.created_at.timestamp() * 1e9),
        kind=type(event).__name__.removesuffix("Event"),
        subject=_subject(event),
        status=event.status.value,
        duration_ms=duration * 1000 if isinstance(duration, float) else None,
        outcome=_outcome(event),
    )


def _subject(event: flow.Event) -> str:
    if isinstance(event, CommandEvent):
        return f"{type(event.command).__name__} {target_of(event.command)}"
    verb = getattr(event, "verb", None)
    if verb is not None:
        result = getattr(event, "result", None)
        return f"{verb} {getattr(result, 'executor_id', None) or ''}".strip()
    for field in _NAMES:
        value = getattr(event, field, None)
        if value is not None and value != "":
            return str(value)
    return ""


def _outcome(event: flow.Event) -> str:
    error = event.execution.error
    if isinstance(error, BaseException):
        return f"{type(error).__name__}: {error}"
    response = event.execution.response
    return "" if response is flow.Unset or response is None else str(response)
