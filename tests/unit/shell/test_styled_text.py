"""Styled lines keep their width, whatever is in them."""

from __future__ import annotations

from tui.state.text import clip_facts, clip_line, ends, line_width, pad_line, plain


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


def test_blanks_at_the_end_are_no_loss() -> None:
    assert clip_line((("abc", "up"), ("  ", "")), 3) == (("abc", "up"),)


def test_facts_that_do_not_fit_go_as_a_whole() -> None:
    line = ((" next ", "dim"), ("1.2s", ""), ("  took ", "dim"), ("4ms", ""), ("  p95 ", "dim"))
    assert clip_facts(line, 40) == line
    assert plain(clip_facts(line, 20)) == " next 1.2s  took 4ms"
    assert plain(clip_facts(line, 19)) == " next 1.2s"
    assert plain(clip_facts(line, 6)) == " next…"
    assert plain(clip_facts((("日本 · 日本", ""),), 5, " · ")) == "日本"
