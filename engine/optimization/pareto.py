"""Several objectives at once: the trials that none other beats in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.optimization.objective import Objective
from engine.optimization.trials import TrialRecord


def pareto_front(
    records: Iterable[TrialRecord], objectives: Sequence[Objective]
) -> tuple[TrialRecord, ...]:
    """Return the records that no other one beats, the best by the first objective first.

    One beats another if it is at least as good in every objective and better in one. Records for
    which an objective is undefined are not on the front.
    """
    costed: list[tuple[tuple[float, ...], TrialRecord]] = []
    for record in records:
        values = [objective.value(record) for objective in objectives]
        if all(value is not None for value in values):
            costs = tuple(
                objective.cost(value)
                for objective, value in zip(objectives, values, strict=True)
                if value is not None
            )
            costed.append((costs, record))
    # Sorted, a record can only be beaten by one before it.
    costed.sort(key=lambda item: (item[0], item[1].index))
    front: list[tuple[tuple[float, ...], TrialRecord]] = []
    for costs, record in costed:
        if not any(_beats(other, costs) for other, _ in front):
            front.append((costs, record))
    return tuple(record for _, record in front)


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
