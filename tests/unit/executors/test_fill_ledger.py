"""Profit and loss of directional executors."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from engine.executors.fill_ledger import LedgerTotals, half_even, to_decimal

K = 10_000  # tick 0.1, lot 0.001, 8 decimals of money
ATOM = 10**8


def money(value: str) -> int:
    return int(Decimal(value) * ATOM)


def test_worked_example_a_open() -> None:
    totals = LedgerTotals(1, K, 2000, money("100"), fee_atoms=money("0.1"))
    assert totals.trade_pnl_atoms(515) == money("3")
    assert totals.trade_pnl_pct(515) == Fraction("0.03")
    assert totals.net_pnl_atoms(515) == money("2.9")
    assert totals.net_pnl_pct(515) == Fraction("0.029")
    assert totals.filled_atoms == money("100")


def test_worked_example_a_closed() -> None:
    totals = LedgerTotals(
        1,
        K,
        2000,
        money("100"),
        exit_lots=2000,
        exit_atoms=money("102.8"),
        fee_atoms=money("0.2028"),
    )
    assert totals.trade_pnl_atoms(1) == money("2.8")
    assert totals.net_pnl_atoms(1) == money("2.5972")
    assert totals.net_pnl_pct(999) == Fraction("0.025972")
    assert totals.filled_atoms == money("202.8")


def test_worked_example_b_partial_close() -> None:
    totals = LedgerTotals(
        1, K, 1000, money("100"), exit_lots=500, exit_atoms=money("56"), fee_atoms=money("0.156")
    )
    assert totals.trade_pnl_atoms(1060) == money("9")
    assert totals.net_pnl_atoms(1060) == money("8.844")
    assert totals.net_pnl_pct(1060) == Fraction("0.08844")
    assert totals.remaining_lots == 500
    assert totals.filled_atoms == money("156")


def test_worked_example_c_average_entry() -> None:
    totals = LedgerTotals(1, K, 350, money("30"), fee_atoms=money("0.4"))
    assert totals.trade_pnl_atoms(500) == money("-12.5")
    assert totals.net_pnl_atoms(500) == money("-12.9")
    assert totals.net_pnl_pct(500) == Fraction("-0.43")
    assert totals.entry_ticks == Fraction(6000, 7)


def test_worked_example_d_entry_fee_in_base() -> None:
    totals = LedgerTotals(1, K, 1000, money("100"), entry_fee_lots=1, fee_atoms=money("0.1"))
    assert totals.opened_lots == 999
    assert totals.trade_pnl_atoms(1000) == 0
    assert totals.net_pnl_atoms(1000) == money("-0.1")


def test_a_short_gains_when_the_ask_falls() -> None:
    totals = LedgerTotals(-1, K, 1000, money("100"))
    assert totals.net_pnl_atoms(900) == money("10")
    assert totals.net_pnl_pct(1100) == Fraction("-0.1")


def test_nothing_filled_is_zero() -> None:
    totals = LedgerTotals(1, K)
    assert totals.net_pnl_atoms(500) == 0
    assert totals.net_pnl_pct(500) == 0
    assert totals.trade_pnl_pct(500) == 0
    assert totals.filled_atoms == 0
    assert totals.net_line()[1] == 0
    assert totals.entry_ticks is None
    assert totals.cost_of(5) == 0


def test_a_residual_is_valued_at_its_entry_cost() -> None:
    totals = LedgerTotals(
        1,
        K,
        2000,
        money("100"),
        exit_lots=1999,
        exit_atoms=money("101.949"),
        residual_lots=1,
        residual_atoms=money("0.05"),
    )
    assert totals.remaining_lots == 0
    assert totals.net_pnl_atoms(1) == totals.net_pnl_atoms(10**6) == money("1.999")


@pytest.mark.parametrize("mark", [1, 480, 515])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_net_pnl_is_a_line_over_the_signed_mark(mark: int, sign: int) -> None:
    totals = LedgerTotals(sign, K, 2000, 10**10, 3, 500, 2_550_000_000, 321)
    constant, slope = totals.net_line()
    exact = Fraction(constant + slope * sign * mark, totals.scaled_basis)
    assert exact == totals.net_pnl_pct(mark)


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (5, 3, 2), (4, 3, 1), (6, 3, 2)],
)
def test_half_even(numerator: int, denominator: int, rounded: int) -> None:
    assert half_even(numerator, denominator) == rounded


def test_to_decimal_is_for_reports() -> None:
    assert to_decimal(Fraction(1, 8)) == Decimal("0.125")
