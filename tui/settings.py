"""What the operator may choose about the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

SETTINGS_FILE: Final = "config.yaml"
DEFAULT_THEME: Final = "quarterdeck-dark"
TIME_FORMATS: Final = ("utc", "local", "relative")


def _no_keys() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the console.

    ``fps`` is how often a second the visible screen asks the engine, 0 only when told (tests).
    ``keymap`` maps action ids to keys, comma separated. ``read_only`` dims whatever acts.
    """

    theme: str = DEFAULT_THEME
    fps: int = 10
    time_format: str = "utc"
    read_only: bool = False
    keymap: Mapping[str, str] = field(default_factory=_no_keys)

    def __post_init__(self) -> None:
        if not 0 <= self.fps <= 30:
            msg = f"fps is {self.fps}; allowed are 0 to 30"
            raise ValueError(msg)
        if self.time_format not in TIME_FORMATS:
            msg = f"time_format is {self.time_format!r}; allowed are {', '.join(TIME_FORMATS)}"
            raise ValueError(msg)


class SettingsError(ValueError):
    """The settings file cannot be used; the message names file, field and value."""


def load_settings(config_dir: Path, *, theme: str | None = None) -> Settings:
    """Return the settings of ``config.yaml`` in *config_dir*, defaults if there is none.

    *theme* replaces the file's theme for this run.

    Raises:
        SettingsError: the file is no mapping of known settings.
    """
    path = config_dir / SETTINGS_FILE
    values: dict[str, Any] = {}
    if path.is_file():
        import yaml

        try:
            loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            raise SettingsError(f"{path}: cannot be read: {error}") from error
        values = _known_values(path, loaded or {})
    if theme is not None:
        values["theme"] = theme
    try:
        return Settings(**values)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{path}: {error}") from error


def save_settings(config_dir: Path, settings: Settings) -> None:
    """Write *settings* to ``config.yaml`` in *config_dir*, readable by its owner only.

    Raises:
        OSError: the directory or the file cannot be written.
    """
    import yaml

    config_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    plain = {name: getattr(settings, name) for name in _names()}
    plain["keymap"] = dict(settings.keymap)
    path = config_dir / SETTINGS_FILE
    fresh = path.with_suffix(".new")
    fresh.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    fresh.chmod(0o600)
    fresh.replace(path)


def _known_values(path: Path, loaded: object) -> dict[str, Any]:
    if not isinstance(loaded, dict):
        raise SettingsError(f"{path}: is not a mapping, write lines such as 'theme: nord'")
    for name in loaded:
        if name not in _names():
            near = get_close_matches(str(name), _names(), n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise SettingsError(
                f"{path}: {name}: is not a known setting{hint} known: {', '.join(_names())}"
            )
    return loaded


def _names() -> tuple[str, ...]:
    return tuple(one.name for one in fields(Settings))
