"""Configuration and live update of the progressive executor."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from engine.executors.barriers import TripleBarrierConfig
from engine.executors.form_hints import HIDDEN, PERCENT
from engine.executors.ladder import MAX_TRAILING_PCT, PNL_RELAXATION
from engine.executors.position_config import PositionExecutorConfig
from engine.executors.validation import (
    OptionalDecimal,
    OrderTypeName,
    PositiveDecimal,
    positive,
    read_decimal,
)
from engine.model.orders import OrderType

_UPDATE_MARGIN: Final = Decimal("1.1")
"""A volatility update sets the stop loss this many volatilities away (10.3)."""


class LadderRow(NamedTuple):
    """One row of the take profit table: what a hit at this net PnL closes."""

    pnl_level: PositiveDecimal
    close_ratio: PositiveDecimal


def _ladder_rows(value: object) -> object:
    """Read ``level:ratio|level:ratio``, several such texts, or pairs."""
    if value is None:
        return ()
    if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
        value = "|".join(value)
    if not isinstance(value, str):
        return value
    return tuple(_ladder_row(part) for part in value.replace(",", "|").split("|") if part.strip())


def _ladder_row(text: str) -> tuple[str, str]:
    level, separator, ratio = text.partition(":")
    if not separator:
        raise ValueError(
            f"must be level:ratio|level:ratio (for example 0.05:1|0.1:0.9), got {text!r}"
        )
    return level.strip(), ratio.strip()


def _valid_rows(rows: Iterable[LadderRow]) -> tuple[LadderRow, ...]:
    checked: list[LadderRow] = []
    for row in rows:
        if not 0 < row.close_ratio <= 1:
            raise ValueError(f"close ratio must be above 0 and at most 1, got {row.close_ratio}")
        if checked and row.pnl_level <= checked[-1].pnl_level:
            raise ValueError(
                f"levels must be strictly increasing, got {row.pnl_level} after "
                f"{checked[-1].pnl_level}"
            )
        checked.append(row)
    return tuple(checked)


TakeProfitTable = Annotated[
    tuple[LadderRow, ...], BeforeValidator(_ladder_rows), AfterValidator(_valid_rows)
]
"""Rows with strictly increasing levels, or their text form."""


class LadderedTrailingStop(BaseModel):
    """Trailing stop whose hits close parts of the position, by the net PnL at the hit.

    All values are fractions of the entry notional, net of fees. A hit below the first level, or
    without a table, closes everything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    activation_pnl_pct: PositiveDecimal = Field(
        title="Activation", description="net gain that arms it", json_schema_extra=PERCENT
    )
    trailing_pct: PositiveDecimal = Field(
        title="Distance",
        description="least distance; it grows with the gain",
        json_schema_extra=PERCENT,
    )
    take_profit_table: TakeProfitTable = Field(
        default=(),
        title="Ladder",
        description="gain:part that a hit closes, for example 0.05:1|0.1:0.5",
        json_schema_extra={"kind": "text"},
    )

    @classmethod
    def from_text(cls, text: str) -> LadderedTrailingStop | None:
        """Read ``activation,trailing,level:ratio|level:ratio|...``; empty text means none.

        Raises:
            ValueError: *text* has another form.
        """
        if not text.strip():
            return None
        parts = text.split(",", 2)
        if len(parts) < 2:
            raise ValueError(
                "must be activation,trailing,level:ratio|... "
                f"(for example 0.015,0.005,0.05:1|0.1:0.9), got {text!r}"
            )
        return cls.model_validate(
            {
                "activation_pnl_pct": parts[0].strip(),
                "trailing_pct": parts[1].strip(),
                "take_profit_table": parts[2] if len(parts) > 2 else "",
            }
        )


def _laddered(value: object) -> object:
    return LadderedTrailingStop.from_text(value) if isinstance(value, str) else value


OptionalLadder = Annotated[LadderedTrailingStop | None, BeforeValidator(_laddered)]
"""A laddered trailing stop, its text form, or None."""


def _limit_or_market(order_type: OrderType) -> OrderType:
    if order_type is OrderType.LIMIT_MAKER:
        raise ValueError("must be one of LIMIT, MARKET, got LIMIT_MAKER")
    return order_type


