"""Studies of real backtests: equal tables, windows, honesty, resume (OPT-1 to OPT-18)."""

from __future__ import annotations

import pathlib
from dataclasses import replace
from typing import Any

import pytest

from engine.backtest.coordinator import BacktestCoordinator
from engine.config.document import ConfigError
from engine.config.optimization_file import load_optimization_file
from engine.flow.errors import ConfigurationError
from engine.live.clock import SystemClock
from engine.model.draws import mix
from engine.optimization.optimization_executor import StudyProgress
from engine.optimization.study import Study
from engine.optimization.trials import TrialStatus
from engine.optimization.walk_tables import export_walk_forward
from tests.integration.optimization.conftest import BASE, SAMPLES, Write, run


def test_a_trial_equals_a_plain_backtest(write: Write) -> None:
    result = run(write())
    row = result.collector.records[3]
    strategy = {"class": "sma_cross", "params": {"fast": 10, "slow": 60}}
    plain = BASE | {"components": BASE["components"] | {"strategy": strategy}}
    alone = BacktestCoordinator().run_backtest(plain)
    assert row.fingerprint == alone.fingerprint
    assert row.metrics["sharpe"] == alone.metrics["sharpe"]
    assert row.metrics["final_equity"] == str(alone.final_equity)
    assert result.best_reproduced is True


HOURS: dict[str, Any] = {
    "symbol": "EURUSD",
    "path": str(SAMPLES / "data/eurusd-1h.csv"),
    "bar": "1h",
}
FINE = {name: HOURS[name] for name in ("path", "bar")}
DATA: dict[str, dict[str, Any]] = {
    "finer bars": HOURS | {"resample": "4h", "execution_bars": FINE},
    "closed bars": HOURS | {"session": {"opens": "08:00", "closes": "17:00", "days": [0, 1, 2]}},
}


@pytest.mark.parametrize("name", DATA)
def test_a_trial_has_all_of_the_data_that_a_plain_backtest_has(write: Write, name: str) -> None:
    data = [DATA[name]]
    result = run(write(base=BASE | {"data": data}, space={"fast": [5], "slow": [40]}))
    strategy = {"class": "sma_cross", "params": {"fast": 5, "slow": 40}}
    plain = BASE | {"components": BASE["components"] | {"strategy": strategy}, "data": data}
    alone = BacktestCoordinator().run_backtest(plain)
    assert result.collector.records[0].fingerprint == alone.fingerprint


@pytest.mark.parametrize("parallelism", ["thread", "process", "kernel"])
def test_the_table_is_the_same_wherever_it_is_computed(write: Write, parallelism: str) -> None:
    serial = run(write(out_of_sample=None))
    other = run(write(out_of_sample=None, parallelism=parallelism, max_workers=2))
    assert other.collector.table_hash() == serial.collector.table_hash()


def test_parameters_that_the_strategy_refuses_fail_in_their_row(write: Write) -> None:
    result = run(write(space={"fast": [5, 50], "slow": [40]}))
    assert [row.status for row in result.collector.records] == [
        TrialStatus.DONE,
        TrialStatus.FAILED,
    ]
    error = result.collector.records[1].error
    assert error is not None
    assert "fast 50 must be below slow 40" in error.message
    plain = result.to_json()
    assert (plain["trials"], plain["failed"]) == (2, 1)
    assert plain["rows"][1]["error"]["stage"] == "run"


def test_a_parameter_that_the_strategy_does_not_have_is_refused_at_once(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"space.wait: strategy sma_cross has no parameter"):
        write(space={"fast": [5], "wait": [1, 2]})


def test_a_space_without_a_combination_is_refused(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"constraints: leave no combination: none of 4 satisf"):
        write(constraints=["fast > slow"])


def test_the_best_are_judged_on_bars_that_come_later(write: Write) -> None:
    result = run(write(out_of_sample="0.25", top=3))
    assert len(result.judged) == 3
    for item in result.judged:
        assert item.in_sample is not None
        assert item.out_of_sample is not None
        assert item.in_sample != item.out_of_sample
    assert result.rank_correlation is not None
    assert result.deflated_sharpe is not None
    assert 0 < result.deflated_sharpe < 1
    assert "4 trials were compared" in result.notes[0]


