"""Themes from YAML files, and the variables that every theme is guaranteed to have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any, Final

from textual.color import Color, ColorParseError

if TYPE_CHECKING:
    from textual.theme import Theme

COLOR_FIELDS: Final = (
    "primary", "secondary", "accent", "warning", "error", "success", "foreground", "background",
    "surface", "panel",
)  # fmt: skip

_PLAIN_LINE: Final = re.compile(r'(  )?([a-z0-9-]+):(?: "(#[0-9a-f]{6})"| ([a-z-]+))?')
_DERIVED: Final[dict[str, str]] = {
    "pnl-up": "success",
    "pnl-down": "error",
    "pnl-flat": "muted",
    "frame": "muted",
    "marked": "accent",
    "mode-live": "error",
    "mode-armed": "warning",
    "mode-paper": "primary",
    "mode-test": "panel",
    "mode-replay": "secondary",
    "mode-live-text": "mode-text",
    "spark": "secondary",
    "cursor-idle": "panel",
    "series-1": "primary",
    "series-2": "accent",
    "series-3": "success",
    "series-4": "error",
    "series-5": "secondary",
    "series-6": "foreground",
}
_BLENDED: Final[dict[str, tuple[str, str, float]]] = {
    "muted": ("foreground", "background", 0.40),
    "stale": ("foreground", "background", 0.50),
    "cursor": ("background", "primary", 0.35),
}


HEAT_STEPS: Final = 7
"""Colours of a heat map, ``heat-0`` (lowest) to ``heat-6``: of rising or of falling lightness,
so that they keep their order without hue."""


_PNL_PAIRS: Final[dict[str, tuple[str, str]]] = {
    "green_red": ("success", "error"),
    "red_green": ("error", "success"),
    "none": ("foreground", "foreground"),
}
_BLUE_ORANGE: Final = {True: ("#56B4E9", "#E69F00"), False: ("#0072B2", "#D55E00")}
"""Safe for the three common deficiencies of colour vision (Okabe and Ito), by dark theme."""
_TEXT_CONTRAST: Final = 4.5


class ThemeFileError(ValueError):
    """A theme file cannot be used; the message names file, line or field, and value."""


def theme_names(themes_dir: Traversable) -> tuple[str, ...]:
    """Return the names of the theme files in *themes_dir*, sorted."""
    return tuple(
        sorted(
            entry.name.removesuffix(".yaml")
            for entry in themes_dir.iterdir()
            if entry.name.endswith(".yaml")
        )
    )


def load_theme(themes_dir: Traversable, name: str) -> Theme:
    """Read the theme *name*.

    Raises:
        ThemeFileError: there is no such file, or it cannot be used.
    """
    entry = themes_dir.joinpath(f"{name}.yaml")
    if not entry.is_file():
        known = ", ".join(theme_names(themes_dir))
        raise ThemeFileError(f"there is no theme {name!r}; there are {known}")
    return parse_theme(entry.read_text(encoding="utf-8"), source=entry.name)


def parse_theme(text: str, *, source: str) -> Theme:
    """Make a theme from YAML *text*; *source* names it in errors.

    Raises:
        ThemeFileError: not YAML, an unknown field, or a value that is no colour.
    """
    from textual.theme import Theme

    document = _plain_mapping(text) or _mapping(text, source)
    variables = document.pop("variables", None) or {}
    name, dark = document.pop("name", None), document.pop("dark", True)
    if not isinstance(name, str) or not name:
        raise ThemeFileError(f"{source}: name: a theme needs a name")
    if not isinstance(dark, bool):
        raise ThemeFileError(f"{_at(source, text, 'dark')}: dark: {dark!r} is not true or false")
    if not isinstance(variables, dict):
        place = _at(source, text, "variables")
        raise ThemeFileError(f"{place}: variables: {variables!r} is not a mapping")
    for field in document:
        if field not in COLOR_FIELDS:
            allowed = ", ".join(COLOR_FIELDS)
            place = _at(source, text, str(field))
            raise ThemeFileError(f"{place}: {field}: unknown field; allowed are {allowed}")
    if "primary" not in document:
        raise ThemeFileError(f"{source}: primary: a theme needs a primary colour")
    colors = {
        field: _color(_at(source, text, field), field, value) for field, value in document.items()
    }
    checked = {
        str(field): _color(_at(source, text, str(field)), f"variables.{field}", value)
        for field, value in variables.items()
    }
    theme = Theme(name=name, dark=dark, variables=checked, primary=colors.pop("primary"))
    for field, color in colors.items():
        setattr(theme, field, color)
    return theme


def complete(variables: Mapping[str, str]) -> dict[str, str]:
    """Return *variables* with those of the console that are missing, derived from the others."""
    result = dict(variables)
    for name, (one, other, factor) in _BLENDED.items():
        result.setdefault(name, _blend(result, one, other, factor))
    for step in range(HEAT_STEPS):
        factor = 0.1 + 0.9 * step / (HEAT_STEPS - 1)
        result.setdefault(f"heat-{step}", _blend(result, "background", "primary", factor))
    background = _parse(result.get("mode-paper", result.get("primary", "")))
    result.setdefault("mode-text", background.get_contrast_text().hex6 if background else "")
    armed = _parse(result.get("mode-armed", result.get("warning", "")))
    result.setdefault("mode-armed-text", armed.get_contrast_text().hex6 if armed else "")
    for name, source in _DERIVED.items():
        result.setdefault(name, result.get(source, result.get("foreground", "")))
    return result


def with_pnl_colors(variables: Mapping[str, str], pair: str) -> dict[str, str]:
    """Return the complete *variables* with the colours of profit and loss that *pair* names.

    ``theme`` leaves those of the theme. A colour that the ground would swallow moves towards the
    text's until it can be read.
    """
    result = dict(variables)
    ground = _parse(result.get("background", ""))
    if pair == "theme" or ground is None:
        return result
    if pair == "blue_orange":
        up, down = _BLUE_ORANGE[ground.brightness < 0.5]
    else:
        up, down = (result.get(name, "") for name in _PNL_PAIRS[pair])
    for name, value in (("pnl-up", up), ("pnl-down", down)):
        result[name] = _readable(value, ground, _parse(result.get("foreground", "")))
    return result


def _readable(value: str, ground: Color, ink: Color | None) -> str:
    color = _parse(value)
    if color is None or ink is None or any(one.ansi is not None for one in (color, ground, ink)):
        return value
    for step in range(11):
        mixed = color.blend(ink, step / 10)
        if _contrast(mixed, ground) >= _TEXT_CONTRAST:
            return mixed.hex6
    return value


def _contrast(one: Color, other: Color) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: Color) -> float:
    red, green, blue = (
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in color.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _at(source: str, text: str, key: str) -> str:
    """Return *source* with the line of *text* that gives *key*, if one does."""
    found = re.search(rf"^[ \t]*['\"]?{re.escape(key)}['\"]?[ \t]*:", text, re.MULTILINE)
    return source if found is None else f"{source}:{text.count(chr(10), 0, found.start()) + 1}"


def _plain_mapping(text: str) -> dict[str, Any] | None:
    """Read the plain form of our own files; None if YAML has to look at *text*.

    Loading PyYAML costs about 5 % of the time to the first frame.
    """
    document: dict[str, Any] = {}
    target = document
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = _PLAIN_LINE.fullmatch(line)
        if match is None:
            return None
        indent, key, color, word = match.groups()
        if color is None and word is None:
            target = document[key] = {}
            continue
        if not indent:
            target = document
        target[key] = color if color is not None else {"true": True, "false": False}.get(word, word)
    return document


def _mapping(text: str, source: str) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ThemeFileError(f"{source}{line}: this is not YAML") from error
    if not isinstance(document, dict):
        raise ThemeFileError(f"{source}: a theme is a mapping of names to colours")
    return document


def _color(source: str, field: str, value: object) -> str:
    if not isinstance(value, str) or _parse(value) is None:
        raise ThemeFileError(f"{source}: {field}: {value!r} is not a colour such as '#5ea8f2'")
    return value


def _parse(value: str) -> Color | None:
    try:
        return Color.parse(value)
    except ColorParseError:
        return None


def _blend(variables: Mapping[str, str], one: str, other: str, factor: float) -> str:
    first, second = _parse(variables.get(one, "")), _parse(variables.get(other, ""))
    if first is None or second is None or first.ansi is not None or second.ansi is not None:
        return variables.get(one, "")
    return first.blend(second, factor).hex6
