"""Slippage and commission models: UNIT-5, UNIT-8, COST-4."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.execution.commission import (
    ChargedOrder,
    CommissionModel,
    MakerTakerCommission,
    NoCommission,
    PercentCommission,
    PerTradeCommission,
)
from engine.execution.slippage import FixedSlippage, NoSlippage, RelativeSlippage
from engine.model.instruments import PPB, ConnectorPair, Instrument

GRID = Instrument(
    ConnectorPair("paper", "ACME-USD"),
    tick=Decimal("0.01"),
    lot=Decimal(1),
    maker_ppb=-200_000,
    taker_ppb=500_000,
)


@pytest.mark.parametrize(
    ("rate_ppb", "ticks", "worse"),
    [
        # 100 * (1 + 0.0005) is 100.05 and not 100.06 (UNIT-8).
        (500_000, 10_000, 5),
        (500_000, 10_001, 6),
        (0, 10_000, 0),
        (1, 1, 1),
    ],
)
def test_relative_slippage_is_rounded_against_us(rate_ppb: int, ticks: int, worse: int) -> None:
    assert RelativeSlippage(rate_ppb).worsening_ticks(ticks) == worse


def test_other_slippage() -> None:
    assert NoSlippage().worsening_ticks(100) == 0
    assert FixedSlippage(3).worsening_ticks(100) == 3


def charges(model: CommissionModel, notionals: list[int], *, is_maker: bool = False) -> list[int]:
    order = ChargedOrder()
    fees = []
    for notional in notionals:
        fee = model.fee_atoms(GRID, order, notional, is_maker=is_maker)
        fees.append(fee)
        order = ChargedOrder(
            order.fills + 1, order.notional_atoms + notional, order.fee_atoms + fee
        )
    return fees


@pytest.mark.parametrize(
    ("model", "notionals", "fees"),
    [
        (NoCommission(), [100, 100], [0, 0]),
        (PercentCommission(1_000_000), [1_000, 500, 500, 1], [1, 1, 0, 1]),
        (PercentCommission(1_000_000, min_atoms=3), [1_000, 1_000, 1_000, 1_000], [3, 0, 0, 1]),
        (PercentCommission(1_000_000, max_atoms=2), [1_000, 1_000, 1_000], [1, 1, 0]),
        (PerTradeCommission(7), [1, 1_000_000], [7, 0]),
        (MakerTakerCommission(), [2_000, 2_001], [1, 2]),
        (MakerTakerCommission(taker_ppb=1_000_000), [1_000, 1], [1, 1]),
        (MakerTakerCommission(taker_ppb=0), [1_000], [0]),
    ],
)
def test_charges_by_fill(model: CommissionModel, notionals: list[int], fees: list[int]) -> None:
    assert charges(model, notionals) == fees
    assert model.estimate_atoms(GRID, notionals[0], is_maker=False) == fees[0]


@pytest.mark.parametrize("model", [MakerTakerCommission(), MakerTakerCommission(-200_000)])
def test_a_rebate_is_rounded_toward_zero(model: CommissionModel) -> None:
    assert charges(model, [5_000, 9_999, 4_999], is_maker=True) == [-1, -1, 0]


def test_worked_fees_of_the_portfolio_example() -> None:
    model = PercentCommission(PPB // 1000)
    notionals = [GRID.notional_atoms(ticks, lots) for ticks, lots in [(1000, 100), (900, 140)]]
    fees = [charges(model, [notional])[0] for notional in notionals]
    assert [GRID.money(fee) for fee in fees] == [Decimal("1.00"), Decimal("1.26")]
