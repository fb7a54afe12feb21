"""Live trading files: YAML to configuration, every mistake with its file and line (CFG-2)."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from engine.config.document import ConfigError, Document, load_document, validate
from engine.config.overlays import Layered, layer
from engine.config.problems import describe_all
from engine.config.yaml_tree import Path, Plain
from engine.flow.errors import ConfigurationError
from engine.live.live_config import (
    LIVE,
    PAPER,
    LiveConfig,
    LiveDocument,
    LiveStrategySection,
)
from engine.strategies.catalogue import StrategyType, strategy_types

SECTION: Final = "live_trading"
_COMPONENTS: Final[Path] = (SECTION, "components")
_BROKERS: Final = {LIVE: "LiveBroker", PAPER: "SimulatedBroker"}


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A file that can be run: its configuration, and where each value came from."""

    path: pathlib.Path
    config: LiveConfig
    layered: Layered
    kinds: tuple[StrategyType, ...]
    """How its strategies are made."""

    @property
    def kind(self) -> StrategyType:
        """Return how its only strategy is made, the first of several."""
        return self.kinds[0]

    def containers(self) -> tuple[tuple[str, LiveConfig, tuple[StrategyType, ...]], ...]:
        """Return (name, configuration, how its strategies are made) of each container."""
        found = self.config.containers()
        if len(found) == 1:
            return ((*found[0], self.kinds),)
        return tuple(
            (name, config, (kind,)) for (name, config), kind in zip(found, self.kinds, strict=True)
        )

    @property
    def base_dir(self) -> pathlib.Path:
        """Return the folder that the paths in the file start from."""
        return self.path.parent

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what a person should think about, each with the file and its line."""
        document = self.layered.document
        return tuple(document.problem((SECTION,), one) for one in self.config.warnings)


def load_live_file(path: pathlib.Path) -> LiveConfig:
    """Return the live trading configuration in the file *path*.

    Raises:
        ConfigError: something is wrong; every mistake is listed.
    """
    return read_live_file(path).config


def read_live_file(
    path: pathlib.Path, *, profile: str | None = None, overrides: Iterable[str] = ()
) -> LiveFile:
    """Return the live trading file *path* with overlays applied and everything checked.

    Raises:
        ConfigError: something is wrong; every mistake is listed.
    """
    document = load_document(path)
    if SECTION not in document.data:
        raise document.error((SECTION,), "is missing: a live trading file has this section")
    layered = layer(document, section=SECTION, profile=profile, overrides=overrides)
    document = layered.document
    _check_broker(document)
    config = validate(document, LiveDocument).live_trading
    places: list[Path] = [(*_COMPONENTS, "strategy")]
    if config.components.strategy is None:
        places = [
            (*_COMPONENTS, "strategies", index)
            for index in range(len(config.components.strategies))
        ]
    kinds = tuple(
        _check_strategy(document, config, section, place)
        for section, place in zip(config.components.all_strategies, places, strict=True)
    )
    return LiveFile(path, config, layered, kinds)


def effective_live_config(config: LiveConfig) -> dict[str, Any]:
    """Return *config* as JSON values, under the keys of the file."""
    values: dict[str, Any] = json.loads(config.model_dump_json(by_alias=True))
    return values


def live_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a live trading file."""
    return LiveDocument.model_json_schema(by_alias=True)


def _check_broker(document: Document) -> None:
    """Refuse a broker that does not fit the mode, at its own line."""
    mode = _at(document, (SECTION, "mode"))
    wanted = _BROKERS.get(PAPER if mode is None else str(mode))
    found = _at(document, (*_COMPONENTS, "broker", "class"))
    if wanted is None or (found is None and wanted == "SimulatedBroker"):
        return
    if found is None:
        raise document.error(
            (*_COMPONENTS, "broker"), f"class is missing: mode {mode} needs the class {wanted}"
        )
    if found in _BROKERS.values() and found != wanted:
        raise document.error(
            (*_COMPONENTS, "broker", "class"),
            f"{found!r} is not allowed in mode {mode or PAPER}, must be {wanted!r}",
        )


def _check_strategy(
    document: Document, config: LiveConfig, section: LiveStrategySection, place: Path
) -> StrategyType:
    kind = _find_type(document, config, section, place)
    try:
        kind.params_model.model_validate(section.params)
    except ValidationError as error:
        plain: Any = section.params
        found = describe_all(error.errors(include_url=False), plain, kind.params_model)
        problems = [document.problem((*place, "params", *at), text) for at, text in found]
        raise ConfigError(problems, cause=error) from error
    return kind


def _find_type(
    document: Document, config: LiveConfig, section: LiveStrategySection, place: Path
) -> StrategyType:
    known = strategy_types()
    if section.kind in known:
        return known[section.kind]
    if not config.allow_imports:
        raise document.error(
            (*place, "class"),
            f"strategy {section.kind!r} is not known, allowed: {', '.join(sorted(known))}, or "
            "package.module.Class with its package in allow_imports",
        )
    # Imports the user's code: only for files that ask for it.
    from engine.backtest.config import StrategySection
    from engine.backtest.strategy_loading import find_strategy_type

    try:
        return find_strategy_type(
            StrategySection.model_validate({"class": section.kind, "params": section.params}),
            base_dir=document.base_dir,
            allow_imports=config.allow_imports,
        )
    except ConfigurationError as error:
        raise document.error((*place, "class"), error.message) from error


def _at(document: Document, path: Path) -> Plain:
    value: Plain = document.data
    for step in path:
        value = value.get(str(step)) if isinstance(value, dict) else None
    return value
