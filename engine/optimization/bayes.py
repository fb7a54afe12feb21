"""Bayesian search: a tree-structured Parzen estimator proposes what to try next (OPT-3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from engine.flow.errors import ConfigurationError
from engine.model.draws import uniform
from engine.optimization.objective import Objective
from engine.optimization.search import RANDOM_STREAM
from engine.optimization.space import Parameter, ParameterSpace
from engine.optimization.trial_runner import Trial
from engine.optimization.trials import TrialRecord
from engine.optimization.windows import Span

if TYPE_CHECKING:
    import optuna

_ATTEMPTS: Final = 20
"""Proposals that are forbidden or known already before one is drawn instead."""


class BayesSearch:
    """Proposes combinations in rounds of a fixed size, so that the order of results is no matter.

    With more than one objective it looks for the Pareto front.

    Args:
        space: what may be tried.
        objectives: what is looked for, at least one.
        seed: of the estimator.
        count: how many different combinations are tried.
        round_size: proposals between two looks at the results.
        window: the bars of the trials, None for all.

    Raises:
        ConfigurationError: *count* is not between 1 and the size of the space.

    Source:
        Bergstra, Bardenet, Bengio, Kégl (2011), "Algorithms for Hyper-Parameter Optimization",
        NeurIPS; as implemented by Optuna.
    """

    def __init__(
        self,
        space: ParameterSpace,
        objectives: Sequence[Objective],
        *,
        seed: int,
        count: int,
        round_size: int = 8,
        window: Span | None = None,
    ) -> None:
        if not 1 <= count <= len(space):
            raise ConfigurationError(
                f"method.n: {count} of {len(space)} combinations; it must be between 1 and "
                f"{len(space)}"
            )
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        self._objectives = tuple(objectives)
        self._seed = seed
        self._round_size = round_size
        self._window = window
        self._distributions = {item.name: _distribution(item) for item in space.parameters}
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(
                seed=seed % 2**32,
                constant_liar=True,
                multivariate=True,
            ),
            directions=[item.direction.value for item in self._objectives],
        )
        self.total = count
        self._given = 0
        self._seen: set[int] = set()
        self._queue: list[int] = []
        self._asked: dict[int, optuna.trial.Trial | None] = {}
        self._told: dict[int, TrialRecord] = {}

    @property
    def is_finished(self) -> bool:
        """Return whether every trial was given out."""
        return self._given == self.total

    def ask(self, count: int) -> list[Trial]:
        """Return the next proposals of this round."""
        if not self._queue and not self._asked:
            self._propose(min(self._round_size, self.total - self._given))
        now, self._queue = self._queue[:count], self._queue[count:]
        self._given += len(now)
        return [Trial(index, self._space.at(index), self._window) for index in now]

    def tell(self, record: TrialRecord) -> list[TrialRecord]:
        """Return *record*; at the end of a round the estimator learns of all of it."""
        self._told[record.index] = record
        if len(self._told) == len(self._asked):
            for index in sorted(self._told):
                self._learn(self._asked[index], self._told[index])
            self._asked.clear()
            self._told.clear()
        return [record]

    def _propose(self, count: int) -> None:
        for _ in range(count):
            index, proposal = self._next()
            self._seen.add(index)
            self._queue.append(index)
            self._asked[index] = proposal

    def _next(self) -> tuple[int, optuna.trial.Trial | None]:
        import optuna

        for _ in range(_ATTEMPTS):
            proposal = self._study.ask(self._distributions)
            positions = [int(proposal.params[name]) for name in self._space.names]
            index = self._space.index_of(positions)
            if index is not None and index not in self._seen:
                return index, proposal
            self._study.tell(proposal, state=optuna.trial.TrialState.FAIL)
        return self._draw(), None

    def _draw(self) -> int:
        attempt = 0
        while True:
            draw = uniform(self._seed, RANDOM_STREAM, len(self._seen), attempt)
            index = math.floor(draw * len(self._space))
            if index not in self._seen:
                return index
            attempt += 1

    def _learn(self, proposal: optuna.trial.Trial | None, record: TrialRecord) -> None:
        import optuna

        found = [objective.value(record) for objective in self._objectives]
        values = [value for value in found if value is not None]
        is_known = len(values) == len(found)
        if proposal is not None:
            if is_known:
                self._study.tell(proposal, values)
            else:
                self._study.tell(proposal, state=optuna.trial.TrialState.FAIL)
        elif is_known:
            positions = self._space.positions_at(record.index)
            self._study.add_trial(
                optuna.trial.create_trial(
                    params=dict(zip(self._space.names, positions, strict=True)),
                    distributions=self._distributions,
                    values=values,
                )
            )


def _distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    """Return what the estimator knows of *parameter*: the places of its values."""
    import optuna

    places = len(parameter.values)
    if any(isinstance(value, str | bool) for value in parameter.values):
        return optuna.distributions.CategoricalDistribution(tuple(range(places)))
    return optuna.distributions.IntDistribution(0, places - 1)
