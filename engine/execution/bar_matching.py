"""Walk of one bar: open point, segments, close point."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from engine.execution.bar_book import FAR, SymbolBook
from engine.execution.bar_contingent import offset_ticks
from engine.execution.bar_filling import BarFilling
from engine.execution.bar_order import (
    CANCELLED,
    EXPIRED,
    FILLED,
    FOK,
    GTD,
    IOC,
    MARKET,
    MOO,
    PHASE_CLOSE,
    PHASE_LIMIT,
    PHASE_MARKET,
    PHASE_STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    TRAILING_STOP_LIMIT,
    BarOrder,
)
from engine.execution.bar_settings import MarketBasis
from engine.execution.bar_trial import BarTrial
from engine.execution.reasons import ReasonCode
from engine.model.bar_columns import MISSING
from engine.model.draws import uniform

_LIMIT_STREAM: Final = 1
_POST_ONLY: Final[str] = ReasonCode.POST_ONLY_CROSSES.value
_GTD: Final[str] = ReasonCode.GTD.value
_REASON_OF_TIF: Final[dict[int, str]] = {IOC: ReasonCode.IOC.value, FOK: ReasonCode.FOK.value}


class BarMatching(BarFilling):
    """Matches the working orders of a symbol against one bar."""

    def match_one(self, symbol: int, bar: int) -> None:
        """Match bar *bar* of *symbol* (EVT-4 b); costs two comparisons if no level is reached."""
        book = self.books[symbol]
        book.cursor = bar + 1
        if not book.orders and not self._is_intrabar:
            return
        if (
            book.is_quiet
            and not book.is_dirty
            and book.high[bar] < book.up
            and book.low[bar] > book.down
        ):
            return
        if not self._open_bar(book, bar):
            return
        self._match_open(book, bar)
        if book.orders or self._is_intrabar:
            self._match_path(book, bar)
        self._summarise(book)

    def _open_bar(self, book: SymbolBook, bar: int) -> bool:
        """Set pool and facts of a bar; False if nothing may fill on it (FILL-19, FILL-25)."""
        if book.blocked[bar]:
            return False
        volume = book.volume[bar]
        book.pool = None
        book.is_unknown = False
        if self._pool_ppb is not None:
            if not volume:
                return False
            if volume < 0:
                book.is_unknown = True
            else:
                book.pool = volume * self._pool_ppb // 1_000_000_000
        book.consumed = 0
        facts = book.facts
        facts.bar = bar
        facts.volume = volume
        facts.spread_ticks = book.spread_at(bar)
        self._bar = bar
        return True

    def _match_open(self, book: SymbolBook, bar: int) -> None:
        """Match at the open point, then end what acts there only (FILL-5 to FILL-11, 8.7)."""
        opening = book.open[bar]
        self._point = 0
        self._ts = book.ts_open[bar]
        joined = []
        has_ends = False
        ts_close = book.ts_close[bar]
        for order in book.orders:
            if order.join_bar > bar or (order.join_bar == bar and order.join_point):
                continue
            if not order.is_armed:
                self._arm(order)
            joined.append(order)
            if order.tif == IOC or order.tif == FOK or order.tif == GTD:
                has_ends = True
        self._act_at(book, opening, joined)
        if has_ends:
            self._end_immediate(joined)
            for order in joined:
                if order.tif == GTD and order.state < FILLED and order.expire_ns < ts_close:
                    self._end(order, EXPIRED, _GTD, order.expire_ns)
        if self._is_intrabar:
            self._test_margin(book, opening)
        if book.has_trailing and self._trail_on_path:
            self._trail(book, opening)

    def _end_immediate(self, orders: Iterable[BarOrder]) -> None:
        """Cancel the IOC and FOK orders among *orders* that are still there (FILL-11)."""
        for order in orders:
            if order.state < FILLED and order.tif in _REASON_OF_TIF:
                self._end(order, CANCELLED, _REASON_OF_TIF[order.tif], self._ts)

    def _act_at(
        self,
        book: SymbolBook,
        price: int,
        orders: Iterable[BarOrder],
        tried: set[int] | None = None,
    ) -> None:
        """Try *orders*, and what they wake, at one point of the path (FILL-5)."""
        waiting = list(orders)
        fresh = book.fresh
        while True:
            ready = [order for order in waiting if self._is_marketable(book, order, price)]
            if not ready:
                return
            order = ready[0] if len(ready) == 1 else self._first(book, ready)
            waiting.remove(order)
            if order.state >= FILLED:
                continue
            if tried is not None:
                tried.add(order.seq)
            self._act(book, order, price)
            if fresh:
                waiting += fresh
                fresh.clear()

    def _first(self, book: SymbolBook, ready: list[BarOrder]) -> BarOrder:
        """Return what is tried next: reductions, stop-loss exits, then by rank (FILL-5)."""
        held = book.position.lots
        return min(
            ready,
            key=lambda one: (one.side * held >= 0, not one.is_stop_exit, one.rank, one.seq),
        )

    def _is_marketable(self, book: SymbolBook, order: BarOrder, price: int) -> bool:
        """Whether *order* acts at a point with *price*."""
        way = order.dir
        if way:
            if self._is_lucky and order.phase == PHASE_LIMIT:
                return way * (price - self._lucky_level(order)) >= 0
            return way * (price - order.level) >= 0
        if order.state >= FILLED:
            return False
        if order.phase == PHASE_MARKET:
            if order.kind == MOO and not order.fills:
                return self._point == 0 and bool(book.starts[self._bar])
            return True
        return order.phase == PHASE_CLOSE and self._point == 3 and bool(book.ends[self._bar])

    def _lucky_level(self, order: BarOrder) -> int:
        """Return the level of a limit in this bar: its price, or one tick beyond (FILL-15)."""
        draw = uniform(self.seed, _LIMIT_STREAM, order.seq, self._bar)
        return order.level if draw < self._chance else order.level + order.dir

    def _act(self, book: SymbolBook, order: BarOrder, price: int) -> None:
        """Let a marketable order act at a point."""
        phase = order.phase
        if phase == PHASE_LIMIT:
            self._act_limit(book, order, price)
        elif phase == PHASE_STOP:
            self._trigger(book, order, price)
        elif (
            self._is_open_basis
            or self._point
            or order.is_triggered
            or (order.kind != MARKET and order.kind != MOO)
        ):
            self._execute(book, order, raw=price, at=price, is_maker=False)
        else:
            self._execute_at_basis(book, order, price)

    def _act_limit(self, book: SymbolBook, order: BarOrder, price: int) -> None:
        """Fill a limit that is marketable at a point: maker if it rested a full bar (FILL-8)."""
        is_maker = self._bar > order.first_bar
        if order.post_only and not is_maker:
            self._refuse(order, _POST_ONLY, self._ts)
            return
        self._execute(book, order, raw=price, at=price, is_maker=is_maker)

    def _trigger(self, book: SymbolBook, order: BarOrder, price: int) -> None:
        """Trigger a stop at *price*: it fills, or becomes a limit (FILL-7, FILL-9, FILL-16)."""
        order.is_triggered = True
        book.is_dirty = True
        kind = order.kind
        if kind not in (STOP_LIMIT, TRAILING_STOP_LIMIT):
            order.phase = PHASE_MARKET
            order.dir = 0
            self._execute(book, order, raw=price, at=price, is_maker=False)
            return
        if kind == TRAILING_STOP_LIMIT:
            order.limit = price + order.side * order.limit_offset
        order.phase = PHASE_LIMIT
        order.first_bar = self._bar if self._point == 0 else self._bar + 1
        self._set_level(order)
        if self._is_marketable(book, order, price):
            self._act_limit(book, order, price)

    def _execute_at_basis(self, book: SymbolBook, order: BarOrder, price: int) -> None:
        """Fill a market order at the open point at a price of the whole bar (FILL-24)."""
        before = self._ts
        self._ts = book.ts_close[self._bar] - 1
        self._is_basis_fill = True
        raw = self._basis_ticks(book, order.side)
        self._execute(book, order, raw=raw, at=price, is_maker=False)
        self._is_basis_fill = False
        self._ts = before

    def _basis_ticks(self, book: SymbolBook, side: int) -> int:
        """Return the basis price in ticks, rounded against *side*."""
        bar = self._bar
        high, low, close = book.high[bar], book.low[bar], book.close[bar]
        if self._basis is MarketBasis.CLOSE:
            return close
        if self._basis is MarketBasis.MID:
            total, parts = high + low, 2
        else:
            if self._basis is MarketBasis.VWAP and book.vwap is not None:
                vwap = book.vwap[bar]
                if vwap != MISSING:
                    return vwap
            total, parts = high + low + close, 3
        return -(-total // parts) if side > 0 else total // parts

    def _match_path(self, book: SymbolBook, bar: int) -> None:
        """Walk the bar after its open point; flag what the other path would change (FILL-23)."""
        before = len(self.fill_log)
        high_first = self._is_high_first(book, bar)
        late = [order for order in book.orders if order.join_bar == bar and order.join_point]
        touched, is_plain = self._touched(book, bar)
        if late or touched > 1 or (touched and not is_plain):
            trial = BarTrial(self, book)
            self._is_trial = True
            self._walk(book, bar, late, high_first=not high_first)
            self._is_trial = False
            other = trial.undo(before)
            self._walk(book, bar, late, high_first=high_first)
            path_fills = self.fill_log[before:]
            if path_fills and other != sorted((fill.order.seq, fill.ticks) for fill in path_fills):
                self.ambiguous_fills += len(path_fills)
                for fill in path_fills:
                    fill.is_ambiguous = True
            return
        if touched or self._is_intrabar:
            self._walk(book, bar, late, high_first=high_first)
            return
        if book.has_trailing and self._trail_on_path:
            # Nothing can trigger, so the order of the extremes does not matter.
            self._point = 2
            self._trail(book, book.high[bar])
            self._trail(book, book.low[bar])
        self._match_close(book, bar, late)

    def _is_high_first(self, book: SymbolBook, bar: int) -> bool:
        """Return whether the bar visits its high first (8.3)."""
        if self._fixed_path is not None:
            return self._fixed_path
        if not self._is_adaptive:
            held = book.position.lots
            if held:
                return held < 0
            sides = {
                order.side for order in book.orders if order.is_armed and not order.reduce_only
            }
            if len(sides) == 1:
                return 1 in sides
        opening = book.open[bar]
        return book.high[bar] - opening < opening - book.low[bar]

    def _touched(self, book: SymbolBook, bar: int) -> tuple[int, bool]:
        """Return how many orders the path may reach, and whether a single one acts alone."""
        high, low = book.high[bar], book.low[bar]
        touched = 0
        is_plain = not self._is_intrabar
        for order in book.orders:
            if order.phase == PHASE_STOP and order.kind in (TRAILING_STOP, TRAILING_STOP_LIMIT):
                if self._may_trigger(order, high, low):
                    touched += 1
                    is_plain = False
            elif order.dir and low <= order.level <= high:
                touched += 1
                if order.kind == STOP_LIMIT or (order.group is not None and not order.is_child):
                    is_plain = False
        return touched, is_plain

    def _may_trigger(self, order: BarOrder, high: int, low: int) -> bool:
        """Whether a trailing stop may be hit on some path between *high* and *low*."""
        side = order.side
        far, near = (low, high) if side > 0 else (high, low)
        extreme = order.extreme
        if extreme is None:
            activation = order.activation
            return activation is None or side * (activation - far) >= 0
        if self._trail_on_path and side * (extreme - far) > 0:
            extreme = far
        level = extreme + side * offset_ticks(order.trail_unit, order.trail_value, extreme)
        return side * (near - level) >= 0

    def _walk(self, book: SymbolBook, bar: int, late: list[BarOrder], *, high_first: bool) -> None:
        """Walk O, the extremes in the given order, and C."""
        high, low, close = book.high[bar], book.low[bar], book.close[bar]
        here = book.open[bar]
        stops = (high, low) if high_first else (low, high)
        inside = book.ts_close[bar] - 1
        for point in (1, 2):
            there = stops[point - 1]
            self._ts = inside
            self._point = point
            self._segment(book, here, there)
            here = there
            if late:
                self._join(book, late, there)
            if self._is_intrabar:
                self._test_margin(book, there)
            if book.has_trailing and self._trail_on_path:
                self._trail(book, there)
        self._ts = inside
        self._point = 3
        self._segment(book, here, close)
        self._match_close(book, bar, late)

    def _match_close(self, book: SymbolBook, bar: int, late: list[BarOrder]) -> None:
        """Match at the close point: late joiners and MOC (FILL-3, FILL-18)."""
        close = book.close[bar]
        self._point = 3
        self._ts = book.ts_close[bar]
        closing = [
            order for order in book.orders if order.phase == PHASE_CLOSE and order.join_bar <= bar
        ]
        if closing or late:
            self._join(book, late, close, closing)
        if self._is_intrabar:
            self._test_margin(book, close)
        if book.has_trailing:
            self._trail(book, close)

    def _join(
        self,
        book: SymbolBook,
        late: list[BarOrder],
        price: int,
        others: Iterable[BarOrder] = (),
    ) -> None:
        """Let the orders that arrive at this point act at its price (FILL-3)."""
        joiners = [
            order for order in late if order.state < FILLED and order.join_point == self._point
        ]
        for order in joiners:
            self._arm(order)
        self._act_at(book, price, [*joiners, *others])
        self._end_immediate(joiners)

    def _segment(self, book: SymbolBook, start: int, end: int) -> None:
        """Hit the levels of one monotone segment in the order of the walk (FILL-12)."""
        if start == end:
            return
        way = 1 if end > start else -1
        here = start
        tried: set[int] = set()
        while True:
            hit = self._next_hit(book, way, start, here, end, tried)
            if hit is None:
                return
            order, level = hit
            here = level
            tried.add(order.seq)
            if order.phase == PHASE_LIMIT:
                raw = order.limit if order.limit is not None else level
                self._execute(book, order, raw=raw, at=level, is_maker=True)
            else:
                self._trigger(book, order, level)
            if book.fresh:
                children = tuple(book.fresh)
                book.fresh.clear()
                self._act_at(book, here, children, tried)

    def _next_hit(
        self, book: SymbolBook, way: int, start: int, here: int, end: int, tried: set[int]
    ) -> tuple[BarOrder, int] | None:
        """Return the next order that the walk from *here* to *end* reaches, and its level."""
        best: BarOrder | None = None
        best_key = (0, False, 0, 0)
        best_level = 0
        for order in book.orders:
            if order.dir != way:
                continue
            level = order.level
            if self._is_lucky and order.phase == PHASE_LIMIT:
                level = self._lucky_level(order)
            if (
                way * (level - start) <= 0
                or way * (level - here) < 0
                or way * (end - level) < 0
                or order.seq in tried
            ):
                continue
            key = (way * level, order.phase == PHASE_LIMIT, order.rank, order.seq)
            if best is None or key < best_key:
                best, best_key, best_level = order, key, level
        return None if best is None else (best, best_level)

    def _trail(self, book: SymbolBook, price: int) -> None:
        """Move the extremes of the trailing orders that have joined to *price* (FILL-17)."""
        bar, point = self._bar, self._point
        for order in book.orders:
            if order.phase != PHASE_STOP or order.kind not in (TRAILING_STOP, TRAILING_STOP_LIMIT):
                continue
            if order.join_bar > bar or (order.join_bar == bar and order.join_point > point):
                continue
            side, extreme = order.side, order.extreme
            if extreme is None:
                activation = order.activation
                if activation is not None and side * (activation - price) < 0:
                    continue
            elif side * (extreme - price) <= 0:
                continue
            order.extreme = price
            self._set_level(order)
            book.is_dirty = True

    def _test_margin(self, book: SymbolBook, price: int) -> None:
        """Liquidate at a point of the path if the margin does not suffice there (PF-13)."""
        raise NotImplementedError

    def _summarise(self, book: SymbolBook) -> None:
        """Note the nearest levels, for bars that reach none of them."""
        if not book.is_dirty:
            return
        book.is_dirty = False
        up, down = FAR, -FAR
        is_quiet = True
        has_trailing = False
        for order in book.orders:
            way = order.dir
            if order.tif == GTD or not order.is_armed:
                is_quiet = False
            if order.phase == PHASE_STOP and order.kind in (TRAILING_STOP, TRAILING_STOP_LIMIT):
                has_trailing = True
                far, near = self._trail_bounds(order)
                if order.side > 0:
                    up, down = min(up, near), max(down, far)
                else:
                    up, down = min(up, far), max(down, near)
            elif way > 0:
                up = min(up, order.level)
            elif way < 0:
                down = max(down, order.level)
            else:
                is_quiet = False
        book.up, book.down = up, down
        book.is_quiet = is_quiet and not self._is_intrabar
        book.has_trailing = has_trailing

    def _trail_bounds(self, order: BarOrder) -> tuple[int, int]:
        """Return the prices from which a trailing stop moves, and is hit."""
        side, extreme = order.side, order.extreme
        if extreme is not None:
            return extreme - side, order.level
        if order.activation is None:
            return side * FAR, -side * FAR
        return order.activation, side * FAR
