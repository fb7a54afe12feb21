"""Trials that are backtests: the base configuration with the trial's parameters (OPT-5)."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.backtest.config import BacktestConfig
from engine.backtest.control import RunControl
from engine.backtest.market_data import MarketData
from engine.backtest.metrics import Metrics
from engine.backtest.results import BacktestResult, ResultStatus
from engine.backtest.runner import Runner
from engine.live.clock import SystemClock
from engine.markets.bar_cache import load_bar_cache
from engine.model.bar_columns import BarColumns, FloatArray, IntArray
from engine.model.draws import mix
from engine.optimization.base_run import BARS, BaseRun
from engine.optimization.objective import MetricValue
from engine.optimization.sample_split import block_figures, sampled, split_metrics
from engine.optimization.trial_pool import TrialPools
from engine.optimization.trial_runner import (
    Alone,
    IsCancelled,
    StudyTask,
    TooLong,
    Trial,
    TrialCancelledError,
    TrialOutcome,
    TrialPrunedError,
    never,
)
from engine.optimization.trials import StudyIdentity, parameters_of

if TYPE_CHECKING:
    from engine.backtest.grid_column import GridColumn
    from engine.optimization.grid_trials import GridTrials


_RESIDENT_ROWS: Final = 1 << 21
"""Bars up to which trials keep them in memory; some 150 MB that all workers share."""
_LOOK_NS: Final = 5_000_000
"""Between two looks at the equity of a trial that may be hopeless."""


class TrialControl(RunControl):
    """Ends a run that falls too deep.

    It sees the equity now and then only: what it finds too deep surely is, what it misses is found
    in the curve afterwards.
    """

    def __init__(self, deepest: float | None = None) -> None:
        self._deepest = deepest
        self._peak = 0
        self.is_hopeless = False
        super().__init__()

    @property
    def is_due(self) -> bool:
        """Whether to look at the equity: nobody is told of a trial's progress."""
        return self._deepest is not None and super().is_due

    def report(self, *, equity_atoms: int, **facts: int) -> None:
        """Look at the equity."""
        del facts
        if self._deepest is None:
            return
        self._due_ns = self._clock.monotonic_ns() + _LOOK_NS
        self._peak = max(self._peak, equity_atoms)
        if self._peak > 0 and 1 - equity_atoms / self._peak > self._deepest:
            self.is_hopeless = self.is_cancelled = True


class AskingControl(TrialControl):
    """Asks the study before every bar whether to go on."""

    def __init__(self, is_cancelled: IsCancelled, deepest: float | None = None) -> None:
        self._ask = is_cancelled
        self._is_told = False
        super().__init__(deepest)

    @property
    def is_cancelled(self) -> bool:
        """Return whether the run shall end."""
        return self._is_told or self._ask()

    @is_cancelled.setter
    def is_cancelled(self, value: bool) -> None:
        self._is_told = value


