"""Stop, target and trailing stop that a strategy declares with an entry (FILL-20 to 22)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from engine.containers.bus import BusKind, EventBus
from engine.containers.data_handler import DataHandler
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    STRATEGY_OWNER,
    CancelRequest,
    Fill,
    Order,
    OrderRequest,
    OrderStatus,
    OrderTrigger,
    OrderType,
    TriggerKind,
)
from engine.portfolio.portfolio import Portfolio
from engine.risk.risk_manager import RiskManager
from engine.risk.signal_terms import OrderTerms, trail_trigger
from engine.risk.verdicts import Approved, Denied
from engine.strategies.signal_codes import OffsetUnit
from engine.strategies.signals import Bracket, Offset


@dataclass(slots=True)
class _Pair:
    """The exits of what one fill of an entry has opened; ``remaining`` lots are protected."""

    market: ConnectorPair
    side: int
    """Of the position: +1 long."""
    remaining: int
    legs: dict[str, OrderTerms] = field(default_factory=dict)
    """Working exits by client order id."""
    resized: set[str] = field(default_factory=set)
    """Exits that are cancelled to come back with what remains."""


class BracketDesk:
    """Places the exits when the entry fills, and keeps them equal to what is left to protect.

    Each fill of an entry gets exits of its own lots. A fill of one exit lowers the others, which
    means a cancel and a new order; at zero they are cancelled. What closes the position otherwise
    cancels them too. All of them may only reduce, so that none can open the other side even while
    a cancel is on its way.
    """

    def __init__(
        self, *, data_handler: DataHandler, portfolio: Portfolio, risk_manager: RiskManager
    ) -> None:
        self._data_handler = data_handler
        self._portfolio = portfolio
        self._risk_manager = risk_manager
        self._entries: dict[str, Bracket] = {}
        self._filled: dict[str, tuple[int, int]] = {}
        """(lots, atoms) that each entry has filled."""
        self._pairs: dict[str, _Pair] = {}
        """By client order id of each exit."""

    def begin(self, request: OrderRequest, bracket: Bracket) -> None:
        """Protect what the entry *request* is going to fill."""
        self._entries[request.client_order_id] = bracket

    def on_fill(self, bus: EventBus, fill: Fill, *, now_ns: int) -> None:
        """Take a fill of the market, of whatever order."""
        bracket = self._entries.get(fill.client_order_id)
        if bracket is not None:
            self._protect(bus, fill, bracket, now_ns)
        pair = self._pairs.get(fill.client_order_id)
        if pair is not None:
            pair.remaining = max(0, pair.remaining - fill.lots)
            for client_order_id in pair.legs:
                if client_order_id not in (fill.client_order_id, *pair.resized):
                    pair.resized.add(client_order_id)
                    self._cancel(bus, pair.market, client_order_id)
        self._drop_unneeded(bus, fill.market)

    def on_order(self, bus: EventBus, order: Order, *, now_ns: int) -> None:
        """Take note that an entry or an exit has ended."""
        if order.is_open:
            return
        client_order_id = order.request.client_order_id
        self._entries.pop(client_order_id, None)
        self._filled.pop(client_order_id, None)
        pair = self._pairs.pop(client_order_id, None)
        if pair is None:
            return
        terms = pair.legs.pop(client_order_id)
        is_resized = client_order_id in pair.resized and order.status is OrderStatus.CANCELLED
        pair.resized.discard(client_order_id)
        if is_resized and pair.remaining:
            self._place(bus, pair, terms, now_ns)

    def _protect(self, bus: EventBus, fill: Fill, bracket: Bracket, now_ns: int) -> None:
        lots, atoms = self._filled.get(fill.client_order_id, (0, 0))
        lots, atoms = lots + fill.lots, atoms + fill.notional_atoms
        self._filled[fill.client_order_id] = lots, atoms
        instrument = self._data_handler.instrument(fill.market)
        average = Fraction(atoms, lots * instrument.notional_atoms(1, 1))
        # A reversal closes first: what it closes needs no protection.
        opened = min(fill.lots, abs(self._portfolio.net_lots(fill.market)))
        pair = _Pair(fill.market, fill.side.sign, opened)
        for terms in exits_of(bracket, instrument, side=fill.side.sign, average=average):
            self._place(bus, pair, terms, now_ns)

    def _place(self, bus: EventBus, pair: _Pair, terms: OrderTerms, now_ns: int) -> None:
        verdict = self._risk_manager.on_exit(
            pair.market, side=-pair.side, lots=pair.remaining, terms=terms, now_ns=now_ns
        )
        if isinstance(verdict, Approved):
            client_order_id = verdict.request.client_order_id
            pair.legs[client_order_id] = terms
            self._pairs[client_order_id] = pair
            bus.publish(BusKind.ORDER, verdict.request, market=pair.market)
        elif isinstance(verdict, Denied):
            bus.publish(BusKind.RISK_LIMIT, verdict, market=pair.market)

    def _drop_unneeded(self, bus: EventBus, market: ConnectorPair) -> None:
        """Cancel the exits of a position that has been closed, or turned round."""
        net = self._portfolio.net_lots(market)
        for pair in list(self._pairs.values()):
            if pair.market == market and pair.side * net <= 0 and pair.remaining:
                pair.remaining = 0
                for leg in pair.legs:
                    self._cancel(bus, market, leg)

    def _cancel(self, bus: EventBus, market: ConnectorPair, client_order_id: str) -> None:
        wish = CancelRequest(client_order_id, market, STRATEGY_OWNER)
        bus.publish(BusKind.CANCEL, wish, market=market)


def exits_of(
    bracket: Bracket, instrument: Instrument, *, side: int, average: Fraction
) -> tuple[OrderTerms, ...]:
    """Return the exits of a position that was entered at *average* ticks.

    Stops are rounded away from the market, targets to the passive side (UNIT-5).
    """
    found = []
    if bracket.stop is not None:
        level = _level(bracket.stop, instrument, average, away=-side)
        ticks = floor(level) if side > 0 else ceil(level)
        trigger = OrderTrigger(TriggerKind.STOP, stop_ticks=ticks)
        found.append(OrderTerms(trigger=trigger, reduce_only=True))
    if bracket.trail is not None:
        start = floor(average) if side > 0 else ceil(average)
        trigger = replace(trail_trigger(bracket.trail, instrument), start_ticks=start)
        found.append(OrderTerms(trigger=trigger, reduce_only=True))
    if bracket.target is not None:
        level = _level(bracket.target, instrument, average, away=side)
        ticks = ceil(level) if side > 0 else floor(level)
        found.append(OrderTerms(OrderType.LIMIT, limit_ticks=ticks, reduce_only=True))
    return tuple(found)


def _level(
    part: Decimal | Offset, instrument: Instrument, average: Fraction, *, away: int
) -> Fraction:
    """Return a price, or the distance *part* from *average* to the side *away*, in ticks."""
    if isinstance(part, Decimal):
        return Fraction(part) / Fraction(instrument.tick)
    match part.unit:
        case OffsetUnit.PPB:
            return average * (1 + away * Fraction(part.amount))
        case OffsetUnit.TICKS:
            return average + away * int(part.amount)
        case _:
            return average + away * ceil(Fraction(part.amount) / Fraction(instrument.tick))