def test_walk_forward_trains_and_tests_fold_by_fold(write: Write) -> None:
    file = write(
        method="walk_forward",
        walk_forward={"train": 2000, "test": 500, "purge": 10},
    )
    result = run(file)
    # (5031 - 2510) // 500 + 1 folds fit entirely.
    assert [fold.fold.number for fold in result.folds] == [0, 1, 2, 3, 4, 5]
    plain = result.to_json()["walk_forward"]
    growth = 1.0
    for fold in plain["folds"]:
        assert fold["test"][0] == fold["train"][1] + 10
        assert fold["parameters"] is not None
        growth *= 1 + fold["total_return"]
    assert plain["stitched_return"] == pytest.approx(growth - 1)
    # The curve of the tests run alone ends where their returns lead.
    assert result.stitched is not None
    assert plain["stitched"]["equity"][-1][1] == pytest.approx(growth)
    assert plain["stitched"]["total_return"] == pytest.approx(growth - 1)
    assert 0 < plain["stitched"]["max_drawdown"] < 1
    assert list(result.stitched.stamps) == sorted(set(result.stitched.stamps))
    first = plain["folds"][0]
    assert [time[:10] for time in first["times"]][1] <= first["times"][2][:10]


def test_what_an_embargo_takes_of_the_trainings_is_told(write: Write) -> None:
    windows = {"train": 1000, "test": 500, "anchored": True, "embargo": 5}
    result = run(write(method="walk_forward", walk_forward=windows))
    note = next(note for note in result.notes if "embargo" in note)
    assert note == (
        "walk_forward.embargo cuts the training of 6 folds into pieces: each is trained on its "
        "longest piece only, fold 7 on 1,500 of 4,500 bars"
    )
    assert not [note for note in run(write(walk_forward={"train": 2000, "test": 500})).notes
                if "embargo" in note]  # fmt: skip


def test_the_trials_of_every_training_are_in_the_result_and_on_disk(
    write: Write, tmp_path: pathlib.Path
) -> None:
    file = write(method="walk_forward", walk_forward={"train": 2000, "test": 1000})
    result = run(file)
    plain = result.to_json()["walk_forward"]
    assert [len(table) for table in plain["tables"]] == [4] * len(plain["folds"])
    for fold, table in zip(plain["folds"], plain["tables"], strict=True):
        best = max(table, key=lambda row: (row["objective"], -row["index"]))
        assert (best["index"], best["parameters"]) == (fold["index"], fold["parameters"])
        assert best["objective"] == fold["in_sample"]
    # The last training is the study's table.
    last = [(row["index"], row["objective"]) for row in plain["tables"][-1]]
    assert last == [(row["index"], row["objective"]) for row in result.to_json()["rows"]]
    files = export_walk_forward(tmp_path, result.folds, result.collector.objective, result.stitched)
    assert [path.name for path in files][::2] == [
        "folds.csv",
        "fold_trials.csv",
        "stitched_equity.csv",
    ]
    lines = (tmp_path / "folds.csv").read_text().splitlines()
    assert lines[0].startswith("fold,train_start,train_stop,train_from,train_to,test_start")
    assert len(lines) == 1 + len(result.folds)
    trials = (tmp_path / "fold_trials.csv").read_text().splitlines()
    assert len(trials) == 1 + 4 * len(result.folds)
    assert sum(",true," in line for line in trials) == len(result.folds)


def test_a_test_window_is_not_changed_by_what_is_trained_before(write: Write) -> None:
    windows = {"train": 2000, "test": 500}
    one = run(write(method="walk_forward", walk_forward=windows))
    other = run(
        write(method="walk_forward", walk_forward=windows, space={"fast": [10], "slow": [60]})
    )
    chosen = [
        (first, second)
        for first, second in zip(one.folds, other.folds, strict=True)
        if first.winner is not None
        and second.winner is not None
        and dict(first.winner.parameters) == dict(second.winner.parameters)
    ]
    for first, second in chosen:
        assert first.test is not None
        assert second.test is not None
        assert first.test.fingerprint == second.test.fingerprint


@pytest.mark.parametrize(
    "method",
    [
        {"kind": "random", "n": 3},
        {"kind": "bayes", "n": 3},
        {"kind": "halving", "n": 4, "eta": 2},
    ],
)
def test_methods_try_what_they_say(write: Write, method: dict[str, Any]) -> None:
    result = run(write(method=method, out_of_sample=None))
    again = run(write(method=method, out_of_sample=None))
    assert len(result.collector) == method["n"]
    assert result.collector.table_hash() == again.collector.table_hash()


def test_several_objectives_give_a_front(write: Write) -> None:
    objective = [{"metric": "sharpe"}, {"metric": "max_drawdown", "direction": "minimize"}]
    result = run(write(objective=objective, out_of_sample=None))
    best = result.collector.best
    assert best is not None
    assert best.index in [record.index for record in result.front]


