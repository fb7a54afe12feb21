"""Trials of one study in compiled passes: many combinations over the same bars (FAST-5, OPT-7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from engine.backtest.assembly import RunRequest, data_handler_of, make_strategies
from engine.backtest.column_memo import IndicatorMemo
from engine.backtest.column_watch import ColumnTooLongError
from engine.backtest.grid import GridRunner
from engine.backtest.grid_column import GridColumn, GridRequest
from engine.backtest.metrics import Metrics, MetricSettings, metrics_of
from engine.backtest.outcome import metric_settings
from engine.backtest.planner import PlannedStrategy, Window, plan_column, standing_refusals
from engine.flow.errors import EngineError
from engine.model.bar_columns import BarColumns
from engine.model.clock import SECOND_NS
from engine.optimization.base_run import BaseRun
from engine.optimization.trial_runner import Alone, IsCancelled, TooLong, Trial, TrialOutcome
from engine.optimization.windows import Span
from engine.strategies.catalogue import strategy_types

_PLANS_KEPT: Final = 2
_CANCELLED: Final = Alone("cancelled")

OutcomeOf = Callable[[Trial, GridColumn, Metrics], "TrialOutcome | Alone"]
"""Makes of a column and its metrics what a table keeps."""


class _RefusedError(Exception):
    """The compiled path cannot run a column; the message has every reason."""


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What all trials on one window share."""

    request: RunRequest
    columns: tuple[BarColumns, ...]
    windows: tuple[Window, ...]
    settings: MetricSettings
    refusals: tuple[str, ...]


class GridTrials:
    """Runs trials of *base* together.

    Args:
        base: the backtest that is varied.
        workers: threads.
        seed_of: the seed of a trial, None for that of the base.
        outcome_of: what is kept of a column; called on the threads.
        timeout_s: longest time of a trial, None for any.
    """

    def __init__(
        self,
        base: BaseRun,
        *,
        workers: int,
        seed_of: Callable[[Trial], int | None],
        outcome_of: OutcomeOf,
        timeout_s: float | None = None,
    ) -> None:
        self._limit_ns = None if timeout_s is None else int(timeout_s * SECOND_NS)
        self._base = base
        self._seed_of = seed_of
        self._outcome_of = outcome_of
        self._workers = workers
        self._runner: GridRunner | None = None
        self._plans: dict[Span | None, _Plan] = {}

    def run(
        self, trials: Sequence[Trial], *, is_cancelled: IsCancelled
    ) -> list[TrialOutcome | Alone | TooLong]:
        """Return the outcome of each trial, or why it has none or must be run alone."""
        plans = [self._plan(trial) for trial in trials]
        if all(plan.refusals for plan in plans):
            return [Alone("; ".join(plan.refusals)) for plan in plans]

        def request_of(number: int) -> GridRequest:
            return self._request(trials[number], plans[number])

        def finish(column: GridColumn) -> TrialOutcome | Alone:
            metrics = metrics_of(column.curve, column.facts, plans[column.number].settings)
            return self._outcome_of(trials[column.number], column, metrics)

        found = self._grid().run(len(trials), request_of, finish, is_cancelled=is_cancelled)
        return [_outcome(one) for one in found]

    def close(self) -> None:
        """End the threads and let go of the columns."""
        if self._runner is not None:
            self._runner.close()
        self._plans.clear()

    def _grid(self) -> GridRunner:
        if self._runner is None:
            account = self._base.config.components.portfolio.params
            self._runner = GridRunner(
                workers=self._workers,
                matching=account.trade_matching,
                has_fingerprints=True,
                has_digests=False,
                limit_ns=self._limit_ns,
            )
        return self._runner

    def _plan(self, trial: Trial) -> _Plan:
        plan = self._plans.get(trial.window)
        if plan is None:
            while len(self._plans) >= _PLANS_KEPT:
                del self._plans[next(iter(self._plans))]
            plan = self._plans[trial.window] = self._make_plan(trial)
        return plan

    def _make_plan(self, trial: Trial) -> _Plan:
        base = self._base
        config = base.with_parameters(trial.parameters)
        settings = metric_settings(config)
        try:
            request = base.request(config, trial.window)
            handler = data_handler_of(request, request.window)
        except EngineError as error:  # each trial says it in its own row
            return _Plan(
                RunRequest(config, base.base_dir, base.data), (), (), settings, (str(error),)
            )
        request = replace(request, strategies=strategy_types())
        columns = tuple(one.with_columns(memo=IndicatorMemo()) for one in handler.bars)
        try:
            refusals = standing_refusals(request.config, columns, self._strategies(request))
        except Exception:  # noqa: BLE001 (boundary: a strategy is made)
            refusals = ()  # another combination may be one that it takes
        windows = tuple((one.decision_bar, one.stop_bar) for one in handler.windows)
        return _Plan(request, columns, windows, settings, refusals)

    def _request(self, trial: Trial, plan: _Plan) -> GridRequest:
        """Return what the kernels run for *trial*.

        Raises:
            _RefusedError: they cannot.
            EngineError: the parameters do not fit the strategy.
        """
        if plan.refusals:
            raise _RefusedError("; ".join(plan.refusals))
        config, shared = self._base.with_parameters(trial.parameters), plan.request.config
        seed = self._seed_of(trial)
        components = shared.components.model_copy(
            update={"strategy": config.components.strategy, "strategies": ()}
        )
        changes = {"components": components, "seed": config.seed if seed is None else seed}
        request = replace(plan.request, config=shared.model_copy(update=changes))
        strategies = self._strategies(request)
        kernel, refusals = plan_column(
            request.config, columns=plan.columns, windows=plan.windows, strategies=strategies
        )
        if kernel is None:
            raise _RefusedError("; ".join(refusals))
        warmup = min((one.strategy.warmup for one in strategies), default=0)
        return GridRequest(kernel, max(plan.windows[0][0], warmup))

    def _strategies(self, request: RunRequest) -> list[PlannedStrategy]:
        return [
            PlannedStrategy(one.id, one.strategy, one.symbols) for one in make_strategies(request)
        ]


def _outcome(found: TrialOutcome | Alone | Exception | None) -> TrialOutcome | Alone | TooLong:
    if found is None:
        return _CANCELLED
    if isinstance(found, ColumnTooLongError):
        return TooLong()
    if isinstance(found, Exception):
        # Whatever went wrong, the trial alone says it in its own words.
        return Alone(str(found) or type(found).__name__)
    return found
