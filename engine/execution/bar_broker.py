"""The simulated broker of a backtest: orders in, fills out, bar by bar."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from engine.execution.bar_book import SymbolBook
from engine.execution.bar_intake import BarIntake
from engine.execution.bar_order import (
    DAY,
    EXPIRED,
    FILLED,
    KIND_NAMES,
    MARKET,
    ROLE_END,
    ROLE_LIQUIDATION,
    ROUTED,
    TIF_NAMES,
    VALIDATED,
    BarFill,
    BarOrder,
    News,
)
from engine.execution.bar_settings import BarBrokerSettings
from engine.execution.bar_tables import Ended, History, equity_table, fill_table, order_table
from engine.execution.broker import BrokerHealth
from engine.execution.reasons import ReasonCode
from engine.flow.errors import OperationError
from engine.model.bar_columns import BarColumns
from engine.model.market_events import CorporateAction, Funding
from engine.model.run_tables import EQUITY_DTYPE, Table
from engine.portfolio.bar_account import BarAccount

_LIQUIDATION: Final[str] = ReasonCode.LIQUIDATION.value
_END_OF_RUN: Final[str] = ReasonCode.END_OF_RUN.value
_DAY: Final[str] = ReasonCode.DAY.value


class BarBroker(BarIntake):
    """Orders, matching and account of one container, driven bar by bar; no clock, no I/O.

    Per instant the container calls `before`, `match`, then (after draining `news`) `mark` and
    `expire_day`, then its strategies, then `fill_this_close` if that is the timing; at the end
    `finish`. The forms with ``_one`` serve a single symbol. `mark` must see every bar.

    Args: see `BarState`; *funding* and *actions* by symbol index.
    """

    def __init__(
        self,
        columns: Sequence[BarColumns],
        *,
        account: BarAccount,
        settings: BarBrokerSettings,
        seed: int = 0,
        container_id: str = "bt",
        first_bars: Sequence[int] | None = None,
        listening: bool = False,
        funding: Mapping[int, Sequence[Funding]] | None = None,
        actions: Mapping[int, Sequence[CorporateAction]] | None = None,
    ) -> None:
        self._funding = funding
        self._actions = actions
        super().__init__(
            columns,
            account=account,
            settings=settings,
            seed=seed,
            container_id=container_id,
            first_bars=first_bars,
            listening=listening,
        )

    def _begin(self) -> None:
        super()._begin()
        account = self.account
        self._is_stopped = False
        self._is_halted = False
        self.samples = array("q")
        self._samples_taken = 0
        self.sample_ts = array("q")
        self._first_sample: tuple[int, int] | None = None
        self.is_bankrupt = False
        self.shortfall_atoms = 0
        self.liquidations = 0
        self._checks_margin = account.is_margin
        self._leverage_ppb = account.leverage_ppb
        self._maintenance_ppb = account.maintenance_ppb
        self.set_events(funding=self._funding, actions=self._actions)

    def match(self, bars: Sequence[tuple[int, int]]) -> None:
        """Match the bars of one instant in their order (EVT-4 b)."""
        for symbol, bar in bars:
            self.match_one(symbol, bar)

    def advance_one(self, symbol: int, bar: int) -> None:
        """Do `before` and `match` of a single symbol's bar."""
        book = self.books[symbol]
        if book.ts_open[bar] >= self.due_ns:
            self.before(((symbol, bar),))
        if book.orders or self._is_intrabar:
            self.match_one(symbol, bar)

    def mark_one(self, symbol: int, bar: int) -> None:
        """Mark a single symbol at its bar's close and sample the equity (EVT-4 d)."""
        book = self.books[symbol]
        book.cursor = bar + 1
        position = book.position
        close = book.close[bar]
        account = self.account
        lots = position.lots
        if lots:
            scale = position.scale
            equity = account.equity + lots * (close - position.mark) * scale
            account.equity = equity
            position.mark = close
            if equity <= 0 or (
                self._checks_margin
                and equity * self._leverage_ppb < abs(lots * close) * scale * self._maintenance_ppb
            ):
                equity = self._test_account(book.ts_close[bar])
        else:
            position.mark = close
            position.has_mark = True
            equity = account.equity
            if equity <= 0 or self.is_bankrupt:
                equity = self._test_account(book.ts_close[bar])
        if self._first_sample is None:
            self._first_sample = (symbol, bar)
        try:
            self.samples.append(equity)
        except OverflowError:
            raise _too_large(equity) from None

    def mark(self, bars: Sequence[tuple[int, int]]) -> None:
        """Mark the symbols of one instant, sample the equity, test margin (PF-6, PF-13, PF-14)."""
        account = self.account
        ts_close = 0
        for symbol, bar in bars:
            book = self.books[symbol]
            book.cursor = bar + 1
            account.mark(symbol, book.close[bar])
            ts_close = book.ts_close[bar]
        equity = account.equity
        if (
            self.is_bankrupt
            or equity <= 0
            or (self._checks_margin and account.is_below_maintenance())
        ):
            equity = self._test_account(ts_close)
        account.check()
        try:
            self.samples.append(equity)
        except OverflowError:
            raise _too_large(equity) from None
        self.sample_ts.append(ts_close)

    def close_one(self, symbol: int, bar: int) -> None:
        """Do `mark_one` and `expire_day_one`."""
        self.mark_one(symbol, bar)
        book = self.books[symbol]
        if book.orders and book.ends[bar]:
            self.expire_day_one(symbol, bar)

    def expire_day_one(self, symbol: int, bar: int) -> None:
        """Expire the DAY orders whose session ends with this bar (8.7)."""
        book = self.books[symbol]
        if not book.ends[bar]:
            return
        for order in tuple(book.orders):
            if order.tif == DAY and order.state < FILLED and order.join_bar <= bar:
                self._end(order, EXPIRED, _DAY, book.ts_close[bar])

    def expire_day(self, bars: Sequence[tuple[int, int]]) -> None:
        """Expire the DAY orders of the symbols whose session ends."""
        for symbol, bar in bars:
            if self.books[symbol].orders:
                self.expire_day_one(symbol, bar)

    def fill_this_close(self, bars: Sequence[tuple[int, int]]) -> None:
        """Fill the MARKET orders at the closes of *bars* and restate the sample (FILL-2)."""
        before = len(self.fill_log)
        for symbol, bar in bars:
            book = self.books[symbol]
            ts_close = book.ts_close[bar]
            orders = [
                order
                for order in book.orders
                if order.kind == MARKET
                and order.ts_created == ts_close
                and order.ts_created + self._latency_ns <= ts_close
            ]
            if not orders:
                continue
            consumed, pool = book.consumed, book.pool
            was_matched = book.facts.bar == bar and book.facts.volume == book.volume[bar]
            if not self._open_bar(book, bar):
                continue
            if was_matched:
                book.consumed, book.pool = consumed, pool
            self._point = 3
            self._ts = ts_close
            for order in orders:
                order.is_armed = True
            self._act_at(book, book.close[bar], orders)
            self._end_immediate(orders)
            self._summarise(book)
        if len(self.fill_log) != before and self.samples:
            self.samples[-1] = 0 if self.is_bankrupt else self.account.equity

    def finish(self, *, close_positions: bool, now_ns: int) -> None:
        """End the run: cancel what works, close positions at their last closes (PF-15)."""
        if not close_positions:
            return
        self.cancel_all(now_ns=now_ns, reason=_END_OF_RUN)
        if self.is_bankrupt:
            return
        for book in self.books:
            if book.position.lots:
                bar = book.cursor - 1
                self._close_position(book, ROLE_END, "END", book.close[bar], book.ts_close[bar])
        if self.samples:
            self.samples[-1] = self.account.equity

    def _close_position(
        self, book: SymbolBook, role: str, tag: str, ticks: int, ts: int, *, at_cost: bool = True
    ) -> None:
        """Close a position at *ticks* at once; with *at_cost* as a taker pays, else for nothing."""
        lots = book.position.lots
        order = self._forced(book, role, tag, ts)
        pool, book.pool = book.pool, None
        is_unknown, book.is_unknown = book.is_unknown, False
        self._ts = ts
        self._bar = book.cursor - 1
        if book.facts.bar != self._bar:
            book.consumed = 0
        book.facts.bar = self._bar
        book.facts.volume = book.volume[self._bar]
        book.facts.spread_ticks = book.spread_at(self._bar)
        if at_cost:
            self._execute(book, order, raw=ticks, at=ticks, is_maker=False)
        else:
            self._fill(book, order, lots=abs(lots), ticks=ticks, raw=ticks, fee=0, is_maker=False)
        book.pool, book.is_unknown = pool, is_unknown

    def _forced(self, book: SymbolBook, role: str, tag: str, ts: int) -> BarOrder:
        """Return a routed MARKET order that closes the position of *book*."""
        lots = book.position.lots
        order = BarOrder(
            book.index,
            -1 if lots > 0 else 1,
            MARKET,
            abs(lots),
            reduce_only=True,
            role=role,
            tag=tag,
        )
        self._register(order, ts)
        order.bar_created = book.cursor - 1
        order.join_bar = order.first_bar = book.cursor
        order.advance(VALIDATED, ts)
        order.advance(ROUTED, ts)
        book.orders.append(order)
        book.is_dirty = True
        return order

    def _test_account(self, ts: int) -> int:
        """Go bankrupt or liquidate if the equity asks for it; return the sample (PF-13, PF-14)."""
        account = self.account
        if self.is_bankrupt:
            return 0
        if account.equity <= 0:
            self._go_bankrupt(ts)
            return 0
        if not self._checks_margin or not account.is_below_maintenance():
            return account.equity
        self.liquidations += 1
        self.cancel_all(
            now_ns=ts, reason=_LIQUIDATION, keep=lambda order: order.role == ROLE_LIQUIDATION
        )
        for book in self.books:
            if book.position.lots and not book.orders:
                self._forced(book, ROLE_LIQUIDATION, _LIQUIDATION, ts)
        return account.equity

    def _go_bankrupt(self, ts: int) -> None:
        """Close everything at the marks, and stop (PF-14)."""
        self.cancel_all(now_ns=ts, reason=_LIQUIDATION)
        for book in self.books:
            if book.position.lots:
                self._close_position(
                    book, ROLE_LIQUIDATION, "BANKRUPT", book.position.mark, ts, at_cost=False
                )
        self.is_bankrupt = True
        self.shortfall_atoms = -self.account.equity
        self._is_stopped = True

    def _test_margin(self, book: SymbolBook, price: int) -> None:
        """Liquidate at a point of the path if the margin does not suffice there (PF-13)."""
        position = book.position
        if not position.lots:
            return
        account = self.account
        mark = position.mark
        account.mark(book.index, price)
        if account.is_below_maintenance():
            if not self._is_trial:
                self.liquidations += 1
            ts = self._ts
            self.cancel_all(now_ns=ts, reason=_LIQUIDATION)
            for one in self.books:
                if one.position.lots:
                    bar, point = self._bar, self._point
                    self._close_position(one, ROLE_LIQUIDATION, _LIQUIDATION, one.position.mark, ts)
                    self._bar, self._point = bar, point
        account.mark(book.index, mark)

    def _sample_count(self) -> int:
        return self.sample_count

    @property
    def sample_count(self) -> int:
        """Return how many equity samples there were, those that were taken among them."""
        return self._samples_taken + len(self.samples)

    def take_samples(self, *, is_last: bool = False) -> tuple[array[int], array[int]]:
        """Return the equity samples and their stamps, if there are any, and forget them here.

        The newest one may be restated and stays until *is_last*.
        """
        stop = len(self.samples) if is_last else max(0, len(self.samples) - 1)
        taken = self.samples[:stop], self.sample_ts[:stop]
        del self.samples[:stop], self.sample_ts[:stop]
        self._samples_taken += stop
        return taken

    def take_ended(self, *, is_last: bool = False) -> Ended:
        """Return the fills, orders and changes of cash that change no more; forget them here.

        With *is_last* also the orders that still work, and the newest cash.
        """
        fills = self.fill_log[:]
        del self.fill_log[:]
        self._fills_taken += len(fills)
        orders = [order for order in self.orders if is_last or order.state >= FILLED]
        self.orders[:] = [order for order in self.orders if not is_last and order.state < FILLED]
        self._orders_taken += len(orders)
        stop = len(self.cash_log) if is_last else len(self.cash_log) - 1
        cash = self.cash_log[:stop]
        del self.cash_log[:stop]
        return Ended(fills, orders, cash)

    def on_market(self, data: Sequence[tuple[int, int]]) -> list[News]:
        """Do `before` and `match` of the bars of one instant; return what happened.

        Only a broker that is listening reports.
        """
        known = len(self.news)
        self.before(data)
        self.match(data)
        return self.news[known:]

    def connect(self) -> None:
        """Do nothing: there is no venue."""

    def close(self) -> None:
        """Take no more orders."""
        self.stop()

    def health(self) -> BrokerHealth:
        """Return HEALTHY: there is nothing that could fail."""
        return BrokerHealth.HEALTHY

    def fills(self, since: int = 0) -> list[BarFill]:
        """Return the fills from number *since* on, but for those that were taken."""
        return self.fill_log[max(0, since - self._fills_taken) :]

    def positions(self) -> dict[str, int]:
        """Return the signed lots of the symbols that are held."""
        return {
            book.columns.symbol: book.position.lots for book in self.books if book.position.lots
        }

    def balances(self) -> dict[str, int]:
        """Return the cash in atoms, by currency."""
        return {self.account.settings.currency: self.account.cash}

    def capabilities(self) -> dict[str, tuple[str, ...] | bool]:
        """Return what the broker can do."""
        return {
            "types": KIND_NAMES,
            "tifs": TIF_NAMES,
            "brackets": True,
            "reduce_only": True,
            "replace": True,
        }

    def tables(self, history: History | None = None) -> tuple[Table, Table, Table]:
        """Return fills, equity samples and orders as integer tables (DET-4).

        *history* is everything that the run left, if it was taken.
        """
        if history is None:
            samples, cash = np.array(self.cash_log, dtype=np.int64).reshape(-1, 2).T
            history = History(
                np.array(self.samples, dtype=np.int64),
                np.array(self.sample_ts, dtype=np.int64) if self.sample_ts else None,
                np.zeros(len(self.samples), dtype=EQUITY_DTYPE),
                fill_table(self.fill_log),
                order_table(self.orders),
                samples,
                cash,
            )
        stamps = history.stamps
        if stamps is None:
            symbol, first = self._first_sample or (0, 0)
            stamps = self.books[symbol].columns.ts_close[first : first + len(history.atoms)]
        return history.fills, equity_table(history, stamps, self.books), history.orders


def _too_large(atoms: int) -> OperationError:
    return OperationError(
        f"an equity of {atoms} atoms does not fit 64 bits; lower money_precision of the portfolio"
    )
