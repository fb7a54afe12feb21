"""A trial walk of a bar that is undone: which fills would the other path make (FILL-23)."""

from __future__ import annotations

from typing import Any, Final

from engine.execution.bar_book import SymbolBook
from engine.execution.bar_order import BarOrder
from engine.execution.bar_state import BarState, OcoGroup
from engine.execution.commission import CommissionModel

_ORDER_FIELDS: Final = (
    "state",
    "reason",
    "ts_updated",
    "filled_lots",
    "fills",
    "price_lots",
    "notional_atoms",
    "fee_atoms",
    "extra_fee_atoms",
    "lots",
    "limit",
    "stop",
    "phase",
    "dir",
    "level",
    "extreme",
    "is_armed",
    "is_triggered",
    "is_dormant",
    "first_bar",
    "join_bar",
    "join_point",
)


class BarTrial:
    """Remembers what a walk may change in one symbol (in all, with intrabar margin)."""

    def __init__(self, state: BarState, book: SymbolBook) -> None:
        self._state = state
        books = state.books if state.account.settings.intrabar_margin else [book]
        self._books = [
            (
                one,
                list(one.orders),
                list(one.groups),
                [(group, group.remaining) for group in one.groups],
                (one.pool, one.consumed, one.is_dirty, one.has_trailing),
            )
            for one in books
        ]
        orders: dict[int, BarOrder] = {}
        for one in books:
            for order in one.orders:
                orders[order.seq] = order
            for group in one.groups:
                orders[group.entry.seq] = group.entry
                for child in group.children:
                    orders[child.seq] = child
        self._oco: list[tuple[OcoGroup, bool]] = []
        for order in tuple(orders.values()):
            if order.oco_group == 0:
                continue
            oco = state.oco[order.oco_group]
            self._oco.append((oco, oco.is_closed))
            for member in oco.members:
                orders[member.seq] = member
                if member.group is not None:
                    orders.update((child.seq, child) for child in member.group.children)
        self._orders = [
            (order, tuple(getattr(order, name) for name in _ORDER_FIELDS))
            for order in orders.values()
        ]
        self._others = [
            (one, list(one.orders), list(one.groups))
            for one in state.books
            if self._oco and one not in books
        ]
        self._account = state.account.memory()
        self._open_count = state.open_count
        self._order_count = len(state.orders)
        self._memory: list[tuple[CommissionModel, Any]] = [
            (model, model.memory()) for model in state.commission.parts if not model.stateless
        ]

    def undo(self, fills_before: int) -> list[tuple[int, int]]:
        """Put everything back; return (order, ticks) of the fills since *fills_before*, sorted."""
        state = self._state
        made = sorted((fill.order.seq, fill.ticks) for fill in state.fill_log[fills_before:])
        del state.fill_log[fills_before:]
        del state.orders[self._order_count :]
        state.open_count = self._open_count
        state.account.restore(self._account)
        for order, values in self._orders:
            for name, value in zip(_ORDER_FIELDS, values, strict=True):
                setattr(order, name, value)
        for oco, is_closed in self._oco:
            oco.is_closed = is_closed
        for one, orders, groups in self._others:
            one.orders[:] = orders
            one.groups[:] = groups
        for one, orders, groups, remaining, rest in self._books:
            one.orders[:] = orders
            one.groups[:] = groups
            one.fresh.clear()
            one.pool, one.consumed, one.is_dirty, one.has_trailing = rest
            for group, left in remaining:
                group.remaining = left
        for model, memory in self._memory:
            model.restore(memory)
        return made
