"""LIVE-1 to LIVE-12 in paper mode: capital, states, errors, breakers, guards, ledgers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError

from engine import flow
from engine.backtest.strategy_loading import type_of_class
from engine.live.circuit_breaker import (
    BreakerState,
    CircuitBreaker,
    GuardSettings,
    TradingGuards,
)
from engine.live.health import HealthFigures, HealthLevel, HealthMonitor, percentile
from engine.live.live_config import LiveConfig
from engine.live.live_strategy import TRANSITIONS, IllegalLiveStateError, LiveState
from engine.live.live_trading_manager import LiveTradingManager
from engine.live.reconciliation import ActionKind, KnownOrder, Reconciler, Snapshot
from engine.live.virtual_portfolio import AccountBook, VirtualPortfolio
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.model.orders import Fill, TradeType
from engine.model.quotes import QuoteTick
from engine.strategies.catalogue import StrategyType
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.strategy import Strategy

MARKET = ConnectorPair("paper", "ACME-USD")
INSTRUMENT = Instrument(MARKET, tick=Decimal("0.01"), lot=Decimal(1))


class Buys(Strategy):
    """Holds ten from the first quote on; may be told to break."""

    broken = False

    def __init__(self, breaks_from: int = 10**9) -> None:
        super().__init__()
        self._count = 0
        self._breaks_from = breaks_from

    def on_quote(self, quote: QuoteTick) -> None:
        self._count += 1
        if self._count >= self._breaks_from:
            raise RuntimeError("broke")
        self.ctx.signal(Signal(quote.market, SignalKind.TARGET_QTY, Decimal(10)))


TYPES: Mapping[str, StrategyType] = {"buys": type_of_class(Buys, "buys")}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000 * SECOND_NS

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def manager(clock: Clock) -> LiveTradingManager:
    return LiveTradingManager(
        instruments={MARKET: INSTRUMENT},
        account_equity=Decimal(200_000),
        now_ns=clock,
        strategies=TYPES,
    )


def config(*, capital: int = 50_000, handling: str = "graceful", **more: Any) -> dict[str, Any]:
    params = more.pop("params", {})
    return {
        "components": {
            "strategy": {"class": "buys", "params": params, "error_handling": handling},
            "portfolio": {"class": "VirtualPortfolio", "allocated_capital": capital},
            "risk_manager": more.pop("risk", {}),
        },
        "circuit_breaker": {"failure_threshold": 5, "window_s": 60, "open_s": 30},
        **more,
    }


def feed(manager: LiveTradingManager, clock: Clock, price: int, *, count: int = 1) -> None:
    for _ in range(count):
        clock.now += SECOND_NS
        manager.on_quote(QuoteTick(MARKET, clock.now, price, price + 2, 1000, 1000))
        manager.work()


def test_strategies_of_one_account_are_added_watched_and_removed(
    manager: LiveTradingManager, clock: Clock
) -> None:
    for name in ("one", "two"):
        manager.add_strategy(name, config(), market=MARKET)
    feed(manager, clock, 10_000, count=3)
    first, second = manager.status()
    assert first.state is LiveState.RUNNING
    assert dict(first.positions) == {MARKET: 10} == dict(second.positions)
    assert manager.book.account_lots(MARKET) == 20
    assert manager.book.portfolios["one"].net_lots(MARKET) == 10
    manager.remove_strategy("one", "flatten")
    assert manager.book.account_lots(MARKET) == 10
    manager.remove_strategy("two", "keep")
    assert manager.book.unattributed(MARKET) == 10
    assert manager.status() == ()


def test_an_id_is_taken_once_and_capital_is_bounded(manager: LiveTradingManager) -> None:
    manager.add_strategy("one", config(capital=150_000), market=MARKET)
    with pytest.raises(flow.ExistsError, match="one exists already"):
        manager.add_strategy("one", config(), market=MARKET)
    with pytest.raises(flow.ConfigurationError, match=r"is above 190000\.00"):
        manager.add_strategy("two", config(capital=40_001), market=MARKET)
    manager.add_strategy("two", config(capital=39_000), market=MARKET)
    with pytest.raises(flow.NotFoundError, match="known: one, two"):
        manager.pause("three")
    with pytest.raises(flow.ConfigurationError, match="allowed: buys"):
        manager.add_strategy(
            "four",
            {"components": {"strategy": {"class": "sells"}, "portfolio": {"allocated_capital": 1}}},
            market=MARKET,
        )
    manager.close()


def test_mode_and_broker_must_fit() -> None:
    with pytest.raises(ValidationError, match="LIVE_TRADING needs the broker class LiveBroker"):
        LiveConfig.model_validate({**config(), "mode": "LIVE_TRADING"})
    broken = config()
    broken["components"]["broker"] = {"class": "LiveBroker"}
    with pytest.raises(ValidationError, match="needs the broker class SimulatedBroker"):
        LiveConfig.model_validate(broken)
    broken["mode"] = "LIVE_TRADING"
    broken["components"]["broker"]["slippage_model"] = "fixed"
    with pytest.raises(ValidationError, match=r"slippage_model only makes sense in simulation"):
        LiveConfig.model_validate(broken)


def test_live_without_a_router_is_refused(manager: LiveTradingManager) -> None:
    live = config()
    live["mode"] = "LIVE_TRADING"
    live["components"]["broker"] = {"class": "LiveBroker"}
    with pytest.raises(flow.ConfigurationError, match="needs the order router 'order_router'"):
        manager.add_strategy("one", live)
    assert manager.status() == ()


@pytest.mark.parametrize(
    ("handling", "state", "errors"),
    [
        ("graceful", LiveState.PAUSED, 3),
        ("strict", LiveState.PAUSED, 1),
        ("halt", LiveState.HALTED, 1),
    ],
)
def test_errors_are_handled_as_configured_and_stay_with_their_strategy(
    manager: LiveTradingManager, clock: Clock, handling: str, state: LiveState, errors: int
) -> None:
    manager.add_strategy("good", config(), market=MARKET)
    manager.add_strategy("bad", config(handling=handling, params={"breaks_from": 4}), market=MARKET)
    feed(manager, clock, 10_000, count=3 + errors)
    good, bad = manager.status()
    assert (good.state, good.errors) == (LiveState.RUNNING, 0)
    assert (bad.state, bad.errors) == (state, errors)
    assert any("RuntimeError: broke" in text for text in bad.alerts)
    expected = {} if handling == "halt" else {MARKET: 10}
    assert dict(bad.positions) == expected


def test_a_paused_strategy_enters_nothing_and_resumes(
    manager: LiveTradingManager, clock: Clock
) -> None:
    manager.add_strategy("one", config(), market=MARKET)
    manager.pause("one")
    feed(manager, clock, 10_000, count=2)
    assert dict(manager.status()[0].positions) == {}
    manager.resume("one")
    feed(manager, clock, 10_000, count=2)
    assert dict(manager.status()[0].positions) == {MARKET: 10}
    manager.flatten_all()
    assert dict(manager.status()[0].positions) == {}


def test_a_guard_halts_until_a_person_resumes(manager: LiveTradingManager, clock: Clock) -> None:
    risk = {"max_drawdown": "0.01"}
    manager.add_strategy("one", config(capital=1_100, risk=risk), market=MARKET)
    feed(manager, clock, 10_000, count=2)
    feed(manager, clock, 9_000, count=2)
    (status,) = manager.status()
    assert status.state is LiveState.HALTED
    assert "max_drawdown" in status.reasons[0]


@pytest.mark.parametrize(("old", "new"), list(product(LiveState, LiveState)))
def test_only_the_table_allows_a_transition(old: LiveState, new: LiveState) -> None:
    manager = LiveTradingManager(
        instruments={MARKET: INSTRUMENT},
        account_equity=Decimal(200_000),
        now_ns=lambda: 0,
        strategies=TYPES,
    )
    live = manager.add_strategy("one", config(), market=MARKET)
    live.state = old
    if new is old or new in TRANSITIONS[old]:
        live.enter(new)
        assert live.state is new
    else:
        with pytest.raises(IllegalLiveStateError, match="cannot become"):
            live.enter(new)
    live.container.close()


def test_a_breaker_opens_doubles_and_closes() -> None:
    breaker = CircuitBreaker()
    now = 0
    for _ in range(4):
        assert not breaker.record_failure(now)
    assert breaker.record_failure(now)
    assert not breaker.allows_entry(now + 29 * SECOND_NS)
    now += 30 * SECOND_NS
    assert breaker.state(now) is BreakerState.HALF_OPEN
    assert breaker.allows_entry(now)
    assert not breaker.allows_entry(now)
    assert breaker.record_failure(now)
    assert breaker.open_s == 60
    now += 60 * SECOND_NS
    assert breaker.allows_entry(now)
    breaker.record_success(now)
    assert breaker.state(now) is BreakerState.CLOSED
    assert breaker.open_s == 30
    for _ in range(10):
        breaker.trip(now)
        now += 600 * SECOND_NS
        breaker.record_failure(now)
    assert breaker.open_s == 600


def test_failures_outside_of_the_window_do_not_count() -> None:
    breaker = CircuitBreaker()
    for second in range(0, 160, 16):
        assert not breaker.record_failure(second * SECOND_NS)


def test_guards_see_orders_rejects_prices_and_slippage() -> None:
    guards = TradingGuards(
        GuardSettings(max_orders_per_minute=30, max_slippage_bps=Decimal(5)), equity_atoms=100
    )
    trips = [guards.on_order(second, is_rejected=second % 2 == 0) for second in range(31)]
    assert [trip.guard for trip in trips if trip is not None][:1] == ["max_reject_rate"]
    assert trips[-1] is not None
    assert trips[-1].guard == "max_orders_per_minute"
    far = guards.on_price(Decimal(106), Decimal(100), side=1)
    assert far is not None
    assert far.guard == "price_band"
    assert guards.on_price(Decimal(94), Decimal(100), side=1) is None
    slips = [guards.on_slippage(Decimal("100.1"), Decimal(100), side=1) for _ in range(20)]
    assert slips[-1] is not None
    assert "10.00 bps" in slips[-1].text


def test_health_levels_follow_the_thresholds() -> None:
    monitor = HealthMonitor()
    good = HealthFigures(heartbeat_age_ns=0, data_age_ns=0, expected_data_ns=SECOND_NS)
    assert monitor.check(good, 1).level is HealthLevel.HEALTHY
    old = replace(good, data_age_ns=3 * SECOND_NS + 1)
    assert monitor.check(old, 2).level is HealthLevel.DEGRADED
    lagging = replace(good, lag_ns=2 * SECOND_NS + 1)
    assert monitor.check(lagging, 3).level is HealthLevel.DEGRADED
    dead = replace(good, heartbeat_age_ns=121 * SECOND_NS)
    assert monitor.check(dead, 4).level is HealthLevel.UNHEALTHY
    assert not monitor.trips_breaker
    monitor.check(dead, 5)
    assert monitor.trips_breaker
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([], 99) is None


def fill(number: int, lots: int, *, side: TradeType = TradeType.BUY, ticks: int = 10_000) -> Fill:
    notional = INSTRUMENT.notional_atoms(ticks, lots)
    return Fill(
        f"f{number}", f"o{number}", "one", "strategy", MARKET, side, lots, ticks, notional, 0,
        is_maker=False, ts_ns=number,
    )  # fmt: skip


def test_virtual_positions_and_the_rest_are_the_account() -> None:
    book = AccountBook()
    for name in ("one", "two"):
        book.add(VirtualPortfolio(name, [INSTRUMENT]))
    book.attribute("one", fill(1, 10))
    book.attribute("two", fill(2, 4, side=TradeType.SELL))
    book.attribute(None, fill(3, 5))
    book.attribute(None, fill(3, 5))
    book.attribute("one", fill(1, 10))
    assert book.portfolios["one"].net_lots(MARKET) == 10
    assert book.portfolios["one"].duplicate_fills == 1
    assert book.account_lots(MARKET) == 10 - 4 + 5
    assert len(book.warnings) == 1
    assert book.portfolios["one"].equity == Decimal(100_000)


def test_crossing_inside_is_off_unless_it_is_asked_for() -> None:
    terms: dict[str, Any] = {"buyer": "a", "seller": "b", "lots": 3, "mid_twice": 20_002}
    assert AccountBook().cross(MARKET, **terms) is None
    book = AccountBook(internal_crossing=True)
    crossing = book.cross(MARKET, **terms)
    assert crossing is not None
    assert (crossing.lots, crossing.mid_twice) == (3, 20_002)


def snapshot(
    *orders: KnownOrder, lots: int = 0, cash: str = "1000", fills: tuple[Fill, ...] = ()
) -> Snapshot:
    return Snapshot(
        {one.client_id: one for one in orders}, {MARKET: lots}, {"USD": Decimal(cash)}, fills
    )


def test_reconciliation_decides_as_the_table_says() -> None:
    ours = KnownOrder("mine-1", MARKET, 10, 0, 100)
    recon = Reconciler(prefix="mine-")

    def kinds(here: Snapshot, there: Snapshot, now: int = 0, **more: Any) -> list[ActionKind]:
        return [one.kind for one in recon.run(here, there, now_ns=now, **more)]

    assert kinds(snapshot(), snapshot()) == []
    assert kinds(snapshot(), snapshot(fills=(fill(1, 1),))) == [ActionKind.APPLY_FILL]
    assert kinds(snapshot(), snapshot(ours)) == [ActionKind.ADOPT_ORDER]
    foreign = replace(ours, client_id="other-1")
    assert kinds(snapshot(), snapshot(foreign)) == [ActionKind.LEAVE_FOREIGN]
    assert kinds(snapshot(ours), snapshot(replace(ours, filled_lots=4))) == [
        ActionKind.UPDATE_ORDER
    ]
    missing = [kinds(snapshot(ours), snapshot()) for _ in range(3)]
    assert missing == [
        [ActionKind.QUERY_ORDER],
        [ActionKind.QUERY_ORDER],
        [ActionKind.CANCEL_MISSING],
    ]
    assert kinds(snapshot(lots=5), snapshot(lots=6)) == [ActionKind.BLOCK_ENTRIES]
    assert kinds(snapshot(lots=5), snapshot(lots=6)) == [ActionKind.ADJUST_POSITION]
    assert kinds(snapshot(), snapshot(cash="1000.05")) == []
    assert kinds(snapshot(), snapshot(cash="1005")) == [ActionKind.WARN_BALANCE]
    assert kinds(snapshot(), snapshot(cash="980")) == [ActionKind.DEGRADE]
    busy = {MARKET: 0}
    assert kinds(snapshot(ours, lots=5), snapshot(), in_flight=busy) == []
    assert kinds(snapshot(lots=5), snapshot(), now=6 * SECOND_NS, in_flight=busy) == [
        ActionKind.BLOCK_ENTRIES
    ]


def test_foreign_orders_are_cancelled_only_when_asked_for() -> None:
    foreign = KnownOrder("other-1", MARKET, 10, 0, 100)
    recon = Reconciler(prefix="mine-", cancel_foreign=True)
    (action,) = recon.run(snapshot(), snapshot(foreign), now_ns=0)
    assert action.kind is ActionKind.CANCEL_FOREIGN


def test_books_that_differ_hold_entries_up_until_they_agree(
    manager: LiveTradingManager, clock: Clock
) -> None:
    live = manager.add_strategy("one", config(monitoring_enabled=False))
    feed(manager, clock, 10_000, count=2)
    book = manager.book.portfolios["one"]
    book.apply(fill(1, 3))
    manager.reconcile()
    assert manager.status()[0].state is LiveState.DEGRADED
    assert "virtual portfolio of one is not its container's" in live.reasons[0]
    book.apply(fill(2, 3, side=TradeType.SELL))
    clock.now += 300 * SECOND_NS
    manager.work()
    assert manager.status()[0].state is LiveState.RUNNING


def test_health_is_checked_on_its_interval_and_two_missed_beats_trip_the_breaker(
    clock: Clock,
) -> None:
    manager = LiveTradingManager(
        instruments={MARKET: INSTRUMENT},
        account_equity=Decimal(200_000),
        now_ns=clock,
        strategies=TYPES,
        rss_bytes=lambda: 123,
    )
    live = manager.add_strategy("one", config(health_check_interval=10, bar_s=2))
    feed(manager, clock, 10_000, count=2)
    clock.now += 11 * SECOND_NS
    manager.work()
    assert manager.status()[0].state is LiveState.DEGRADED
    assert live.reasons[0].startswith("data are 11.0 s old")
    assert live.health.last is not None
    assert live.health.last.figures.rss_bytes == 123
    feed(manager, clock, 10_000, count=11)
    assert manager.status()[0].state is LiveState.RUNNING
    for _ in range(2):
        clock.now += 21 * SECOND_NS
        manager.work()
    assert live.breaker.state(clock.now) is BreakerState.OPEN
    assert "the breaker is open" in live.alerts[-1]


def test_without_monitoring_nobody_checks(clock: Clock, manager: LiveTradingManager) -> None:
    live = manager.add_strategy("one", config(monitoring_enabled=False, bar_s=1))
    feed(manager, clock, 10_000)
    clock.now += 500 * SECOND_NS
    manager.work()
    assert live.health.last is None
    assert any("monitoring_enabled is false" in text for text in live.alerts)


def several(level: str, *, handling: str = "graceful") -> dict[str, Any]:
    values = config(isolation_level=level)
    del values["components"]["strategy"]
    values["components"]["strategies"] = [
        {"class": "buys", "id": "first"},
        {"class": "buys", "params": {"breaks_from": 3}, "error_handling": handling},
    ]
    return values


def test_strategies_of_a_portfolio_share_a_container_and_its_account(
    manager: LiveTradingManager, clock: Clock
) -> None:
    live = manager.add_strategy("both", several("portfolio"), market=MARKET)
    feed(manager, clock, 10_000, count=2)
    (status,) = manager.status()
    # Both want ten of one account: the second sees what the first has ordered.
    assert dict(status.positions) == {MARKET: 10}
    assert live.markets == (MARKET,)
    assert manager.book.account_lots(MARKET) == 10
    feed(manager, clock, 10_000)
    assert live.counters.errors == 1


def test_the_strictest_handling_counts_for_all_of_a_portfolio(
    manager: LiveTradingManager, clock: Clock
) -> None:
    live = manager.add_strategy("both", several("portfolio", handling="halt"), market=MARKET)
    feed(manager, clock, 10_000, count=4)
    assert live.state is LiveState.HALTED
    assert manager.book.account_lots(MARKET) == 0


def test_full_isolation_gives_each_strategy_a_container(manager: LiveTradingManager) -> None:
    checked = LiveConfig.model_validate(several("full"))
    with pytest.raises(flow.ConfigurationError, match="isolation_level full gives each of the 2"):
        manager.add_strategy("both", checked, market=MARKET)
    parts = checked.containers()
    assert [name for name, _ in parts] == ["first", "buys"]
    for name, part in parts:
        manager.add_strategy(name, part, market=MARKET)
    assert [one.id for one in manager.status()] == ["first", "buys"]


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ({}, "strategy is missing"),
        ({"strategy": {"class": "a"}, "strategies": [{"class": "b"}]}, "give one of them"),
    ],
)
def test_one_strategy_or_several(components: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        LiveConfig.model_validate({"components": components})


class Shorts(Strategy):
    """Sells a hundred short with the first quote."""

    def on_quote(self, quote: QuoteTick) -> None:
        if not self.ctx.net_lots(quote.market):
            self.ctx.signal(Signal(quote.market, SignalKind.TARGET_QTY, Decimal(-100)))


def test_a_paper_account_below_its_maintenance_margin_is_closed_pf_13(clock: Clock) -> None:
    derivative = replace(INSTRUMENT, settlement=Settlement.DERIVATIVE)
    manager = LiveTradingManager(
        instruments={MARKET: derivative},
        account_equity=Decimal(200_000),
        now_ns=clock,
        strategies={"buys": type_of_class(Shorts, "buys")},
    )
    live = manager.add_strategy("short", config(capital=15_000), market=MARKET)
    feed(manager, clock, 10_000)
    (status,) = manager.status()
    assert dict(status.positions) == {MARKET: -100}
    # Sold at 100.00: equity 15,000 + 100 * (100 - mid), maintenance half of 100 * mid: equal at
    # a mid of 166.66...
    states = []
    for price in (16_600, 16_670):
        feed(manager, clock, price)
        states.append(live.state)
    assert states == [LiveState.RUNNING, LiveState.HALTED]
    assert live.reasons[0].startswith("LIQUIDATION: equity 8329")
    (status,) = manager.status()
    assert dict(status.positions) == {}


@pytest.mark.parametrize(
    ("risk", "held"),
    [
        ({"max_position_pct": "0.01"}, 4),
        ({"max_gross_exposure": 700}, 6),
        ({"max_portfolio_heat": "0.001"}, 0),
        ({"blocked_symbols": ["ACME-USD"]}, 0),
        ({"trading_hours": ["00:00-00:05"]}, 0),
        ({"max_position_pct": "0.5", "max_open_positions": 1}, 10),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_every_limit_of_a_session_is_a_limit_of_a_live_strategy(
    manager: LiveTradingManager, clock: Clock, risk: dict[str, Any], held: int
) -> None:
    manager.add_strategy("one", config(risk=risk), market=MARKET)
    feed(manager, clock, 10_000)
    (status,) = manager.status()
    assert status.positions.get(MARKET, 0) == held
    assert status.state is LiveState.RUNNING
