"""The backtest that a study varies, and what its workers need of it (OPT-5)."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.backtest.assembly import RunRequest, make_strategies
from engine.backtest.config import BacktestConfig, SplitSection
from engine.backtest.market_data import MarketData
from engine.backtest.planner import PlannedStrategy, standing_refusals
from engine.backtest.run_hash import ENGINE_SEMANTICS, config_hash, effective_config
from engine.backtest.strategy_loading import source_hash
from engine.flow.errors import ConfigurationError
from engine.markets.bar_cache import save_bar_cache
from engine.optimization.constraint import ParameterValue
from engine.optimization.trial_runner import (
    StudyTask,
)
from engine.optimization.trials import StudyIdentity, plain_parameters
from engine.optimization.windows import Span

RUNNER = "engine.optimization.backtest_trials:BacktestTrials"
BARS = "bars.tar"


@dataclass(frozen=True, slots=True)
class BaseRun:
    """A backtest that is to be varied, with its bars.

    ``example`` is a combination that the strategy can be made with: its own parameters may lack
    those that are varied.
    """

    config: BacktestConfig
    base_dir: Path
    data: MarketData
    example: Mapping[str, ParameterValue] = field(default_factory=dict)

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
        # Finer bars that are matched end with the last bar of the window by themselves.
        data = MarketData(columns, self.data.report, self.data.execution)
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

    def kernel_refusals(self, parameters: Mapping[str, ParameterValue]) -> tuple[str, ...]:
        """Return what is said against compiled passes over trials such as *parameters*.

        Raises:
            ConfigurationError: the strategy cannot take them.
        """
        request = self.request(self.with_parameters(parameters), None)
        strategies = [
            PlannedStrategy(one.id, one.strategy, one.symbols) for one in make_strategies(request)
        ]
        return standing_refusals(request.config, request.data.columns, strategies)

    def source_hash(self) -> str:
        """Return the SHA-256 of the source of the strategy."""
        config = self.with_parameters(self.example) if self.example else self.config
        strategies = make_strategies(RunRequest(config, self.base_dir, self.data))
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
        fine: list[Path | None] = []
        for number, bars_within in enumerate(self.data.execution):
            place = folder / f"finer-bars-{number}"
            fine.append(None if bars_within is None else place)
            if bars_within is not None:
                save_bar_cache(bars_within, place)
        settings = {
            "backtest": effective_config(self.config),
            "base_dir": str(self.base_dir.resolve()),
            "bars": [str(place.resolve()) for place in places],
            "finer_bars": [None if place is None else str(place.resolve()) for place in fine],
            "report": dict(self.data.report),
            "seed_per_trial": seed_per_trial,
            "cut_ns": cut_ns,
            "pool_size": pool_size,
            "deepest": deepest,
            "source_hash": self.source_hash(),
            "example": plain_parameters(self.example),
        }
        files = [*places, *(place for place in fine if place is not None)]
        attachments = {BARS: _packed(files)} if is_remote else {}
        return StudyTask(RUNNER, self.identity(), settings, attachments, timeout_s)


def _packed(places: Sequence[Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for place in places:
            archive.add(place, arcname=place.name)
    return buffer.getvalue()
