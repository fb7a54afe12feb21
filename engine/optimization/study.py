"""A whole study: trials, judgement out of sample, walk-forward, and the honest account of it."""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from engine.backtest.metric_series import equity_values, period_ends, simple_returns
from engine.backtest.overfitting import deflated_sharpe
from engine.backtest.results import BacktestResult
from engine.flow.errors import ConfigurationError
from engine.model.clock import SECOND_NS
from engine.optimization.analyzer import OptimizationAnalyzer, OptimizationReport, rank_correlation
from engine.optimization.backend import TrialBackend
from engine.optimization.backend_choice import open_backend
from engine.optimization.backtest_trials import BacktestTrials, BaseRun, outcome_of
from engine.optimization.bayes import BayesSearch
from engine.optimization.collector import OptimizationResultsCollector, shown_parameters
from engine.optimization.config import (
    BayesMethod,
    HalvingMethod,
    OptimizationConfig,
    Parallelism,
    RandomMethod,
    WalkForwardMethod,
)
from engine.optimization.journal import TrialJournal
from engine.optimization.objective import number
from engine.optimization.optimization_executor import OptimizationExecutor, StudyProgress
from engine.optimization.pareto import pareto_front
from engine.optimization.sample_split import IN_SAMPLE, OUT_OF_SAMPLE, SPLIT_METRICS
from engine.optimization.search import HalvingSearch, ListSearch, Search, random_indices
from engine.optimization.space import ParameterSpace
from engine.optimization.trial_runner import StudyTask, Trial
from engine.optimization.trials import StudyIdentity, TrialRecord, TrialStatus
from engine.optimization.walk_forward import FoldResult, metric, summary, training_span
from engine.optimization.windows import Span, parse_walk_forward

_CHECKED: Final = 200
"""Combinations that the strategy is asked about at the most, before a study begins."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A trial on the first part of the data, and on the last part that comes after it."""

    index: int
    parameters: Mapping[str, Any]
    metric: str
    in_sample: float | None
    out_of_sample: float | None

    @property
    def decay(self) -> float | None:
        """Return the share of the metric that is lost out of sample, None if it is undefined."""
        if self.in_sample is None or self.in_sample <= 0 or self.out_of_sample is None:
            return None
        return 1 - self.out_of_sample / self.in_sample


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What came of a study.

    ``deflated_sharpe`` is the probability that the best trial's Sharpe ratio is not the luck of
    having tried so many (Bailey, Lopez de Prado 2014). ``best_reproduced`` says whether a run of
    the best trial alone gave the same fingerprint; None if there is no best one.
    """

    collector: OptimizationResultsCollector
    report: OptimizationReport
    progress: StudyProgress
    is_cancelled: bool
    judged: tuple[Judgement, ...] = ()
    rank_correlation: float | None = None
    deflated_sharpe: float | None = None
    best_reproduced: bool | None = None
    front: tuple[TrialRecord, ...] = ()
    folds: tuple[FoldResult, ...] = ()
    notes: tuple[str, ...] = ()
    identity: StudyIdentity | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the object that the command line prints."""
        collector, objective = self.collector, self.collector.objective
        counts = collector.counts()
        best = collector.best
        done = counts[TrialStatus.DONE] + counts[TrialStatus.PRUNED]
        return {
            "status": "CANCELLED" if self.is_cancelled else "COMPLETED",
            "best": None
            if best is None
            else {
                "index": best.index,
                "parameters": shown_parameters(best.parameters),
                "objective": objective.value(best),
                "metrics": dict(best.metrics),
                "fingerprint": best.fingerprint,
                "reproduced": self.best_reproduced,
            },
            "objective": {"metric": objective.metric, "direction": objective.direction.value},
            "trials": len(collector),
            "failed": len(collector) - done - counts[TrialStatus.CANCELLED],
            "counts": {status.value: count for status, count in counts.items()},
            "seconds": self.progress.seconds,
            "trials_per_second": self.progress.trials_per_s,
            "resumed": self.progress.resumed,
            "table_hash": collector.table_hash(),
            "deflated_sharpe": self.deflated_sharpe,
            "out_of_sample": [
                {
                    "index": item.index,
                    "parameters": shown_parameters(item.parameters),
                    "metric": item.metric,
                    "in_sample": item.in_sample,
                    "out_of_sample": item.out_of_sample,
                    "decay": item.decay,
                }
                for item in self.judged
            ],
            "rank_correlation": self.rank_correlation,
            "importance": dict(self.report.importance),
            "plateau": None if self.report.plateau is None else self.report.plateau.index,
            "pareto_front": [record.index for record in self.front],
            "walk_forward": summary(self.folds, objective) if self.folds else None,
            "notes": list(self.notes),
            "manifest": dict(self.manifest),
            "rows": collector.rows(),
        }


