"""UNIT-9, PF-2 to PF-5: an instrument in another currency, converted at the rate's last mark."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.portfolio.account_settings import AccountSettings
from engine.portfolio.fx_account import FxAccount

SAP, RATE = 0, 1


def account(*, settlement: Settlement = Settlement.SPOT, **more: Any) -> FxAccount:
    precision = int(more.pop("money_precision", 8))
    made = [
        Instrument(
            ConnectorPair("backtest", name),
            Decimal(tick),
            Decimal(1),
            settlement=kind,
            money_precision=precision,
        )
        for name, tick, kind in (
            ("SAP", "0.01", settlement),
            ("EURUSD", "0.01", Settlement.SPOT),
        )
    ]
    terms = AccountSettings.model_validate({"money_precision": precision, **more})
    return FxAccount(instruments=made, settings=terms, rates={SAP: RATE})


def money(atoms: int) -> Decimal:
    return Decimal(atoms).scaleb(-8)


def test_fills_and_marks_are_converted_at_the_last_rate() -> None:
    held = account()
    held.mark(RATE, 110)
    held.mark(SAP, 10_000)
    held.book_fill(SAP, 1, 10, 10_000, 0)
    assert money(held.cash) == 98_900
    assert money(held.equity) == 100_000
    held.mark(RATE, 120)  # the rate alone gains 100 on 1,000 EUR
    assert money(held.equity) == 100_100
    held.mark(SAP, 11_000)
    assert money(held.equity) == 100_220
    realised = held.book_fill(SAP, -1, 25, 11_000, 10**8)
    assert money(realised) == 220
    assert money(held.cash) == 98_900 + 25 * 132 - 1
    assert money(held.positions[SAP].cost) == 15 * 132
    held.check()


def test_what_is_paid_is_rounded_up_and_what_is_received_down() -> None:
    held = account(money_precision=2)
    held.mark(RATE, 107)
    held.mark(SAP, 3333)
    position = held.positions[SAP]
    assert position.flow(1, 1, 3333) == -3567  # 33.33 * 1.07 = 35.6631
    assert position.flow(-1, 1, 3333) == 3566
    assert (position.worth(1, 3333), position.worth(-1, 3333)) == (3566, -3567)
    assert position.burden(1, 3333) == 3567
    held.book_fill(SAP, 1, 1, 3333, 0)
    assert held.equity == 100_000_00 - 1
    held.check()


def test_a_rate_that_was_never_marked_is_not_known() -> None:
    held = account()
    assert not held.positions[SAP].has_rate
    assert held.positions[RATE].has_rate
    held.mark(RATE, 200)
    assert held.positions[SAP].has_rate
    assert held.positions[SAP].rate == (200, 100)


def test_funding_and_dividends_are_converted() -> None:
    held = account()
    held.mark(RATE, 110)
    held.mark(SAP, 10_000)
    held.book_fill(SAP, 1, 10, 10_000, 0)
    assert money(held.pay_funding(SAP, 1_000_000)) == Decimal("1.1")
    assert money(held.pay_dividend(SAP, 2 * 10**8)) == 22
    assert money(held.equity) == 100_000 - Decimal("1.1") + 22
    held.check()


@pytest.mark.parametrize("settlement", list(Settlement))
@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("rate"), st.integers(1, 300)),
            st.tuples(st.just("mark"), st.integers(1, 20_000)),
            st.tuples(st.just("buy"), st.integers(1, 50), st.integers(1, 20_000)),
            st.tuples(st.just("sell"), st.integers(1, 50), st.integers(1, 20_000)),
        ),
        max_size=30,
    ),
    precision=st.sampled_from([2, 8]),
)
def test_nothing_is_lost_or_made(
    settlement: Settlement, steps: list[tuple[Any, ...]], precision: int
) -> None:
    held = account(settlement=settlement, money_precision=precision)
    held.mark(RATE, 107)
    held.mark(SAP, 5000)
    for kind, *numbers in steps:
        if kind == "rate":
            held.mark(RATE, numbers[0])
        elif kind == "mark":
            held.mark(SAP, numbers[0])
        else:
            held.book_fill(SAP, 1 if kind == "buy" else -1, numbers[0], numbers[1], 3)
        held.check()
    position = held.positions[SAP]
    if not position.lots:
        assert position.cost == 0
