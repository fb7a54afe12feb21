"""The same run with every price path: how much hangs on the order of the extremes (FILL-23)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from engine.backtest.assembly import RunRequest
from engine.backtest.config import BacktestConfig, SimulatedBrokerSection
from engine.backtest.results import BacktestResult
from engine.execution.bar_settings import PathMode

PATHS: Final = (PathMode.OHLC, PathMode.OLHC, PathMode.ADAPTIVE, PathMode.PESSIMISTIC)
_FIGURES: Final = ("sharpe", "max_drawdown")


def run_envelope(
    request: RunRequest, first: BacktestResult, run: Callable[[RunRequest], BacktestResult]
) -> Mapping[str, Any]:
    """Return min and max of final equity, Sharpe ratio and drawdown over all paths.

    Args:
        request: what ran.
        first: its result, which serves for its own path.
        run: runs a container.
    """
    section = request.config.components.broker
    if not isinstance(section, SimulatedBrokerSection):
        return {}
    results: dict[str, BacktestResult] = {}
    for path in PATHS:
        if path is section.params.path:
            results[path.value] = first
        else:
            config = with_path(request.config, section, path)
            results[path.value] = run(replace(request, config=config))
    equities = {name: one.final_equity for name, one in results.items()}
    report: dict[str, Any] = {
        "final_equity": {
            "min": f"{min(equities.values()):f}",
            "max": f"{max(equities.values()):f}",
            "by_path": {name: f"{value:f}" for name, value in equities.items()},
        }
    }
    for figure in _FIGURES:
        values = {name: one.metrics[figure] for name, one in results.items()}
        known = [float(value) for value in values.values() if value is not None]
        report[figure] = {
            "min": min(known, default=None),
            "max": max(known, default=None),
            "by_path": {name: None if one is None else float(one) for name, one in values.items()},
        }
    return report


def with_path(
    config: BacktestConfig, section: SimulatedBrokerSection, path: PathMode
) -> BacktestConfig:
    """Return *config* with another price path."""
    params = section.params.model_copy(update={"path": path})
    broker = section.model_copy(update={"params": params})
    components = config.components.model_copy(update={"broker": broker})
    return config.model_copy(update={"components": components, "envelope": False})