def test_a_journal_is_gone_on_from(write: Write, tmp_path: pathlib.Path) -> None:
    journal = tmp_path / "runs/study.jsonl"
    first = run(write(), journal_path=journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3]))
    second = run(write(), journal_path=journal)
    assert second.progress.resumed == 2
    assert second.collector.table_hash() == first.collector.table_hash()
    with pytest.raises(ConfigurationError, match="study: the journal has"):
        run(write(space={"fast": [6], "slow": [40]}), journal_path=journal)


def test_a_seed_for_each_trial_is_recorded_as_its_own(write: Write) -> None:
    result = run(write(seed_per_trial=True, out_of_sample=None))
    assert result.best_reproduced is True
    assert result.collector.counts()[TrialStatus.DONE] == 4
    seeds = [item.metrics["seed"] for item in result.collector.records]
    assert seeds == [mix(42 ^ index) >> 1 for index in range(4)]


@pytest.mark.parametrize("engine", ["events", "compiled"])
def test_containers_are_kept_ready_and_change_no_result(write: Write, engine: str) -> None:
    base = BASE | {"engine": engine}
    one = run(write(base=base, container_pool_size=0))
    assert run(write(base=base, container_pool_size=3)).to_json()["rows"] == one.to_json()["rows"]
    with_windows = {"method": "walk_forward", "walk_forward": {"train": 2000, "test": 500}}
    fresh = run(write(base=base, container_pool_size=0, **with_windows))
    pooled = run(write(base=base, container_pool_size=2, **with_windows))
    assert [fold.test for fold in pooled.folds] == [
        replace(fold.test, duration_s=mine.test.duration_s)
        for fold, mine in zip(fresh.folds, pooled.folds, strict=True)
        if fold.test is not None and mine.test is not None
    ]


def test_a_hopeless_trial_is_stopped_and_its_row_is_the_same_on_every_path(write: Write) -> None:
    rows = [
        run(write(base=BASE | {"engine": engine}, early_stop={"max_drawdown": "0.33"}))
        for engine in ("events", "compiled")
    ]
    one, other = (result.to_json() for result in rows)
    assert one["rows"] == other["rows"]
    assert [row["status"] for row in one["rows"]].count("PRUNED") == 2
    pruned = next(row for row in one["rows"] if row["status"] == "PRUNED")
    assert pruned["metrics"] == {}
    assert "fell more than 0.33" in pruned["error"]["message"]
    assert one["failed"] == 0


def test_an_objective_may_be_a_function_of_the_metrics(
    write: Write, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "scores.py").write_text(
        "def steady(metrics):\n"
        "    if metrics['n_trades'] < 60:\n"
        "        raise ValueError('too few')\n"
        "    return metrics['sharpe'] * metrics['n_trades']\n"
    )
    base = BASE | {"allow_imports": ["scores"]}
    result = run(write(base=base, objective="scores.steady"))
    rows = result.to_json()["rows"]
    values = [row["metrics"]["scores.steady"] for row in rows]
    known = [value for value in values if value is not None]
    assert 0 < len(known) < 4
    best = result.to_json()["best"]
    assert best["objective"] == max(known)
    assert any("scores.steady raised" in note and "too few" in note for note in result.notes)
    with pytest.raises(ConfigError, match=r"objective.metric: objective 'scores.steady': package"):
        write(objective="scores.steady")


def test_the_report_says_how_far_to_believe_the_best(write: Write) -> None:
    plain = run(write()).to_json()
    assert 0 <= plain["overfitting_probability"] <= 1
    assert "Bailey" in plain["deflated_sharpe_source"]
    bands = plain["monte_carlo"]["bootstrapped_returns"]
    assert bands["percentiles"] == [5.0, 25.0, 50.0, 75.0, 95.0]
    assert bands["total_return"] == sorted(bands["total_return"])
    assert plain["monte_carlo"] == run(write(parallelism="thread")).to_json()["monte_carlo"]
    assert [name for name, _ in plain["marginals"].items()] == ["fast", "slow"]


MOODY = """
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.strategy import Strategy

RUNS = []


class Moody(Strategy):
    def __init__(self, level):
        super().__init__()
        self._level = level

    def on_start(self):
        RUNS.append(self._level)

    def on_bar(self, bar):
        if len(RUNS) > 2:
            raise ValueError("in another mood")
        index = self.ctx.bar_index()
        if index % self._level == 0:
            value = 1 if index % (2 * self._level) else 0
            self.ctx.signal(Signal(self.ctx.market, SignalKind.DIRECTION, value))
"""


