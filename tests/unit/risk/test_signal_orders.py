"""From signals to orders: sizers, targets, pending guard (RISK-1, RISK-2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    OrderRequest,
    OrderTrigger,
    OrderType,
    TimeInForce,
    TradeType,
    TriggerKind,
)
from engine.model.quotes import QuoteTick
from engine.risk.limits import RiskSettings
from engine.risk.risk_manager import RiskManager
from engine.risk.sizers import FixedSizer, PercentEquitySizer, sized_lots
from engine.risk.verdicts import DenialCode, Denied
from engine.strategies.signal_codes import BarOrderType, OffsetUnit
from engine.strategies.signal_codes import TimeInForce as Tif
from engine.strategies.signals import Bracket, Offset, Signal, SignalKind

MARKET = ConnectorPair("paper", "ACME-USD")
GRID = Instrument(MARKET, tick=Decimal("0.01"), lot=Decimal("0.1"))


@dataclass
class World:
    """One market with a mid of 100, equity of 100,000."""

    quoted: QuoteTick | None = field(
        default_factory=lambda: QuoteTick(MARKET, 0, 9999, 10_001, 5, 5)
    )
    equity_atoms: int = 100_000 * 10**8
    net: int = 0
    open_count: int = 0
    working: tuple[int, int] = (0, 0)
    exiting: tuple[int, int] = (0, 0)

    def instrument(self, market: ConnectorPair) -> Instrument:
        return {MARKET: GRID}[market]

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        return self.quoted

    def net_lots(self, market: ConnectorPair) -> int:
        return self.net

    def side_lots(self, market: ConnectorPair) -> tuple[int, int]:
        net = self.net_lots(market)
        return max(net, 0), max(-net, 0)

    def exiting_lots(self, market: ConnectorPair) -> tuple[int, int]:
        return self.exiting

    def working_lots(self, market: ConnectorPair) -> tuple[int, int]:
        return self.working


def manager(world: World, **settings: Any) -> RiskManager:
    ids = count()
    return RiskManager(
        settings=RiskSettings.model_validate(settings),
        markets=world,
        account=world,
        orders=world,
        next_order_id=lambda: f"S-O{next(ids)}",
    )


def answer(
    signal: Signal, world: World | None = None, **settings: Any
) -> OrderRequest | Denied | None:
    risk = manager(world or World(), **settings)
    return risk.on_signal(signal, owner_id="sma", now_ns=0)


def signal(kind: SignalKind, value: str = "0", **changes: Any) -> Signal:
    return Signal(MARKET, kind, Decimal(value), **changes)


@pytest.mark.parametrize(
    ("wish", "net", "working", "side", "lots"),
    [
        (signal(SignalKind.DIRECTION, "1"), 0, (0, 0), TradeType.BUY, 1000),
        (signal(SignalKind.DIRECTION, "-3"), 0, (0, 0), TradeType.SELL, 1000),
        (signal(SignalKind.DIRECTION, "-1"), 400, (0, 0), TradeType.SELL, 1400),
        (
            signal(SignalKind.DIRECTION, "1", strength=Decimal("0.5")),
            0,
            (0, 0),
            TradeType.BUY,
            500,
        ),
        (signal(SignalKind.TARGET_WEIGHT, "0.25"), 0, (0, 0), TradeType.BUY, 2500),
        (signal(SignalKind.TARGET_WEIGHT, "-0.25"), 0, (0, 0), TradeType.SELL, 2500),
        (signal(SignalKind.TARGET_QTY, "12.39"), 100, (10, 3), TradeType.BUY, 16),
        (signal(SignalKind.TARGET_QTY, "-12.39"), 0, (0, 0), TradeType.SELL, 123),
        (signal(SignalKind.EXIT, "9"), 70, (0, 20), TradeType.SELL, 50),
        (signal(SignalKind.EXIT), -70, (0, 0), TradeType.BUY, 70),
        # An entry that still works must not make the exit open the other side.
        (signal(SignalKind.EXIT), 70, (30, 0), TradeType.SELL, 70),
        (signal(SignalKind.TARGET_QTY, "0"), -70, (0, 30), TradeType.BUY, 70),
    ],
)
def test_an_order_is_the_way_from_position_and_working_orders_to_the_target(
    wish: Signal, net: int, working: tuple[int, int], side: TradeType, lots: int
) -> None:
    order = answer(wish, World(net=net, working=working))
    assert isinstance(order, OrderRequest)
    assert (order.side, order.lots, order.order_type) == (side, lots, OrderType.MARKET)
    assert (order.client_order_id, order.owner_id, order.role) == ("S-O0", "sma", "strategy")


def test_a_target_that_is_reached_needs_no_order() -> None:
    assert answer(signal(SignalKind.DIRECTION, "1"), World(net=1000)) is None
    assert answer(signal(SignalKind.EXIT), World(net=-5, working=(5, 0))) is None


def test_direction_waits_while_orders_work() -> None:
    world = World(working=(5, 0))
    denied = answer(signal(SignalKind.DIRECTION, "1"), world)
    assert isinstance(denied, Denied)
    assert denied.code is DenialCode.PENDING_ORDER
    assert denied.client_order_id == ""
    free = answer(signal(SignalKind.DIRECTION, "1"), world, one_pending_per_symbol=False)
    assert isinstance(free, OrderRequest)
    assert free.lots == 995


@pytest.mark.parametrize("kind", [SignalKind.DIRECTION, SignalKind.TARGET_WEIGHT])
def test_sizing_by_equity_needs_a_price(kind: SignalKind) -> None:
    denied = answer(signal(kind, "1"), World(quoted=None))
    assert isinstance(denied, Denied)
    assert denied.code is DenialCode.NO_QUOTE


def test_a_market_outside_the_session_is_denied() -> None:
    denied = answer(Signal(ConnectorPair("x", "A-B"), SignalKind.EXIT))
    assert isinstance(denied, Denied)
    assert denied.code is DenialCode.SYMBOL_NOT_ALLOWED


def test_orders_of_signals_pass_the_limits() -> None:
    cut = answer(signal(SignalKind.DIRECTION, "1"), max_position_size=20)
    assert isinstance(cut, OrderRequest)
    assert cut.lots == 200
    denied = answer(signal(SignalKind.DIRECTION, "1"), blocked_symbols=["ACME-USD"])
    assert isinstance(denied, Denied)
    assert denied.client_order_id == "S-O0"


@pytest.mark.parametrize(("value", "ticks"), [("1", 9912), ("-1", 9913)])
def test_a_limit_off_the_grid_goes_to_the_passive_side(value: str, ticks: int) -> None:
    order = answer(
        signal(SignalKind.DIRECTION, value, order_type=OrderType.LIMIT, limit=Decimal("99.125"))
    )
    assert isinstance(order, OrderRequest)
    assert order.limit_ticks == ticks


def test_the_drawdown_is_told_once() -> None:
    world = World()
    risk = manager(world, max_drawdown="0.5")
    assert risk.observe_equity(now_ns=1) is None
    world.equity_atoms //= 2
    halted = risk.observe_equity(now_ns=2)
    assert halted is not None
    assert (halted.ts_ns, halted.reason) == (2, "drawdown 0.5 reached 0.5 (risk.max_drawdown)")
    assert risk.observe_equity(now_ns=3) is None
    denied = risk.on_signal(signal(SignalKind.DIRECTION, "1"), owner_id="sma", now_ns=3)
    assert isinstance(denied, Denied)
    assert denied.code is DenialCode.RISK_HALTED


@pytest.mark.parametrize(
    ("sizer", "equity", "mark_twice", "strength", "lots"),
    [
        (FixedSizer(qty=Decimal("1.29")), 0, 2, "1", 12),
        (FixedSizer(qty=Decimal("1.29")), 0, 2, "0.5", 6),
        (PercentEquitySizer(weight=Decimal("0.1")), 100_000, 20_000, "1", 1000),
        (PercentEquitySizer(weight=Decimal("0.1")), 100_000, 20_001, "1", 999),
        (PercentEquitySizer(weight=Decimal("0.1")), -5, 20_000, "1", 0),
        (PercentEquitySizer(weight=Decimal(2)), 100_000, 20_000, "0.25", 5000),
    ],
)
def test_sizers_round_toward_zero(
    sizer: FixedSizer | PercentEquitySizer,
    equity: int,
    mark_twice: int,
    strength: str,
    lots: int,
) -> None:
    assert lots == sized_lots(
        sizer,
        instrument=GRID,
        equity_atoms=equity * 10**8,
        mark_twice=mark_twice,
        strength=Decimal(strength),
    )


def test_exits_only_reduce_and_entries_do_not_care() -> None:
    for wish in (signal(SignalKind.EXIT), signal(SignalKind.DIRECTION, "0")):
        order = answer(wish, World(net=70))
        assert isinstance(order, OrderRequest)
        assert order.reduce_only
    entry = answer(signal(SignalKind.TARGET_QTY, "7"), World(net=30))
    assert isinstance(entry, OrderRequest)
    assert not entry.reduce_only


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (
            {"order_type": BarOrderType.LIMIT, "limit": Decimal("99.996"), "tif": Tif.IOC},
            {"order_type": OrderType.LIMIT, "limit_ticks": 9999, "time_in_force": TimeInForce.IOC},
        ),
        (
            {"order_type": BarOrderType.LIMIT, "limit": Decimal(99), "post_only": True},
            {"order_type": OrderType.LIMIT_MAKER, "limit_ticks": 9900},
        ),
        (
            {"tif": Tif.GTD, "expire_ns": 77},
            {"time_in_force": TimeInForce.GTD, "expire_ns": 77},
        ),
        ({"reduce_only": True}, {"reduce_only": True}),
        (
            {"order_type": BarOrderType.STOP, "stop": Decimal("101.001")},
            {
                "order_type": OrderType.MARKET,
                "trigger": OrderTrigger(TriggerKind.STOP, stop_ticks=10_101),
            },
        ),
        (
            {"order_type": BarOrderType.MARKET_IF_TOUCHED, "stop": Decimal("98.999")},
            {"trigger": OrderTrigger(TriggerKind.TOUCH, stop_ticks=9899)},
        ),
        (
            {"order_type": BarOrderType.STOP_LIMIT, "stop": Decimal(101), "limit": Decimal(102)},
            {
                "order_type": OrderType.LIMIT,
                "limit_ticks": 10_200,
                "trigger": OrderTrigger(TriggerKind.STOP, stop_ticks=10_100),
            },
        ),
        (
            {
                "order_type": BarOrderType.TRAILING_STOP,
                "trail": Offset(Decimal("0.03"), OffsetUnit.PPB),
                "activation": Decimal(95),
            },
            {
                "trigger": OrderTrigger(
                    TriggerKind.TRAILING, trail_ppb=30_000_000, activation_ticks=9500
                )
            },
        ),
        (
            {
                "order_type": BarOrderType.TRAILING_STOP_LIMIT,
                "trail": Offset(Decimal("0.5"), OffsetUnit.PRICE),
                "limit_offset": Decimal("0.1"),
            },
            {
                "order_type": OrderType.LIMIT,
                "limit_ticks": None,
                "trigger": OrderTrigger(
                    TriggerKind.TRAILING, trail_ticks=50, limit_offset_ticks=10
                ),
            },
        ),
    ],
    ids=lambda value: str(value.get("order_type", "")) if isinstance(value, dict) else "",
)
def test_what_a_signal_says_of_its_order_is_carried_out(
    wish: dict[str, Any], expected: dict[str, Any]
) -> None:
    order = answer(signal(SignalKind.ORDER, "5", **wish))
    assert isinstance(order, OrderRequest)
    assert {name: getattr(order, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (
            {"bracket": Bracket(stop=Offset(Decimal(2), OffsetUnit.ATR))},
            "a distance in ATRs can be had in backtests only",
        ),
        ({"oco_group": 1}, "an OCO group"),
        ({"replace": "x"}, "replace by tag"),
        ({"size_pct": Decimal("0.5")}, "size_pct"),
        ({"order_type": BarOrderType.MOC}, "order type MOC"),
        ({"order_type": BarOrderType.STOP}, "a STOP order needs stop"),
        ({"order_type": BarOrderType.STOP_LIMIT}, "a STOP_LIMIT order needs limit and stop"),
        (
            {
                "order_type": BarOrderType.TRAILING_STOP,
                "trail": Offset(Decimal(2), OffsetUnit.ATR),
            },
            "a distance in ATRs",
        ),
    ],
)
def test_what_no_session_can_place_is_denied_by_name(wish: dict[str, Any], expected: str) -> None:
    denied = answer(signal(SignalKind.ORDER, "5", **wish))
    assert isinstance(denied, Denied)
    assert denied.code is DenialCode.UNSUPPORTED_ORDER
    assert expected in denied.reason


@pytest.mark.parametrize(
    ("net", "exiting", "lots"),
    [(70, (0, 20), 50), (70, (0, 70), None), (-70, (80, 0), None), (70, (50, 0), 70)],
)
def test_an_exit_on_its_way_is_not_ordered_again(
    net: int, exiting: tuple[int, int], lots: int | None
) -> None:
    order = answer(signal(SignalKind.EXIT), World(net=net, exiting=exiting))
    assert (None if order is None else order.lots) == lots  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "entry", "bracket", "expected"),
    [
        (
            "5",
            100,
            Bracket(Decimal(101), Decimal(110)),
            "the stop 101 of the bracket must be",
        ),
        (
            "5",
            100,
            Bracket(Decimal(90), Decimal(100)),
            "the target 100 of the bracket must",
        ),
        ("-5", 100, Bracket(Decimal(99), Decimal(90)), "the stop 99 of the bracket must be above"),
    ],
)
def test_a_bracket_on_the_wrong_side_of_its_entry_is_denied(
    value: str, entry: int, bracket: Bracket, expected: str
) -> None:
    wish = signal(
        SignalKind.ORDER,
        value,
        order_type=BarOrderType.LIMIT,
        limit=Decimal(entry),
        bracket=bracket,
    )
    denied = answer(wish)
    assert isinstance(denied, Denied)
    assert denied.code is DenialCode.BRACKET_INVERTED
    assert expected in denied.reason


@pytest.mark.parametrize(
    ("sizer", "wish", "lots"),
    [
        # The example of RISK-2: equity 100,000, 1 %, entry 100, stop 97: 333.
        ({"kind": "percent_risk"}, {"bracket": Bracket(Decimal(97))}, 3333),
        (
            {"kind": "percent_risk", "risk": "0.02"},
            {"bracket": Bracket(Offset(Decimal("0.05"), OffsetUnit.PPB)), "strength": "0.5"},
            2000,
        ),
        (
            {"kind": "percent_risk"},
            {
                "bracket": Bracket(Decimal(88)),
                "order_type": BarOrderType.LIMIT,
                "limit": Decimal(90),
            },
            5000,
        ),
        # p 0.55, b 2: 0.325, a quarter of it 0.08125.
        ({"kind": "kelly", "p": "0.55", "b": 2}, {}, 812),
    ],
)
def test_sizers_of_backtests_size_sessions_too(
    sizer: dict[str, Any], wish: dict[str, Any], lots: int
) -> None:
    strength = Decimal(wish.pop("strength", 1))
    order = answer(signal(SignalKind.DIRECTION, "1", strength=strength, **wish), sizer=sizer)
    assert isinstance(order, OrderRequest)
    assert order.lots == lots


def test_a_sizer_by_risk_needs_a_stop() -> None:
    denied = answer(signal(SignalKind.DIRECTION, "1"), sizer={"kind": "percent_risk"})
    assert isinstance(denied, Denied)
    assert denied.code is DenialCode.NO_STOP_FOR_SIZER
