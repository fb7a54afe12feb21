"""Brackets and OCO groups: what a fill does to other orders."""

from __future__ import annotations

from engine.execution.bar_book import SymbolBook
from engine.execution.bar_order import (
    BASIS_FILL,
    CANCELLED,
    FILLED,
    OCO_CANCEL,
    OFFSET_ATR,
    OFFSET_PPB,
    OFFSET_TICKS,
    PHASE_LIMIT,
    PHASE_STOP,
    ROLE_STOP_LOSS,
    ROLE_TAKE_PROFIT,
    STOP_LIMIT,
    TRAILING_STOP,
    TRAILING_STOP_LIMIT,
    BarOrder,
)
from engine.execution.bar_state import BarState
from engine.execution.reasons import ReasonCode
from engine.model.instruments import PPB

_OCO: str = ReasonCode.OCO.value
_PARENT_CLOSED: str = ReasonCode.PARENT_CLOSED.value


def offset_ticks(unit: int, value: int, price: int) -> int:
    """Return an offset from *price* in ticks, rounded up."""
    if unit == OFFSET_PPB:
        return -(-abs(price) * value // PPB)
    return value


class BarContingent(BarState):
    """Levels of orders, and the orders that depend on others."""

    def _arm(self, order: BarOrder) -> None:
        """Let *order* act at its level from now on."""
        book = self.books[order.symbol]
        order.is_armed = True
        self._set_level(order)
        book.is_dirty = True
        if order.kind in (TRAILING_STOP, TRAILING_STOP_LIMIT):
            book.has_trailing = True

    def _set_level(self, order: BarOrder) -> None:
        """Compute where, and from which side, *order* acts; no level leaves ``dir`` at 0."""
        side = order.side
        phase = order.phase
        if phase == PHASE_LIMIT:
            limit = order.limit
            if limit is None:
                return
            order.dir = -side
            order.level = limit - side if self._is_through else limit
        elif phase == PHASE_STOP:
            kind = order.kind
            if kind in (TRAILING_STOP, TRAILING_STOP_LIMIT):
                extreme = order.extreme
                if extreme is None:
                    order.dir = 0
                    return
                order.dir = side
                order.level = extreme + side * offset_ticks(
                    order.trail_unit, order.trail_value, extreme
                )
                return
            if order.stop is None:
                return
            order.dir = side if kind <= STOP_LIMIT else -side
            order.level = order.stop
        else:
            order.dir = 0

    def _freeze_atr(self, book: SymbolBook, order: BarOrder) -> bool:
        """Turn ATR offsets of *order* into ticks; False if no bar is known (FILL-17)."""
        if order.trail_unit == OFFSET_ATR:
            ticks = book.atr_ticks(order.trail_n, order.trail_value)
            if not ticks:
                return False
            order.trail_unit, order.trail_value = OFFSET_TICKS, ticks
        if order.bracket is None:
            return True
        bracket = order.bracket = order.bracket.copy()
        if bracket.sl_unit == OFFSET_ATR and bracket.sl is not None:
            ticks = book.atr_ticks(bracket.sl_n, bracket.sl)
            if not ticks:
                return False
            bracket.sl_unit, bracket.sl = OFFSET_TICKS, ticks
        if bracket.tp_unit == OFFSET_ATR and bracket.tp is not None:
            ticks = book.atr_ticks(bracket.tp_n, bracket.tp)
            if not ticks:
                return False
            bracket.tp_unit, bracket.tp = OFFSET_TICKS, ticks
        if bracket.sl_trail_unit == OFFSET_ATR:
            ticks = book.atr_ticks(bracket.sl_trail_n, bracket.sl_trail_value)
            if not ticks:
                return False
            bracket.sl_trail_unit, bracket.sl_trail_value = OFFSET_TICKS, ticks
        return True

    def _wake_children(self, book: SymbolBook, entry: BarOrder, *, opened: int, ticks: int) -> None:
        """Give the exits of *entry* what it opened; its first fill makes them live (FILL-20)."""
        group = entry.group
        if group is None or not opened:
            return
        group.remaining += opened
        bracket = entry.bracket
        bar = self._bar
        is_late = self._is_basis_fill
        for child in group.children:
            if child.state >= FILLED:
                continue
            if bracket is not None and bracket.basis == BASIS_FILL:
                self._price_from_fill(entry, child)
            child.lots = child.filled_lots + group.remaining
            if not child.is_dormant:
                if child.is_armed:
                    self._set_level(child)
                    book.is_dirty = True
                continue
            child.is_dormant = False
            if child.kind == TRAILING_STOP:
                child.extreme = ticks
            child.join_bar = bar
            child.join_point = 3 if is_late else 0
            child.first_bar = bar if self._point == 0 and not is_late else bar + 1
            book.orders.append(child)
            book.is_dirty = True
            if not is_late:
                self._arm(child)
                book.fresh.append(child)

    def _price_from_fill(self, entry: BarOrder, child: BarOrder) -> None:
        """Price an exit from the entry's average: stops away, limits passive (FILL-21)."""
        bracket = entry.bracket
        if bracket is None:
            return
        up = entry.side
        if child.role == ROLE_STOP_LOSS and bracket.sl is not None:
            child.stop = self._shifted(entry, -up, bracket.sl_unit, bracket.sl)
        elif child.role == ROLE_TAKE_PROFIT and bracket.tp is not None:
            child.limit = self._shifted(entry, up, bracket.tp_unit, bracket.tp)

    def _shifted(self, entry: BarOrder, way: int, unit: int, value: int) -> int:
        """Return the average price of *entry* moved by an offset, rounded in that direction."""
        total, lots = entry.price_lots, entry.filled_lots
        if unit == OFFSET_PPB:
            moved = total * PPB + way * abs(total) * value
            lots *= PPB
        else:
            moved = total + way * value * lots
        return moved // lots if way < 0 else -(-moved // lots)

    def _child_filled(self, book: SymbolBook, child: BarOrder, lots: int, ts_ns: int) -> None:
        """Lower the siblings of an exit by what it closed, cancel them at zero (FILL-22)."""
        group = child.group
        if group is None:
            return
        group.remaining -= lots
        left = group.remaining
        for sibling in group.children:
            if sibling is child or sibling.state >= FILLED:
                continue
            if left:
                sibling.lots = sibling.filled_lots + left
            else:
                self._end(sibling, CANCELLED, _OCO, ts_ns)
        if left:
            return
        if group in book.groups:
            book.groups.remove(group)
        if group.entry.state < FILLED:
            self._end(group.entry, CANCELLED, _OCO, ts_ns)

    def _oco_filled(self, order: BarOrder, lots: int, ts_ns: int) -> None:
        """Reduce or cancel the other members of the group of *order* (FILL-22)."""
        group = self.oco[order.oco_group]
        group.is_closed = group.is_closed or group.mode == OCO_CANCEL or order.state == FILLED
        for member in tuple(group.members):
            if member is order or member.state >= FILLED:
                continue
            if group.mode == OCO_CANCEL or not member.lots:
                self._end(member, CANCELLED, _OCO, ts_ns)
                continue
            if member.lots - lots > member.filled_lots:
                member.lots -= lots
            else:
                group.is_closed = True
                self._end(member, CANCELLED, _OCO, ts_ns)

    def _shrink_groups(self, book: SymbolBook, ts_ns: int) -> None:
        """Shrink exits that protect more than the position, oldest entry first (FILL-22)."""
        held = book.position.lots
        for side in (1, -1):
            groups = [group for group in book.groups if group.side == side and group.remaining]
            excess = sum(group.remaining for group in groups) - max(0, side * held)
            for group in groups:
                if excess <= 0:
                    break
                cut = min(excess, group.remaining)
                excess -= cut
                group.remaining -= cut
                for child in group.children:
                    if child.state >= FILLED:
                        continue
                    if group.remaining:
                        child.lots = child.filled_lots + group.remaining
                    else:
                        self._end(child, CANCELLED, _PARENT_CLOSED, ts_ns)
                if group.remaining:
                    continue
                if group in book.groups:
                    book.groups.remove(group)
                if group.entry.state < FILLED:
                    self._end(group.entry, CANCELLED, _PARENT_CLOSED, ts_ns)
