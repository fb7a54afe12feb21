"""The shadow of a live strategy: what a simulated broker predicts for each order (LIVE-12).

The difference between what happened and what was predicted, on the same quotes, is what a backtest
of the strategy would have got wrong; it can be exported as cost settings of a backtest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import mean, median
from typing import Any, Final

from engine.execution.reports import OrderFilled, OrderRejected, OrderReport
from engine.execution.settings import BrokerSettings, build_commission, build_simulated_broker
from engine.live.health import percentile
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, Order, OrderRequest, OrderStatus, PositionAction
from engine.model.quotes import QuoteTick

SAMPLES_KEPT: Final = 10_000
WAIT_NS: Final = 60 * SECOND_NS
"""How long the prediction of an order that is over is waited for."""
_BPS: Final = 10_000
_BPS_STEP: Final = Decimal("0.0001")
_SHARE_STEP: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """How far fills were from their predictions; None where there is nothing to compare.

    ``*_bps`` are of (actual - predicted) / predicted with the order's side, so that positive is
    worse than predicted. ``*_rate`` are filled lots / ordered lots; ``fill_rate_gap`` is actual
    less predicted. ``delay_ms`` is the mean time from the predicted to the actual first fill.
    """

    orders: int
    compared: int
    mean_bps: Decimal | None
    median_bps: Decimal | None
    p95_bps: Decimal | None
    delay_ms: float | None
    actual_fill_rate: Decimal | None
    predicted_fill_rate: Decimal | None
    fill_rate_gap: Decimal | None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values: decimals as text."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: f"{value:f}" if isinstance(value, Decimal) else value
            for name, value in values.items()
        }


@dataclass(frozen=True, slots=True)
class SlippageSample:
    """A fill beside its prediction, prices in the market's units."""

    actual: Decimal
    predicted: Decimal
    side: int


@dataclass(slots=True)
class _Side:
    lots: int = 0
    value: int = 0
    """Sum of lots * ticks."""
    first_ns: int | None = None

    def add(self, fill: Fill, ts_ns: int) -> None:
        self.lots += fill.lots
        self.value += fill.lots * fill.ticks
        if self.first_ns is None:
            self.first_ns = ts_ns


@dataclass(slots=True)
class _Pair:
    request: OrderRequest
    actual: _Side = field(default_factory=_Side)
    predicted: _Side = field(default_factory=_Side)
    waiting: list[Fill] = field(default_factory=list)
    """Fills that came before their prediction."""
    is_taker: bool = True
    ended_ns: int | None = None


@dataclass(slots=True)
class _Totals:
    orders: int = 0
    ordered: int = 0
    actual: int = 0
    predicted: int = 0
    rests_predicted: int = 0
    rests_filled: int = 0


