"""What the operator may choose about the console."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

SETTINGS_FILE: Final = "config.yaml"
KEYMAP_FILE: Final = "keymap.yaml"
DEFAULT_THEME: Final = "quarterdeck-dark"
TIME_FORMATS: Final = ("utc", "local", "relative")
PNL_COLORS: Final = ("theme", "blue_orange", "green_red", "red_green", "none")
_CHOSEN: Final = ("theme", "time_format", "pnl_colors")
_PLAIN: Final = re.compile(r"[A-Za-z][\w-]*")


def _no_keys() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the console.

    ``fps`` is how often a second the visible screen asks the engine, 0 only when told (tests).
    ``pnl_colors`` is the pair of colours of profit and loss: the theme's own, or another.
    ``keymap`` maps action ids to keys, comma separated. ``read_only`` dims whatever acts.
    """

    theme: str = DEFAULT_THEME
    fps: int = 10
    time_format: str = "utc"
    pnl_colors: str = "theme"
    read_only: bool = False
    keymap: Mapping[str, str] = field(default_factory=_no_keys)

    def __post_init__(self) -> None:
        if not 0 <= self.fps <= 30:
            msg = f"fps is {self.fps}; allowed are 0 to 30"
            raise ValueError(msg)
        if self.time_format not in TIME_FORMATS:
            msg = f"time_format is {self.time_format!r}; allowed are {', '.join(TIME_FORMATS)}"
            raise ValueError(msg)
        if self.pnl_colors not in PNL_COLORS:
            msg = f"pnl_colors is {self.pnl_colors!r}; allowed are {', '.join(PNL_COLORS)}"
            raise ValueError(msg)


_DEFAULTS: Final = Settings()


class SettingsError(ValueError):
    """The settings file cannot be used; the message names file, field and value."""


def load_usable_settings(config_dir: Path) -> tuple[Settings, str]:
    """Return the settings of ``config.yaml``, or defaults and one sentence on what is wrong."""
    try:
        return load_settings(config_dir), ""
    except SettingsError as error:
        return _DEFAULTS, f"The defaults are used, and no choice is saved: {error}"


def load_settings(config_dir: Path) -> Settings:
    """Return the settings of ``config.yaml`` in *config_dir*, defaults if there is none.

    Keys in ``keymap.yaml`` beside it, lines such as ``exec.stop: x,ctrl+k``, go before those of
    its ``keymap``.

    Raises:
        SettingsError: the file is no mapping of known settings, or of actions and keys.
    """
    path, keys_path = config_dir / SETTINGS_FILE, config_dir / KEYMAP_FILE
    values: dict[str, Any] = {}
    if path.is_file():
        values = _known_values(path, _read_yaml(path))
    if keys_path.is_file():
        loaded = _read_yaml(keys_path)
        if isinstance(loaded, dict) and set(loaded) == {"keymap"}:
            loaded = loaded["keymap"]  # as `quarterdeck keys --format yaml` prints it
        if isinstance(loaded, dict):
            loaded = {name: str(key) if type(key) is int else key for name, key in loaded.items()}
        if not _is_keymap(loaded):
            raise SettingsError(f"{keys_path}: write {_KINDS['keymap'][1]}")
        values = {**values, "keymap": {**values.get("keymap", {}), **loaded}}
    try:
        return Settings(**values)
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error


def _read_yaml(path: Path) -> Any:  # noqa: ANN401 (whatever the file holds)
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise SettingsError(f"{path}: cannot be read: {line}{error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{path}: cannot be read: {reason}") from error


def save_settings(config_dir: Path, settings: Settings) -> None:
    """Write what is chosen in the console, such as the theme, to ``config.yaml``.

    Every other line of the file stays as it is, and nothing is written for a default that the file
    does not name. The file is readable by its owner only.

    Raises:
        OSError: the directory or the file cannot be read or written.
    """
    path = config_dir / SETTINGS_FILE
    text = before = path.read_text(encoding="utf-8") if path.is_file() else ""
    for name in _CHOSEN:
        text = _with_value(text, name, getattr(settings, name), getattr(_DEFAULTS, name))
    if text == before:
        return
    config_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o600)
    fresh.replace(path)


def _with_value(text: str, name: str, value: str, default: str) -> str:
    """Return YAML *text* with *value* in the line of *name*, or in a new line at the end."""
    line = f"{name}: {_scalar(value)}"
    pattern = re.compile(rf"^{name}[ \t]*:[^#\n]*?(?P<note>[ \t]+#.*)?$", re.MULTILINE)
    if pattern.search(text):
        return pattern.sub(lambda match: line + (match["note"] or ""), text, count=1)
    if value == default:
        return text
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n"


def _scalar(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else json.dumps(value)


def _is_keymap(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(word, str) for pair in value.items() for word in pair
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_KINDS: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = MappingProxyType(
    {
        "theme": (_is_text, f"a name such as {DEFAULT_THEME}"),
        "fps": (lambda value: type(value) is int, "a whole number from 0 to 30"),
        "time_format": (_is_text, f"one of {', '.join(TIME_FORMATS)}"),
        "pnl_colors": (_is_text, f"one of {', '.join(PNL_COLORS)}"),
        "read_only": (lambda value: isinstance(value, bool), "true or false"),
        "keymap": (_is_keymap, "lines of action and key such as 'exec.new: n'"),
    }
)


def _known_values(path: Path, loaded: object) -> dict[str, Any]:
    if not isinstance(loaded, dict):
        raise SettingsError(f"{path}: is not a mapping, write lines such as 'theme: nord'")
    for name in loaded:
        if name not in _names():
            near = get_close_matches(str(name), _names(), n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise SettingsError(
                f"{path}: {name}: is not a known setting{hint}; known: {', '.join(_names())}"
            )
    for name, value in loaded.items():
        is_kind, kind = _KINDS[name]
        if not is_kind(value):
            raise SettingsError(f"{path}: {name} is {value!r}; write {kind}")
    return loaded


def _names() -> tuple[str, ...]:
    return tuple(one.name for one in fields(Settings))
