"""How one order executes at one price: quantity, pool, slippage, funds, fee, booking (8.5, 8.6)."""

from __future__ import annotations

from engine.execution.bar_book import SymbolBook
from engine.execution.bar_contingent import BarContingent
from engine.execution.bar_order import (
    CANCELLED,
    FILLED,
    FOK,
    IOC,
    MOC,
    PARTIAL,
    PHASE_MARKET,
    ROLE_END,
    ROLE_LIQUIDATION,
    BarFill,
    BarOrder,
    OrderNews,
    PositionNews,
)
from engine.execution.order_manager import OverFillError
from engine.execution.reasons import ReasonCode
from engine.execution.size_search import largest_fitting
from engine.model.instruments import PPB

_FUNDS: str = ReasonCode.INSUFFICIENT_FUNDS.value
_FOK: str = ReasonCode.FOK.value
_NO_FX_RATE: str = ReasonCode.NO_FX_RATE.value
_IOC: str = ReasonCode.IOC.value
_REDUCE_ONLY: str = ReasonCode.REDUCE_ONLY.value
_SHORT: str = ReasonCode.SHORT_NOT_ALLOWED.value
_NO_LIQUIDITY: str = ReasonCode.NO_LIQUIDITY.value
_UNKNOWN_VOLUME: str = ReasonCode.VENUE_UNKNOWN_VOLUME.value
_UNBOUNDED = 1 << 62


