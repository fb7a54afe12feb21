"""Sparklines and foreign text in a fixed number of cells."""

from __future__ import annotations

import pytest

from tui import formatting as show

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "width", "text"),
    [
        ((0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0), 8, "▁▂▃▄▅▆▇█"),
        ((5.0, 5.0, 5.0), 3, "▄▄▄"),
        ((1.0, 2.0), 4, "  ▁█"),
        ((9.0, 1.0, 2.0), 2, "▁█"),
        ((1.0, None, NAN, 2.0), 4, "▁  █"),
        ((), 3, "   "),
        ((None,), 2, "  "),
        ((1.0,), 0, ""),
        ((-1e308, 1e308), 2, "▁█"),
    ],
)
def test_sparkline(values: tuple[float | None, ...], width: int, text: str) -> None:
    assert show.sparkline(values, width) == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain [BTC]", "plain [BTC]"),
        ("a\nb\tc", "a b c"),
        ("\x1b[31mred", "[31mred"),
        ("right\u202eleft", "rightleft"),
        ("lone \ud800 half", "lone  half"),
        ("wide\u3000space", "wide space"),
        ("naïve ▲", "naïve ▲"),
    ],
)
def test_clean_leaves_one_printable_line(text: str, cleaned: str) -> None:
    assert show.clean(text) == cleaned


@pytest.mark.parametrize(
    ("text", "width", "clipped"),
    [
        ("BTC-USDT", 8, "BTC-USDT"),
        ("BTC-USDT", 5, "BTC-…"),
        ("two words", 5, "two…"),
        ("漢字漢字", 5, "漢字…"),
        ("漢字漢字", 4, "漢…"),
        ("anything", 1, "…"),
        ("anything", 0, ""),
    ],
)
def test_clip_ends_in_an_ellipsis(text: str, width: int, clipped: str) -> None:
    assert show.clip(text, width) == clipped


def test_fit_pads_on_the_asked_side() -> None:
    assert show.fit("ab", 4) == "ab  "
    assert show.fit("ab", 4, right=True) == "  ab"
    assert show.fit("ab", 0) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("entry paper_15121bcc-O00000033: filled 0.0234", "entry O00000033: filled 0.0234"),
        ("a my-run_1b-O00000001 b my-run_1b-O00000002", "a O00000001 b O00000002"),
        (
            "executor 9JxB1WSQfjLn1buVbP8KUUUucfHfrcbjPxjXrezi9jVA: stopped",
            "executor 9JxB1WSQ: stopped",
        ),
        ("session paper-20261121T040957123 started", "session paper-20261121T040957123 started"),
        ("BTC-USDT 64,480", "BTC-USDT 64,480"),
    ],
)
def test_ids_are_shown_as_short_as_in_the_tables(text: str, shown: str) -> None:
    assert show.short_ids(text) == shown


@pytest.mark.parametrize(
    ("width", "lines"),
    [(20, ["a longer sentence"]), (9, ["a longer", "sentence"]), (6, ["a", "longer", "sente…"])],
)
def test_words_are_wrapped_at_spaces(width: int, lines: list[str]) -> None:
    assert show.wrap_words("a longer\n sentence", width) == lines


def test_short_id_is_eight_characters() -> None:
    assert show.short_id("9WiA4guYkJ3") == "9WiA4guY"
    assert show.short_id("ab\ncd") == "ab cd"


@pytest.mark.parametrize(
    ("mode", "badge", "role"),
    [
        ("live", "● LIVE", "mode-live"),
        ("paper", "◌ PAPER", "mode-paper"),
        ("backtest", "▣ TEST", "mode-test"),
        ("replay", "◀ REPLAY", "mode-replay"),
        ("odd", "? ODD", "mode-armed"),
    ],
)
def test_the_mode_is_a_shape_a_word_and_a_colour(mode: str, badge: str, role: str) -> None:
    assert show.mode_badge(mode) == badge
    assert show.mode_role(mode) == role


def test_what_is_printable_needs_no_cleaning_and_nothing_else_goes_through() -> None:
    for code in range(0x10000):
        character = chr(code)
        assert (show.clean(character) == character) is character.isprintable(), hex(code)
