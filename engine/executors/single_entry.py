"""Executors with one entry: its price, the start checks, placing and withdrawing it (7.1)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from engine.executors.activation import ALWAYS, activation_window
from engine.executors.config import ExecutorConfigBase, ns_to_seconds
from engine.executors.directional import DirectionalExecutor
from engine.executors.fill_ledger import to_decimal
from engine.executors.order_roles import ENTRY
from engine.executors.plain import JsonValue
from engine.executors.seldom import Seldom
from engine.executors.settings import ExecutorSettings
from engine.executors.status import CloseType
from engine.executors.strategy import ExecutorStrategy
from engine.executors.tracked_order import TrackedOrder
from engine.executors.wake_conditions import PriceField, PriceTrigger
from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderType, TradeType
from engine.model.quotes import QuoteTick


class SingleEntryExecutor(DirectionalExecutor):
    """Works one entry of a fixed amount, near the market only if it has activation bounds.

    Another order for what is missing follows when an entry was cancelled or failed. It is placed
    at the entry price of the configuration again, not at the average of the fills.
    """

    __slots__ = (
        "_amount",
        "_bounds",
        "_end_ns",
        "_entry",
        "_entry_lots",
        "_entry_price",
        "_entry_window",
        "_is_checked",
        "_open_type",
    )

    _entry_not_before_ns = Seldom("entry_not_before_ns", 0)
    _entry_cancels = Seldom("entry_cancels", 0)

    def __init__(
        self,
        strategy: ExecutorStrategy,
        config: ExecutorConfigBase,
        market: ConnectorPair,
        side: TradeType,
        amount: Decimal,
        leverage: int,
        update_interval: float,
        max_retries: int | None,
        settings: ExecutorSettings | None,
    ) -> None:
        super().__init__(
            strategy, config, market, side, leverage, update_interval, max_retries, settings
        )
        self._amount = amount
        self._entry_lots = self._instrument.floor_lots(amount)
        self._entry: TrackedOrder | None = None
        self._entry_price: Decimal | None = None
        self._entry_window = ALWAYS
        self._open_type = OrderType.MARKET
        self._bounds: tuple[Fraction, ...] | None = None
        self._end_ns: int | None = None
        self._is_checked = False

    @property
    def amount_lots(self) -> int:
        """Return the configured amount in lots, rounded down."""
        return self._entry_lots

    @property
    def entry_price(self) -> Decimal | None:
        """Return the average of the fills, or the price at which the entry is to work."""
        average = self._totals.entry_ticks
        if average is not None:
            return self._instrument.tick * to_decimal(average)
        ticks = self._entry_ticks()
        return None if ticks is None else self._instrument.price(ticks)

    @property
    def entry_updated_s(self) -> float | None:
        """Return when the entry order last changed, in seconds."""
        return None if self._entry is None else ns_to_seconds(self._entry.updated_ns)

    @abstractmethod
    def _keep_entry_price(self, price: Decimal) -> None:
        """Write the entry price that was resolved into the configuration."""

    def _use_entry(
        self, price: Decimal | None, order_type: OrderType, bounds: Sequence[Decimal] | None
    ) -> None:
        """Take the entry's terms; *bounds* are fractions of the price (4.5)."""
        self._entry_price = price
        self._open_type = order_type
        self._bounds = None if bounds is None else tuple(map(Fraction, bounds))
        self._entry_window = ALWAYS
        if price is not None:
            exact = Fraction(price) / Fraction(self._instrument.tick)
            self._entry_window = activation_window(exact, self.side, order_type, self._bounds)

    def _refuse_impossible_amount(self) -> None:
        """End at once if the amount can never be placed (9.1, construction minimums)."""
        self._resolve_entry_price()
        problem = self._size_problem()
        if problem:
            self._end_with(self._strategy.now_ns(), CloseType.FAILED, problem)

    def _end_with(self, now_ns: int, close_type: CloseType, problem: str) -> None:
        self._last_error = problem
        self._tell(now_ns, "error", problem)
        self._end(now_ns, close_type)

    def _resolve_entry_price(self) -> None:
        """Take the entry price from the market if the configuration has none (7.1.1)."""
        quote = self._valid_quote()
        if self._entry_price is None and quote is not None:
            self._keep_entry_price(self._instrument.price(self._mark_of(quote)))

    def _entry_ticks(self) -> int | None:
        """Return the price at which an entry is to be placed now (7.1.2)."""
        if self._entry_price is None:
            return None
        is_buy = self.side is TradeType.BUY
        ticks = self._instrument.passive_ticks(self._entry_price, is_buy=is_buy)
        quote = self._valid_quote()
        if self._open_type is OrderType.LIMIT_MAKER and quote is not None:
            return min(ticks, quote.bid_ticks) if is_buy else max(ticks, quote.ask_ticks)
        return ticks

    def _size_problem(self) -> str:
        """Return why the amount can never be placed, or nothing."""
        instrument, lots, amount = self._instrument, self._entry_lots, self._amount
        if lots < instrument.min_lots:
            least = instrument.qty(instrument.min_lots)
            return f"amount {amount} is below the least amount {least} of {self.market}"
        if instrument.qty(lots) > instrument.max_qty:
            return f"amount {amount} is above the most {instrument.max_qty} of {self.market}"
        ticks = self._entry_ticks()
        if ticks is not None and not instrument.is_tradable(lots, ticks):
            worth = instrument.money(instrument.notional_atoms(ticks, lots))
            return (
                f"amount {amount} at {instrument.price(ticks)} is worth {worth}, below the least "
                f"notional {instrument.min_notional} of {self.market}"
            )
        return ""

    def _on_start(self, now_ns: int) -> None:
        self._resolve_entry_price()
        if self._entry_price is not None:
            self._check_start(now_ns)
        elif self._is_expired(now_ns):
            self._end(now_ns, CloseType.EXPIRED)

    def _check_start(self, now_ns: int) -> None:
        """Check size, balance, expiry, in this order (5.2); there is a quote or an entry price."""
        self._resolve_entry_price()
        self._is_checked = True
        ticks = self._entry_ticks() or 0
        problem = self._size_problem()
        if problem:
            self._end_with(now_ns, CloseType.FAILED, problem)
        elif not self._is_affordable(ticks):
            problem = (
                f"the balance does not cover {self.side.name} {self._amount} {self.market} "
                f"at {self._instrument.price(ticks)}"
            )
            self._end_with(now_ns, CloseType.INSUFFICIENT_BALANCE, problem)
        elif self._is_expired(now_ns):
            self._end(now_ns, CloseType.EXPIRED)

    def _is_affordable(self, ticks: int) -> bool:
        candidate = self._request(
            order_id="",
            role=ENTRY,
            side=self.side,
            order_type=self._open_type,
            lots=self._entry_lots,
            limit_ticks=ticks,
        )
        return self._strategy.is_affordable(candidate, ticks)

    def _is_expired(self, now_ns: int) -> bool:
        return self._end_ns is not None and now_ns >= self._end_ns

    def _manage_entry(self, now_ns: int, quote: QuoteTick) -> None:
        """Place, withdraw or place again the entry (7.1.3)."""
        is_inside = self._entry_window.contains(quote.bid_ticks + quote.ask_ticks)
        if self._entry is not None and self._entry.is_live:
            if not is_inside:
                self._cancel(now_ns, self._entry)
            return
        ticks = self._wanted_entry_ticks()
        if ticks is None or not is_inside or self._is_expired(now_ns):
            return
        if now_ns >= self._entry_not_before_ns:
            self._entry = self._send(
                now_ns,
                role=ENTRY,
                order_type=self._open_type,
                lots=self._unfilled_lots(),
                limit_ticks=ticks,
            )

    def _unfilled_lots(self) -> int:
        return self._entry_lots - self._totals.entry_lots

    def _wanted_entry_ticks(self) -> int | None:
        """Return the price for another entry order; None if the entry is as full as can be."""
        lots = self._unfilled_lots()
        ticks = self._entry_ticks() if lots > 0 else None
        if ticks is None or not self._instrument.is_tradable(lots, ticks):
            return None
        return ticks

    def _on_entry_ended(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        """Wait before the next entry: a failure is counted, an unasked cancel is not (5.4)."""
        if order.is_failed:
            count = self._count_retry(f"entry {order.order_id}: {reason}")
            self._entry_not_before_ns = now_ns + self._retry_wait_ns(count)
        elif order.cancel_sent_ns is None:
            self._entry_cancels += 1
            self._entry_not_before_ns = now_ns + self._retry_wait_ns(self._entry_cancels)

    def _entry_triggers(self, mid_half_ticks: int) -> tuple[PriceTrigger, ...]:
        """Return the mids at which the entry is placed or withdrawn."""
        is_working = self._entry is not None and self._entry.is_live
        if is_working or self._wanted_entry_ticks() is not None:
            return self._entry_window.edge_triggers(self.market, mid_half_ticks)
        return ()

    def _first_quote_triggers(self) -> tuple[PriceTrigger, ...]:
        """Return what wakes an executor that has no valid quote."""
        return (
            PriceTrigger(self.market, PriceField.BID, is_above=True, level=1),
            PriceTrigger(self.market, PriceField.ASK, is_above=True, level=1),
        )

    def _on_restored(self, state: Mapping[str, JsonValue]) -> None:
        self._is_checked = bool(state.get("is_checked"))
        super()._on_restored(state)
        self._entry = self._entries[-1] if self._entries else None

    def runtime_state(self) -> dict[str, JsonValue]:
        """Return the blob of 14.2: with the order and fill rows, all that ``restore`` needs."""
        return super().runtime_state() | {
            "entry_price": None if self._entry_price is None else str(self._entry_price),
            "is_checked": self._is_checked,
        }
