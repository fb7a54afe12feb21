"""Budget check: what an order needs, what is free, what open orders lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import OrderRequest, OrderType, TradeType
from engine.portfolio.hedged_ledger import HedgedLedger
from engine.portfolio.ledger import MarketLedger
from engine.portfolio.portfolio import Portfolio
from engine.portfolio.snapshots import FreeFunds


class FeeEstimate(Protocol):
    """Tells in advance what an order will cost in fees."""

    def estimate_atoms(
        self, instrument: Instrument, notional_atoms: int, *, is_maker: bool, lots: int = 0
    ) -> int:
        """Return the fee of an order of *lots* and *notional_atoms*; negative for a rebate."""
        ...


@dataclass(frozen=True, slots=True)
class Requirement:
    """What an order locks: cash of the quote asset in atoms, or base in lots (spot sell)."""

    cash_atoms: int = 0
    base_lots: int = 0


@dataclass(slots=True)
class _Reservation:
    market: ConnectorPair
    required: Requirement
    total_lots: int
    open_lots: int

    @property
    def cash_atoms(self) -> int:
        """Cash for the unfilled lots, rounded up."""
        return -(-self.required.cash_atoms * self.open_lots // self.total_lots)

    @property
    def base_lots(self) -> int:
        return self.open_lots if self.required.base_lots else 0


class Budget:
    """Compares what orders need with what the account has and open orders leave free.

    Derivatives share one pool: cash plus the unrealised result of derivative positions, minus
    their initial margin, minus what open orders lock. A spot buy needs cash of its own quote
    asset, and no more than the pool leaves. A spot sell needs the base. Only the part of an order
    that increases the position needs margin: a reduction is always affordable (FILL-28). In a
    hedged market every order that does not close opens, whatever is held on the other side.

    Args:
        portfolio: the account.
        fees: how fees are estimated; None uses the instruments' own rates.
    """

    def __init__(self, *, portfolio: Portfolio, fees: FeeEstimate | None = None) -> None:
        self._portfolio = portfolio
        self._fees = fees
        self._reservations: dict[str, _Reservation] = {}
        self._locked_atoms: dict[str, int] = {}
        self._locked_lots: dict[ConnectorPair, int] = {}

    def requirement(self, request: OrderRequest, reference_ticks: int) -> Requirement:
        """Return what *request* locks; a MARKET order is valued at *reference_ticks*.

        Raises:
            KeyError: the session does not trade the market.
        """
        ledger = self._portfolio.ledgers[request.market]
        if ledger.is_spot and request.side is TradeType.SELL:
            return Requirement(base_lots=request.lots)
        lots = self._opening_lots(request, ledger)
        ticks = reference_ticks if request.limit_ticks is None else request.limit_ticks
        notional = abs(ledger.instrument.notional_atoms(ticks, lots))
        fee = self._fee_atoms(ledger.instrument, notional, lots, request.order_type)
        leverage = 1 if ledger.is_spot else request.leverage
        return Requirement(cash_atoms=-(-notional // leverage) + fee)

    def is_affordable(self, request: OrderRequest, reference_ticks: int) -> bool:
        """Whether *request* fits beside what is held and reserved; equality fits.

        Raises:
            KeyError: the session does not trade the market.
        """
        required = self.requirement(request, reference_ticks)
        if required.base_lots:
            qty = self._portfolio.ledgers[request.market].instrument.qty(required.base_lots)
            market = request.market
            return qty <= self.free_base(market.base, connector_name=market.connector_name)
        if not required.cash_atoms:
            return True
        free = self.free_margin_atoms()
        if self._portfolio.ledgers[request.market].is_spot:
            free = min(free, self.free_cash_atoms(request.market.quote))
        return required.cash_atoms <= free

    def first_shortage(self, candidates: Sequence[tuple[OrderRequest, int]]) -> int | None:
        """Return the number of the first order that does not fit; None if all of them do.

        Each locks what it needs while the next ones are looked at: two legs
        that share a margin or a balance must fit together. Afterwards nothing stays locked.

        Args:
            candidates: requests with their reference price in ticks.

        Raises:
            KeyError: the session does not trade a market.
        """
        locked: list[_Reservation] = []
        try:
            for number, (request, reference_ticks) in enumerate(candidates):
                if not self.is_affordable(request, reference_ticks):
                    return number
                required = self.requirement(request, reference_ticks)
                reservation = _Reservation(request.market, required, request.lots, request.lots)
                self._lock(reservation, sign=1)
                locked.append(reservation)
        finally:
            for reservation in locked:
                self._lock(reservation, sign=-1)
        return None

    def reserve(self, request: OrderRequest, reference_ticks: int) -> None:
        """Lock what *request* needs until it fills or is released; again changes nothing."""
        if request.client_order_id in self._reservations:
            return
        required = self.requirement(request, reference_ticks)
        reservation = _Reservation(request.market, required, request.lots, request.lots)
        self._reservations[request.client_order_id] = reservation
        self._lock(reservation, sign=1)

    def consume(self, client_order_id: str, lots: int) -> None:
        """Unlock the part of an order that filled; an order that locks nothing is ignored."""
        reservation = self._reservations.get(client_order_id)
        if reservation is None:
            return
        self._lock(reservation, sign=-1)
        reservation.open_lots -= lots
        if reservation.open_lots > 0:
            self._lock(reservation, sign=1)
        else:
            del self._reservations[client_order_id]

    def release(self, client_order_id: str) -> None:
        """Unlock what an order still holds: it is done, or was never sent."""
        reservation = self._reservations.pop(client_order_id, None)
        if reservation is not None:
            self._lock(reservation, sign=-1)

    def free_margin_atoms(self) -> int:
        """Return what derivatives may still use, half an atom rounded down."""
        ledgers = self._portfolio.ledgers.values()
        unrealised = sum(ledger.unrealised_twice for ledger in ledgers if not ledger.is_spot)
        pool = (2 * self._portfolio.cash_atoms + unrealised) // 2
        locked = sum(self._locked_atoms.values())
        return pool - self._portfolio.margin_used_atoms - locked

    def free_cash_atoms(self, asset: str) -> int:
        """Return the cash of *asset* that no open order locks."""
        return self._portfolio.cash_of(asset) - self._locked_atoms.get(asset, 0)

    def free_base(self, asset: str, *, connector_name: str | None = None) -> Decimal:
        """Return how much of the base *asset* no open spot sell locks, exact.

        With *connector_name* only what lies on that venue: it cannot be sold on another one.
        """
        return sum(
            (
                ledger.instrument.qty(ledger.net_lots - self._locked_lots.get(market, 0))
                for market, ledger in self._portfolio.ledgers.items()
                if ledger.is_spot
                and market.base == asset
                and connector_name in {None, market.connector_name}
            ),
            Decimal(0),
        )

    def free_funds(self) -> FreeFunds:
        """Return everything that is free at this instant, for a look from outside."""
        instruments = [ledger.instrument for ledger in self._portfolio.ledgers.values()]
        money = instruments[0].money  # all markets have the account's precision
        return FreeFunds(
            margin=money(self.free_margin_atoms()),
            cash={
                asset: money(self.free_cash_atoms(asset))
                for asset in {one.market.quote: None for one in instruments}
            },
            base={
                asset: self.free_base(asset)
                for asset in {one.market.base: None for one in instruments}
            },
        )

    def _lock(self, reservation: _Reservation, *, sign: int) -> None:
        market = reservation.market
        atoms = self._locked_atoms.get(market.quote, 0)
        self._locked_atoms[market.quote] = atoms + sign * reservation.cash_atoms
        lots = self._locked_lots.get(market, 0)
        self._locked_lots[market] = lots + sign * reservation.base_lots

    def _opening_lots(self, request: OrderRequest, ledger: MarketLedger | HedgedLedger) -> int:
        if ledger.is_spot:
            return request.lots
        if request.is_closing:
            return 0
        if ledger.instrument.is_hedged:
            return request.lots
        reducible = -ledger.net_lots * request.side.sign
        return max(0, request.lots - max(0, reducible))

    def _fee_atoms(
        self, instrument: Instrument, notional: int, lots: int, order_type: OrderType
    ) -> int:
        is_maker = order_type is OrderType.LIMIT_MAKER
        if self._fees is None:
            fee = instrument.fee_atoms(notional, is_maker=is_maker)
        else:
            fee = self._fees.estimate_atoms(instrument, notional, is_maker=is_maker, lots=lots)
        # A rebate is not there before the fill, so it cannot pay for the order.
        return max(0, fee)
