"""A whole study: trials, judgement out of sample, walk-forward, and the honest account of it."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from engine.flow.errors import ConfigurationError
from engine.model.clock import SECOND_NS
from engine.optimization.analyzer import OptimizationAnalyzer, rank_correlation
from engine.optimization.backend import TrialBackend
from engine.optimization.backend_choice import (
    chosen_parallelism,
    containers_per_worker,
    has_one_thread_at_a_time,
    open_backend,
)
from engine.optimization.backtest_trials import BacktestTrials, hopeless, outcome_of
from engine.optimization.base_run import BaseRun
from engine.optimization.bayes import BayesSearch
from engine.optimization.collector import OptimizationResultsCollector
from engine.optimization.config import (
    BayesMethod,
    HalvingMethod,
    OptimizationConfig,
    Parallelism,
    RandomMethod,
    WalkForwardMethod,
)
from engine.optimization.constraint import ParameterValue
from engine.optimization.fold_curve import curve_of
from engine.optimization.honesty import Honesty, luck_of, monte_carlo_of, overfitting_of
from engine.optimization.journal import TrialJournal
from engine.optimization.objective import Objective, is_function, number
from engine.optimization.objective_loading import find_function
from engine.optimization.optimization_executor import Around, OptimizationExecutor, StudyProgress
from engine.optimization.pareto import pareto_front
from engine.optimization.sample_split import IN_SAMPLE, OUT_OF_SAMPLE, SPLIT_METRICS
from engine.optimization.search import HalvingSearch, ListSearch, Search, random_indices
from engine.optimization.space import ParameterSpace
from engine.optimization.study_result import Judgement, StudyResult
from engine.optimization.trial_runner import StudyTask, Trial, TrialCancelledError
from engine.optimization.trials import StudyIdentity, TrialError, TrialRecord, TrialStatus
from engine.optimization.walk_forward import (
    FoldResult,
    StitchedCurve,
    metric,
    pieces_note,
    training_span,
)
from engine.optimization.windows import Fold, Span, parse_walk_forward

_REASONS_TOLD: Final = 3
_CHECKED: Final = 200
"""Combinations that the strategy is asked about at the most, before a study begins."""


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
        self._objectives = tuple(
            self._with_function(objective) for objective in config.objectives()
        )
        self._bars = len(base.data.columns[0])
        self._cancelled = threading.Event()
        self._executor: OptimizationExecutor | None = None
        self._is_held = False
        self._started_ns = 0
        self._window: Span | None = None
        self._raised: dict[str, str] = {}
        self._decision = ""
        self._second = ""
        self.collector = OptimizationResultsCollector(self.space, self._objectives[0])
        """The table, filled while the study runs; to be read from other threads with care."""

    def cancel(self) -> None:
        """End the study within two seconds; what is done stays."""
        self._cancelled.set()
        executor = self._executor
        if executor is not None:
            executor.cancel()

    def hold(self, *, is_held: bool) -> None:
        """Send no further trials, or go on; any thread."""
        self._is_held = is_held
        executor = self._executor
        if executor is not None:
            executor.hold(is_held=is_held)

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
            config = self._config
            self._base = replace(self._base, example=self._example())
            task = self._base.task(
                folder,
                seed_per_trial=config.seed_per_trial,
                cut_ns=self._cut_ns(),
                is_remote=is_remote,
                pool_size=containers_per_worker(config),
                deepest=self._deepest,
                timeout_s=None if config.timeout_s is None else float(config.timeout_s),
            )
            self._config = self._decided()
            journal = None
            if self._journal_path is not None:
                journal = stack.enter_context(self._journal(self._journal_path, task.identity))
            backend = open_backend(self._config, task, monotonic_ns=self._monotonic_ns)
            stack.callback(backend.close)
            local = BacktestTrials(
                self._base.task(folder, seed_per_trial=self._config.seed_per_trial)
            )
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
        folds = self._folds()
        results: tuple[FoldResult, ...] = ()
        if isinstance(self._config.method, WalkForwardMethod):
            results = self._walk(run, folds)
        else:
            search = self._search()
            later = sum(self._search(training_span(fold)).total + 1 for fold in folds)
            run.search(search, self.collector, is_main=True, later=later)
            if not self._cancelled.is_set():
                results = self._walk(run, folds)
        judged = () if isinstance(self._config.method, WalkForwardMethod) else self._judge()
        return self._result(task, local, run.progress(self.collector), judged, results)

    def _result(
        self,
        task: StudyTask,
        local: BacktestTrials,
        progress: StudyProgress,
        judged: tuple[Judgement, ...],
        folds: tuple[FoldResult, ...],
    ) -> StudyResult:
        honesty = self._honesty(local)
        stitched = self._stitched(local, folds)
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
            honesty,
            pareto_front(self.collector.records, self._objectives)
            if len(self._objectives) > 1
            else (),
            folds,
            stitched,
            (*self._notes(honesty), *pieces_note(folds)),
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

    def _folds(self) -> tuple[Fold, ...]:
        section = self._config.walk_forward
        if section is None:
            return ()
        bar_ns = self._base.data.columns[0].duration_ns
        return parse_walk_forward(section.plain(), bar_ns).folds(self._bars)

    def _walk(self, run: _Runner, folds: Sequence[Fold]) -> tuple[FoldResult, ...]:
        """Train and test fold by fold; without a search before, the last training is the table."""
        results: list[FoldResult] = []
        is_main = isinstance(self._config.method, WalkForwardMethod)
        costs = [self._search(training_span(fold)).total + 1 for fold in folds]
        for place, fold in enumerate(folds):
            if self._cancelled.is_set():
                break
            span = training_span(fold)
            table = self.new_table()
            if is_main:
                self.collector, self._window = table, span
            later = sum(costs[place:]) - costs[place] + 1
            run.search(self._search(span), table, is_main=is_main, later=later)
            winner = table.best
            test = None if winner is None else run.one(winner, fold.test, later=later - 1)
            times = self._times(span, fold.test)
            results.append(FoldResult(fold, span, winner, test, table.records, times))
        return tuple(results)

    def _times(self, train: Span, test: Span) -> tuple[int, int, int, int]:
        bars = self._base.data.columns[0]
        began, ended, tested, judged = (
            int(stamps[place])
            for stamps, place in (
                (bars.ts_open, train.start),
                (bars.ts_close, train.stop - 1),
                (bars.ts_open, test.start),
                (bars.ts_close, test.stop - 1),
            )
        )
        return began, ended, tested, judged

    def _stitched(self, local: BacktestTrials, folds: Sequence[FoldResult]) -> StitchedCurve | None:
        """Run the tests of *folds* alone for their curves; None if one cannot be had."""
        bar_ns = min(one.duration_ns for one in self._base.data.columns)
        try:
            return curve_of(folds, local, bar_ns=bar_ns, is_cancelled=self._cancelled.is_set)
        except TrialCancelledError:
            return None
        except Exception as error:  # noqa: BLE001 (boundary: a strategy runs here)
            self._second = f"{type(error).__name__}: {error}"
            return None

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

    def _honesty(self, local: BacktestTrials) -> Honesty:
        """Run the best trial alone, and say how far it can be believed."""
        best = self.collector.best
        if best is None or self._cancelled.is_set():
            return Honesty()
        try:
            result = local.result(
                Trial(best.index, best.parameters, self._window),
                is_cancelled=self._cancelled.is_set,
            )
        except TrialCancelledError:
            return Honesty()
        except Exception as error:  # noqa: BLE001 (boundary: a strategy runs here)
            self._second = f"{type(error).__name__}: {error}"
            return Honesty(reproduced=False, overfitting=overfitting_of(self.collector.records))
        bar_ns = min(one.duration_ns for one in self._base.data.columns)
        trials = self.collector.records
        return Honesty(
            outcome_of(result).fingerprint == best.fingerprint,
            luck_of(result, trials, bar_ns=bar_ns),
            overfitting_of(trials),
            monte_carlo_of(result, bar_ns=bar_ns, seed=self._base.config.seed),
        )

    def _with_function(self, objective: Objective) -> Objective:
        """Return *objective* with the function that it names, if it names one."""
        if not is_function(objective.metric):
            return objective
        function = find_function(
            objective.metric,
            base_dir=self._base.base_dir,
            allow_imports=self._base.config.allow_imports,
        )
        return replace(objective, function=function)

    @property
    def _deepest(self) -> float | None:
        section = self._config.early_stop
        return None if section is None else float(section.max_drawdown)

    def finish(self, record: TrialRecord) -> TrialRecord:
        """Return what is kept of *record*: pruned if it was hopeless, with functions of metrics."""
        if record.status is not TrialStatus.DONE:
            return record
        fallen, deepest = number(record.metrics.get("max_drawdown")), self._deepest
        if deepest is not None and fallen is not None and fallen > deepest:
            # The same row whether the trial was ended there or only found out afterwards.
            error = TrialError("EarlyStop", hopeless(deepest), "run")
            return replace(
                record,
                status=TrialStatus.PRUNED,
                metrics={},
                fingerprint="",
                blocks=(),
                error=error,
            )
        functions = [one for one in self._objectives if one.function is not None]
        if not functions:
            return record
        metrics = dict(record.metrics)
        for objective in functions:
            metrics[objective.metric] = self._computed(objective, record)
        return replace(record, metrics=metrics)

    def _computed(self, objective: Objective, record: TrialRecord) -> float | None:
        if objective.function is None:
            return None
        try:
            return number(objective.function(dict(record.metrics)))
        except Exception as error:  # noqa: BLE001 (boundary: the user's function runs here)
            text = f"{type(error).__name__}: {error}"
            self._raised.setdefault(objective.metric, f"trial {record.index}: {text}")
            return None

    def _decided(self) -> OptimizationConfig:
        """Return the configuration with a place for the trials instead of ``auto``."""
        if self._config.parallelism is not Parallelism.AUTO:
            return self._config
        refusals: tuple[str, ...] = ("no combination could be made",)
        for index in range(min(len(self.space), _CHECKED)):
            with suppress(ConfigurationError):
                refusals = self._base.kernel_refusals(self.space.at(index))
                break
        chosen = chosen_parallelism(self._config, refusals)
        self._decision = f"parallelism auto: {chosen.value}"
        if refusals and chosen is not Parallelism.KERNEL:
            self._decision += f", not kernel: {'; '.join(refusals)}"
        return self._config.model_copy(update={"parallelism": chosen})

    def _example(self) -> Mapping[str, ParameterValue]:
        """Return the first combination that the strategy takes, before anything is run.

        A combination that it cannot take is only a failed trial, unless all of them are.

        Raises:
            ConfigurationError: it takes none, for example because it has no such parameter.
        """
        step = max(1, len(self.space) // _CHECKED)
        first: ConfigurationError | None = None
        for index in range(0, len(self.space), step):
            values = self.space.at(index)
            try:
                self._base.check(values)
            except ConfigurationError as error:
                first = first or error
            else:
                return values
        text = "is empty" if first is None else first.message
        raise ConfigurationError(f"space: {text}", cause=first)

    def _notes(self, honesty: Honesty) -> list[str]:
        notes = [f"{len(self.collector)} trials were compared: the best of many is partly luck"]
        if self._second:
            notes.append(
                f"a trial that was run again raised {self._second}; it gave a result before, do "
                "not trust this table"
            )
        elif honesty.reproduced is False:
            notes.append(
                "the best trial alone gave ANOTHER fingerprint: its strategy is not deterministic, "
                "do not trust this table"
            )
        if self._window is not None:
            notes.append(
                f"the table is that of the last training, bars {self._window.start:,} to "
                f"{self._window.stop:,}: its best is what would be traded next; those of every "
                "training are in walk_forward.tables and fold_trials.csv"
            )
        if self._decision:
            notes.append(self._decision)
        if self._config.parallelism is Parallelism.THREAD and has_one_thread_at_a_time():
            notes.append(
                "threads take turns in this Python: processes are faster unless the strategy runs "
                "compiled"
            )
        notes += self._unkept_limits()
        notes += [
            f"objective {name} raised, first in {text}" for name, text in self._raised.items()
        ]
        alone = Counter(record.note for record in self.collector.records if record.note)
        notes += [
            f"{count} trials were not run in a compiled pass: {reason}"
            for reason, count in alone.most_common(_REASONS_TOLD)
        ]
        if self._config.out_of_sample is None and self._config.walk_forward is None:
            notes.append("nothing was judged out of sample")
        return notes

    def _unkept_limits(self) -> Iterator[str]:
        """Yield which limits cannot be kept where the trials share this process."""
        config = self._config
        if config.parallelism not in (Parallelism.SERIAL, Parallelism.THREAD):
            return
        if config.memory_limit_per_container is not None:
            yield (
                "memory_limit_per_container was not watched: serial and thread trials share this "
                "process; process and kernel keep it"
            )
        if config.timeout_s is not None:
            yield (
                "timeout_s ends serial and thread trials at their next bar; one that never gets "
                "there is ended by process and kernel only"
            )

    def _journal(self, path: Path, identity: StudyIdentity) -> TrialJournal:
        config = self._config.model_dump(
            mode="json",
            include={"space", "constraints", "method", "out_of_sample", "early_stop"},
            exclude_none=True,
        )
        return TrialJournal(
            path,
            identity=identity,
            study=config,
            monotonic=lambda: self._monotonic_ns() / SECOND_NS,
        )

    def new_table(self) -> OptimizationResultsCollector:
        """Return an empty table."""
        return OptimizationResultsCollector(self.space, self._objectives[0])

    def start_executor(self, executor: OptimizationExecutor) -> None:
        """Take note of what a cancellation has to end."""
        self._executor = executor
        executor.hold(is_held=self._is_held)
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
    around: Around = field(default_factory=Around)

    def search(
        self,
        search: Search,
        table: OptimizationResultsCollector,
        *,
        is_main: bool,
        later: int = 0,
    ) -> None:
        before = replace(self.around, later=later)
        executor = OptimizationExecutor(
            search=search,
            backend=self.backend,
            collector=table,
            identity=self.identity,
            monotonic_ns=self.study.monotonic_ns,
            journal=self.journal,
            finished=self.finished,
            on_progress=self._tell,
            on_record=self.study.on_record if is_main else None,
            finish=self.study.finish,
            around=before,
        )
        self.study.start_executor(executor)
        last = executor.run()
        self.around = Around(last.done - last.resumed, last.resumed, last.seconds)

    def progress(self, table: OptimizationResultsCollector) -> StudyProgress:
        """Return where the study stands after its searches."""
        around = self.around
        done = around.ended + around.resumed
        rate = around.ended / around.seconds if around.seconds else 0.0
        return StudyProgress(
            done, done, table.counts(), table.best, around.seconds, None, rate, around.resumed
        )

    def _tell(self, progress: StudyProgress) -> None:
        """Tell of the whole study: counts and best are those of its table."""
        listener, table = self.study.on_progress, self.study.collector
        if listener is not None:
            listener(replace(progress, counts=table.counts(), best=table.best))

    def one(self, record: TrialRecord, window: Span, *, later: int = 0) -> TrialRecord | None:
        return self.each([record], [window], later=later).get((record.index, window))

    def each(
        self, records: Sequence[TrialRecord], windows: Sequence[Span], *, later: int = 0
    ) -> dict[tuple[int, Span], TrialRecord]:
        """Run each of *records* on each of *windows*."""
        keys: dict[str, tuple[int, Span]] = {}
        trials: list[Trial] = []
        for record in records:
            for window in windows:
                trials.append(Trial(record.index, record.parameters, window))
                keys[self.identity.trial_key(record.parameters, window)] = (record.index, window)
        search = _FixedSearch(trials)
        self.search(search, self.study.new_table(), is_main=False, later=later)
        return {
            keys[record.key]: record for record in search.found if record.status is TrialStatus.DONE
        }
