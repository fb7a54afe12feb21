"""What lets an order of a live strategy out: breakers and guards, and what they learn of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engine.execution.reasons import ReasonCode
from engine.execution.reports import OrderAccepted, OrderRejected, OrderReport
from engine.live.circuit_breaker import CircuitBreaker, GuardTrip, TradingGuards
from engine.live.health import HealthMonitor
from engine.live.live_status import LiveCounters
from engine.model.orders import OrderRequest, PositionAction
from engine.model.quotes import QuoteTick
from engine.risk.exposure import EXIT_ROLES


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order must not go out; ``trip`` is the guard that halts the strategy for it."""

    code: ReasonCode
    text: str
    trip: GuardTrip | None = None


class OrderGate:
    """Breakers of strategy and venue, guards, latency: asked before an order, told after it.

    Args:
        breaker: of the strategy.
        venue_breaker: of the venue, shared with other strategies.
        guards: limits that halt until a person resumes.
        health: takes the latencies.
        counters: take the rejects.
    """

    def __init__(
        self,
        *,
        breaker: CircuitBreaker,
        venue_breaker: CircuitBreaker,
        guards: TradingGuards,
        health: HealthMonitor,
        counters: LiveCounters,
    ) -> None:
        self._breakers = {"strategy": breaker, "venue": venue_breaker}
        self._guards = guards
        self._health = health
        self._counters = counters
        self._sent_ns: dict[str, int] = {}

    def find_refusal(
        self,
        request: OrderRequest,
        *,
        quote: QuoteTick | None,
        is_reduction: bool,
        closed: str,
        now_ns: int,
    ) -> Refusal | None:
        """Return why *request* must not go out: state, breakers, price band, order rate.

        Reductions always go.

        Args:
            request: the order.
            quote: the newest of its market.
            is_reduction: whether it can only make the position smaller.
            closed: why entries are not possible now, empty if they are.
            now_ns: the time.
        """
        if is_reduction:
            self._guards.on_send(now_ns)
            return None
        if closed:
            return Refusal(ReasonCode.RISK_HALTED, closed)
        for name, breaker in self._breakers.items():
            if not breaker.allows_entry(now_ns):
                text = f"the {name}'s circuit breaker is {breaker.state(now_ns).value}"
                return Refusal(ReasonCode.BREAKER_OPEN, text)
        trip = self._check_price(request, quote)
        if trip is not None:
            return Refusal(ReasonCode.PRICE_BAND, trip.text, trip)
        trip = self._guards.on_send(now_ns)
        if trip is not None:
            return Refusal(ReasonCode.MAX_ORDERS_PER_MINUTE, trip.text, trip)
        return None

    def on_send(self, client_order_id: str, *, now_ns: int) -> None:
        """Take note that an order goes out."""
        self._counters.orders += 1
        self._sent_ns[client_order_id] = now_ns

    def on_report(self, report: OrderReport, *, now_ns: int) -> GuardTrip | None:
        """Tell breakers, guards and latency what a venue answered; return a guard that trips."""
        if not isinstance(report, OrderRejected | OrderAccepted):
            return None
        started_ns = self._sent_ns.pop(report.client_order_id, None)
        if started_ns is None:
            return None
        self._health.add_latency((now_ns - started_ns) / 1e6)
        is_rejected = isinstance(report, OrderRejected)
        self._counters.rejects += is_rejected
        for breaker in self._breakers.values():
            if is_rejected:
                breaker.record_failure(now_ns)
            else:
                breaker.record_success(now_ns)
        return self._guards.on_outcome(is_rejected=is_rejected)

    def on_timeout(self, now_ns: int) -> None:
        """Count a request without an answer as a failure of strategy and venue."""
        for breaker in self._breakers.values():
            breaker.record_failure(now_ns)

    def _check_price(self, request: OrderRequest, quote: QuoteTick | None) -> GuardTrip | None:
        if request.limit_ticks is None or quote is None:
            return None
        last = Decimal(quote.bid_ticks + quote.ask_ticks) / 2
        return self._guards.on_price(Decimal(request.limit_ticks), last, side=request.side.sign)


def is_reduction(request: OrderRequest, *, net_lots: int) -> bool:
    """Whether *request* can only make a position of *net_lots* smaller."""
    return (
        request.reduce_only
        or request.position_action is PositionAction.CLOSE
        or request.role.partition(" ")[0] in EXIT_ROLES
        or request.lots <= -request.side.sign * net_lots
    )
