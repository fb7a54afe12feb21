"""What the console asks of studies: checks before a run, a trial as a paper session file."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from textwrap import dedent

import pytest

from engine.api.commands import RunOptimization
from engine.api.files import check_session_file
from engine.api.optimization_check import check_optimization
from engine.api.optimization_export import export_optimization
from engine.api.optimization_views import StudyDetail, TrialRow
from engine.api.paper_file import trial_config, write_paper_session
from engine.backtest.coordinator import BacktestCoordinator
from engine.config.session_plan import load_session_plan
from engine.flow.errors import EngineError, NotFoundError, ValidationError
from engine.testing.fake_studies import make_studies

SAMPLE = Path(__file__).parents[3] / "sample_configs" / "optimization.yaml"
DONE = make_studies()["opt-1ff93efb"]


def test_a_sample_is_checked_without_a_run() -> None:
    check = check_optimization(RunOptimization(path=str(SAMPLE)))
    assert check.ok
    assert ("Trials", "36 by grid, process") in check.preview
    assert ("fast", "5 10 15 20 25 30") in check.preview


def test_mistakes_stand_beside_their_field(tmp_path: Path) -> None:
    missing = check_optimization(RunOptimization(path=str(tmp_path / "no.yaml")))
    assert list(missing.errors) == ["path"]
    assert list(check_optimization(RunOptimization()).errors) == ["path"]
    alone = check_optimization(RunOptimization(path=str(SAMPLE), backend="distributed"))
    assert list(alone.errors) == ["cluster"]


def test_a_trial_becomes_a_session_file_that_can_be_run(tmp_path: Path) -> None:
    path = write_paper_session(DONE, 17, tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "fast=12 slow=80" in text
    assert f"quarterdeck run {path}" in text
    assert check_session_file(path) == ()


OWN = """
    from decimal import Decimal
    from engine.strategies.signals import Signal, SignalKind
    from engine.strategies.strategy import Strategy


    class Steps(Strategy):
        def __init__(self, every, weight=Decimal("0.1")):
            super().__init__()
            self._every, self._weight = every, weight * 2

        def on_bar(self, bar):
            if self.ctx.bar_index() % self._every == 0:
                signal = Signal(self.ctx.market, SignalKind.TARGET_WEIGHT, self._weight)
                self.ctx.signal(signal)


    class Columns(Strategy):
        def signals(self, bars, *, start=0):
            return None


    class Slices(Strategy):
        def on_slice(self, bars):
            pass
"""


def own_study(folder: Path, name: str, **more: object) -> StudyDetail:
    (folder / "mine.py").write_text(dedent(OWN), encoding="utf-8")
    components = {"strategy": {"class": f"mine.{name}", "params": dict(more)}}
    backtest = {**DONE.backtest, "components": components, "allow_imports": ["mine"]}
    trials = (TrialRow(17, {"every": 3, "weight": "0.25"}, "DONE", 1.0, {}),)
    values = {"every": (3, 4), "weight": ("0.25", "0.5")}
    return replace(DONE, backtest=backtest, base_dir=str(folder), trials=trials, parameters=values)


def test_an_own_strategy_becomes_a_session_with_its_module_and_numbers(tmp_path: Path) -> None:
    path = write_paper_session(own_study(tmp_path, "Steps"), 17, tmp_path / "data")
    assert check_session_file(path) == ()
    plan = load_session_plan(path)
    section = plan.config.strategies[0]
    assert (section.kind, section.id) == ("mine.Steps", "Steps")
    ((market, made),) = plan.strategies
    assert market.trading_pair == "SPX-USD"
    assert type(made).__name__ == "Steps"
    assert vars(made)["_weight"] == Decimal("0.5")  # a number, not the text that the table shows


def test_a_trial_of_an_own_strategy_can_be_run_as_a_backtest(tmp_path: Path) -> None:
    study = own_study(tmp_path, "Steps")
    data = [{"symbol": "SPX", "path": str(SAMPLE.parent / "data/sp500-1d.csv"), "bar": "1d"}]
    config = trial_config(
        replace(study, backtest=dict(study.backtest) | {"data": data}), study.trials[0]
    )
    kept = json.loads(json.dumps(config))  # as the engine keeps and hands it on
    result = BacktestCoordinator(base_dir=tmp_path).run_backtest(kept)
    assert len(result.fills) > 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Columns", "gives its signals as columns only"),
        ("Slices", "decides in on_slice(), which a session does not call"),
        ("Missing", "Missing of mine is no subclass of Strategy"),
    ],
)
def test_what_a_session_cannot_run_of_an_own_strategy_is_told(
    tmp_path: Path, name: str, text: str
) -> None:
    study = replace(own_study(tmp_path, name), trials=(TrialRow(1, {}, "DONE", 1.0, {}),))
    with pytest.raises(ValidationError) as told:
        write_paper_session(study, 1, tmp_path / "data")
    assert f"strategy 'mine.{name}' cannot run on paper: " in str(told.value)
    assert text in str(told.value)


def test_several_symbols_are_several_markets_of_a_strategy_that_ships(tmp_path: Path) -> None:
    data = [{"symbol": "SPX"}, {"symbol": "NDX"}]
    path = write_paper_session(
        replace(DONE, backtest=dict(DONE.backtest) | {"data": data}), 17, tmp_path
    )
    assert check_session_file(path) == ()
    plan = load_session_plan(path)
    assert [section.id for section in plan.config.strategies] == ["sma_cross-SPX", "sma_cross-NDX"]
    study = own_study(tmp_path, "Steps")
    study = replace(study, backtest=dict(study.backtest) | {"data": data})
    with pytest.raises(ValidationError, match=r"it sees 2 symbols \(SPX, NDX\)"):
        write_paper_session(study, 17, tmp_path)


def test_what_cannot_become_a_session_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no trial 999"):
        write_paper_session(DONE, 999, tmp_path)
    components = {"strategy": {"class": "my:Own", "params": {}}}
    own = replace(DONE, backtest={**DONE.backtest, "components": components})
    with pytest.raises(ValidationError, match="cannot run on paper"):
        write_paper_session(own, 17, tmp_path)
    with pytest.raises(ValidationError, match="has 0 strategies"):
        trial_config(replace(DONE, backtest={}), DONE.trials[0])
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    with pytest.raises(EngineError, match="cannot be written"):
        write_paper_session(DONE, 17, blocked)


def test_an_exported_walk_forward_has_its_folds_and_trainings(tmp_path: Path) -> None:
    study = make_studies()["opt-c4417e0b"]
    files = [Path(file).name for file in export_optimization(study, str(tmp_path))]
    assert files[:7] == [
        "trials.csv", "trials.parquet", "study.json", "folds.csv", "folds.parquet",
        "fold_trials.csv", "fold_trials.parquet",
    ]  # fmt: skip
    folds = (tmp_path / "folds.csv").read_text(encoding="utf-8").splitlines()
    assert folds[0].startswith("fold,train_start,train_stop")
    assert len(folds) == 5
    trials = (tmp_path / "fold_trials.csv").read_text(encoding="utf-8").splitlines()
    assert trials[0] == "fold,index,fast,slow,status,selected,sharpe"
    assert len(trials) == 1 + 4 * len(study.trials)
    plain = [Path(file).name for file in export_optimization(DONE, str(tmp_path / "other"))]
    assert plain == ["trials.csv", "trials.parquet", "study.json"]
