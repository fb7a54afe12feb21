"""Backtest files: YAML to configuration, every mistake with its file and line (CFG-2)."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from engine.backtest.config import (
    BacktestConfig,
    BacktestDocument,
    StrategySection,
    currency_problems,
)
from engine.backtest.run_hash import effective_config
from engine.backtest.strategy_loading import (
    AnyParams,
    StrategyLoadError,
    build_strategy,
    find_strategy_type,
)
from engine.config.document import ConfigError, Document, load_document, validate
from engine.config.explaining import explain_values
from engine.config.overlays import Layered, layer
from engine.config.problems import describe_all
from engine.config.yaml_tree import Path
from engine.flow.errors import ConfigurationError

SECTION: Final = "backtest"
_LINE: Final = re.compile(r".*?:(\d+): ", re.DOTALL)
_PLACE: Final = re.compile(r"([\w.]+): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class BacktestFile:
    """A file that can be run: its configuration, its folder, and where each value came from."""

    path: pathlib.Path
    config: BacktestConfig
    layered: Layered

    @property
    def base_dir(self) -> pathlib.Path:
        """Return the folder that the paths in the file start from."""
        return self.path.parent


def is_backtest_file(path: pathlib.Path) -> bool:
    """Whether *path* is a readable document with a section ``backtest``."""
    try:
        return SECTION in load_document(path).data
    except ConfigError:
        return False


def load_backtest_file(
    path: pathlib.Path, *, profile: str | None = None, overrides: Iterable[str] = ()
) -> BacktestFile:
    """Return the backtest in the file *path*, with overlays applied and everything checked.

    Raises:
        ConfigError: something is wrong; every mistake is listed, in the order of the lines.
    """
    document = load_document(path)
    if SECTION not in document.data:
        near = ", ".join(document.data) or "nothing"
        raise document.error(
            (SECTION,), f"is missing: a backtest file has a section 'backtest', this has {near}"
        )
    layered = layer(document, section=SECTION, profile=profile, overrides=overrides)
    config = _checked(layered.document)
    return BacktestFile(path, config, layered)


def load_backtest_values(
    values: Mapping[str, Any], base_dir: pathlib.Path, *, overrides: Iterable[str] = ()
) -> BacktestConfig:
    """Return a configuration of plain *values*, such as an earlier run's, with overrides.

    Raises:
        ConfigError: something is wrong; every mistake is listed.
    """
    data: dict[str, Any] = json.loads(json.dumps({"version": 1, SECTION: dict(values)}))
    document = Document(base_dir / "configuration", data, {(): 1})
    layered = layer(document, section=SECTION, profile=None, overrides=overrides)
    return _checked(layered.document)


def explain(file: BacktestFile) -> list[tuple[str, str, str]]:
    """Return (key, value, origin) of every value of the effective configuration, in order."""
    return explain_values(effective_config(file.config), file.layered, section=SECTION)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a backtest file."""
    return BacktestDocument.model_json_schema(by_alias=True)


def _checked(document: Document) -> BacktestConfig:
    """Return the configuration in *document*.

    Raises:
        ConfigError: with the mistakes that the models find and those that only a look at
            strategies and files finds, in the order of the lines.
    """
    try:
        config = validate(document, BacktestDocument).backtest
    except ConfigError as error:
        found = [(_line_of(text), text) for text in error.problems]
        found += _Parts(document).found()
        found.sort(key=lambda item: item[0])
        raise ConfigError([text for _, text in found], cause=error) from error
    problems = _Checker(document, config).problems()
    if problems:
        raise ConfigError(problems)
    return config


def _line_of(problem: str) -> int:
    match = _LINE.match(problem)
    return 0 if match is None else int(match[1])


def _place_in(message: str) -> tuple[Path, str]:
    """Return the place that *message* begins with (``orders.0.symbol: ...``), and the rest."""
    match = _PLACE.match(message)
    if match is None:
        return (), message
    steps = match[1].split(".")
    return tuple(int(step) if step.isdecimal() else step for step in steps), match[2]


