"""The risk manager: sole consumer of signals and gate for every order (RISK-1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, assert_never

from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    STRATEGY_OWNER,
    STRATEGY_ROLE,
    OrderRequest,
    PositionAction,
    TradeType,
)
from engine.model.quotes import QuoteTick
from engine.risk.account_limits import AccountLimits
from engine.risk.entry_checks import EntryChecks, price_ticks
from engine.risk.exposure import Exposure, exposure_of
from engine.risk.facts import AccountFacts, MarketFacts, WorkingOrders
from engine.risk.halt import KillSwitch
from engine.risk.limits import RiskSettings
from engine.risk.order_rate import OrderRate
from engine.risk.signal_terms import (
    OrderTerms,
    UnsupportedSignalError,
    check_supported,
    find_inverted,
    risk_to_stop,
    terms_of,
)
from engine.risk.size_limits import SizeAnswer, SizeGrant, cut_size, limit_size, number
from engine.risk.sizers import NEEDS_STOP, sized_lots, weighted_lots
from engine.risk.underway import UnderwayOrders
from engine.risk.value_at_risk import BarFacts, ValueAtRisk
from engine.risk.verdicts import (
    Approved,
    DenialCode,
    Denied,
    Objection,
    TradingHalted,
    Verdict,
)
from engine.strategies.signals import Signal, SignalKind

_MINUTE_NS: Final = 60 * SECOND_NS


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
        bars: the markets with their bars; `max_portfolio_risk` and the limits that look at the
            whole account need them.
        bar_ns: length of a bar, for limits by bar.
    """

    def __init__(
        self,
        *,
        settings: RiskSettings,
        markets: MarketFacts,
        account: AccountFacts,
        orders: WorkingOrders,
        next_order_id: Callable[[], str],
        bars: BarFacts | None = None,
        bar_ns: int = _MINUTE_NS,
    ) -> None:
        self._settings = settings
        self._markets = markets
        self._account = account
        self._orders = UnderwayOrders(orders)
        self._next_order_id = next_order_id
        self._rate = OrderRate(window_ns=_MINUTE_NS)
        self.kill_switch: Final = KillSwitch(
            max_drawdown=settings.max_drawdown, equity_atoms=account.equity_atoms
        )
        self._value_at_risk = (
            None
            if bars is None or settings.max_portfolio_risk is None
            else ValueAtRisk(bars=bars, account=account, default_vol=settings.default_vol)
        )
        self._account_limits = (
            None
            if bars is None or not settings.looks_at_account
            else AccountLimits(
                settings=settings,
                markets=bars,
                account=account,
                orders=self._orders,
                bar_ns=bar_ns,
            )
        )
        self._entry_checks = EntryChecks(
            settings=settings,
            markets=markets,
            orders=self._orders,
            kill_switch=self.kill_switch,
            rate=self._rate,
        )

    def observe_equity(self, *, now_ns: int) -> TradingHalted | None:
        """Take an equity sample for the drawdown; return the halt if it caused one."""
        if self._account_limits is not None:
            self._account_limits.observe(now_ns)
        if self.kill_switch.observe(self._account.equity_atoms):
            return TradingHalted(now_ns, self.kill_switch.reason)
        return None

    def review(self, request: OrderRequest, *, now_ns: int) -> Verdict:
        """Approve *request*, perhaps smaller, or deny it.

        An approved order counts as working until `on_arrival` says that the book has it.
        """
        self._orders.discard(request.client_order_id)  # asked again, it is still one order
        verdict = self._judge(request, now_ns)
        if isinstance(verdict, Approved):
            self._rate.record(now_ns)
            instrument = self._markets.instrument(request.market)
            self._orders.add(verdict.request, is_hedged=instrument.is_hedged)
        return verdict

    def on_arrival(self, client_order_id: str) -> None:
        """Take note that an approved order has come to the book of record, or was refused there."""
        self._orders.discard(client_order_id)

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
        exit_buys, exit_sells = self._orders.exiting_lots(signal.market)
        is_pending = any((buy_lots, sell_lots, exit_buys, exit_sells))
        if (
            signal.kind is SignalKind.DIRECTION
            and self._settings.one_pending_per_symbol
            and is_pending
        ):
            return Denied(
                DenialCode.PENDING_ORDER,
                f"signal denied: orders of {signal.market} are working "
                "(risk.one_pending_per_symbol)",
            )
        try:
            check_supported(signal)
        except UnsupportedSignalError as error:
            return Denied(DenialCode.UNSUPPORTED_ORDER, f"signal denied: {signal.market}: {error}")
        net = self._account.net_lots(signal.market)
        held = net + buy_lots - sell_lots
        if signal.only_flat and (net or is_pending):
            return None
        if is_exit(signal):
            # The part of the position that no working order closes yet; never beyond zero, so
            # that an entry that still works cannot make the exit open the other side.
            sells, buys = sell_lots + exit_sells, buy_lots + exit_buys
            delta = min(0, sells - net) if net > 0 else max(0, -net - buys)
            return self._ordered(signal, delta, instrument, owner_id, now_ns)
        target = self._target_lots(signal, instrument, held)
        if target is None:
            return self._no_size(signal)
        return self._ordered(signal, target - held, instrument, owner_id, now_ns)

    def _ordered(
        self, signal: Signal, delta: int, instrument: Instrument, owner_id: str, now_ns: int
    ) -> OrderRequest | Denied | None:
        """Return the order that changes the position by *delta*, if it passes."""
        if not delta:
            return None
        inverted = find_inverted(signal, side=1 if delta > 0 else -1)
        if inverted:
            return Denied(
                DenialCode.BRACKET_INVERTED, f"signal denied: {signal.market}: {inverted}"
            )
        request = self._order(signal, delta, instrument, owner_id)
        verdict = self.review(request, now_ns=now_ns)
        return verdict.request if isinstance(verdict, Approved) else verdict

    def on_exit(
        self, market: ConnectorPair, *, side: int, lots: int, terms: OrderTerms, now_ns: int
    ) -> Verdict:
        """Review an exit of a bracket: an order of *terms* for *lots* that may only reduce."""
        request = self._request(
            market, STRATEGY_OWNER, terms, side * lots, action=PositionAction.CLOSE
        )
        return self.review(request, now_ns=now_ns)

    def _judge(self, request: OrderRequest, now_ns: int) -> Verdict:
        instrument = self._find_instrument(request.market)
        if instrument is None:
            text = f"{request.market} is not a market of this session"
            return _denied(request, DenialCode.SYMBOL_NOT_ALLOWED, text)
        exposure = exposure_of(
            request,
            account=self._account,
            orders=self._orders,
            is_hedged=instrument.is_hedged,
        )
        if exposure.is_reduction(request):
            return Approved(request)
        problem = self._entry_checks.find_problem(request, now_ns=now_ns)
        limits = self._account_limits
        if problem is None and limits is not None:
            problem = limits.find_problem(request, now_ns=now_ns)
        if problem is not None:
            return _denied(request, problem.code, problem.text)
        answer = limit_size(
            request.lots,
            settings=self._settings,
            instrument=instrument,
            exposure=exposure,
            price_ticks=price_ticks(request, self._markets.quote(request.market)),
        )
        if isinstance(answer, SizeGrant):
            answer = self._limit_risk(request, answer, instrument, exposure)
        if isinstance(answer, SizeGrant) and limits is not None:
            ticks = price_ticks(request, self._markets.quote(request.market))
            answer = limits.limit_size(request, answer, instrument, exposure, ticks)
        if isinstance(answer, Objection):
            return _denied(request, answer.code, answer.text)
        if limits is not None:
            limits.record(now_ns)
        if answer.lots == request.lots:
            return Approved(request)
        return Approved(replace(request, lots=answer.lots), answer.note)

    def _limit_risk(
        self, request: OrderRequest, grant: SizeGrant, instrument: Instrument, exposure: Exposure
    ) -> SizeAnswer:
        """Cut *grant* to what `max_portfolio_risk` allows."""
        limit = self._settings.max_portfolio_risk
        if self._value_at_risk is None or limit is None:
            return grant
        ticks = price_ticks(request, self._markets.quote(request.market))
        if ticks is None:
            text = f"{request.market} has no quote to value it by (risk.max_portfolio_risk)"
            return Objection(DenialCode.NO_QUOTE, text)
        sign = request.side.sign
        held = sign * (exposure.held_lots + exposure.working_lots)
        allowed = self._value_at_risk.most_lots(
            request.market, sign=sign, held=held, lots=grant.lots, ticks=ticks, limit=limit.value
        )
        if allowed == grant.lots:
            return grant
        risk = self._value_at_risk.value(request.market, held + sign * grant.lots, ticks)
        text = (
            f"value at risk {risk:.6f} of the equity is above {number(limit.value)} "
            "(risk.max_portfolio_risk)"
        )
        # What only reduces the position is never held up by a limit on sizes.
        allowed = max(allowed, exposure.reducible_lots)
        return cut_size(grant, allowed, limit, instrument, DenialCode.MAX_PORTFOLIO_RISK, text)

    def _find_instrument(self, market: ConnectorPair) -> Instrument | None:
        try:
            return self._markets.instrument(market)
        except KeyError:
            return None

    def _target_lots(self, signal: Signal, instrument: Instrument, held: int) -> int | None:
        """Return the signed position that *signal* wants; None: no price or stop to size it by."""
        quote = self._markets.quote(signal.market)
        sign = (signal.value > 0) - (signal.value < 0)
        match signal.kind:
            case SignalKind.EXIT:
                return 0
            case SignalKind.ORDER:
                side = signal.side or sign
                return held + side * abs(instrument.floor_lots(signal.value))
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
                lots = sized_lots(
                    self._settings.sizer,
                    instrument=instrument,
                    equity_atoms=self._account.equity_atoms,
                    mark_twice=_mid_twice(quote),
                    strength=signal.strength,
                    risk_twice=risk_to_stop(
                        signal, instrument, side=sign, mark_twice=_mid_twice(quote)
                    ),
                )
                return None if lots == NEEDS_STOP else sign * lots
            case _:
                assert_never(signal.kind)

    def _no_size(self, signal: Signal) -> Denied:
        """Return why a signal has no size."""
        if self._markets.quote(signal.market) is None:
            text = f"signal denied: {signal.market} has no quote to size it by"
            return Denied(DenialCode.NO_QUOTE, text)
        text = (
            f"signal denied: {signal.market}: the sizer {self._settings.sizer.kind} needs the stop "
            "of a bracket"
        )
        return Denied(DenialCode.NO_STOP_FOR_SIZER, text)

    def _order(
        self, signal: Signal, delta: int, instrument: Instrument, owner_id: str
    ) -> OrderRequest:
        terms = terms_of(signal, instrument, is_buy=delta > 0)
        if is_exit(signal):
            terms = replace(terms, reduce_only=True)
        return self._request(signal.market, owner_id, terms, delta)

    def _request(
        self,
        market: ConnectorPair,
        owner_id: str,
        terms: OrderTerms,
        delta: int,
        *,
        action: PositionAction = PositionAction.OPEN,
    ) -> OrderRequest:
        return OrderRequest(
            client_order_id=self._next_order_id(),
            market=market,
            side=TradeType.BUY if delta > 0 else TradeType.SELL,
            order_type=terms.order_type,
            lots=abs(delta),
            limit_ticks=terms.limit_ticks,
            position_action=action,
            leverage=1,
            owner_id=owner_id,
            role=STRATEGY_ROLE,
            reduce_only=terms.reduce_only,
            trigger=terms.trigger,
            time_in_force=terms.time_in_force,
            expire_ns=terms.expire_ns,
        )


def is_exit(signal: Signal) -> bool:
    """Whether *signal* wants no position: an exit, or a target of nothing."""
    return signal.kind is SignalKind.EXIT or (
        signal.kind is not SignalKind.ORDER and not signal.value
    )


def _mid_twice(quote: QuoteTick) -> int:
    return quote.bid_ticks + quote.ask_ticks


def _denied(request: OrderRequest, code: DenialCode, text: str) -> Denied:
    client_order_id = request.client_order_id
    return Denied(code, f"order {client_order_id} denied: {text}", client_order_id)
