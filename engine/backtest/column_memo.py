"""Keeps indicator columns that many runs over the same bars share (FAST-5)."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final

from numpy.typing import NDArray

MOST_BYTES: Final = 32 * 2**20
"""Memory of a memo; beyond it the columns that were not asked for the longest are let go."""


@dataclass(slots=True)
class _Place:
    lock: threading.Lock = field(default_factory=threading.Lock)
    column: NDArray[Any] | None = None


class IndicatorMemo:
    """A `ColumnMemo`: each column is computed once, whichever thread asks first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._places: OrderedDict[Hashable, _Place] = OrderedDict()
        self._bytes = 0
        self.computed = 0
        """How many columns were computed."""

    def get(self, key: Hashable, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the column *key*, read-only; *compute* makes it the first time."""
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
        with place.lock:
            column = place.column
            if column is None:
                column = compute()
                column.flags.writeable = False
                place.column = column
                self._count(key, place, column.nbytes)
        return column

    def _count(self, key: Hashable, place: _Place, size: int) -> None:
        with self._lock:
            self.computed += 1
            if self._places.get(key) is not place:  # let go of while it was computed
                return
            self._bytes += size
            for other, there in tuple(self._places.items()):
                if self._bytes <= self._most_bytes:
                    return
                if other != key and there.column is not None:
                    del self._places[other]
                    self._bytes -= there.column.nbytes