class Study:
    """Runs one study on the calling thread; `cancel` may be called from any other.

    Args:
        config: the section ``optimization``.
        base: the backtest that is varied, with its bars.
        monotonic_ns: a clock that never goes back.
        journal_path: file of finished trials; an existing one is gone on from.
        retry_failed: run trials again that failed in an earlier life.
        on_progress: called on the thread of `run`, at most ten times a second.
        on_record: called there with each new row of the table.

    Raises:
        ConfigurationError: the space has no combination, or the configuration does not fit.
    """

    def __init__(
        self,
        config: OptimizationConfig,
        base: BaseRun,
        *,
        monotonic_ns: Callable[[], int],
        journal_path: Path | None = None,
        retry_failed: bool = False,
        on_progress: Callable[[StudyProgress], None] | None = None,
        on_record: Callable[[TrialRecord], None] | None = None,
    ) -> None:
        self._config = config
        self._base = base
        self._monotonic_ns = monotonic_ns
        self._journal_path = journal_path
        self._retry_failed = retry_failed
        self._on_progress = on_progress
        self.on_record = on_record
        self.space: ParameterSpace = config.parameter_space()
        if not len(self.space):
            raise ConfigurationError(
                f"space: no combination satisfies the constraints {', '.join(config.constraints)}"
            )
        self._objectives = config.objectives()
        self._bars = len(base.data.columns[0])
        self._cancelled = threading.Event()
        self._executor: OptimizationExecutor | None = None
        self._started_ns = 0
        self.collector = OptimizationResultsCollector(self.space, self._objectives[0])
        """The table, filled while the study runs; to be read from other threads with care."""

    def cancel(self) -> None:
        """End the study within two seconds; what is done stays."""
        self._cancelled.set()
        executor = self._executor
        if executor is not None:
            executor.cancel()

    def run(self) -> StudyResult:
        """Run the study to its end.

        Raises:
            ConfigurationError: the backend or the journal cannot be used, or a parameter is
                none of the strategy's.
        """
        self._started_ns = self._monotonic_ns()
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quarterdeck-")))
            is_remote = self._config.parallelism is Parallelism.DISTRIBUTED
            task = self._base.task(
                folder,
                seed_per_trial=self._config.seed_per_trial,
                cut_ns=self._cut_ns(),
                is_remote=is_remote,
            )
            self._check_parameters()
            journal = None
            if self._journal_path is not None:
                journal = stack.enter_context(self._journal(self._journal_path, task.identity))
            backend = open_backend(self._config, task, monotonic_ns=self._monotonic_ns)
            stack.callback(backend.close)
            local = BacktestTrials(self._base.task(folder, seed_per_trial=False))
            stack.callback(local.close)
            return self._run(task, backend, journal, local)

    def _run(
        self,
        task: StudyTask,
        backend: TrialBackend,
        journal: TrialJournal | None,
        local: BacktestTrials,
    ) -> StudyResult:
        finished = {} if journal is None else journal.finished(retry_failed=self._retry_failed)
        run = _Runner(self, backend, task.identity, journal, finished)
        folds: tuple[FoldResult, ...] = ()
        if isinstance(self._config.method, WalkForwardMethod):
            folds = self._walk(run)
            progress = run.last
        else:
            progress = run.search(self._search(), self.collector, is_main=True)
            if self._config.walk_forward is not None and not self._cancelled.is_set():
                folds = self._walk(run)
        judged = () if folds else self._judge()
        return self._result(task, local, progress, judged, folds)

    def _result(
        self,
        task: StudyTask,
        local: BacktestTrials,
        progress: StudyProgress,
        judged: tuple[Judgement, ...],
        folds: tuple[FoldResult, ...],
    ) -> StudyResult:
        reproduced, luck = self._check_best(local)
        name = judged[0].metric if judged else ""
        pairs = [
            (first, second)
            for item in self.collector.records
            if (first := metric(item, IN_SAMPLE + name)) is not None
            and (second := metric(item, OUT_OF_SAMPLE + name)) is not None
        ]
        return StudyResult(
            self.collector,
            OptimizationAnalyzer(self.collector).report(),
            progress,
            self._cancelled.is_set(),
            judged,
            rank_correlation([one for one, _ in pairs], [other for _, other in pairs]),
            luck,
            reproduced,
            pareto_front(self.collector.records, self._objectives)
            if len(self._objectives) > 1
            else (),
            folds,
            tuple(self._notes()),
            task.identity,
            {
                "config_hash": task.identity.config_hash,
                "data_hash": task.identity.data_hash,
                "engine": task.identity.engine_version,
                "seed": self._base.config.seed,
                "parallelism": self._config.parallelism.value,
                "combinations": len(self.space),
                "bars": self._bars,
            },
        )

    # --- the parts -----------------------------------------------------------------------------

    def _search(self, window: Span | None = None) -> Search:
        space, seed = self.space, self._base.config.seed
        match self._config.method:
            case RandomMethod(n=count):
                return ListSearch(
                    space, random_indices(seed, count, len(space)), count, window=window
                )
            case BayesMethod(n=count, round_size=round_size):
                return BayesSearch(
                    space,
                    self._objectives,
                    seed=seed,
                    count=count,
                    round_size=round_size,
                    window=window,
                )
            case HalvingMethod(n=count, eta=eta, min_bars=min_bars):
                chosen: Iterable[int] = range(len(space))
                if count is not None:
                    chosen = random_indices(seed, count, len(space))
                whole = window or Span(0, self._bars)
                return HalvingSearch(
                    space, chosen, self._objectives[0], window=whole, eta=eta, min_bars=min_bars
                )
            case _:
                return ListSearch(space, range(len(space)), len(space), window=window)

    def _walk(self, run: _Runner) -> tuple[FoldResult, ...]:
        section = self._config.walk_forward
        if section is None:
            return ()
        bar_ns = self._base.data.columns[0].duration_ns
        plan = parse_walk_forward(section.plain(), bar_ns)
        results: list[FoldResult] = []
        for fold in plan.folds(self._bars):
            if self._cancelled.is_set():
                break
            span = training_span(fold)
            is_main = isinstance(self._config.method, WalkForwardMethod) and not results
            table = self.collector if is_main else self._table()
            run.search(self._search(span), table, is_main=is_main)
            winner = table.best
            test = None if winner is None else run.one(winner, fold.test)
            results.append(FoldResult(fold, span, winner, test))
        return tuple(results)

    def _cut_ns(self) -> int | None:
        """Return the end of the bars that trials are ranked on, None if nothing is judged."""
        share = self._config.out_of_sample
        cut = 0 if share is None else int(self._bars * (1 - share))
        return int(self._base.data.columns[0].ts_close[cut - 1]) if cut > 1 else None

    def _judge(self) -> tuple[Judgement, ...]:
        """Return the best by the first part of the data with what they did on the rest."""
        if self._config.out_of_sample is None:
            return ()
        objective = self._objectives[0]
        name = objective.metric if objective.metric in SPLIT_METRICS else SPLIT_METRICS[0]
        ranking = replace(objective, metric=IN_SAMPLE + name)
        ranked = sorted(
            (item for item in self.collector.records if ranking.value(item) is not None),
            key=ranking.rank_key,
        )
        return tuple(
            Judgement(
                item.index,
                item.parameters,
                name,
                metric(item, IN_SAMPLE + name),
                metric(item, OUT_OF_SAMPLE + name),
            )
            for item in ranked[: self._config.top]
        )

    def _check_best(self, local: BacktestTrials) -> tuple[bool | None, float | None]:
        """Run the best trial alone; return whether it is the same, and its deflated Sharpe."""
        best = self.collector.best
        if (
            best is None
            or self._cancelled.is_set()
            or isinstance(self._config.method, WalkForwardMethod)
        ):
            return None, None
        result = local.result(Trial(best.index, best.parameters), is_cancelled=lambda: False)
        same = outcome_of(result).fingerprint == best.fingerprint
        return (None if self._config.seed_per_trial else same), self._luck(result)

    def _luck(self, result: BacktestResult) -> float | None:
        periods = result.metrics.basis.get("periods_per_year")
        if not periods:
            return None
        scale = math.sqrt(float(periods))
        sharpes = [number(item.metrics.get("sharpe")) for item in self.collector.records]
        trials = [value / scale for value in sharpes if value is not None]
        bar_ns = min(one.duration_ns for one in self._base.data.columns)
        ends = period_ends(result.equity["ts"], bar_ns)
        equity = equity_values(result.equity["equity_atoms"], result.money_precision)
        return deflated_sharpe(simple_returns(equity[ends]), trials)

    def _check_parameters(self) -> None:
        """Refuse parameters that the strategy does not have, before anything is run.

        A combination that it cannot take is only a failed trial, unless all of them are.
        """
        step = max(1, len(self.space) // _CHECKED)
        first: ConfigurationError | None = None
        for index in range(0, len(self.space), step):
            try:
                self._base.check(self.space.at(index))
            except ConfigurationError as error:
                first = first or error
            else:
                return
        if first is not None:
            raise ConfigurationError(f"space: {first.message}", cause=first)

    def _notes(self) -> list[str]:
        notes = [f"{len(self.collector)} trials were compared: the best of many is partly luck"]
        if self._config.out_of_sample is None and self._config.walk_forward is None:
            notes.append("nothing was judged out of sample")
        return notes

    def _journal(self, path: Path, identity: StudyIdentity) -> TrialJournal:
        config = self._config.model_dump(mode="json", include={"space", "constraints", "method"})
        return TrialJournal(
            path,
            identity=identity,
            study=config,
            monotonic=lambda: self._monotonic_ns() / SECOND_NS,
        )

    def _table(self) -> OptimizationResultsCollector:
        return OptimizationResultsCollector(self.space, self._objectives[0])

    def start_executor(self, executor: OptimizationExecutor) -> None:
        """Take note of what a cancellation has to end."""
        self._executor = executor
        if self._cancelled.is_set():
            executor.cancel()

    @property
    def on_progress(self) -> Callable[[StudyProgress], None] | None:
        """Return who is told of the progress of the main search."""
        return self._on_progress

    @property
    def monotonic_ns(self) -> Callable[[], int]:
        """Return the study's clock."""
        return self._monotonic_ns


class _FixedSearch:
    """A few trials that are known beforehand, each with its own window."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._left = list(trials)
        self.total = len(trials)
        self.found: list[TrialRecord] = []

    @property
    def is_finished(self) -> bool:
        return not self._left

    def ask(self, count: int) -> list[Trial]:
        now, self._left = self._left[:count], self._left[count:]
        return now

    def tell(self, record: TrialRecord) -> list[TrialRecord]:
        self.found.append(record)
        return []


@dataclass(slots=True)
class _Runner:
    """Runs searches of one study on one backend."""

    study: Study
    backend: TrialBackend
    identity: StudyIdentity
    journal: TrialJournal | None
    finished: Mapping[str, TrialRecord]
    last: StudyProgress = field(init=False)

    def search(
        self, search: Search, table: OptimizationResultsCollector, *, is_main: bool
    ) -> StudyProgress:
        executor = OptimizationExecutor(
            search=search,
            backend=self.backend,
            collector=table,
            identity=self.identity,
            monotonic_ns=self.study.monotonic_ns,
            journal=self.journal,
            finished=self.finished,
            on_progress=self.study.on_progress if is_main else None,
            on_record=self.study.on_record if is_main else None,
        )
        self.study.start_executor(executor)
        progress = executor.run()
        if is_main:
            self.last = progress
        return progress

    def one(self, record: TrialRecord, window: Span) -> TrialRecord | None:
        return self.each([record], [window]).get((record.index, window))

    def each(
        self, records: Sequence[TrialRecord], windows: Sequence[Span]
    ) -> dict[tuple[int, Span], TrialRecord]:
        """Run each of *records* on each of *windows*."""
        keys: dict[str, tuple[int, Span]] = {}
        trials: list[Trial] = []
        for record in records:
            for window in windows:
                trials.append(Trial(record.index, record.parameters, window))
                keys[self.identity.trial_key(record.parameters, window)] = (record.index, window)
        search = _FixedSearch(trials)
        self.search(search, self.study.collector, is_main=False)
        return {
            keys[record.key]: record for record in search.found if record.status is TrialStatus.DONE
        }
