"""The steps of one backtest: build, initialise, loop, close, collect, tear down (COORD-1)."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace
from typing import Protocol

from engine.backtest.assembly import (
    BuiltRun,
    RunRequest,
    build_run,
    class_state,
    data_handler_of,
    run_name,
)
from engine.backtest.compiled_outcome import plan_run, play_plan
from engine.backtest.config import IsolationLevel
from engine.backtest.control import RunControl
from engine.backtest.envelope import run_envelope
from engine.backtest.lookahead import check_request
from engine.backtest.outcome import Stopwatch, collect, make_result
from engine.backtest.results import BacktestResult, ResultStatus
from engine.backtest.run_history import RunHistory, run_bars, run_history
from engine.backtest.run_log import run_log
from engine.containers.bus import ComponentFailedError
from engine.containers.lifecycle import ContainerState
from engine.flow.errors import OperationError
from engine.live.clock import SystemClock
from engine.markets.windows import WindowName


class ClassStateError(OperationError):
    """A strategy keeps state in its class: runs in other threads would share it (ISO-8)."""


class ActiveRegistry(Protocol):
    """Who keeps the list of containers that exist."""

    def enlist(self, built: BuiltRun, control: RunControl) -> int:
        """Note a container; return its number."""
        ...

    def delist(self, number: int) -> None:
        """Forget a container."""
        ...


class RunSource(Protocol):
    """Who has containers that are READY already."""

    def acquire(self, request: RunRequest, control: RunControl) -> BuiltRun:
        """Return a run of *request*."""
        ...

    def release(self, built: BuiltRun) -> None:
        """Take it back, whatever became of it."""
        ...


class Runner:
    """The steps of COORD-1 for one configuration, with its splits and its envelope."""

    def __init__(
        self,
        control: RunControl,
        *,
        clock: SystemClock,
        registry: ActiveRegistry | None = None,
        keep_failed: bool = False,
        in_threads: bool = False,
        pool: RunSource | None = None,
    ) -> None:
        self._control = control
        self._clock = clock
        self._registry = registry
        self._keep_failed = keep_failed
        self._in_threads = in_threads
        self._pool = pool

    def run(self, request: RunRequest) -> BacktestResult:
        """Run *request*, and beside it the splits and the envelope that it asks for.

        Raises:
            ComponentFailedError: a component raised, and failed results are not kept.
        """
        config = request.config
        if config.executors or config.controllers:
            from engine.backtest.executor_run import ExecutorRun

            return ExecutorRun(request, self._control).run()
        several = len(config.components.all_strategies)
        if several > 1 and config.isolation_level is IsolationLevel.FULL:
            return self._each_strategy(request, several)
        result = self.one(request)
        if result.status in (ResultStatus.CANCELLED, ResultStatus.FAILED):
            return result
        if config.components.data_handler.params.enable_splits:
            windows: tuple[WindowName, ...] = ("train", "test")
            splits: dict[str, BacktestResult] = {
                name: replace(
                    self.one(replace(request, window=name)),
                    data_hash=data_handler_of(request, name).data_hash,
                )
                for name in windows
            }
            result = replace(result, splits=splits)
        if config.envelope:
            result = replace(result, envelope=run_envelope(request, result, self.one))
        if config.check_lookahead:
            report = check_request(request)
            flag = "passed" if report.passed else "failed"
            result = replace(result, flags={**result.flags, "lookahead": flag})
        return result

    def _each_strategy(self, request: RunRequest, count: int) -> BacktestResult:
        """With isolation full every strategy has its own broker, portfolio and bus."""
        parts = {}
        for place in range(count):
            section = request.config.components.all_strategies[place]
            name = section.id or f"{section.kind}-{place}"
            parts[name] = self.one(replace(request, only_strategy=place))
        first = next(iter(parts.values()))
        note = "each strategy ran in its own container; this is the first, the others are splits"
        return replace(first, splits=parts, warnings=(*first.warnings, note))

    def one(self, request: RunRequest) -> BacktestResult:
        """Run one container."""
        control = self._control
        control.is_collecting = False
        stopwatch = Stopwatch.start(self._clock.now_ns())
        if self._pool is None:
            built = build_run(request, control)
        else:
            built = self._pool.acquire(request, control)
        number = -1 if self._registry is None else self._registry.enlist(built, control)
        try:
            strategies = [one.strategy for one in built.host.seated]
            before = class_state(strategies)
            plan = plan_run(request.config, built)
            raw = play_plan(plan, built, control)
            error = None
            if raw is None:
                with closing(run_history(built)) as history:
                    status, error = self._run(built, history)
                    raw = collect(
                        built,
                        status=status,
                        error=None if error is None else str(error),
                        history=history,
                    )
                raw = replace(raw, refusals=plan.refusals)
            if not control.is_collecting:
                control.begin_collecting()
            result = make_result(
                raw,
                request=request,
                columns=built.columns,
                run_id=built.container.id if self._pool is None else run_name(built, request),
                run_hash=built.run_hash,
                effective=built.effective,
                first_decision_bar=_first_decision(built),
                base_metrics=built.container.metrics,
                stopwatch=stopwatch,
                control=control,
                wall_ns=self._clock.now_ns(),
                events=None if built.recorder is None else tuple(built.recorder.rows),
            )
            result = replace(
                result,
                warnings=(*result.warnings, *_idle_warnings(built)),
                log=run_log(
                    built.container,
                    built.columns,
                    engine=result.engine,
                    refusals=plan.refusals,
                    liquidations=built.broker.liquidations,
                    status=result.status.value,
                    bars_done=result.bars,
                ),
            )
            if class_state(strategies) != before:
                result = self._with_class_state(result)
            if error is not None and not self._keep_failed:
                error.details["result"] = result
                raise error
            return result
        finally:
            if self._registry is not None:
                self._registry.delist(number)
            self._give_back(built)
            control.finish(replace(control.progress, status="done"))

    def _give_back(self, built: BuiltRun) -> None:
        """Tear down, or give it to the pool, and let nothing that fails there hide the result."""
        with suppress(ExceptionGroup):
            if self._pool is None:
                built.container.teardown_scope()
            else:
                self._pool.release(built)

    def _run(
        self, built: BuiltRun, history: RunHistory
    ) -> tuple[ResultStatus, ComponentFailedError | None]:
        """Loop until the data end, then close the positions (PF-15)."""
        container, run = built.container, built.run
        try:
            container.start()
            run.begin()
            run_bars(built, history)
            if not self._control.is_cancelled:
                run.finish(close_positions=built.close_positions)
            container.stop()
        except ComponentFailedError as error:
            if container.state is ContainerState.RUNNING:
                container.fail(error)
            return ResultStatus.FAILED, error
        except KeyboardInterrupt as error:
            if not self._control.is_cancelled:
                raise
            # The strategy did not return after the run had been cancelled: it was broken off.
            run.broken_off()
            container.fail(error)
            return ResultStatus.CANCELLED, None
        except Exception as error:  # noqa: BLE001 (boundary: the components' code runs here)
            if container.state is ContainerState.RUNNING:
                container.fail(error)
            seq = container.bus.events_published
            failed = ComponentFailedError(
                f"container {container.id} failed at event {seq}: {type(error).__name__}: {error}",
                details={"container_id": container.id, "seq": seq, "component": "container"},
                cause=error,
            )
            return ResultStatus.FAILED, failed
        finally:
            self._control.begin_collecting(run.last_progress(container.state.value))
        if built.broker.is_bankrupt:
            return ResultStatus.BANKRUPT, None
        if self._control.is_cancelled and run.done < run.total:
            return ResultStatus.CANCELLED, None
        return ResultStatus.COMPLETED, None

    def _with_class_state(self, result: BacktestResult) -> BacktestResult:
        if self._in_threads:
            raise ClassStateError(
                f"run {result.run_id}: the strategy changed an attribute of its class; runs in "
                "other threads would share it: keep state in the instance (CLASS_STATE_MUTATED)"
            )
        return replace(
            result,
            flags={**result.flags, "class_state": "CLASS_STATE_MUTATED"},
            warnings=(*result.warnings, "CLASS_STATE_MUTATED: the strategy's class keeps state"),
        )


def _idle_warnings(built: BuiltRun) -> tuple[str, ...]:
    """Return which strategies never decided because their warm-up is longer than their data."""
    return tuple(
        f"strategy {one.id} never decided: its warm-up is {one.strategy.warmup:,} bars, "
        f"there are {most:,}"
        for one in built.host.seated
        if (most := max(len(built.feeds[symbol].columns) for symbol in one.symbols))
        <= one.strategy.warmup
    )


def _first_decision(built: BuiltRun) -> int:
    window = built.handler.windows[0]
    warmups = [one.strategy.warmup for one in built.host.seated]
    first = max(window.decision_bar, min(warmups, default=0))
    feed = built.feeds[0]
    if not feed.is_fine or not len(feed.columns):
        return first
    decided_ns = int(feed.columns.ts_close[min(first, len(feed.columns) - 1)])
    return max(0, feed.run.closes_by(decided_ns) - 1)
