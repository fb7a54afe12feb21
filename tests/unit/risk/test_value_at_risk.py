"""`max_portfolio_risk`: 1.6448536 * sqrt(w' S w) of the last 60 bar returns / equity."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
import pytest

from engine.containers.data_handler import DataHandler
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import OrderRequest, OrderType, PositionAction, TradeType
from engine.model.quotes import QuoteTick
from engine.risk.limits import RiskSettings
from engine.risk.risk_manager import RiskManager
from engine.risk.value_at_risk import ValueAtRisk
from engine.risk.verdicts import Approved, DenialCode, Denied

ONE, TWO = (ConnectorPair("paper", f"{name}-USD") for name in ("ONE", "TWO"))
GRIDS = {market: Instrument(market, tick=Decimal("0.01"), lot=Decimal(1)) for market in (ONE, TWO)}
EQUITY = 10_000_000  # money


class Account:
    def __init__(self, **lots: int) -> None:
        self._lots = {ONE: lots.get("one", 0), TWO: lots.get("two", 0)}

    @property
    def equity_atoms(self) -> int:
        return EQUITY * 10**8

    def net_lots(self, market: ConnectorPair) -> int:
        return self._lots[market]

    def side_lots(self, market: ConnectorPair) -> tuple[int, int]:
        net = self.net_lots(market)
        return max(net, 0), max(-net, 0)


class NoOrders:
    open_count = 0

    def exiting_lots(self, market: ConnectorPair) -> tuple[int, int]:
        return 0, 0

    def working_lots(self, market: ConnectorPair) -> tuple[int, int]:
        return (0, 0)


def markets(count: int, *, seed: int = 1) -> tuple[DataHandler, dict[ConnectorPair, list[int]]]:
    """Return markets with *count* complete bars each, and their closes in ticks."""
    handler = DataHandler(instruments=GRIDS, bar_ns=SECOND_NS)
    draw = np.random.default_rng(seed)
    closes: dict[ConnectorPair, list[int]] = {ONE: [], TWO: []}
    for bar in range(count + 1):
        for market, start in ((ONE, 10_000), (TWO, 20_000)):
            price = start + int(draw.integers(-200, 200))
            handler.on_quote(QuoteTick(market, bar * SECOND_NS, price, price, 9, 9))
            if bar < count:
                closes[market].append(price)
    return handler, closes


def expected(closes: dict[ConnectorPair, list[int]], values: Sequence[float]) -> float:
    returns = [
        [after / before - 1 for before, after in pairwise(one[-61:])] for one in closes.values()
    ]
    weights = np.array(values) / EQUITY
    return 1.6448536 * sqrt(float(weights @ np.cov(np.array(returns), ddof=1) @ weights))


@pytest.mark.parametrize("bars", [21, 40, 61, 100])
def test_it_is_the_formula_over_the_last_sixty_returns(bars: int) -> None:
    handler, closes = markets(bars)
    risk = ValueAtRisk(bars=handler, account=Account(two=-300), default_vol=Decimal("0.01"))
    quote = handler.quote(TWO)
    assert quote is not None
    values = [500 * 100.0, -300 * quote.bid_ticks / 100]
    assert risk.value(ONE, 500, 10_000) == pytest.approx(expected(closes, values), rel=1e-12)


def test_with_few_returns_it_is_gross_times_the_default() -> None:
    handler, _ = markets(20)
    risk = ValueAtRisk(bars=handler, account=Account(), default_vol=Decimal("0.02"))
    assert risk.value(ONE, -500, 10_000) == pytest.approx(500 * 100 / EQUITY * 0.02, rel=1e-12)
    assert risk.value(ONE, 0, 10_000) == 0


def manager(handler: DataHandler, account: Account, **settings: Any) -> RiskManager:
    return RiskManager(
        settings=RiskSettings.model_validate(settings),
        markets=handler,
        account=account,
        orders=NoOrders(),
        next_order_id=lambda: "O1",
        bars=handler,
    )


def order(lots: int, side: TradeType = TradeType.BUY) -> OrderRequest:
    return OrderRequest(
        "O1", ONE, side, OrderType.LIMIT, lots, 10_000, PositionAction.OPEN, 1, "X", "entry"
    )


def test_an_order_is_cut_to_the_largest_size_that_fits() -> None:
    handler, _ = markets(10)
    risk = manager(handler, Account(), max_portfolio_risk="0.00001", default_vol="0.01")
    # 1e-5 of the equity at 1 % volatility is a value of 1e-3 * 1e7 = 10,000: 100 lots at 100.
    verdict = risk.review(order(150), now_ns=0)
    assert isinstance(verdict, Approved)
    assert verdict.request.lots == 100
    assert "risk.max_portfolio_risk" in verdict.note
    assert risk.review(order(100), now_ns=0) == Approved(order(100))


def test_reject_says_no_and_reductions_pass() -> None:
    handler, _ = markets(10)
    limit = {"value": "0.00001", "mode": "reject"}
    risk = manager(handler, Account(one=500), max_portfolio_risk=limit)
    verdict = risk.review(order(1), now_ns=0)
    assert isinstance(verdict, Denied)
    assert verdict.code is DenialCode.MAX_PORTFOLIO_RISK
    assert isinstance(risk.review(order(500, TradeType.SELL), now_ns=0), Approved)
