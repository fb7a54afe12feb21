"""The table of a study, its journal and what is read from it (OPT-4, OPT-12 to OPT-15)."""

from __future__ import annotations

import pathlib
from dataclasses import replace
from decimal import Decimal

import polars as pl
import pytest

from engine.flow.errors import ConfigurationError
from engine.optimization.analyzer import OptimizationAnalyzer, rank_correlation
from engine.optimization.collector import CellRule, OptimizationResultsCollector
from engine.optimization.journal import TrialJournal
from engine.optimization.objective import Direction, Objective
from engine.optimization.space import ParameterSpace, parse_space
from engine.optimization.trials import StudyIdentity, TrialError, TrialRecord, TrialStatus
from tests.unit.optimization.conftest import Records

SPACE = {"fast": [5, 10, 15], "slow": [20, 40]}


@pytest.fixture
def space() -> ParameterSpace:
    return parse_space(SPACE)


def filled(space: ParameterSpace, record: Records) -> OptimizationResultsCollector:
    collector = OptimizationResultsCollector(space, Objective())
    for index, sharpe in enumerate([0.2, 0.4, 1.0, 1.2, None, 0.1]):
        assert collector.add(record(index, space.at(index), sharpe))
    return collector


def test_the_first_record_of_a_trial_stays(space: ParameterSpace, record: Records) -> None:
    collector = filled(space, record)
    assert not collector.add(record(3, space.at(3), 9.9))
    assert collector.best is not None
    assert collector.best.index == 3
    assert len(collector.rows()) == 6
    assert collector.counts()[TrialStatus.DONE] == 6


def test_the_table_is_the_same_in_any_order_and_with_any_duration(
    space: ParameterSpace, record: Records
) -> None:
    expected = filled(space, record).table_hash()
    other = OptimizationResultsCollector(space, Objective())
    for item in reversed(filled(space, record).records):
        other.add(replace(item, duration_s=9.0, worker="elsewhere"))
    assert other.table_hash() == expected
    changed = OptimizationResultsCollector(space, Objective())
    for item in other.records:
        changed.add(replace(item, fingerprint="other") if item.index == 2 else item)
    assert changed.table_hash() != expected


def test_undefined_and_filtered_trials_rank_last_and_ties_go_to_the_lowest(
    record: Records,
) -> None:
    objective = Objective(min_trades=10, max_drawdown=0.3)
    records = [
        record(0, {}, 5.0, n_trades=9, max_drawdown=0.1),
        record(1, {}, 4.0, max_drawdown=0.4),
        record(2, {}, 1.0, max_drawdown=0.2),
        record(3, {}, 1.0, max_drawdown=0.2),
        record(4, {}, None, max_drawdown=0.2),
        record(5, {}, 9.0, max_drawdown=0.2, status=TrialStatus.FAILED),
    ]
    assert [item.index for item in sorted(records, key=objective.rank_key)] == [2, 3, 0, 1, 4, 5]
    assert objective.best(records[3:5]) == records[3]
    assert objective.best(records[4:]) is None
    low = Objective(metric="max_drawdown", direction=Direction.MINIMIZE)
    assert low.best(records[:3]) == records[0]
    money = Objective(metric="fees_total", direction=Direction.MINIMIZE)
    assert money.value(record(0, {}, fees_total="12.50")) == 12.5
    assert money.value(record(0, {}, fees_total="n/a")) is None


def test_exports_hold_every_row(
    space: ParameterSpace, record: Records, tmp_path: pathlib.Path
) -> None:
    collector = filled(space, record)
    csv, parquet = collector.export(tmp_path / "out")
    frame = pl.read_parquet(parquet)
    assert frame["fast"].to_list() == [5, 5, 10, 10, 15, 15]
    assert frame["sharpe"].to_list() == [0.2, 0.4, 1.0, 1.2, None, 0.1]
    assert pl.read_csv(csv).height == 6


