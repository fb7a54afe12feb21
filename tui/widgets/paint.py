"""Turns the roles of styled lines into colours of the present theme."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.strip import Strip

from tui.state.text import Line, pad_line

_FOREGROUND: Final[dict[str, str]] = {
    "dim": "muted",
    "stale": "stale",
    "up": "pnl-up",
    "down": "pnl-down",
    "flat": "pnl-flat",
    "ok": "success",
    "warn": "warning",
    "error": "error",
    "accent": "accent",
    "key": "primary",
    "primary": "primary",
    "title": "foreground",
    "head": "secondary",
    "spark": "spark",
    "marked": "marked",
}
_BADGES: Final[dict[str, tuple[str, str]]] = {
    "mode-live": ("mode-live-text", "mode-live"),
    "mode-armed": ("mode-armed-text", "mode-armed"),
    "mode-paper": ("mode-text", "mode-paper"),
    "mode-test": ("mode-text", "mode-test"),
    "mode-replay": ("mode-text", "mode-replay"),
    "chip": ("background", "primary"),
    "alarm": ("mode-live-text", "mode-live"),
    "bar": ("foreground", "panel"),
}
_HEAT: Final = "heat-"
_SERIES: Final = "series-"
_EVEN_LUMINANCE: Final = 0.179
"""On a ground of this relative luminance black and white have the same contrast, 4.58 (WCAG 2)."""
_BACKGROUNDS: Final[dict[str, str]] = {"cursor": "cursor", "cursor-idle": "cursor-idle"}
_WEIGHTS: Final[dict[str, Style]] = {
    "bold": Style(bold=True),
    "title": Style(bold=True),
    "underline": Style(underline=True),
    "reverse": Style(reverse=True),
    "italic": Style(italic=True),
    "key": Style(bold=True),
    "chip": Style(bold=True),
    "alarm": Style(bold=True),
    "mode-live": Style(bold=True),
    "mode-armed": Style(bold=True),
    "mode-paper": Style(bold=True),
    "mode-test": Style(bold=True),
    "mode-replay": Style(bold=True),
}


class Paint:
    """Styles of one theme. Unknown roles paint as plain text, so painting never fails."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._styles: dict[str, Style] = {}
        self._on_ground: dict[Style, dict[str, Style]] = {}
        self.plain = Style(color=self._color("foreground"))

    def style(self, roles: str) -> Style:
        """Return the style of the space separated *roles*; later ones win."""
        style = self._styles.get(roles)
        if style is None:
            style = self.plain
            for role in roles.split():
                style += self._role(role)
            self._styles[roles] = style
        return style

    def strip(self, line: Line, width: int, ground: Style, *, under: str = "") -> Strip:
        """Return *line* as a strip of exactly *width* cells, on *ground*, on the roles *under*."""
        padded = pad_line(line, width)
        if under:
            padded = tuple([(text, f"{roles} {under}") for text, roles in padded])
        styles = self._on_ground.get(ground)
        if styles is None:
            styles = self._on_ground[ground] = {}
        segments = [
            Segment(text, styles.get(roles) or self._lay(roles, ground, styles))
            for text, roles in padded
            if text
        ]
        return Strip(segments, max(width, 0))

    def _lay(self, roles: str, ground: Style, styles: dict[str, Style]) -> Style:
        """Return the style of *roles* on *ground*, and keep it: adding styles costs a frame."""
        style = styles[roles] = ground + self.style(roles)
        return style

    def _role(self, role: str) -> Style:
        style = _WEIGHTS.get(role, Style.null())
        if role in _BADGES:
            text, ground = _BADGES[role]
            return style + Style(color=self._color(text), bgcolor=self._color(ground))
        if role.startswith(_HEAT):
            return style + self._tile(role)
        if role.startswith(_SERIES):
            return style + Style(color=self._color(role))
        if role in _BACKGROUNDS:
            return style + Style(bgcolor=self._color(_BACKGROUNDS[role]))
        if role in _FOREGROUND:
            return style + Style(color=self._color(_FOREGROUND[role]))
        return style

    def _tile(self, variable: str) -> Style:
        """Return a heat colour as ground, under the more readable of black and white."""
        try:
            ground = Color.parse(self._variables.get(variable, ""))
        except ColorParseError:
            return Style.null()
        if ground.ansi is not None:
            return Style(bgcolor=ground.rich_color)
        red, green, blue = (_linear(channel) for channel in ground.normalized)
        is_light = 0.2126 * red + 0.7152 * green + 0.0722 * blue > _EVEN_LUMINANCE
        ink = Color(0, 0, 0) if is_light else Color(255, 255, 255)
        return Style(color=ink.rich_color, bgcolor=ground.rich_color)

    def _color(self, variable: str) -> RichColor | None:
        try:
            return Color.parse(self._variables.get(variable, "")).rich_color
        except ColorParseError:
            return None


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.03928 else ((channel + 0.055) / 1.055) ** 2.4
