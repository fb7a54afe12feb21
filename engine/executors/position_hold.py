"""Net positions that no executor manages any more."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from engine.executors.fill_ledger import half_even, to_decimal
from engine.executors.held_order import HeldOrder
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import PositionSide, TradeType


@dataclass(frozen=True, slots=True)
class PositionKey:
    """Bucket of a position; ``side`` is None where opposite fills are netted (12.1)."""

    controller_id: str
    market: ConnectorPair
    side: TradeType | None = None


@dataclass(frozen=True, slots=True)
class PositionSummary:
    """A held position at one mid. Amounts in base, money in quote; PnL gross of fees but global."""

    controller_id: str
    connector_name: str
    trading_pair: str
    bucket_side: TradeType | None
    side: TradeType
    amount: Decimal
    breakeven_price: Decimal
    unrealized_pnl_quote: Decimal
    realized_pnl_quote: Decimal
    cum_fees_quote: Decimal
    volume_traded_quote: Decimal
    stale_price: bool = False
    unavailable: bool = False

    @property
    def position_side(self) -> PositionSide:
        """Return which of the venue's positions it belongs to; BOTH where they are netted."""
        if self.bucket_side is None:
            return PositionSide.BOTH
        is_long = self.bucket_side is TradeType.BUY
        return PositionSide.LONG if is_long else PositionSide.SHORT

    @property
    def amount_quote(self) -> Decimal:
        """Return the amount at the break-even price."""
        return self.amount * self.breakeven_price

    @property
    def global_pnl_quote(self) -> Decimal:
        """Return unrealized plus realized less fees."""
        return self.unrealized_pnl_quote + self.realized_pnl_quote - self.cum_fees_quote


@dataclass(frozen=True, slots=True)
class PositionState:
    """Integers of one bucket, for the store. ``net_lots`` is signed, ``cost_atoms`` is not."""

    key: PositionKey
    net_lots: int
    cost_atoms: int
    realized_atoms: int
    volume_atoms: int
    fee_atoms: int
    buy_lots: int = 0
    buy_atoms: int = 0
    sell_lots: int = 0
    sell_atoms: int = 0


class PositionHold:
    """One bucket. Adding an order twice changes nothing.

    The cost that a partial close removes is rounded half to even to an atom, and the last close
    removes all that is left: so realized plus cost is always exactly what was paid and received.
    """

    __slots__ = (
        "_seen",
        "buy_atoms",
        "buy_lots",
        "cost_atoms",
        "fee_atoms",
        "instrument",
        "key",
        "last_mid_half_ticks",
        "net_lots",
        "realized_atoms",
        "sell_atoms",
        "sell_lots",
        "volume_atoms",
    )

    def __init__(self, key: PositionKey, instrument: Instrument) -> None:
        self.key = key
        self.instrument = instrument
        self.net_lots = self.cost_atoms = self.realized_atoms = 0
        self.volume_atoms = self.fee_atoms = 0
        self.buy_lots = self.buy_atoms = self.sell_lots = self.sell_atoms = 0
        self.last_mid_half_ticks: int | None = None
        self._seen: set[str] = set()

    def add(self, order: HeldOrder) -> bool:
        """Take the fills of *order*; return False if it was taken before (12.2)."""
        if order.client_order_id in self._seen:
            return False
        self._seen.add(order.client_order_id)
        self.volume_atoms += order.atoms
        self.fee_atoms += order.fee_atoms
        is_buy = order.side is TradeType.BUY
        lots = order.lots - (order.fee_base_lots if is_buy else 0)
        if lots <= 0:
            return True
        atoms = half_even(order.atoms * lots, order.lots)
        if is_buy:
            self.buy_lots += lots
            self.buy_atoms += atoms
        else:
            self.sell_lots += lots
            self.sell_atoms += atoms
        self._net(lots if is_buy else -lots, atoms)
        return True

    def set_initial(self, lots: int, mid_half_ticks: int) -> None:
        """Take in *lots* (signed) as if traded at the mid, without volume or fees (12.5)."""
        worth = abs(lots) * mid_half_ticks * self.instrument.atoms_per_tick_lot
        self._net(lots, half_even(worth, 2))

    def restore(self, state: PositionState) -> None:
        """Take up stored figures."""
        self.net_lots, self.cost_atoms = state.net_lots, state.cost_atoms
        self.realized_atoms = state.realized_atoms
        self.volume_atoms, self.fee_atoms = state.volume_atoms, state.fee_atoms
        self.buy_lots, self.buy_atoms = state.buy_lots, state.buy_atoms
        self.sell_lots, self.sell_atoms = state.sell_lots, state.sell_atoms

    def state(self) -> PositionState:
        """Return the figures for the store."""
        return PositionState(
            self.key,
            self.net_lots,
            self.cost_atoms,
            self.realized_atoms,
            self.volume_atoms,
            self.fee_atoms,
            self.buy_lots,
            self.buy_atoms,
            self.sell_lots,
            self.sell_atoms,
        )

    def unrealized_atoms(self, mid_half_ticks: int) -> int:
        """Return the unrealized PnL at a mid in half ticks, rounded half to even to an atom."""
        worth = half_even(self.net_lots * mid_half_ticks * self.instrument.atoms_per_tick_lot, 2)
        return worth - self.cost_atoms if self.net_lots > 0 else worth + self.cost_atoms

    def summary(
        self, mid_half_ticks: int | None, *, is_unavailable: bool = False
    ) -> PositionSummary:
        """Return the position at a mid in half ticks; None uses the last good one (12.3)."""
        is_stale = mid_half_ticks is None
        if mid_half_ticks is not None:
            self.last_mid_half_ticks = mid_half_ticks
        mid = self.last_mid_half_ticks
        money, lots = self.instrument.money, abs(self.net_lots)
        breakeven = Decimal(0)
        if lots:
            ticks = Fraction(self.cost_atoms, lots * self.instrument.atoms_per_tick_lot)
            breakeven = self.instrument.tick * to_decimal(ticks)
        return PositionSummary(
            controller_id=self.key.controller_id,
            connector_name=self.key.market.connector_name,
            trading_pair=self.key.market.trading_pair,
            bucket_side=self.key.side,
            side=TradeType.BUY if self.net_lots >= 0 else TradeType.SELL,
            amount=self.instrument.qty(lots),
            breakeven_price=breakeven,
            unrealized_pnl_quote=money(0 if mid is None else self.unrealized_atoms(mid)),
            realized_pnl_quote=money(self.realized_atoms),
            cum_fees_quote=money(self.fee_atoms),
            volume_traded_quote=money(self.volume_atoms),
            stale_price=is_stale,
            unavailable=is_unavailable,
        )

    def _net(self, signed_lots: int, atoms: int) -> None:
        held = abs(self.net_lots)
        if self.net_lots * signed_lots >= 0:
            self.net_lots += signed_lots
            self.cost_atoms += atoms
            return
        lots = abs(signed_lots)
        closed = min(lots, held)
        paid = half_even(atoms * closed, lots)
        cost = half_even(self.cost_atoms * closed, held)
        self.realized_atoms += paid - cost if self.net_lots > 0 else cost - paid
        self.net_lots += signed_lots
        self.cost_atoms = self.cost_atoms - cost if lots <= held else atoms - paid
