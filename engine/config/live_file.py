"""Live trading files: YAML to configuration, every mistake with its file and line (CFG-2)."""

from __future__ import annotations

import pathlib
from typing import Any, Final

from pydantic import ValidationError

from engine.config.document import ConfigError, load_document, validate
from engine.config.problems import describe_all
from engine.config.yaml_tree import Path
from engine.live.live_config import LiveConfig, LiveDocument
from engine.strategies.catalogue import strategy_types

SECTION: Final = "live_trading"


def load_live_file(path: pathlib.Path) -> LiveConfig:
    """Return the live trading configuration in the file *path*.

    Raises:
        ConfigError: something is wrong; every mistake is listed.
    """
    document = load_document(path)
    if SECTION not in document.data:
        raise document.error((SECTION,), "is missing: a live trading file has this section")
    config = validate(document, LiveDocument).live_trading
    place: Path = (SECTION, "components", "strategy")
    section, known = config.components.strategy, strategy_types()
    if section.kind not in known:
        raise document.error(
            (*place, "class"),
            f"strategy {section.kind!r} is not known, allowed: {', '.join(sorted(known))}",
        )
    try:
        known[section.kind].params_model.model_validate(section.params)
    except ValidationError as error:
        plain: Any = section.params
        found = describe_all(
            error.errors(include_url=False), plain, known[section.kind].params_model
        )
        problems = [document.problem((*place, "params", *at), text) for at, text in found]
        raise ConfigError(problems, cause=error) from error
    return config
