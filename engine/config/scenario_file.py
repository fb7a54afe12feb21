"""Reads scenario files; what is wrong in them is told with its line, executors included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from engine.config.document import ConfigError, Document, load_document, validate
from engine.config.problems import describe_all
from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.simulation.scenario import Scenario


def load_scenario(path: Path) -> Scenario:
    """Return the scenario in the file *path*.

    Raises:
        ConfigError: it cannot be read, or is no scenario; every mistake is listed.
    """
    document = load_document(path)
    scenario = validate(document, Scenario)
    load_builtin_executors()
    problems = [
        problem
        for place, config in _executors(scenario)
        for problem in _problems(document, place, config)
    ]
    if problems:
        raise ConfigError(problems)
    return scenario


def _executors(
    scenario: Scenario,
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, object]]]:
    if scenario.executor is not None:
        yield ("executor",), scenario.executor
    for index, config in enumerate(scenario.executors):
        yield ("executors", index), config


def _problems(
    document: Document, place: tuple[str | int, ...], config: Mapping[str, object]
) -> Iterator[str]:
    try:
        model = ExecutorFactory.get_config_type(str(config.get("type", "")))
    except ValueError as error:
        yield document.problem((*place, "type"), str(error))
        return
    if not issubclass(model, BaseModel):
        return
    values: Any = dict(config)
    try:
        model.model_validate(values)
    except ValidationError as error:
        for path, text in describe_all(error.errors(include_url=False), values, model):
            yield document.problem((*place, *path), text)
