"""The risk manager: sole consumer of signals and gate for every order (backtest.md RISK-1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Final, TypeAlias, assert_never

from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import OrderRequest, PositionAction, TradeType
from engine.model.quotes import QuoteTick
from engine.risk.exposure import exposure_of
from engine.risk.facts import AccountFacts, MarketFacts, WorkingOrders
from engine.risk.halt import KillSwitch
from engine.risk.limits import RiskSettings
from engine.risk.order_rate import OrderRate
from engine.risk.size_limits import SizeRefusal, limit_size, number
from engine.risk.sizers import sized_lots, weighted_lots
from engine.risk.verdicts import Approved, DenialCode, Denied, TradingHalted, Verdict
from engine.strategies.signals import Signal, SignalKind

_MINUTE_NS: Final = 60 * SECOND_NS
_Problem: TypeAlias = tuple[DenialCode, str]


class RiskManager:
    """Reviews orders against the limits, and turns signals into orders.

    Exits and reductions pass every limit; their orders still count. Limits read the ledger and
    the working orders at the moment of the question (RISK-5).

    Args:
        settings: the limits.
        markets: instruments and newest quotes.
        account: equity and positions.
        orders: what is working.
        next_order_id: gives a fresh client order id for an order made from a signal.
    """

    def __init__(
        self,
        *,
        settings: RiskSettings,
        markets: MarketFacts,
        account: AccountFacts,
        orders: WorkingOrders,
        next_order_id: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._markets = markets
        self._account = account
        self._orders = orders
        self._next_order_id = next_order_id
        self._rate = OrderRate(window_ns=_MINUTE_NS)
        self._checks: tuple[Callable[[OrderRequest, int], _Problem | None], ...] = (
            self._check_freshness,
            self._check_symbol,
            self._check_halt,
            self._check_rate,
            self._check_count,
            self._check_price,
        )
        self.kill_switch: Final = KillSwitch(
            max_drawdown=settings.max_drawdown, equity_atoms=account.equity_atoms
        )

    def observe_equity(self, *, now_ns: int) -> TradingHalted | None:
        """Take an equity sample for the drawdown; return the halt if it caused one."""
        if self.kill_switch.observe(self._account.equity_atoms):
            return TradingHalted(now_ns, self.kill_switch.reason)
        return None

    def review(self, request: OrderRequest, *, now_ns: int) -> Verdict:
        """Approve *request*, perhaps smaller, or deny it."""
        verdict = self._judge(request, now_ns)
        if isinstance(verdict, Approved):
            self._rate.record(now_ns)
        return verdict

    def on_signal(
        self, signal: Signal, *, owner_id: str, now_ns: int
    ) -> OrderRequest | Denied | None:
        """Return the order that moves the position to the signal's target.

        None means that position and working orders are there already. Working orders count with
        their full size.
        """
        instrument = self._find_instrument(signal.market)
        if instrument is None:
            return Denied(
                DenialCode.SYMBOL_NOT_ALLOWED,
                f"signal denied: {signal.market} is not a market of this session",
            )
        buy_lots, sell_lots = self._orders.working_lots(signal.market)
        if (
            signal.kind is SignalKind.DIRECTION
            and self._settings.one_pending_per_symbol
            and (buy_lots or sell_lots)
        ):
            return Denied(
                DenialCode.PENDING_ORDER,
                f"signal denied: orders of {signal.market} are working "
                "(risk.one_pending_per_symbol)",
            )
        target = self._target_lots(signal, instrument)
        if target is None:
            return Denied(
                DenialCode.NO_QUOTE, f"signal denied: {signal.market} has no quote to size it by"
            )
        delta = target - (self._account.net_lots(signal.market) + buy_lots - sell_lots)
        if not delta:
            return None
        request = self._order(signal, delta, instrument, owner_id)
        verdict = self.review(request, now_ns=now_ns)
        return verdict.request if isinstance(verdict, Approved) else verdict

    def _judge(self, request: OrderRequest, now_ns: int) -> Verdict:
        instrument = self._find_instrument(request.market)
        if instrument is None:
            text = f"{request.market} is not a market of this session"
            return _denied(request, DenialCode.SYMBOL_NOT_ALLOWED, text)
        exposure = exposure_of(request, account=self._account, orders=self._orders)
        if exposure.is_reduction(request):
            return Approved(request)
        for check in self._checks:
            problem = check(request, now_ns)
            if problem is not None:
                return _denied(request, *problem)
        answer = limit_size(
            request.lots,
            settings=self._settings,
            instrument=instrument,
            exposure=exposure,
            price_ticks=self._price_ticks(request),
        )
        if isinstance(answer, SizeRefusal):
            return _denied(request, answer.code, answer.text)
        if answer.lots == request.lots:
            return Approved(request)
        return Approved(replace(request, lots=answer.lots), answer.note)

    def _check_freshness(self, request: OrderRequest, now_ns: int) -> _Problem | None:
        limit = self._settings.max_quote_age_s
        if limit is None:
            return None
        quote = self._markets.quote(request.market)
        if quote is None:
            return DenialCode.NO_QUOTE, f"{request.market} has no quote (risk.max_quote_age_s)"
        age_ns = now_ns - quote.ts_ns
        if age_ns <= limit * SECOND_NS:
            return None
        age = number(Decimal(age_ns) / SECOND_NS)
        return (
            DenialCode.STALE_QUOTE,
            f"the quote of {request.market} is {age} s old, more than {limit} s "
            "(risk.max_quote_age_s)",
        )

    def _check_symbol(self, request: OrderRequest, _: int) -> _Problem | None:
        names = (request.market.trading_pair, str(request.market))
        allowed = self._settings.allowed_symbols
        if allowed is not None and not any(name in allowed for name in names):
            return (
                DenialCode.SYMBOL_NOT_ALLOWED,
                f"{request.market} is not in the list (risk.allowed_symbols)",
            )
        if any(name in self._settings.blocked_symbols for name in names):
            return (
                DenialCode.SYMBOL_NOT_ALLOWED,
                f"{request.market} is blocked (risk.blocked_symbols)",
            )
        return None

    def _check_halt(self, _: OrderRequest, __: int) -> _Problem | None:
        if not self.kill_switch.is_halted:
            return None
        return (
            DenialCode.RISK_HALTED,
            f"trading is halted, {self.kill_switch.reason}; only reducing orders pass",
        )

    def _check_rate(self, _: OrderRequest, now_ns: int) -> _Problem | None:
        limit = self._settings.max_orders_per_minute
        if limit is None or self._rate.count(now_ns) < limit:
            return None
        return (
            DenialCode.MAX_ORDERS_PER_MINUTE,
            f"{limit} orders were sent within 60 s (risk.max_orders_per_minute)",
        )

    def _check_count(self, _: OrderRequest, __: int) -> _Problem | None:
        limit = self._settings.max_open_orders
        if limit is None or self._orders.open_count < limit:
            return None
        return (
            DenialCode.MAX_OPEN_ORDERS,
            f"{self._orders.open_count} orders are open, {limit} are allowed "
            "(risk.max_open_orders)",
        )

    def _check_price(self, request: OrderRequest, _: int) -> _Problem | None:
        limit = self._settings.max_price_deviation
        if limit is None:
            return None
        quote = self._markets.quote(request.market)
        ticks = self._price_ticks(request)
        if quote is None or ticks is None:
            return (
                DenialCode.NO_QUOTE,
                f"{request.market} has no quote to compare with (risk.max_price_deviation)",
            )
        mid_twice = quote.bid_ticks + quote.ask_ticks
        through_twice = request.side.sign * (2 * ticks - mid_twice)
        if through_twice <= limit * mid_twice:
            return None
        deviation = (Decimal(through_twice) / mid_twice).quantize(Decimal("0.000001"))
        instrument = self._markets.instrument(request.market)
        return (
            DenialCode.PRICE_DEVIATION,
            f"price {number(instrument.price(ticks))} is {number(deviation)} through the mid "
            f"{number(instrument.tick * mid_twice / 2)}, more than {limit} "
            "(risk.max_price_deviation)",
        )

    def _price_ticks(self, request: OrderRequest) -> int | None:
        """Return the limit, else the quote that a MARKET order would take, else None."""
        if request.limit_ticks is not None:
            return request.limit_ticks
        quote = self._markets.quote(request.market)
        if quote is None:
            return None
        return quote.ask_ticks if request.side is TradeType.BUY else quote.bid_ticks

    def _find_instrument(self, market: ConnectorPair) -> Instrument | None:
        try:
            return self._markets.instrument(market)
        except KeyError:
            return None

    def _target_lots(self, signal: Signal, instrument: Instrument) -> int | None:
        """Return the signed position that *signal* wants; None if there is no price for it."""
        quote = self._markets.quote(signal.market)
        sign = (signal.value > 0) - (signal.value < 0)
        match signal.kind:
            case SignalKind.EXIT:
                return 0
            case SignalKind.TARGET_QTY:
                return instrument.floor_lots(signal.value * signal.strength)
            case SignalKind.TARGET_WEIGHT:
                if quote is None:
                    return None
                return sign * weighted_lots(
                    abs(signal.value) * signal.strength,
                    instrument=instrument,
                    equity_atoms=self._account.equity_atoms,
                    mark_twice=_mid_twice(quote),
                )
            case SignalKind.DIRECTION:
                if quote is None:
                    return None
                return sign * sized_lots(
                    self._settings.sizer,
                    instrument=instrument,
                    equity_atoms=self._account.equity_atoms,
                    mark_twice=_mid_twice(quote),
                    strength=signal.strength,
                )
            case _:
                assert_never(signal.kind)

    def _order(
        self, signal: Signal, delta: int, instrument: Instrument, owner_id: str
    ) -> OrderRequest:
        is_buy = delta > 0
        limit = signal.limit
        return OrderRequest(
            client_order_id=self._next_order_id(),
            market=signal.market,
            side=TradeType.BUY if is_buy else TradeType.SELL,
            order_type=signal.order_type,
            lots=abs(delta),
            limit_ticks=None if limit is None else instrument.passive_ticks(limit, is_buy=is_buy),
            position_action=PositionAction.OPEN,
            leverage=1,
            owner_id=owner_id,
            role="strategy",
        )


def _mid_twice(quote: QuoteTick) -> int:
    return quote.bid_ticks + quote.ask_ticks


def _denied(request: OrderRequest, code: DenialCode, text: str) -> Denied:
    client_order_id = request.client_order_id
    return Denied(code, f"order {client_order_id} denied: {text}", client_order_id)
