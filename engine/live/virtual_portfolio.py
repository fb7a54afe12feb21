"""Ledgers of strategies that trade one account (LIVE-6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from engine import flow
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, TradeType
from engine.portfolio.portfolio import Portfolio

DEFAULT_CAPITAL: Final = Decimal(100_000)
UNATTRIBUTED: Final = "unattributed"
INSIDE: Final = "inside-"
"""What the ids of fills start with that came about without the venue."""
RECON: Final = "RECON"
"""Role of a fill that was booked to agree with the venue's position."""


class VirtualPortfolio:
    """One strategy's ledger: netting positions and exact money over the fills that are its own.

    Args:
        strategy_id: whose ledger it is.
        instruments: the markets; all their quote assets count 1:1.
        allocated_capital: what it starts from.
        currency: what its equity is told in.
    """

    def __init__(
        self,
        strategy_id: str,
        instruments: Sequence[Instrument],
        *,
        allocated_capital: Decimal = DEFAULT_CAPITAL,
        currency: str = "USD",
    ) -> None:
        self.strategy_id = strategy_id
        self._instruments = tuple(instruments)
        self.allocated_capital = allocated_capital
        self._ledger = Portfolio(
            instruments={one.market: one for one in instruments},
            initial_cash={currency: allocated_capital},
            account_currency=currency,
            parity=sorted({one.market.quote for one in instruments}),
            money_precision=instruments[0].money_precision if instruments else 8,
        )
        self._currency = currency
        self._fill_ids: set[str] = set()
        self.duplicate_fills = 0

    def empty_copy(self, name: str) -> VirtualPortfolio:
        """Return a ledger of the same markets that starts from nothing."""
        return VirtualPortfolio(
            name, self._instruments, allocated_capital=Decimal(0), currency=self._currency
        )

    @property
    def markets(self) -> tuple[ConnectorPair, ...]:
        """Return the markets that it may trade."""
        return tuple(self._ledger.ledgers)

    @property
    def equity(self) -> Decimal:
        """Return the equity at the last marks."""
        return self._ledger.equity

    @property
    def realised(self) -> Decimal:
        """Return the realised result before fees."""
        return self._money(self._ledger.realised_atoms)

    @property
    def fees(self) -> Decimal:
        """Return the fees paid."""
        return self._money(self._ledger.fees_atoms)

    @property
    def equity_atoms(self) -> int:
        """Return the equity in atoms."""
        return self._ledger.equity_atoms

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed position of *market*, 0 for one that it does not trade."""
        ledger = self._ledger.ledgers.get(market)
        return 0 if ledger is None else ledger.net_lots

    def cash_flow(self, asset: str) -> Decimal:
        """Return what its fills have added to the cash in *asset*."""
        opening = self.allocated_capital if asset == self._currency else Decimal(0)
        return self._money(self._ledger.cash_of(asset)) - opening

    def mark_ticks(self, market: ConnectorPair) -> int:
        """Return the last mark of *market*, rounded down to a tick; 0 if there is none."""
        ledger = self._ledger.ledgers.get(market)
        return 0 if ledger is None else ledger.mark_twice // 2

    def apply(self, fill: Fill) -> bool:
        """Book *fill* once; a repeated one is counted and ignored. Return whether it was booked.

        Raises:
            KeyError: the strategy does not trade its market.
        """
        if fill.fill_id in self._fill_ids:
            self.duplicate_fills += 1
            return False
        if not self._ledger.ledgers[fill.market].mark_twice:
            self._ledger.mark(fill.market, 2 * fill.ticks)
        self._ledger.apply_fill(fill)
        self._fill_ids.add(fill.fill_id)
        return True

    def mark(self, market: ConnectorPair, ticks: int) -> None:
        """Value *market* at *ticks*."""
        self.mark_twice(market, 2 * ticks)

    def mark_twice(self, market: ConnectorPair, half_ticks: int) -> None:
        """Value *market* at *half_ticks*: bid + ask for a quote (PF-6)."""
        if market in self._ledger.ledgers:
            self._ledger.mark(market, half_ticks)

    def _money(self, atoms: int) -> Decimal:
        precision = next(iter(self._ledger.ledgers.values())).instrument.money_precision
        return Decimal(atoms).scaleb(-precision)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Opposite orders of two strategies that met inside.

    ``ticks`` is the mid (``mid_twice`` in half ticks) rounded half-even to a tick.
    """

    market: ConnectorPair
    lots: int
    mid_twice: int
    buyer: str
    seller: str
    ticks: int = 0

    def __str__(self) -> str:
        return (
            f"{self.lots} lots of {self.market} crossed inside at {self.ticks} ticks: "
            f"{self.buyer} bought from {self.seller}"
        )


