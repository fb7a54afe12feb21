"""Any text in any field fills exactly the width asked for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import hypothesis.strategies as st
from hypothesis import given, settings

from engine.testing.fake_console import FakeConsoleEngine
from tui.formatting import clean
from tui.keymap import check_keymap
from tui.state.columns import lay_out
from tui.state.command_line import parse_command
from tui.state.executor_source import COLUMNS
from tui.state.table_text import row_line
from tui.state.text import ends, line_width, pad_line
from tui.state.top_line import top_line

ANY = st.text(max_size=40)
LINES = st.lists(st.tuples(ANY, st.sampled_from(["", "up", "bold"])), max_size=4).map(tuple)
ENGINE = FakeConsoleEngine()
ROW = ENGINE.row_at(0)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=4) | st.none()


@given(line=LINES, width=st.integers(0, 90))
def test_a_padded_line_has_the_width_asked_for(
    line: tuple[tuple[str, str], ...], width: int
) -> None:
    assert line_width(pad_line(line, width)) == width


@given(left=LINES, right=LINES, width=st.integers(1, 90))
def test_two_ends_have_the_width_asked_for(
    left: tuple[tuple[str, str], ...], right: tuple[tuple[str, str], ...], width: int
) -> None:
    assert line_width(ends(left, right, width)) == width


@settings(deadline=None)
@given(text=ANY, number=DECIMALS, width=st.integers(40, 200), wide=st.booleans())
def test_a_row_of_the_table_never_leaves_its_width(
    text: str, number: Decimal | None, width: int, wide: bool
) -> None:
    row = replace(
        ROW,
        id=text,
        type=text,
        controller_id=text,
        trading_pair=text,
        side=text,
        lifecycle=text,
        close_type=text,
        last_error=text,
        entry_price=number,
        net_pnl_quote=number or Decimal(0),
    )
    slots = lay_out(COLUMNS, width, wide=wide)
    line = row_line(slots, row, here=True, marked=True)
    assert line_width(line) <= width
    assert line_width(pad_line(line, width)) == width


@given(name=ANY, market=ANY, width=st.integers(20, 160))
def test_the_top_bar_takes_any_name(name: str, market: str, width: int) -> None:
    session = replace(ENGINE.sessions()[0], name=name, markets=(market, market))
    assert line_width(top_line(ENGINE.health(), session, width)) == width


@given(text=ANY)
def test_any_command_line_is_understood_or_explained(text: str) -> None:
    command = parse_command(text)
    assert command.problem or command.name


@given(wanted=st.dictionaries(ANY, ANY, max_size=3))
def test_any_key_map_is_taken_or_explained(wanted: dict[str, str]) -> None:
    checked = check_keymap(wanted)
    assert len(checked.keys) + len(checked.problems) == len(wanted)


@given(text=ANY)
def test_clean_text_is_one_line(text: str) -> None:
    assert "\n" not in clean(text)
