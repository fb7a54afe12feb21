"""Sums, sentences and ladders behind the dialogs and the detail screen."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.api.views import FormCheck, FormField, PositionRow
from engine.testing.fake_details import make_detail
from engine.testing.fake_rows import make_row
from tui.formatting import plural
from tui.modals.quit import quit_lines
from tui.state import detail_text, form_lines, stop_text
from tui.state.ladder_text import ladder_lines
from tui.state.text import Line, line_width, plain


def text_of(lines: list[Line]) -> str:
    return "\n".join(plain(line) for line in lines)


def test_facts_add_up_by_asset_with_signs() -> None:
    rows = [make_row(0), make_row(3), make_row(2), make_row(4)]
    facts = stop_text.gather_facts(rows, make_detail(make_row(5)).orders)
    assert facts.count == 4
    assert facts.working_orders == 1
    assert facts.amounts == {"BTC": Decimal("0.0150"), "EUR": Decimal(-25_000)}
    assert facts.notional["EUR" if "EUR" in facts.notional else "USD"] == Decimal("27099.25000")
    assert facts.pnl["USDT"] == make_row(0).net_pnl_quote + make_row(3).net_pnl_quote
    rate = make_row(2).fees_quote / make_row(2).volume_quote
    assert facts.fee["USD"] == facts.notional["USD"] * rate


def test_a_fee_that_was_never_paid_is_not_guessed() -> None:
    row = replace(make_row(0), volume_quote=Decimal(0), mark_price=None)
    facts = stop_text.gather_facts([row], ())
    assert facts.fee == {}
    assert facts.notional == {"USDT": row.filled_amount * Decimal("64120.0")}
    assert "costs" not in text_of(stop_text.consequence_lines(facts, keep=False))


def test_longs_and_shorts_that_cancel_out_trade_nothing_net() -> None:
    rows = [make_row(0), replace(make_row(0), side="SELL")]
    text = text_of(stop_text.consequence_lines(stop_text.gather_facts(rows, ()), keep=False))
    assert "longs and shorts cancel out" in text


def test_only_active_executors_can_be_stopped() -> None:
    rows = [make_row(place) for place in range(18)]
    states = {row.lifecycle for row in stop_text.stoppable(rows)}
    assert states == {"created", "running"}


def test_long_lists_are_counted_not_cut_silently() -> None:
    lines = stop_text.executor_lines([make_row(place) for place in range(9)])
    assert len(lines) == stop_text.MAX_LISTED + 1
    assert plain(lines[-1]) == "… and 4 more"


@pytest.mark.parametrize(("count", "text"), [(1, "1 executor"), (2_000, "2,000 executors")])
def test_plural(count: int, text: str) -> None:
    assert plural(count, "executor") == text


def test_quit_without_a_mark_values_positions_at_entry() -> None:
    position = PositionRow("c", "BTC-USDT", Decimal(2), Decimal(10), None, Decimal(0), Decimal(0),
                           Decimal(0), Decimal(0))  # fmt: skip
    text = text_of(quit_lines((), 0, (position, replace(position, amount=Decimal(0)))))
    assert "20.00 USDT" in text
    assert text.count("BTC") == 1


def test_the_ladder_stands_in_proportion_around_the_mark() -> None:
    detail = make_detail(make_row(0))
    lines = ladder_lines(detail.row, detail.barriers, None, width=60, height=23)
    place = {plain(line).split()[0]: number for number, line in enumerate(lines) if plain(line)}
    assert place["take"] == 0
    assert place["stop"] == 20
    gap = (Decimal("66043.6") - Decimal("64480.4")) / (Decimal("66043.6") - Decimal("62837.6"))
    assert place["mark"] == round(gap * 20)
    assert all(line_width(line) <= 60 for line in lines)


@pytest.mark.parametrize(("place", "role"), [(0, "up"), (3, "down"), (2, "up")])
def test_the_axis_between_entry_and_mark_says_who_wins(place: int, role: str) -> None:
    detail = make_detail(make_row(place))
    lines = ladder_lines(detail.row, detail.barriers, None, width=60, height=120)
    assert {line[1][1] for line in lines if len(line) == 2 and line[1][0] == "┃"} == {role}


def test_a_ladder_without_prices_or_after_the_end_says_so() -> None:
    created = make_detail(make_row(4))
    row = replace(created.row, mark_price=None, entry_price=None)
    text = text_of(ladder_lines(row, created.barriers, 0, width=60, height=9))
    assert "No price to wait for yet." in text
    assert "time limit" in text
    ended = text_of(ladder_lines(make_row(10), (), 0, width=60, height=9))
    assert "It has ended" in ended
    assert "entry" in ended
    assert "-2.91%" in ended


def test_a_time_limit_counts_down_and_then_is_over() -> None:
    detail = make_detail(make_row(0))
    limit = detail.barriers[-1]
    assert limit.at_ns is not None
    before = ladder_lines(detail.row, [limit], limit.at_ns - 90 * 10**9, width=60, height=9)
    after = ladder_lines(detail.row, [limit], limit.at_ns + 1, width=60, height=9)
    assert "in 1m30s" in text_of(before)
    assert "is over" in text_of(after)
    unknown = ladder_lines(detail.row, [replace(limit, at_ns=None)], 0, width=60, height=9)
    assert "at no fixed time" in text_of(unknown)


def test_tables_drop_columns_before_they_cut_them() -> None:
    table = detail_text.orders_table(make_detail(make_row(10)))
    wide, narrow = plain(table.header(140)), plain(table.header(58))
    assert "Type" in wide
    assert "Id, reason" in wide
    assert narrow.split() == ["Time", "Side", "Amount", "Price", "State"]
    assert all(line_width(line) <= 60 for line in table.lines(58))


def test_a_partial_order_says_how_much() -> None:
    table = detail_text.orders_table(make_detail(make_row(5)))
    assert "80% filled" in plain(table.lines(140)[0])


def test_changed_configuration_is_bold_and_nested_below_its_group() -> None:
    table = detail_text.config_table(make_detail(make_row(0)))
    rows = {row[0][0].strip(): row for row in table.rows}
    assert rows["stop_loss"][0] == ("  stop_loss", "bold")
    assert rows["open_order_type"][0][1] == "dim"
    assert "triple_barrier_config" in rows
    assert table.count == 17


def test_a_stale_price_is_marked() -> None:
    detail = make_detail(replace(make_row(0), stale_price=True))
    assert "64,480.4 stale" in text_of(detail_text.header_lines(detail, 120))


@pytest.mark.parametrize(
    ("check", "shown", "text"),
    [
        (FormCheck(), [], "✓ ready"),
        (FormCheck({"a": "x"}), [], "… 1 field still to fill"),
        (FormCheck({"a": "x", "b": "y"}), ["a", "b"], "✗ 2 fields to correct"),
        (FormCheck({"": "the engine is starting"}), [], "⚠ the engine is starting"),
    ],
)
def test_the_preview_says_whether_it_can_be_sent(
    check: FormCheck, shown: list[str], text: str
) -> None:
    assert plain(form_lines.form_preview_lines(check, 40, shown_errors=shown)[-1]) == text


@pytest.mark.parametrize(
    ("errors", "shown", "text"),
    [
        ({"b": "x"}, [], "… 1 field still to fill: Stop loss"),
        ({"b": "x", "c": "y"}, [], "… 2 fields still to fill: Stop loss, …"),
        ({"b": "x", "c": "y"}, ["c"], "✗ 1 field to correct: Take profit"),
        ({"elsewhere": "x"}, [], "… 1 field still to fill"),
    ],
)
def test_the_verdict_names_the_field_that_may_be_scrolled_away(
    errors: dict[str, str], shown: list[str], text: str
) -> None:
    labels = {"a": "Amount", "b": "Stop loss", "c": "Take profit"}
    check = FormCheck(errors)
    lines = form_lines.form_preview_lines(check, 40, shown_errors=shown, labels=labels)
    assert plain(lines[-1]) == text


def test_a_pair_that_is_too_wide_takes_lines_of_its_own() -> None:
    check = FormCheck(preview=(("Balance", "2,579.22 of 9,120.00 USDT free"),))
    lines = [plain(line) for line in form_lines.form_preview_lines(check, 26, shown_errors=())]
    assert lines[1:4] == ["Balance", "  2,579.22 of 9,120.00", "  USDT free"]


def test_help_names_what_is_accepted() -> None:
    choice = FormField("side", "Side", "choice", required=True, choices=("BUY", "SELL"))
    assert plain(form_lines.help_line(choice, "")) == "Side: BUY or SELL · required"
    text = FormField("label", "Label", "text", required=False)
    assert plain(form_lines.help_line(text, "x")) == "Label: = x · any text"
    assert form_lines.help_line(None, "") == ()


def test_label_width_has_bounds() -> None:
    assert form_lines.label_width(()) == 14
    wide = FormField("x", "x" * 60, "text", required=True)
    assert form_lines.label_width((wide,)) == 24


@pytest.mark.parametrize(
    ("unit", "pair", "shown"),
    [
        ("base", "BTC-USDT", "BTC"),
        ("quote", "BTC-USDT", "USDT"),
        ("s", "BTC-USDT", "s"),
        ("base", "", "base"),
        ("quote", "BTC", "quote"),
    ],
)
def test_units_are_named_by_the_assets_of_the_pair(unit: str, pair: str, shown: str) -> None:
    assert form_lines.unit_name(unit, pair) == shown


def test_the_verdict_of_a_preview_that_is_too_long_stands_in_its_first_line() -> None:
    check = FormCheck(preview=tuple((f"level {n}", f"{n},000.0") for n in range(6)))
    roomy = form_lines.form_preview_lines(check, 30, shown_errors=(), height=9)
    assert [plain(line) for line in roomy][-2:] == ["", "✓ ready"]
    tight = form_lines.form_preview_lines(check, 30, shown_errors=(), height=8)
    assert plain(tight[0]) == "Preview  ✓ ready"
    assert plain(tight[-1]).split() == ["level", "5", "5,000.0"]
