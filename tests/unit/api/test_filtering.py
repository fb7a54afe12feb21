"""The filter language of the executor table (engine/api/filtering.py)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.api.filtering import NUMBER_FIELDS, TEXT_FIELDS, FilterError, parse_filter
from engine.testing.fake_rows import make_row

ROW = replace(
    make_row(3),
    id="9WiA4guY",
    last_error="order rejected by venue: off the tick",
    net_pnl_quote=Decimal("-12.5526"),
    net_pnl_pct=Decimal("-0.0078"),
    age_s=3_305.0,
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "sell",
        "BTC run",
        "state:running",
        "status:RUN side:sell",
        "pnl<0",
        "pnl<=-12.5526 pnl>=-12.5526",
        "pnl=-12.5526",
        "pnl_pct<-0.7%",
        "pnl%<-0.0077",
        "age>55m age<1h",
        "age>3304 age<3305.5s",
        "entry>64k entry<0.1m",
        "retries:3",
        "retries=3",
        "!buy",
        "!state:failed",
        "!!sell",
        '"off the tick"',
        'error:"off the"',
        '!"on the tick"',
        'state:""',
    ],
)
def test_matches(text: str) -> None:
    assert parse_filter(text)(ROW)


@pytest.mark.parametrize(
    "text",
    ["EUR", "sell eur", "state:failed", "pnl>0", "age<1m", "!sell", '"the off"', "close:x", "!"],
)
def test_does_not_match(text: str) -> None:
    assert not parse_filter(text)(ROW)


def test_an_unknown_number_matches_no_comparison() -> None:
    row = replace(ROW, entry_price=None)
    assert not parse_filter("entry<1")(row)
    assert not parse_filter("entry>=1")(row)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"open', "not closed"),
        ("colour:red", "no field 'colour'; fields are id, type"),
        ("colour<1", "no field 'colour'"),
        ("pnl<", "pnl< needs a number, not ''"),
        ("pnl<abc", "not 'abc'"),
        ("pnl<nan", "not 'nan'"),
        ("state<1", "state is text: write state:1"),
        ("state>", "write state:value"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", TEXT_FIELDS)
def test_every_text_field_can_be_searched(name: str) -> None:
    assert parse_filter(f"{name}:{TEXT_FIELDS[name](ROW)[:4]}")(ROW)


@pytest.mark.parametrize("name", NUMBER_FIELDS)
def test_every_number_field_can_be_compared(name: str) -> None:
    assert parse_filter(f"{name}>-9999999")(ROW) is (NUMBER_FIELDS[name](ROW) is not None)
