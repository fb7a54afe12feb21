"""Netting ledger of one market, in ticks, lots and money atoms."""

from __future__ import annotations

from typing import Final

from engine.model.instruments import PPB, Instrument, Settlement
from engine.model.orders import PositionSide


def divide_half_even(numerator: int, denominator: int) -> int:
    """Return *numerator* / *denominator* rounded half to even; *denominator* is positive."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


class MarketLedger:
    """One signed position with its cost, result and fees (PF-1 to PF-3).

    ``side`` is BOTH where opposite fills are netted; a hedged market has a ledger for its LONG and
    one for its SHORT position.

    All money is in atoms. The mark is held twice its value in ticks (bid + ask for quotes, twice
    the close for bars), so that a mid between two ticks stays whole; values derived from it are
    in half atoms and say ``twice``. A mark of 0 means that there was none yet.
    """

    __slots__ = (
        "cost_atoms",
        "fees_atoms",
        "funding_atoms",
        "instrument",
        "is_spot",
        "margin_lots_ppb",
        "mark_twice",
        "net_lots",
        "realised_atoms",
        "scale",
        "side",
    )

    def __init__(self, instrument: Instrument, side: PositionSide = PositionSide.BOTH) -> None:
        self.instrument: Final = instrument
        self.side: Final = side
        self.is_spot: Final = instrument.settlement is Settlement.SPOT
        self.scale: Final = instrument.atoms_per_tick_lot
        self.net_lots = 0
        self.cost_atoms = 0
        self.realised_atoms = 0
        self.fees_atoms = 0
        self.funding_atoms = 0
        self.mark_twice = 0
        self.margin_lots_ppb = 0

    def take_over(self, lots: int, mark_twice: int) -> None:
        """Begin with *lots* (signed) that exist already, at the cost of the mark in half ticks.

        A derivative needs all of its value as initial margin. The cost is rounded half-even.
        """
        self.net_lots = lots
        self.cost_atoms = divide_half_even(abs(lots) * mark_twice * self.scale, 2)
        self.margin_lots_ppb = abs(lots) * PPB
        self.mark_twice = mark_twice

    def trade(self, *, sign: int, lots: int, ticks: int, leverage: int = 1) -> int:
        """Buy (*sign* +1) or sell (-1) *lots* at *ticks*; return the change of cash before fees.

        What closes removes cost half-even, the last close removes everything left (PF-2).
        Opening lots need 1 / *leverage* of their value as initial margin (PF-12).
        """
        realised_before = self.realised_atoms
        closing = min(lots, abs(self.net_lots)) if self.net_lots * sign < 0 else 0
        if closing:
            self._close(held_sign=-sign, lots=closing, ticks=ticks)
        opening = lots - closing
        self.cost_atoms += opening * ticks * self.scale
        self.margin_lots_ppb += opening * -(-PPB // leverage)
        self.net_lots += sign * opening
        if not self.mark_twice:
            self.mark_twice = 2 * ticks
        if self.is_spot:
            return -sign * lots * ticks * self.scale
        return self.realised_atoms - realised_before

    def _close(self, *, held_sign: int, lots: int, ticks: int) -> None:
        held = abs(self.net_lots)
        if lots == held:
            removed_cost, removed_margin = self.cost_atoms, self.margin_lots_ppb
        else:
            removed_cost = divide_half_even(self.cost_atoms * lots, held)
            removed_margin = divide_half_even(self.margin_lots_ppb * lots, held)
        self.realised_atoms += held_sign * (lots * ticks * self.scale - removed_cost)
        self.cost_atoms -= removed_cost
        self.margin_lots_ppb -= removed_margin
        self.net_lots -= held_sign * lots

    @property
    def sign(self) -> int:
        """Return +1 for a long, -1 for a short, 0 for no position."""
        return (self.net_lots > 0) - (self.net_lots < 0)

    @property
    def unrealised_twice(self) -> int:
        """Return the unrealised result at the mark in half atoms (PF-3)."""
        return self.net_lots * self.mark_twice * self.scale - 2 * self.sign * self.cost_atoms

    @property
    def equity_twice(self) -> int:
        """Return what the position adds to equity beside cash, in half atoms (PF-4)."""
        if self.is_spot:
            return self.net_lots * self.mark_twice * self.scale
        return self.unrealised_twice

    @property
    def initial_margin_atoms(self) -> int:
        """Return the initial margin of a derivative position at its mark, rounded up (PF-12)."""
        if self.is_spot:
            return 0
        return -(-self.margin_lots_ppb * self.mark_twice * self.scale // (2 * PPB))
