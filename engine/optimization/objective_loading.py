"""Objectives that are functions of a trial's metrics, found by an allowed import path (OPT-4)."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from engine.backtest.strategy_loading import import_allowed
from engine.flow.errors import ConfigurationError
from engine.optimization.objective import MetricFunction


def find_function(
    name: str, *, base_dir: pathlib.Path, allow_imports: Sequence[str]
) -> MetricFunction:
    """Return the function ``package.module.function`` *name*.

    It gets the metrics of a trial by name and returns a number, or None if it has none.

    Raises:
        ConfigurationError: its package is not in *allow_imports*, or it is no function.
    """
    found = import_allowed("objective", name, base_dir=base_dir, allow_imports=allow_imports)
    if not callable(found):
        raise ConfigurationError(f"objective {name!r}: is no function of the metrics of a trial")
    function: MetricFunction = found
    return function
