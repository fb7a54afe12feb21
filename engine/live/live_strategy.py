"""One live strategy: its container, states, health, breaker, guards and counters (LIVE-2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from engine import flow
from engine.containers.effects import Effects
from engine.containers.inputs import StartInput, StopInput, TimerInput
from engine.containers.session_assembly import OutsideParts, assemble_session
from engine.containers.session_container import SessionContainer
from engine.execution.outbox_broker import OutboxBroker, Outgoing
from engine.execution.reasons import ReasonCode
from engine.execution.reports import (
    CancelRejected,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    OrderReport,
)
from engine.execution.settings import BrokerSettings, build_commission, build_simulated_broker
from engine.execution.tick_broker import TickBroker
from engine.live.circuit_breaker import (
    CircuitBreaker,
    GuardTrip,
    TradingGuards,
)
from engine.live.health import HealthCheck, HealthFigures, HealthLevel, HealthMonitor
from engine.live.intent_log import IntentLogError
from engine.live.live_broker import LiveBroker
from engine.live.live_config import LiveConfig, PaperBrokerSection
from engine.live.live_state import TRANSITIONS, IllegalLiveStateError, LiveState
from engine.live.live_status import LiveCounters, LiveStatus
from engine.live.order_gate import OrderGate, is_reduction
from engine.live.order_ids import OrderIds, prefix_of
from engine.live.shadow import Shadow
from engine.live.virtual_portfolio import INSIDE
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    STRATEGY_ROLE,
    Fill,
    OrderRequest,
    OrderType,
    PositionAction,
    TradeType,
)
from engine.model.quotes import QuoteTick
from engine.strategies.catalogue import StrategyType

__all__ = [
    "TRANSITIONS",
    "IllegalLiveStateError",
    "LiveState",
    "LiveStrategyContainer",
]

ERROR_WINDOW_NS: Final = 60 * SECOND_NS
ERRORS_IN_A_ROW: Final = 3
ERRORS_IN_WINDOW: Final = 5
STOP_DEADLINE_NS: Final = 10 * SECOND_NS
QUEUE_SIZE: Final = 1024
ALERTS_KEPT: Final = 1000
ROUNDS: Final = 1000
"""How often orders may lead to orders at one instant before that counts as a flood."""

Policy = Literal["flatten", "keep", "transfer"]


class LiveStrategyContainer:
    """One strategy with its container, health, breaker, guards and counters.

    Its orders leave the container through an outbox and pass breaker and guards on their way to
    the broker: a simulated one in paper, a `LiveBroker` in live; everything else is the same.
    Belongs to one thread; the manager feeds it through a bounded queue that keeps the newest
    quotes, and calls `work`.

    Args:
        strategy_id: unique among the account's strategies.
        config: its configuration.
        kinds: how its strategies are made, in the order of the configuration; several share
            broker and portfolio (isolation_level portfolio).
        markets: what each of them trades.
        instruments: the account's markets.
        currency: of the account.
        parity: quote assets that count 1:1.
        broker: carries its orders out; None: a simulated one (paper).
        first_number: number of its first order.
        venue_breaker: the breaker of the market's venue, shared with the other strategies.
    """

    def __init__(
        self,
        strategy_id: str,
        config: LiveConfig,
        *,
        kinds: Sequence[StrategyType],
        markets: Sequence[ConnectorPair],
        instruments: Mapping[ConnectorPair, Instrument],
        currency: str,
        parity: Sequence[str],
        broker: TickBroker | None = None,
        first_number: int = 0,
        venue_breaker: CircuitBreaker | None = None,
    ) -> None:
        self.id = strategy_id
        self.config = config
        self.markets = tuple(dict.fromkeys(markets))
        self.state = LiveState.STARTING
        self.reasons: tuple[str, ...] = ()
        self.alerts: deque[str] = deque(maxlen=ALERTS_KEPT)
        self.queue: deque[QuoteTick] = deque()
        self.breaker = CircuitBreaker(config.circuit_breaker)
        self.venue_breaker = venue_breaker or CircuitBreaker(config.circuit_breaker)
        self.health = HealthMonitor(interval_ns=config.health_check_interval * SECOND_NS)
        self.counters = LiveCounters()
        self.fills_taken: deque[Fill] = deque()
        """Fills that the manager has not booked yet."""
        self.heartbeat_ns: int | None = None
        self.last_quote_ns: int | None = None
        self.reconciled_ns: int | None = None
        self.stopping_since_ns: int | None = None
        self.stop_policy: Policy = "keep"
        self.degraded: dict[str, str] = {}
        """Why entries are held up, by who says so: health, position, balance, venue."""
        self._now_ns = 0
        self._late: set[str] = set()
        self._strategy_errors: list[tuple[str, Exception]] = []
        self._next_order_id = OrderIds(strategy_id, first=first_number)
        parts = config.components
        self.outbox = OutboxBroker(instruments)
        self.broker: TickBroker = broker or _paper_broker(config, instruments)
        self.shadow = Shadow(instruments, config.shadow, seed=config.seed)
        self.container: SessionContainer = assemble_session(
            container_id=prefix_of(strategy_id),
            start_ns=0,
            seed=config.seed,
            instruments=instruments,
            bar_ns=config.bar_s * SECOND_NS,
            currency=currency,
            initial_balance=parts.portfolio.allocated_capital,
            parity=parity,
            broker=_paper_settings(config),
            risk=parts.risk_manager.limits(),
            strategies=tuple(
                (market, kind.build(section.params))
                for market, kind, section in zip(markets, kinds, parts.all_strategies, strict=True)
            ),
            outside=OutsideParts(self.outbox, self._next_order_id, self._take_error),
        )
        self.guards = TradingGuards(
            parts.risk_manager.guards(), equity_atoms=self.container.portfolio.equity_atoms
        )
        self._gate = OrderGate(
            breaker=self.breaker,
            venue_breaker=self.venue_breaker,
            guards=self.guards,
            health=self.health,
            counters=self.counters,
        )

    # --- states --------------------------------------------------------------------------------

    def enter(self, state: LiveState, reason: str = "") -> None:
        """Go to *state*; entries pass in RUNNING only, reductions in DEGRADED and PAUSED too.

        Raises:
            IllegalLiveStateError: the table does not allow it.
        """
        if state is self.state:
            return
        if state not in TRANSITIONS[self.state]:
            raise IllegalLiveStateError(
                f"strategy {self.id} is {self.state.value} and cannot become {state.value}"
            )
        self.state = state
        self.reasons = (reason,) if reason else ()
        if reason:
            self.alert(f"{state.value}: {reason}")
        why = reason or f"strategy {self.id} is {state.value}"
        if state is LiveState.RUNNING:
            self.container.resume_entries()
        else:
            self.container.halt_entries(why)
        if state.lets_reduce:
            self.container.admit_strategies()
        else:
            self.container.bar_strategies(why)

    @property
    def may_enter(self) -> bool:
        """Whether entries are possible now."""
        return self.state is LiveState.RUNNING

    def alert(self, text: str) -> None:
        """Keep *text* for people."""
        self.alerts.append(text)

    def degrade(self, source: str, reason: str) -> None:
        """Hold entries up until *source* takes it back with `recover`."""
        self.degraded[source] = reason
        if self.state is LiveState.RUNNING:
            self.enter(LiveState.DEGRADED, reason)

    def recover(self, source: str) -> None:
        """Take back what *source* had against entries; they pass when nobody has anything."""
        had_something = self.degraded.pop(source, None) is not None
        if had_something and not self.degraded and self.state is LiveState.DEGRADED:
            self.enter(LiveState.RUNNING)

    # --- work ----------------------------------------------------------------------------------

    def offer(self, quote: QuoteTick) -> None:
        """Queue a quote; when the queue is full the oldest is dropped and counted."""
        if len(self.queue) >= QUEUE_SIZE:
            self.queue.popleft()
            self.counters.dropped += 1
        self.queue.append(quote)

    def start(self, now_ns: int) -> None:
        """Begin; RUNNING follows with `pass_gate` when the books agree with the venue."""
        self._now_ns = now_ns
        self.enter(LiveState.RECONCILING)
        self._apply(StartInput(now_ns))

    def pass_gate(self) -> None:
        """Run: the books agree with the venue's (nothing is at a venue in paper)."""
        if self.state is LiveState.RECONCILING:
            if self.degraded:
                self.enter(LiveState.DEGRADED, "; ".join(self.degraded.values()))
            else:
                self.enter(LiveState.RUNNING)

    def work(self, now_ns: int, *, most: int = QUEUE_SIZE) -> int:
        """Handle up to *most* queued quotes and the timer; return how many quotes there were."""
        handled = 0
        while handled < most and self.handle_one(now_ns):
            self.dispatch()
            handled += 1
        self.tick(now_ns)
        return handled

    def handle_one(self, now_ns: int) -> bool:
        """Handle one queued quote; what it makes the strategy order stays in the outbox."""
        self._now_ns = max(self._now_ns, now_ns)
        self.heartbeat_ns = self._now_ns
        if self.state in (LiveState.STOPPED, LiveState.FAILED):
            self.queue.clear()
        if not self.queue:
            return False
        quote = self.queue.popleft()
        self.last_quote_ns = quote.ts_ns
        self.shadow.on_quote(quote)
        self.report(self.broker.on_quote(quote))
        self._apply(quote)
        return True

    def tick(self, now_ns: int) -> None:
        """Handle the timer and look at the guards."""
        self._now_ns = max(self._now_ns, now_ns)
        self.heartbeat_ns = self._now_ns
        if self.state in (LiveState.STOPPED, LiveState.FAILED):
            return
        self.shadow.on_time(self._now_ns)
        self.report(self.broker.on_time(self._now_ns))
        if isinstance(self.broker, LiveBroker):
            for _ in range(self.broker.take_timeouts()):
                self._gate.on_timeout(self._now_ns)
        self._apply(TimerInput(self._now_ns))
        self.dispatch()
        if self.state in (LiveState.RUNNING, LiveState.DEGRADED, LiveState.PAUSED):
            self._guard(self.guards.on_equity(self.container.portfolio.equity_atoms, self._now_ns))
            self._check_margin()

    def dispatch(self) -> None:
        """Carry out what is in the outbox, and what follows from it."""
        for _ in range(ROUNDS):
            outgoing = self.outbox.take()
            if not outgoing:
                return
            self.carry_out(outgoing)
        self._fail(flow.OperationError(f"orders led to orders {ROUNDS} times at one instant"))

    def carry_out(self, outgoing: Iterable[Outgoing]) -> None:
        """Send orders and cancels, if breakers and guards let them."""
        for one in outgoing:
            if isinstance(one, OrderRequest):
                self.send(one)
            else:
                self.cancel(one.client_order_id)

    def cancel(self, client_order_id: str) -> None:
        """Cancel one order; a cancel that cannot be written down is not sent."""
        self.shadow.cancel(client_order_id, now_ns=self._now_ns)
        try:
            reports = self.broker.cancel(client_order_id, now_ns=self._now_ns)
        except IntentLogError as error:
            self.degrade("log", error.message)
            reports = (CancelRejected(client_order_id, self._now_ns, ReasonCode.VENUE),)
        self.report(reports)

    def send(self, request: OrderRequest) -> None:
        """Send one order; one that is refused ends as rejected with the reason."""
        refusal = self._gate.find_refusal(
            request,
            quote=self.container.data_handler.quote(request.market),
            is_reduction=self._is_reduction(request),
            closed="" if self.may_enter else f"strategy {self.id} is {self.state.value}",
            now_ns=self._now_ns,
        )
        if refusal is not None:
            self._guard(refusal.trip)
            self.counters.refused += 1
            rejected = OrderRejected(
                request.client_order_id, self._now_ns, refusal.code, refusal.text
            )
            self.report((rejected,), is_ours=True)
            return
        self._gate.on_send(request.client_order_id, now_ns=self._now_ns)
        self.shadow.submit(request, now_ns=self._now_ns)
        try:
            reports = self.broker.submit(request, now_ns=self._now_ns)
        except IntentLogError as error:
            self.degrade("log", error.message)
            reports = (
                OrderRejected(
                    request.client_order_id, self._now_ns, ReasonCode.VENUE, error.message
                ),
            )
        else:
            self.recover("log")
        self.report(reports)

    def may_send(self, request: OrderRequest) -> bool:
        """Whether the state lets *request* out."""
        return self.may_enter or self._is_reduction(request)

    def fill_inside(self, request: OrderRequest, *, lots: int, ticks: int, name: str) -> None:
        """Fill *lots* of an order without the venue, free of fees."""
        now_ns = self._now_ns
        instrument = self.container.data_handler.instrument(request.market)
        fill = Fill(
            fill_id=f"{INSIDE}{request.client_order_id}-{name}",
            client_order_id=request.client_order_id,
            owner_id=request.owner_id,
            role=request.role,
            market=request.market,
            side=request.side,
            lots=lots,
            ticks=ticks,
            notional_atoms=instrument.notional_atoms(ticks, lots),
            fee_atoms=0,
            is_maker=False,
            ts_ns=now_ns,
        )
        reports: Sequence[OrderReport] = (
            OrderAccepted(request.client_order_id, now_ns),
            OrderFilled(fill),
        )
        if isinstance(self.broker, LiveBroker):
            reports = self.broker.record_inside(reports, request, now_ns=now_ns)
        else:
            self.broker.take_over(request.market, request.side.sign * lots)
        self.report(reports, is_ours=True)

    def transfer(self, market: ConnectorPair, *, lots: int, ticks: int, name: str) -> None:
        """Take over signed *lots* of another strategy at *ticks*, or give them away."""
        request = OrderRequest(
            client_order_id=self._next_order_id(),
            market=market,
            side=TradeType.BUY if lots > 0 else TradeType.SELL,
            order_type=OrderType.MARKET,
            lots=abs(lots),
            limit_ticks=None,
            position_action=PositionAction.NIL,
            leverage=1,
            owner_id="strategy",
            role=STRATEGY_ROLE,
        )
        self.adopt(request)
        self.fill_inside(request, lots=abs(lots), ticks=ticks, name=name)

    def take_venue_reports(self, reports: Sequence[OrderReport]) -> None:
        """Take what reconciliation found out about orders, written down first."""
        if isinstance(self.broker, LiveBroker):
            reports = self.broker.record(reports, now_ns=self._now_ns)
        self.report(reports, is_ours=True)

    def report(self, reports: Iterable[OrderReport], *, is_ours: bool = False) -> None:
        """Take what became of orders.

        Args:
            reports: in their order.
            is_ours: it was our decision: it says nothing about the venue.
        """
        taken = tuple(reports)
        if not taken:
            return
        self._guarded(lambda: self.container.take_reports(taken, now_ns=self._now_ns))
        if not is_ours:
            for one in taken:
                self._guard(self._gate.on_report(one, now_ns=self._now_ns))

    def adopt(self, request: OrderRequest) -> None:
        """Take in an order that the venue has and the book of record has not."""
        self.outbox.restore(request)
        self._guarded(lambda: self.container.adopt_order(request, now_ns=self._now_ns))

    def amend(self, client_order_id: str, *, lots: int, limit_ticks: int | None) -> None:
        """Take over what the venue says of an order."""
        self._guarded(
            lambda: self.container.amend_order(
                client_order_id, lots=lots, limit_ticks=limit_ticks, now_ns=self._now_ns
            )
        )

    def check_health(self, now_ns: int, *, rss_bytes: int | None = None) -> HealthCheck:
        """Judge the strategy; DEGRADED and back follow from it, two bad checks trip the breaker."""
        counted = self.counters
        p50, p99 = self.health.latency_percentiles()
        check = self.health.check(
            HealthFigures(
                heartbeat_age_ns=_age(self.heartbeat_ns, now_ns),
                data_age_ns=_age(self.last_quote_ns, now_ns),
                expected_data_ns=self.config.bar_s * SECOND_NS,
                queue_depth=len(self.queue),
                lag_ns=0 if not self.queue else max(0, now_ns - self.queue[0].ts_ns),
                error_rate=counted.errors / max(1, counted.orders + counted.errors),
                reject_rate=counted.rejects / max(1, counted.orders),
                latency_p50_ms=p50,
                latency_p99_ms=p99,
                rss_bytes=rss_bytes,
                reconciliation_age_ns=_age(self.reconciled_ns, now_ns),
            ),
            now_ns,
        )
        if self.health.trips_breaker:
            self.breaker.trip(now_ns)
            self.alert("the breaker is open: two unhealthy checks in a row")
        if check.level is HealthLevel.HEALTHY:
            self.recover("health")
        else:
            self.degrade("health", "; ".join(check.reasons))
        return check

    def pause(self, reason: str = "paused by the operator") -> None:
        """Stop entries and cancel those that work; protective orders stay."""
        self.enter(LiveState.PAUSED, reason)
        self._guarded(self.container.cancel_entries)
        self.dispatch()

    def resume(self) -> None:
        """Run again after a pause or a halt, once the books have been compared."""
        if self.state is LiveState.RUNNING:
            return
        self.counters.in_a_row = 0
        self.counters.error_times.clear()
        if self.state is LiveState.HALTED:
            self.guards.restart(self.container.portfolio.equity_atoms)
        self.degraded.clear()
        if self.state is LiveState.DEGRADED:
            self.enter(LiveState.RUNNING)
            return
        self.enter(LiveState.RECONCILING)

    def flatten(self) -> None:
        """Cancel entries and close every position."""
        self._guarded(self.container.cancel_entries)
        self._guarded(lambda: self.container.flatten("flatten", next_order_id=self._next_order_id))
        self.dispatch()

    def begin_stop(self, policy: Policy) -> None:
        """Stop: no new entries, cancel what works, then the policy (LIVE-5)."""
        if self.state in (LiveState.STOPPED, LiveState.STOPPING):
            return
        self.enter(LiveState.STOPPING)
        self.stopping_since_ns = self._now_ns
        self.stop_policy = policy
        self._guarded(self.container.cancel_entries)
        self.dispatch()
        if policy == "flatten":
            self.flatten()
        self._apply(StopInput(self._now_ns, policy != "flatten", "manager"))
        self.dispatch()

    def is_stop_over(self, now_ns: int) -> bool:
        """Whether all orders have ended since the stop, or the deadline has passed."""
        since = self.stopping_since_ns
        if since is None:
            return False
        return not self.has_working_orders or now_ns - since >= STOP_DEADLINE_NS

    def close(self) -> None:
        """Tear the container down."""
        if self.state is LiveState.STOPPING:
            self.enter(LiveState.STOPPED)
        self.container.close()

    @property
    def has_working_orders(self) -> bool:
        """Whether orders wait for their end."""
        return self.container.order_manager.open_count > 0

    def status(self) -> LiveStatus:
        """Return what can be said of it."""
        ledgers = self.container.portfolio.ledgers
        last = self.health.last
        return LiveStatus(
            id=self.id,
            state=self.state,
            equity=self.container.portfolio.equity,
            allocated_capital=self.config.components.portfolio.allocated_capital,
            positions={key: one.net_lots for key, one in ledgers.items() if one.net_lots},
            errors=self.counters.errors,
            orders=self.counters.orders,
            rejects=self.counters.rejects,
            fills=self.counters.fills,
            breaker=self.breaker.state(self._now_ns),
            health=HealthLevel.HEALTHY if last is None else last.level,
            reasons=self.reasons,
            queue_depth=len(self.queue),
            dropped_quotes=self.counters.dropped,
            alerts=tuple(self.alerts),
            open_orders=self.container.order_manager.open_count,
            late_fills=len(self._late),
            refused=self.counters.refused,
        )

    # --- inside --------------------------------------------------------------------------------

    def _apply(self, item: Any) -> None:  # noqa: ANN401 (any session input)
        self._guarded(lambda: self.container.apply(item))
        if isinstance(item, QuoteTick) and not self._strategy_errors:
            self.counters.in_a_row = 0
        errors, self._strategy_errors = self._strategy_errors, []
        for hook, error in errors:
            self._failed(hook, error)

    def _guarded(self, step: Callable[[], Effects]) -> None:
        """Take a step of the container; a broken invariant ends this strategy only."""
        try:
            effects = step()
        except Exception as error:  # noqa: BLE001 (supervisor: one strategy's failure must not affect another)
            self._fail(error)
            return
        self._take(effects)

    def _take_error(self, hook: str, error: Exception) -> None:
        self._strategy_errors.append((hook, error))

    def _fail(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        self.alert(f"{self.container.id} is broken: {text}")
        if LiveState.FAILED in TRANSITIONS[self.state]:
            self.enter(LiveState.FAILED, text)

    def _failed(self, hook: str, error: Exception) -> None:
        """Count an error of the strategy and do what its handling says (LIVE-4)."""
        counted, now_ns = self.counters, self._now_ns
        counted.errors += 1
        counted.in_a_row += 1
        counted.error_times.append(now_ns)
        while counted.error_times and now_ns - counted.error_times[0] > ERROR_WINDOW_NS:
            counted.error_times.popleft()
        self.breaker.record_failure(now_ns)
        text = f"{hook}: {type(error).__name__}: {error}"
        self.alert(f"error in {self.container.id}, {text}")
        match self.config.components.error_handling:
            case "strict":
                self._pause_for(text)
            case "halt":
                if self._halt_for(text):
                    self.flatten()
            case "graceful":
                if (
                    counted.in_a_row >= ERRORS_IN_A_ROW
                    or len(counted.error_times) >= ERRORS_IN_WINDOW
                ):
                    self._pause_for(f"{counted.errors} errors, the last {text}")

    def _pause_for(self, reason: str) -> None:
        if self.state in (LiveState.RUNNING, LiveState.DEGRADED):
            self.pause(reason)

    def _halt_for(self, reason: str) -> bool:
        if self.state not in (LiveState.RUNNING, LiveState.DEGRADED, LiveState.PAUSED):
            return False
        self.enter(LiveState.HALTED, reason)
        return True

    def _guard(self, trip: GuardTrip | None) -> None:
        if trip is not None and self._halt_for(f"{trip.guard}: {trip.text}"):
            self._guarded(self.container.cancel_entries)
            self.dispatch()

    def _check_margin(self) -> None:
        """Close everything when the equity is below the maintenance margin (PF-13).

        In paper only: a venue does it by its own rules.
        """
        if isinstance(self.broker, LiveBroker):
            return
        portfolio = self.container.portfolio
        gross_twice = sum(
            abs(one.net_lots * one.mark_twice) * one.scale for one in portfolio.ledgers.values()
        )
        equity = portfolio.equity_atoms
        if 4 * equity >= gross_twice:
            return
        instrument = next(iter(portfolio.ledgers.values())).instrument
        text = (
            f"LIQUIDATION: equity {instrument.money(equity)} is below the maintenance margin "
            f"{instrument.money(gross_twice // 4)}"
        )
        if self._halt_for(text):
            self.flatten()

    def _is_reduction(self, request: OrderRequest) -> bool:
        return is_reduction(request, net_lots=self.container.portfolio.net_lots(request.market))

    def _take(self, effects: Effects) -> None:
        for fill in effects.fills:
            self.outbox.note_fill(fill)
            self.shadow.on_fill(fill, now_ns=self._now_ns)
        for order in effects.orders.values():
            self.outbox.note(order)
            self.shadow.on_order(order, now_ns=self._now_ns)
            client_order_id = order.request.client_order_id
            if (order.late_fill or order.overfill) and client_order_id not in self._late:
                self._late.add(client_order_id)
                what = "came when it was over" if order.late_fill else "was larger than it"
                self.alert(f"HEALTH: a fill of order {client_order_id} {what}: it is booked")
        self.counters.fills += len(effects.fills)
        self.fills_taken.extend(effects.fills)
        for one in self.shadow.take_samples():
            self._guard(self.guards.on_slippage(one.actual, one.predicted, side=one.side))


def _paper_settings(config: LiveConfig) -> BrokerSettings:
    section = config.components.broker
    return section.settings() if isinstance(section, PaperBrokerSection) else config.shadow


def _paper_broker(
    config: LiveConfig, instruments: Mapping[ConnectorPair, Instrument]
) -> TickBroker:
    settings = _paper_settings(config)
    return build_simulated_broker(
        settings,
        instruments=instruments,
        commission=build_commission(settings.commission_model),
        seed=config.seed,
    )


def find_live_broker(broker: TickBroker) -> LiveBroker | None:
    """Return *broker* if it sends to a venue, None for a simulated one."""
    return broker if isinstance(broker, LiveBroker) else None


def _age(then_ns: int | None, now_ns: int) -> int | None:
    return None if then_ns is None else max(0, now_ns - then_ns)
