"""The folds of a study on the screen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.api.optimization_views import StudyDetail
from engine.testing.fake_console import FakeConsoleEngine
from engine.testing.fake_studies import make_studies
from tui.state.console import ConsoleState
from tui.state.fold_pages import fold_title, fold_trials, folds_of, walk_forward_lines
from tui.state.study_source import StudySource
from tui.state.text import plain


@pytest.fixture
def detail() -> StudyDetail:
    return make_studies()["opt-c4417e0b"]


def shown(detail: StudyDetail, width: int = 100, chosen: int | None = None) -> list[str]:
    _, lines = walk_forward_lines(detail, width, chosen)
    return [plain(line).rstrip() for line in lines]


def test_the_tests_one_after_another_have_a_curve_with_its_ends(detail: StudyDetail) -> None:
    lines = shown(detail)
    told = next(line for line in lines if "tests one after another" in line)
    assert "+9.12%" in told
    assert "Sharpe 0.61" in told
    assert "deepest fall 11%" in told
    curve = lines[lines.index(told) + 1 :]
    assert len(curve) == 5
    assert "█" in curve[0]
    assert curve[0].strip().startswith("1.1")
    assert curve[-1].split() == ["2020-01-15", "2021-12-15"]
    assert all(len(line) <= 100 for line in lines)


def test_a_share_of_a_loss_is_not_told(detail: StudyDetail) -> None:
    walk = detail.report["walk_forward"]
    folds = [walk["folds"][0] | {"in_sample_return": -0.02, "efficiency": 5.75}]
    lost = replace(detail, report={**detail.report, "walk_forward": walk | {"folds": folds}})
    assert "575%" not in shown(lost)[0]
    assert "75%" in shown(detail)[0]


def test_the_chosen_training_is_marked_and_shows_its_own_trials(detail: StudyDetail) -> None:
    assert [line[0] for line in shown(detail, chosen=2)[:4]] == [" ", " ", "▸", " "]
    fold = fold_trials(detail, 2)
    assert len(fold.trials) == len(detail.trials)
    assert fold.trials[0].objective == pytest.approx((detail.trials[0].objective or 0) - 0.2)
    assert fold.row.best is not None
    assert fold.row.best.index == folds_of(detail)[2]["index"]
    assert fold_title(detail, 2) == "fold 2 of 4, bars 1,000 to 3,000"


def test_a_study_without_folds_says_in_whole_words_how_it_gets_some() -> None:
    study = make_studies()["opt-1ff93efb"]
    told = shown(study, width=50)
    assert "".join(told).replace(" ", "").endswith("judgeseveryfoldonlaterbars.")
    assert all(len(line) <= 50 for line in told)


def test_a_long_metric_never_hides_its_value() -> None:
    row = replace(make_studies()["opt-1ff93efb"].row, metric="out_of_sample_total_return")
    source = StudySource(ConsoleState(FakeConsoleEngine(), clock=lambda: 0.0))
    column = next(one for one in source.columns if one.key == "best")
    assert column.cell(row)[0] == "out_of… 1.500"
