"""Which combinations are tried, and in which order (OPT-3).

A search is asked for trials and told of their records. It may answer with none although it is not
finished: then it waits for records of what it gave out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Protocol

from engine.flow.errors import ConfigurationError
from engine.model.draws import uniform
from engine.optimization.objective import Objective
from engine.optimization.space import ParameterSpace
from engine.optimization.trial_runner import Trial
from engine.optimization.trials import TrialRecord, TrialStatus
from engine.optimization.windows import Span

RANDOM_STREAM: Final = 4
"""Stream of the optimiser's draws."""

ETA: Final = 3
"""Successive halving keeps one of so many."""


def grid_indices(size: int) -> range:
    """Return every combination of a space with *size* of them."""
    return range(size)


def random_indices(seed: int, count: int, size: int) -> Iterator[int]:
    """Yield *count* different combinations out of *size*, drawn by *seed*.

    Draw t picks ``floor(u(seed, 4, t, a) * size)`` for a = 0, 1, ... until it is new (OPT-3).

    Raises:
        ConfigurationError: *count* is not between 1 and *size*.
    """
    if not 1 <= count <= size:
        raise ConfigurationError(
            f"method.n: {count} of {size} combinations; it must be between 1 and {size}"
        )
    seen: set[int] = set()
    for draw in range(count):
        attempt = 0
        while (index := math.floor(uniform(seed, RANDOM_STREAM, draw, attempt) * size)) in seen:
            attempt += 1
        seen.add(index)
        yield index


@dataclass(frozen=True, slots=True)
class Rung:
    """One round of successive halving: *candidates* trials on the first *bars* bars."""

    candidates: int
    bars: int


def halving_rungs(
    candidates: int, bars: int, *, eta: int = ETA, min_bars: int = 1
) -> tuple[Rung, ...]:
    """Return the rounds from the shortest prefix to all *bars*, each keeping one in *eta*.

    The last round has at most *eta* candidates, or its prefix would be below *min_bars*.

    Source:
        Jamieson, Talwalkar (2016), "Non-stochastic Best Arm Identification and Hyperparameter
        Optimization", AISTATS.
    """
    sizes = [candidates]
    while sizes[-1] > eta and bars // eta ** len(sizes) >= min_bars:
        sizes.append(math.ceil(sizes[-1] / eta))
    last = len(sizes) - 1
    return tuple(
        Rung(size, max(min(min_bars, bars), bars // eta ** (last - number)))
        for number, size in enumerate(sizes)
    )


def survivors(ranked: Sequence[int], keep: int) -> tuple[int, ...]:
    """Return the first *keep* of *ranked*, by index: the order in which they are tried again."""
    return tuple(sorted(ranked[:keep]))


class Search(Protocol):
    """Gives out trials until it is finished."""

    @property
    def total(self) -> int:
        """Return how many trials there will be, all rounds together."""
        ...

    @property
    def is_finished(self) -> bool:
        """Return whether no further trial will come."""
        ...

    def ask(self, count: int) -> list[Trial]:
        """Return at most *count* trials to run next."""
        ...

    def tell(self, record: TrialRecord) -> list[TrialRecord]:
        """Take note of *record*; return the rows of the table that are now known."""
        ...


class ListSearch:
    """Tries the combinations of a list, each once: grid and random search."""

    def __init__(
        self,
        space: ParameterSpace,
        indices: Iterable[int],
        total: int,
        *,
        window: Span | None = None,
    ) -> None:
        self._space = space
        self._indices = iter(indices)
        self._window = window
        self._left = total
        self.total = total

    @property
    def is_finished(self) -> bool:
        """Return whether every combination was given out."""
        return self._left == 0

    def ask(self, count: int) -> list[Trial]:
        """Return the next combinations."""
        trials = [
            Trial(index, self._space.at(index), self._window)
            for index in islice(self._indices, count)
        ]
        self._left -= len(trials)
        return trials

    def tell(self, record: TrialRecord) -> list[TrialRecord]:
        """Return *record*: it is the trial's row."""
        return [record]


class HalvingSearch:
    """Successive halving: all on little data, the best third on three times as much, and so on.

    The row of a combination that does not go on is PRUNED and has the metrics of its last round.
    """

    def __init__(
        self,
        space: ParameterSpace,
        indices: Iterable[int],
        objective: Objective,
        *,
        window: Span,
        eta: int = ETA,
        min_bars: int = 1,
    ) -> None:
        candidates = sorted(indices)
        self._space = space
        self._objective = objective
        self._window = window
        self._rungs = halving_rungs(len(candidates), len(window), eta=eta, min_bars=min_bars)
        self._round = 0
        self._queue = candidates
        self._told: list[TrialRecord] = []
        self.total = sum(rung.candidates for rung in self._rungs)

    @property
    def is_finished(self) -> bool:
        """Return whether the last round was given out."""
        return self._round == len(self._rungs) - 1 and not self._queue

    def ask(self, count: int) -> list[Trial]:
        """Return the next combinations of this round."""
        now, self._queue = self._queue[:count], self._queue[count:]
        start = self._window.start
        span = Span(start, start + self._rungs[self._round].bars)
        # The last round is on all the data: the same trial as any other search would run.
        window = None if span == self._window and start == 0 else span
        return [Trial(index, self._space.at(index), window) for index in now]

    def tell(self, record: TrialRecord) -> list[TrialRecord]:
        """Return the rows of the trials that go no further; at the end of a round go on."""
        if self._round == len(self._rungs) - 1:
            return [record]
        self._told.append(record)
        if len(self._told) < self._rungs[self._round].candidates:
            return []
        ranked = sorted(self._told, key=self._objective.rank_key)
        self._told = []
        self._round += 1
        keep = self._rungs[self._round].candidates
        self._queue = list(survivors([record.index for record in ranked], keep))
        return [
            replace(record, status=TrialStatus.PRUNED)
            if record.status is TrialStatus.DONE
            else record
            for record in ranked[keep:]
        ]
