"""Properties of spaces, searches and windows over random ones."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.flow.errors import ConfigurationError
from engine.optimization.search import halving_rungs, random_indices
from engine.optimization.space import parse_space
from engine.optimization.windows import WalkForward

sizes = st.lists(st.integers(1, 6), min_size=1, max_size=3)


@given(sizes, st.booleans())
def test_every_combination_has_one_number(counts: list[int], limited: bool) -> None:
    names = [f"p{number}" for number in range(len(counts))]
    values = {name: list(range(count)) for name, count in zip(names, counts, strict=True)}
    space = parse_space(values, [f"{names[0]} <= {names[-1]}"] if limited else [])
    found = [tuple(item.values()) for item in space]
    assert found == sorted(set(found))
    for index in range(len(space)):
        assert space.index_of(space.positions_at(index)) == index


@given(st.integers(0, 2**63), st.integers(1, 60), st.data())
def test_random_search_picks_each_at_most_once(seed: int, size: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, size))
    picks = list(random_indices(seed, count, size))
    assert len(set(picks)) == count
    assert all(0 <= pick < size for pick in picks)


@given(st.integers(1, 500), st.integers(1, 100_000))
def test_halving_ends_on_all_data_and_never_grows(candidates: int, bars: int) -> None:
    rungs = halving_rungs(candidates, bars)
    assert rungs[0].candidates == candidates
    assert rungs[-1].bars == bars
    for earlier, later in pairwise(rungs):
        assert earlier.candidates >= later.candidates >= 1
        assert earlier.bars <= later.bars


@given(
    st.integers(1, 40), st.integers(1, 20), st.integers(1, 30), st.booleans(),
    st.integers(0, 5), st.integers(0, 10), st.integers(1, 300),
)  # fmt: skip
def test_no_fold_trains_on_its_test_on_a_purge_or_on_an_embargo(
    train: int, test: int, step: int, anchored: bool, purge: int, embargo: int, bars: int
) -> None:
    plan = WalkForward(train, test, step, anchored=anchored, purge=purge, embargo=embargo)
    try:
        folds = plan.folds(bars)
    except ConfigurationError:
        return
    for fold in folds:
        assert fold.test.stop <= bars
        trained = {bar for span in fold.train for bar in range(span.start, span.stop)}
        assert max(trained) < fold.test.start - purge
        for earlier in folds[: fold.number]:
            assert not trained & set(range(earlier.test.stop, earlier.test.stop + embargo))
