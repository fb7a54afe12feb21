"""One live strategy: its container, states, health, breaker, guards and counters (LIVE-2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum, unique
from typing import Any, Final, Literal

from engine import flow
from engine.containers.effects import Effects
from engine.containers.inputs import StartInput, StopInput, TimerInput
from engine.containers.session_assembly import assemble_session
from engine.containers.session_container import SessionContainer
from engine.execution.settings import BrokerSettings
from engine.live.circuit_breaker import (
    BreakerState,
    CircuitBreaker,
    GuardTrip,
    TradingGuards,
)
from engine.live.health import HealthCheck, HealthFigures, HealthLevel, HealthMonitor
from engine.live.live_config import LiveConfig
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, OrderStatus
from engine.model.quotes import QuoteTick
from engine.strategies.catalogue import StrategyType

ERROR_WINDOW_NS: Final = 60 * SECOND_NS
ERRORS_IN_A_ROW: Final = 3
ERRORS_IN_WINDOW: Final = 5
STOP_DEADLINE_NS: Final = 10 * SECOND_NS
QUEUE_SIZE: Final = 1024


@unique
class LiveState(StrEnum):
    """State of a live strategy (LIVE-2)."""

    STARTING = "starting"
    RECONCILING = "reconciling"
    RUNNING = "running"
    DEGRADED = "degraded"
    PAUSED = "paused"
    HALTED = "halted"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


_L = LiveState
TRANSITIONS: Final[dict[LiveState, frozenset[LiveState]]] = {
    _L.STARTING: frozenset({_L.RECONCILING, _L.FAILED, _L.STOPPING}),
    _L.RECONCILING: frozenset({_L.RUNNING, _L.DEGRADED, _L.FAILED, _L.STOPPING}),
    _L.RUNNING: frozenset({_L.DEGRADED, _L.PAUSED, _L.HALTED, _L.STOPPING, _L.FAILED}),
    _L.DEGRADED: frozenset({_L.RUNNING, _L.PAUSED, _L.HALTED, _L.STOPPING, _L.FAILED}),
    _L.PAUSED: frozenset({_L.RECONCILING, _L.RUNNING, _L.HALTED, _L.STOPPING, _L.FAILED}),
    _L.HALTED: frozenset({_L.RECONCILING, _L.RUNNING, _L.STOPPING, _L.FAILED}),
    _L.STOPPING: frozenset({_L.STOPPED, _L.FAILED}),
    _L.STOPPED: frozenset(),
    _L.FAILED: frozenset({_L.STOPPING}),
}
"""Legal transitions; entries are possible in RUNNING only."""


class IllegalLiveStateError(flow.OperationError):
    """A live strategy was asked for something that its state does not allow."""


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """What can be said of one live strategy."""

    id: str
    state: LiveState
    equity: Decimal
    allocated_capital: Decimal
    positions: Mapping[ConnectorPair, int]
    errors: int
    orders: int
    rejects: int
    fills: int
    breaker: BreakerState
    health: HealthLevel
    reasons: tuple[str, ...]
    queue_depth: int
    dropped_quotes: int
    alerts: tuple[str, ...]


@dataclass(slots=True)
class _Counters:
    errors: int = 0
    in_a_row: int = 0
    error_times: deque[int] = field(default_factory=deque)
    orders: int = 0
    rejects: int = 0
    fills: int = 0
    dropped: int = 0


class LiveStrategyContainer:
    """One strategy with its container, health, breaker, guards and counters.

    Belongs to one thread; the manager feeds it through a bounded queue that keeps the newest
    quotes, and calls `work`.
    """

    def __init__(
        self,
        strategy_id: str,
        config: LiveConfig,
        *,
        kind: StrategyType,
        market: ConnectorPair,
        instruments: Mapping[ConnectorPair, Instrument],
        currency: str,
        parity: Sequence[str],
    ) -> None:
        self.id = strategy_id
        self.config = config
        self.market = market
        self.state = LiveState.STARTING
        self.reasons: tuple[str, ...] = ()
        self.alerts: list[str] = []
        self.queue: deque[QuoteTick] = deque()
        self.breaker = CircuitBreaker(config.circuit_breaker)
        self.health = HealthMonitor(interval_ns=config.health_check_interval * SECOND_NS)
        self.counters = _Counters()
        self.fills_taken: deque[Fill] = deque()
        """Fills that the manager has not booked yet."""
        self.heartbeat_ns: int | None = None
        self.last_quote_ns: int | None = None
        self._now_ns = 0
        self._requests = 0
        parts = config.components
        strategy = kind.build(parts.strategy.params)
        self.container: SessionContainer = assemble_session(
            container_id=f"live_{strategy_id}",
            start_ns=0,
            seed=config.seed,
            instruments=instruments,
            bar_ns=config.bar_s * SECOND_NS,
            currency=currency,
            initial_balance=parts.portfolio.allocated_capital,
            parity=parity,
            broker=BrokerSettings.model_validate(parts.broker.model_dump(exclude={"kind"})),
            risk=parts.risk_manager.limits(),
            strategies=((market, strategy),),
        )
        self.guards = TradingGuards(
            parts.risk_manager.guards(), equity_atoms=self.container.portfolio.equity_atoms
        )

    # --- states --------------------------------------------------------------------------------

    def enter(self, state: LiveState, reason: str = "") -> None:
        """Go to *state*; entries pass in RUNNING only.

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
            self.alerts.append(f"{state.value}: {reason}")
        if state is LiveState.RUNNING:
            self.container.resume_entries()
        else:
            self.container.halt_entries(reason or f"strategy is {state.value}")

    @property
    def may_enter(self) -> bool:
        """Whether entries are possible now."""
        return self.state is LiveState.RUNNING

    # --- work ----------------------------------------------------------------------------------

    def offer(self, quote: QuoteTick) -> None:
        """Queue a quote; when the queue is full the oldest is dropped and counted."""
        if len(self.queue) >= QUEUE_SIZE:
            self.queue.popleft()
            self.counters.dropped += 1
        self.queue.append(quote)

    def start(self, now_ns: int) -> None:
        """Start: reconcile (nothing is at a venue in paper), then run."""
        self._now_ns = now_ns
        self.enter(LiveState.RECONCILING)
        self._apply(StartInput(now_ns))
        self.enter(LiveState.RUNNING)

    def work(self, now_ns: int, *, most: int = QUEUE_SIZE) -> int:
        """Handle up to *most* queued quotes and the timer; return how many quotes there were."""
        self._now_ns = max(self._now_ns, now_ns)
        self.heartbeat_ns = self._now_ns
        if self.state in (LiveState.STOPPED, LiveState.FAILED):
            self.queue.clear()
            return 0
        handled = 0
        while self.queue and handled < most:
            quote = self.queue.popleft()
            self.last_quote_ns = quote.ts_ns
            self._apply(quote)
            handled += 1
        self._apply(TimerInput(self._now_ns))
        if self.state in (LiveState.RUNNING, LiveState.DEGRADED, LiveState.PAUSED):
            self._guard(self.guards.on_equity(self.container.portfolio.equity_atoms, self._now_ns))
            self._follow_breaker()
        return handled

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
            ),
            now_ns,
        )
        if self.health.trips_breaker:
            self.breaker.trip(now_ns)
        if check.level is HealthLevel.HEALTHY and self.state is LiveState.DEGRADED:
            self.enter(LiveState.RUNNING)
        elif check.level is not HealthLevel.HEALTHY and self.state is LiveState.RUNNING:
            self.enter(LiveState.DEGRADED, "; ".join(check.reasons))
        return check

    def pause(self, reason: str = "paused by the operator") -> None:
        """Stop entries and cancel those that work; protective orders stay."""
        self.enter(LiveState.PAUSED, reason)
        self._take(self.container.cancel_entries())

    def resume(self) -> None:
        """Run again after a pause or a halt."""
        self.counters.in_a_row = 0
        self.counters.error_times.clear()
        self.enter(LiveState.RUNNING)

    def flatten(self) -> None:
        """Cancel entries and close every position."""
        self._requests += 1
        self._take(self.container.cancel_entries())
        self._take(self.container.flatten(f"flatten{self._requests}"))

    def stop(self, policy: Literal["flatten", "keep", "transfer"]) -> None:
        """Stop: no entries, cancel what works, then the policy (LIVE-5)."""
        if self.state not in (LiveState.STOPPED, LiveState.STOPPING):
            self.enter(LiveState.STOPPING)
        self._take(self.container.cancel_entries())
        if policy == "flatten":
            self.flatten()
        self._apply(StopInput(self._now_ns, policy != "flatten", "manager"))

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
        )

    # --- inside --------------------------------------------------------------------------------

    def _apply(self, item: Any) -> None:  # noqa: ANN401 (any session input)
        try:
            effects = self.container.apply(item)
        except Exception as error:  # noqa: BLE001 (boundary: one strategy's failure must not affect another)
            self._failed(error)
            return
        if isinstance(item, QuoteTick):
            self.counters.in_a_row = 0
        self._take(effects)

    def _failed(self, error: Exception) -> None:
        """Count an error of the strategy and do what its handling says (LIVE-4)."""
        counted, now_ns = self.counters, self._now_ns
        counted.errors += 1
        counted.in_a_row += 1
        counted.error_times.append(now_ns)
        while counted.error_times and now_ns - counted.error_times[0] > ERROR_WINDOW_NS:
            counted.error_times.popleft()
        self.breaker.record_failure(now_ns)
        text = f"{type(error).__name__}: {error}"
        self.alerts.append(f"error in {self.container.id}: {text}")
        match self.config.components.strategy.error_handling:
            case "strict":
                self._pause_for(text)
            case "halt":
                self._halt_for(text)
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

    def _halt_for(self, reason: str) -> None:
        if self.state in (LiveState.RUNNING, LiveState.DEGRADED, LiveState.PAUSED):
            self.enter(LiveState.HALTED, reason)

    def _guard(self, trip: GuardTrip | None) -> None:
        if trip is not None:
            self._halt_for(f"{trip.guard}: {trip.text}")
            self._take(self.container.cancel_entries())

    def _follow_breaker(self) -> None:
        """An open breaker keeps entries out without changing the strategy's state."""
        if self.state is not LiveState.RUNNING:
            return
        if self.breaker.state(self._now_ns) is BreakerState.OPEN:
            self.container.halt_entries("the circuit breaker is open")
        else:
            self.container.resume_entries()

    def _take(self, effects: Effects) -> None:
        for order in effects.orders.values():
            if order.status in (OrderStatus.ROUTED, OrderStatus.REJECTED, OrderStatus.FILLED):
                is_rejected = order.status is OrderStatus.REJECTED
                self.counters.orders += 1
                self.counters.rejects += is_rejected
                if is_rejected:
                    self.breaker.record_failure(self._now_ns)
                else:
                    self.breaker.record_success(self._now_ns)
                self._guard(self.guards.on_order(self._now_ns, is_rejected=is_rejected))
        self.counters.fills += len(effects.fills)
        self.fills_taken.extend(effects.fills)


def _age(then_ns: int | None, now_ns: int) -> int | None:
    return None if then_ns is None else max(0, now_ns - then_ns)