class BarFilling(BarContingent):
    """Executes one order at a point of the path."""

    def _execute(
        self, book: SymbolBook, order: BarOrder, *, raw: int, at: int, is_maker: bool
    ) -> None:
        """Fill *order* at *raw* ticks as far as position, pool and funds allow.

        ``at`` is the path price, which marks the symbol for the funds check (FILL-28).
        """
        position = book.position
        if not position.has_mark:
            self.account.mark(book.index, at)
        against = max(0, -position.lots * order.side)
        if not self._is_sized(book, order, against, raw=raw, at=at, is_maker=is_maker):
            return
        lots = self._available(book, order, against)
        if not lots:
            return
        wanted = lots
        ticks = raw if is_maker else self._taker_ticks(book, order, raw, lots)
        fee = self._fee(book, order, lots, ticks, is_maker=is_maker)
        if lots > against and not self._is_affordable(
            book, order, lots, against, ticks=ticks, fee=fee, at=at
        ):
            lots = self._payable(book, order, lots, against, raw=raw, at=at, is_maker=is_maker)
            if not lots or order.tif == FOK:
                self._refuse_unpaid(order)
                return
            ticks = raw if is_maker else self._taker_ticks(book, order, raw, lots)
            fee = self._fee(book, order, lots, ticks, is_maker=is_maker)
        self._fill(book, order, lots=lots, ticks=ticks, raw=raw, fee=fee, is_maker=is_maker)
        if order.state >= FILLED:
            return
        if lots < wanted:
            self._end(order, CANCELLED, _FUNDS, self._ts)
        elif book.no_short and order.side < 0 and lots == against and not order.reduce_only:
            self._end(order, CANCELLED, _SHORT, self._ts)
        elif order.tif == IOC:
            self._end(order, CANCELLED, _IOC, self._ts)

    def _refuse_unpaid(self, order: BarOrder) -> None:
        """End an order for which the funds do not suffice, before anything of it filled now."""
        if order.tif == FOK:
            self._end(order, CANCELLED, _FOK, self._ts)
        else:
            self._refuse(order, _FUNDS, self._ts)

    def _available(self, book: SymbolBook, order: BarOrder, against: int) -> int:
        """Return the lots that position and pool leave to *order*; 0 may have ended it."""
        wanted = order.lots - order.filled_lots
        lots = wanted
        if order.reduce_only or (book.no_short and order.side < 0):
            lots = min(wanted, against)
            if not lots:
                if order.reduce_only:
                    self._end(order, CANCELLED, _REDUCE_ONLY, self._ts)
                else:
                    self._refuse(order, _SHORT, self._ts)
                return 0
        if book.is_unknown and self._rejects_unknown:
            reason = _NO_LIQUIDITY if order.state == PARTIAL else _UNKNOWN_VOLUME
            self._refuse(order, reason, self._ts)
            return 0
        if book.pool is not None:
            lots = min(lots, book.pool)
        if order.tif == FOK and lots < wanted:
            self._end(order, CANCELLED, _FOK, self._ts)
            return 0
        return lots

    def _taker_ticks(self, book: SymbolBook, order: BarOrder, raw: int, lots: int) -> int:
        """Return the price of a taker fill: worse than *raw*, within limit and bar (COST-1)."""
        if not self._slips:
            return raw
        facts = book.facts
        side = order.side
        facts.side = side
        facts.lots = lots
        facts.order_seq = order.seq
        facts.consumed = book.consumed
        ticks = raw + side * self.slippage.worsening_ticks(raw, facts)
        if raw > 0:
            ticks = max(1, ticks)
        limit = order.limit
        if side > 0:
            if limit is not None:
                ticks = min(ticks, limit)
            if self._clamps:
                ticks = min(ticks, max(raw, book.high[facts.bar]))
        else:
            if limit is not None:
                ticks = max(ticks, limit)
            if self._clamps:
                ticks = max(ticks, min(raw, book.low[facts.bar]))
        return ticks

    def _fee(
        self, book: SymbolBook, order: BarOrder, lots: int, ticks: int, *, is_maker: bool
    ) -> int:
        """Return the fee of the next fill of *order*."""
        if self._remembers_fees:
            self.commission.start_day(self._ts)
        notional = abs(book.position.flow(order.side, lots, ticks))
        fee = self.commission.fee_atoms(
            book.instrument, order, notional, is_maker=is_maker, lots=lots
        )
        if order.role == ROLE_LIQUIDATION and self._liquidation_ppb:
            fee -= -notional * self._liquidation_ppb // PPB
        return fee

    def _free_scaled(
        self, book: SymbolBook, order: BarOrder, against: int, *, ticks: int, at: int
    ) -> int:
        """Return the free funds times L after the reducing part of a fill, exact (FILL-28)."""
        account = self.account
        position = book.position
        held, side = position.lots, order.side
        leverage = account.leverage_ppb
        if not account.is_margin:
            # Without shorts an order either reduces or opens: there are no proceeds to add.
            return account.cash * leverage
        equity = account.equity + position.worth(held, at) - position.worth(held, position.mark)
        used = account.used_notional() - position.burden(held, position.mark)
        if against:
            equity += position.worth(side * against, at - ticks)
        else:
            used += position.burden(held, at)
        return equity * leverage - used * PPB

    def _is_affordable(
        self,
        book: SymbolBook,
        order: BarOrder,
        lots: int,
        against: int,
        *,
        ticks: int,
        fee: int,
        at: int,
        share_ppb: int = PPB,
    ) -> bool:
        """Whether the opening part of *lots* and the fee fit the free funds; equality fits."""
        if order.role in (ROLE_END, ROLE_LIQUIDATION):
            return True
        free = self._free_scaled(book, order, against, ticks=ticks, at=at)
        opening = book.position.burden(lots - against, ticks)
        required = opening * PPB + fee * self.account.leverage_ppb
        return required * PPB <= share_ppb * free

    def _payable(
        self,
        book: SymbolBook,
        order: BarOrder,
        lots: int,
        against: int,
        *,
        raw: int,
        at: int,
        is_maker: bool,
    ) -> int:
        """Return the lots of an order that is too large for the funds (FILL-28, FILL-29)."""
        if not self._trims:
            return against
        return against + self._largest_opening(
            book,
            order,
            against,
            most=lots - against,
            share_ppb=PPB,
            raw=raw,
            at=at,
            is_maker=is_maker,
        )

    def _largest_opening(
        self,
        book: SymbolBook,
        order: BarOrder,
        against: int,
        *,
        most: int,
        share_ppb: int,
        raw: int,
        at: int,
        is_maker: bool,
    ) -> int:
        """Return the most lots that may be opened with *share_ppb* of the free funds."""

        def price(lots: int) -> int:
            return raw if is_maker else self._taker_ticks(book, order, raw, lots)

        def fits(opening: int) -> bool:
            lots = against + opening
            ticks = price(lots)
            fee = self._fee(book, order, lots, ticks, is_maker=is_maker)
            return self._is_affordable(
                book, order, lots, against, ticks=ticks, fee=fee, at=at, share_ppb=share_ppb
            )

        ticks = price(against + 1)
        free = self._free_scaled(book, order, against, ticks=ticks, at=at) * share_ppb // PPB
        each = book.position.burden(1, ticks) * PPB
        if not each:
            # A price of zero bounds nothing: an order by share has no size there.
            return most if order.lots and fits(most) else 0
        leverage = self.account.leverage_ppb
        guess = max(0, free // each)
        for _ in range(2):  # the fee of too much leaves too little, that of too little is near
            fee = self._fee(book, order, against + guess, ticks, is_maker=is_maker)
            guess = max(0, (free - fee * leverage) // each)
        starts = [
            max(0, -((order.notional_atoms - start) // book.position.burden(1, ticks)) - against)
            for start in self.commission.thresholds
        ]
        return largest_fitting(fits, guess, most, starts)

    def _is_sized(
        self,
        book: SymbolBook,
        order: BarOrder,
        against: int,
        *,
        raw: int,
        at: int,
        is_maker: bool,
    ) -> bool:
        """Whether it is known how much is to be traded, and for what; False has ended *order*."""
        if not book.position.has_rate:
            self._refuse(order, _NO_FX_RATE, self._ts)
            return False
        return bool(order.lots) or self._resolve_size(
            book, order, against, raw=raw, at=at, is_maker=is_maker
        )

    def _resolve_size(
        self,
        book: SymbolBook,
        order: BarOrder,
        against: int,
        *,
        raw: int,
        at: int,
        is_maker: bool,
    ) -> bool:
        """Turn a share of the free funds into lots (FILL-30); False if that ended the order."""
        if order.reduce_only:
            lots = against * order.size_ppb // PPB
            if not against:
                self._end(order, CANCELLED, _REDUCE_ONLY, self._ts)
                return False
        elif book.no_short and order.side < 0:
            lots = against
        else:
            lots = against + self._largest_opening(
                book,
                order,
                against,
                most=max(0, min(book.max_lots, _UNBOUNDED) - against),
                share_ppb=order.size_ppb,
                raw=raw,
                at=at,
                is_maker=is_maker,
            )
        if lots < book.instrument.min_lots:
            self._refuse(order, _FUNDS, self._ts)
            return False
        order.lots = lots
        return True

    def _fill(
        self,
        book: SymbolBook,
        order: BarOrder,
        *,
        lots: int,
        ticks: int,
        raw: int,
        fee: int,
        is_maker: bool,
    ) -> None:
        """Book a fill and let it act on the orders that depend on it."""
        if lots > order.lots - order.filled_lots:
            raise OverFillError(f"order {order.client_id}: {lots} lots are more than it has left")
        account = self.account
        held = book.position.lots
        position = book.position
        notional = abs(position.flow(order.side, lots, ticks))
        extra = 0
        if order.role == ROLE_LIQUIDATION and self._liquidation_ppb:
            extra = -(-notional * self._liquidation_ppb // PPB)
        order.fills += 1
        order.filled_lots += lots
        order.price_lots += lots * ticks
        order.notional_atoms += notional
        order.fee_atoms += fee - extra
        order.extra_fee_atoms += extra
        account.book_fill(book.index, order.side, lots, ticks, fee)
        account.check()
        if self._remembers_fees:
            self.commission.record(notional, self._ts)
        if book.pool is not None:
            book.pool -= lots
        book.consumed += lots
        fill = BarFill(
            self.fill_count,
            order,
            ts=self._ts,
            bar=self._bar,
            lots=lots,
            ticks=ticks,
            raw_ticks=raw,
            fee_atoms=fee,
            is_maker=is_maker,
            value_atoms=-order.side * position.flow(order.side, lots, ticks),
            slippage_atoms=position.burden(lots, max(0, order.side * (ticks - raw))),
        )
        self.fill_log.append(fill)
        if not self._is_trial:
            self.cash_log.append((self._sample_count(), account.cash))
            if book.is_unknown:
                self.unknown_volume_fills += 1
            if self.listening:
                self.news.append(fill)
            if self.tells_all:
                self._tell_position(book)
        self._advance_filled(book, order)
        self._follow_up(book, order, held, lots=lots, ticks=ticks)

    def _tell_position(self, book: SymbolBook) -> None:
        position = book.position
        self.news.append(
            PositionNews(
                book.index,
                self._ts,
                lots=position.lots,
                cost_atoms=position.cost,
                realised_atoms=position.realised,
                cash_atoms=self.account.cash,
            )
        )

    def _sample_count(self) -> int:
        """Return how many equity samples there are."""
        raise NotImplementedError

    def _advance_filled(self, book: SymbolBook, order: BarOrder) -> None:
        """Move a filled order to FILLED or PARTIAL."""
        ts = self._ts
        if order.filled_lots >= order.lots:
            order.advance(FILLED, ts)
            book.orders.remove(order)
            book.is_dirty = True
            self._count_end(order, "", ts)
            return
        order.advance(PARTIAL, ts)
        if order.kind == MOC:
            order.phase = PHASE_MARKET
            order.is_triggered = True
            book.is_dirty = True
        if self._is_trial:
            return
        self.order_updates += 1
        if self.listening:
            self.news.append(OrderNews(order, PARTIAL, "", ts))

    def _follow_up(
        self, book: SymbolBook, order: BarOrder, held: int, *, lots: int, ticks: int
    ) -> None:
        """Wake, reduce and cancel what depends on a fill (8.4); *held* is the position before."""
        ts = self._ts
        reduced = held * order.side < 0
        if order.group is not None:
            if order.is_child:
                self._child_filled(book, order, lots, ts)
            else:
                opened = max(0, lots - abs(held)) if reduced else lots
                self._wake_children(book, order, opened=opened, ticks=ticks)
                if order.state >= FILLED:
                    self._settle_group(book, order, ts)
        if order.oco_group != 0:
            self._oco_filled(order, lots, ts)
        if (
            order.reduce_only
            and order.state < FILLED
            and book.position.lots * order.side >= 0
            and not order.is_child
        ):
            self._end(order, CANCELLED, _REDUCE_ONLY, self._ts)
        if reduced and book.groups:
            self._shrink_groups(book, ts)
