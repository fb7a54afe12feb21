"""What changes a session's account beside fills: positions taken over, funding, foreign fees."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Final

from engine.executors.fill_ledger import half_even
from engine.executors.foreign_fees import foreign_fee_atoms
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.model.funding import FundingRate
from engine.model.instruments import PPB, ConnectorPair
from engine.model.orders import Fill
from engine.portfolio.portfolio import Portfolio

_NOTHING: Final = Decimal(0)


class AccountBooks:
    """Books in the account what the executors' side counts already, so that both agree.

    Args:
        portfolio: the account.
        orchestrator: tells initial positions and who is exposed.
        rate_of: returns how many of the second asset one of the first is; None while unknown.
    """

    def __init__(
        self,
        *,
        portfolio: Portfolio,
        orchestrator: ExecutorOrchestrator,
        rate_of: Callable[[str, str], Fraction | None],
    ) -> None:
        self._portfolio = portfolio
        self._orchestrator = orchestrator
        self._rate_of = rate_of
        self._unconverted: list[Fill] = []

    @property
    def unconverted_fees(self) -> dict[str, Decimal]:
        """Return the fees without a rate yet, by asset; equity does not contain them."""
        sums: dict[str, Decimal] = {}
        for fill in self._unconverted:
            if fill.fee_in is not None:
                asset, amount = fill.fee_in
                sums[asset] = sums.get(asset, _NOTHING) + amount
        return sums

    def take_over_positions(self) -> tuple[tuple[ConnectorPair, int], ...]:
        """Open the initial positions whose market has a mid now; return markets and signed lots."""
        opened = self._orchestrator.open_initial_positions()
        for market, lots in opened:
            quote = self._orchestrator.quote(market)
            if lots and quote is not None:
                self._portfolio.take_over(market, lots, quote.bid_ticks + quote.ask_ticks)
        return opened

    def pay_funding(self, due: FundingRate) -> Decimal:
        """Pay or receive a funding payment; return what the account got, in quote.

        What controllers get is theirs; the rest of the net position, such as a strategy's, pays
        for itself.
        """
        quote = self._orchestrator.quote(due.market)
        exposed = sum(self._orchestrator.exposed_lots(due.market).values())
        paid = sum(self._orchestrator.on_funding(due.market, due.rate_ppb).values(), _NOTHING)
        ledger = self._portfolio.ledgers[due.market]
        instrument = ledger.instrument
        rest = ledger.net_lots - exposed
        if rest and quote is not None:
            worth = rest * (quote.bid_ticks + quote.ask_ticks) * instrument.atoms_per_tick_lot
            paid += instrument.money(half_even(-worth * due.rate_ppb, 2 * PPB))
        if paid:
            self._portfolio.pay_funding(due.market, instrument.to_atoms(paid))
        return paid

    def take_fee(self, fill: Fill) -> None:
        """Charge the fee of *fill* that was taken in another asset, now or when it has a rate."""
        if fill.fee_in is not None:
            self._unconverted.append(fill)
            self.convert_fees()

    def convert_fees(self) -> None:
        """Charge the fees that have a rate now."""
        waiting, self._unconverted = self._unconverted, []
        for fill in waiting:
            instrument = self._portfolio.ledgers[fill.market].instrument
            atoms = foreign_fee_atoms(fill, instrument, self._rate_of)
            if atoms is None:
                self._unconverted.append(fill)
            else:
                self._portfolio.charge_fee(fill.market, atoms)
