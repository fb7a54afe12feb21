"""Styled lines keep their width, whatever is in them."""

from __future__ import annotations

from tui.state.text import clip_line, ends, line_width, pad_line, plain


def test_a_line_that_fits_stays() -> None:
    line = (("ab", "up"), ("cd", ""))
    assert clip_line(line, 4) == line


def test_what_is_cut_ends_in_an_ellipsis_in_the_role_of_the_cut() -> None:
    assert clip_line((("abc", "up"), ("def", "down")), 5) == (("abc", "up"), ("d…", "down"))


def test_a_cut_between_two_spans_still_has_an_ellipsis() -> None:
    assert plain(clip_line((("abc", ""), ("def", "")), 4)) == "abc…"


def test_no_room_is_no_text() -> None:
    assert plain(clip_line((("abc", ""),), 0)) == ""


def test_wide_characters_count_two_cells() -> None:
    assert clip_line((("日本語", ""),), 4) == (("日…", ""),)
    assert line_width(clip_line((("日本語", ""),), 5)) == 5


def test_ends_clip_the_left_side_first() -> None:
    line = ends((("a long left side", ""),), (("right", ""),), 12)
    assert plain(line) == "a lon… right"


def test_pad_fills_with_plain_cells() -> None:
    assert plain(pad_line((("a", ""),), 4)) == "a   "
