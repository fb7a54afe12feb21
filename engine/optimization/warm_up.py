"""What a worker loads before its first trial, so that no trial's limits pay for it (OPT-9, OPT-10).

Code, kernels and bars are shared by all trials of a worker. A few bars are played with strategies
that ship in the place of the study's own, whose code is the trials' business: it may hang.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from engine.backtest.config import EngineChoice, SimulatedBrokerSection, StrategySection
from engine.backtest.control import RunControl
from engine.backtest.market_data import MarketData
from engine.backtest.planner import WORTH_IT
from engine.backtest.runner import Runner
from engine.backtest.strategy_loading import find_strategy_type
from engine.live.clock import SystemClock
from engine.model.bar_columns import FLAG_COLUMNS, INTEGER_COLUMNS, OPTIONAL_COLUMNS, BarColumns
from engine.optimization.base_run import BaseRun
from engine.optimization.trial_runner import Trial, TrialOutcome, never
from engine.strategies.catalogue import strategy_types

_BARS: Final = 256
_MEANS: Final[Mapping[str, Any]] = {"class": "sma_cross", "params": {"fast": 2, "slow": 3}}
_BRACKETS: Final[Mapping[str, Any]] = {
    "class": "bracket",
    "params": {"fast": 2, "slow": 3, "stop_loss": "0.01", "take_profit": "0.01"},
}


def warm_up(base: BaseRun, *, is_together: bool) -> None:
    """Load what trials of *base* need; whatever cannot be played is left to the trials.

    Kernels that no process has compiled before are compiled here.
    """
    for bars in base.data.columns:
        _touch(bars)
    strategies = base.config.components.all_strategies
    for section in strategies:
        with suppress(Exception):
            find_strategy_type(
                section, base_dir=base.base_dir, allow_imports=base.config.allow_imports
            )
    for stand_in in _stand_ins(base, is_own=any(_is_own(one) for one in strategies)):
        _play(stand_in, EngineChoice.EVENTS)
        if _may_be_compiled(base, is_together=is_together):
            _play(stand_in, EngineChoice.COMPILED)
        if is_together:
            _play_together(stand_in)


def _touch(bars: BarColumns) -> None:
    """Read every mapped page once: the bars belong to the worker, not to a trial."""
    for name in (*INTEGER_COLUMNS, *FLAG_COLUMNS, *OPTIONAL_COLUMNS):
        values = getattr(bars, name)
        if values is not None and len(values):
            values.max()


def _is_own(section: StrategySection) -> bool:
    return section.kind not in strategy_types()


def _stand_ins(base: BaseRun, *, is_own: bool) -> Iterator[BaseRun]:
    """Yield backtests of a few bars that call each kernel that trials of *base* may call."""
    columns = tuple(bars.slice(0, _BARS) for bars in base.data.columns)
    few = replace(base, data=MarketData(columns, base.data.report))
    yield _with(few, _MEANS)
    if not is_own:
        return
    brackets = _with(few, _BRACKETS)
    yield brackets
    broker = brackets.config.components.broker
    if isinstance(broker, SimulatedBrokerSection):
        # A limit that the small kernels do not know: the whole ones play it.
        params = broker.params.model_copy(update={"max_participation": Decimal("0.5")})
        components = brackets.config.components.model_copy(
            update={"broker": broker.model_copy(update={"params": params})}
        )
        yield replace(
            brackets, config=brackets.config.model_copy(update={"components": components})
        )


def _with(base: BaseRun, strategy: Mapping[str, Any]) -> BaseRun:
    components = base.config.components.model_copy(
        update={"strategy": StrategySection.model_validate(strategy), "strategies": ()}
    )
    return replace(base, config=base.config.model_copy(update={"components": components}))


def _may_be_compiled(base: BaseRun, *, is_together: bool) -> bool:
    if is_together or base.config.engine is EngineChoice.COMPILED:
        return True
    longest = max((len(bars) for bars in base.data.columns), default=0)
    return base.config.engine is EngineChoice.AUTO and longest >= WORTH_IT


def _play(base: BaseRun, engine: EngineChoice) -> None:
    config = base.config.model_copy(update={"engine": engine})
    with suppress(Exception):
        Runner(RunControl(), clock=SystemClock()).one(base.request(config, None))


def _play_together(base: BaseRun) -> None:
    from engine.optimization.grid_trials import GridTrials

    config = base.config.model_copy(update={"engine": EngineChoice.AUTO})
    grid = GridTrials(
        replace(base, config=config),
        workers=1,
        seed_of=lambda _: None,
        outcome_of=lambda *_: TrialOutcome({}, ""),
    )
    with suppress(Exception):
        grid.run([Trial(0, {})], is_cancelled=never)
    grid.close()
