"""Replay files: YAML to configuration, every mistake with its file and line (CFG-2)."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from engine.backtest.replay_settings import ReplayConfig, ReplayDocument
from engine.config.document import ConfigError, load_document, validate
from engine.config.overlays import Layered, layer

SECTION: Final = "replay"


@dataclass(frozen=True, slots=True)
class ReplayFile:
    """A replay that can be run, and where each value came from."""

    path: pathlib.Path
    config: ReplayConfig
    layered: Layered

    @property
    def log(self) -> pathlib.Path:
        """Return the recording."""
        return self.path.parent / self.config.log

    @property
    def base_dir(self) -> pathlib.Path | None:
        """Return the folder of the data, None if the recording says where they are."""
        return None if self.config.base_dir is None else self.path.parent / self.config.base_dir


def read_replay_file(
    path: pathlib.Path, *, profile: str | None = None, overrides: Iterable[str] = ()
) -> ReplayFile:
    """Return the replay in the file *path* with overlays applied and everything checked.

    Raises:
        ConfigError: something is wrong; every mistake is listed.
    """
    document = load_document(path)
    if SECTION not in document.data:
        raise document.error((SECTION,), "is missing: a replay file has this section")
    layered = layer(document, section=SECTION, profile=profile, overrides=overrides)
    document = layered.document
    config = validate(document, ReplayDocument).replay
    file = ReplayFile(path, config, layered)
    problems = []
    if not file.log.exists():
        text = f"{config.log!r} does not exist, name the folder of a result or a file of events"
        problems.append(document.problem((SECTION, "log"), text))
    if file.base_dir is not None and not file.base_dir.is_dir():
        text = f"{config.base_dir!r} is no folder"
        problems.append(document.problem((SECTION, "base_dir"), text))
    if problems:
        raise ConfigError(problems)
    return file


def effective_replay_config(config: ReplayConfig) -> dict[str, Any]:
    """Return *config* as JSON values, under the keys of the file."""
    values: dict[str, Any] = json.loads(config.model_dump_json(by_alias=True))
    return values


def replay_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a replay file."""
    return ReplayDocument.model_json_schema(by_alias=True)
