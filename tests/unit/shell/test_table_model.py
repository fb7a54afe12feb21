"""The table's view model: cursor and marks by id, order held still, windows only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tui.state.columns import Column
from tui.state.table import Query, TableModel, Window
from tui.state.table_text import empty_lines, table_title


@dataclass(frozen=True, slots=True)
class Row:
    """A row with a live value."""

    id: str
    value: int


@dataclass
class Rows:
    """A source over rows that a test changes; it counts what it was asked for."""

    rows: list[Row]
    noun: str = "rows"
    home: Query = field(default_factory=Query)
    tail: bool = False
    asked: list[int] = field(default_factory=list)
    columns: tuple[Column[Row], ...] = (
        Column("id", "Id", 4, lambda row: (row.id, ""), frozen=True),
        Column("value", "Value", 5, lambda row: (str(row.value), ""), live=True),
    )

    def _matching(self, query: Query) -> list[Row]:
        rows = [row for row in self.rows if query.filter_text in row.id]
        if query.sort == "value":
            rows.sort(key=lambda row: row.value, reverse=query.descending)
        return rows

    def window(self, query: Query, start: int, count: int) -> Window[Row]:
        self.asked.append(count)
        rows = self._matching(query)
        return Window(tuple(rows[start : start + count]), start, len(rows), len(self.rows))

    def index_of(self, query: Query, row_id: str) -> int | None:
        ids = [row.id for row in self._matching(query)]
        return ids.index(row_id) if row_id in ids else None

    def row_id(self, row: Row) -> str:
        return row.id

    def find(self, row_id: str) -> Row | None:
        return next((row for row in self.rows if row.id == row_id), None)


def table(count: int, *, height: int = 5, tail: bool = False) -> tuple[TableModel[Row], Rows]:
    source = Rows([Row(f"r{number:03d}", number) for number in range(count)], tail=tail)
    model = TableModel(source)
    model.refresh(now=0.0, height=height)
    return model, source


def shown(model: TableModel[Row]) -> list[str]:
    return [row.id for row in model.rows]


def test_the_first_row_has_the_cursor() -> None:
    model, _ = table(10)
    assert (model.cursor, model.cursor_id) == (0, "r000")


def test_only_the_rows_on_show_are_asked_for() -> None:
    model, source = table(10_000)
    model.move_to(9_999)
    model.refresh(now=1.0)
    assert max(source.asked) == 5
    assert shown(model) == ["r9995", "r9996", "r9997", "r9998", "r9999"]


def test_the_cursor_follows_its_row_when_rows_come_in_front() -> None:
    model, source = table(10)
    model.move(2)
    source.rows[:0] = [Row("new1", 0), Row("new2", 0)]
    model.refresh(now=1.0)
    assert (model.cursor, model.cursor_id) == (4, "r002")


def test_the_view_goes_along_when_the_row_leaves_it() -> None:
    model, source = table(10)
    model.move(2)
    source.rows[:0] = [Row(f"new{number}", 0) for number in range(6)]
    model.refresh(now=1.0)
    assert model.cursor_id == "r002"
    assert "r002" in shown(model)


def test_without_following_the_view_stays() -> None:
    model, source = table(10)
    model.follow = False
    source.rows[:0] = [Row(f"new{number}", 0) for number in range(6)]
    model.refresh(now=1.0)
    assert model.top == 0
    assert (model.cursor, model.cursor_id) == (6, "r000")


def test_a_row_that_goes_leaves_the_cursor_at_its_place() -> None:
    model, source = table(10)
    model.move(3)
    del source.rows[3]
    model.refresh(now=1.0)
    assert (model.cursor, model.cursor_id) == (3, "r004")


def test_the_last_row_that_goes_moves_the_cursor_up() -> None:
    model, source = table(3)
    model.move_to(2)
    del source.rows[2]
    model.refresh(now=1.0)
    assert (model.cursor, model.cursor_id) == (1, "r001")


def test_scrolling_leaves_the_cursor_with_its_row_and_a_move_brings_the_view_back() -> None:
    model, _ = table(100)
    model.scroll_to(50)
    model.refresh(now=1.0)
    assert (model.top, model.cursor_id) == (50, "r000")
    assert not model.cursor_in_view
    model.move(1)
    assert (model.cursor_id, model.top) == ("r001", 1)


def test_marks_belong_to_ids_and_survive_filtering() -> None:
    model, _ = table(20)
    model.toggle_mark()
    model.move(1)
    model.toggle_mark()
    model.set_filter("r01")
    assert list(model.marks) == ["r000", "r001"]
    assert [row.id for row in model.chosen()] == ["r000", "r001"]


def test_chosen_is_the_row_under_the_cursor_without_marks() -> None:
    model, _ = table(3)
    model.move(1)
    assert [row.id for row in model.chosen()] == ["r001"]


def test_marks_of_rows_that_are_gone_are_forgotten() -> None:
    model, source = table(3)
    model.toggle_mark()
    del source.rows[0]
    assert model.chosen() == ()
    assert not model.marks


def test_mark_all_takes_what_the_filter_shows() -> None:
    model, _ = table(30)
    model.set_filter("r00")
    model.mark_all()
    assert len(model.marks) == 10
    model.unmark_all()
    assert not model.marks


def test_a_filter_keeps_the_cursor_on_its_row_if_it_passes() -> None:
    model, _ = table(30)
    model.move_to(12)
    model.set_filter("r01")
    assert model.cursor_id == "r012"
    model.set_filter("r00")
    assert model.cursor_id == "r000"


def test_sorting_twice_by_a_column_reverses_and_off_goes_home() -> None:
    model, _ = table(5)
    model.sort_by("value")
    assert model.query.descending
    model.sort_by("value")
    assert not model.query.descending
    model.sort_by("id")
    assert (model.query.sort, model.query.descending) == ("id", False)
    model.sort_off()
    assert model.query == Query()


def by_value() -> tuple[TableModel[Row], Rows]:
    model, source = table(20)
    model.move_to(19)
    model.sort_by("value")
    model.refresh(now=10.0)
    return model, source


def swap_first_two(source: Rows) -> None:
    best = max(row.value for row in source.rows)
    second = next(i for i, row in enumerate(source.rows) if row.value == best - 1)
    source.rows[second] = replace(source.rows[second], value=best + 10)


def test_live_order_is_held_for_a_second_while_values_change() -> None:
    model, source = by_value()
    before = shown(model)
    swap_first_two(source)
    model.refresh(now=10.5)
    assert shown(model) == before
    assert model.rows[1].value == 29
    model.refresh(now=11.5)
    assert shown(model)[:2] == ["r018", "r019"]
    assert model.cursor_id == "r019"


def test_live_order_is_held_as_long_as_there_are_marks() -> None:
    model, source = by_value()
    model.toggle_mark()
    before = shown(model)
    swap_first_two(source)
    model.refresh(now=60.0)
    assert shown(model) == before


def test_live_order_is_held_for_a_second_after_a_move() -> None:
    model, source = by_value()
    model.refresh(now=20.0)
    model.refresh(now=20.9)
    model.move(1)
    before = shown(model)
    swap_first_two(source)
    model.refresh(now=21.7)
    assert shown(model) == before


def test_a_held_row_that_is_gone_ends_the_hold() -> None:
    model, source = by_value()
    source.rows = [row for row in source.rows if row.id != "r018"]
    model.refresh(now=10.5)
    assert "r018" not in shown(model)


def test_a_row_that_moved_far_away_keeps_its_place_and_its_new_value() -> None:
    model, source = by_value()
    source.rows[19] = Row("r019", -100)
    model.refresh(now=10.5)
    assert (model.rows[0].id, model.rows[0].value) == ("r019", -100)


def test_a_tail_shows_the_newest_row_until_the_operator_goes_up() -> None:
    model, source = table(10, tail=True)
    assert model.cursor_id == "r009"
    source.rows.append(Row("r010", 10))
    model.refresh(now=1.0)
    assert model.cursor_id == "r010"
    model.move(-1)
    source.rows.append(Row("r011", 11))
    model.refresh(now=2.0)
    assert model.cursor_id == "r009"
    model.move_to(10**6)
    source.rows.append(Row("r012", 12))
    model.refresh(now=3.0)
    assert model.cursor_id == "r012"


def test_an_empty_list_has_no_cursor_and_takes_every_key() -> None:
    model, _ = table(0)
    model.move(1)
    model.move_to(5)
    model.toggle_mark()
    model.mark_all()
    model.scroll_to(9)
    model.sort_by("value")
    model.set_filter("x")
    model.refresh(now=1.0)
    assert model.current is None
    assert model.chosen() == ()
    assert not model.marks


def test_a_range_of_marks_goes_from_the_last_marked_row_to_the_cursor() -> None:
    model, _ = table(20)
    model.mark_range()
    assert list(model.marks) == ["r000"]
    model.unmark_all()
    model.move_to(2)
    model.toggle_mark()
    model.move_to(6)
    model.mark_range()
    assert sorted(model.marks) == ["r002", "r003", "r004", "r005", "r006"]
    model.move_to(9)
    model.mark_range()  # goes on from the sixth
    assert sorted(model.marks) == [f"r00{number}" for number in range(2, 10)]


def test_a_range_of_marks_goes_upwards_too() -> None:
    model, _ = table(20)
    model.move_to(8)
    model.toggle_mark()
    model.move_to(5)
    model.mark_range()
    assert list(model.marks) == ["r008", "r007", "r006", "r005"]


def test_a_range_whose_start_is_filtered_away_is_the_row_under_the_cursor() -> None:
    model, _ = table(20)
    model.toggle_mark()
    model.set_filter("r01")
    model.move_to(3)
    model.mark_range()
    assert list(model.marks) == ["r000", "r013"]


def test_the_title_says_how_many_marked_rows_the_filter_hides() -> None:
    model, source = table(20)
    for index in (0, 1, 11):
        model.move_to(index)
        model.toggle_mark()
    assert model.hidden_marks() == 0
    model.set_filter("r01")
    assert model.hidden_marks() == 2
    assert "3 marked, 2 not shown" in table_title("Rows", model)
    asked = len(source.asked)
    assert model.hidden_marks() == 2
    assert len(source.asked) == asked  # not counted again at once
    model.set_filter("")
    assert model.hidden_marks() == 0


def test_a_table_that_gets_no_answer_says_how_old_its_last_one_is() -> None:
    model, _ = table(3)
    first, second = (line[-1][0] for line in empty_lines(model, "", "OSError: no disk", 41.7))
    assert first == "OSError: no disk"
    assert second.strip() == "last answer 41s ago · r tries again"
    assert empty_lines(model, "", "OSError: no disk")[1][0][0].strip() == "r tries again"
