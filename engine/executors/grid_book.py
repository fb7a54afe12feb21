"""Orders of finished round trips: kept for a while, then only their sums."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from engine.executors.fill_ledger import LedgerTotals, ledger_totals
from engine.executors.held_order import HeldOrder
from engine.executors.order_roles import ENTRY, kind_of
from engine.executors.tracked_order import TrackedOrder
from engine.model.orders import TradeType

KEPT: Final = 64
"""Booked orders that are still followed, for events that come late."""
NEWEST: Final = 100
"""Reports of orders, and ids of orders that ended unfilled, that are kept."""


class GridBook:
    """Booked orders of a grid. A long life costs no more than a short one."""

    def __init__(self, side: TradeType, atoms_per_tick_lot: int) -> None:
        self._side = side
        self._k = atoms_per_tick_lot
        self._kept: deque[TrackedOrder] = deque()
        self.folded = LedgerTotals(side.sign, atoms_per_tick_lot)
        self.filled: deque[HeldOrder] = deque(maxlen=NEWEST)

    @property
    def totals(self) -> LedgerTotals:
        """Return the sums over all booked orders."""
        return self.with_folded(self._kept)

    def add(self, orders: Iterable[TrackedOrder]) -> list[TrackedOrder]:
        """Book *orders*; return those whose sums are all that is kept from now on."""
        for order in orders:
            self._kept.append(order)
            if order.executed_lots:
                self.filled.append(HeldOrder.of(order))
        gone = [self._kept.popleft() for _ in range(len(self._kept) - KEPT)]
        if gone:
            self.folded = self.with_folded(gone)
        return gone

    def with_folded(self, orders: Iterable[TrackedOrder]) -> LedgerTotals:
        """Return the sums over *orders* and all that are no longer followed."""
        entries: list[TrackedOrder] = []
        exits: list[TrackedOrder] = []
        for order in orders:
            (entries if kind_of(order.request.role) == ENTRY else exits).append(order)
        fresh, old = ledger_totals(self._side, self._k, entries, exits), self.folded
        return LedgerTotals(
            old.sign,
            old.atoms_per_tick_lot,
            old.entry_lots + fresh.entry_lots,
            old.entry_atoms + fresh.entry_atoms,
            old.entry_fee_lots + fresh.entry_fee_lots,
            old.exit_lots + fresh.exit_lots,
            old.exit_atoms + fresh.exit_atoms,
            old.fee_atoms + fresh.fee_atoms,
        )
