"""What a DCA executor reports and shows beyond the common fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, Self

from engine.executors.config import ns_to_seconds
from engine.executors.custom_info import CustomInfo
from engine.executors.dca_config import DCAExecutorConfig
from engine.executors.fill_ledger import to_decimal
from engine.executors.held_order import HeldOrder
from engine.executors.snapshot import BarrierPrice, ExecutorSnapshot
from engine.model.orders import TradeType


@dataclass(frozen=True, slots=True)
class DCASnapshot(ExecutorSnapshot):
    """State of a DCA executor; ``waiting`` are the (ticks, level number) not filled yet."""

    waiting: tuple[tuple[int, int], ...]

    def barriers(self, mark_ticks: int | None) -> tuple[BarrierPrice, ...]:
        """Return the levels that are still to be filled, and the barriers."""
        if self.is_done:
            return ()
        # No zero-argument super(): a slots dataclass is made twice.
        common = ExecutorSnapshot.barriers(self, mark_ticks)
        count = len(self.waiting)
        levels = tuple(
            BarrierPrice(
                "level",
                self.instrument.price(ticks),
                Decimal(ticks - mark_ticks) / mark_ticks if mark_ticks else None,
                note=f"level {number}, one of {count} not filled",
            )
            for ticks, number in self.waiting
        )
        return levels + tuple(item for item in common if item.kind != "entry")


class DCAPosition(Protocol):
    """What the info reads of a DCA executor."""

    side: TradeType

    @property
    def config(self) -> DCAExecutorConfig: ...
    @property
    def mark_ticks(self) -> int | None: ...
    @property
    def close_price(self) -> Decimal | None: ...
    @property
    def interrupted_lots(self) -> int: ...
    @property
    def held_position_orders(self) -> tuple[HeldOrder, ...]: ...
    def snapshot(self) -> ExecutorSnapshot: ...


@dataclass(frozen=True, slots=True)
class DCACustomInfo(CustomInfo):
    """What a DCA executor reports. Prices and money in quote, times in seconds.

    ``total_executed_amount_backup`` is the base amount of orders that ended before they were full.
    """

    level_id: str | None
    current_position_average_price: Decimal | None
    target_position_average_price: Decimal
    filled_amount: Decimal
    filled_amount_quote: Decimal
    max_amount_quote: Decimal
    min_price: Decimal
    max_price: Decimal
    max_loss_quote: Decimal
    current_market_price: Decimal | None
    close_price: Decimal | None
    close_type: str | None
    close_timestamp: float | None
    n_levels: int
    trailing_stop_trigger_pct: Decimal | None
    total_executed_amount_backup: Decimal
    current_retries: int
    max_retries: int
    order_ids: tuple[str, ...]
    held_position_orders: tuple[Mapping[str, object], ...]
    stale_price: bool
    residual_amount_base: Decimal

    @classmethod
    def from_executor(cls, executor: DCAPosition) -> Self:
        """Build the info of *executor*."""
        snapshot, config = executor.snapshot(), executor.config
        instrument, mark = snapshot.instrument, executor.mark_ticks
        trigger, closed_ns = snapshot.trailing_trigger_pct, snapshot.closed_ns
        return cls(
            side=executor.side,
            level_id=config.level_id,
            current_position_average_price=snapshot.entry_price,
            target_position_average_price=config.target_position_average_price,
            filled_amount=instrument.qty(snapshot.opened_lots),
            filled_amount_quote=instrument.money(snapshot.filled_atoms),
            max_amount_quote=config.max_amount_quote,
            min_price=min(config.prices),
            max_price=max(config.prices),
            max_loss_quote=config.max_loss_quote,
            current_market_price=None if mark is None else instrument.price(mark),
            close_price=executor.close_price,
            close_type=None if snapshot.close_type is None else snapshot.close_type.name,
            close_timestamp=None if closed_ns is None else ns_to_seconds(closed_ns),
            n_levels=len(config.prices),
            trailing_stop_trigger_pct=None if trigger is None else to_decimal(trigger),
            total_executed_amount_backup=instrument.qty(executor.interrupted_lots),
            current_retries=snapshot.retries,
            max_retries=snapshot.max_retries,
            order_ids=tuple(order.client_order_id for order in snapshot.orders),
            held_position_orders=tuple(
                held.to_dict(instrument) for held in executor.held_position_orders
            ),
            stale_price=snapshot.is_stale,
            residual_amount_base=instrument.qty(snapshot.totals.residual_lots),
        )