def test_a_best_trial_that_raises_when_it_is_run_again_is_told(
    write: Write, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "moody.py").write_text(MOODY)
    components = BASE["components"] | {"strategy": {"class": "moody.Moody", "params": {}}}
    base = BASE | {"components": components, "allow_imports": ["moody"]}
    result = run(write(base=base, space={"level": [5, 20]}, timeout_s=60))
    assert result.collector.counts()[TrialStatus.DONE] == 2
    assert result.best_reproduced is False
    assert any("in another mood" in note and "do not trust" in note for note in result.notes)
    assert any(note.startswith("timeout_s ends serial") for note in result.notes)


def test_auto_takes_what_is_fastest_and_says_so(write: Write) -> None:
    compiled = run(write(parallelism="auto"))
    assert compiled.manifest["parallelism"] == "kernel"
    assert "parallelism auto: kernel" in compiled.notes
    limited = run(write(parallelism="auto", timeout_s=60, max_workers=1))
    assert limited.manifest["parallelism"] == "kernel"
    assert {record.worker[0] for record in limited.collector.records} == {"p"}
    base = BASE | {"engine": "events"}
    slow = run(write(base=base, parallelism="auto", memory_limit_per_container="300MB"))
    assert slow.manifest["parallelism"] == "process"
    assert compiled.collector.table_hash() == limited.collector.table_hash()


def test_progress_counts_every_fold(write: Write) -> None:
    told: list[StudyProgress] = []
    file = write(method="walk_forward", walk_forward={"train": 2000, "test": 500})
    result = run(file, on_progress=told.append)
    folds = len(result.folds)
    assert {progress.total for progress in told} == {folds * 5}
    assert told[-1].done == folds * 5 == result.progress.done
    assert result.collector.records[0].window == result.folds[-1].trained_on
    assert any("last training" in note for note in result.notes)


def test_a_study_that_is_cancelled_before_it_begins_has_no_result(write: Write) -> None:
    file = write()
    study = Study(file.config, file.load_base(), monotonic_ns=SystemClock().monotonic_ns)
    study.cancel()
    result = study.run()
    assert result.is_cancelled
    assert result.to_json()["status"] == "CANCELLED"
    assert result.collector.counts()[TrialStatus.CANCELLED] == 4


def test_more_memory_than_the_machine_has_is_refused(write: Write) -> None:
    with pytest.raises(ConfigurationError, match="memory_limit_per_container: 2 workers"):
        run(write(parallelism="process", max_workers=2, memory_limit_per_container="900TB"))


# --- files -----------------------------------------------------------------------------------


def test_the_sample_study_can_be_read() -> None:
    file = load_optimization_file(SAMPLES / "optimization.yaml")
    assert len(file.config.parameter_space()) == 36
    assert file.base_dir == SAMPLES
    assert file.load_base().config == file.backtest


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: 1\n", ":1: optimization: is missing"),
        (
            "optimization:\n  base: nowhere.yaml\n  space: {fast: [1]}\n",
            ":2: optimization.base: 'nowhere.yaml' does not exist",
        ),
        (
            "optimization:\n  space: {fast: [1]}\n  base:\n    data: []\n    seed: x\n",
            ":5: backtest.seed:",
        ),
        ("optimization:\n  base: x\n  spice: {fast: [1]}\n", "optimization.spice"),
        ("optimization:\n  base: x\n  space: {fast: []}\n", "space.fast: has no value"),
    ],
)
def test_mistakes_are_told_with_their_line(text: str, problem: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_optimization_file(path)
    assert problem in str(caught.value)


def test_a_constraint_that_compares_words_with_numbers_is_told_at_its_line(write: Write) -> None:
    with pytest.raises(ConfigError) as told:
        write(space={"fast": ["a"], "slow": [40]}, constraints=["slow > 1", "fast < slow"])
    assert "study.yaml:" in str(told.value)
    assert (
        "optimization.constraints.1: constraint 'fast < slow' orders 'a' and 40, which are not both"
    ) in str(told.value)


def test_values_from_the_command_line_are_checked_too(write: Write) -> None:
    file = write()
    assert file.with_changes(max_workers=3).config.max_workers == 3
    with pytest.raises(ConfigError, match="--backend distributed needs cluster: add --cluster"):
        file.with_changes(parallelism="distributed")
    with pytest.raises(ConfigError, match="--cluster: 'nowhere' is no address"):
        file.with_changes(cluster="nowhere")
    assert replace(file) == file
