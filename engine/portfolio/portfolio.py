"""The account of one container: one ledger per market, cash per quote asset, one equity."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import ROUND_DOWN, Decimal

from engine.flow.errors import ConfigurationError, ExistsError, OperationError
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, OrderRequest
from engine.portfolio.hedged_ledger import HedgedLedger
from engine.portfolio.ledger import MarketLedger
from engine.portfolio.snapshots import AccountSnapshot, PositionSnapshot, money_of_twice


class LedgerImbalanceError(OperationError):
    """The books do not add up (PF-5); the run must not go on."""


class Portfolio:
    """Positions, cash and fees in whole atoms of one precision (PF-1 to PF-6).

    Cash is kept per quote asset. Every quote asset is the account currency or one of *parity*,
    the assets that count 1:1 with it. A mark costs O(1), a fill O(markets) because the identity
    PF-5 is checked over all of them.

    Args:
        instruments: the markets that the session may trade.
        initial_cash: starting cash per quote asset, exact in atoms.
        account_currency: what equity is told in.
        parity: assets that count 1:1 with the account currency, for example USDT with USD.
        money_precision: decimals of one atom; every instrument must agree.

    Raises:
        ConfigurationError: a quote asset has no rate, a precision differs, cash is no whole
            number of atoms.
    """

    def __init__(
        self,
        *,
        instruments: Mapping[ConnectorPair, Instrument],
        initial_cash: Mapping[str, Decimal],
        account_currency: str,
        parity: Collection[str] = (),
        money_precision: int = 8,
    ) -> None:
        self._currency = account_currency
        self._precision = money_precision
        self._assets = frozenset(parity) | {account_currency}
        for instrument in instruments.values():
            self._check_instrument(instrument)
        self._ledgers = {market: _ledger_of(value) for market, value in instruments.items()}
        self._legs = {market: _legs_of(ledger) for market, ledger in self._ledgers.items()}
        self._positions = tuple(leg for legs in self._legs.values() for leg in legs)
        self._cash = dict.fromkeys(sorted({market.quote for market in instruments}), 0)
        for asset, money in initial_cash.items():
            self._cash[asset] = self._opening_atoms(asset, money)
        self._initial_atoms = sum(self._cash.values())
        self._cash_atoms = self._initial_atoms
        self._value_twice = 0
        self._unrealised_twice = 0

    def _check_instrument(self, instrument: Instrument) -> None:
        self._check_asset(instrument.market.quote, str(instrument.market))
        if instrument.money_precision != self._precision:
            raise ConfigurationError(
                f"{instrument.market}: money_precision {instrument.money_precision} differs from "
                f"the account's {self._precision}; use one precision for all markets"
            )

    def _check_asset(self, asset: str, where: str) -> None:
        if asset not in self._assets:
            raise ConfigurationError(
                f"{where}: no rate from {asset} to {self._currency}; add {asset} to parity if it "
                "counts 1:1"
            )

    def _opening_atoms(self, asset: str, money: Decimal) -> int:
        self._check_asset(asset, f"initial cash {money} {asset}")
        atoms = money.scaleb(self._precision)
        if not money.is_finite() or atoms != atoms.to_integral_value(ROUND_DOWN):
            raise ConfigurationError(
                f"initial cash {money} {asset} is not a whole number of 1e-{self._precision}"
            )
        return int(atoms)

    @property
    def ledgers(self) -> Mapping[ConnectorPair, MarketLedger | HedgedLedger]:
        """Return the ledgers by market, to be read only, in the order of the configuration."""
        return self._ledgers

    @property
    def initial_atoms(self) -> int:
        """Return what the account started with."""
        return self._initial_atoms

    @property
    def cash_atoms(self) -> int:
        """Return cash over all quote assets."""
        return self._cash_atoms

    @property
    def equity_twice(self) -> int:
        """Return the equity at the marks in half atoms, exact, O(1)."""
        return 2 * self._cash_atoms + self._value_twice

    @property
    def equity_atoms(self) -> int:
        """Return the equity at the marks, half an atom rounded down; `equity` is exact."""
        return self.equity_twice // 2

    @property
    def equity(self) -> Decimal:
        """Return the equity at the marks as money, exact."""
        return money_of_twice(self.equity_twice, self._precision)

    @property
    def unrealised_twice(self) -> int:
        """Return the unrealised result at the marks in half atoms, exact, O(1)."""
        return self._unrealised_twice

    @property
    def unrealised_atoms(self) -> int:
        """Return the unrealised result at the marks, half an atom rounded down."""
        return self._unrealised_twice // 2

    @property
    def realised_atoms(self) -> int:
        """Return the realised result before fees."""
        return sum(ledger.realised_atoms for ledger in self._positions)

    @property
    def fees_atoms(self) -> int:
        """Return the fees paid; positive when we paid."""
        return sum(ledger.fees_atoms for ledger in self._positions)

    @property
    def funding_atoms(self) -> int:
        """Return the funding of perpetuals; positive when we received more than we paid."""
        return sum(ledger.funding_atoms for ledger in self._positions)

    def lots_facing(self, request: OrderRequest) -> int:
        """Return the signed position that *request* meets.

        In a hedged market it is the one that it closes or adds to.

        Raises:
            KeyError: the session does not trade its market.
        """
        sign = request.side.sign
        return self._leg(request.market, -sign if request.is_closing else sign).net_lots

    @property
    def margin_used_atoms(self) -> int:
        """Return the initial margin of all derivative positions at their marks."""
        return sum(ledger.initial_margin_atoms for ledger in self._positions)

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed net position of *market*.

        Raises:
            KeyError: the session does not trade it.
        """
        return self._ledgers[market].net_lots

    def side_lots(self, market: ConnectorPair) -> tuple[int, int]:
        """Return how many lots *market* is long and short, neither signed.

        Only a hedged market can be both.

        Raises:
            KeyError: the session does not trade it.
        """
        lots = [leg.net_lots for leg in self._legs[market]]
        return sum(one for one in lots if one > 0), sum(-one for one in lots if one < 0)

    def cash_of(self, asset: str) -> int:
        """Return the cash in *asset* in atoms, 0 if there never was any."""
        return self._cash.get(asset, 0)

    def base_balance(self, asset: str) -> Decimal:
        """Return how much of *asset* the spot markets hold, signed and exact."""
        return sum(
            (
                ledger.instrument.qty(ledger.net_lots)
                for market, ledger in self._ledgers.items()
                if ledger.is_spot and market.base == asset
            ),
            Decimal(0),
        )

    def mark(self, market: ConnectorPair, mark_twice: int) -> None:
        """Value *market* at *mark_twice* half ticks: bid + ask for quotes (PF-6), O(1).

        Raises:
            KeyError: the session does not trade it.
        """
        for ledger in self._legs[market]:
            if ledger.net_lots:
                change = ledger.net_lots * (mark_twice - ledger.mark_twice) * ledger.scale
                self._value_twice += change
                self._unrealised_twice += change
            ledger.mark_twice = mark_twice

    def take_over(self, market: ConnectorPair, lots: int, mark_twice: int) -> None:
        """Book a position that exists already: signed *lots*, at cost of the mark in half ticks.

        No cash moves and no fee is paid. What a spot market holds was paid before, so its worth
        belongs to what the account started with; a derivative is worth nothing at its cost.

        Raises:
            KeyError: the session does not trade the market.
            ExistsError: the account holds a position of it already.
        """
        ledger = self._leg(market, lots)
        if ledger.net_lots:
            raise ExistsError(
                f"{market}: the account holds {ledger.instrument.qty(ledger.net_lots)} already"
            )
        ledger.take_over(lots, mark_twice)
        if ledger.is_spot:
            self._initial_atoms += ledger.sign * ledger.cost_atoms
        self._value_twice += ledger.equity_twice
        self._unrealised_twice += ledger.unrealised_twice
        self.check_identity()

    def pay_funding(self, market: ConnectorPair, atoms: int) -> None:
        """Book a funding payment of *market*; positive when it is received.

        Raises:
            KeyError: the session does not trade the market.
        """
        # What a long and a short pay each other cancels out, the larger one pays the rest.
        self._larger(market).funding_atoms += atoms
        self._cash[market.quote] += atoms
        self._cash_atoms += atoms

    def charge_fee(self, market: ConnectorPair, atoms: int) -> None:
        """Book a fee that is no part of a fill's own; positive when we pay.

        Raises:
            KeyError: the session does not trade the market.
        """
        self._larger(market).fees_atoms += atoms
        self._cash[market.quote] -= atoms
        self._cash_atoms -= atoms

    def apply_fill(self, fill: Fill, *, leverage: int = 1, is_closing: bool = False) -> None:
        """Book *fill*; *leverage* is its order's, for the margin of what it opens.

        *is_closing* says of a hedged market that the fill belongs to the opposite position. A part
        of the fee that was taken in base leaves the position at the fill's price.

        Raises:
            KeyError: the session does not trade the market.
            LedgerImbalanceError: the fill contradicts itself, or PF-5 does not hold after it.
        """
        sign = fill.side.sign
        ledger = self._leg(fill.market, -sign if is_closing else sign)
        notional = ledger.instrument.notional_atoms(fill.ticks, fill.lots)
        if fill.lots <= 0 or fill.notional_atoms != notional:
            raise LedgerImbalanceError(
                f"fill {fill.fill_id}: {fill.lots} lots at {fill.ticks} ticks are {notional} "
                f"atoms, not {fill.notional_atoms}"
            )
        value_before, unrealised_before = ledger.equity_twice, ledger.unrealised_twice
        cash = ledger.trade(sign=sign, lots=fill.lots, ticks=fill.ticks, leverage=leverage)
        if fill.fee_base_lots:
            cash += ledger.trade(sign=-1, lots=fill.fee_base_lots, ticks=fill.ticks)
        cash -= fill.fee_atoms
        ledger.fees_atoms += fill.fee_atoms
        self._cash[fill.market.quote] += cash
        self._cash_atoms += cash
        self._value_twice += ledger.equity_twice - value_before
        self._unrealised_twice += ledger.unrealised_twice - unrealised_before
        self.check_identity()

    def check_identity(self) -> None:
        """Recompute the books from their parts and compare (PF-5), O(markets).

        Raises:
            LedgerImbalanceError: equity is not initial + realised + unrealised - fees + funding.
        """
        unrealised_twice = sum(ledger.unrealised_twice for ledger in self._positions)
        worth_twice = sum(ledger.equity_twice for ledger in self._positions)
        equity_twice = 2 * sum(self._cash.values()) + worth_twice
        result = self._initial_atoms + self.realised_atoms - self.fees_atoms + self.funding_atoms
        if not (
            equity_twice == 2 * result + unrealised_twice == self.equity_twice
            and unrealised_twice == self._unrealised_twice
        ):
            raise LedgerImbalanceError(
                f"equity {equity_twice} half atoms (kept: {self.equity_twice}) is not initial "
                f"{self._initial_atoms} + realised {self.realised_atoms} - fees "
                f"{self.fees_atoms} + funding {self.funding_atoms} atoms + unrealised "
                f"{unrealised_twice} half atoms (kept: {self._unrealised_twice}); the ledger is "
                "broken, stop the session",
                details={"equity_twice": equity_twice, "unrealised_twice": unrealised_twice},
            )

    def position_snapshots(self, market: ConnectorPair) -> tuple[PositionSnapshot, ...]:
        """Return the position of *market* as a value; a hedged one has two, the long one first.

        Raises:
            KeyError: the session does not trade it.
        """
        return tuple(_snapshot(leg) for leg in self._legs[market])

    def account_snapshot(self) -> AccountSnapshot:
        """Return the whole account as a value."""
        return AccountSnapshot(
            currency=self._currency,
            money_precision=self._precision,
            initial_atoms=self._initial_atoms,
            cash_atoms=tuple(sorted(self._cash.items())),
            equity_twice=self.equity_twice,
            unrealised_twice=self._unrealised_twice,
            realised_atoms=self.realised_atoms,
            fees_atoms=self.fees_atoms,
            margin_used_atoms=self.margin_used_atoms,
            positions=tuple(_snapshot(leg) for leg in self._positions),
            funding_atoms=self.funding_atoms,
        )

    def _leg(self, market: ConnectorPair, sign: int) -> MarketLedger:
        """Return the position of *market* that *sign* is the side of."""
        legs = self._legs[market]
        return legs[0] if sign > 0 else legs[-1]

    def _larger(self, market: ConnectorPair) -> MarketLedger:
        return max(self._legs[market], key=lambda leg: abs(leg.net_lots))


def _ledger_of(instrument: Instrument) -> MarketLedger | HedgedLedger:
    return HedgedLedger(instrument) if instrument.is_hedged else MarketLedger(instrument)


def _legs_of(ledger: MarketLedger | HedgedLedger) -> tuple[MarketLedger, ...]:
    return (ledger.long, ledger.short) if isinstance(ledger, HedgedLedger) else (ledger,)


def _snapshot(ledger: MarketLedger) -> PositionSnapshot:
    return PositionSnapshot(
        ledger.instrument,
        ledger.net_lots,
        ledger.cost_atoms,
        ledger.realised_atoms,
        ledger.fees_atoms,
        ledger.mark_twice,
        ledger.unrealised_twice,
        ledger.funding_atoms,
        ledger.side,
    )
