"""Netting ledger of one market: PF-2, PF-3, PF-12."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.portfolio.ledger import MarketLedger, divide_half_even

MARKET = ConnectorPair("paper", "ACME-USD")


def ledger(settlement: Settlement = Settlement.DERIVATIVE) -> MarketLedger:
    """One tick x one lot is one atom."""
    return MarketLedger(
        Instrument(
            MARKET, tick=Decimal(1), lot=Decimal(1), settlement=settlement, money_precision=2
        )
    )


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [
        (7, 2, 4),
        (5, 2, 2),
        (-5, 2, -2),
        (-7, 2, -4),
        (1, 3, 0),
        (2, 3, 1),
        (-2, 3, -1),
        (6, 3, 2),
        (0, 9, 0),
    ],
)
def test_division_rounds_half_to_even(numerator: int, denominator: int, quotient: int) -> None:
    assert divide_half_even(numerator, denominator) == quotient


def test_fills_in_one_direction_add_cost() -> None:
    book = ledger()
    book.trade(sign=1, lots=2, ticks=10)
    book.trade(sign=1, lots=1, ticks=13)
    assert (book.net_lots, book.cost_atoms, book.realised_atoms) == (3, 3300, 0)


def test_partial_close_removes_cost_half_even_and_the_last_close_the_rest() -> None:
    instrument = Instrument(MARKET, tick=Decimal(1), lot=Decimal(1), money_precision=0)
    book = MarketLedger(instrument)
    book.trade(sign=1, lots=1, ticks=10)
    book.trade(sign=1, lots=2, ticks=11)
    assert book.cost_atoms == 32
    book.trade(sign=-1, lots=1, ticks=12)
    # 32 / 3 = 10.67 is removed as 11, so 12 - 11 is realised.
    assert (book.cost_atoms, book.realised_atoms) == (21, 1)
    book.trade(sign=-1, lots=1, ticks=12)
    # 21 / 2 = 10.5 is removed as 10, the even neighbour.
    assert (book.cost_atoms, book.realised_atoms) == (11, 3)
    book.trade(sign=-1, lots=1, ticks=12)
    assert (book.net_lots, book.cost_atoms, book.realised_atoms) == (0, 0, 4)


def test_a_fill_through_zero_opens_a_position_at_its_own_price() -> None:
    book = ledger()
    book.trade(sign=1, lots=3, ticks=10)
    book.trade(sign=-1, lots=5, ticks=8)
    assert (book.net_lots, book.cost_atoms, book.realised_atoms) == (-2, 1600, -600)
    assert book.sign == -1


def test_cash_moves_by_value_in_spot_and_by_result_in_a_derivative() -> None:
    spot, derivative = ledger(Settlement.SPOT), ledger()
    assert spot.trade(sign=1, lots=2, ticks=10) == -2000
    assert spot.trade(sign=-1, lots=2, ticks=12) == 2400
    assert derivative.trade(sign=1, lots=2, ticks=10) == 0
    assert derivative.trade(sign=-1, lots=2, ticks=12) == 400


def test_a_mark_between_two_ticks_is_exact() -> None:
    book = MarketLedger(Instrument(MARKET, tick=Decimal(1), lot=Decimal(1), money_precision=0))
    book.trade(sign=1, lots=1, ticks=10)
    book.mark_twice = 10 + 11
    assert book.unrealised_twice == 1


def test_the_first_fill_marks_a_market_without_a_mark() -> None:
    book = ledger()
    book.trade(sign=1, lots=1, ticks=10)
    assert (book.mark_twice, book.unrealised_twice) == (20, 0)


def test_margin_follows_the_leverage_of_what_was_opened() -> None:
    book = ledger()
    book.trade(sign=1, lots=10, ticks=100, leverage=5)
    assert book.initial_margin_atoms == 10 * 100 * 100 // 5
    book.trade(sign=1, lots=10, ticks=100, leverage=1)
    assert book.initial_margin_atoms == 20_000 + 100_000
    book.trade(sign=-1, lots=10, ticks=100)
    assert book.initial_margin_atoms == 60_000
    book.trade(sign=-1, lots=10, ticks=100)
    assert book.initial_margin_atoms == 0


def test_spot_positions_use_no_margin() -> None:
    book = ledger(Settlement.SPOT)
    book.trade(sign=1, lots=10, ticks=100, leverage=5)
    assert book.initial_margin_atoms == 0
