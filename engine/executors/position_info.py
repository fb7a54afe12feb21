"""What a position executor reports beyond the common fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Protocol, Self

from engine.executors.config import ns_to_seconds
from engine.executors.custom_info import CustomInfo
from engine.executors.fill_ledger import LedgerTotals, to_decimal
from engine.executors.held_order import HeldOrder
from engine.executors.position_config import PositionExecutorConfig
from engine.executors.snapshot import ExecutorSnapshot
from engine.model.orders import TradeType


class GuardedPosition(Protocol):
    """What the info reads of a position executor."""

    side: TradeType

    @property
    def config(self) -> PositionExecutorConfig: ...
    @property
    def totals(self) -> LedgerTotals: ...
    @property
    def close_price(self) -> Decimal | None: ...
    @property
    def entry_updated_s(self) -> float | None: ...
    @property
    def held_position_orders(self) -> tuple[HeldOrder, ...]: ...
    def snapshot(self) -> ExecutorSnapshot: ...


@dataclass(frozen=True, slots=True)
class PositionCustomInfo(CustomInfo):
    """What a position executor reports beyond the common fields. Prices in quote, times in s."""

    is_price_free: ClassVar[bool] = True

    level_id: str | None
    current_position_average_price: Decimal | None
    current_retries: int
    max_retries: int
    close_price: Decimal | None
    open_order_last_update: float | None
    order_ids: tuple[str, ...]
    held_position_orders: tuple[Mapping[str, object], ...]
    remaining_amount: Decimal
    trailing_stop_trigger_pct: Decimal | None
    stop_loss_price: Decimal | None
    take_profit_price: Decimal | None
    end_time: float | None
    stale_price: bool
    residual_amount_base: Decimal

    @classmethod
    def from_executor(cls, executor: GuardedPosition) -> Self:
        """Build the info of *executor*."""
        snapshot, totals = executor.snapshot(), executor.totals
        instrument = snapshot.instrument
        trigger = snapshot.trailing_trigger_pct
        prices = {item.kind: item.price for item in snapshot.barriers(None)}
        return cls(
            side=executor.side,
            level_id=executor.config.level_id,
            current_position_average_price=snapshot.entry_price,
            current_retries=snapshot.retries,
            max_retries=snapshot.max_retries,
            close_price=executor.close_price,
            open_order_last_update=executor.entry_updated_s,
            order_ids=tuple(order.client_order_id for order in snapshot.orders),
            held_position_orders=tuple(
                held.to_dict(instrument) for held in executor.held_position_orders
            ),
            remaining_amount=instrument.qty(totals.remaining_lots),
            trailing_stop_trigger_pct=None if trigger is None else to_decimal(trigger),
            stop_loss_price=prices.get("stop_loss"),
            take_profit_price=prices.get("take_profit"),
            end_time=None if snapshot.end_ns is None else ns_to_seconds(snapshot.end_ns),
            stale_price=snapshot.is_stale,
            residual_amount_base=instrument.qty(totals.residual_lots),
        )
