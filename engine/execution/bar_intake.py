"""The way into the bar broker: checks, places, changes and takes back orders."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Final

from engine.execution.bar_book import SymbolBook
from engine.execution.bar_dues import BarDues
from engine.execution.bar_order import (
    BASIS_ABSOLUTE,
    CANCELLED,
    FILLED,
    GTC,
    GTD,
    LIMIT,
    MARKET,
    MOC,
    MOO,
    OFFSET_NONE,
    PHASE_CLOSE,
    PHASE_LIMIT,
    PHASE_MARKET,
    PHASE_STOP,
    REJECTED,
    ROLE_STOP_LOSS,
    ROLE_TAKE_PROFIT,
    ROLE_TRAILING,
    ROUTED,
    STOP,
    TRAILING_STOP,
    VALIDATED,
    BarOrder,
    BracketGroup,
    OrderNews,
)
from engine.execution.bar_order_validator import BarOrderContext, find_bar_problem
from engine.execution.bar_state import OcoGroup
from engine.execution.reasons import ReasonCode
from engine.execution.wrong_event import WrongEventKind

_PHASES: Final = {MARKET: PHASE_MARKET, MOO: PHASE_MARKET, MOC: PHASE_CLOSE, LIMIT: PHASE_LIMIT}
_USER: Final[str] = ReasonCode.USER.value
_INVALID_TRAIL: Final[str] = ReasonCode.TRAIL_INVALID.value
_OFF_GRID: Final[str] = ReasonCode.PRICE_OFF_GRID.value


class BarIntake(BarDues):
    """Takes orders in and keeps the book of record by their sequence (6.4)."""

    _is_stopped: bool
    _is_halted: bool

    def submit(self, order: BarOrder, *, now_ns: int) -> bool:
        """Take *order*, made at *now_ns*; False if it is REJECTED, ``order.reason`` says why.

        The same order again changes nothing; another order with a client id that is known is
        rejected.

        Raises:
            WrongEventKind: *order* is no order; signals go to the risk manager (EVT-1).
        """
        if not isinstance(order, BarOrder):
            raise WrongEventKind(
                f"the broker takes orders, this is a {type(order).__name__}; "
                "signals go to the risk manager"
            )
        if order.seq >= 0:
            return order.state != REJECTED
        is_named = bool(order.client_id)
        is_duplicate = is_named and order.client_id in self._client_ids
        self._register(order, now_ns)
        if is_named and not is_duplicate:
            self._client_ids[order.client_id] = order
        if order.kind in (MOO, MOC):
            order.tif = GTC
        is_known = 0 <= order.symbol < len(self.books)
        book = self.books[order.symbol] if is_known else None
        problem = find_bar_problem(
            order, self._context(order, book, now_ns, is_duplicate=is_duplicate)
        )
        if problem is not None or book is None:
            self._reject(order, str(problem), now_ns)
            return False
        if not self._freeze_atr(book, order):
            self._reject(order, _INVALID_TRAIL, now_ns)
            return False
        if order.is_off_grid:
            self._reject(order, _OFF_GRID, now_ns)
            return False
        order.advance(VALIDATED, now_ns)
        self._route(book, order, now_ns)
        return True

    def _register(self, order: BarOrder, now_ns: int) -> None:
        order.seq = order.rank = self.order_count
        if not order.client_id:
            order.client_id = f"{self.container_id}-O{order.seq:08d}"
        order.ts_created = order.ts_updated = now_ns
        self.orders.append(order)
        self.open_count += 1

    def _reject(self, order: BarOrder, reason: str, now_ns: int) -> None:
        order.advance(REJECTED, now_ns, reason)
        self._count_end(order, reason, now_ns)

    def _context(
        self, order: BarOrder, book: SymbolBook | None, now_ns: int, *, is_duplicate: bool
    ) -> BarOrderContext:
        if book is None:
            return BarOrderContext(None, is_stopped=self._is_stopped, is_duplicate=is_duplicate)
        position = book.position
        oco = None if order.oco_group == 0 else self.oco.get(order.oco_group)
        selling = 0
        if order.side < 0 and book.no_short:
            selling = sum(
                one.lots - one.filled_lots
                for one in book.orders
                if one.side < 0
                and not one.reduce_only
                and (order.oco_group == 0 or one.oco_group != order.oco_group)
            )
        return BarOrderContext(
            book.instrument,
            net_lots=position.lots,
            working_sell_lots=selling,
            mark=position.mark if position.has_mark else None,
            arrival_ns=now_ns + self._latency_ns,
            is_margin=self.account.is_margin,
            is_stopped=self._is_stopped,
            is_halted=self._is_halted,
            is_duplicate=is_duplicate,
            is_oco_closed=oco is not None and oco.is_closed,
            allow_nonpositive=book.allow_nonpositive,
        )

    def _route(self, book: SymbolBook, order: BarOrder, now_ns: int) -> None:
        """Put a valid order to work, with its dormant exits."""
        order.advance(ROUTED, now_ns)
        order.bar_created = book.cursor - 1
        order.phase = _PHASES.get(order.kind, PHASE_STOP)
        position = book.position
        if order.activation is None and position.has_mark:
            order.extreme = position.mark
        self._schedule(book, order, now_ns + self._latency_ns)
        book.orders.append(order)
        book.is_dirty = True
        if order.oco_group != 0:
            group = self.oco.get(order.oco_group)
            if group is None:
                group = self.oco[order.oco_group] = OcoGroup(order)
            group.members.append(order)
        if order.tif == GTD:
            self.due_ns = min(self.due_ns, order.expire_ns)
        self.order_updates += 1
        if self.listening:
            self.news.append(OrderNews(order, ROUTED, "", now_ns))
        if order.bracket is not None:
            self._attach_exits(book, order, now_ns)

    def _schedule(self, book: SymbolBook, order: BarOrder, arrival_ns: int) -> None:
        """Find the bar and the point of its path at which the order joins (FILL-3)."""
        bar = book.cursor
        size = book.size
        if bar < size and book.ts_close[bar] <= arrival_ns:
            bar = bisect_right(book.ts_close, arrival_ns, bar, size)
        order.join_bar = order.first_bar = bar
        order.join_point = 0
        if bar < size:
            late = arrival_ns - book.ts_open[bar]
            if late > 0:
                span = book.ts_close[bar] - book.ts_open[bar]
                order.join_point = -(-3 * late // span)
                order.first_bar = bar + 1

    def _attach_exits(self, book: SymbolBook, entry: BarOrder, now_ns: int) -> None:
        """Make the dormant exits of *entry*: stop, trailing stop, target (FILL-20)."""
        bracket = entry.bracket
        if bracket is None:
            return
        is_absolute = bracket.basis == BASIS_ABSOLUTE
        way = -entry.side
        children = []
        if bracket.sl is not None:
            stop = bracket.sl if is_absolute else 0
            children.append(BarOrder(entry.symbol, way, STOP, stop=stop, role=ROLE_STOP_LOSS))
        if bracket.sl_trail_unit != OFFSET_NONE:
            children.append(
                BarOrder(
                    entry.symbol,
                    way,
                    TRAILING_STOP,
                    trail_unit=bracket.sl_trail_unit,
                    trail_value=bracket.sl_trail_value,
                    role=ROLE_TRAILING,
                )
            )
        if bracket.tp is not None:
            limit = bracket.tp if is_absolute else 0
            children.append(BarOrder(entry.symbol, way, LIMIT, limit=limit, role=ROLE_TAKE_PROFIT))
        if not children:
            return
        group = BracketGroup(entry, children)
        entry.group = group
        book.groups.append(group)
        for child in children:
            child.reduce_only = True
            child.parent = entry
            child.group = group
            child.is_child = True
            child.is_dormant = True
            child.is_stop_exit = child.role != ROLE_TAKE_PROFIT
            child.owner = entry.owner
            child.tag = entry.tag
            child.phase = _PHASES.get(child.kind, PHASE_STOP)
            self._register(child, now_ns)
            child.bar_created = entry.bar_created
            child.advance(VALIDATED, now_ns)
            child.advance(ROUTED, now_ns)

    def cancel(self, which: BarOrder | str, *, now_ns: int, reason: str = _USER) -> bool:
        """Cancel what is left of an order (or its client id); False if there is nothing left."""
        order = self._known(which)
        if order is None or order.state >= FILLED:
            return False
        self._end(order, CANCELLED, reason, now_ns)
        return True

    def cancel_all(
        self,
        *,
        now_ns: int,
        reason: str = _USER,
        symbol: int | None = None,
        keep: Callable[[BarOrder], bool] | None = None,
    ) -> int:
        """Cancel the open orders (of *symbol*) that *keep* does not keep; return how many."""
        books = self.books if symbol is None else [self.books[symbol]]
        orders = {order.seq: order for book in books for order in book.orders}
        for book in books:
            for group in book.groups:
                orders.update((child.seq, child) for child in group.children)
        count = 0
        for seq in sorted(orders):
            order = orders[seq]
            if order.state >= FILLED or (keep is not None and keep(order)):
                continue
            self._end(order, CANCELLED, reason, now_ns)
            count += 1
        return count

    def replace(
        self,
        which: BarOrder | str,
        *,
        now_ns: int,
        lots: int | None = None,
        limit: int | None = None,
        stop: int | None = None,
    ) -> bool:
        """Change quantity or prices of an open order (ORD-6); False if it cannot be changed.

        A price or a larger quantity loses the place in the queue; a quantity that is filled
        already cancels the rest.
        """
        order = self._known(which)
        if order is None or order.state >= FILLED or (lots is not None and order.is_child):
            return False
        if (limit is not None and order.limit is None) or (stop is not None and order.stop is None):
            return False
        if lots is not None and lots <= order.filled_lots:
            self._end(order, CANCELLED, _USER, now_ns)
            return True
        book = self.books[order.symbol]
        loses = limit is not None or stop is not None
        if lots is not None:
            loses = loses or lots > order.lots
            order.lots = lots
        if limit is not None:
            order.limit = limit
        if stop is not None:
            order.stop = stop
        order.revision += 1
        order.ts_updated = now_ns
        if loses:
            order.rank = self.order_count
            order.first_bar = max(order.first_bar, book.cursor)
        if order.is_armed:
            self._set_level(order)
        book.is_dirty = True
        self.order_updates += 1
        if self.listening:
            self.news.append(OrderNews(order, order.state, "REPLACED", now_ns))
        return True

    def _known(self, order: BarOrder | str) -> BarOrder | None:
        if isinstance(order, str):
            return self.order(order)
        return order if order.seq >= 0 else None

    def halt(self) -> None:
        """Take no more entries: RISK_HALTED; reductions go on."""
        self._is_halted = True

    def resume(self) -> None:
        """Take entries again."""
        self._is_halted = False

    def stop(self) -> None:
        """Take no more orders: CONTAINER_STOPPED."""
        self._is_stopped = True

    def open_orders(self) -> list[BarOrder]:
        """Return the orders that can still fill, dormant exits included, by seq."""
        return [order for order in self.orders if order.state < FILLED]

    def working_lots(self, symbol: int) -> tuple[int, int]:
        """Return what open orders may still buy and sell beyond reductions, in lots."""
        buying = selling = 0
        for order in self.books[symbol].orders:
            if order.reduce_only:
                continue
            left = order.lots - order.filled_lots
            if order.side > 0:
                buying += left
            else:
                selling += left
        return buying, selling

    def nearest_stop(self, symbol: int) -> int | None:
        """Return the level of the stop that is nearest to the market and protects the position."""
        book = self.books[symbol]
        held = book.position.lots
        levels = [
            order.level
            for order in book.orders
            if order.phase == PHASE_STOP and order.dir and order.side * held < 0
        ]
        if not levels:
            return None
        return max(levels) if held > 0 else min(levels)

    def order(self, client_id: str) -> BarOrder | None:
        """Return the order of a client id, None if there is none or it has ended and was taken."""
        known = self._client_ids.get(client_id)
        if known is not None:
            return known
        prefix, _, number = client_id.rpartition("-O")
        if prefix != self.container_id or not number.isdigit():
            return None
        place = bisect_left(self.orders, int(number), key=lambda order: order.seq)
        found = self.orders[place : place + 1]
        return found[0] if found and found[0].seq == int(number) else None
