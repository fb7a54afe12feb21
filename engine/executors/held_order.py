"""Order snapshots that are handed between components."""

from __future__ import annotations

from dataclasses import dataclass

from engine.executors.config import ns_to_seconds
from engine.executors.tracked_order import TrackedOrder
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    Fill,
    OrderState,
    OrderType,
    PositionAction,
    TradeType,
)


@dataclass(frozen=True, slots=True)
class HeldOrder:
    """What an order executed, for the position store. ``fee_atoms`` is positive when we pay.

    ``fee_base_lots`` is the part of the fee that the venue took out of the bought amount; its
    value is contained in ``fee_atoms``.
    """

    client_order_id: str
    market: ConnectorPair
    side: TradeType
    lots: int
    atoms: int
    fee_atoms: int
    fee_base_lots: int = 0
    order_type: OrderType = OrderType.MARKET
    limit_ticks: int | None = None
    amount_lots: int = 0
    state: OrderState = OrderState.FILLED
    leverage: int = 1
    position_action: PositionAction = PositionAction.NIL
    created_ns: int = 0
    updated_ns: int = 0
    fills: tuple[Fill, ...] = ()

    @classmethod
    def of(cls, order: TrackedOrder) -> HeldOrder:
        """Return the snapshot of *order*."""
        request = order.request
        return cls(
            client_order_id=order.order_id,
            market=request.market,
            side=request.side,
            lots=order.executed_lots,
            atoms=order.executed_atoms,
            fee_atoms=order.fee_atoms,
            fee_base_lots=order.fee_base_lots,
            order_type=request.order_type,
            limit_ticks=request.limit_ticks,
            amount_lots=request.lots,
            state=order.state,
            leverage=request.leverage,
            position_action=request.position_action,
            created_ns=order.placed_ns,
            updated_ns=order.updated_ns,
            fills=order.fills,
        )

    @classmethod
    def of_late_fill(cls, fill: Fill) -> HeldOrder:
        """Return the snapshot of a fill that came after its executor had ended (6.4)."""
        return cls(
            client_order_id=f"{fill.client_order_id}:late:{fill.fill_id}",
            market=fill.market,
            side=fill.side,
            lots=fill.lots,
            atoms=fill.notional_atoms,
            fee_atoms=fill.fee_atoms,
            fee_base_lots=fill.fee_base_lots,
            amount_lots=fill.lots,
            created_ns=fill.ts_ns,
            updated_ns=fill.ts_ns,
            fills=(fill,),
        )

    def to_dict(self, instrument: Instrument) -> dict[str, object]:
        """Return the flat form with Decimals as text and times in seconds."""
        price = None if self.limit_ticks is None else str(instrument.price(self.limit_ticks))
        return {
            "client_order_id": self.client_order_id,
            "exchange_order_id": None,
            "connector_name": self.market.connector_name,
            "trading_pair": self.market.trading_pair,
            "order_type": self.order_type.name,
            "trade_type": self.side.name,
            "price": price,
            "amount": str(instrument.qty(self.amount_lots)),
            "executed_amount_base": str(instrument.qty(self.lots)),
            "executed_amount_quote": str(instrument.money(self.atoms)),
            "last_state": self.state.value,
            "leverage": self.leverage,
            "position": self.position_action.value,
            "creation_timestamp": ns_to_seconds(self.created_ns),
            "last_update_timestamp": ns_to_seconds(self.updated_ns),
            "order_fills": {
                fill.fill_id: {
                    "price": str(instrument.price(fill.ticks)),
                    "amount": str(instrument.qty(fill.lots)),
                    "fee_quote": str(instrument.money(fill.fee_atoms)),
                    "timestamp": ns_to_seconds(fill.ts_ns),
                }
                for fill in self.fills
            },
            "cumulative_fee_paid_base": str(instrument.qty(self.fee_base_lots)),
            "cumulative_fee_paid_quote": str(instrument.money(self.fee_atoms)),
        }
