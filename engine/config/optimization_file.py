"""Optimisation files: YAML to a study's configuration and the backtest that it varies (CFG-2)."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import ValidationError

from engine.backtest.config import BacktestConfig, BacktestDocument
from engine.backtest.market_data import MarketDataStore
from engine.config.backtest_file import load_backtest_file
from engine.config.document import ConfigError, Document, load_document, validate
from engine.config.overlays import layer
from engine.config.study_checks import SECTION, Problem, space_problems, study_problems
from engine.config.whole_ranges import with_whole_ranges
from engine.config.yaml_tree import Path
from engine.optimization.base_run import BaseRun
from engine.optimization.config import OptimizationConfig, OptimizationDocument

_IS_SPACE: Final = re.compile(r"optimization(\.space)?: (space|constraint)\b")
_BASE: Final[Path] = (SECTION, "base")


@dataclass(frozen=True, slots=True)
class OptimizationFile:
    """A study that can be run: its configuration, and the backtest with its folder."""

    path: pathlib.Path
    config: OptimizationConfig
    backtest: BacktestConfig
    base_dir: pathlib.Path
    lines: Mapping[str, int] = field(default_factory=dict)
    """Lines of the keys of the section."""

    def load_base(self) -> BaseRun:
        """Read the bars of the backtest.

        Raises:
            MarketDataError: a file of bars cannot be used.
        """
        data = MarketDataStore().load(self.backtest, self.base_dir)
        return BaseRun(self.backtest, self.base_dir, data)

    def located(self, message: str) -> str:
        """Return *message* with file and line, if it begins with a key of the section."""
        key = re.split(r"[.:]", message, maxsplit=1)[0]
        if key not in OptimizationConfig.model_fields or message == key:
            return message
        line = self.lines.get(key, self.lines.get("", 1))
        return f"{self.path}:{line}: {SECTION}.{message}"

    def with_changes(self, **changes: Any) -> OptimizationFile:  # noqa: ANN401 (keys of the section)
        """Return the study with other values, as the command line gives them.

        Raises:
            ConfigError: they do not fit; the message names the option.
        """
        if changes.get("parallelism") == "distributed":
            cluster = changes.get("cluster", self.config.cluster)
            if cluster is None:
                raise ConfigError(
                    ["--backend distributed needs cluster: add --cluster tcp://HOST:PORT"]
                )
        values = self.config.model_dump() | changes
        try:
            config = OptimizationConfig.model_validate(values)
        except ValidationError as error:
            problems = [
                f"{_option(item['loc'])}: {item['msg'].removeprefix('Value error, ')}"
                for item in error.errors(include_url=False)
            ]
            raise ConfigError(problems, cause=error) from error
        return replace(self, config=config)


def _option(place: Sequence[str | int]) -> str:
    """Return the option of the command line that gave the value at *place*."""
    key = ".".join(str(step) for step in place) or SECTION
    return {"parallelism": "--backend", "max_workers": "--workers"}.get(key, f"--{key}")


def load_optimization_file(
    path: pathlib.Path, *, profile: str | None = None, overrides: Iterable[str] = ()
) -> OptimizationFile:
    """Return the study in the file *path*, with its backtest checked too.

    Raises:
        ConfigError: something is wrong; every mistake is listed, in the order of the lines.
    """
    document = load_document(path)
    if SECTION not in document.data:
        near = ", ".join(document.data) or "nothing"
        raise document.error(
            (SECTION,),
            f"is missing: an optimisation file has a section '{SECTION}', this has {near}",
        )
    document = layer(document, section=SECTION, profile=profile, overrides=overrides).document
    config = _config(document)
    lines = {
        str(place[1]) if len(place) > 1 else "": line
        for place, line in document.lines.items()
        if place[:1] == (SECTION,) and len(place) < 3
    }
    if isinstance(config.base, str):
        base_path = document.base_dir / config.base
        if not base_path.is_file():
            raise document.error(_BASE, f"{config.base!r} does not exist, name a backtest file")
        base = load_backtest_file(base_path)
        file = OptimizationFile(path, config, base.config, base.base_dir, lines)
    else:
        backtest = validate(_inline(document), BacktestDocument).backtest
        file = OptimizationFile(path, config, backtest, document.base_dir, lines)
    config = with_whole_ranges(config, file.backtest, file.base_dir)
    file = replace(file, config=config)
    _raise(document, study_problems(config, file.backtest, file.base_dir))
    return file


def _config(document: Document) -> OptimizationConfig:
    found = space_problems(document)
    try:
        config = validate(document, OptimizationDocument).optimization
    except ConfigError as error:
        # The model says the same about the space, but only where the section begins.
        others = (
            [text for text in error.problems if not _IS_SPACE.search(text)]
            if found
            else (error.problems)
        )
        told = [document.problem(place, text) for place, text in found]
        raise ConfigError([*told, *others], cause=error) from error
    _raise(document, found)
    return config


def _raise(document: Document, found: Sequence[Problem]) -> None:
    if found:
        ordered = sorted(found, key=lambda item: document.line(item[0]))
        raise ConfigError(document.problem(place, text) for place, text in ordered)


def _inline(document: Document) -> Document:
    """Return the backtest inside the study as a document of its own, with its lines."""
    section = document.data[SECTION]
    body = section["base"] if isinstance(section, dict) else None
    if not isinstance(body, dict):
        raise document.error(_BASE, "is neither a path nor a backtest document")
    is_whole = "backtest" in body
    prefix: Path = () if is_whole else ("backtest",)
    lines: dict[Path, int] = {(): document.line(_BASE)}
    for place, line in document.lines.items():
        if place[: len(_BASE)] == _BASE:
            lines[(*prefix, *place[len(_BASE) :])] = line
    return Document(document.path, body if is_whole else {"backtest": body}, lines)
