"""Whatever the value: no exception, no second line, the promised width."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui import formatting as show

ANY_DECIMAL = st.decimals(allow_nan=True, allow_infinity=True)
ANY_NUMBER = ANY_DECIMAL | st.floats() | st.integers() | st.none()
MONEY = st.decimals(min_value=-(10**15), max_value=10**15, places=4)


@given(value=ANY_NUMBER)
def test_no_number_can_break_the_screen(value: show.Number | None) -> None:
    texts = [
        show.format_money(value),
        show.format_signed_money(value),
        show.format_decimal(value),
        show.format_percent(value),
        show.format_share(value),
        show.format_compact(value),
    ]
    assert all(text and "E" not in text and "\n" not in text for text in texts)


@given(value=MONEY)
def test_money_reads_back_within_half_a_cent(value: Decimal) -> None:
    shown = Decimal(show.format_money(value).replace(",", ""))
    assert abs(shown - value) <= Decimal("0.005")


@given(value=MONEY)
def test_arrow_sign_and_direction_agree(value: Decimal) -> None:
    text, way = show.format_signed_money(value), show.direction(value)
    assert text[0] == {"up": "▲", "down": "▼", "flat": "·"}[way]
    assert ("+" in text, "-" in text) == (way == "up", way == "down")


@given(value=MONEY)
def test_prices_lose_nothing(value: Decimal) -> None:
    assert Decimal(show.format_decimal(value).replace(",", "")) == value


@given(seconds=st.floats() | st.none(), at_ns=st.integers() | st.none())
def test_no_time_can_break_the_screen(seconds: float | None, at_ns: int | None) -> None:
    assert show.format_duration(seconds)
    assert show.format_clock(at_ns, millis=True)


@given(values=st.lists(st.floats() | st.none(), max_size=40), width=st.integers(-2, 20))
def test_a_sparkline_has_its_width(values: list[float | None], width: int) -> None:
    assert cell_len(show.sparkline(values, width)) == max(width, 0)


@given(text=st.text(), width=st.integers(-2, 30))
def test_text_fits_its_cells_on_one_line(text: str, width: int) -> None:
    assert cell_len(show.clip(text, width)) <= max(width, 0)
    assert cell_len(show.fit(text, width)) == max(width, 0)
    assert show.clean(text).isprintable() or not show.clean(text)
