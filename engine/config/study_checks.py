"""What the schema of a study cannot know, told with file and line before anything runs."""

from __future__ import annotations

import inspect
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from engine.backtest.config import BacktestConfig
from engine.backtest.metrics import METRIC_NAMES
from engine.backtest.strategy_loading import (
    StrategyLoadError,
    build_strategy,
    find_strategy_type,
)
from engine.config.document import Document
from engine.config.yaml_tree import Path
from engine.flow.errors import ConfigurationError
from engine.optimization.config import (
    BayesMethod,
    HalvingMethod,
    ObjectiveSection,
    OptimizationConfig,
    RandomMethod,
)
from engine.optimization.objective import is_function
from engine.optimization.objective_loading import find_function
from engine.optimization.sample_split import IN_SAMPLE, OUT_OF_SAMPLE, SPLIT_METRICS
from engine.optimization.space import Parameter, ParameterSpace, parse_values
from engine.strategies.catalogue import StrategyType

SECTION: Final = "optimization"
MADE_METRICS: Final = ("final_equity",)
"""Metrics of a trial beside those of a backtest."""

_TRIED: Final = 200
"""Combinations that the strategy is asked about at the most."""

Problem = tuple[Path, str]


def space_problems(document: Document) -> list[Problem]:
    """Return what is wrong with ``space`` and ``constraints``, each at its own line."""
    section = document.data.get(SECTION)
    if not isinstance(section, dict) or "space" not in section:
        return []
    space = section["space"]
    if not isinstance(space, dict):
        return []
    at: Path = (SECTION, "space")
    if not space:
        return [
            (at, "is empty, name at least one parameter with its values, such as fast: [5, 10]")
        ]
    parameters: list[Parameter] = []
    found = list(_value_problems(space, parameters))
    return found or list(_constraint_problems(section.get("constraints"), parameters))


def _value_problems(space: Mapping[str, object], parameters: list[Parameter]) -> Iterator[Problem]:
    """Fill *parameters*; yield what is wrong with those that cannot be read."""
    for name, form in space.items():
        try:
            parameters.append(Parameter(name, parse_values(name, form)))
        except ConfigurationError as error:
            at: Path = (SECTION, "space", name)
            text = error.message.removeprefix(f"space.{name}")
            if text.startswith("."):  # of its range or log range
                key, _, text = text.removeprefix(".").partition(": ")
                at = (*at, key)
            yield at, text.removeprefix(": ")


def _constraint_problems(given: object, parameters: Sequence[Parameter]) -> Iterator[Problem]:
    texts = given if isinstance(given, list) else []
    try:
        ParameterSpace(parameters)
    except ConfigurationError as error:
        yield (SECTION, "space"), error.message.removeprefix("space: ")
        return
    for place, text in enumerate(texts):
        if isinstance(text, str):  # else the schema refuses it
            try:
                ParameterSpace(parameters, (text,))
            except ConfigurationError as error:
                yield (SECTION, "constraints", place), error.message


def study_problems(
    config: OptimizationConfig, backtest: BacktestConfig, base_dir: pathlib.Path
) -> list[Problem]:
    """Return what the schema cannot know: metrics, parameters, sizes."""
    found = [
        (place, text)
        for place, section in _objectives(config)
        if (text := _objective_problem(section, config, backtest, base_dir))
    ]
    space = config.parameter_space()
    try:
        size = len(space)
    except ConfigurationError as error:  # what is compared is known only now
        return [*found, (_place_of(config.constraints, error.message), error.message)]
    if not size:
        text = (
            "leave no combination: none of "
            f"{space.size_before_constraints:,} satisfies {', '.join(config.constraints)}"
        )
        return [*found, ((SECTION, "constraints"), text)]
    found += _size_problems(config, size)
    found += _parameter_problems(space, backtest, base_dir)
    return found


def _place_of(constraints: Sequence[str], message: str) -> Path:
    """Return where the constraint is that *message* begins with."""
    for place, text in enumerate(constraints):
        if message.startswith(f"constraint {text!r} "):
            return (SECTION, "constraints", place)
    return (SECTION, "constraints")


