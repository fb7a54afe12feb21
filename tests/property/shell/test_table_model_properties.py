"""Whatever the engine and the operator do, the table's view model holds its promises."""

from __future__ import annotations

from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tui.state.columns import Column
from tui.state.table import Query, TableModel, Window


@dataclass(frozen=True, slots=True)
class Row:
    """A row with a live value."""

    id: str
    value: int


@dataclass
class Rows:
    """Rows that come, go and change."""

    rows: list[Row] = field(default_factory=list)
    noun: str = "rows"
    home: Query = field(default_factory=Query)
    tail: bool = False
    columns: tuple[Column[Row], ...] = (
        Column("id", "Id", 4, lambda row: (row.id, ""), frozen=True),
        Column("value", "Value", 5, lambda row: (str(row.value), ""), live=True),
    )

    def matching(self, query: Query) -> list[Row]:
        rows = [row for row in self.rows if query.filter_text in row.id]
        if query.sort:
            rows.sort(key=lambda row: getattr(row, query.sort), reverse=query.descending)
        return rows

    def window(self, query: Query, start: int, count: int) -> Window[Row]:
        rows = self.matching(query)
        return Window(tuple(rows[start : start + count]), start, len(rows), len(self.rows))

    def index_of(self, query: Query, row_id: str) -> int | None:
        ids = [row.id for row in self.matching(query)]
        return ids.index(row_id) if row_id in ids else None

    def row_id(self, row: Row) -> str:
        return row.id

    def find(self, row_id: str) -> Row | None:
        return next((row for row in self.rows if row.id == row_id), None)


class TableMachine(RuleBasedStateMachine):
    """Operator and engine in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.source = Rows()
        self.model: TableModel[Row] = TableModel(self.source)
        self.now = 0.0
        self.created = 0

    @initialize(count=st.integers(0, 30), tail=st.booleans())
    def start(self, count: int, tail: bool) -> None:
        self.source.tail = tail
        for _ in range(count):
            self.create(0)
        self.refresh(0.0, 5)

    @rule(value=st.integers(-9, 9))
    def create(self, value: int) -> None:
        self.created += 1
        self.source.rows.append(Row(f"r{self.created}", value))

    @rule(place=st.integers(0, 99))
    def remove(self, place: int) -> None:
        if self.source.rows:
            del self.source.rows[place % len(self.source.rows)]

    @rule(place=st.integers(0, 99), value=st.integers(-9, 9))
    def change(self, place: int, value: int) -> None:
        if self.source.rows:
            place %= len(self.source.rows)
            self.source.rows[place] = Row(self.source.rows[place].id, value)

    @rule(seconds=st.floats(0, 3), height=st.integers(1, 12))
    def refresh(self, seconds: float, height: int) -> None:
        self.now += seconds
        self.model.refresh(now=self.now, height=height)
        if self.model.window.matching:
            self.same_rows_as_the_source()

    def same_rows_as_the_source(self) -> None:
        for row in self.model.rows:
            assert self.source.find(row.id) is not None

    @rule(delta=st.integers(-40, 40))
    def move(self, delta: int) -> None:
        self.model.move(delta)

    @rule(top=st.integers(-3, 60))
    def scroll(self, top: int) -> None:
        self.model.scroll_to(top)

    @rule(key=st.sampled_from(["id", "value", ""]))
    def sort(self, key: str) -> None:
        if key:
            self.model.sort_by(key)
        else:
            self.model.sort_off()

    @rule(text=st.sampled_from(["", "1", "2", "zz"]))
    def filter_rows(self, text: str) -> None:
        self.model.set_filter(text)

    @rule(every=st.booleans())
    def mark(self, every: bool) -> None:
        before = dict(self.model.marks)
        if every:
            self.model.mark_all()
            assert before.keys() <= self.model.marks.keys()
        else:
            self.model.toggle_mark()

    @rule()
    def choose(self) -> None:
        for row in self.model.chosen():
            assert self.source.find(row.id) is not None

    @rule()
    def follow(self) -> None:
        self.model.follow = not self.model.follow

    @invariant()
    def never_more_rows_than_fit(self) -> None:
        assert len(self.model.rows) <= self.model.height

    @invariant()
    def cursor_and_top_are_inside(self) -> None:
        assert self.model.top >= 0
        assert 0 <= self.model.cursor <= max(0, self.model.window.matching - 1)


TableMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestTableMachine = TableMachine.TestCase
