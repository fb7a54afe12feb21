"""Trials that are backtests: the base configuration with the trial's parameters (OPT-5)."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.backtest.assembly import RunRequest, make_strategies
from engine.backtest.config import BacktestConfig, SplitSection
from engine.backtest.control import RunControl
from engine.backtest.market_data import MarketData
from engine.backtest.results import BacktestResult, ResultStatus
from engine.backtest.run_hash import ENGINE_SEMANTICS, config_hash, effective_config
from engine.backtest.runner import Runner
from engine.backtest.strategy_loading import source_hash
from engine.flow.errors import ConfigurationError
from engine.live.clock import SystemClock
from engine.markets.bar_cache import load_bar_cache, save_bar_cache
from engine.model.draws import mix
from engine.optimization.constraint import ParameterValue
from engine.optimization.objective import MetricValue
from engine.optimization.sample_split import block_figures, split_metrics
from engine.optimization.trial_pool import TrialPools
from engine.optimization.trial_runner import (
    IsCancelled,
    StudyTask,
    Trial,
    TrialCancelledError,
    TrialOutcome,
    TrialPrunedError,
)
from engine.optimization.trials import StudyIdentity
from engine.optimization.windows import Span

RUNNER = "engine.optimization.backtest_trials:BacktestTrials"
BARS = "bars.tar"


class _TrialControl(RunControl):
    """Asks the study before every bar whether to go on; ends a run that falls too deep.

    It sees the equity now and then only: what it finds too deep surely is, what it misses is found
    in the curve afterwards.
    """

    def __init__(self, is_cancelled: IsCancelled, deepest: float | None = None) -> None:
        self._ask = is_cancelled
        self._is_told = False
        self._deepest = deepest
        self._peak = 0
        self.is_hopeless = False
        super().__init__()

    def report(
        self, *, bars_done: int, bars_total: int, now_ns: int, equity_atoms: int, fills: int
    ) -> None:
        """Look at the equity; nobody is told of a trial's progress."""
        del bars_done, bars_total, now_ns, fills
        if self._deepest is None:
            return
        self._peak = max(self._peak, equity_atoms)
        if self._peak > 0 and 1 - equity_atoms / self._peak > self._deepest:
            self.is_hopeless = True

    @property
    def is_cancelled(self) -> bool:
        """Return whether the run shall end."""
        return self._is_told or self.is_hopeless or self._ask()

    @is_cancelled.setter
    def is_cancelled(self, value: bool) -> None:
        self._is_told = value


@dataclass(frozen=True, slots=True)
class BaseRun:
    """A backtest that is to be varied, with its bars."""

    config: BacktestConfig
    base_dir: Path
    data: MarketData

    def with_parameters(
        self, parameters: Mapping[str, ParameterValue], *, seed: int | None = None
    ) -> BacktestConfig:
        """Return the configuration with *parameters* in the place of the strategy's own.

        Raises:
            ConfigurationError: the configuration has not exactly one strategy.
        """
        strategies = self.config.components.all_strategies
        if len(strategies) != 1:
            raise ConfigurationError(
                f"base: has {len(strategies)} strategies; a study varies the parameters of one"
            )
        strategy = strategies[0].model_copy(
            update={"params": {**strategies[0].params, **parameters}}
        )
        components = self.config.components.model_copy(
            update={"strategy": strategy, "strategies": ()}
        )
        changes: dict[str, Any] = {"components": components}
        if seed is not None:
            changes["seed"] = seed
        return self.config.model_copy(update=changes)

    def check(self, parameters: Mapping[str, ParameterValue]) -> None:
        """Refuse parameters that the strategy does not have or cannot take.

        Raises:
            ConfigurationError: the message names the parameter and what is allowed.
        """
        make_strategies(RunRequest(self.with_parameters(parameters), self.base_dir, self.data))

    def request(self, config: BacktestConfig, window: Span | None) -> RunRequest:
        """Return the run of *config* on all bars, or on those of *window*.

        Bars before the window are only for warm-up; those behind it do not exist. What is open at
        the end of a window is closed there.
        """
        if window is None:
            return RunRequest(config, self.base_dir, self.data)
        if len(self.data.columns) != 1:
            raise ConfigurationError(
                "base.data: windows need one symbol; leave out_of_sample and walk_forward away"
            )
        columns = tuple(one.slice(0, window.stop) for one in self.data.columns)
        data = MarketData(columns, self.data.report)
        config = config.model_copy(update={"close_positions_at_end": True})
        if window.start == 0:
            return RunRequest(config, self.base_dir, data)
        handler = config.components.data_handler
        params = handler.params.model_copy(
            update={
                "enable_splits": True,
                "split": SplitSection(method="bars", train=window.start),
            }
        )
        components = config.components.model_copy(
            update={"data_handler": handler.model_copy(update={"params": params})}
        )
        split = config.model_copy(update={"components": components})
        return RunRequest(split, self.base_dir, data, window="test")

    def source_hash(self) -> str:
        """Return the SHA-256 of the source of the strategy."""
        strategies = make_strategies(RunRequest(self.config, self.base_dir, self.data))
        return source_hash([seated.strategy for seated in strategies])

    def identity(self) -> StudyIdentity:
        """Return what the results of trials depend on."""
        digest = hashlib.sha256(f"{config_hash(self.config)}\n{self.source_hash()}".encode())
        return StudyIdentity(digest.hexdigest(), self.data.data_hash, ENGINE_SEMANTICS)

    def task(
        self,
        folder: Path,
        *,
        seed_per_trial: bool,
        cut_ns: int | None = None,
        is_remote: bool = False,
        pool_size: int = 0,
        deepest: float | None = None,
        timeout_s: float | None = None,
    ) -> StudyTask:
        """Return what a worker needs; the bars are written to *folder* and mapped from there.

        A worker on another machine gets them as bytes, once. Trials on all bars are read in two
        parts, before *cut_ns* and after it. Each worker keeps *pool_size* containers ready; a trial
        that falls more than *deepest*, a fraction, is ended.
        """
        places = []
        for number, bars in enumerate(self.data.columns):
            place = folder / f"bars-{number}"
            save_bar_cache(bars, place)
            places.append(place)
        settings = {
            "backtest": effective_config(self.config),
            "base_dir": str(self.base_dir.resolve()),
            "bars": [str(place.resolve()) for place in places],
            "report": dict(self.data.report),
            "seed_per_trial": seed_per_trial,
            "cut_ns": cut_ns,
            "pool_size": pool_size,
            "deepest": deepest,
            "source_hash": self.source_hash(),
        }
        attachments = {BARS: _packed(places)} if is_remote else {}
        return StudyTask(RUNNER, self.identity(), settings, attachments, timeout_s)


