"""Any string in any field is painted as text, in exactly the cells it was given."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.style import Style

from engine.api.views import ExecutorDetail, FormCheck, FormField
from engine.testing.fake_details import make_detail
from engine.testing.fake_rows import make_row
from tui.modals.quit import quit_lines
from tui.state import detail_text, form_lines, stop_text
from tui.state.ladder_text import ladder_lines
from tui.state.text import Line, plain
from tui.widgets.paint import Paint

PAINT = Paint({"foreground": "#ffffff"})
TEXT = st.text(max_size=30) | st.sampled_from(["[/b]", "[red]x", "\x1b[31m", "a\nb", "\ud800", ""])
NUMBER = st.decimals(allow_nan=True, allow_infinity=True, places=None).filter(
    lambda value: not value.is_finite() or abs(value.adjusted()) < 40
)
FINITE = st.decimals(min_value=-(10**9), max_value=10**9, places=4)


def assert_painted(lines: list[Line], width: int) -> None:
    for line in lines:
        strip = PAINT.strip(line, width, Style())
        assert strip.cell_length == width
        assert "\n" not in strip.text
        assert "\x1b" not in strip.text


@st.composite
def details(draw: st.DrawFn) -> ExecutorDetail:
    place = draw(st.integers(0, 17))
    text = draw(TEXT)
    detail = make_detail(make_row(place))
    row = replace(
        detail.row,
        id=text, type=text, controller_id=text, connector_name=text, trading_pair=draw(TEXT),
        lifecycle=draw(TEXT), close_type=draw(st.none() | TEXT), last_error=draw(TEXT),
        net_pnl_quote=draw(NUMBER), net_pnl_pct=draw(NUMBER), fees_quote=draw(FINITE),
        mark_price=draw(st.none() | NUMBER), entry_price=draw(st.none() | NUMBER),
        trend=tuple(draw(st.lists(st.floats(), max_size=12))), age_s=draw(st.floats()),
    )  # fmt: skip
    return replace(
        detail,
        row=row,
        config=tuple(replace(item, value=draw(TEXT)) for item in detail.config[:4]),
        barriers=tuple(
            replace(item, name=text, note=draw(TEXT), price=draw(st.none() | NUMBER))
            for item in detail.barriers
        ),
        orders=tuple(replace(item, reason=text, state=text) for item in detail.orders),
        fills=tuple(replace(item, fill_id=text, role=text) for item in detail.fills),
        timeline=tuple(replace(item, text=draw(TEXT)) for item in detail.timeline),
        info=((text, draw(TEXT)),),
    )


@settings(max_examples=60)
@given(detail=details(), width=st.integers(20, 160), height=st.integers(1, 30))
def test_every_part_of_a_detail_is_painted(detail: ExecutorDetail, width: int, height: int) -> None:
    assert_painted(detail_text.header_lines(detail, width), width)
    for _, make in detail_text.TABS:
        table = make(detail)
        assert_painted([table.header(width), *table.lines(width)], width)
        assert len(table.plain().splitlines()) >= 1
    ladder = ladder_lines(detail.row, detail.barriers, None, width=width, height=height)
    assert len(ladder) <= height
    assert_painted(ladder, width)


@settings(max_examples=60)
@given(
    detail=details(),
    width=st.integers(20, 100),
    keep=st.booleans(),
    filled=FINITE,
)
def test_every_dialog_is_painted(
    detail: ExecutorDetail, width: int, keep: bool, filled: Decimal
) -> None:
    row = replace(detail.row, filled_amount=filled, mark_price=Decimal(1), lifecycle="running",
                  net_pnl_quote=filled)  # fmt: skip
    rows = [row] * 7
    facts = stop_text.gather_facts(rows, detail.orders)
    assert_painted(stop_text.executor_lines(rows), width)
    assert_painted(stop_text.consequence_lines(facts, keep=keep), width)
    assert_painted(quit_lines(rows, 9, ()), width)


@given(label=TEXT, value=TEXT, width=st.integers(12, 80), required=st.booleans())
def test_every_form_is_painted(label: str, value: str, width: int, required: bool) -> None:
    item = FormField(label, label, "text", required, default=value, unit=value, help=value)
    check = FormCheck({label: value}, {label: value}, ((label, value), (value, label)))
    lines = [
        form_lines.label_line(item, focused=True, wrong=False),
        form_lines.note_line(item, value, changed_from=label, trading_pair=value),
        *form_lines.error_lines(value, width),
        form_lines.help_line(item, value),
        *form_lines.form_preview_lines(check, width, shown_errors=[label]),
    ]
    assert_painted(lines, width)


@given(prices=st.lists(st.decimals(min_value=1, max_value=10**6, places=2), min_size=1,
                       max_size=12), height=st.integers(1, 60))  # fmt: skip
def test_the_ladder_keeps_the_order_of_prices(prices: list[Decimal], height: int) -> None:
    detail = make_detail(make_row(0))
    stop = next(item for item in detail.barriers if item.kind == "stop_loss")
    barriers = [replace(stop, price=price, name=str(place)) for place, price in enumerate(prices)]
    row = replace(detail.row, mark_price=Decimal(500))
    lines = ladder_lines(row, barriers, 0, width=60, height=max(height, len(prices) + 3))
    shown = [plain(line).split() for line in lines]
    order = [prices[int(words[0])] for words in shown if words and words[0].isdigit()]
    assert order == sorted(prices, reverse=True)
