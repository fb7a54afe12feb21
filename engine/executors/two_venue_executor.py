"""Executors that buy on one venue and sell on another (DEV-19)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

from engine.executors.barrier_levels import NO_LEVELS
from engine.executors.base import ExecutorBase
from engine.executors.factory import ExecutorFactory
from engine.executors.fill_ledger import LedgerTotals, to_decimal
from engine.executors.info import ExecutorInfo
from engine.executors.plain import JsonValue
from engine.executors.rates import unwrapped
from engine.executors.settings import ExecutorSettings
from engine.executors.snapshot import BarrierKind, OrderRole
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.step import Level, Step
from engine.executors.strategy import ExecutorStrategy, RateSource, SharedBudget
from engine.executors.tracked_order import TrackedOrder
from engine.executors.two_venue_config import TwoVenueConfig
from engine.executors.two_venue_leg import VenueLeg, common_base
from engine.executors.two_venue_snapshot import PaysBelow, TwoVenueSnapshot, two_venue_report
from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.model.instruments import PPB, ConnectorPair, Instrument
from engine.model.orders import OrderRequest, OrderType, PositionAction, TradeType
from engine.model.quotes import QuoteTick


class TwoVenueExecutor(ExecutorBase):
    """Two legs of one amount: their orders, what they left, the report of both."""

    __slots__ = (
        "_amount",
        "_away",
        "_buy",
        "_end_rate",
        "_home",
        "_is_checked",
        "_is_converting",
        "_sell",
    )

    def __init__(
        self,
        strategy: ExecutorStrategy,
        config: TwoVenueConfig,
        home: ConnectorPair,
        update_interval: float,
        max_retries: int | None,
        settings: ExecutorSettings | None,
    ) -> None:
        super().__init__(strategy, config, update_interval, max_retries, settings)
        bought = _instrument(strategy, config.buying_market)
        sold = _instrument(strategy, config.selling_market)
        self._amount = common_base(Fraction(config.order_amount), bought, sold)
        self._buy = VenueLeg(bought, TradeType.BUY, int(self._amount / Fraction(bought.lot)))
        self._sell = VenueLeg(sold, TradeType.SELL, int(self._amount / Fraction(sold.lot)))
        is_buying = home == config.buying_market
        self._home, self._away = (self._buy, self._sell) if is_buying else (self._sell, self._buy)
        self._end_rate: Fraction | None = None
        self._is_checked = False
        assets = sold.market.quote, bought.market.quote
        self._is_converting = unwrapped(assets[0]) != unwrapped(assets[1])
        if self._is_converting and not isinstance(strategy, RateSource):
            raise ValueError(f"this session has no rate from {assets[0]} to {assets[1]}")
        problem = self._size_problem()
        if problem:
            self._give_up(strategy.now_ns(), CloseType.FAILED, problem)

    @property
    def home(self) -> VenueLeg:
        """Return the leg of the maker, or the buying one."""
        return self._home

    @property
    def away(self) -> VenueLeg:
        """Return the other leg."""
        return self._away

    @property
    def residual(self) -> tuple[VenueLeg, int] | None:
        """Return the leg that traded more, and by how many of its lots; None if they agree."""
        bought = self._buy.base(self._buy.executed_lots)
        sold = self._sell.base(self._sell.executed_lots)
        leg, more = (self._buy, bought - sold) if bought > sold else (self._sell, sold - bought)
        lots = leg.lots(more)
        return (leg, lots) if lots else None

    @property
    def residual_amount(self) -> Decimal:
        """Return what one leg traded more than the other, in base; 0 once it is handed over."""
        residual = self.residual
        if residual is None or self._is_handed_over:
            return Decimal(0)
        return residual[0].instrument.qty(residual[1])

    def open_lots(self, market: ConnectorPair) -> int:
        """Return the signed lots that a leg has traded on *market* so far."""
        if self.is_done:
            return 0
        legs = (self._buy, self._sell)
        return sum(
            leg.side.sign * leg.executed_lots for leg in legs if leg.instrument.market == market
        )

    def held_orders(self) -> tuple[dict[str, object], ...]:
        """Return what is left to the position store in its flat form (2.3)."""
        return tuple(held.to_dict(self._strategy.instrument(held.market)) for held in self._held)

    @property
    def executor_info(self) -> ExecutorInfo:
        """Return the report; it changes nothing."""
        snapshot = self.snapshot()
        money = snapshot.instrument.money
        return ExecutorInfo(
            id=self.executor_id,
            type=self._config.type,
            controller_id=self.controller_id,
            timestamp=self._config.timestamp or 0.0,
            close_timestamp=self._close_seconds(),
            status=self._status,
            close_type=self._close_type,
            is_active=self.is_active,
            is_trading=snapshot.is_trading,
            net_pnl_pct=snapshot.net_pnl_pct(None),
            net_pnl_quote=money(snapshot.net_pnl_atoms(None)),
            cum_fees_quote=money(snapshot.fee_atoms),
            filled_amount_quote=money(snapshot.filled_atoms),
            config=self._config,
            markets=(self._home.instrument.market, self._away.instrument.market),
            is_handed_over=self._is_handed_over,
            stale_price=self._is_stale,
            last_error=self._last_error,
            error_count=self._error_count,
            custom_info=ExecutorFactory.get_custom_info(self, self._log_error).to_plain()
            | self._plain_foreign_fees(),
        )

    def snapshot(self) -> TwoVenueSnapshot:
        """Return the immutable state; the same object until something but the mark changes."""
        if not isinstance(self._snapshot, TwoVenueSnapshot) or (
            self._snapshot.version != self._version
        ):
            self._snapshot = self._make_snapshot()
        return self._snapshot

    def early_stop(self, keep_position: bool | None = None) -> Step:  # noqa: FBT001 (named by the specification)
        """Stop; before the first order there is nothing to wait for (5.1)."""
        is_untouched = not self._buy.orders and not self._sell.orders
        if self._status is RunnableStatus.RUNNING and is_untouched:
            self._end(self._strategy.now_ns(), CloseType.EARLY_STOP)
            return self.take_step()
        return super().early_stop(keep_position)

    def runtime_state(self) -> dict[str, JsonValue]:
        """Return the blob of 14.2: with the order and fill rows, all that ``restore`` needs."""
        rate = self._end_rate
        return super().runtime_state() | {
            "end_rate": None if rate is None else str(rate),
            "is_checked": self._is_checked,
        }

    def _on_restored(self, state: Mapping[str, JsonValue]) -> None:
        rate = state.get("end_rate")
        self._end_rate = Fraction(rate) if isinstance(rate, str) else None
        self._is_checked = bool(state.get("is_checked"))
        for order in self._orders:
            self._leg_of(order).orders.append(order)

    def _leg_of(self, order: TrackedOrder) -> VenueLeg:
        return self._buy if order.request.side is TradeType.BUY else self._sell

    def _quote_of(self, leg: VenueLeg) -> QuoteTick | None:
        """Return the newest quote of *leg*'s market if it can be priced from (2.2)."""
        quote = self._strategy.quote(leg.instrument.market)
        if quote is None or quote.bid_ticks <= 0 or quote.ask_ticks <= 0:
            return None
        return quote

    def _result_ticks(self, leg: VenueLeg) -> int | None:
        """Return the price for the whole amount if *leg* traded now; None without a quote.

        Quotes carry no book, and the venues are as deep as anybody asks: the touch is the average.
        """
        quote = self._quote_of(leg)
        if quote is None:
            return None
        return quote.ask_ticks if leg.side is TradeType.BUY else quote.bid_ticks

    def _rate(self) -> Fraction | None:
        """Return the buying market's quote asset per selling market's one; None if unknown."""
        source = self._sell.instrument.market.quote
        return self._rate_of(source, self._buy.instrument.market.quote)

    def _rate_of(self, source: str, target: str) -> Fraction | None:
        if unwrapped(source) == unwrapped(target):
            return Fraction(1)
        return (
            self._strategy.rate(source, target) if isinstance(self._strategy, RateSource) else None
        )

    @property
    def _is_rate_alive(self) -> bool:
        """Whether what the executor decides by can change without a price of its markets."""
        return self._is_converting

    def _size_problem(self) -> str:
        """Return why the amount can never be traded, or nothing."""
        for leg in (self._buy, self._sell):
            instrument = leg.instrument
            if leg.wanted_lots < instrument.min_lots:
                least = instrument.qty(instrument.min_lots)
                amount = instrument.qty(leg.wanted_lots)
                return f"amount {amount} is below the least amount {least} of {instrument.market}"
            if instrument.qty(leg.wanted_lots) > instrument.max_qty:
                return f"the amount is above the most {instrument.max_qty} of {instrument.market}"
        return ""

    def _give_up(self, now_ns: int, close_type: CloseType, problem: str) -> None:
        """End before anything was placed."""
        self._last_error = problem
        self._tell(now_ns, "error", problem)
        self._end(now_ns, close_type)

    def _check_start(self, now_ns: int, plans: Iterable[tuple[VenueLeg, OrderType, int]]) -> None:
        """Check sizes and balances (5.2) of both legs at the prices that they would get.

        The legs may use one margin or one balance: the second must fit beside the first (2.6).
        """
        self._is_checked = True
        candidates: list[tuple[OrderRequest, int]] = []
        amounts: list[str] = []
        for leg, order_type, ticks in plans:
            instrument = leg.instrument
            price, qty = instrument.price(ticks), instrument.qty(leg.wanted_lots)
            amounts.append(f"{leg.side.name} {qty} {instrument.market} at {price}")
            if not leg.is_tradable(leg.wanted_lots, Fraction(ticks)):
                problem = f"{amounts[-1]} is below the least notional {instrument.min_notional}"
                self._give_up(now_ns, CloseType.FAILED, problem)
                return
            request = self._request(leg, "", "", order_type, leg.wanted_lots, ticks)
            candidates.append((request, ticks))
        short = self._first_shortage(candidates)
        if short is not None:
            beside = f" beside {amounts[0]}" if short else ""
            problem = f"the balance does not cover {amounts[short]}{beside}"
            self._give_up(now_ns, CloseType.INSUFFICIENT_BALANCE, problem)

    def _first_shortage(self, candidates: list[tuple[OrderRequest, int]]) -> int | None:
        if isinstance(self._strategy, SharedBudget):
            return self._strategy.first_shortage(candidates)
        for number, (request, ticks) in enumerate(candidates):
            if not self._strategy.is_affordable(request, ticks):
                return number
        return None

    def _note_staleness(self, *, is_stale: bool) -> None:
        if is_stale is not self._is_stale:
            self._is_stale = is_stale
            self._version += 1

    def _request(
        self,
        leg: VenueLeg,
        order_id: str,
        role: str,
        order_type: OrderType,
        lots: int,
        limit_ticks: int | None,
    ) -> OrderRequest:
        return OrderRequest(
            client_order_id=order_id,
            market=leg.instrument.market,
            side=leg.side,
            order_type=order_type,
            lots=lots,
            limit_ticks=limit_ticks if order_type.is_limit_type else None,
            position_action=PositionAction.OPEN,
            leverage=1,
            owner_id=self.executor_id,
            role=role,
        )

    def _send(
        self,
        now_ns: int,
        leg: VenueLeg,
        *,
        role: str,
        order_type: OrderType,
        lots: int,
        limit_ticks: int | None = None,
    ) -> TrackedOrder:
        """Place an order on the venue of *leg*."""
        order_id = self._strategy.next_order_id()
        request = self._request(leg, order_id, role, order_type, lots, limit_ticks)
        order = self._place(now_ns, request)
        leg.orders.append(order)
        instrument = leg.instrument
        price = "" if limit_ticks is None else f" at {instrument.price(limit_ticks)}"
        amount = f"{leg.side.name} {instrument.qty(lots)} {instrument.market}"
        self._tell(now_ns, "info", f"{role} {order_id}: {amount} {order_type.name}{price}")
        return order

    def _on_executed(self, order: TrackedOrder) -> None:
        instrument = self._leg_of(order).instrument
        filled = instrument.qty(order.executed_lots)
        asked = instrument.qty(order.request.lots)
        text = f"{order.request.role} {order.order_id}: filled {filled} of {asked}"
        self._tell(order.updated_ns, "info", text)

    def _on_ended(self, now_ns: int, order: TrackedOrder) -> None:
        if order.is_complete:
            return
        role, reason = order.request.role, order.reason or order.state.name.lower()
        level: Level = "warning" if order.is_failed else "info"
        self._tell(now_ns, level, f"{role} {order.order_id} ended {order.state.name}: {reason}")
        self._on_unfilled(now_ns, order, reason)

    @abstractmethod
    def _on_unfilled(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        """Take account of an order that ended before all of it was filled."""

    def _count_and_wait(self, now_ns: int, leg: VenueLeg, order: TrackedOrder, reason: str) -> None:
        count = self._count_retry(f"{order.request.role} {order.order_id}: {reason}")
        leg.not_before_ns = now_ns + self._retry_wait_ns(count)

    def _replace_slow(self, now_ns: int, leg: VenueLeg) -> None:
        """Cancel market orders that do not fill; their end counts as a failure."""
        for order in leg.live():
            if now_ns >= order.placed_ns + self._settings.close_wait_ns:
                self._cancel(now_ns, order)

    def _finish(self, now_ns: int, close_type: CloseType) -> None:
        """Terminate with nothing tradable open; what is left goes to the position store."""
        residual = self.residual
        if residual is not None:
            leg, lots = residual
            self._held = (leg.dust(self.executor_id, lots, now_ns),)
            amount = f"{leg.side.name} {leg.instrument.qty(lots)} {leg.instrument.market}"
            self._tell(now_ns, "info", f"dust: {amount} goes to the position store")
        self._close_type = close_type
        self._end(now_ns, close_type)

    def _hand_over_and_end(self, now_ns: int) -> None:
        is_hold = self._close_type is CloseType.POSITION_HOLD
        if (is_hold or self.residual is not None) and self._hold_everything():
            level: Level = "info" if is_hold else "error"
            self._tell(now_ns, level, "the fills of both legs are left to the position store")
        elif is_hold:
            self._close_type = CloseType.EARLY_STOP
        self._end(now_ns, CloseType.FAILED)

    def _end(self, now_ns: int, close_type: CloseType) -> None:
        self._end_rate = self._rate()
        super()._end(now_ns, close_type)

    def _waking_at(
        self, now_ns: int, prices: tuple[PriceTrigger, ...], times: Iterable[int]
    ) -> WakeConditions:
        """Return *prices* and the first instant after *now_ns*, timers of orders included."""
        settings = self._settings
        timers = [
            order.placed_ns + settings.close_wait_ns
            for order in self._orders.live()
            if order.cancel_sent_ns is None and order.request.order_type is OrderType.MARKET
        ]
        timers += [
            order.cancel_sent_ns + settings.shutdown_poll_ns
            for order in self._orders.live()
            if order.cancel_sent_ns is not None
        ]
        if self._is_rate_alive:
            timers.append(now_ns + max(self._update_interval_ns, 1))
        coming = [time for time in (*times, *timers) if time > now_ns]
        return WakeConditions(prices, min(coming, default=None))

    def _is_cancel_fresh(self, now_ns: int, order: TrackedOrder) -> bool:
        """Whether *order*'s cancel was sent so recently that a timer looks after it."""
        sent_ns = order.cancel_sent_ns
        return sent_ns is not None and now_ns < sent_ns + self._settings.shutdown_poll_ns

    def _move_triggers(self, leg: VenueLeg) -> tuple[PriceTrigger, ...]:
        """Return what wakes the executor at the next move of what *leg* would get.

        For the short time between a failure and the next attempt, when a price decides whether
        what is left is worth one.
        """
        ticks = self._result_ticks(leg)
        if ticks is None:
            return self._first_quote_triggers((leg,))
        field = PriceField.ASK if leg.side is TradeType.BUY else PriceField.BID
        market = leg.instrument.market
        return (
            PriceTrigger(market, field, is_above=True, level=ticks + 1),
            PriceTrigger(market, field, is_above=False, level=ticks - 1),
        )

    def _first_quote_triggers(self, legs: Iterable[VenueLeg]) -> tuple[PriceTrigger, ...]:
        """Return what wakes the executor when a market of *legs* without a price gets one."""
        return tuple(
            PriceTrigger(leg.instrument.market, watched, is_above=True, level=1)
            for leg in legs
            if self._quote_of(leg) is None
            for watched in (PriceField.BID, PriceField.ASK)
        )

    def _lines(self) -> tuple[tuple[BarrierKind, int, str], ...]:
        """Return the prices of the home market that the executor works at."""
        return ()

    def _pays(self) -> PaysBelow | None:
        """Return what an arbitrage waits for."""
        return None

    def _make_snapshot(self) -> TwoVenueSnapshot:
        home, away = self._home, self._away
        instrument = home.instrument
        rate = self._end_rate or self._rate() or Fraction(1)
        is_settled = self.is_done and not self._is_handed_over
        report = two_venue_report(
            self._buy,
            self._sell,
            rate=rate,
            residual=self.residual if is_settled else None,
            money_precision=instrument.money_precision,
            is_finished=is_settled,
        )
        average = home.average_ticks()
        limits = [order.request.limit_ticks for order in home.live()]
        entry = average if average is not None else next(iter(limits), None)
        totals = LedgerTotals(
            home.side.sign,
            instrument.atoms_per_tick_lot,
            entry_lots=home.executed_lots,
            entry_atoms=home.executed_atoms,
            exit_lots=home.lots(away.base(away.executed_lots)),
            exit_atoms=away.executed_atoms,
            fee_atoms=report.fee_atoms,
        )
        return TwoVenueSnapshot(
            id=self.executor_id,
            type=self._config.type,
            controller_id=self.controller_id,
            market=instrument.market,
            instrument=instrument,
            side=home.side,
            status=self._status,
            close_type=self._close_type,
            created_ns=self._created_ns,
            closed_ns=self._closed_ns,
            closing_since_ns=self._closing_since_ns,
            config=self._config,
            amount_lots=home.wanted_lots,
            totals=totals,
            levels=NO_LEVELS,
            frozen_mark_ticks=None,
            entry_price=None if entry is None else instrument.tick * to_decimal(Fraction(entry)),
            end_ns=None,
            trailing_trigger=None,
            is_trailing=False,
            is_take_profit_resting=False,
            retries=self._retries,
            max_retries=self.max_retries,
            error_count=self._error_count,
            last_error=self._last_error,
            is_handed_over=self._is_handed_over,
            is_stale=self._is_stale,
            orders=tuple(OrderRole(order.order_id, order.request.role) for order in self._orders),
            timeline=tuple(self._timeline),
            version=self._version,
            report=report,
            lines=self._lines(),
            pays=self._pays(),
        )


def fee_rate(instrument: Instrument, *, is_maker: bool) -> Fraction:
    """Return the fee as a fraction of the notional: in base it is the same share of the amount."""
    return Fraction(instrument.maker_ppb if is_maker else instrument.taker_ppb, PPB)


def _instrument(strategy: ExecutorStrategy, market: ConnectorPair) -> Instrument:
    try:
        return strategy.instrument(market)
    except KeyError as error:
        raise ValueError(f"{market} is not a market of this session") from error
