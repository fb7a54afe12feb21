"""Ledgers of strategies that trade one account (LIVE-6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from engine import flow
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill
from engine.portfolio.account_settings import AccountSettings
from engine.portfolio.bar_account import BarAccount

DEFAULT_CAPITAL: Final = Decimal(100_000)
UNATTRIBUTED: Final = "unattributed"


class VirtualPortfolio:
    """One strategy's ledger: the rules of a portfolio over the fills that are its own."""

    def __init__(
        self,
        strategy_id: str,
        instruments: Sequence[Instrument],
        *,
        allocated_capital: Decimal = DEFAULT_CAPITAL,
        currency: str = "USD",
    ) -> None:
        self.strategy_id = strategy_id
        self.allocated_capital = allocated_capital
        self._instruments = tuple(instruments)
        self._index = {one.market: place for place, one in enumerate(instruments)}
        self._account = BarAccount(
            instruments=self._instruments,
            settings=AccountSettings(initial_cash=allocated_capital, currency=currency),
        )
        self._fill_ids: set[str] = set()
        self.duplicate_fills = 0

    @property
    def equity(self) -> Decimal:
        """Return the equity at the last marks."""
        return self._money(self._account.equity)

    @property
    def realised(self) -> Decimal:
        """Return the realised result before fees."""
        return self._money(self._account.realised)

    @property
    def fees(self) -> Decimal:
        """Return the fees paid."""
        return self._money(self._account.fees)

    @property
    def equity_atoms(self) -> int:
        """Return the equity in atoms."""
        return self._account.equity

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed position of *market*, 0 for one that it does not trade."""
        place = self._index.get(market)
        return 0 if place is None else self._account.positions[place].lots

    def apply(self, fill: Fill) -> bool:
        """Book *fill* once; a repeated one is counted and ignored. Return whether it was booked.

        Raises:
            KeyError: the strategy does not trade its market.
        """
        if fill.fill_id in self._fill_ids:
            self.duplicate_fills += 1
            return False
        place = self._index[fill.market]
        self._fill_ids.add(fill.fill_id)
        if not self._account.positions[place].has_mark:
            self._account.mark(place, fill.ticks)
        self._account.book_fill(place, fill.side.sign, fill.lots, fill.ticks, fill.fee_atoms)
        self._account.check()
        return True

    def mark(self, market: ConnectorPair, ticks: int) -> None:
        """Value *market* at *ticks*."""
        place = self._index.get(market)
        if place is not None:
            self._account.mark(place, ticks)

    def _money(self, atoms: int) -> Decimal:
        return Decimal(atoms).scaleb(-self._account.settings.money_precision)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Opposite orders of two strategies that met inside, at the mid."""

    market: ConnectorPair
    lots: int
    mid_twice: int
    buyer: str
    seller: str


class AccountBook:
    """All strategies' ledgers of one account, and what belongs to none of them.

    Invariant: the virtual positions and the unattributed lots of a market add up to the account's
    position.
    """

    def __init__(self, *, internal_crossing: bool = False) -> None:
        self._portfolios: dict[str, VirtualPortfolio] = {}
        self._unattributed: dict[ConnectorPair, int] = {}
        self._fill_ids: set[str] = set()
        self.internal_crossing = internal_crossing
        self.crossings: list[Crossing] = []
        self.warnings: list[str] = []

    @property
    def portfolios(self) -> Mapping[str, VirtualPortfolio]:
        """Return the ledgers by strategy."""
        return self._portfolios

    def add(self, portfolio: VirtualPortfolio) -> None:
        """Add a strategy's ledger.

        Raises:
            ExistsError: there is one of its id.
        """
        if portfolio.strategy_id in self._portfolios:
            raise flow.ExistsError(f"strategy {portfolio.strategy_id} has a portfolio already")
        self._portfolios[portfolio.strategy_id] = portfolio

    def remove(self, strategy_id: str) -> None:
        """Forget a ledger; what it still holds becomes unattributed."""
        portfolio = self._portfolios.pop(strategy_id)
        for instrument in portfolio._instruments:  # noqa: SLF001 (same aggregate)
            lots = portfolio.net_lots(instrument.market)
            if lots:
                self._add_unattributed(instrument.market, lots)

    def attribute(self, strategy_id: str | None, fill: Fill) -> None:
        """Book a fill of a strategy; one of nobody becomes unattributed, with a warning."""
        portfolio = None if strategy_id is None else self._portfolios.get(strategy_id)
        if portfolio is not None:
            portfolio.apply(fill)
            return
        if fill.fill_id in self._fill_ids:
            return
        self._fill_ids.add(fill.fill_id)
        self._add_unattributed(fill.market, fill.side.sign * fill.lots)
        self.warnings.append(
            f"fill {fill.fill_id} of {fill.market} belongs to no strategy: {fill.lots} lots are "
            "unattributed"
        )

    def unattributed(self, market: ConnectorPair) -> int:
        """Return the lots of *market* that belong to no strategy."""
        return self._unattributed.get(market, 0)

    def account_lots(self, market: ConnectorPair) -> int:
        """Return the account's position of *market*: all ledgers and the unattributed lots."""
        virtual = sum(one.net_lots(market) for one in self._portfolios.values())
        return virtual + self.unattributed(market)

    def cross(
        self, market: ConnectorPair, *, buyer: str, seller: str, lots: int, mid_twice: int
    ) -> Crossing | None:
        """Note that two strategies' orders met inside; None unless crossing is switched on."""
        if not self.internal_crossing or lots <= 0 or buyer == seller:
            return None
        crossing = Crossing(market, lots, mid_twice, buyer, seller)
        self.crossings.append(crossing)
        return crossing

    def _add_unattributed(self, market: ConnectorPair, lots: int) -> None:
        self._unattributed[market] = self._unattributed.get(market, 0) + lots