class YieldTripleBarrierConfig(TripleBarrierConfig):
    """Triple barrier whose stop loss tightens by a yearly yield, with a laddered trailing stop.

    ``apr_yield`` is the fraction that the position should earn in 365 days; None means 0.
    """

    trailing_stop: OptionalLadder = None  # type: ignore[assignment]  # 3.3: the ladder replaces the simple one
    apr_yield: OptionalDecimal = Field(
        default=None,
        title="Yearly yield",
        description="raises the stop loss; a time limit waits while the gain is above it",
        json_schema_extra=PERCENT,
    )
    trailing_stop_order_type: Annotated[OrderTypeName, AfterValidator(_limit_or_market)] = Field(
        default=OrderType.LIMIT,
        description="closes are always MARKET",
        json_schema_extra=HIDDEN,
    )

    def adjusted(self, volatility_factor: Decimal) -> YieldTripleBarrierConfig:
        """Return a copy with the PnL distances multiplied by *volatility_factor*.

        The yield, the time limit, the ladder's table and all order types stay.

        Raises:
            ValueError: the factor is not a finite number above zero.
        """
        factor = positive(read_decimal(volatility_factor))
        ladder = self.trailing_stop
        return self.model_copy(
            update={
                "stop_loss": None if self.stop_loss is None else self.stop_loss * factor,
                "take_profit": None if self.take_profit is None else self.take_profit * factor,
                "trailing_stop": None
                if ladder is None
                else ladder.model_copy(
                    update={
                        "activation_pnl_pct": ladder.activation_pnl_pct * factor,
                        "trailing_pct": ladder.trailing_pct * factor,
                    }
                ),
            }
        )


def _relaxation(value: Decimal) -> Decimal:
    if not 0 <= value < 1:
        raise ValueError(f"must be at least 0 and below 1, got {value}")
    return value


class ProgressiveExecutorConfig(PositionExecutorConfig):
    """One position taken off in steps, with a stop that tightens.

    ``pnl_relaxation`` is the part of the gain by which the trailing distance grows,
    ``max_trailing_pct`` the largest distance.
    """

    type: Literal["progressive_executor"] = "progressive_executor"  # type: ignore[assignment]  # another type with the same fields
    triple_barrier_config: YieldTripleBarrierConfig = Field(title="Barriers")
    pnl_relaxation: Annotated[
        Decimal, BeforeValidator(read_decimal), AfterValidator(_relaxation)
    ] = Field(
        default=PNL_RELAXATION,
        title="Relaxation",
        description="part of the gain by which the trailing distance grows; 0 keeps it constant",
    )
    max_trailing_pct: PositiveDecimal = Field(
        default=MAX_TRAILING_PCT,
        title="Largest distance",
        description="cap of the trailing distance",
        json_schema_extra=PERCENT,
    )


class ProgressiveExecutorUpdates(BaseModel):
    """New volatility of the market: the distances of the barriers are scaled to it.

    ``volatility`` is a fraction of the price; the stop loss becomes 1.1 times it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    volatility: PositiveDecimal = Field(
        description="the stop loss becomes 1.1 times it, the other distances scale along",
        json_schema_extra=PERCENT,
    )

    def validate(self) -> bool:  # type: ignore[override]  # pydantic's own is a deprecated class method
        """Whether the volatility is a number above zero."""
        return self.volatility > 0

    def applied_to(self, config: ProgressiveExecutorConfig) -> ProgressiveExecutorConfig:
        """Return *config* with its barriers adjusted (10.3).

        Raises:
            ValueError: there is no stop loss to scale from.
        """
        barrier = config.triple_barrier_config
        if barrier.stop_loss is None:
            raise ValueError("a volatility update needs a stop loss, this executor has none")
        stop_loss = self.volatility * _UPDATE_MARGIN
        scaled = barrier.adjusted(abs(stop_loss / barrier.stop_loss))
        exact = scaled.model_copy(update={"stop_loss": stop_loss})
        return config.model_copy(update={"triple_barrier_config": exact})