class BacktestTrials:
    """A `TrialRunner`: each trial is a backtest in a container of its own."""

    def __init__(self, task: StudyTask) -> None:
        settings = task.settings
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        places = [Path(place) for place in settings["bars"]]
        if BARS in task.attachments:
            self._folder = tempfile.TemporaryDirectory(prefix="quarterdeck-bars-")
            places = _unpacked(task.attachments[BARS], Path(self._folder.name), places)
        bars = tuple(load_bar_cache(place) for place in places)
        config = BacktestConfig.model_validate(settings["backtest"])
        data = MarketData(bars, settings["report"])
        self._base = BaseRun(config, Path(settings["base_dir"]), data)
        self._seed_per_trial = bool(settings["seed_per_trial"])
        self._cut_ns: int | None = settings["cut_ns"]
        self._deepest: float | None = settings.get("deepest")
        self._clock = SystemClock()
        # With a seed of its own each trial has another configuration.
        size = 0 if self._seed_per_trial else int(settings.get("pool_size", 0))
        self._pools = TrialPools(size)

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
        parts: dict[str, MetricValue] = {}
        if self._cut_ns is not None:
            parts |= split_metrics(result, cut_ns=self._cut_ns, bar_ns=bar_ns)
        if self._seed_per_trial:
            parts["seed"] = self._seed_of(trial)
        blocks = block_figures(result, bar_ns=bar_ns)
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
        control = _TrialControl(is_cancelled, self._deepest)
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

    def run_together(self, trials: Sequence[Trial]) -> Sequence[TrialOutcome] | None:
        """Return None: these trials are run one after another."""
        del trials
        return None

    def identity(self) -> StudyIdentity:
        """Return what the results depend on, as this worker has it."""
        return self._base.identity()

    def source_hash(self) -> str:
        """Return the SHA-256 of the source of the strategy, as this worker has it."""
        return self._base.source_hash()

    def close(self) -> None:
        """Tear down the containers that are ready, remove the bars that came as bytes."""
        self._pools.close()
        if self._folder is not None:
            self._folder.cleanup()


def hopeless(deepest: float | None) -> str:
    """Return what is said of a trial that fell more than *deepest*, a fraction."""
    return f"fell more than {deepest or 0:.4g} from its highest equity (early_stop.max_drawdown)"


def outcome_of(result: BacktestResult) -> TrialOutcome:
    """Return what a table of trials keeps of *result*."""
    metrics = dict(result.metrics.to_json())
    metrics["final_equity"] = str(result.final_equity)
    return TrialOutcome(
        {
            name: str(value) if isinstance(value, Decimal) else value
            for name, value in metrics.items()
        },
        result.fingerprint,
    )


def _packed(places: Sequence[Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for place in places:
            archive.add(place, arcname=place.name)
    return buffer.getvalue()


def _unpacked(packed: bytes, folder: Path, places: Sequence[Path]) -> list[Path]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return [folder / place.name for place in places]
