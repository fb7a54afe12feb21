"""Bayesian search and several objectives (OPT-3)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.flow.errors import ConfigurationError
from engine.optimization.bayes import BayesSearch
from engine.optimization.objective import Direction, Objective
from engine.optimization.pareto import pareto_front
from engine.optimization.space import ParameterSpace, parse_space
from engine.optimization.trial_runner import Trial
from engine.optimization.trials import StudyIdentity, TrialRecord, TrialStatus
from tests.unit.optimization.conftest import Records

IDENTITY = StudyIdentity("c", "d", "1")
SCORE = Objective("score")


@pytest.fixture
def space() -> ParameterSpace:
    return parse_space(
        {"fast": {"range": [0, 30]}, "slow": {"range": [0, 30]}, "side": ["long", "both"]},
        ["fast < slow"],
    )


def run(search: BayesSearch, ask: int, *, is_reversed: bool = False) -> list[int]:
    order: list[int] = []
    while not search.is_finished:
        trials: list[Trial] = []
        while got := search.ask(ask):
            trials += got
        order += [trial.index for trial in trials]
        for trial in reversed(trials) if is_reversed else trials:
            search.tell(scored(trial))
    return order


def scored(trial: Trial) -> TrialRecord:
    fast, slow = int(trial.parameters["fast"]), int(trial.parameters["slow"])
    score = -((fast - 7) ** 2) - (slow - 22) ** 2 - 40 * (trial.parameters["side"] == "both")
    status = TrialStatus.FAILED if fast == 0 else TrialStatus.DONE
    metrics = {"score": float(score), "n_trades": float(fast)}
    return TrialRecord(trial.index, "k", trial.parameters, status, metrics)


def test_it_finds_what_a_grid_of_the_same_size_would_miss(space: ParameterSpace) -> None:
    order = run(BayesSearch(space, [SCORE], seed=1, count=96), 8)
    assert len(set(order)) == 96
    best = SCORE.best(scored(Trial(index, space.at(index))) for index in order)
    assert best is not None
    assert best.metrics["score"] is not None
    assert float(best.metrics["score"]) > -10
    late = [scored(Trial(index, space.at(index))).metrics["score"] for index in order]
    assert mean(late[-32:]) > mean(late[:32])


def mean(values: Sequence[float | int | str | None]) -> float:
    return sum(float(value or 0) for value in values) / len(values)


def test_the_same_seed_proposes_the_same_whatever_the_workers_do(space: ParameterSpace) -> None:
    expected = run(BayesSearch(space, [SCORE], seed=5, count=40), 8)
    assert run(BayesSearch(space, [SCORE], seed=5, count=40), 1, is_reversed=True) == expected
    assert run(BayesSearch(space, [SCORE], seed=6, count=40), 8) != expected


def test_a_whole_space_can_be_tried() -> None:
    space = parse_space({"fast": [0, 1, 2], "slow": [1, 2, 3], "side": ["long"]}, ["fast < slow"])
    order = run(BayesSearch(space, [SCORE], seed=5, count=len(space)), 3)
    assert sorted(order) == list(range(len(space)))


def test_more_than_there_are_is_refused(space: ParameterSpace) -> None:
    with pytest.raises(ConfigurationError, match="it must be between 1 and 870"):
        BayesSearch(space, [SCORE], seed=5, count=871)


def test_several_objectives_are_learned_together(space: ParameterSpace) -> None:
    trades = Objective("n_trades", Direction.MINIMIZE)
    order = run(BayesSearch(space, [SCORE, trades], seed=2, count=24), 8)
    assert len(set(order)) == 24


def test_the_front_holds_what_no_other_beats(record: Records) -> None:
    objectives = [Objective("sharpe"), Objective("max_drawdown", Direction.MINIMIZE)]
    records = [
        record(0, {}, 1.0, max_drawdown=0.1),
        record(1, {}, 2.0, max_drawdown=0.3),
        record(2, {}, 1.5, max_drawdown=0.3),
        record(3, {}, 0.5, max_drawdown=0.1),
        record(4, {}, 2.0, max_drawdown=0.3),
        record(5, {}, 9.0),
        record(6, {}, None, max_drawdown=0.0),
    ]
    assert [item.index for item in pareto_front(records, objectives)] == [1, 4, 0]
    assert pareto_front([], objectives) == ()
