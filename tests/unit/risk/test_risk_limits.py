"""Limits of the risk manager: what passes, what is cut, what is denied and in which words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import OrderRequest, OrderType, PositionAction, TradeType
from engine.model.quotes import QuoteTick
from engine.risk.limits import LimitMode, RiskSettings
from engine.risk.risk_manager import RiskManager
from engine.risk.verdicts import Approved, DenialCode, Denied, Verdict

MARKET = ConnectorPair("paper", "ACME-USD")
GRID = Instrument(MARKET, tick=Decimal("0.01"), lot=Decimal("0.1"), min_qty=Decimal("0.5"))
MARKET_BUY = OrderRequest(
    client_order_id="O-17",
    market=MARKET,
    side=TradeType.BUY,
    order_type=OrderType.MARKET,
    lots=1200,
    limit_ticks=None,
    position_action=PositionAction.OPEN,
    leverage=1,
    owner_id="X1",
    role="entry",
)
MARKET_SELL = replace(MARKET_BUY, side=TradeType.SELL)


@dataclass
class World:
    """One market at 99 / 100, an account, and its working orders."""

    quoted: QuoteTick | None = field(
        default_factory=lambda: QuoteTick(MARKET, 0, 9900, 10_000, 5, 5)
    )
    equity_atoms: int = 100_000 * 10**8
    net: int = 0
    open_count: int = 0
    working: tuple[int, int] = (0, 0)

    def instrument(self, market: ConnectorPair) -> Instrument:
        return {MARKET: GRID}[market]

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        return self.quoted if market == MARKET else None

    def net_lots(self, market: ConnectorPair) -> int:
        return {MARKET: self.net}.get(market, 0)

    def side_lots(self, market: ConnectorPair) -> tuple[int, int]:
        net = self.net_lots(market)
        return max(net, 0), max(-net, 0)

    def exiting_lots(self, market: ConnectorPair) -> tuple[int, int]:
        return 0, 0

    def working_lots(self, market: ConnectorPair) -> tuple[int, int]:
        return self.working


def manager(world: World, **limits: Any) -> RiskManager:
    return RiskManager(
        settings=RiskSettings.model_validate(limits),
        markets=world,
        account=world,
        orders=world,
        next_order_id=lambda: "S-1",
    )


def review(
    request: OrderRequest, world: World | None = None, *, now_ns: int = 0, **limits: Any
) -> Verdict:
    return manager(world or World(), **limits).review(request, now_ns=now_ns)


def test_without_limits_everything_passes() -> None:
    assert review(MARKET_BUY) == Approved(MARKET_BUY)


DENIALS: list[tuple[dict[str, Any], dict[str, Any], DenialCode, str]] = [
    (
        {"max_order_notional": {"value": 10000, "mode": "reject"}},
        {},
        DenialCode.MAX_ORDER_NOTIONAL,
        "order O-17 denied: notional 12,000 is above 10,000 (risk.max_order_notional)",
    ),
    (
        {"max_order_notional": 40},
        {},
        DenialCode.MAX_ORDER_NOTIONAL,
        (
            "order O-17 denied: notional 12,000 is above 40 (risk.max_order_notional), and what is "
            "left is below the smallest order 0.5"
        ),
    ),
    (
        {"max_order_notional": 10000},
        {"quoted": None},
        DenialCode.NO_QUOTE,
        (
            "order O-17 denied: paper:ACME-USD has no quote that could value the order "
            "(risk.max_order_notional)"
        ),
    ),
    (
        {"max_position_size": {"value": 100, "mode": "reject"}},
        {"net": 10, "working": (20, 0)},
        DenialCode.MAX_POSITION_SIZE,
        "order O-17 denied: position 123 with working orders is above 100 (risk.max_position_size)",
    ),
    (
        {"max_open_orders": 2},
        {"open_count": 2},
        DenialCode.MAX_OPEN_ORDERS,
        "order O-17 denied: 2 orders are open, 2 are allowed (risk.max_open_orders)",
    ),
    (
        {"allowed_symbols": ["BETA-USD"]},
        {},
        DenialCode.SYMBOL_NOT_ALLOWED,
        "order O-17 denied: paper:ACME-USD is not in the list (risk.allowed_symbols)",
    ),
    (
        {"blocked_symbols": ["paper:ACME-USD"]},
        {},
        DenialCode.SYMBOL_NOT_ALLOWED,
        "order O-17 denied: paper:ACME-USD is blocked (risk.blocked_symbols)",
    ),
    (
        {"max_price_deviation": "0.005"},
        {},
        DenialCode.PRICE_DEVIATION,
        (
            "order O-17 denied: price 100 is 0.005025 through the mid 99.5, more than 0.005 "
            "(risk.max_price_deviation)"
        ),
    ),
    (
        {"max_price_deviation": "0.005"},
        {"quoted": None},
        DenialCode.NO_QUOTE,
        "order O-17 denied: paper:ACME-USD has no quote to compare with (risk.max_price_deviation)",
    ),
    (
        {"max_quote_age_s": 1},
        {"quoted": QuoteTick(MARKET, -1_500_000_000, 9900, 10_000, 5, 5)},
        DenialCode.STALE_QUOTE,
        (
            "order O-17 denied: the quote of paper:ACME-USD is 1.5 s old, more than 1 s "
            "(risk.max_quote_age_s)"
        ),
    ),
    (
        {"max_quote_age_s": 1},
        {"quoted": None},
        DenialCode.NO_QUOTE,
        "order O-17 denied: paper:ACME-USD has no quote (risk.max_quote_age_s)",
    ),
]


@pytest.mark.parametrize(("limits", "world", "code", "reason"), DENIALS)
def test_denials_name_the_value_and_the_key(
    limits: dict[str, Any], world: dict[str, Any], code: DenialCode, reason: str
) -> None:
    verdict = review(MARKET_BUY, World(**world), **limits)
    assert verdict == Denied(code, reason, "O-17")


@pytest.mark.parametrize("limits", [limits for limits, _, _, _ in DENIALS])
@pytest.mark.parametrize(
    "exit_",
    [
        replace(MARKET_SELL, lots=1200),
        replace(MARKET_SELL, lots=5000, reduce_only=True),
        replace(MARKET_BUY, role="close"),
        replace(MARKET_BUY, role="take_profit"),
        replace(MARKET_BUY, position_action=PositionAction.CLOSE),
    ],
    ids=["reduction", "reduce-only", "close", "take profit", "perpetual close"],
)
def test_exits_pass_every_limit(limits: dict[str, Any], exit_: OrderRequest) -> None:
    world = World(net=1200, open_count=9)
    risk = manager(world, **limits)
    risk.kill_switch.halt("test")
    assert risk.review(exit_, now_ns=10**12) == Approved(exit_)


@pytest.mark.parametrize(
    "limits",
    [
        {"allowed_symbols": ["ACME-USD"]},
        {"allowed_symbols": ["paper:ACME-USD"]},
        {"blocked_symbols": ["BETA-USD"]},
        {"max_open_orders": 1},
        {"max_quote_age_s": 1},
        {"max_order_notional": 12000},
        {"max_position_size": 120},
        {"max_price_deviation": "0.0051"},
    ],
)
def test_equality_passes(limits: dict[str, Any]) -> None:
    assert review(MARKET_BUY, now_ns=SECOND_NS, **limits) == Approved(MARKET_BUY)


@pytest.mark.parametrize(
    ("limits", "world", "lots", "note"),
    [
        (
            {"max_order_notional": 10000},
            World(),
            1000,
            "amount 120 cut to 100: notional 12,000 is above 10,000 (risk.max_order_notional)",
        ),
        (
            {"max_position_size": 100},
            World(net=100, working=(200, 900)),
            700,
            (
                "amount 120 cut to 70: position 150 with working orders is above 100 "
                "(risk.max_position_size)"
            ),
        ),
        (
            {"max_position_size": 100, "max_order_notional": 5000},
            World(),
            500,
            (
                "amount 120 cut to 100: position 120 with working orders is above 100 "
                "(risk.max_position_size); amount 100 cut to 50: notional 10,000 is above 5,000 "
                "(risk.max_order_notional)"
            ),
        ),
    ],
)
def test_sizes_are_clamped_by_default(
    limits: dict[str, Any], world: World, lots: int, note: str
) -> None:
    assert review(MARKET_BUY, world, **limits) == Approved(replace(MARKET_BUY, lots=lots), note)


@pytest.mark.parametrize(
    ("limits", "lots"),
    [({"max_position_size": 30}, 900), ({"max_order_notional": 990}, 700)],
)
def test_only_what_goes_beyond_the_reduction_is_cut(limits: dict[str, Any], lots: int) -> None:
    # Selling 120 of 60 held closes 60 and opens 60 short: that part is bounded to 30 or 10.
    verdict = review(MARKET_SELL, World(net=600), **limits)
    assert isinstance(verdict, Approved)
    assert verdict.request.lots == lots


@pytest.mark.parametrize("mode", list(LimitMode))
def test_a_position_above_its_limit_may_still_shrink(mode: LimitMode) -> None:
    limits: dict[str, Any] = {"max_position_size": {"value": 1, "mode": mode.value}}
    request = replace(MARKET_SELL, lots=600)
    assert review(request, World(net=1200), **limits) == Approved(request)


def test_working_orders_of_the_same_side_use_up_what_can_be_reduced() -> None:
    world = World(net=1200, working=(0, 600))
    verdict = review(MARKET_SELL, world, max_position_size={"value": 50, "mode": "reject"})
    assert isinstance(verdict, Denied)
    assert "position 60 with working orders" in verdict.reason


def test_a_limit_price_deep_in_the_book_passes_the_collar() -> None:
    request = replace(MARKET_BUY, order_type=OrderType.LIMIT, limit_ticks=1)
    assert review(request, max_price_deviation="0.01") == Approved(request)


@pytest.mark.parametrize(("side", "ticks"), [(TradeType.BUY, 10_500), (TradeType.SELL, 9_400)])
def test_the_collar_looks_through_the_market(side: TradeType, ticks: int) -> None:
    request = replace(MARKET_BUY, side=side, order_type=OrderType.LIMIT, limit_ticks=ticks)
    verdict = review(request, max_price_deviation="0.05")
    assert isinstance(verdict, Denied)
    assert verdict.code is DenialCode.PRICE_DEVIATION


def test_orders_per_minute_is_a_sliding_window_in_which_exits_count() -> None:
    world = World(net=10_000)
    risk = manager(world, max_orders_per_minute=2)
    assert isinstance(risk.review(MARKET_BUY, now_ns=0), Approved)
    assert isinstance(risk.review(MARKET_SELL, now_ns=SECOND_NS), Approved)
    verdict = risk.review(MARKET_BUY, now_ns=59 * SECOND_NS)
    assert isinstance(verdict, Denied)
    assert verdict.reason == (
        "order O-17 denied: 2 orders were sent within 60 s (risk.max_orders_per_minute)"
    )
    assert isinstance(risk.review(MARKET_SELL, now_ns=59 * SECOND_NS), Approved)
    assert isinstance(risk.review(MARKET_BUY, now_ns=60 * SECOND_NS), Denied)
    assert isinstance(risk.review(MARKET_BUY, now_ns=61 * SECOND_NS), Approved)


def test_a_market_outside_the_session_is_denied() -> None:
    verdict = review(replace(MARKET_BUY, market=ConnectorPair("x", "A-B")))
    assert isinstance(verdict, Denied)
    assert verdict.code is DenialCode.SYMBOL_NOT_ALLOWED


def test_a_halted_session_denies_entries() -> None:
    risk = manager(World())
    risk.kill_switch.halt("stopped by operator")
    verdict = risk.review(MARKET_BUY, now_ns=0)
    assert verdict == Denied(
        DenialCode.RISK_HALTED,
        "order O-17 denied: trading is halted, stopped by operator; only reducing orders pass",
        "O-17",
    )


@pytest.mark.parametrize(
    "values",
    [
        {"max_notional": 1},
        {"max_order_notional": 0},
        {"max_order_notional": {"value": 1, "mode": "ask"}},
        {"max_order_notional": True},
        {"max_order_notional": [1]},
        {"max_drawdown": 20},
        {"max_open_orders": 0},
        {"sizer": {"kind": "all_in"}},
        {"sizer": {"kind": "fixed", "weight": 1}},
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RiskSettings.model_validate(values)
