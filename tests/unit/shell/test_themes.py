"""Theme files: the shipped ones are good, a bad one says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from textual.color import Color
from textual.theme import BUILTIN_THEMES

from tui.settings import DEFAULT_THEME, PNL_COLORS
from tui.theming import (
    ThemeFileError,
    complete,
    load_theme,
    parse_theme,
    theme_names,
    with_pnl_colors,
)

THEMES = Path(__file__).parents[3] / "themes"
SHIPPED = (
    "quarterdeck-cb", "quarterdeck-dark", "quarterdeck-hc", "quarterdeck-light", "quarterdeck-mono",
)  # fmt: skip
TEXT = ("foreground", "muted", "stale", "pnl-up", "pnl-down", "pnl-flat", "warning", "error",
        "success", "accent", "primary", "secondary", "marked")  # fmt: skip


def variables(name: str) -> dict[str, str]:
    theme = load_theme(THEMES, name)
    return complete({**theme.to_color_system().generate(), **theme.variables})


def luminance_contrast(one: str, other: str) -> float:
    def luminance(text: str) -> float:
        parts = [channel / 255 for channel in Color.parse(text).rgb]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_five_themes_ship_and_the_default_is_among_them() -> None:
    assert theme_names(THEMES) == SHIPPED
    assert DEFAULT_THEME in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_text_has_enough_contrast(name: str) -> None:
    colors = variables(name)
    for role in TEXT:
        assert luminance_contrast(colors[role], colors["background"]) >= 4.5, role
    for role in ("frame", "primary"):
        assert luminance_contrast(colors[role], colors["background"]) >= 3, role


@pytest.mark.parametrize("name", SHIPPED)
def test_the_row_under_the_cursor_stays_readable(name: str) -> None:
    colors = variables(name)
    for ground in ("cursor", "cursor-idle"):
        assert luminance_contrast(colors["foreground"], colors[ground]) >= 4.5, ground
        for role in ("pnl-up", "pnl-down", "muted"):
            assert luminance_contrast(colors[role], colors[ground]) >= 3, (role, ground)


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "quarterdeck-mono"])
def test_curves_in_one_chart_have_colours_of_their_own(name: str) -> None:
    colors = variables(name)
    series = [colors[f"series-{number}"] for number in range(1, 5)]
    for place, one in enumerate(series):
        assert luminance_contrast(one, colors["background"]) >= 3
        for other in series[:place]:
            pairs = zip(Color.parse(one).rgb, Color.parse(other).rgb, strict=True)
            distance = [a - b for a, b in pairs]
            assert sum(map(abs, distance)) >= 90, (one, other)


@pytest.mark.parametrize("name", SHIPPED)
def test_badges_are_readable(name: str) -> None:
    colors = variables(name)
    for mode in ("paper", "test", "replay"):
        assert luminance_contrast(colors["mode-text"], colors[f"mode-{mode}"]) >= 4.5, mode
    assert luminance_contrast(colors["mode-live-text"], colors["mode-live"]) >= 4.5
    assert luminance_contrast(colors["mode-armed-text"], colors["mode-armed"]) >= 4.5


@pytest.mark.parametrize("name", SHIPPED)
def test_the_quick_reader_reads_what_yaml_reads(name: str) -> None:
    text = (THEMES / f"{name}.yaml").read_text(encoding="utf-8")
    quick = parse_theme(text, source=name)
    slow = parse_theme(yaml.safe_dump(yaml.safe_load(text)), source=name)
    assert quick == slow


@pytest.mark.parametrize("name", sorted(BUILTIN_THEMES))
def test_every_theme_of_textual_gets_the_missing_variables(name: str) -> None:
    theme = BUILTIN_THEMES[name]
    colors = complete({**theme.to_color_system().generate(), **theme.variables})
    for variable in ("pnl-up", "pnl-down", "muted", "cursor", "mode-paper", "mode-text", "frame"):
        assert Color.parse(colors[variable])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nprimary: blau\n", "primary: 'blau' is not a colour"),
        ("name: x\nprimry: '#ffffff'\n", "primry: unknown field"),
        ("name: x\n", "primary: a theme needs a primary colour"),
        ("primary: '#ffffff'\n", "name: a theme needs a name"),
        ("name: x\nprimary: '#ffffff'\nvariables: 7\n", "variables: 7 is not a mapping"),
        ("name: x\nprimary: '#ffffff'\nvariables:\n  muted: 7\n", "variables.muted: 7 is not"),
        ("name: x\ndark: night\nprimary: '#ffffff'\n", "dark: 'night' is not true or false"),
        ("name: [x\n", ":2: this is not YAML"),
        ("- a\n", "a theme is a mapping"),
    ],
    ids=lambda value: value[:24],
)
def test_a_bad_file_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ThemeFileError, match=r"^mine\.yaml") as caught:
        parse_theme(text, source="mine.yaml")
    assert message in str(caught.value)


def test_an_unknown_theme_lists_those_there_are() -> None:
    with pytest.raises(ThemeFileError, match="there is no theme 'nrod'; there are quarterdeck-cb"):
        load_theme(THEMES, "nrod")


@pytest.mark.parametrize("pair", PNL_COLORS)
@pytest.mark.parametrize("name", SHIPPED)
def test_every_pair_of_colours_of_profit_can_be_read(name: str, pair: str) -> None:
    colors = with_pnl_colors(variables(name), pair)
    for role in ("pnl-up", "pnl-down"):
        assert luminance_contrast(colors[role], colors["background"]) >= 4.5, role
    if pair == "theme":
        assert colors == variables(name)


def test_swapped_colours_are_those_of_the_other() -> None:
    own = variables("quarterdeck-dark")
    one, other = with_pnl_colors(own, "green_red"), with_pnl_colors(own, "red_green")
    assert (one["pnl-up"], one["pnl-down"]) == (other["pnl-down"], other["pnl-up"])