def metric_choices(config: OptimizationConfig) -> tuple[str, ...]:
    """Return the metrics that an objective of *config* may name."""
    parts: tuple[str, ...] = ()
    if config.out_of_sample is not None:
        parts = tuple(
            f"{part}{name}" for part in (IN_SAMPLE, OUT_OF_SAMPLE) for name in SPLIT_METRICS
        )
    return (*METRIC_NAMES, *MADE_METRICS, *parts)


def _objectives(config: OptimizationConfig) -> Iterator[tuple[Path, ObjectiveSection]]:
    if isinstance(config.objective, ObjectiveSection):
        yield (SECTION, "objective", "metric"), config.objective
        return
    for place, section in enumerate(config.objective):
        yield (SECTION, "objective", place, "metric"), section


def _objective_problem(
    section: ObjectiveSection,
    config: OptimizationConfig,
    backtest: BacktestConfig,
    base_dir: pathlib.Path,
) -> str:
    name, known = section.metric, metric_choices(config)
    if name in known:
        return ""
    if is_function(name):
        try:
            find_function(name, base_dir=base_dir, allow_imports=backtest.allow_imports)
        except ConfigurationError as error:
            return error.message
        return ""
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return (
        f"{name!r} is no metric, {hint}metrics are {', '.join(known)}, or module.function with its "
        "package in allow_imports of the backtest"
    )


def _size_problems(config: OptimizationConfig, size: int) -> Iterator[Problem]:
    match config.method:
        case RandomMethod(n=count) | BayesMethod(n=count) | HalvingMethod(n=int() as count):
            if count > size:
                text = f"{count} is not allowed, the space has {size:,} combinations: 1 to {size:,}"
                yield (SECTION, "method", "n"), text
        case _:
            return


def _parameter_problems(
    space: ParameterSpace, backtest: BacktestConfig, base_dir: pathlib.Path
) -> list[Problem]:
    strategies = backtest.components.all_strategies
    if len(strategies) != 1:
        text = f"has {len(strategies)} strategies; a study varies the parameters of one"
        return [((SECTION, "base"), text)]
    section = strategies[0]
    try:
        kind = find_strategy_type(section, base_dir=base_dir, allow_imports=backtest.allow_imports)
    except StrategyLoadError as error:
        return [((SECTION, "base"), error.message)]
    known = _known_parameters(kind)
    unknown = [name for name in space.names if known and name not in known]
    if unknown:
        return [
            ((SECTION, "space", name), _unknown_parameter(name, kind.name, known))
            for name in unknown
        ]
    refusal = _refusal(space, lambda values: build_strategy(kind, {**section.params, **values}))
    return [((SECTION, "space"), refusal)] if refusal else []


def _known_parameters(kind: StrategyType) -> Sequence[str]:
    """Return the names of the parameters of *kind*; empty if it may take any."""
    if kind.keywords is not None:
        keywords = inspect.signature(kind.keywords).parameters.values()
        if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in keywords):
            return ()
        return tuple(one.name for one in keywords)
    if kind.params_model.model_config.get("extra") == "allow":
        return ()
    fields: Mapping[str, Any] = kind.params_model.model_fields
    return tuple(field.alias or name for name, field in fields.items())


def _unknown_parameter(name: str, strategy: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"strategy {strategy} has no parameter {name!r}, {hint}parameters: {', '.join(known)}"


def _refusal(space: ParameterSpace, make: Any) -> str:  # noqa: ANN401 (a callable of parameters)
    """Return why no combination can be used; empty if one can.

    A combination that the strategy cannot take is only a failed trial, unless all of them are.
    """
    first = ""
    for index in range(0, len(space), max(1, len(space) // _TRIED)):
        values = space.at(index)
        try:
            make(values)
        except ConfigurationError as error:
            shown = ", ".join(f"{name}={value}" for name, value in values.items())
            first = (
                first or f"the strategy takes none of the combinations; {shown}: {error.message}"
            )
        else:
            return ""
    return first
