"""Immutable state of an executor, for readers on other threads and for the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from engine.executors.barrier_levels import BarrierLevels
from engine.executors.barriers import TrailingTrigger
from engine.executors.config import ExecutorConfigBase
from engine.executors.fill_ledger import LedgerTotals, half_even
from engine.executors.status import CloseType, Lifecycle, RunnableStatus, lifecycle_of
from engine.executors.step import TimelineEntry
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import TradeType
from engine.model.quotes import QuoteTick

BarrierKind = Literal[
    "entry",
    "stop_loss",
    "take_profit",
    "trailing_stop",
    "time_limit",
    "level",
    "next_slot",
    "maker",
    "hedge",
    "arbitrage",
]

QuoteOf = Callable[[ConnectorPair], QuoteTick | None]
"""Returns the newest quote of a market."""


@dataclass(frozen=True, slots=True)
class BarrierPrice:
    """One barrier: the price at which it fires, or the instant ``at_ns`` of the time limit.

    ``distance_pct`` is the way from the mark to the price as a fraction of the mark.
    """

    kind: BarrierKind
    price: Decimal | None
    distance_pct: Decimal | None
    at_ns: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class OrderRole:
    """An order of the executor and what it is for: entry, take_profit, close."""

    client_order_id: str
    role: str


@dataclass(frozen=True, slots=True)
class ExecutorSnapshot:
    """Everything about an executor but the mark; a new object only when something changed.

    Amounts are in lots, money in atoms of ``instrument``. Methods that take ``mark_ticks`` (best
    bid for BUY, best ask for SELL; None if unknown) are pure: any thread may call them. A
    terminated executor ignores the mark given and uses ``frozen_mark_ticks``.
    """

    id: str
    type: str
    controller_id: str
    market: ConnectorPair
    instrument: Instrument
    side: TradeType
    status: RunnableStatus
    close_type: CloseType | None
    created_ns: int
    closed_ns: int | None
    closing_since_ns: int | None
    config: ExecutorConfigBase
    amount_lots: int
    totals: LedgerTotals
    levels: BarrierLevels
    frozen_mark_ticks: int | None
    entry_price: Decimal | None
    end_ns: int | None
    trailing_trigger: Fraction | TrailingTrigger | None
    is_trailing: bool
    is_take_profit_resting: bool
    retries: int
    max_retries: int
    error_count: int
    last_error: str
    is_handed_over: bool
    is_stale: bool
    orders: tuple[OrderRole, ...]
    timeline: tuple[TimelineEntry, ...]
    version: int

    @property
    def trailing_trigger_pct(self) -> Fraction | None:
        """Return the net PnL at which the trailing stop fires; None until it is armed."""
        trigger = self.trailing_trigger
        return trigger.pct if isinstance(trigger, TrailingTrigger) else trigger

    @property
    def lifecycle(self) -> Lifecycle:
        """Return the label that a person sees."""
        return lifecycle_of(self.status, self.close_type)

    @property
    def is_done(self) -> bool:
        """Whether the executor is terminated."""
        return self.status is RunnableStatus.TERMINATED

    @property
    def is_trading(self) -> bool:
        """Whether it runs with something filled (5.5)."""
        return self.status is RunnableStatus.RUNNING and self.totals.opened_lots > 0

    @property
    def opened_lots(self) -> int:
        """Return what was opened, net of entry fees in base."""
        return self.totals.opened_lots

    @property
    def exited_lots(self) -> int:
        """Return what all exit orders executed."""
        return self.totals.exit_lots

    @property
    def fee_atoms(self) -> int:
        """Return the fees to report: 0 once the fills are handed over (8.2)."""
        return 0 if self.is_handed_over else self.totals.fee_atoms

    @property
    def filled_atoms(self) -> int:
        """Return the traded volume to report: 0 once the fills are handed over (8.2)."""
        return 0 if self.is_handed_over else self.totals.filled_atoms

    @property
    def is_linear(self) -> bool:
        """Whether ``net_at`` is exactly linear in the mark while the executor is active.

        It is not when fees in base make it round at each mark. A type with another formula says
        here whether it is.
        """
        return not self.totals.entry_fee_lots

    def exact_mark(self, quote: QuoteTick | None) -> int | None:
        """Return the mark for ``net_at``: in ticks; types that are marked at the mid count halves.

        All snapshots of one class, market and side have the same.
        """
        return self.mark_of(quote)

    def net_at(self, exact_mark: int | None) -> int:
        """Return the net PnL in atoms at a mark from ``exact_mark``."""
        return self.net_pnl_atoms(exact_mark)

    def mark_of(self, quote: QuoteTick | None) -> int | None:
        """Return where the position could be left now: best bid for BUY, best ask for SELL."""
        if quote is None:
            return None
        return quote.bid_ticks if self.side is TradeType.BUY else quote.ask_ticks

    def net_pnl_atoms(self, mark_ticks: int | None) -> int:
        """Return the net PnL at the mark; an open amount without a mark counts as unchanged."""
        if self.is_handed_over or not self.totals.entry_lots:
            return 0
        return self.totals.net_pnl_atoms(self._mark(mark_ticks))

    def net_pnl_pct(self, mark_ticks: int | None) -> Decimal:
        """Return the net PnL as a fraction of the entry notional."""
        if self.is_handed_over or not self.totals.entry_lots:
            return Decimal(0)
        numerator, denominator = self.totals.net_pnl_ratio(self._mark(mark_ticks))
        return Decimal(numerator) / Decimal(denominator)

    def net_return(self, mark_ticks: int | None) -> float:
        """Return ``net_pnl_pct`` as the nearest float: a key to sort by, cheap."""
        if self.is_handed_over or not self.totals.entry_lots:
            return 0.0
        numerator, denominator = self.totals.net_pnl_ratio(self._mark(mark_ticks))
        return numerator / denominator

    def barriers(self, mark_ticks: int | None) -> tuple[BarrierPrice, ...]:
        """Return the barriers that can still fire, with their distance from the mark."""
        if self.is_done:
            return ()
        levels = self.levels
        found = [
            self._price_barrier(kind, level, mark_ticks, note)
            for kind, level, note in (
                ("stop_loss", levels.stop_loss, ""),
                ("take_profit", levels.take_profit, self._take_profit_note()),
                ("trailing_stop", self._trailing_level(), self._trailing_note()),
            )
            if level is not None
        ]
        if not self.totals.entry_lots and self.entry_price is not None:
            entry = self.instrument.nearest_ticks(self.entry_price)
            found.insert(0, self._price_barrier("entry", self.side.sign * entry, mark_ticks, ""))
        if self.end_ns is not None:
            found.append(BarrierPrice("time_limit", None, None, self.end_ns))
        return tuple(found)

    def barriers_at(self, mark_ticks: int | None, quote_of: QuoteOf) -> tuple[BarrierPrice, ...]:
        """Return ``barriers`` for a type that also needs the quotes of other markets."""
        del quote_of
        return self.barriers(mark_ticks)

    def _mark(self, mark_ticks: int | None) -> int:
        mark = self.frozen_mark_ticks if self.is_done else mark_ticks
        if mark is not None:
            return mark
        entry = self.totals.entry_ticks
        return 0 if entry is None else half_even(entry.numerator, entry.denominator)

    def _price_barrier(
        self, kind: str, signed_level: int, mark_ticks: int | None, note: str
    ) -> BarrierPrice:
        ticks = signed_level * self.side.sign
        distance = Decimal(ticks - mark_ticks) / Decimal(mark_ticks) if mark_ticks else None
        return BarrierPrice(_KINDS[kind], self.instrument.price(ticks), distance, None, note)

    def _trailing_level(self) -> int | None:
        levels = self.levels
        is_armed = levels.trailing_close is not None
        return levels.trailing_close if is_armed else levels.trailing_raise

    def _trailing_note(self) -> str:
        if self.trailing_trigger is None:
            return "arms at this price"
        return "armed: closes at this price"

    def _take_profit_note(self) -> str:
        return "resting order" if self.is_take_profit_resting else ""


_KINDS: dict[str, BarrierKind] = {
    "entry": "entry",
    "stop_loss": "stop_loss",
    "take_profit": "take_profit",
    "trailing_stop": "trailing_stop",
}
