"""The last fills of a broker, and the cash that all of them moved."""

from __future__ import annotations

from collections import deque
from typing import Final

from engine.model.orders import Fill

KEPT: Final = 1000
"""Fills that can be asked for; a session may run for weeks."""


class FillRecord:
    """Numbers fills from 0, keeps the last ones, adds up their notional and fees by quote asset."""

    __slots__ = ("_kept", "count", "flows")

    def __init__(self, *, kept: int = KEPT) -> None:
        self.count = 0
        self.flows: dict[str, int] = {}
        """Atoms received less atoms paid."""
        self._kept: deque[Fill] = deque(maxlen=kept)

    def add(self, fill: Fill) -> None:
        """Take a fill."""
        self.count += 1
        self._kept.append(fill)
        asset = fill.market.quote
        moved = -fill.side.sign * fill.notional_atoms - fill.fee_atoms
        self.flows[asset] = self.flows.get(asset, 0) + moved

    def since(self, number: int) -> tuple[Fill, ...]:
        """Return the fills from *number* on, as far as they are kept."""
        first = self.count - len(self._kept)
        return tuple(self._kept)[max(0, number - first) :]
