"""Budget check: worked examples, sequence, reductions, locks."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.model.orders import Fill, OrderRequest, OrderType, PositionAction, TradeType
from engine.portfolio.budget import Budget, Requirement
from engine.portfolio.portfolio import Portfolio

MARKET = ConnectorPair("paper", "ACME-USD")
BUY = OrderRequest(
    client_order_id="O1",
    market=MARKET,
    side=TradeType.BUY,
    order_type=OrderType.LIMIT,
    lots=200,
    limit_ticks=3000,
    position_action=PositionAction.OPEN,
    leverage=1,
    owner_id="X1",
    role="entry",
)
REFERENCE = 3000


def grid(settlement: Settlement, *, maker_ppb: int = 1_000_000) -> Instrument:
    """Tick and lot of 0.01, fees of 0.1 %."""
    return Instrument(
        MARKET,
        tick=Decimal("0.01"),
        lot=Decimal("0.01"),
        settlement=settlement,
        maker_ppb=maker_ppb,
        taker_ppb=1_000_000,
    )


def account(
    settlement: Settlement, cash: str, *, maker_ppb: int = 1_000_000
) -> tuple[Portfolio, Budget]:
    portfolio = Portfolio(
        instruments={MARKET: grid(settlement, maker_ppb=maker_ppb)},
        initial_cash={"USD": Decimal(cash)},
        account_currency="USD",
    )
    return portfolio, Budget(portfolio=portfolio)


def fill(portfolio: Portfolio, side: TradeType, lots: int, ticks: int, leverage: int = 1) -> None:
    notional = portfolio.ledgers[MARKET].instrument.notional_atoms(ticks, lots)
    portfolio.apply_fill(
        Fill("F", "O", "X", "entry", MARKET, side, lots, ticks, notional, 0, False, 0),
        leverage=leverage,
    )


@pytest.mark.parametrize(("cash", "fits"), [("60.06", True), ("60.05", False)])
def test_spot_buy_needs_cost_and_fee_and_equality_fits(cash: str, fits: bool) -> None:
    _, budget = account(Settlement.SPOT, cash)
    assert budget.is_affordable(BUY, REFERENCE) is fits


@pytest.mark.parametrize(("cash", "fits"), [("10.1", True), ("10.09", False)])
def test_perpetual_open_needs_margin_and_fee(cash: str, fits: bool) -> None:
    _, budget = account(Settlement.DERIVATIVE, cash)
    request = replace(BUY, lots=100, limit_ticks=10_000, leverage=10)
    assert budget.requirement(request, 0) == Requirement(cash_atoms=1_010_000_000)
    assert budget.is_affordable(request, 0) is fits


def test_a_market_order_is_valued_at_the_reference() -> None:
    _, budget = account(Settlement.SPOT, "60.06")
    market = replace(BUY, order_type=OrderType.MARKET, limit_ticks=None)
    assert budget.is_affordable(market, 3000)
    assert not budget.is_affordable(market, 3001)


def test_perpetual_close_needs_nothing() -> None:
    _, budget = account(Settlement.DERIVATIVE, "0")
    assert budget.is_affordable(replace(BUY, position_action=PositionAction.CLOSE), REFERENCE)
    assert budget.is_affordable(replace(BUY, reduce_only=True), REFERENCE)


def test_a_reduction_is_affordable_and_what_goes_beyond_it_is_not() -> None:
    portfolio, budget = account(Settlement.DERIVATIVE, "60")
    fill(portfolio, TradeType.BUY, 200, 3000)
    sell = replace(BUY, side=TradeType.SELL)
    assert budget.free_margin_atoms() == 0
    assert budget.is_affordable(sell, REFERENCE)
    assert not budget.is_affordable(replace(sell, lots=201), REFERENCE)
    assert not budget.is_affordable(replace(BUY, lots=1), REFERENCE)


def test_unrealised_profit_of_derivatives_is_free_margin() -> None:
    portfolio, budget = account(Settlement.DERIVATIVE, "60")
    fill(portfolio, TradeType.BUY, 200, 3000, leverage=2)
    assert budget.free_margin_atoms() == 30 * 10**8
    portfolio.mark(MARKET, 2 * 4000)
    # 20 gained, and the margin grew with the mark from 30 to 40.
    assert budget.free_margin_atoms() == 40 * 10**8


def test_spot_sell_needs_the_base() -> None:
    portfolio, budget = account(Settlement.SPOT, "100")
    sell = replace(BUY, side=TradeType.SELL)
    assert not budget.is_affordable(sell, REFERENCE)
    fill(portfolio, TradeType.BUY, 200, 3000)
    assert budget.requirement(sell, REFERENCE) == Requirement(base_lots=200)
    assert budget.is_affordable(sell, REFERENCE)
    assert not budget.is_affordable(replace(sell, lots=201), REFERENCE)
    budget.reserve(sell, REFERENCE)
    assert not budget.is_affordable(replace(sell, client_order_id="O2", lots=1), REFERENCE)
    budget.consume("O1", 150)
    assert budget.free_base("ACME") == Decimal("1.5")
    budget.release("O1")
    assert budget.free_base("ACME") == 2


def test_spot_value_is_no_margin() -> None:
    portfolio, budget = account(Settlement.SPOT, "100")
    fill(portfolio, TradeType.BUY, 200, 3000)
    assert budget.free_margin_atoms() == 40 * 10**8


def test_candidates_in_sequence_lock_what_they_need() -> None:
    _, budget = account(Settlement.SPOT, "120.11")
    budget.reserve(BUY, REFERENCE)
    second = replace(BUY, client_order_id="O2")
    assert not budget.is_affordable(second, REFERENCE)
    assert budget.is_affordable(replace(second, lots=199), REFERENCE)


def test_reserving_again_and_consuming_nothing_change_nothing() -> None:
    _, budget = account(Settlement.SPOT, "100")
    budget.reserve(BUY, REFERENCE)
    budget.reserve(BUY, REFERENCE)
    budget.consume("unknown", 1)
    budget.release("unknown")
    assert budget.free_cash_atoms("USD") == 3_994_000_000


def test_a_fill_unlocks_its_share_and_the_last_one_the_rest() -> None:
    _, budget = account(Settlement.SPOT, "100")
    budget.reserve(BUY, REFERENCE)
    budget.consume("O1", 50)
    assert budget.free_cash_atoms("USD") == 10_000_000_000 - 6_006_000_000 * 3 // 4
    budget.consume("O1", 150)
    assert budget.free_cash_atoms("USD") == 10_000_000_000


def test_a_rebate_does_not_pay_for_the_order() -> None:
    _, budget = account(Settlement.SPOT, "60", maker_ppb=-100_000)
    assert budget.is_affordable(replace(BUY, order_type=OrderType.LIMIT_MAKER), REFERENCE)
    assert not budget.is_affordable(replace(BUY, lots=201), REFERENCE)


def test_fees_may_be_estimated_by_a_commission_model() -> None:
    class Flat:
        def estimate_atoms(
            self, instrument: Instrument, notional_atoms: int, *, is_maker: bool, lots: int = 0
        ) -> int:
            return 100_000_000

    portfolio, _ = account(Settlement.SPOT, "61")
    assert Budget(portfolio=portfolio, fees=Flat()).is_affordable(BUY, REFERENCE)
    portfolio, _ = account(Settlement.SPOT, "60.99")
    assert not Budget(portfolio=portfolio, fees=Flat()).is_affordable(BUY, REFERENCE)


def test_candidates_are_checked_in_sequence_and_lock_only_while_they_are() -> None:
    _, budget = account(Settlement.DERIVATIVE, "6010", maker_ppb=0)
    one = replace(BUY, lots=100)  # 1 @ 30 at 1x: 30 and a fee of 0.03
    needs = budget.requirement(one, REFERENCE).cash_atoms
    fitting = budget.free_margin_atoms() // needs
    assert budget.first_shortage([(one, REFERENCE)] * fitting) is None
    assert budget.first_shortage([(one, REFERENCE)] * (fitting + 2)) == fitting
    assert budget.free_margin_atoms() == 6010 * 10**8
    assert budget.first_shortage([]) is None


def test_base_cannot_be_sold_on_another_venue() -> None:
    other = ConnectorPair("elsewhere", MARKET.trading_pair)
    instruments = {
        MARKET: grid(Settlement.SPOT),
        other: replace(grid(Settlement.SPOT), market=other),
    }
    portfolio = Portfolio(
        instruments=instruments, initial_cash={"USD": Decimal(1000)}, account_currency="USD"
    )
    budget = Budget(portfolio=portfolio)
    fill(portfolio, TradeType.BUY, 200, 3000)
    sale = replace(BUY, side=TradeType.SELL)
    assert budget.is_affordable(sale, REFERENCE)
    assert not budget.is_affordable(replace(sale, market=other), REFERENCE)
    assert budget.free_base("ACME") == 2
    assert budget.free_base("ACME", connector_name="elsewhere") == 0
