"""Orders, fills and positions as rows."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from engine.api.views import FillRow, OrderRow, PositionRow
from engine.model.instruments import Instrument
from engine.model.orders import Fill, Order
from engine.portfolio.snapshots import PositionSnapshot

_FINER_THAN_TICK: Final = Decimal("0.1")


def display_price(price: Decimal | None, instrument: Instrument) -> Decimal | None:
    """Return an average price rounded half-even to a tenth of a tick, for display."""
    if price is None:
        return None
    return price.quantize(instrument.tick * _FINER_THAN_TICK, ROUND_HALF_EVEN)


def order_row(order: Order, instrument: Instrument) -> OrderRow:
    """Return *order* as a line; the average price is rounded for display."""
    request = order.request
    average = None
    if order.filled_lots:
        notional = instrument.money(order.filled_atoms) / instrument.multiplier
        average = display_price(notional / instrument.qty(order.filled_lots), instrument)
    return OrderRow(
        client_order_id=request.client_order_id,
        executor_id=request.executor_id,
        role=request.role,
        connector_name=request.market.connector_name,
        trading_pair=request.market.trading_pair,
        side=request.side.name,
        order_type=request.order_type.name,
        price=None if request.limit_ticks is None else instrument.price(request.limit_ticks),
        amount=instrument.qty(request.lots),
        filled_amount=instrument.qty(order.filled_lots),
        average_price=average,
        state=order.status.name.lower(),
        reason=order.reason,
        created_ns=order.created_ns,
        updated_ns=order.updated_ns,
    )


def fill_row(fill: Fill, instrument: Instrument) -> FillRow:
    """Return *fill* as a line."""
    return FillRow(
        fill_id=fill.fill_id,
        client_order_id=fill.client_order_id,
        executor_id=fill.executor_id,
        role=fill.role,
        trading_pair=fill.market.trading_pair,
        side=fill.side.name,
        price=instrument.price(fill.ticks),
        amount=instrument.qty(fill.lots),
        quote=instrument.money(fill.notional_atoms),
        fee_quote=instrument.money(fill.fee_atoms),
        is_maker=fill.is_maker,
        ts_ns=fill.ts_ns,
    )


def position_row(position: PositionSnapshot, held_lots: int) -> PositionRow:
    """Return *position* as a line."""
    return PositionRow(
        connector_name=position.market.connector_name,
        trading_pair=position.market.trading_pair,
        amount=position.amount,
        entry_price=display_price(position.entry_price, position.instrument),
        mark_price=position.mark_price,
        unrealized_pnl=position.unrealised,
        realized_pnl=position.realised,
        fees=position.fees,
        held=position.instrument.qty(held_lots),
        side=position.side.name,
    )