def test_a_heatmap_aggregates_the_other_parameters(record: Records) -> None:
    space = parse_space({"fast": [1, 2], "slow": [3], "stop": [Decimal("0.1"), Decimal("0.2")]})
    collector = OptimizationResultsCollector(space, Objective())
    for index, value in enumerate([1.0, 3.0, None]):
        collector.add(record(index, space.at(index), value))
    assert collector.heatmap("fast", "slow").cells == ((3.0, None),)
    assert collector.heatmap("fast", "slow", rule=CellRule.MEAN).cells == ((2.0, None),)
    assert collector.heatmap("fast", "slow", rule=CellRule.MEDIAN).cells == ((2.0, None),)
    assert collector.heatmap("fast", "slow", rule=CellRule.BEST_INDEX).cells == ((1.0, None),)
    turned = collector.heatmap("stop", "fast", metric="n_trades")
    assert turned.columns == (Decimal("0.1"), Decimal("0.2"))
    assert turned.cells == ((20.0, 20.0), (20.0, None))
    with pytest.raises(ConfigurationError, match="'exit' is no parameter"):
        collector.heatmap("exit", "fast")
    with pytest.raises(ConfigurationError, match="both axes"):
        collector.heatmap("fast", "fast")


def test_the_report_finds_the_plateau_and_what_matters(
    space: ParameterSpace, record: Records
) -> None:
    report = OptimizationAnalyzer(filled(space, record)).report()
    assert report.best is not None
    assert report.worst is not None
    assert (report.best.index, report.worst.index) == (3, 5)
    assert report.median == 0.4
    assert report.mean_duration_s == 0.5
    assert [value for value, _ in report.marginals["slow"]] == [20, 40]
    assert [mean for _, mean in report.marginals["slow"]] == pytest.approx([0.6, 1.7 / 3])
    assert report.marginals["fast"][2] == (15, 0.1)
    assert report.best_stability is not None
    assert report.best_stability.score == pytest.approx((1.2 + 0.4 + 0.1 + 1.0) / 4)
    assert report.plateau is not None
    assert report.plateau.index == 2  # 10/20: itself, 5/20 and 10/40; 15/20 has no value
    importance = report.importance
    assert importance["fast"] is not None
    assert importance["slow"] is not None
    assert importance["fast"] > 0.9 > 0.1 > importance["slow"]


def test_empty_and_failed_studies_have_a_report(space: ParameterSpace, record: Records) -> None:
    collector = OptimizationResultsCollector(space, Objective())
    collector.add(record(0, space.at(0), status=TrialStatus.FAILED))
    report = OptimizationAnalyzer(collector).report()
    assert report.totals[TrialStatus.FAILED] == 1
    assert report.best is report.worst is None
    assert report.median is report.mean_duration_s is None
    assert report.plateau is report.best_stability is None
    assert report.importance == {"fast": None, "slow": None}
    assert report.marginals["slow"] == ((20, None), (40, None))


