"""LIVE-2 to LIVE-12 with orders at a scripted venue: gate, reconciliation, ids, shadow, guards."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine import flow
from engine.backtest.config import BacktestConfig
from engine.backtest.strategy_loading import type_of_class
from engine.execution.bar_settings import BarBrokerSettings
from engine.execution.settings import BrokerSettings
from engine.live.circuit_breaker import BreakerState
from engine.live.intent_log import (
    FileIntentLog,
    IntentLogError,
    IntentRecord,
    MemoryIntentLog,
    SubmitIntent,
)
from engine.live.live_broker import LiveBroker
from engine.live.live_state import LiveState
from engine.live.live_strategy import LiveStrategyContainer
from engine.live.live_trading_manager import LiveTradingManager
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import OrderStatus, TradeType
from engine.model.quotes import QuoteTick
from engine.strategies.catalogue import StrategyType
from engine.strategies.signal_codes import BarOrderType
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.strategy import Strategy
from engine.testing.fake_venue import FakeVenue, NewsFault, SubmitFault

MARKET = ConnectorPair("fake", "ACME-USD")
INSTRUMENT = Instrument(MARKET, tick=Decimal("0.01"), lot=Decimal(1))


class Wishes(Strategy):
    """Says with each quote what the test wants."""

    def __init__(self, wishes: deque[Signal]) -> None:
        super().__init__()
        self._wishes = wishes

    def on_quote(self, quote: QuoteTick) -> None:
        while self._wishes:
            self.ctx.signal(self._wishes.popleft())


def position(lots: int) -> Signal:
    return Signal(MARKET, SignalKind.TARGET_QTY, Decimal(lots))


def limit(lots: int, ticks: int) -> Signal:
    return Signal(
        MARKET,
        SignalKind.ORDER,
        Decimal(lots),
        order_type=BarOrderType.LIMIT,
        limit=INSTRUMENT.price(ticks),
    )


@dataclass
class World:
    """A venue, a clock and a manager; ``quote`` lets one quote pass."""

    now: int = 1_000_000 * SECOND_NS
    wishes: dict[str, deque[Signal]] = field(default_factory=lambda: {"a": deque(), "b": deque()})
    log: MemoryIntentLog | FileIntentLog = field(default_factory=MemoryIntentLog)
    price: int = 10_000
    fees: BrokerSettings = field(default_factory=BrokerSettings)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.venue = FakeVenue(
            {MARKET: INSTRUMENT}, cash=Decimal(100_000), now_ns=self.clock, broker=self.fees
        )
        self.manager = self.start()

    def clock(self) -> int:
        return self.now

    def start(self) -> LiveTradingManager:
        return LiveTradingManager(
            instruments={MARKET: INSTRUMENT},
            account_equity=Decimal(200_000),
            now_ns=self.clock,
            strategies={name: self.type_of(name) for name in self.wishes},
            order_router=self.venue,
            intent_log=self.log,
            **self.options,
        )

    def type_of(self, name: str) -> StrategyType:
        kind = type_of_class(Wishes, name)
        return StrategyType(name, "", kind.params_model, lambda _: Wishes(self.wishes[name]))

    def add(self, name: str = "a", **more: Any) -> LiveStrategyContainer:
        return self.manager.add_strategy(name, config(name, **more))

    def quote(self, seconds: int = 1, *, price: int | None = None) -> None:
        self.now += seconds * SECOND_NS
        self.price = self.price if price is None else price
        quote = QuoteTick(MARKET, self.now, self.price, self.price + 2, 10**6, 10**6)
        self.venue.quote(quote)
        self.manager.on_quote(quote)
        self.manager.work()

    def wish(self, *signals: Signal, name: str = "a") -> None:
        self.wishes[name].extend(signals)
        self.quote()


def config(
    name: str = "a", *, risk: dict[str, Any] | None = None, broker: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:  # fmt: skip
    return {
        "mode": "LIVE_TRADING",
        "circuit_breaker": {"failure_threshold": 5, "window_s": 60, "open_s": 30},
        "components": {
            "strategy": {"class": name},
            "portfolio": {"allocated_capital": 50_000, "reconciliation_interval": 60},
            "risk_manager": risk or {},
            "broker": {"class": "LiveBroker", **(broker or {})},
        },
        **more,
    }


@pytest.fixture
def world() -> World:
    made = World()
    made.quote()
    return made


def broker_of(live: LiveStrategyContainer) -> LiveBroker:
    assert isinstance(live.broker, LiveBroker)
    return live.broker


def state_of(live: LiveStrategyContainer) -> LiveState:
    return live.status().state


def lots_of(live: LiveStrategyContainer) -> int:
    return live.container.portfolio.net_lots(MARKET)


# --- gate, orders, ids ---------------------------------------------------------------------------


def test_live_needs_a_log_of_its_orders() -> None:
    world = World()
    world.log = None  # type: ignore[assignment]
    world.manager = world.start()
    with pytest.raises(flow.ConfigurationError, match="needs a log of its orders"):
        world.add()


def test_orders_reach_the_venue_with_their_strategy_and_ids_of_the_scheme(world: World) -> None:
    live = world.add()
    assert state_of(live) is LiveState.RUNNING
    world.wish(position(5))
    world.quote()
    assert world.venue.sent == [("live_a-O00000000", "a")]
    assert lots_of(live) == 5 == world.venue.lots(MARKET)
    assert world.manager.book.account_lots(MARKET) == 5
    assert broker_of(live).positions() == {MARKET: 5}
    assert live.health.latency_percentiles()[0] is not None


def test_an_order_is_written_down_before_it_is_sent(world: World) -> None:
    seen: list[int] = []
    send = world.venue.submit

    def submit(order: Any, **more: Any) -> None:
        seen.append(sum(isinstance(one, SubmitIntent) for one in world.log.records("a")))
        send(order, **more)

    world.venue.submit = submit  # type: ignore[method-assign]
    world.add()
    world.wish(position(1))
    world.wish(position(2))
    assert seen == [1, 2]


def test_an_order_that_cannot_be_written_down_is_not_sent(world: World) -> None:
    live = world.add()
    append = world.log.append

    def fail(record: IntentRecord) -> None:
        raise IntentLogError("the disk is full")

    world.log.append = fail  # type: ignore[method-assign]
    world.wish(position(1))
    assert world.venue.sent == []
    assert state_of(live) is LiveState.DEGRADED
    assert "the disk is full" in live.reasons[0]
    world.log.append = append  # type: ignore[method-assign]
    world.manager.resume("a")
    world.wish(position(2))
    assert len(world.venue.sent) == 1
    assert state_of(live) is LiveState.RUNNING


@pytest.mark.parametrize("act", ["pause", "remove_strategy", "flatten"])
def test_a_cancel_that_cannot_be_written_down_is_not_sent_and_stops_nobody(
    world: World, act: str
) -> None:
    live, other = world.add(), world.add("b")
    world.wish(limit(3, 9_000))
    append = world.log.append

    def fail(record: IntentRecord) -> None:
        raise IntentLogError("the disk is full")

    world.log.append = fail  # type: ignore[method-assign]
    getattr(world.manager, act)("a")
    world.quote()
    assert len(world.venue.open_ids()) == 1
    assert "the disk is full" in live.degraded["log"]
    assert state_of(other) is LiveState.RUNNING
    world.log.append = append  # type: ignore[method-assign]
    world.manager.flatten("a")
    world.quote()
    assert world.venue.open_ids() == set()


def test_an_end_that_cannot_be_written_down_is_found_again_later(world: World) -> None:
    live, other = world.add(), world.add("b")
    world.wish(limit(3, 9_000))
    append = world.log.append

    def fail(record: IntentRecord) -> None:
        raise IntentLogError("the disk is full")

    world.log.append = fail  # type: ignore[method-assign]
    world.venue.cancel_by_hand(*world.venue.open_ids())
    for _ in range(10):
        world.quote(5)
    assert "the disk is full" in live.degraded["log"]
    assert state_of(other) is LiveState.RUNNING
    assert live.has_working_orders
    world.log.append = append  # type: ignore[method-assign]
    for _ in range(10):
        world.quote(5)
    assert not live.has_working_orders


@pytest.mark.parametrize("fault", [SubmitFault.NONE, SubmitFault.LOST_ANSWER, SubmitFault.SILENCE])
def test_a_crash_between_send_and_answer_duplicates_nothing(
    fault: SubmitFault, tmp_path: Path
) -> None:
    path = tmp_path / "intents.jsonl"
    world = World(log=FileIntentLog(path))
    world.quote()
    world.add()
    world.venue.submit_faults.append(fault)
    world.wishes["a"].append(position(4))
    world.quote()
    assert isinstance(world.log, FileIntentLog)
    world.log.close()
    world.log = FileIntentLog(path)
    world.manager = world.start()
    live = world.add()
    world.quote()
    assert world.venue.placed == {"live_a-O00000000": 1}
    assert lots_of(live) == 4 == world.manager.book.account_lots(MARKET)
    world.wish(position(6))
    world.quote()
    assert list(world.venue.placed) == ["live_a-O00000000", "live_a-O00000001"]
    assert lots_of(live) == 6 == world.venue.lots(MARKET)
    world.log.close()


def test_a_strategy_waits_at_the_gate_while_the_venue_cannot_be_asked(world: World) -> None:
    world.venue.disconnect()
    live = world.add()
    assert state_of(live) is LiveState.RECONCILING
    world.wish(position(3))
    assert world.venue.sent == []
    world.venue.connect()
    world.quote(11)
    assert state_of(live) is LiveState.RUNNING
    world.wish(position(3))
    world.quote()
    assert lots_of(live) == 3


def test_types_that_the_venue_lacks_are_refused_and_not_emulated(world: World) -> None:
    live = world.add()
    world.venue.capabilities = lambda: {"types": ("LIMIT",)}  # type: ignore[method-assign]
    world.wish(position(1))
    assert world.venue.sent == []
    (order,) = live.container.order_manager.orders()
    assert order.status is OrderStatus.REJECTED
    assert "fake takes no MARKET orders, allowed: LIMIT" in order.reason


# --- reconciliation ------------------------------------------------------------------------------


def test_a_lost_fill_is_found_on_the_interval(world: World) -> None:
    live = world.add()
    world.venue.news_faults.extend([NewsFault.LOST, NewsFault.LOST])
    world.wish(position(3))
    world.quote()
    assert lots_of(live) == 0
    world.quote(60)
    assert lots_of(live) == 3
    world.quote(60)
    assert len(broker_of(live).fills()) == 1


def test_an_order_that_never_arrived_is_given_up_after_three_misses(world: World) -> None:
    live = world.add()
    world.venue.submit_faults.append(SubmitFault.LOST_REQUEST)
    world.wish(position(3))
    for _ in range(5):
        world.quote(11)
    (order,) = live.container.order_manager.orders()
    assert (order.status, order.reason) == (OrderStatus.CANCELLED, "RECON_MISSING")
    assert world.venue.placed == {}


def test_one_that_arrives_after_it_was_given_up_is_cancelled_and_its_fills_are_kept(
    world: World,
) -> None:
    live = world.add()
    world.venue.submit_faults.append(SubmitFault.LATE)
    world.wish(limit(3, 9_990))
    for _ in range(5):
        world.quote(11)
    assert live.container.order_manager.orders()[0].status is OrderStatus.CANCELLED
    world.venue.release()
    world.quote(1)
    world.quote(61)
    assert world.venue.open_ids() == set()
    assert lots_of(live) == 0
    world.venue.submit_faults.append(SubmitFault.LATE)
    world.wish(position(2))
    for _ in range(5):
        world.quote(11)
    world.venue.release()
    world.quote(61)
    late = live.container.order_manager.orders()[1]
    assert (late.status, late.late_fill) == (OrderStatus.FILLED, True)
    assert lots_of(live) == 2 == world.venue.lots(MARKET)
    assert any("HEALTH: a fill of order" in text for text in live.alerts)
    assert live.status().late_fills == 1


def test_a_repeated_fill_counts_once(world: World) -> None:
    live = world.add()
    world.venue.news_faults.extend([NewsFault.TWICE, NewsFault.TWICE])
    world.wish(position(3))
    world.quote()
    world.quote(61)
    assert lots_of(live) == 3
    assert len(broker_of(live).fills()) == 1


def test_an_order_of_ours_that_is_unknown_here_is_adopted(world: World) -> None:
    live = world.add()
    world.wish(limit(3, 9_990))
    world.log = MemoryIntentLog()  # the log is lost with the machine
    world.manager = world.start()
    live = world.add()
    world.quote(61)
    (order,) = live.container.order_manager.open_orders()
    assert order.request.client_order_id == "live_a-O00000000"
    assert live.container.differences() == ()
    world.quote(price=9_985)
    assert lots_of(live) == 3 == world.venue.lots(MARKET)


@pytest.mark.parametrize("cancels", [False, True])
def test_foreign_orders_are_left_alone_unless_asked_for(world: World, *, cancels: bool) -> None:
    live = world.add(broker={"cancel_foreign": cancels})
    foreign = world.venue.order_by_hand(MARKET, TradeType.BUY, 2, 9_900)
    world.quote(61)
    assert (foreign in world.venue.open_ids()) is not cancels
    assert any(f"order {foreign} is not ours" in text for text in live.alerts)
    assert state_of(live) is LiveState.RUNNING


def test_foreign_fills_are_unattributed_with_a_warning(world: World) -> None:
    live = world.add()
    world.venue.trade_by_hand(MARKET, TradeType.BUY, 4)
    world.quote()
    book = world.manager.book
    assert (book.unattributed(MARKET), lots_of(live)) == (4, 0)
    assert "belongs to no strategy" in book.warnings[0]
    world.quote(61)
    assert state_of(live) is LiveState.RUNNING


def test_a_drift_of_the_position_blocks_at_once_and_is_booked_the_second_time(
    world: World,
) -> None:
    live = world.add()
    world.wish(limit(1, 9_000))
    world.venue.hides_fills = True
    world.venue.news_faults.append(NewsFault.LOST)
    world.venue.trade_by_hand(MARKET, TradeType.BUY, 4)
    world.quote(61)
    assert state_of(live) is LiveState.DEGRADED
    assert "drifts by 4 lots" in live.reasons[0]
    world.wish(position(9))
    assert lots_of(live) == 0
    world.quote(61)
    assert world.manager.book.unattributed(MARKET) == 4
    assert any("booked as unattributed RECON" in text for text in live.alerts)
    world.quote(61)
    assert state_of(live) is LiveState.RUNNING
    assert world.manager.book.account_lots(MARKET) == world.venue.lots(MARKET)


def test_size_and_price_of_an_order_are_the_venues(world: World) -> None:
    live = world.add()
    world.wish(limit(5, 9_990))
    (order,) = live.container.order_manager.open_orders()
    name = order.request.client_order_id
    there = world.venue._orders[name]
    world.venue._orders[name] = replace(there, request=replace(there.request, lots=3))
    world.quote(61)
    (amended,) = live.container.order_manager.open_orders()
    assert amended.request.lots == 3
    assert live.container.order_manager.working_lots(MARKET) == (3, 0)
    assert any("the venue wins" in text for text in live.alerts)


@pytest.mark.parametrize(
    ("share", "state"), [("0.0005", LiveState.RUNNING), ("0.02", LiveState.DEGRADED)]
)
def test_a_drift_of_the_balance_warns_or_degrades(
    world: World, share: str, state: LiveState
) -> None:
    live = world.add()
    balances = world.venue.balances()
    world.venue.balances = lambda: {  # type: ignore[method-assign]
        asset: money * (1 + Decimal(share)) for asset, money in balances.items()
    }
    world.quote(61)
    assert state_of(live) is state
    assert any("balance of USD is" in text for text in live.alerts)
    world.manager.resume("a")
    assert state_of(live) is LiveState.RUNNING
    world.quote(61)
    assert state_of(live) is LiveState.RUNNING


def test_a_disconnect_holds_entries_up_and_the_reconnect_compares(world: World) -> None:
    live = world.add()
    world.wish(limit(2, 9_990))
    world.venue.disconnect()
    world.quote()
    assert state_of(live) is LiveState.DEGRADED
    world.quote(price=9_980)  # fills while nobody can hear it
    assert lots_of(live) == 0
    world.venue.connect()
    world.quote()
    assert lots_of(live) == 2
    assert state_of(live) is LiveState.RUNNING


def test_actions_in_flight_are_left_out_for_five_seconds(world: World) -> None:
    live = world.add()
    world.venue.submit_faults.append(SubmitFault.LOST_REQUEST)
    world.wish(position(3))
    assert world.manager.reconcile()
    assert broker_of(live).needs_reconciliation is False
    reconciliation = world.manager.reconciliation
    assert reconciliation is not None
    assert reconciliation.actions == []
    world.quote(6)
    assert world.manager.reconcile()
    assert [one.kind.value for one in reconciliation.actions] == ["query_order"]


# --- states, breakers, guards --------------------------------------------------------------------


def test_a_halted_strategy_cannot_even_reduce_but_the_operator_can(world: World) -> None:
    live = world.add(risk={"price_band": "0.05"})
    world.wish(position(5))
    world.quote()
    world.wish(limit(1, 10_900))
    assert state_of(live) is LiveState.HALTED
    assert live.reasons[0].startswith("price_band")
    assert "PRICE_BAND" in live.container.order_manager.orders()[-1].reason
    world.wish(position(2))
    world.quote()
    assert lots_of(live) == 5
    world.manager.flatten("a")
    world.quote()
    assert lots_of(live) == 0 == world.venue.lots(MARKET)


@pytest.mark.parametrize("hold", ["pause", "degrade"])
def test_reductions_pass_while_paused_or_degraded(world: World, hold: str) -> None:
    live = world.add()
    world.wish(position(5))
    world.quote()
    if hold == "pause":
        world.manager.pause("a")
    else:
        live.degrade("test", "a test")
    world.wish(position(2))
    world.quote()
    assert lots_of(live) == 2
    world.wish(position(4))
    world.quote()
    assert lots_of(live) == 2


def test_the_venues_breaker_is_shared_and_lets_one_probe_pass(world: World) -> None:
    live, other = world.add("a", risk={"max_reject_rate": None}), world.add("b")
    world.venue.submit_faults.extend([SubmitFault.REFUSED] * 5)
    for lots in range(1, 6):
        world.wish(position(lots))
        world.quote()
    assert live.status().rejects == 5
    assert live.venue_breaker is other.venue_breaker
    assert live.venue_breaker.state(world.now) is BreakerState.OPEN
    world.wish(position(1), name="b")
    assert "BREAKER_OPEN" in other.container.order_manager.orders()[-1].reason
    assert other.status().refused == 1
    assert len(world.venue.sent) == 5
    world.quote(31)
    world.wish(position(1), name="b")
    world.quote()
    assert lots_of(other) == 1
    assert live.venue_breaker.state(world.now) is BreakerState.CLOSED


def test_a_reduction_passes_an_open_breaker(world: World) -> None:
    live = world.add()
    world.wish(position(3))
    world.quote()
    live.breaker.trip(world.now)
    world.wish(position(0))
    world.quote()
    assert lots_of(live) == 0


def test_too_many_orders_in_a_minute_halt(world: World) -> None:
    live = world.add(risk={"max_orders_per_minute": 3})
    for lots in (1, 2, 3, 4):
        world.wish(position(lots))
        world.quote()
    assert state_of(live) is LiveState.HALTED
    assert len(world.venue.sent) == 3
    assert "max_orders_per_minute" in live.reasons[0]


def test_requests_without_an_answer_count_as_failures(world: World) -> None:
    live = world.add(circuit_breaker={"failure_threshold": 1})
    world.venue.submit_faults.append(SubmitFault.SILENCE)
    world.wish(limit(2, 9_990))
    assert live.breaker.state(world.now) is BreakerState.CLOSED
    world.quote(11)
    assert live.breaker.state(world.now) is BreakerState.OPEN
    assert len(live.container.order_manager.open_orders()) == 1


def test_a_stop_waits_for_the_ends_of_orders_and_not_for_ever(world: World) -> None:
    live = world.add()
    world.wish(position(5))
    world.quote()
    assert not world.manager.remove_strategy("a", "flatten")
    assert state_of(live) is LiveState.STOPPING
    with pytest.raises(flow.ExistsError):
        world.add("a")
    world.quote()
    assert world.manager.status() == ()
    assert world.manager.retired["a"].status.state is LiveState.STOPPED
    assert world.venue.lots(MARKET) == 0 == world.manager.book.account_lots(MARKET)
    other = world.add("b")
    world.venue.submit_faults.append(SubmitFault.LOST_REQUEST)
    world.wish(limit(5, 9_990), name="b")
    assert not world.manager.remove_strategy("b", "keep")
    world.quote(9)
    assert state_of(other) is LiveState.STOPPING
    world.quote(2)
    assert world.manager.status() == ()
    assert "stopped with 1 orders without an end" in world.manager.book.warnings[-1]


def test_what_a_removed_strategy_leaves_is_nobodys_also_when_it_comes_back(world: World) -> None:
    world.add()
    world.wish(position(5))
    world.quote()
    world.manager.remove_strategy("a", "keep")
    assert world.manager.book.unattributed(MARKET) == 5
    live = world.add()
    assert lots_of(live) == 0
    world.quote(61)
    assert world.manager.book.account_lots(MARKET) == 5 == world.venue.lots(MARKET)


def test_a_position_is_transferred_to_another_strategy(world: World) -> None:
    world.add("a")
    other = world.add("b")
    world.wish(position(5))
    world.quote()
    world.manager.remove_strategy("a", "transfer", transfer_to="b")
    assert lots_of(other) == 5
    assert world.manager.book.portfolios["b"].net_lots(MARKET) == 5
    assert world.manager.book.account_lots(MARKET) == 5
    assert world.manager.book.unattributed(MARKET) == 0
    with pytest.raises(flow.ValidationError, match="allowed: flatten, keep, transfer"):
        world.manager.remove_strategy("b", "forget")  # type: ignore[arg-type]


# --- crossing ------------------------------------------------------------------------------------


def test_opposite_orders_are_both_sent_unless_crossing_is_switched_on() -> None:
    for crosses in (False, True):
        world = World(options={"internal_crossing": crosses})
        world.quote()
        first, second = world.add("a"), world.add("b")
        world.wishes["a"].append(position(5))
        world.wishes["b"].append(position(-3))
        world.quote()
        world.quote()
        assert (lots_of(first), lots_of(second)) == (5, -3)
        assert len(world.venue.sent) == (1 if crosses else 2)
        assert world.venue.lots(MARKET) == 2 == world.manager.book.account_lots(MARKET)
        if not crosses:
            continue
        (crossing,) = world.manager.book.crossings
        assert (crossing.lots, crossing.ticks) == (3, 10_001)
        assert (crossing.buyer, crossing.seller) == ("a", "b")
        assert any("crossed inside at 10001 ticks" in text for text in first.alerts)
        world.quote(61)
        assert state_of(first) is LiveState.RUNNING
        assert first.container.differences() == ()
        # A restart knows both parts.
        world.manager = world.start()
        again = world.add("a")
        world.add("b")
        world.quote()
        assert lots_of(again) == 5


def test_a_limit_crosses_only_where_the_mid_is_good_enough() -> None:
    world = World(options={"internal_crossing": True})
    world.quote()
    first, second = world.add("a"), world.add("b")
    world.wishes["a"].append(limit(5, 9_990))
    world.wishes["b"].append(position(-3))
    world.quote()
    world.quote()
    assert world.manager.book.crossings == []
    assert (lots_of(first), lots_of(second)) == (0, -3)


# --- shadow --------------------------------------------------------------------------------------


def costly(bps: str) -> BrokerSettings:
    return BrokerSettings.model_validate({"slippage_model": {"kind": "bps", "bps": bps}})


def test_the_shadow_measures_what_the_venue_costs_beyond_the_prediction() -> None:
    world = World(fees=costly("10"))
    world.quote()
    live = world.add()
    for lots in (5, 0, -5, 0):
        world.wish(position(lots))
        world.quote()
    report = world.manager.shadow_reports()["a"]
    assert (report.orders, report.compared) == (4, 4)
    assert report.mean_bps is not None
    assert abs(report.mean_bps - 10) < Decimal("0.5")
    assert report.median_bps is not None
    assert report.p95_bps is not None
    assert (report.actual_fill_rate, report.fill_rate_gap) == (Decimal(1), Decimal(0))
    found = live.shadow.calibration()
    settings = BarBrokerSettings.model_validate(found)
    assert settings.slippage_model.kind == "bps"
    assert abs(Decimal(found["slippage_model"]["bps"]) - 10) < Decimal("0.5")


def test_what_was_measured_can_be_used_in_a_backtest() -> None:
    world = World(fees=costly("10"))
    world.quote()
    live = world.add(shadow={"slippage_model": {"kind": "bps", "bps": "4"}})
    for lots in (5, 0):
        world.wish(position(lots))
        world.quote()
    values = live.shadow.calibration()
    assert [one["kind"] for one in values["slippage_model"]["models"]] == ["bps", "bps"]
    config = BacktestConfig.model_validate(
        {
            "data": [{"symbol": "X", "path": "x.csv", "bar": "1d"}],
            "components": {
                "strategy": {"class": "buy_and_hold"},
                "broker": {"class": "SimulatedBroker", "params": values},
            },
        }
    )
    assert config.components.broker.kind == "SimulatedBroker"


def test_limits_that_the_shadow_fills_and_the_venue_does_not_are_a_fill_rate_gap(
    world: World,
) -> None:
    live = world.add()
    for fills in (True, False, False, True):
        world.wish(limit(2, 9_990))
        if fills:
            world.quote(price=9_985)
        else:
            # The price only touches: others stand before us in the venue's queue.
            world.manager.on_quote(QuoteTick(MARKET, world.now, 9_985, 9_987, 10, 10))
            world.manager.work()
        world.manager.pause("a")
        world.manager.resume("a")
        world.quote(price=10_000)
        world.quote(61)
    report = live.shadow.report()
    assert report.fill_rate_gap is not None
    assert (report.fill_rate_gap, report.actual_fill_rate) == (Decimal("-0.5"), Decimal("0.5"))
    assert live.shadow.calibration()["limit_fill"]["p"] == "0.5"
    assert live.shadow.calibration()["limit_fill"]["kind"] == "probability"
    BarBrokerSettings.model_validate(live.shadow.calibration())


def test_slippage_beyond_the_shadow_halts_after_twenty_fills() -> None:
    world = World(fees=costly("10"))
    world.quote()
    live = world.add(risk={"max_slippage_bps": "5", "max_orders_per_minute": None})
    for number in range(21):
        if state_of(live) is LiveState.HALTED:
            break
        world.wish(position(number % 2 + 1 if number % 4 < 2 else -(number % 2) - 1))
        world.quote()
    assert state_of(live) is LiveState.HALTED
    assert "mean slippage" in live.reasons[0]
    assert live.status().fills == 20


def test_paper_has_no_router_and_the_same_path(world: World) -> None:
    paper = LiveTradingManager(
        instruments={MARKET: INSTRUMENT},
        account_equity=Decimal(200_000),
        now_ns=world.clock,
        strategies={"a": world.type_of("a")},
    )
    values = config()
    values["mode"] = "PAPER_TRADING"
    values["components"]["broker"] = {"class": "SimulatedBroker"}
    live = paper.add_strategy("a", values)
    assert paper.reconciliation is None
    assert not isinstance(live.broker, LiveBroker)
    world.wishes["a"].append(position(5))
    paper.on_quote(QuoteTick(MARKET, world.now, 10_000, 10_002, 100, 100))
    paper.work()
    assert lots_of(live) == 5
    assert world.venue.sent == []
    assert live.shadow.report().mean_bps == 0
    paper.close()


def test_the_venue_hears_of_reduce_only_where_the_position_is_of_one_strategy(
    world: World,
) -> None:
    world.add("a")
    world.wishes["a"].append(position(10))
    world.quote()
    world.quote()
    world.wishes["a"].append(Signal(MARKET, SignalKind.EXIT))
    world.quote()
    assert [one.reduce_only for one in world.venue.submitted] == [False, True]
    world.quote()
    world.add("b")
    world.wishes["a"].append(position(10))
    world.wishes["b"].append(position(-4))
    world.quote()
    world.quote()
    # The account has 6: told that the order may only reduce, a venue would sell 6 of the 10.
    world.wishes["a"].append(Signal(MARKET, SignalKind.EXIT))
    world.quote()
    world.quote()
    assert not world.venue.submitted[-1].reduce_only
    assert world.manager.book.account_lots(MARKET) == -4
