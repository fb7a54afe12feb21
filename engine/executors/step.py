"""What an executor answers to an event: orders to send, and what to tell people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from engine.executors.status import CloseType, RunnableStatus
from engine.model.orders import CancelRequest, OrderQuery, OrderRequest

Intent = OrderRequest | CancelRequest | OrderQuery
"""Something that the container carries out on the executor's behalf."""

Level = Literal["debug", "info", "warning", "error"]
"""Level of a notice; an operator may have to act on ``warning`` and ``error``."""


@dataclass(frozen=True, slots=True)
class Step:
    """The effects of one event, in the order in which they must be carried out."""

    intents: tuple[Intent, ...] = ()


EMPTY_STEP: Final = Step()


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A step of an executor's life; ``close_type`` is what it closes or closed for, if it does."""

    old: RunnableStatus
    new: RunnableStatus
    close_type: CloseType | None


@dataclass(frozen=True, slots=True)
class Notice:
    """One log line or alert as data; ``executor_id`` is empty for the orchestrator's own.

    ``change`` is set if the line tells of a new status.
    """

    ts_ns: int
    level: Level
    executor_id: str
    text: str
    change: StatusChange | None = None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened to an executor."""

    ts_ns: int
    level: Level
    text: str