class AccountBook:
    """All strategies' ledgers of one account, and what belongs to none of them.

    Invariant: the virtual positions and the unattributed lots of a market add up to the account's
    position. What the venue does with the account's cash is counted in one more ledger that nets
    all fills, because a venue knows nothing of strategies.
    """

    def __init__(self, *, internal_crossing: bool = False) -> None:
        self._portfolios: dict[str, VirtualPortfolio] = {}
        self._unattributed: dict[ConnectorPair, int] = {}
        self._foreign: dict[str, Fill] = {}
        """Fills of nobody by id."""
        self._account: VirtualPortfolio | None = None
        self._adjustments = 0
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
        if self._account is None:
            self._account = portfolio.empty_copy("account")

    def remove(self, strategy_id: str) -> None:
        """Forget a ledger; what it still holds becomes unattributed."""
        portfolio = self._portfolios.pop(strategy_id)
        for market in portfolio.markets:
            lots = portfolio.net_lots(market)
            if lots:
                self._add_unattributed(market, lots)

    def attribute(self, strategy_id: str | None, fill: Fill) -> None:
        """Book a fill of a strategy; one of nobody becomes unattributed, with a warning."""
        portfolio = None if strategy_id is None else self._portfolios.get(strategy_id)
        if portfolio is not None:
            if portfolio.apply(fill):
                self._count_cash(fill)
            return
        if fill.fill_id in self._foreign:
            return
        self._foreign[fill.fill_id] = fill
        self._add_unattributed(fill.market, fill.side.sign * fill.lots)
        self._count_cash(fill)
        self.warnings.append(
            f"fill {fill.fill_id} of {fill.market} belongs to no strategy: {fill.lots} lots are "
            "unattributed"
        )

    def leave(self, market: ConnectorPair, lots: int) -> None:
        """Count signed *lots* that a strategy has left behind as unattributed."""
        self._add_unattributed(market, lots)

    def claim(self, fill_id: str) -> bool:
        """Take an unattributed fill back, because its strategy is here now; return if there was."""
        fill = self._foreign.pop(fill_id, None)
        if fill is None:
            return False
        self._add_unattributed(fill.market, -fill.side.sign * fill.lots)
        return True

    def adjust(self, instrument: Instrument, *, lots: int, ticks: int, now_ns: int) -> Fill:
        """Book signed *lots* at *ticks* as unattributed, flagged RECON, and return that fill."""
        self._adjustments += 1
        fill = Fill(
            fill_id=f"{RECON}-{self._adjustments}",
            client_order_id="",
            owner_id=UNATTRIBUTED,
            role=RECON,
            market=instrument.market,
            side=TradeType.BUY if lots > 0 else TradeType.SELL,
            lots=abs(lots),
            ticks=ticks,
            notional_atoms=instrument.notional_atoms(ticks, abs(lots)),
            fee_atoms=0,
            is_maker=False,
            ts_ns=now_ns,
        )
        self._foreign[fill.fill_id] = fill
        self._add_unattributed(instrument.market, lots)
        self._count_cash(fill)
        return fill

    def mark_twice(self, market: ConnectorPair, half_ticks: int) -> None:
        """Value *market* in all ledgers: bid + ask of its quote."""
        for portfolio in self._portfolios.values():
            portfolio.mark_twice(market, half_ticks)

    def unattributed(self, market: ConnectorPair) -> int:
        """Return the lots of *market* that belong to no strategy."""
        return self._unattributed.get(market, 0)

    def account_lots(self, market: ConnectorPair) -> int:
        """Return the account's position of *market*: all ledgers and the unattributed lots."""
        virtual = sum(one.net_lots(market) for one in self._portfolios.values())
        return virtual + self.unattributed(market)

    def cash_flow(self, asset: str) -> Decimal:
        """Return what all fills at the venue have added to the account's cash in *asset*."""
        return Decimal(0) if self._account is None else self._account.cash_flow(asset)

    def cross(
        self, market: ConnectorPair, *, buyer: str, seller: str, lots: int, mid_twice: int
    ) -> Crossing | None:
        """Note that two strategies' orders met inside; None unless crossing is switched on."""
        if not self.internal_crossing or lots <= 0 or buyer == seller:
            return None
        half, rest = divmod(mid_twice, 2)
        ticks = half + 1 if rest and half % 2 else half
        crossing = Crossing(market, lots, mid_twice, buyer, seller, ticks)
        self.crossings.append(crossing)
        return crossing

    def _count_cash(self, fill: Fill) -> None:
        is_inside = fill.fill_id.startswith(INSIDE)
        if self._account is not None and not is_inside and fill.market in self._account.markets:
            self._account.apply(fill)

    def _add_unattributed(self, market: ConnectorPair, lots: int) -> None:
        self._unattributed[market] = self._unattributed.get(market, 0) + lots
