"""The arbitrage executor: buys here and sells there when that pays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import ClassVar, Self

from engine.executors.arbitrage_config import ArbitrageExecutorConfig
from engine.executors.custom_info import CustomInfo
from engine.executors.factory import ExecutorFactory
from engine.executors.fill_ledger import to_decimal
from engine.executors.settings import ExecutorSettings
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.strategy import ExecutorStrategy, GasSource
from engine.executors.tracked_order import TrackedOrder
from engine.executors.two_venue_executor import TwoVenueExecutor, fee_rate
from engine.executors.two_venue_leg import VenueLeg
from engine.executors.two_venue_snapshot import PaysBelow
from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.model.orders import OrderType


@dataclass(frozen=True, slots=True)
class ArbitrageCustomInfo(CustomInfo):
    """What an arbitrage executor reports beyond the common fields. Prices in quote."""

    buying_market: str
    selling_market: str
    order_amount: Decimal
    profitability: Decimal | None
    min_profitability: Decimal
    tx_cost_pct: Decimal | None
    buy_price: Decimal | None
    sell_price: Decimal | None
    bought_amount: Decimal
    sold_amount: Decimal
    current_retries: int
    max_retries: int
    order_ids: tuple[str, ...]
    held_position_orders: tuple[Mapping[str, object], ...]
    stale_price: bool
    residual_amount_base: Decimal

    @classmethod
    def from_executor(cls, executor: ArbitrageExecutor) -> Self:
        """Build the info of *executor*."""
        snapshot, config = executor.snapshot(), executor.config
        buy, sell, profitability = executor.home, executor.away, executor.profitability
        cost = executor.cost
        return cls(
            side=None,
            buying_market=str(config.buying_market),
            selling_market=str(config.selling_market),
            order_amount=buy.instrument.qty(buy.wanted_lots),
            profitability=None if profitability is None else to_decimal(profitability),
            min_profitability=config.min_profitability,
            tx_cost_pct=None if cost is None else to_decimal(cost),
            buy_price=buy.average_price(),
            sell_price=sell.average_price(),
            bought_amount=buy.instrument.qty(buy.executed_lots),
            sold_amount=sell.instrument.qty(sell.executed_lots),
            current_retries=snapshot.retries,
            max_retries=snapshot.max_retries,
            order_ids=tuple(order.client_order_id for order in snapshot.orders),
            held_position_orders=executor.held_orders(),
            stale_price=snapshot.is_stale,
            residual_amount_base=executor.residual_amount,
        )


@ExecutorFactory.register_executor(ArbitrageExecutorConfig, None, ArbitrageCustomInfo)
class ArbitrageExecutor(TwoVenueExecutor):
    """Waits for the difference, sends both legs at once, and completes both."""

    __slots__ = (
        "_arbitrage_config",
        "_fees",
        "_gas",
    )

    default_max_retries: ClassVar[int] = 3

    def __init__(
        self,
        strategy: ExecutorStrategy,
        config: ArbitrageExecutorConfig,
        update_interval: float = 1.0,
        max_retries: int | None = None,
        settings: ExecutorSettings | None = None,
    ) -> None:
        super().__init__(
            strategy,
            config,
            home=config.buying_market,
            update_interval=update_interval,
            max_retries=max_retries,
            settings=settings,
        )
        self._arbitrage_config = config
        # A percent fee in base is the same share of the amount; a venue that charges gas has no
        # percent fee (7.6).
        self._fees = Fraction(0)
        self._gas: tuple[tuple[VenueLeg, str, Fraction], ...] = ()
        for leg in (self._buy, self._sell):
            market = leg.instrument.market
            gas = strategy.gas(market) if isinstance(strategy, GasSource) else None
            if gas is None:
                self._fees += fee_rate(leg.instrument, is_maker=False)
            else:
                self._gas += ((leg, gas[0], Fraction(gas[1])),)

    @property
    def config(self) -> ArbitrageExecutorConfig:
        """Return the configuration."""
        return self._arbitrage_config

    @property
    def profitability(self) -> Fraction | None:
        """Return what trading now would win, as a fraction of the buying price, after fees.

        None without a price, and once it is over.
        """
        if self.is_done:
            return None
        bought, sold = self._result_ticks(self._buy), self._result_ticks(self._sell)
        ratio = self._tick_ratio()
        cost = self.cost
        if bought is None or sold is None or ratio is None or cost is None:
            return None
        return Fraction(sold) * ratio / bought - 1 - cost

    @property
    def cost(self) -> Fraction | None:
        """Return what trading costs as a fraction of the amount (7.6); None without a rate.

        That is both fees, or for a venue that charges gas its gas in base: the gas token's amount
        divided by ``gas_conversion_price``, its price of one base.
        """
        cost = self._fees
        for leg, token, amount in self._gas:
            price = self._arbitrage_config.gas_conversion_price
            per_base = (
                self._rate_of(leg.instrument.market.base, token)
                if price is None
                else Fraction(price)
            )
            if not per_base:
                return None
            cost += amount / per_base / self._amount
        return cost

    @property
    def _is_rate_alive(self) -> bool:
        has_price = self._arbitrage_config.gas_conversion_price is not None
        return super()._is_rate_alive or bool(self._gas and not has_price)

    def _pays(self) -> PaysBelow | None:
        ratio, least = self._tick_ratio(), self._least()
        is_waiting = self._status is RunnableStatus.RUNNING
        if not is_waiting or ratio is None or least is None or least <= 0:
            return None
        return PaysBelow(self._sell.instrument.market, ratio / least)

    def _least(self) -> Fraction | None:
        """Return what the selling price must be more than, over the buying price."""
        cost = self.cost
        return (
            None if cost is None else 1 + Fraction(self._arbitrage_config.min_profitability) + cost
        )

    def _tick_ratio(self) -> Fraction | None:
        """Return a tick of the selling market in ticks of the buying one; None without a rate."""
        rate = self._rate()
        if rate is None:
            return None
        return rate * Fraction(self._sell.instrument.tick) / Fraction(self._buy.instrument.tick)

    def _on_start(self, now_ns: int) -> None:
        self._check_prices(now_ns)

    def _check_prices(self, now_ns: int) -> bool:
        """Check sizes and balances once both markets have a price; return whether they have."""
        bought, sold = self._result_ticks(self._buy), self._result_ticks(self._sell)
        if bought is None or sold is None or self._tick_ratio() is None or self.cost is None:
            return False
        if not self._is_checked:
            self._check_start(
                now_ns,
                (
                    (self._sell, OrderType.MARKET, sold),
                    (self._buy, OrderType.MARKET, bought),
                ),
            )
        return True

    def _run(self, now_ns: int) -> None:
        is_priced = self._check_prices(now_ns)
        if self.is_done:
            return
        self._note_staleness(is_stale=not is_priced)
        if self._is_rate_alive and self.snapshot().pays != self._pays():
            self._version += 1  # a rate moved the price at which it pays
        won = self.profitability
        if won is None or won <= Fraction(self._arbitrage_config.min_profitability):
            return
        for leg in (self._buy, self._sell):
            ticks = self._result_ticks(leg)
            if ticks is None or not leg.is_tradable(leg.wanted_lots, Fraction(ticks)):
                return
        self._tell(now_ns, "info", f"sends both legs for {to_decimal(won):.6f} of the price")
        self._begin_shutdown(now_ns, CloseType.COMPLETED)

    def _shut_down(self, now_ns: int) -> None:
        if self._close_type is not CloseType.COMPLETED:
            for order in self._orders.live():
                self._cancel(now_ns, order)
            if not self._orders.live():
                self._hand_over_and_end(now_ns)
            return
        for leg in (self._buy, self._sell):
            self._replace_slow(now_ns, leg)
            if not leg.live() and self._is_unfinished(leg) and now_ns >= leg.not_before_ns:
                role = "buy" if leg is self._buy else "sell"
                lots = leg.remaining_lots
                self._send(now_ns, leg, role=role, order_type=OrderType.MARKET, lots=lots)
        is_open = self._is_unfinished(self._buy) or self._is_unfinished(self._sell)
        if not is_open and not self._orders.live():
            self._finish(now_ns, CloseType.COMPLETED)

    def _is_unfinished(self, leg: VenueLeg) -> bool:
        """Whether *leg* has more to trade; what is too small to trade is dust once it began."""
        if not leg.executed_lots:
            return True
        ticks = self._result_ticks(leg)
        return leg.is_tradable(leg.remaining_lots, None if ticks is None else Fraction(ticks))

    def _on_unfilled(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        self._count_and_wait(now_ns, self._leg_of(order), order, reason)

    def _wake_conditions(self, now_ns: int) -> WakeConditions:
        if self._status is RunnableStatus.RUNNING:
            prices = self._first_quote_triggers((self._buy, self._sell)) or self._gap_triggers()
            return self._waking_at(now_ns, prices, ())
        waiting = [leg for leg in (self._buy, self._sell) if leg.executed_lots and not leg.live()]
        return self._waking_at(
            now_ns,
            tuple(trigger for leg in waiting for trigger in self._move_triggers(leg)),
            (self._buy.not_before_ns, self._sell.not_before_ns),
        )

    def _gap_triggers(self) -> tuple[PriceTrigger, ...]:
        """Return levels that one of the prices must pass before trading can pay.

        It pays when ask < bid * ratio / least. The levels meet on that line, half way from the
        ask of now to the ask that would pay with the bid of now: while neither price passes its
        own level it cannot pay, so most quotes of either market wake nobody.
        """
        ask, bid = self._result_ticks(self._buy), self._result_ticks(self._sell)
        ratio, least = self._tick_ratio(), self._least()
        if ask is None or bid is None or ratio is None or least is None or least <= 0:
            return ()
        paying_ask = bid * ratio / least
        middle = max(ceil((ask + paying_ask) / 2), ceil(paying_ask))
        highest_bid = floor(middle * least / ratio)
        return (
            PriceTrigger(
                self._buy.instrument.market, PriceField.ASK, is_above=False, level=middle - 1
            ),
            PriceTrigger(
                self._sell.instrument.market,
                PriceField.BID,
                is_above=True,
                level=highest_bid + 1,
            ),
        )
