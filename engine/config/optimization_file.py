"""Optimisation files: YAML to a study's configuration and the backtest that it varies (CFG-2)."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ValidationError

from engine.backtest.config import BacktestConfig, BacktestDocument
from engine.backtest.market_data import MarketDataStore
from engine.config.backtest_file import load_backtest_file
from engine.config.document import ConfigError, Document, load_document, validate
from engine.config.overlays import layer
from engine.config.yaml_tree import Path
from engine.optimization.backtest_trials import BaseRun
from engine.optimization.config import OptimizationConfig, OptimizationDocument

SECTION: Final = "optimization"
_BASE: Final[Path] = (SECTION, "base")


@dataclass(frozen=True, slots=True)
class OptimizationFile:
    """A study that can be run: its configuration, and the backtest with its folder."""

    path: pathlib.Path
    config: OptimizationConfig
    backtest: BacktestConfig
    base_dir: pathlib.Path

    def load_base(self) -> BaseRun:
        """Read the bars of the backtest.

        Raises:
            MarketDataError: a file of bars cannot be used.
        """
        data = MarketDataStore().load(self.backtest, self.base_dir)
        return BaseRun(self.backtest, self.base_dir, data)

    def with_changes(self, **changes: Any) -> OptimizationFile:  # noqa: ANN401 (keys of the section)
        """Return the study with other values, as the command line gives them.

        Raises:
            ConfigError: they do not fit.
        """
        values = self.config.model_dump() | changes
        try:
            config = OptimizationConfig.model_validate(values)
        except ValidationError as error:
            problems = [
                f"{self.path}:1: {'.'.join(str(step) for step in item['loc']) or SECTION}: "
                f"{item['msg'].removeprefix('Value error, ')}"
                for item in error.errors(include_url=False)
            ]
            raise ConfigError(problems, cause=error) from error
        return replace(self, config=config)


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
    config = validate(document, OptimizationDocument).optimization
    if isinstance(config.base, str):
        base_path = document.base_dir / config.base
        if not base_path.is_file():
            raise document.error(_BASE, f"{config.base!r} does not exist, name a backtest file")
        base = load_backtest_file(base_path)
        return OptimizationFile(path, config, base.config, base.base_dir)
    backtest = validate(_inline(document), BacktestDocument).backtest
    return OptimizationFile(path, config, backtest, document.base_dir)


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
