"""An order as the simulated broker works it."""

from __future__ import annotations

from engine.execution.commission import ChargedOrder
from engine.model.orders import OrderRequest


class LiveOrder:
    """What the simulated broker keeps of one order while it can fill, and of its end.

    ``number`` counts the broker's orders, ``ahead_lots`` is what stood before it in the queue when
    it began to rest. Level and extreme of a trigger are in half ticks.
    """

    __slots__ = (
        "ahead_lots",
        "charged",
        "extreme_twice",
        "is_accepted",
        "is_cancelled",
        "left_lots",
        "level_twice",
        "limit_ticks",
        "number",
        "request",
        "sign",
    )

    def __init__(self, request: OrderRequest, number: int = 0) -> None:
        self.request = request
        self.number = number
        self.limit_ticks = request.limit_ticks
        self.level_twice: int | None = None
        self.extreme_twice: int | None = None
        self.ahead_lots = 0
        self.sign = request.side.sign
        self.left_lots = request.lots
        self.charged = ChargedOrder()
        self.is_accepted = False
        self.is_cancelled = False

    @property
    def is_done(self) -> bool:
        """Whether it can no longer fill."""
        return not self.left_lots

    def accept_fill(self, *, lots: int, notional_atoms: int, fee_atoms: int) -> None:
        """Book one fill."""
        charged = self.charged
        self.left_lots -= lots
        self.charged = ChargedOrder(
            charged.fills + 1,
            charged.notional_atoms + notional_atoms,
            charged.fee_atoms + fee_atoms,
            charged.filled_lots + lots,
        )

    def end(self, *, is_cancelled: bool) -> None:
        """Give up what is left."""
        self.left_lots = 0
        self.is_cancelled = is_cancelled