class BacktestTrials:
    """A `TrialRunner`: each trial is a backtest in a container of its own."""

    def __init__(self, task: StudyTask) -> None:
        settings = task.settings
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        places = [Path(place) for place in settings["bars"]]
        fine = [None if place is None else Path(place) for place in settings.get("finer_bars", ())]
        if BARS in task.attachments:
            self._folder = tempfile.TemporaryDirectory(prefix="quarterdeck-bars-")
            folder = Path(self._folder.name)
            _unpack(task.attachments[BARS], folder)
            places = [folder / place.name for place in places]
            fine = [None if place is None else folder / place.name for place in fine]
        bars = tuple(_bars_of(place) for place in places)
        execution = tuple(None if place is None else _bars_of(place) for place in fine)
        config = BacktestConfig.model_validate(settings["backtest"])
        data = MarketData(bars, settings["report"], execution)
        example = parameters_of(settings.get("example", {}))
        self._base = BaseRun(config, Path(settings["base_dir"]), data, example)
        self._seed_per_trial = bool(settings["seed_per_trial"])
        self._cut_ns: int | None = settings["cut_ns"]
        self._deepest: float | None = settings.get("deepest")
        self._clock = SystemClock()
        self._timeout_s = task.timeout_s
        self._is_together = task.is_together
        # With a seed of its own each trial has another configuration.
        size = 0 if self._seed_per_trial else int(settings.get("pool_size", 0))
        self._pools = TrialPools(size)
        self._grid: GridTrials | None = None

    def run(self, trial: Trial, *, is_cancelled: IsCancelled) -> TrialOutcome:
        """Run the backtest of *trial*.

        Raises:
            TrialCancelledError: it was cancelled.
            TrialPrunedError: it fell too deep.
            EngineError: the parameters do not fit the strategy, or it raised.
        """
        result = self.result(trial, is_cancelled=is_cancelled)
        outcome = outcome_of(result)
        if trial.window is not None:
            return outcome
        bar_ns = min(bars.duration_ns for bars in self._base.data.columns)
        stamps, daily = sampled(result, bar_ns=bar_ns)
        initial = result.initial_atoms / 10**result.money_precision
        return self._with_parts(trial, outcome, result.metrics, stamps, daily, initial)

    def _with_parts(
        self,
        trial: Trial,
        outcome: TrialOutcome,
        metrics: Metrics,
        stamps: IntArray,
        daily: FloatArray,
        initial: float,
    ) -> TrialOutcome:
        """Return *outcome* with what is read from the samples between which returns are taken."""
        parts: dict[str, MetricValue] = {}
        if self._cut_ns is not None:
            periods = float(metrics.basis.get("periods_per_year") or 0)
            parts |= split_metrics(
                stamps, daily, cut_ns=self._cut_ns, initial=initial, periods=periods
            )
        if self._seed_per_trial:
            parts["seed"] = self._seed_of(trial)
        blocks = block_figures(daily)
        return TrialOutcome({**outcome.metrics, **parts}, outcome.fingerprint, blocks)

    def result(self, trial: Trial, *, is_cancelled: IsCancelled) -> BacktestResult:
        """Run the backtest of *trial* and return all of its result.

        Raises:
            TrialCancelledError: it was cancelled.
            TrialPrunedError: it fell too deep.
            EngineError: the parameters do not fit the strategy, or it raised.
        """
        seed = self._seed_of(trial)
        config = self._base.with_parameters(trial.parameters, seed=seed)
        pool = self._pools.of(self._base, config, trial.window)
        request = self._base.request(config, trial.window) if pool is None else pool.request(config)
        # Asking before every bar costs, where nobody ever answers.
        is_deaf = is_cancelled is never
        control = (
            TrialControl(self._deepest) if is_deaf else AskingControl(is_cancelled, self._deepest)
        )
        runs = None if pool is None else pool.runs
        result = Runner(control, clock=self._clock, pool=runs).one(request)
        if control.is_hopeless:
            raise TrialPrunedError(hopeless(self._deepest))
        if result.status is ResultStatus.CANCELLED:
            raise TrialCancelledError
        return result

    def _seed_of(self, trial: Trial) -> int | None:
        """Return the trial's own seed, None for that of the base; 63 bits, as files allow."""
        return mix(self._base.config.seed ^ trial.index) >> 1 if self._seed_per_trial else None

    def run_together(
        self, trials: Sequence[Trial], *, workers: int, is_cancelled: IsCancelled
    ) -> Sequence[TrialOutcome | Alone | TooLong]:
        """Run *trials* in one compiled pass; those that it cannot do say why."""
        if self._grid is None:
            from engine.optimization.grid_trials import GridTrials

            self._grid = GridTrials(
                self._base,
                workers=workers,
                seed_of=self._seed_of,
                outcome_of=self._of_column,
                timeout_s=self._timeout_s,
            )
        return self._grid.run(trials, is_cancelled=is_cancelled)

    def _of_column(self, trial: Trial, column: GridColumn, metrics: Metrics) -> TrialOutcome:
        facts, curve = column.facts, column.curve
        money = Decimal(column.final_equity_atoms).scaleb(-facts.money_precision)
        outcome = _outcome(metrics, money, column.fingerprint or "")
        if trial.window is not None:
            return outcome
        initial = facts.initial_atoms / 10**facts.money_precision
        return self._with_parts(
            trial, outcome, metrics, curve.period_ns, curve.period_values, initial
        )

    def identity(self) -> StudyIdentity:
        """Return what the results depend on, as this worker has it."""
        return self._base.identity()

    def source_hash(self) -> str:
        """Return the SHA-256 of the source of the strategy, as this worker has it."""
        return self._base.source_hash()

    def prepare(self) -> None:
        """Load code, kernels and bars."""
        from engine.optimization.warm_up import warm_up

        warm_up(self._base, is_together=self._is_together)

    def close(self) -> None:
        """Tear down the containers that are ready, remove the bars that came as bytes."""
        self._pools.close()
        if self._grid is not None:
            self._grid.close()
        if self._folder is not None:
            self._folder.cleanup()


def hopeless(deepest: float | None) -> str:
    """Return what is said of a trial that fell more than *deepest*, a fraction."""
    return f"fell more than {deepest or 0:.4g} from its highest equity (early_stop.max_drawdown)"


def outcome_of(result: BacktestResult) -> TrialOutcome:
    """Return what a table of trials keeps of *result*."""
    return _outcome(result.metrics, result.final_equity, result.fingerprint)


def _outcome(metrics: Metrics, final_equity: Decimal, fingerprint: str) -> TrialOutcome:
    return TrialOutcome({**metrics.to_json(), "final_equity": str(final_equity)}, fingerprint)


def _bars_of(place: Path) -> BarColumns:
    return load_bar_cache(place, resident_rows=_RESIDENT_ROWS)


def _unpack(packed: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
