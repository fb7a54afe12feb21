"""The heat map: which trial a cell shows, the neighbourhood's verdict, tiles for every size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.api.optimization_views import StudyDetail
from engine.testing.fake_studies import make_studies
from tui.state.fold_pages import walk_forward_lines
from tui.state.heat_map import Axes, HeatMap, map_metrics
from tui.state.heat_text import cell_line, heat_lines, legend_line, plan_tiles, side_lines
from tui.state.study_form import axes_fields, check_axes, chosen_axes, study_values
from tui.state.study_pages import importance_lines, report_lines
from tui.state.study_text import decay_span, fact_lines, panel_lines
from tui.state.text import line_width, plain

DONE = make_studies()["opt-1ff93efb"]


def flat(values: list[float], direction: str = "maximize") -> StudyDetail:
    """Return a study of one parameter with *values* as its objective."""
    trial = DONE.trials[0]
    trials = tuple(
        replace(trial, index=place, parameters={"n": place}, objective=value)
        for place, value in enumerate(values)
    )
    return replace(
        DONE, parameters={"n": tuple(range(len(values)))}, trials=trials, direction=direction
    )


def test_the_cursor_begins_at_the_best_and_stops_at_the_edges() -> None:
    heat = HeatMap(DONE)
    assert (heat.row, heat.column) == heat.best == (2, 3)
    heat.move(-9, -9)
    assert (heat.row, heat.column) == (0, 0)
    heat.move(9, 9)
    assert (heat.row, heat.column) == (4, 5)


def test_a_lone_peak_is_told_from_a_plateau() -> None:
    peak = HeatMap(flat([0.1, 0.1, 2.0, 0.1, 0.1]))
    assert peak.neighbourhood(0, 2).verdict == "lone peak"
    plateau = HeatMap(flat([0.0, 1.8, 2.0, 1.9, 0.0]))
    assert plateau.neighbourhood(0, 2).verdict == "plateau"
    assert plateau.neighbourhood(0, 0).verdict == ""
    assert "fragile" in plain(cell_line(peak))


def test_where_low_is_good_the_valley_is_the_best() -> None:
    heat = HeatMap(flat([2.0, 0.1, 2.0], "minimize"))
    assert heat.prefers_low
    assert heat.best == (0, 1)
    assert heat.neighbourhood(0, 1).verdict == "lone peak"


def test_failed_cells_are_counted_and_keep_their_error() -> None:
    heat = HeatMap(DONE)
    assert set(heat.failed) == {(0, 5)}
    assert heat.neighbourhood(1, 4).failed == 1
    heat.put(0, 5)
    assert heat.trial is not None
    assert "✗ sma_cross raised" in plain(cell_line(heat))
    assert "division" in "".join(plain(line) for line in side_lines(heat, heat.trial, 40))


def test_a_cell_of_many_trials_shows_its_best_or_their_mean() -> None:
    both = [replace(one, index=one.index + 100, parameters={**one.parameters, "stop": 2},
                    objective=None if one.objective is None else one.objective - 1)
            for one in DONE.trials]  # fmt: skip
    first = [replace(one, parameters={**one.parameters, "stop": 1}) for one in DONE.trials]
    detail = replace(DONE, parameters={**DONE.parameters, "stop": (1, 2)}, trials=(*first, *both))
    heat = HeatMap(detail)
    best = heat.value
    assert heat.trial is not None
    assert heat.trial.index == 17
    heat.choose(replace(heat.axes, rule="mean"))
    assert best is not None
    assert heat.value == pytest.approx(best - 0.5)
    heat.choose(Axes("fast", "slow", "max_drawdown"))
    assert heat.prefers_low
    names = [field.name for field in axes_fields(detail, heat.axes)]
    assert names == ["x", "y", "metric", "rule", "only fast", "only slow", "only stop"]
    typed = {"x": "fast", "y": "slow", "metric": "sharpe", "rule": "best", "only stop": "2",
             "only fast": "all"}  # fmt: skip
    axes = chosen_axes(typed)
    assert axes.fixed == (("stop", "2"),)
    heat.choose(axes)
    assert heat.trial is not None
    assert heat.trial.index == 117
    assert heat.value == best - 1
    title = "".join(text for text, _ in heat_lines(heat, plan_tiles(heat, 76, 20), 76,
                                                   focused=True)[0])  # fmt: skip
    assert "only stop=2" in title


@pytest.mark.parametrize("size", [(20, 4), (40, 8), (76, 12), (118, 30), (198, 50)])
def test_tiles_fit_and_the_cursor_is_on_show(size: tuple[int, int]) -> None:
    width, height = size
    wide = replace(
        DONE,
        parameters={"fast": tuple(range(60)), "slow": tuple(range(40))},
        trials=tuple(
            replace(DONE.trials[0], index=n, parameters={"fast": n % 60, "slow": n // 60})
            for n in range(2_400)
        ),
    )
    heat = HeatMap(wide)
    heat.put(39, 59)
    plan = plan_tiles(heat, width, height)
    assert plan.top <= 39 < plan.top + plan.rows
    assert plan.left <= 59 < plan.left + plan.columns
    lines = heat_lines(heat, plan, width, focused=True)
    assert any("[" in plain(line) for line in lines[2:])
    assert plan.cell_at(2, plan.label + 1) == (plan.top, plan.left)
    assert plan.cell_at(0, 0) is None


def test_the_legend_fits_its_line() -> None:
    heat = HeatMap(DONE)
    assert "✗ failed" in plain(legend_line(heat, 78))
    assert line_width(legend_line(heat, 60)) <= 60


def test_a_study_without_parameters_or_trials_says_so() -> None:
    empty = replace(DONE, parameters={}, trials=(), report={}, row=replace(DONE.row, best=None))
    heat = HeatMap(empty)
    lines = heat_lines(heat, plan_tiles(heat, 80, 20), 80, focused=False)
    assert "varies no parameter" in plain(lines[0])
    assert heat.trial is None
    assert cell_line(heat) == ()
    assert "Nothing to compare" in plain(importance_lines(empty, 80)[0])
    assert "no folds" in plain(walk_forward_lines(empty, 80)[1][0])
    assert map_metrics(empty) == ("sharpe",)
    assert report_lines(empty, 80)


@pytest.mark.parametrize("name", sorted(make_studies()))
@pytest.mark.parametrize("width", [40, 78, 198])
def test_every_study_can_be_told(name: str, width: int) -> None:
    detail = make_studies()[name]
    assert len(fact_lines(detail, width)) == 3
    assert panel_lines(detail, width, 7)
    assert importance_lines(detail, width)
    assert report_lines(detail, width)


def test_axes_must_differ() -> None:
    assert not check_axes({"x": "fast", "y": "fast"}).ok
    assert check_axes({"x": "fast", "y": "none"}).ok
    assert chosen_axes({"x": "fast", "y": "none", "metric": "sharpe"}) == Axes("fast", "", "sharpe")


def test_the_form_of_a_study_says_what_is_wrong() -> None:
    samples = {"optimization.yaml": "/somewhere/optimization.yaml"}
    assert study_values({}, {})[1] == {"path": "Name an optimisation file."}
    assert "workers" in study_values({"path": "x", "workers": "-2"}, samples)[1]
    assert "overrides" in study_values({"path": "x", "overrides": "seed"}, samples)[1]
    values, errors = study_values(
        {"sample": "optimization.yaml", "workers": "2", "backend": "thread"}, samples
    )
    assert not errors
    assert (values["workers"], values["backend"]) == (2, "thread")


def test_decay_is_told_by_a_sign_and_a_word() -> None:
    assert decay_span(None)[0] == ""
    assert decay_span(-0.4)[0] == "  ✓ kept"
    assert decay_span(0.39)[0] == "  decay 39%"
    assert decay_span(0.8)[0] == "  ⚠ decay 80%"
