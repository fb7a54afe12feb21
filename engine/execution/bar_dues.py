"""What falls due before a bar opens: splits, dividends, funding, days, GTD (EVT-4 a)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from engine.execution.bar_book import SymbolBook
from engine.execution.bar_matching import BarMatching
from engine.execution.bar_order import (
    BASIS_FILL,
    CANCELLED,
    EXPIRED,
    FILLED,
    GTD,
    OFFSET_PPB,
    PHASE_LIMIT,
    BarOrder,
    Bracket,
    DueNews,
)
from engine.execution.reasons import ReasonCode
from engine.model.market_events import CorporateAction, CorporateActionKind, Funding
from engine.model.rounding import half_even_div

_DAY_NS: Final = 86_400_000_000_000
_NEVER: Final = 1 << 63
_GTD: Final[str] = ReasonCode.GTD.value
_NO_LIQUIDITY: Final[str] = ReasonCode.NO_LIQUIDITY.value


class BarDues(BarMatching):
    """Settles what is due; `due_ns` tells when there is something."""

    due_ns: int = _NEVER
    """Earliest instant at which `before` has something to do."""

    def set_events(
        self,
        *,
        funding: Mapping[int, Sequence[Funding]] | None = None,
        actions: Mapping[int, Sequence[CorporateAction]] | None = None,
    ) -> None:
        """Take the funding and corporate actions of each symbol; before the first bar."""
        self._events: list[list[CorporateAction | Funding]] = []
        for index in range(len(self.books)):
            events: list[CorporateAction | Funding] = [
                *(actions or {}).get(index, ()),
                *(funding or {}).get(index, ()),
            ]
            events.sort(key=lambda event: (event.ts_ns, isinstance(event, Funding)))
            self._events.append(events)
        self._next_event = [0] * len(self.books)
        self._day: int | None = None
        self._find_due()

    def before_one(self, symbol: int, bar: int) -> None:
        """Settle what is due at the open of one symbol's bar."""
        self.before(((symbol, bar),))

    def before(self, bars: Sequence[tuple[int, int]]) -> None:
        """Settle what is due at the opens of *bars*: the bars of one instant."""
        latest = max(self.books[symbol].ts_open[bar] for symbol, bar in bars)
        if latest < self.due_ns:
            return
        for symbol, bar in bars:
            self._settle_events(self.books[symbol], self.books[symbol].ts_open[bar])
        if self.account.charges_days:
            self._end_days(latest)
        for symbol, bar in bars:
            self._expire_dated(self.books[symbol], self.books[symbol].ts_open[bar])
        self._log_cash()
        self._find_due()

    def _find_due(self) -> None:
        due = _NEVER
        for index, events in enumerate(self._events):
            if self._next_event[index] < len(events):
                due = min(due, events[self._next_event[index]].ts_ns)
        for book in self.books:
            for order in book.orders:
                if order.tif == GTD:
                    due = min(due, order.expire_ns)
        if self.account.charges_days:
            due = min(due, -_NEVER if self._day is None else (self._day + 1) * _DAY_NS)
        self.due_ns = due

    def _end_days(self, now_ns: int) -> None:
        """Charge the day boundaries since the last call."""
        day = now_ns // _DAY_NS
        if self._day is not None and day > self._day:
            self.account.end_days(day - self._day)
        self._day = day if self._day is None else max(day, self._day)

    def _expire_dated(self, book: SymbolBook, now_ns: int) -> None:
        for order in tuple(book.orders):
            if order.tif == GTD and order.state < FILLED and order.expire_ns <= now_ns:
                self._end(order, EXPIRED, _GTD, now_ns)

    def _settle_events(self, book: SymbolBook, now_ns: int) -> None:
        index = book.index
        events = self._events[index]
        while self._next_event[index] < len(events):
            event = events[self._next_event[index]]
            if event.ts_ns > now_ns:
                return
            self._next_event[index] += 1
            self.dues_settled += 1
            if self.tells_all:
                self.news.append(DueNews(index, now_ns, event, book.position.lots))
            if isinstance(event, Funding):
                self.account.pay_funding(index, event.rate_ppb)
            elif event.kind is CorporateActionKind.DIVIDEND:
                self.account.pay_dividend(index, event.amount_atoms)
            else:
                self._split(book, event, now_ns)
            self.account.check()

    def _split(self, book: SymbolBook, event: CorporateAction, now_ns: int) -> None:
        """Scale position, exits and working orders by a split (PF-10)."""
        new, old = event.ratio_num, event.ratio_den
        self.account.split(book.index, new, old)
        for group in book.groups:
            group.remaining = group.remaining * new // old
        for group in book.groups:
            _split_offsets(group.entry.bracket, new, old)
        dormant = [child for group in book.groups for child in group.children if child.is_dormant]
        for order in (*book.orders, *dormant):
            self._split_prices(order, new, old)
        for order in tuple(book.orders):
            if order.state >= FILLED:
                continue
            if order.lots:
                left = (order.lots - order.filled_lots) * new // old
                if order.is_child and order.group is not None:
                    left = order.group.remaining
                order.lots = order.filled_lots + left
                if not left:
                    self._end(order, CANCELLED, _NO_LIQUIDITY, now_ns)
                    continue
            if order.is_armed:
                self._set_level(order)
        book.is_dirty = True

    def _split_prices(self, order: BarOrder, new: int, old: int) -> None:
        """Scale prices: limits passive, stops away from the market (UNIT-5)."""
        side = order.side
        if order.limit is not None:
            order.limit = _scaled(order.limit, new, old, up=side < 0)
        if order.stop is not None:
            order.stop = _scaled(order.stop, new, old, up=side > 0)
        if order.activation is not None:
            order.activation = half_even_div(order.activation * old, new)
        if order.extreme is not None and order.phase != PHASE_LIMIT:
            order.extreme = half_even_div(order.extreme * old, new)
        if order.trail_unit != OFFSET_PPB and order.trail_value:
            order.trail_value = _scaled(order.trail_value, new, old, up=True)
        order.limit_offset = _scaled(order.limit_offset, new, old, up=True)

    def _log_cash(self) -> None:
        cash = self.account.cash
        if self.cash_log[-1][1] != cash:
            self.cash_log.append((self._sample_count(), cash))


def _split_offsets(bracket: Bracket | None, new: int, old: int) -> None:
    """Scale the offsets of a bracket that counts from its entry's price."""
    if bracket is None or bracket.basis != BASIS_FILL:
        return
    if bracket.sl is not None and bracket.sl_unit != OFFSET_PPB:
        bracket.sl = _scaled(bracket.sl, new, old, up=True)
    if bracket.tp is not None and bracket.tp_unit != OFFSET_PPB:
        bracket.tp = _scaled(bracket.tp, new, old, up=True)


def _scaled(price: int, new: int, old: int, *, up: bool) -> int:
    """Return *price* after a split of *new* for *old*, rounded up or down."""
    return -(-price * old // new) if up else price * old // new
