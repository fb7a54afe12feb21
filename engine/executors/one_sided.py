"""Executors on one side of one market: quotes, orders, ledger, reports."""

from __future__ import annotations

from abc import abstractmethod
from decimal import Decimal
from fractions import Fraction
from math import floor

from engine.executors.barrier_levels import NO_LEVELS, BarrierLevels
from engine.executors.base import ExecutorBase
from engine.executors.config import ExecutorConfigBase
from engine.executors.factory import ExecutorFactory
from engine.executors.fill_ledger import LedgerTotals, ledger_totals
from engine.executors.info import ExecutorInfo
from engine.executors.order_roles import ENTRY, kind_of
from engine.executors.plain import JsonValue
from engine.executors.settings import ExecutorSettings
from engine.executors.snapshot import ExecutorSnapshot, OrderRole
from engine.executors.strategy import ExecutorStrategy
from engine.executors.tracked_order import TrackedOrder
from engine.model.instruments import ConnectorPair
from engine.model.orders import (
    OrderRequest,
    OrderType,
    PositionAction,
    TradeType,
)
from engine.model.quotes import QuoteTick


class OneSidedExecutor(ExecutorBase):
    """Knows its market and side, places its orders and keeps the ledger of their fills."""

    __slots__ = (
        "_custom_info",
        "_entries",
        "_exits",
        "_frozen_mark_ticks",
        "_instrument",
        "_levels",
        "_leverage",
        "_totals",
        "market",
        "side",
    )

    def __init__(
        self,
        strategy: ExecutorStrategy,
        config: ExecutorConfigBase,
        market: ConnectorPair,
        side: TradeType,
        leverage: int,
        update_interval: float,
        max_retries: int | None,
        settings: ExecutorSettings | None,
    ) -> None:
        super().__init__(strategy, config, update_interval, max_retries, settings)
        self._instrument = strategy.instrument(market)
        self.market = self._instrument.market  # equal, but one object for all executors
        self.side = side
        self._leverage = leverage
        self._entries: tuple[TrackedOrder, ...] = ()
        self._exits: tuple[TrackedOrder, ...] = ()
        self._totals = LedgerTotals(side.sign, self._instrument.atoms_per_tick_lot)
        self._levels: BarrierLevels = NO_LEVELS
        self._frozen_mark_ticks: int | None = None
        self._custom_info: tuple[int, dict[str, JsonValue]] | None = None

    @property
    def totals(self) -> LedgerTotals:
        """Return the sums over all fills."""
        return self._totals

    @property
    def levels(self) -> BarrierLevels:
        """Return the barrier levels in force."""
        return self._levels

    @property
    def frozen_mark_ticks(self) -> int | None:
        """Return the mark at the end; None while the executor is active."""
        return self._frozen_mark_ticks

    @property
    @abstractmethod
    def entry_price(self) -> Decimal | None:
        """Return the effective entry price; None while it is unknown."""

    @property
    @abstractmethod
    def amount_lots(self) -> int:
        """Return the configured amount in lots."""

    @property
    def mark_ticks(self) -> int | None:
        """Return the price at which the position could be closed; frozen at the end (8.1)."""
        if self.is_done:
            return self._frozen_mark_ticks
        quote = self._valid_quote()
        return None if quote is None else self._mark_of(quote)

    def stop_level(self, price: Decimal) -> int:
        """Return the signed mark that says exactly: the mark is at *price*, or worse."""
        return floor(self.side.sign * Fraction(price) / Fraction(self._instrument.tick))

    def open_lots(self, market: ConnectorPair) -> int:
        """Return the signed lots that it has open on *market*."""
        is_open = market == self.market and self.is_active
        return self.side.sign * self._totals.remaining_lots if is_open else 0

    @property
    def executor_info(self) -> ExecutorInfo:
        """Return the report at the newest mark; it changes nothing."""
        snapshot, mark = self.snapshot(), self.mark_ticks
        money = self._instrument.money
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
            net_pnl_pct=snapshot.net_pnl_pct(mark),
            net_pnl_quote=money(snapshot.net_pnl_atoms(mark)),
            cum_fees_quote=money(snapshot.fee_atoms),
            filled_amount_quote=money(snapshot.filled_atoms),
            config=self._config,
            markets=(self.market,),
            is_handed_over=self._is_handed_over,
            stale_price=self._is_stale,
            last_error=self._last_error,
            error_count=self._error_count,
            custom_info=self._plain_custom_info(),
        )

    def _plain_custom_info(self) -> dict[str, JsonValue]:
        """Return the type's custom info, made again only when something changed if it may."""
        known = self._custom_info
        if known is not None and known[0] == self._version:
            return known[1]
        info = ExecutorFactory.get_custom_info(self, self._log_error)
        plain = info.to_plain() | self._plain_foreign_fees()
        if info.is_price_free:
            self._custom_info = (self._version, plain)
        return plain

    def snapshot(self) -> ExecutorSnapshot:
        """Return the immutable state; the same object until something but the mark changes."""
        if self._snapshot is None or self._snapshot.version != self._version:
            self._snapshot = self._make_snapshot()
        return self._snapshot

    @abstractmethod
    def _make_snapshot(self) -> ExecutorSnapshot:
        """Return a new snapshot."""

    def _order_roles(self) -> tuple[OrderRole, ...]:
        before = () if self._snapshot is None else self._snapshot.orders
        if len(before) == len(self._orders) and self._orders.newest_id == (
            before[-1].client_order_id if before else ""
        ):
            return before
        return tuple(OrderRole(order.order_id, order.request.role) for order in self._orders)

    def _valid_quote(self) -> QuoteTick | None:
        """Return the newest quote if it can be priced from (2.2)."""
        quote = self._strategy.quote(self.market)
        if quote is None or quote.bid_ticks <= 0 or quote.ask_ticks <= 0:
            return None
        return quote

    def _note_staleness(self, *, is_stale: bool) -> None:
        if is_stale is not self._is_stale:
            self._is_stale = is_stale
            self._version += 1

    def _mark_of(self, quote: QuoteTick) -> int:
        return quote.bid_ticks if self.side is TradeType.BUY else quote.ask_ticks

    def _request(
        self,
        *,
        order_id: str,
        role: str,
        side: TradeType,
        order_type: OrderType,
        lots: int,
        limit_ticks: int | None,
    ) -> OrderRequest:
        return OrderRequest(
            client_order_id=order_id,
            market=self.market,
            side=side,
            order_type=order_type,
            lots=lots,
            limit_ticks=limit_ticks if order_type.is_limit_type else None,
            position_action=PositionAction.OPEN if kind_of(role) == ENTRY else self._exit_action(),
            leverage=self._leverage,
            owner_id=self.executor_id,
            role=role,
        )

    def _exit_action(self) -> PositionAction:
        """Return the action of an exit: in a netted account it must not be reduce-only (6.5)."""
        is_netted = self._instrument.is_perpetual and not self._instrument.is_hedged
        return PositionAction.OPEN if is_netted else PositionAction.CLOSE

    def _send(
        self,
        now_ns: int,
        *,
        role: str,
        order_type: OrderType,
        lots: int,
        limit_ticks: int | None = None,
    ) -> TrackedOrder:
        """Place an order of this executor and follow it as an entry or an exit."""
        side = self.side if kind_of(role) == ENTRY else self.side.opposite
        order_id = self._strategy.next_order_id()
        order = self._place(
            now_ns,
            self._request(
                order_id=order_id,
                role=role,
                side=side,
                order_type=order_type,
                lots=lots,
                limit_ticks=limit_ticks,
            ),
        )
        self._follow(order)
        limit_ticks = order.request.limit_ticks
        price = "" if limit_ticks is None else f" at {self._instrument.price(limit_ticks)}"
        amount = self._instrument.qty(lots)
        self._tell(
            now_ns, "info", f"{role} {order_id}: {side.name} {amount} {order_type.name}{price}"
        )
        return order

    def _follow(self, order: TrackedOrder) -> None:
        """Count *order* among the entries or the exits, as its role says."""
        if kind_of(order.request.role) == ENTRY:
            self._entries += (order,)
        else:
            self._exits += (order,)

    def _unfollow(self, order: TrackedOrder) -> None:
        """Count *order* no more."""
        self._entries = tuple(kept for kept in self._entries if kept is not order)
        self._exits = tuple(kept for kept in self._exits if kept is not order)

    def _on_executed(self, order: TrackedOrder) -> None:
        before = self._totals
        self._refresh_totals()
        if before.entry_lots + before.exit_lots == (
            self._totals.entry_lots + self._totals.exit_lots
        ):
            return
        filled = self._instrument.qty(order.executed_lots)
        asked = self._instrument.qty(order.request.lots)
        self._tell(
            order.updated_ns,
            "info",
            f"{order.request.role} {order.order_id}: filled {filled} of {asked}",
        )

    def _on_fee_changed(self, order: TrackedOrder) -> None:
        del order
        self._refresh_totals()

    def _refresh_totals(self) -> None:
        self._totals = ledger_totals(
            self.side, self._instrument.atoms_per_tick_lot, self._entries, self._exits
        )
        self._refresh_levels()

    @abstractmethod
    def _refresh_levels(self) -> None:
        """Compute the barrier levels again: fills, barriers or the trailing trigger changed."""
