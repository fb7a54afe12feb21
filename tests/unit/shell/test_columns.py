"""Which columns fit, and where they stand."""

from __future__ import annotations

import pytest

from tui.state.columns import GUTTER, Column, lay_out
from tui.state.executor_source import COLUMNS


def keys(width: int, *, wide: bool = False, offset: int = 0) -> list[str]:
    return [slot.column.key for slot in lay_out(COLUMNS, width, wide=wide, offset=offset)]


@pytest.mark.parametrize("width", [60, 77, 100, 117, 140, 197, 300])
def test_id_state_and_profit_are_never_hidden(width: int) -> None:
    assert {"id", "state", "pnl", "pnl_pct"} <= set(keys(width))


def test_all_columns_show_where_there_is_room() -> None:
    assert keys(197) == [column.key for column in COLUMNS]


def test_80_columns_show_one_or_two_more() -> None:
    assert keys(77) == ["id", "pair", "side", "state", "pnl", "pnl_pct", "age"]


@pytest.mark.parametrize("width", range(1, 220, 7))
@pytest.mark.parametrize("wide", [False, True])
def test_slots_never_overlap_and_never_leave_the_table(width: int, wide: bool) -> None:
    x = GUTTER
    for slot in lay_out(COLUMNS, width, wide=wide):
        assert slot.x >= x
        assert slot.width > 0
        x = slot.x + slot.width
        assert x <= max(width, GUTTER)


def test_scrolling_the_columns_keeps_the_frozen_one() -> None:
    assert keys(60, wide=True, offset=4)[:2] == ["id", "amount"]


def test_a_flexible_column_takes_what_is_left() -> None:
    columns: tuple[Column[str], ...] = (
        Column("a", "A", 5, lambda row: (row, "")),
        Column("b", "B", 5, lambda row: (row, ""), flexible=True),
    )
    slots = lay_out(columns, 40)
    assert slots[-1].x + slots[-1].width == 40
