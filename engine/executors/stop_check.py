"""Whether a stop can fire and has fired: a second look at what the wake index promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, unique

from engine.executors.snapshot import ExecutorSnapshot
from engine.executors.status import RunnableStatus
from engine.executors.wake_conditions import PriceField, PriceTrigger
from engine.model.quotes import QuoteTick


@unique
class StopProblem(Enum):
    """What is wrong with a stop."""

    UNARMED = "not armed"
    PASSED = "passed"


@dataclass(frozen=True, slots=True)
class StopFault:
    """A stop that cannot fire, or should have fired."""

    executor_id: str
    controller_id: str
    problem: StopProblem
    text: str


def protective_level(snapshot: ExecutorSnapshot) -> int | None:
    """Return the signed mark at or below which the executor must close; None if it has no stop."""
    if snapshot.status is not RunnableStatus.RUNNING:
        return None
    levels = snapshot.levels
    known = [level for level in (levels.stop_loss, levels.trailing_close) if level is not None]
    return max(known, default=None)


def stop_fault(
    snapshot: ExecutorSnapshot,
    quote: QuoteTick | None,
    is_watched: Callable[[str, PriceTrigger], bool],
) -> StopFault | None:
    """Return what is wrong with the stop of one executor, None if nothing is.

    Args:
        snapshot: the executor, between two inputs.
        quote: the newest quote of its market, already given to the executors.
        is_watched: whether an executor is woken when a trigger is met.
    """
    level = protective_level(snapshot)
    if level is None:
        return None
    sign = snapshot.side.sign
    # The same side of the book as the mark: best bid for BUY, best ask for SELL.
    field = PriceField.BID if sign > 0 else PriceField.ASK
    trigger = PriceTrigger(snapshot.market, field, is_above=sign < 0, level=level * sign)
    if not is_watched(snapshot.id, trigger):
        price = snapshot.instrument.price(level * sign)
        text = f"the stop of executor {snapshot.id} at {price} is not armed"
        return _fault(snapshot, StopProblem.UNARMED, text)
    mark = snapshot.mark_of(quote)
    if mark is not None and mark * sign <= level:
        price = snapshot.instrument.price(level * sign)
        text = (
            f"executor {snapshot.id} is past its stop at {price} "
            f"(mark {snapshot.instrument.price(mark)}) and does not close"
        )
        return _fault(snapshot, StopProblem.PASSED, text)
    return None


def _fault(snapshot: ExecutorSnapshot, problem: StopProblem, text: str) -> StopFault:
    return StopFault(snapshot.id, snapshot.controller_id, problem, text)