def test_rank_correlation_shares_ranks_of_ties() -> None:
    assert rank_correlation([1, 2, 3], [10, 20, 40]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert rank_correlation([1, 1, 2], [1, 2, 3]) == pytest.approx(0.8660254)
    assert rank_correlation([1], [2]) is None
    assert rank_correlation([1, 1], [2, 3]) is None


# --- keys and records ------------------------------------------------------------------------


def test_a_trial_key_says_what_the_result_depends_on(identity: StudyIdentity) -> None:
    key = identity.trial_key({"fast": 5, "stop": Decimal("0.10")})
    assert key == identity.trial_key({"stop": Decimal("0.1"), "fast": 5})
    assert key != identity.trial_key({"fast": 5, "stop": "0.1"})
    assert key != replace(identity, data_hash="x").trial_key({"fast": 5, "stop": Decimal("0.1")})


def test_records_survive_json(identity: StudyIdentity) -> None:
    whole = TrialRecord(
        3,
        identity.trial_key({"stop": Decimal("0.10"), "side": "long", "on": True}),
        {"stop": Decimal("0.10"), "side": "long", "on": True},
        TrialStatus.FAILED,
        {"sharpe": 1.5, "fees_total": "1.20", "sortino": None},
        error=TrialError("ValueError", "no", "run", "trace"),
    )
    assert TrialRecord.from_plain(whole.to_plain()) == whole


# --- journal ---------------------------------------------------------------------------------


class Ticks:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def opened(path: pathlib.Path, identity: StudyIdentity, **study: object) -> TrialJournal:
    return TrialJournal(path, identity=identity, study=study, monotonic=Ticks())


def test_a_journal_gives_back_what_was_written(
    tmp_path: pathlib.Path, identity: StudyIdentity, record: Records
) -> None:
    path = tmp_path / "runs" / "study.jsonl"
    with opened(path, identity) as journal:
        journal.append(record(0, {"fast": 5}, 1.0))
        journal.append(record(1, {"fast": 6}, status=TrialStatus.FAILED))
        journal.append(record(2, {"fast": 7}, status=TrialStatus.CANCELLED))
    with opened(path, identity) as journal:
        assert [item.index for item in journal.records] == [0, 1, 2]
        assert [item.index for item in journal.finished().values()] == [0, 1]
        assert [item.index for item in journal.finished(retry_failed=True).values()] == [0]
        journal.append(record(2, {"fast": 7}, 2.0))
        journal.close()
    with opened(path, identity) as journal:
        statuses = [item.status for item in journal.records]
        assert journal.finished()[record(2, {"fast": 7}).key].status is TrialStatus.DONE
    assert statuses[2:] == [TrialStatus.CANCELLED, TrialStatus.DONE]


def test_a_retry_that_went_well_counts(
    tmp_path: pathlib.Path, identity: StudyIdentity, record: Records
) -> None:
    path = tmp_path / "study.jsonl"
    with opened(path, identity) as journal:
        journal.append(record(0, {"fast": 5}, status=TrialStatus.OOM))
        journal.append(record(0, {"fast": 5}, 1.0))
        journal.append(record(0, {"fast": 5}, 2.0))
    with opened(path, identity) as journal:
        (kept,) = journal.finished().values()
    assert kept.metrics["sharpe"] == 1.0


@pytest.mark.parametrize("kept", [1, 40, 399])
def test_a_line_that_a_crash_cut_off_is_dropped(
    kept: int, tmp_path: pathlib.Path, identity: StudyIdentity, record: Records
) -> None:
    path = tmp_path / "study.jsonl"
    with opened(path, identity) as journal:
        journal.append(record(0, {"fast": 5}, 1.0))
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines()[1][:kept])
    with opened(path, identity) as journal:
        assert [item.index for item in journal.records] == [0]
    assert path.read_bytes() == whole


def test_a_journal_cut_off_in_its_first_line_begins_anew(
    tmp_path: pathlib.Path, identity: StudyIdentity
) -> None:
    path = tmp_path / "study.jsonl"
    path.write_bytes(b'{"format": 1, "ki')
    with opened(path, identity) as journal:
        assert journal.records == ()
    with opened(path, identity) as journal:
        assert journal.records == ()


def test_a_journal_of_another_study_is_refused(
    tmp_path: pathlib.Path, identity: StudyIdentity
) -> None:
    path = tmp_path / "study.jsonl"
    opened(path, identity, space={"fast": [1]}).close()
    with pytest.raises(ConfigurationError, match="data_hash: the journal has 'da7a'"):
        opened(path, replace(identity, data_hash="other"), space={"fast": [1]})
    with pytest.raises(ConfigurationError, match="study: the journal has"):
        opened(path, identity, space={"fast": [2]})


@pytest.mark.parametrize("line", [b"not json", b"[1]", b'{"index": 1}'])
def test_a_damaged_line_is_named(
    line: bytes, tmp_path: pathlib.Path, identity: StudyIdentity
) -> None:
    path = tmp_path / "study.jsonl"
    opened(path, identity).close()
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(ConfigurationError, match=r"study.jsonl:2: is not a line"):
        opened(path, identity)
