"""What changes the account beside fills: funding of everybody, fees that wait for a rate."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from engine.containers.account_books import AccountBooks
from engine.flow.errors import ExistsError
from engine.model.funding import FundingRate
from engine.model.orders import Fill, TradeType
from engine.portfolio.portfolio import Portfolio
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench, bench_instrument

RATE = FundingRate(BENCH_MARKET, 0, 1_000_000)
"""0.1 %."""


class Desk:
    """A bench whose orchestrator has an account, and rates that can be set."""

    def __init__(self) -> None:
        self.bench = ExecutorBench()
        self.instrument = bench_instrument()
        self.portfolio = Portfolio(
            instruments={BENCH_MARKET: self.instrument},
            initial_cash={"USDT": Decimal(1000)},
            account_currency="USDT",
        )
        self.rates: dict[tuple[str, str], Fraction] = {}
        self.books = AccountBooks(
            portfolio=self.portfolio,
            orchestrator=self.bench.orchestrator,
            rate_of=lambda source, target: self.rates.get((source, target)),
        )

    def fill(self, amount: str) -> Fill:
        lots = self.instrument.to_lots(Decimal(amount))
        return Fill(
            fill_id="F",
            client_order_id="O",
            owner_id="strategy",
            role="strategy",
            market=BENCH_MARKET,
            side=TradeType.BUY,
            lots=lots,
            ticks=500,
            notional_atoms=self.instrument.notional_atoms(500, lots),
            fee_atoms=0,
            is_maker=False,
            ts_ns=0,
        )

    @property
    def equity(self) -> Decimal:
        self.portfolio.check_identity()
        return self.portfolio.equity


def test_what_no_executor_holds_pays_funding_too() -> None:
    desk = Desk()
    desk.portfolio.apply_fill(desk.fill("3"))
    desk.bench.create()  # 2 of an executor, which the account must hold as well
    desk.portfolio.apply_fill(replace(desk.fill("2"), fill_id="G"))
    before = desk.equity
    # 5 at a mid of 50.05.
    assert desk.books.pay_funding(RATE) == Decimal("-0.25025")
    assert desk.equity == before - Decimal("0.25025")
    report = desk.bench.orchestrator.get_performance_report("main")
    assert report.funding_quote == Decimal("-0.1001")
    assert desk.portfolio.account_snapshot().funding == Decimal("-0.25025")


def test_funding_of_nothing_or_without_a_price_changes_nothing() -> None:
    desk = Desk()
    assert desk.books.pay_funding(RATE) == 0
    desk.portfolio.apply_fill(desk.fill("3"))
    desk.bench.price(0, 501)
    assert desk.books.pay_funding(RATE) == 0
    assert desk.portfolio.funding_atoms == 0


def test_a_fee_in_another_asset_is_charged_when_it_has_a_rate() -> None:
    desk = Desk()
    fill = replace(desk.fill("1"), fee_in=("COIN", Decimal("0.01")))
    desk.portfolio.apply_fill(fill)
    before = desk.equity
    desk.books.take_fee(fill)
    desk.books.take_fee(replace(fill, fee_in=None))
    assert desk.books.unconverted_fees == {"COIN": Decimal("0.01")}
    assert desk.equity == before
    desk.rates["COIN", "USDT"] = Fraction(30)
    desk.books.convert_fees()
    assert desk.books.unconverted_fees == {}
    assert desk.equity == before - Decimal("0.3")
    assert desk.portfolio.account_snapshot().fees == Decimal("0.3")


def test_a_position_is_taken_over_only_by_a_flat_account() -> None:
    desk = Desk()
    desk.portfolio.apply_fill(desk.fill("3"))
    with pytest.raises(ExistsError, match=r"holds 3\.000 already"):
        desk.portfolio.take_over(BENCH_MARKET, 5, 1001)
