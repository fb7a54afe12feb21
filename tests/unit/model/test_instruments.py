"""UNIT-1 to UNIT-8: grids, exact conversion, named rounding."""

from __future__ import annotations

import copy
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.instruments import (
    ConnectorPair,
    Instrument,
    NonIntegralScaleError,
    OffGridError,
)

D = Decimal
BTC = Instrument(
    ConnectorPair("paper", "BTC-USDT"),
    tick=D("0.1"),
    lot=D("0.0001"),
    min_qty=D("0.00015"),
    min_notional=D(5),
    maker_ppb=200_000,
    taker_ppb=500_000,
)


def test_a_market_knows_its_assets() -> None:
    assert (BTC.market.base, BTC.market.quote) == ("BTC", "USDT")
    assert str(BTC.market) == "paper:BTC-USDT"


def test_a_market_is_a_value() -> None:
    same, other = ConnectorPair("paper", "BTC-USDT"), ConnectorPair("paper", "ETH-USDT")
    assert same == BTC.market
    assert hash(same) == hash(BTC.market)
    assert sorted([other, same]) == [same, other]
    assert repr(same) == "ConnectorPair(connector_name='paper', trading_pair='BTC-USDT')"
    assert copy.copy(same) == same
    assert same.__reduce__() == (ConnectorPair, ("paper", "BTC-USDT"))


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**12))
def test_the_grid_converts_both_ways_without_loss(ticks: int, lots: int) -> None:
    assert BTC.to_ticks(BTC.price(ticks)) == ticks
    assert BTC.to_lots(BTC.qty(lots)) == lots
    atoms = BTC.notional_atoms(ticks, lots)
    assert BTC.money(atoms) == BTC.price(ticks) * BTC.qty(lots)
    assert BTC.to_atoms(BTC.money(atoms)) == atoms


@pytest.mark.parametrize("price", ["0.05", "64000.01", "NaN", "Infinity"])
def test_a_price_off_the_grid_is_refused(price: str) -> None:
    with pytest.raises(OffGridError, match="price"):
        BTC.to_ticks(D(price))


@pytest.mark.parametrize(
    ("price", "is_buy", "passive", "adverse"),
    [("100.05", True, 1000, 1001), ("100.05", False, 1001, 1000), ("100.1", True, 1001, 1001)],
)
def test_rounding_has_a_direction(price: str, is_buy: bool, passive: int, adverse: int) -> None:
    assert BTC.passive_ticks(D(price), is_buy=is_buy) == passive
    assert BTC.adverse_ticks(D(price), is_buy=is_buy) == adverse


def test_amounts_round_toward_zero_and_market_data_half_even() -> None:
    assert BTC.floor_lots(D("0.00019")) == 1
    assert BTC.nearest_ticks(D("100.05")) == 1000
    assert BTC.nearest_ticks(D("100.15")) == 1002


def test_minimums_round_up() -> None:
    assert BTC.min_lots == 2
    assert BTC.min_notional_atoms == 500_000_000
    assert not BTC.is_tradable(1, 10**9)
    assert not BTC.is_tradable(2, 10)
    assert BTC.is_tradable(2, 250_000)


@pytest.mark.parametrize(
    ("taker_ppb", "notional", "fee"),
    [(500_000, 1_000_000, 500), (500_000, 1_000_001, 501), (-500_000, 1_000_001, -500), (0, 9, 0)],
)
def test_a_fee_rounds_up_and_a_rebate_toward_zero(taker_ppb: int, notional: int, fee: int) -> None:
    instrument = replace(BTC, taker_ppb=taker_ppb)
    assert instrument.fee_atoms(notional, is_maker=False) == fee


def test_a_scale_finer_than_an_atom_is_refused() -> None:
    with pytest.raises(NonIntegralScaleError, match="raise money_precision"):
        replace(BTC, lot=D("0.00000001"))


@pytest.mark.parametrize("step", ["0", "-1", "NaN"])
def test_a_step_must_be_positive(step: str) -> None:
    with pytest.raises(OffGridError, match="tick"):
        replace(BTC, tick=D(step))
