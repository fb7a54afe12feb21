"""What an order would do to the position of its market."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.model.orders import OrderRequest
from engine.risk.facts import AccountFacts, WorkingOrders

EXIT_ROLES: Final = frozenset({"close", "partial_close", "take_profit"})
"""Roles of orders that only undo what their owner has filled; in a netted account they may look
like entries."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Lots of a market, seen from the side of an order: with it counts positive."""

    held_lots: int
    """The position, negative if the order is against it."""
    working_lots: int
    """What open orders of the same side have yet to fill."""

    @property
    def reducible_lots(self) -> int:
        """Return how many lots of the order's side would only reduce the position."""
        return max(0, -self.held_lots - self.working_lots)

    def is_reduction(self, request: OrderRequest) -> bool:
        """Whether *request* is an exit, or cannot make the position larger."""
        return (
            request.is_closing
            or request.role.partition(" ")[0] in EXIT_ROLES
            or request.lots <= self.reducible_lots
        )


def exposure_of(
    request: OrderRequest,
    *,
    account: AccountFacts,
    orders: WorkingOrders,
    is_hedged: bool = False,
) -> Exposure:
    """Return the exposure that *request* meets.

    In a hedged market (*is_hedged*) an order that opens adds to the position of its side and
    reduces nothing on the other.
    """
    sign = request.side.sign
    buy_lots, sell_lots = orders.working_lots(request.market)
    held_lots = sign * account.net_lots(request.market)
    if is_hedged:
        long_lots, short_lots = account.side_lots(request.market)
        held_lots = long_lots if sign > 0 else short_lots
    return Exposure(held_lots=held_lots, working_lots=buy_lots if sign > 0 else sell_lots)