class _Finder:
    """Collects problems with their lines."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: list[tuple[int, str]] = []

    def _strategy(self, path: Path, section: StrategySection, allowed: Sequence[str]) -> None:
        try:
            kind = find_strategy_type(
                section, base_dir=self._document.base_dir, allow_imports=allowed
            )
        except StrategyLoadError as error:
            self._add((*path, "class"), error.message)
            return
        if kind.params_model is AnyParams:
            try:
                build_strategy(kind, section.params)
            except StrategyLoadError as error:
                self._add((*path, "params"), error.message)
            return
        self._params((*path, "params"), kind.params_model, section.params)

    def _file(self, index: int, path: str) -> None:
        if not (self._document.base_dir / path).exists():
            self._add((SECTION, "data", index, "path"), f"{path!r} does not exist")

    def _params(self, path: Path, model: type[BaseModel], values: Mapping[str, Any]) -> None:
        try:
            model.model_validate(dict(values))
        except ValidationError as error:
            plain = self._document.value_at(path)
            for place, text in describe_all(error.errors(include_url=False), plain, model):
                self._add((*path, *place), text)

    def _add(self, path: Path, text: str) -> None:
        self._found.append((self._document.line(path), self._document.problem(path, text)))


class _Parts(_Finder):
    """Looks at the strategies and the files of a document that is no configuration as a whole."""

    def found(self) -> list[tuple[int, str]]:
        """Return (line, problem) of what could be looked at."""
        components: Path = (SECTION, "components")
        for path in ((*components, "strategy"), *self._items((*components, "strategies"))):
            try:
                section = StrategySection.model_validate(self._document.value_at(path))
            except ValidationError:
                continue  # told already, or there is none
            self._strategy(path, section, self._allowed())
        symbols: list[str] = []
        for path in self._items((SECTION, "data")):
            entry = self._document.value_at(path)
            if not isinstance(entry, dict):
                continue
            symbol, file = entry.get("symbol"), entry.get("path")
            if isinstance(symbol, str) and symbol in symbols:
                self._add((*path, "symbol"), f"{symbol!r} appears twice, one entry per symbol")
            symbols.append(str(symbol))
            if isinstance(file, str) and file:
                self._file(int(path[-1]), file)
        return self._found

    def _items(self, path: Path) -> list[Path]:
        value = self._document.value_at(path)
        return [(*path, index) for index in range(len(value))] if isinstance(value, list) else []

    def _allowed(self) -> tuple[str, ...]:
        value = self._document.value_at((SECTION, "allow_imports"))
        return tuple(map(str, value)) if isinstance(value, list) else ()


class _Checker(_Finder):
    """What the models cannot check: strategies and their parameters, files of data."""

    def __init__(self, document: Document, config: BacktestConfig) -> None:
        super().__init__(document)
        self._config = config

    def problems(self) -> list[str]:
        components: Path = (SECTION, "components")
        section, allowed = self._config.components.strategy, self._config.allow_imports
        if section is not None:
            self._strategy((*components, "strategy"), section, allowed)
        for index, one in enumerate(self._config.components.strategies):
            self._strategy((*components, "strategies", index), one, allowed)
        if not self._found:
            self._symbols()
        for place, text in currency_problems(self._config):
            self._add((SECTION, *place), text)
        self._executors()
        self._controllers()
        if self._config.executors or self._config.controllers:
            from engine.backtest.executor_settings import settings_problems

            for place, text in settings_problems(self._config):
                self._add((SECTION, *place), text)
        for index, entry in enumerate(self._config.data):
            self._file(index, entry.path)
        return [text for _, text in sorted(self._found, key=lambda item: item[0])]

    def _symbols(self) -> None:
        """Ask the strategies whether the data have the symbols that they name."""
        parts = self._config.components
        found: list[tuple[Path, StrategySection]] = [
            (("strategies", index), one) for index, one in enumerate(parts.strategies)
        ]
        if parts.strategy is not None:
            found.insert(0, (("strategy",), parts.strategy))
        known = tuple(entry.symbol for entry in self._config.data)
        for place, section in found:
            kind = find_strategy_type(
                section,
                base_dir=self._document.base_dir,
                allow_imports=self._config.allow_imports,
            )
            if kind.params_model is AnyParams:
                continue  # foreign code: it is made once more when it runs, and asked then
            path: Path = (SECTION, "components", *place, "params")
            try:
                build_strategy(kind, section.params).check_symbols(section.symbols or known)
            except StrategyLoadError as error:
                self._add(path, error.message)
            except ValueError as error:
                within, text = _place_in(str(error))
                self._add((*path, *within), text)

    def _executors(self) -> None:
        if not self._config.executors:
            return
        from engine.backtest.own_executors import load_executor_types
        from engine.executors.factory import ExecutorFactory

        try:
            load_executor_types(
                (str(section.get("type", "")) for section in self._config.executors),
                base_dir=self._document.base_dir,
                allow_imports=self._config.allow_imports,
            )
        except ConfigurationError as error:
            self._add((SECTION, "allow_imports"), error.message)
        known = ExecutorFactory.registrations()
        for index, section in enumerate(self._config.executors):
            path: Path = (SECTION, "executors", index)
            name = str(section.get("type", ""))
            if name not in known:
                self._add((*path, "type"), _unknown("executor type", name, known))
                continue
            self._params(path, known[name].config_type, section)
            self._market((*path, "trading_pair"), section)

    def _controllers(self) -> None:
        if not self._config.controllers:
            return
        from engine.backtest.own_executors import find_controller_type

        for index, section in enumerate(self._config.controllers):
            path: Path = (SECTION, "controllers", index)
            name = str(section.get("kind", ""))
            try:
                kind = find_controller_type(
                    name,
                    base_dir=self._document.base_dir,
                    allow_imports=self._config.allow_imports,
                )
            except ConfigurationError as error:
                self._add((*path, "kind"), error.message)
                continue
            params = section.get("params") or {}
            self._params((*path, "params"), kind.params_model, params)
            self._market((*path, "params", "trading_pair"), params)

    def _market(self, path: Path, values: Mapping[str, Any]) -> None:
        """Look a market up among the data: an executor trades what the file has bars of."""
        if "connector_name" not in values or "trading_pair" not in values:
            return
        currency = self._config.components.portfolio.params.currency
        named = []
        for one in self._config.data:
            pair = one.symbol if "-" in one.symbol else f"{one.symbol}-{currency}"
            named.append(f"{one.connector_name}:{pair}")
        market = f"{values['connector_name']}:{values['trading_pair']}"
        if market not in named:
            self._add(path, _unknown("market", market, named))


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    return f"{what} {name!r} is not known, allowed: {', '.join(sorted(known)) or 'none'}"