class Shadow:
    """Predicts every order of one strategy with a simulated broker of its own.

    Args:
        instruments: the markets.
        settings: what the prediction assumes; by default no slippage and no latency.
        seed: of its draws.
    """

    def __init__(
        self,
        instruments: Mapping[ConnectorPair, Instrument],
        settings: BrokerSettings | None = None,
        *,
        seed: int = 0,
    ) -> None:
        self._instruments = instruments
        self._settings = settings or BrokerSettings()
        self._broker = build_simulated_broker(
            self._settings,
            instruments=instruments,
            commission=build_commission(self._settings.commission_model),
            seed=seed,
        )
        self._pairs: dict[str, _Pair] = {}
        self._samples: list[SlippageSample] = []
        self._bps: list[Decimal] = []
        self._taker_bps: list[Decimal] = []
        self._delays_ms: list[float] = []
        self._totals = _Totals()

    def on_quote(self, quote: QuoteTick) -> None:
        """Take a quote before the strategy sees it."""
        self._take(self._broker.on_quote(quote), quote.ts_ns)
        self._settle(quote.ts_ns)

    def on_time(self, now_ns: int) -> None:
        """Let orders arrive that travel."""
        self._take(self._broker.on_time(now_ns), now_ns)
        self._settle(now_ns)

    def submit(self, request: OrderRequest, *, now_ns: int) -> None:
        """Predict an order that is being sent."""
        if request.client_order_id in self._pairs:
            return
        self._pairs[request.client_order_id] = _Pair(request)
        # Its own book of positions is not the strategy's: it must not trim or refuse by it.
        free = replace(request, reduce_only=False, position_action=PositionAction.NIL)
        self._take(self._broker.submit(free, now_ns=now_ns), now_ns)

    def cancel(self, client_order_id: str, *, now_ns: int) -> None:
        """Cancel what is left of a prediction."""
        if client_order_id in self._pairs:
            self._broker.cancel(client_order_id, now_ns=now_ns)

    def on_fill(self, fill: Fill, *, now_ns: int) -> None:
        """Take what happened."""
        pair = self._pairs.get(fill.client_order_id)
        if pair is None:
            return
        if not pair.actual.lots:
            pair.is_taker = not fill.is_maker
        pair.actual.add(fill, now_ns)
        pair.waiting.append(fill)
        self._compare(pair)

    def on_order(self, order: Order, *, now_ns: int) -> None:
        """Take the end of an order; one that was refused is no fill that was missed."""
        pair = self._pairs.get(order.request.client_order_id)
        if pair is None or order.is_open or pair.ended_ns is not None:
            return
        if order.status is OrderStatus.REJECTED:
            self._broker.cancel(order.request.client_order_id, now_ns=now_ns)
            del self._pairs[order.request.client_order_id]
            return
        pair.ended_ns = now_ns
        if order.status is not OrderStatus.FILLED:
            self._broker.cancel(order.request.client_order_id, now_ns=now_ns)
        self._settle(now_ns)

    def take_samples(self) -> list[SlippageSample]:
        """Return the fills that were compared since the last call, for the guard."""
        taken, self._samples = self._samples, []
        return taken

    def report(self) -> ShadowReport:
        """Return how far the fills were from their predictions."""
        totals, values = self._totals, self._bps
        actual = _share(totals.actual, totals.ordered)
        predicted = _share(totals.predicted, totals.ordered)
        p95 = percentile([float(one) for one in values], 95)
        return ShadowReport(
            orders=totals.orders,
            compared=len(values),
            mean_bps=_rounded(mean(values)) if values else None,
            median_bps=_rounded(median(values)) if values else None,
            p95_bps=None if p95 is None else _rounded(Decimal(repr(p95))),
            delay_ms=mean(self._delays_ms) if self._delays_ms else None,
            actual_fill_rate=actual,
            predicted_fill_rate=predicted,
            fill_rate_gap=None if actual is None or predicted is None else actual - predicted,
        )

    def calibration(self) -> dict[str, Any]:
        """Return broker parameters for a backtest, with what was measured in them.

        ``slippage_model`` has the mean of what takers paid beyond the prediction (never below
        zero) on top of what the prediction assumes; ``limit_fill`` the share of the lots that
        rested and were predicted to fill which did. A key is left out while nothing was measured.
        """
        found: dict[str, Any] = {}
        if self._taker_bps:
            bps = max(Decimal(0), _rounded(mean(self._taker_bps)))
            measured: dict[str, Any] = {"kind": "bps", "bps": f"{bps.normalize():f}"}
            assumed = self._settings.slippage_model.model_dump(mode="json")
            found["slippage_model"] = (
                measured
                if assumed["kind"] == "none"
                else {"kind": "composite", "models": [assumed, measured]}
            )
        if self._totals.rests_predicted:
            share = Decimal(self._totals.rests_filled) / self._totals.rests_predicted
            p = share.quantize(_SHARE_STEP, ROUND_HALF_EVEN).normalize()
            found["limit_fill"] = {"kind": "probability", "p": 1 if p >= 1 else f"{p:f}"}
        return found

    def _take(self, reports: Sequence[OrderReport], now_ns: int) -> None:
        for report in reports:
            pair = self._pairs.get(report.client_order_id)
            if pair is None:
                continue
            if isinstance(report, OrderFilled):
                pair.predicted.add(report.fill, now_ns)
                self._compare(pair)
            elif isinstance(report, OrderRejected):
                pair.waiting.clear()

    def _compare(self, pair: _Pair) -> None:
        predicted = pair.predicted
        if not predicted.lots:
            return
        tick = self._instruments[pair.request.market].tick
        price = Decimal(predicted.value) / predicted.lots * tick
        for fill in pair.waiting:
            self._samples.append(SlippageSample(fill.ticks * tick, price, fill.side.sign))
        pair.waiting.clear()
        del self._samples[:-SAMPLES_KEPT]

    def _settle(self, now_ns: int) -> None:
        """Count the pairs of which both sides are known, or the prediction does not come."""
        for client_order_id, pair in list(self._pairs.items()):
            ended_ns = pair.ended_ns
            if ended_ns is None:
                continue
            is_predicted = pair.predicted.lots >= pair.actual.lots
            if is_predicted or now_ns - ended_ns >= WAIT_NS:
                self._broker.cancel(client_order_id, now_ns=now_ns)
                self._broker.forget(client_order_id)
                del self._pairs[client_order_id]
                self._count(pair)

    def _count(self, pair: _Pair) -> None:
        totals, actual, predicted = self._totals, pair.actual, pair.predicted
        lots = pair.request.lots
        totals.orders += 1
        totals.ordered += lots
        totals.actual += min(actual.lots, lots)
        totals.predicted += predicted.lots
        rests = pair.request.limit_ticks is not None and not (actual.lots and pair.is_taker)
        if rests:
            totals.rests_predicted += predicted.lots
            totals.rests_filled += min(actual.lots, predicted.lots)
        if not (actual.lots and predicted.lots):
            return
        expected = Decimal(predicted.value) / predicted.lots
        happened = Decimal(actual.value) / actual.lots
        bps = pair.request.side.sign * (happened - expected) / expected * _BPS
        self._bps.append(bps)
        if not rests:
            self._taker_bps.append(bps)
        if actual.first_ns is not None and predicted.first_ns is not None:
            self._delays_ms.append((actual.first_ns - predicted.first_ns) / 1e6)
        for kept in (self._bps, self._taker_bps, self._delays_ms):
            del kept[:-SAMPLES_KEPT]


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(_BPS_STEP, ROUND_HALF_EVEN)


def _share(part: int, whole: int) -> Decimal | None:
    return (Decimal(part) / whole).quantize(_SHARE_STEP, ROUND_HALF_EVEN) if whole else None
