"""RISK-3 in sessions: the limits that look at the whole account."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import OrderRequest, OrderType, PositionAction, TradeType
from engine.model.quotes import Bar, QuoteTick
from engine.risk.limits import RiskSettings
from engine.risk.risk_manager import RiskManager
from engine.risk.verdicts import Approved, DenialCode, Denied, Verdict

ACME, BETA = ConnectorPair("paper", "ACME-USD"), ConnectorPair("paper", "BETA-USD")
MINUTE_NS, DAY_NS = 60 * SECOND_NS, 86_400 * SECOND_NS
BUY = OrderRequest(
    client_order_id="O-1",
    market=ACME,
    side=TradeType.BUY,
    order_type=OrderType.MARKET,
    lots=100,
    limit_ticks=None,
    position_action=PositionAction.OPEN,
    leverage=1,
    owner_id="X1",
    role="entry",
)


@dataclass
class World:
    """Two markets at 100, an account of 100,000, positions and working orders."""

    equity_atoms: int = 100_000 * 10**8
    net: dict[ConnectorPair, int] = field(default_factory=dict)
    working: dict[ConnectorPair, tuple[int, int]] = field(default_factory=dict)
    markets: tuple[ConnectorPair, ...] = (ACME, BETA)
    open_count: int = 0
    sides: dict[ConnectorPair, tuple[int, int]] = field(default_factory=dict)
    """Long and short lots; a market that is here is hedged."""

    def instrument(self, market: ConnectorPair) -> Instrument:
        hedged = market in self.sides
        return Instrument(market, tick=Decimal("0.01"), lot=Decimal(1), is_hedged=hedged)

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        return QuoteTick(market, 0, 10_000, 10_000, 5, 5)

    def history(self, market: ConnectorPair, n: int) -> list[Bar]:
        del market, n
        return []

    def net_lots(self, market: ConnectorPair) -> int:
        long, short = self.sides.get(market, (self.net.get(market, 0), 0))
        return long - short

    def side_lots(self, market: ConnectorPair) -> tuple[int, int]:
        if market in self.sides:
            return self.sides[market]
        net = self.net_lots(market)
        return max(net, 0), max(-net, 0)

    def exiting_lots(self, market: ConnectorPair) -> tuple[int, int]:
        return 0, 0

    def working_lots(self, market: ConnectorPair) -> tuple[int, int]:
        return self.working.get(market, (0, 0))


def manager(world: World, **limits: Any) -> RiskManager:
    return RiskManager(
        settings=RiskSettings.model_validate(limits),
        markets=world,
        account=world,
        orders=world,
        next_order_id=lambda: "S-1",
        bars=world,
        bar_ns=MINUTE_NS,
    )


def lots_of(verdict: Verdict) -> int:
    assert isinstance(verdict, Approved), verdict
    return verdict.request.lots


def code_of(verdict: Verdict) -> DenialCode:
    assert isinstance(verdict, Denied), verdict
    return verdict.code


SIZES: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    # One lot is worth 100 of an equity of 100,000.
    ({"max_position_pct": "0.05"}, {}, 50),
    ({"max_position_pct": "0.05"}, {"net": {ACME: 20}, "working": {ACME: (10, 0)}}, 20),
    ({"max_gross_exposure": 9000}, {"net": {BETA: -40}}, 50),
    ({"max_gross_exposure": 9000}, {"net": {BETA: -40}, "working": {BETA: (0, 20)}}, 30),
    ({"max_leverage": "0.1"}, {"net": {BETA: 60}}, 40),
    ({"max_net_exposure": 3000}, {"net": {BETA: -40}}, 70),
    ({"max_net_exposure": 6000}, {"net": {BETA: 40}}, 20),
    ({"max_concentration": "0.5"}, {"net": {BETA: 60}}, 60),
    ({"max_concentration": "0.5"}, {}, 100),
    ({"max_portfolio_heat": "0.06"}, {"net": {BETA: 20}}, 40),
    ({"max_portfolio_heat": "0.06", "no_stop_risk": "0.5"}, {"net": {BETA: 40}}, 80),
    ({"max_leverage": "0.01"}, {"net": {ACME: -50}}, 60),
    # Hedged: a long adds to the long beside the short, and to what is held and works in gross.
    ({"max_position_pct": "0.05"}, {"sides": {ACME: (20, 50)}}, 30),
    ({"max_gross_exposure": 9000}, {"sides": {ACME: (0, 40)}, "working": {ACME: (5, 10)}}, 35),
    ({"max_gross_exposure": 9000}, {"sides": {BETA: (30, 30)}, "working": {BETA: (5, 5)}}, 20),
    ({"max_net_exposure": 3000}, {"sides": {ACME: (10, 40)}}, 60),
    ({"max_net_exposure": 3000}, {"sides": {BETA: (10, 50)}}, 70),
]


@pytest.mark.parametrize(("limits", "world", "left"), SIZES)
def test_a_size_is_cut_to_what_the_account_may_hold(
    limits: dict[str, Any], world: dict[str, Any], left: int
) -> None:
    assert lots_of(manager(World(**world), **limits).review(BUY, now_ns=0)) == left


def test_a_limit_can_reject_and_says_what_is_beyond_what() -> None:
    limit = {"value": "0.05", "mode": "reject"}
    verdict = manager(World(), max_position_pct=limit).review(BUY, now_ns=0)
    assert isinstance(verdict, Denied)
    assert verdict.reason == (
        "order O-1 denied: 100 more of paper:ACME-USD is beyond 0.05 (risk.max_position_pct)"
    )


def test_reductions_pass_every_limit() -> None:
    strict = {
        "max_position_pct": "0.000001",
        "max_gross_exposure": 1,
        "max_orders_per_day": 1,
        "max_daily_loss": "0.000001",
        "trading_hours": ["01:00-02:00"],
    }
    world = World(net={ACME: 500})
    sell = replace(BUY, side=TradeType.SELL)
    assert lots_of(manager(world, **strict).review(sell, now_ns=0)) == 100


def test_a_hedged_order_that_opens_is_no_reduction() -> None:
    world = World(sides={ACME: (500, 0), BETA: (0, 0)})
    sell = replace(BUY, side=TradeType.SELL)
    verdict = manager(world, max_position_pct="0.05").review(sell, now_ns=0)
    assert lots_of(verdict) == 50
    close = replace(sell, position_action=PositionAction.CLOSE)
    assert lots_of(manager(world, max_position_pct="0.05").review(close, now_ns=0)) == 100


def test_counts_by_bar_and_day() -> None:
    by_bar = manager(World(), max_orders_per_bar=1)
    assert lots_of(by_bar.review(BUY, now_ns=0)) == 100
    assert code_of(by_bar.review(BUY, now_ns=MINUTE_NS - 1)) is DenialCode.MAX_ORDERS_PER_BAR
    assert lots_of(by_bar.review(BUY, now_ns=MINUTE_NS)) == 100
    by_day = manager(World(), max_orders_per_day=2)
    assert [lots_of(by_day.review(BUY, now_ns=place * MINUTE_NS)) for place in (0, 5)] == [100, 100]
    assert code_of(by_day.review(BUY, now_ns=DAY_NS - 1)) is DenialCode.MAX_ORDERS_PER_DAY
    assert lots_of(by_day.review(BUY, now_ns=DAY_NS)) == 100


def test_markets_that_are_held_or_ordered_count() -> None:
    world = World(working={BETA: (1, 0)})
    strict = manager(world, max_open_positions=1)
    assert code_of(strict.review(BUY, now_ns=0)) is DenialCode.MAX_OPEN_POSITIONS
    assert lots_of(strict.review(replace(BUY, market=BETA), now_ns=0)) == 100


def test_a_days_loss_counts_from_the_equity_at_its_start() -> None:
    world = World()
    strict = manager(world, max_daily_loss="0.02")
    strict.observe_equity(now_ns=0)
    world.equity_atoms = 98_000 * 10**8
    verdict = strict.review(BUY, now_ns=1)
    assert isinstance(verdict, Denied)
    assert verdict.reason == (
        "order O-1 denied: the day's loss 0.02 reached 0.02 (risk.max_daily_loss)"
    )
    strict.observe_equity(now_ns=DAY_NS - 1)
    assert lots_of(strict.review(BUY, now_ns=DAY_NS)) == 100


def test_hours_and_a_pause_after_a_close() -> None:
    hours = manager(World(), trading_hours=["08:00-16:30", "23:00-24:00"])
    at = {hour: hours.review(BUY, now_ns=hour * 3600 * SECOND_NS) for hour in (7, 8, 17, 23)}
    assert [isinstance(at[hour], Approved) for hour in (7, 8, 17, 23)] == [False, True, False, True]
    assert code_of(at[7]) is DenialCode.TRADING_HOURS
    world = World(net={ACME: 5})
    calm = manager(world, cooldown_bars=2)
    calm.observe_equity(now_ns=0)
    world.net = {}
    calm.observe_equity(now_ns=10 * SECOND_NS)
    assert code_of(calm.review(BUY, now_ns=MINUTE_NS)) is DenialCode.COOLDOWN
    assert lots_of(calm.review(BUY, now_ns=2 * MINUTE_NS + 10 * SECOND_NS)) == 100


def test_wrong_hours_are_refused() -> None:
    with pytest.raises(ValidationError, match="'8-9' is not HH:MM-HH:MM in UTC"):
        RiskSettings.model_validate({"trading_hours": ["8-9"]})
