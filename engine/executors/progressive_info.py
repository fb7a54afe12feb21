"""What a progressive executor reports beyond the common fields."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Protocol, Self

from engine.executors.fill_ledger import to_decimal
from engine.executors.position_info import GuardedPosition, PositionCustomInfo


@dataclass(frozen=True, slots=True)
class LadderRowInfo:
    """One row of the ladder, and whether a hit of the trailing stop has used it."""

    level: Decimal
    ratio: Decimal
    hit: bool


class ProgressivePosition(GuardedPosition, Protocol):
    """What the info reads of a progressive executor."""

    @property
    def pnl_trigger(self) -> Fraction | None: ...
    @property
    def target_yield(self) -> Fraction: ...
    @property
    def is_extended_on_yield(self) -> bool: ...
    @property
    def realized_lots(self) -> int: ...
    @property
    def stop_loss_price(self) -> Decimal | None: ...
    @property
    def ladder_rows(self) -> tuple[LadderRowInfo, ...]: ...


@dataclass(frozen=True, slots=True)
class ProgressiveCustomInfo(PositionCustomInfo):
    """What a progressive executor reports; ``target_yield`` and the stop loss move with time."""

    is_price_free: ClassVar[bool] = False

    pnl_trigger: Decimal | None = None
    target_yield: Decimal = Decimal(0)
    extended_on_yield: bool = False
    realized_amount: Decimal = Decimal(0)
    ladder: tuple[LadderRowInfo, ...] = ()

    @classmethod
    def from_executor(cls, executor: ProgressivePosition) -> Self:  # type: ignore[override]  # the factory gives each type its own executor
        """Build the info of *executor*."""
        position = PositionCustomInfo.from_executor(executor)
        common = {item.name: getattr(position, item.name) for item in fields(position)}
        trigger = executor.pnl_trigger
        return cls(
            **common | {"stop_loss_price": executor.stop_loss_price},
            pnl_trigger=None if trigger is None else to_decimal(trigger),
            target_yield=to_decimal(executor.target_yield),
            extended_on_yield=executor.is_extended_on_yield,
            realized_amount=executor.snapshot().instrument.qty(executor.realized_lots),
            ladder=executor.ladder_rows,
        )
