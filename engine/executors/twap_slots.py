"""The plan of a TWAP: slots in time and what has become of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from engine.executors.tracked_order import TrackedOrder

_ROLE: Final = "slot-"


class Slot:
    """One part of the plan. ``number`` counts from 0; ``due_ns`` is when it is to be traded.

    A slot is empty until it gets an order, and again when its order failed. When its order was
    cancelled, ``rest_lots`` of it wait to be placed again.
    """

    __slots__ = ("due_ns", "is_dropped", "not_before_ns", "number", "order", "rest_lots")

    def __init__(self, number: int, due_ns: int) -> None:
        self.number = number
        self.due_ns = due_ns
        self.order: TrackedOrder | None = None
        self.rest_lots = 0
        self.not_before_ns = due_ns
        self.is_dropped = False

    @property
    def role(self) -> str:
        """Return the role of the slot's orders."""
        return f"{_ROLE}{self.number}"

    @property
    def is_empty(self) -> bool:
        """Whether it still needs an order of its own."""
        return self.order is None and not self.is_dropped

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do for it."""
        if self.is_dropped:
            return True
        return self.order is not None and not self.order.is_live and not self.rest_lots

    def take_end(self) -> None:
        """Take account of its order having ended before all of it was filled."""
        if self.order is None:
            return
        if self.order.is_failed:
            self.order = None
        else:
            self.rest_lots = self.order.request.lots - self.order.executed_lots

    def take_late_fill(self) -> None:
        """Take account of its ended order having executed more."""
        if self.order is not None and self.rest_lots:
            self.rest_lots = max(0, self.order.request.lots - self.order.executed_lots)

    def drop(self) -> None:
        """Give up what is left of it: it is too small to be traded."""
        self.rest_lots = 0
        self.is_dropped = self.order is None


class SlotPlan:
    """All slots of a TWAP. Only those that are due and not done are kept: the rest is counted.

    Args:
        start_ns: when the first slot is due.
        interval_ns: between two slots.
        count: how many slots there are.
    """

    def __init__(self, start_ns: int, interval_ns: int, count: int) -> None:
        self.start_ns = start_ns
        self._interval_ns = interval_ns
        self._count = count
        self._opened = 0
        self._open: dict[int, Slot] = {}
        self._dropped: list[int] = []

    @property
    def is_done(self) -> bool:
        """Whether every slot is done."""
        return self._opened == self._count and not self._open

    @property
    def done_count(self) -> int:
        """Return how many slots are done."""
        return self._opened - len(self._open)

    @property
    def empty_count(self) -> int:
        """Return how many slots still need an order, also those that are not due yet."""
        return self._count - self._opened + sum(slot.is_empty for slot in self._open.values())

    @property
    def dropped(self) -> tuple[int, ...]:
        """Return the numbers of the slots that never got an order."""
        return tuple(self._dropped)

    @property
    def next_due_ns(self) -> int | None:
        """Return when the next slot is due that is not due yet."""
        return None if self._opened == self._count else self._due_ns(self._opened)

    def open_slots(self, now_ns: int) -> list[Slot]:
        """Return the slots that are due and not done, by number."""
        while self._opened < self._count and self._due_ns(self._opened) <= now_ns:
            self._open[self._opened] = Slot(self._opened, self._due_ns(self._opened))
            self._opened += 1
        return list(self._open.values())

    def close_done(self) -> None:
        """Forget the slots that are done."""
        for slot in [slot for slot in self._open.values() if slot.is_done]:
            del self._open[slot.number]
            if slot.is_dropped:
                self._dropped.append(slot.number)

    def waiting_ns(self) -> list[int]:
        """Return the instants at which a slot may have something to place."""
        times = [
            slot.not_before_ns for slot in self._open.values() if slot.is_empty or slot.rest_lots
        ]
        due_ns = self.next_due_ns
        return times if due_ns is None else [*times, due_ns]

    def of_order(self, order: TrackedOrder) -> Slot | None:
        """Return the slot that *order* works for, or did last."""
        return next((slot for slot in self._open.values() if slot.order is order), None)

    def adopt(self, orders: Iterable[TrackedOrder], dropped: Iterable[int], now_ns: int) -> None:
        """Put stored orders, in the order of their placement, back into their slots."""
        self.open_slots(now_ns)
        for number in dropped:
            if number in self._open:
                self._open[number].is_dropped = True
        for order in orders:
            name = order.request.role.removeprefix(_ROLE)
            slot = self._open.get(int(name)) if name.isdigit() else None
            if slot is None:
                continue
            slot.order, slot.rest_lots, slot.is_dropped = order, 0, False
            if not order.is_live and not order.is_complete:
                slot.take_end()
        self.close_done()

    def _due_ns(self, number: int) -> int:
        return self.start_ns + number * self._interval_ns
