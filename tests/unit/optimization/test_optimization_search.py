"""Methods of search, and walk-forward windows (OPT-3, OPT-16)."""

from __future__ import annotations

import math

import pytest

from engine.flow.errors import ConfigurationError
from engine.model.clock import SECOND_NS
from engine.model.draws import uniform
from engine.optimization.search import Rung, halving_rungs, random_indices, survivors
from engine.optimization.windows import Span, WalkForward, parse_walk_forward

HOUR_NS = 3600 * SECOND_NS


def test_random_picks_are_keyed_draws_without_repetition() -> None:
    picks = list(random_indices(42, 10, 10))
    assert sorted(picks) == list(range(10))
    assert picks[0] == math.floor(uniform(42, 4, 0, 0) * 10)
    assert picks[:4] == list(random_indices(42, 4, 10))
    assert picks != list(random_indices(43, 10, 10))


@pytest.mark.parametrize("count", [0, 11])
def test_more_random_picks_than_there_are_are_refused(count: int) -> None:
    with pytest.raises(ConfigurationError, match="between 1 and 10"):
        list(random_indices(1, count, 10))


def test_halving_keeps_a_third_on_three_times_the_data() -> None:
    assert halving_rungs(27, 9000) == (Rung(27, 1000), Rung(9, 3000), Rung(3, 9000))
    assert halving_rungs(2, 500) == (Rung(2, 500),)
    assert halving_rungs(27, 100, min_bars=40) == (Rung(27, 100),)
    assert survivors([7, 3, 9, 1], 2) == (3, 7)


def test_rolling_windows_move_by_the_step_and_incomplete_folds_are_dropped() -> None:
    folds = WalkForward(train=100, test=20, step=30, purge=5).folds(190)
    assert [(fold.train, fold.test) for fold in folds] == [
        ((Span(0, 100),), Span(105, 125)),
        ((Span(30, 130),), Span(135, 155)),
        ((Span(60, 160),), Span(165, 185)),
    ]


def test_anchored_windows_begin_at_the_first_bar() -> None:
    folds = WalkForward(train=100, test=20, step=20, anchored=True).folds(140)
    assert [fold.train for fold in folds] == [(Span(0, 100),), (Span(0, 120),)]


def test_bars_behind_an_earlier_test_are_never_trained_on() -> None:
    folds = WalkForward(train=50, test=10, step=10, anchored=True, embargo=5).folds(80)
    assert folds[2].train == (Span(0, 60), Span(65, 70))
    rolling = WalkForward(train=20, test=5, step=25, embargo=5).folds(50)
    assert rolling[1].train == (Span(30, 45),)


def test_windows_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="do not fit into the 50 bars"):
        WalkForward(train=40, test=20, step=1).folds(50)
    with pytest.raises(ConfigurationError, match=r"walk_forward.step: 0 bars"):
        WalkForward(train=1, test=1, step=0)
    with pytest.raises(ConfigurationError, match=r"walk_forward.purge: -1 bars"):
        WalkForward(train=1, test=1, step=1, purge=-1)
    with pytest.raises(ConfigurationError, match="leave fold 1 nothing to train on"):
        WalkForward(train=10, test=10, step=30, embargo=50).folds(80)


def test_lengths_are_bars_or_durations() -> None:
    plain = {"train": "10d", "test": 48, "anchored": True}
    assert parse_walk_forward(plain, HOUR_NS) == WalkForward(240, 48, 48, anchored=True)


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"train": 5}, "walk_forward.test: is missing"),
        ({"train": 5, "test": "90m"}, "no whole number of bars"),
        ({"train": "soon", "test": 5}, "neither a number of bars nor a duration"),
        ({"train": 5, "test": 5, "gap": 1}, "walk_forward.gap: is unknown"),
        ({"train": 5, "test": 5, "anchored": 1}, "not true or false"),
    ],
)
def test_bad_windows_say_what_is_allowed(plain: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_walk_forward(plain, HOUR_NS)
