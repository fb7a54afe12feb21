"""Checks that every order which may enlarge a position must pass (RISK-1)."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from engine.model.clock import SECOND_NS
from engine.model.orders import OrderRequest, TradeType
from engine.model.quotes import QuoteTick
from engine.risk.facts import MarketFacts, WorkingOrders
from engine.risk.halt import KillSwitch
from engine.risk.limits import RiskSettings
from engine.risk.order_rate import OrderRate
from engine.risk.size_limits import number
from engine.risk.verdicts import DenialCode, Objection

_SHOWN_STEP: Final = Decimal("0.000001")


class EntryChecks:
    """Freshness, symbol, halt, rate, count and price, in this order."""

    def __init__(
        self,
        *,
        settings: RiskSettings,
        markets: MarketFacts,
        orders: WorkingOrders,
        kill_switch: KillSwitch,
        rate: OrderRate,
    ) -> None:
        self._settings = settings
        self._markets = markets
        self._orders = orders
        self._kill_switch = kill_switch
        self._rate = rate
        self._checks = (
            self._check_freshness,
            self._check_symbol,
            self._check_halt,
            self._check_rate,
            self._check_count,
            self._check_price,
        )

    def find_problem(self, request: OrderRequest, *, now_ns: int) -> Objection | None:
        """Return the first objection, or None."""
        for check in self._checks:
            problem = check(request, now_ns)
            if problem is not None:
                return problem
        return None

    def _check_freshness(self, request: OrderRequest, now_ns: int) -> Objection | None:
        limit = self._settings.max_quote_age_s
        if limit is None:
            return None
        quote = self._markets.quote(request.market)
        if quote is None:
            text = f"{request.market} has no quote (risk.max_quote_age_s)"
            return Objection(DenialCode.NO_QUOTE, text)
        age_ns = now_ns - quote.ts_ns
        if age_ns <= limit * SECOND_NS:
            return None
        age = number(Decimal(age_ns) / SECOND_NS)
        return Objection(
            DenialCode.STALE_QUOTE,
            f"the quote of {request.market} is {age} s old, more than {limit} s "
            "(risk.max_quote_age_s)",
        )

    def _check_symbol(self, request: OrderRequest, _: int) -> Objection | None:
        names = (request.market.trading_pair, str(request.market))
        allowed = self._settings.allowed_symbols
        if allowed is not None and not any(name in allowed for name in names):
            return Objection(
                DenialCode.SYMBOL_NOT_ALLOWED,
                f"{request.market} is not in the list (risk.allowed_symbols)",
            )
        if any(name in self._settings.blocked_symbols for name in names):
            return Objection(
                DenialCode.SYMBOL_NOT_ALLOWED,
                f"{request.market} is blocked (risk.blocked_symbols)",
            )
        return None

    def _check_halt(self, _: OrderRequest, __: int) -> Objection | None:
        if not self._kill_switch.is_halted:
            return None
        return Objection(
            DenialCode.RISK_HALTED,
            f"trading is halted, {self._kill_switch.reason}; only reducing orders pass",
        )

    def _check_rate(self, _: OrderRequest, now_ns: int) -> Objection | None:
        limit = self._settings.max_orders_per_minute
        if limit is None or self._rate.count(now_ns) < limit:
            return None
        return Objection(
            DenialCode.MAX_ORDERS_PER_MINUTE,
            f"{limit} orders were sent within 60 s (risk.max_orders_per_minute)",
        )

    def _check_count(self, _: OrderRequest, __: int) -> Objection | None:
        limit = self._settings.max_open_orders
        if limit is None or self._orders.open_count < limit:
            return None
        return Objection(
            DenialCode.MAX_OPEN_ORDERS,
            f"{self._orders.open_count} orders are open, {limit} are allowed "
            "(risk.max_open_orders)",
        )

    def _check_price(self, request: OrderRequest, _: int) -> Objection | None:
        limit = self._settings.max_price_deviation
        if limit is None:
            return None
        quote = self._markets.quote(request.market)
        ticks = price_ticks(request, quote)
        if quote is None or ticks is None:
            return Objection(
                DenialCode.NO_QUOTE,
                f"{request.market} has no quote to compare with (risk.max_price_deviation)",
            )
        mid_twice = quote.bid_ticks + quote.ask_ticks
        through_twice = request.side.sign * (2 * ticks - mid_twice)
        if through_twice <= limit * mid_twice:
            return None
        deviation = (Decimal(through_twice) / mid_twice).quantize(_SHOWN_STEP)
        instrument = self._markets.instrument(request.market)
        return Objection(
            DenialCode.PRICE_DEVIATION,
            f"price {number(instrument.price(ticks))} is {number(deviation)} through the mid "
            f"{number(instrument.tick * mid_twice / 2)}, more than {limit} "
            "(risk.max_price_deviation)",
        )


def price_ticks(request: OrderRequest, quote: QuoteTick | None) -> int | None:
    """Return the limit, else the side of *quote* that a MARKET order takes, else None."""
    if request.limit_ticks is not None:
        return request.limit_ticks
    if quote is None:
        return None
    return quote.ask_ticks if request.side is TradeType.BUY else quote.bid_ticks
