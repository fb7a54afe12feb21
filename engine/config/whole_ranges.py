"""Log ranges over whole numbers: their points are rounded to them (OPT-2)."""

from __future__ import annotations

import inspect
import pathlib
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from engine.backtest.config import BacktestConfig
from engine.backtest.strategy_loading import AnyParams, StrategyLoadError, find_strategy_type
from engine.flow.errors import ConfigurationError
from engine.optimization.config import OptimizationConfig
from engine.optimization.space import LOG_FORMS, parse_values
from engine.strategies.catalogue import StrategyType

_WHOLE: Final = frozenset({int, "int"})


def with_whole_ranges(
    config: OptimizationConfig, backtest: BacktestConfig, base_dir: pathlib.Path
) -> OptimizationConfig:
    """Return *config* with lists of whole numbers for log ranges over parameters that are whole.

    Points between the ends are rounded half to even; what falls together is one value.
    """
    logs = {name: form for name, form in config.space.items() if _is_log(form)}
    strategies = backtest.components.all_strategies
    if not logs or len(strategies) != 1:
        return config
    try:
        kind = find_strategy_type(
            strategies[0], base_dir=base_dir, allow_imports=backtest.allow_imports
        )
        whole = {name: _rounded(name, form) for name, form in logs.items() if _is_whole(kind, name)}
    except (StrategyLoadError, ConfigurationError):
        return config  # the checks tell it with its line
    return config.model_copy(update={"space": {**config.space, **whole}})


def _is_log(form: object) -> bool:
    return isinstance(form, Mapping) and any(name in form for name in LOG_FORMS)


def _rounded(name: str, form: object) -> list[int]:
    points = (Decimal(str(value)) for value in parse_values(name, form))
    return list(dict.fromkeys(int(one.to_integral_value(ROUND_HALF_EVEN)) for one in points))


def _is_whole(kind: StrategyType, name: str) -> bool:
    if kind.params_model is AnyParams:
        return _is_whole_keyword(kind, name)
    for field_name, field in kind.params_model.model_fields.items():
        if name in (field_name, field.alias):
            return _allows_only_whole(field.annotation)
    return False


def _is_whole_keyword(kind: StrategyType, name: str) -> bool:
    """Return whether a strategy without a model takes a whole number as keyword *name*."""
    if kind.keywords is None:
        return False
    found = inspect.signature(kind.keywords).parameters.get(name)
    if found is None:
        return False
    if found.annotation is inspect.Parameter.empty:
        return type(found.default) is int
    return _allows_only_whole(found.annotation)


def _allows_only_whole(annotation: Any) -> bool:  # noqa: ANN401 (an annotation is any object)
    if get_origin(annotation) is Annotated:
        return _allows_only_whole(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        rest = [one for one in get_args(annotation) if one is not type(None)]
        return bool(rest) and all(map(_allows_only_whole, rest))
    return annotation in _WHOLE
