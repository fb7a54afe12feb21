"""FAST-1, FAST-8, UNIT-7: which path runs, and every reason against the compiled one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.backtest.compiled_run import LedgerOverflowError, run_compiled
from engine.backtest.config import BacktestConfig
from engine.backtest.planner import (
    WORTH_IT,
    EnginePlan,
    EngineRefusedError,
    PlannedStrategy,
    plan_engine,
)
from engine.strategies.signal_table import signal_table
from engine.strategies.strategy import Strategy
from engine.testing.backtest_scenarios import PlayTable, Scenario, kernel_request, scenario


class Decides(Strategy):
    def on_bar(self, bar: object) -> None:
        """Decide bar by bar."""


class Reacts(PlayTable):
    def on_fill(self, fill: object) -> None:
        """React to fills."""


def plain(number: int = 3) -> Scenario:
    return replace(
        scenario(number),
        components={"strategy": {"class": "table"}, "broker": {"class": "SimulatedBroker"}},
    )


def plan(given: Scenario, strategy: Strategy | None = None, **changes: Any) -> EnginePlan:
    tables = {one.symbol: table for one, table in zip(given.columns, given.tables, strict=True)}
    config = given.config.model_dump(by_alias=True) | {"engine": "compiled"} | changes
    symbols = tuple(range(len(given.columns)))
    return plan_engine(
        BacktestConfig.model_validate(config),
        columns=given.columns,
        windows=[(0, len(one)) for one in given.columns],
        strategies=[PlannedStrategy("one", strategy or PlayTable(tables), symbols)],
    )


def test_a_table_on_the_simulated_broker_is_compiled() -> None:
    planned = plan(plain())
    assert (planned.engine, planned.refusals) == ("compiled", ())
    assert planned.request is not None


def test_few_bars_are_not_worth_it() -> None:
    planned = plan(plain(), engine="auto")
    assert planned.engine == "events"
    assert len(plain().columns[0]) < WORTH_IT


def test_the_event_path_can_be_asked_for() -> None:
    assert plan(plain(), engine="events") == EnginePlan("events")


@pytest.mark.parametrize(
    ("section", "params", "text"),
    [
        ("broker", {"latency_ms": 5}, "latency_ms"),
        ("broker", {"slippage_model": {"kind": "sqrt_impact"}}, "sqrt_impact"),
        ("broker", {"commission_model": {"kind": "tiered"}}, "tiered"),
        ("portfolio", {"leverage": "1.5"}, "leverage"),
        ("portfolio", {"intrabar_margin": True}, "intrabar_margin"),
        ("portfolio", {"borrow_rate": "0.02"}, "borrow"),
        ("risk_manager", {"sizer": {"kind": "atr"}}, "atr"),
        ("risk_manager", {"cooldown_bars": 3}, "cooldown_bars"),
        ("risk_manager", {"max_portfolio_heat": "0.06"}, "max_portfolio_heat"),
    ],
)
def test_each_part_without_a_kernel_is_named(
    section: str, params: dict[str, Any], text: str
) -> None:
    given = plain()
    components = dict(given.components) | {section: {"params": params}}
    with pytest.raises(EngineRefusedError, match=text):
        plan(replace(given, components=components))


def test_all_reasons_are_given_at_once() -> None:
    given = plain()
    components = dict(given.components) | {
        "broker": {"params": {"latency_ms": 5}},
        "portfolio": {"params": {"leverage": "1.5"}},
    }
    with pytest.raises(EngineRefusedError) as raised:
        plan(replace(given, components=components), Decides(), record_events=True)
    for text in ("latency_ms", "leverage", "bar by bar", "record_events"):
        assert text in str(raised.value)


def test_a_strategy_that_reacts_runs_on_the_event_path() -> None:
    given = plain()
    tables = {one.symbol: table for one, table in zip(given.columns, given.tables, strict=True)}
    with pytest.raises(EngineRefusedError, match="on_fill"):
        plan(given, Reacts(tables))


def test_quantities_beyond_62_bits_are_refused() -> None:
    given = plain()
    huge = signal_table({"bar": [1], "kind": [5], "side": [1], "value": [2**60]})
    with pytest.raises(EngineRefusedError, match="UNIT-7"):
        plan(replace(given, tables=tuple(huge for _ in given.tables)))


def test_a_ledger_that_grows_beyond_62_bits_stops_the_kernel() -> None:
    given = plain()
    request = kernel_request(given)
    huge = signal_table({"bar": [1], "kind": [5], "side": [1], "value": [2**58]})
    signals = tuple(replace(one, table=huge) for one in request.signals)
    with pytest.raises(LedgerOverflowError):
        run_compiled(replace(request, signals=signals))


def test_importing_the_package_compiles_nothing() -> None:
    code = (
        "import sys; import engine.backtest.coordinator, engine.backtest.planner, "
        "engine.backtest.compiled_run, engine.backtest.runner; "
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_numba_the_event_path_runs() -> None:
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from engine.testing.backtest_scenarios import play_events, scenario\n"
        "from engine.backtest.planner import _static_refusals\n"
        "one = scenario(3)\n"
        "assert len(play_events(one).fills)\n"
        "assert 'numba is not installed' in list(_static_refusals(one.config, one.columns, ()))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bars_of_other_symbols_inside_a_bar_are_refused() -> None:
    given = next(one for one in map(scenario, range(200)) if len(one.columns) > 1)
    coarse = given.columns[0]
    moved = replace(
        given.columns[1],
        ts_open=np.asarray(given.columns[1].ts_open) - 30 * 10**9,
        ts_close=np.asarray(given.columns[1].ts_close) - 30 * 10**9,
    )
    mixed = replace(given, columns=(coarse, moved, *given.columns[2:]))
    mixed = replace(mixed, components={"strategy": {"class": "table"}})
    with pytest.raises(EngineRefusedError, match="end inside"):
        plan(mixed)
