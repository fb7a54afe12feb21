"""Laws of the filter language, and of the table's orders."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.api.filtering import FilterError, parse_filter
from engine.api.sorting import SORT_KEYS, sort_rows
from engine.api.views import ExecutorRow
from engine.testing.fake_rows import make_rows

ROWS = tuple(make_rows(40))
WORDS = st.text(alphabet="abcdefgBTC-USDT10._", min_size=1, max_size=5)


@given(text=st.text(max_size=30))
def test_any_text_is_a_filter_or_a_named_mistake(text: str) -> None:
    try:
        predicate = parse_filter(text)
    except FilterError:
        return
    assert {predicate(row) for row in ROWS} <= {True, False}


@given(first=WORDS, second=WORDS)
def test_two_terms_mean_and(first: str, second: str) -> None:
    both, one, other = (parse_filter(text) for text in (f"{first} {second}", first, second))
    assert [both(row) for row in ROWS] == [one(row) and other(row) for row in ROWS]


@given(word=WORDS)
def test_a_bang_negates(word: str) -> None:
    plain, negated = parse_filter(word), parse_filter(f"!{word}")
    assert [plain(row) for row in ROWS] == [not negated(row) for row in ROWS]


@given(bound=st.integers(-200, 200))
def test_comparisons_split_the_rows(bound: int) -> None:
    below, rest = parse_filter(f"pnl<{bound}"), parse_filter(f"pnl>={bound}")
    assert all(below(row) is not rest(row) for row in ROWS)


@given(
    rows=st.permutations(ROWS),
    sort=st.sampled_from([*SORT_KEYS, "no such column"]),
    descending=st.booleans(),
)
def test_an_order_does_not_depend_on_where_rows_came_from(
    rows: list[ExecutorRow], sort: str, descending: bool
) -> None:
    ordered = sort_rows(rows, sort, descending=descending)
    assert ordered == sort_rows(ROWS, sort, descending=descending)
    keys = [SORT_KEYS.get(sort, SORT_KEYS["created"])(row) for row in ordered]
    assert keys == sorted(keys, reverse=descending)
