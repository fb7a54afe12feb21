"""The cross-exchange market maker: rests here, hedges there (DEV-11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Self

from engine.executors.custom_info import CustomInfo
from engine.executors.factory import ExecutorFactory
from engine.executors.fill_ledger import to_decimal
from engine.executors.settings import ExecutorSettings
from engine.executors.snapshot import BarrierKind
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.strategy import ExecutorStrategy, OrderTypeSource
from engine.executors.tracked_order import TrackedOrder
from engine.executors.two_venue_executor import TwoVenueExecutor, fee_rate
from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.executors.xemm_config import XEMMExecutorConfig
from engine.executors.xemm_quoting import QuoteWindow, XEMMQuoting
from engine.model.orders import OrderState, OrderType, TradeType

_KEEPING_EXPOSURE = frozenset({CloseType.POSITION_HOLD, CloseType.FAILED})


@dataclass(frozen=True, slots=True)
class XEMMCustomInfo(CustomInfo):
    """What a cross-exchange maker reports beyond the common fields. Prices in quote."""

    maker_market: str
    taker_market: str
    order_amount: Decimal
    target_price: Decimal | None
    maker_price: Decimal | None
    taker_price: Decimal | None
    net_profitability: Decimal | None
    tx_cost_pct: Decimal
    maker_executed_amount: Decimal
    taker_executed_amount: Decimal
    unhedged_amount: Decimal
    maker_average_price: Decimal | None
    taker_average_price: Decimal | None
    current_retries: int
    max_retries: int
    order_ids: tuple[str, ...]
    held_position_orders: tuple[Mapping[str, object], ...]
    stale_price: bool
    residual_amount_base: Decimal

    @classmethod
    def from_executor(cls, executor: XEMMExecutor) -> Self:
        """Build the info of *executor*."""
        snapshot, maker, taker = executor.snapshot(), executor.home, executor.away
        working, profit = executor.working_ticks, executor.net_profitability
        target, result = executor.target_ticks, executor.taker_ticks
        return cls(
            side=executor.config.maker_side,
            maker_market=str(maker.instrument.market),
            taker_market=str(taker.instrument.market),
            order_amount=maker.instrument.qty(maker.wanted_lots),
            target_price=None if target is None else maker.instrument.price(target),
            maker_price=None if working is None else maker.instrument.price(working),
            taker_price=None if result is None else taker.instrument.price(result),
            net_profitability=None if profit is None else to_decimal(profit),
            tx_cost_pct=to_decimal(executor.cost),
            maker_executed_amount=maker.instrument.qty(maker.executed_lots),
            taker_executed_amount=taker.instrument.qty(taker.executed_lots),
            unhedged_amount=to_decimal(executor.unhedged_base),
            maker_average_price=maker.average_price(),
            taker_average_price=taker.average_price(),
            current_retries=snapshot.retries,
            max_retries=snapshot.max_retries,
            order_ids=tuple(order.client_order_id for order in snapshot.orders),
            held_position_orders=executor.held_orders(),
            stale_price=snapshot.is_stale,
            residual_amount_base=executor.residual_amount,
        )


@ExecutorFactory.register_executor(XEMMExecutorConfig, None, XEMMCustomInfo)
class XEMMExecutor(TwoVenueExecutor):
    """Keeps one maker order in its band of profit and hedges whatever of any order fills."""

    __slots__ = (
        "_quoting",
        "_xemm_config",
        "cost",
    )

    def __init__(
        self,
        strategy: ExecutorStrategy,
        config: XEMMExecutorConfig,
        update_interval: float = 1.0,
        max_retries: int | None = None,
        settings: ExecutorSettings | None = None,
    ) -> None:
        if isinstance(strategy, OrderTypeSource):
            offered = strategy.order_types(config.taker_market)
            if OrderType.MARKET not in offered:
                names = ", ".join(sorted(one.name for one in offered)) or "none"
                raise ValueError(
                    f"{config.taker_market} takes no MARKET orders to hedge with, only {names}"
                )
        self._xemm_config = config
        super().__init__(
            strategy,
            config,
            home=config.maker_market,
            update_interval=update_interval,
            max_retries=max_retries,
            settings=settings,
        )

    @property
    def config(self) -> XEMMExecutorConfig:
        """Return the configuration."""
        return self._xemm_config

    @property
    def taker_ticks(self) -> int | None:
        """Return what a hedge would get now; None without a quote, and once it is over."""
        return None if self.is_done else self._result_ticks(self._away)

    @property
    def target_ticks(self) -> int | None:
        """Return where the maker would be quoted now; None without a price."""
        ticks, ratio = self.taker_ticks, self._tick_ratio()
        if ticks is None or ratio is None:
            return None
        return self._quoting.maker_ticks(ticks, ratio)

    @property
    def working_ticks(self) -> int | None:
        """Return the price of the maker order that works; None if there is none."""
        live = self._home.live()
        return live[-1].request.limit_ticks if live else None

    @property
    def net_profitability(self) -> Fraction | None:
        """Return what the working maker order would win now, as a fraction of its price."""
        working, ticks, ratio = self.working_ticks, self.taker_ticks, self._tick_ratio()
        if working is None or ticks is None or ratio is None:
            return None
        return self._quoting.profitability(working, ticks, ratio)

    @property
    def unhedged_base(self) -> Fraction:
        """Return what all maker orders executed less what hedges executed or still may."""
        maker, taker = self._home, self._away
        hedged = taker.base(taker.executed_lots + taker.pending_lots)
        return maker.base(maker.executed_lots) - hedged

    def _size_problem(self) -> str:
        maker, taker = self._home.instrument, self._away.instrument
        self.cost = fee_rate(taker, is_maker=False) + fee_rate(maker, is_maker=True)
        self._quoting = XEMMQuoting(self._xemm_config, self.cost)
        if not self._quoting.has_price:
            target = self._xemm_config.target_profitability
            return f"target_profitability {target} leaves no price above 0 to quote"
        return super()._size_problem()

    def _tick_ratio(self) -> Fraction | None:
        """Return a taker tick in maker ticks, converted (7.7); None without a rate."""
        rate = self._rate()
        if not rate:
            return None
        if self._xemm_config.maker_side is TradeType.SELL:
            rate = 1 / rate
        return rate * Fraction(self._away.instrument.tick) / Fraction(self._home.instrument.tick)

    def _on_start(self, now_ns: int) -> None:
        self._check_prices(now_ns)

    def _check_prices(self, now_ns: int) -> bool:
        """Check sizes and balances once the taker has a price; return whether it has."""
        target, ticks = self.target_ticks, self.taker_ticks
        if target is None or ticks is None:
            return False
        if not self._is_checked:
            self._check_start(
                now_ns,
                ((self._home, OrderType.LIMIT, target), (self._away, OrderType.MARKET, ticks)),
            )
        return True

    def _run(self, now_ns: int) -> None:
        is_priced = self._check_prices(now_ns)
        if self.is_done:
            return
        self._note_staleness(is_stale=not is_priced)
        self._hedge(now_ns)
        if self._is_maker_done():
            self._begin_shutdown(now_ns, CloseType.COMPLETED)
        elif is_priced:
            self._quote(now_ns)

    def _is_maker_done(self) -> bool:
        """Whether nothing of the amount is left that could rest on the maker venue."""
        maker = self._home
        if maker.live() or not maker.executed_lots:
            return False
        target = self.target_ticks
        ticks = None if target is None else Fraction(target)
        return not maker.is_tradable(maker.remaining_lots, ticks)

    def _quote(self, now_ns: int) -> None:
        """Place the maker order, or withdraw it when it left its band (7.7)."""
        maker, live = self._home, self._home.live()
        if live:
            order, window = live[-1], self._window()
            is_over = order.pending_lots > maker.remaining_lots
            if is_over or (window is not None and not window.contains(self.taker_ticks or 0)):
                self._cancel(now_ns, order)
            return
        target = self.target_ticks
        if target is None or now_ns < maker.not_before_ns or self._is_hedge_due():
            return
        if maker.is_tradable(maker.remaining_lots, Fraction(target)):
            self._send(
                now_ns,
                maker,
                role="maker",
                order_type=OrderType.LIMIT,
                lots=maker.remaining_lots,
                limit_ticks=target,
            )

    def _window(self) -> QuoteWindow | None:
        """Return where the taker may be for the working order to stay.

        None for an order that nobody has acknowledged: it is left alone until then.
        """
        live, ratio = self._home.live(), self._tick_ratio()
        if not live or ratio is None or live[-1].state is OrderState.PENDING_CREATE:
            return None
        working = live[-1].request.limit_ticks
        return None if working is None else self._quoting.window(working, ratio)

    def _unhedged_lots(self) -> int:
        return max(0, self._away.lots(self.unhedged_base))

    def _is_hedge_due(self) -> bool:
        """Whether something unhedged can be traded on the taker venue."""
        ticks = self.taker_ticks
        price = Fraction(ticks) if ticks is not None else self._away_equivalent()
        return self._away.is_tradable(self._unhedged_lots(), price)

    def _away_equivalent(self) -> Fraction | None:
        """Return the maker's average in taker ticks: what a hedge without a quote is worth."""
        average, ratio = self._home.average_ticks(), self._tick_ratio()
        return None if average is None or ratio is None else average / ratio

    def _hedge(self, now_ns: int) -> None:
        """Trade at market on the taker venue what is not hedged yet."""
        taker = self._away
        self._replace_slow(now_ns, taker)
        if now_ns < taker.not_before_ns or not self._is_hedge_due():
            return
        lots = min(self._unhedged_lots(), taker.instrument.floor_lots(taker.instrument.max_qty))
        self._send(now_ns, taker, role="hedge", order_type=OrderType.MARKET, lots=lots)

    def _shut_down(self, now_ns: int) -> None:
        is_keeping = self._close_type in _KEEPING_EXPOSURE
        for order in self._orders.live() if is_keeping else self._home.live():
            self._cancel(now_ns, order)
        if not is_keeping:
            self._hedge(now_ns)
        if self._orders.live():
            return
        is_traded = self._home.remaining_lots <= 0 and self.residual is None
        if self._close_type is CloseType.FAILED:
            self._hand_over_and_end(now_ns)
        elif is_traded:
            self._finish(now_ns, CloseType.COMPLETED)
        elif is_keeping:
            self._hand_over_and_end(now_ns)
        elif not self._is_hedge_due():
            is_full = self._home.remaining_lots <= 0
            close_type = CloseType.COMPLETED if is_full else self._close_type
            self._finish(now_ns, close_type or CloseType.COMPLETED)

    def _on_unfilled(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        leg = self._leg_of(order)
        is_withdrawn = (
            self._close_type is CloseType.POSITION_HOLD and order.cancel_sent_ns is not None
        )
        if order.is_failed or (leg is self._away and not is_withdrawn):
            self._count_and_wait(now_ns, leg, order, reason)
        elif order.cancel_sent_ns is None:
            leg.not_before_ns = now_ns + max(self._update_interval_ns, 1)

    def _wake_conditions(self, now_ns: int) -> WakeConditions:
        waiting = (self._home.not_before_ns, self._away.not_before_ns)
        return self._waking_at(now_ns, self._price_triggers(now_ns), waiting)

    def _price_triggers(self, now_ns: int) -> tuple[PriceTrigger, ...]:
        """Return the taker prices that matter: it is the only market that decides anything."""
        is_waiting = self._is_hedge_due()
        if self._status is RunnableStatus.RUNNING:
            is_waiting = is_waiting or not self._home.live()
            unpriced = self._first_quote_triggers((self._away,))
            if unpriced:
                return unpriced
        if is_waiting:
            return self._move_triggers(self._away)
        return (*self._window_triggers(now_ns), *self._dust_triggers())

    def _window_triggers(self, now_ns: int) -> tuple[PriceTrigger, ...]:
        """Return the taker prices at which the working order leaves its band."""
        window = self._window()
        is_running = self._status is RunnableStatus.RUNNING
        if window is None or not is_running or self._is_cancel_fresh(now_ns, self._home.live()[-1]):
            return ()
        return (
            self._taker_trigger(window.low - 1, is_above=False),
            self._taker_trigger(window.high + 1, is_above=True),
        )

    def _dust_triggers(self) -> tuple[PriceTrigger, ...]:
        """Return the taker price at which what is not hedged is worth a hedge."""
        lots, instrument = self._unhedged_lots(), self._away.instrument
        ticks = self.taker_ticks
        if lots < instrument.min_lots or ticks is None or self._is_hedge_due():
            return ()
        worth_of_a_tick = lots * instrument.atoms_per_tick_lot
        level = floor(Fraction(instrument.min_notional_atoms - 1, worth_of_a_tick)) + 1
        return (self._taker_trigger(level, is_above=True),)

    def _taker_trigger(self, level: int, *, is_above: bool) -> PriceTrigger:
        field = PriceField.BID if self._away.side is TradeType.SELL else PriceField.ASK
        return PriceTrigger(self._away.instrument.market, field, is_above=is_above, level=level)

    def _lines(self) -> tuple[tuple[BarrierKind, int, str], ...]:
        working = self.working_ticks
        return () if working is None else (("maker", working, "hedged when it fills"),)
