"""Sizes and prices of a grid's levels."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Final

from engine.executors.grid_config import GridExecutorConfig
from engine.model.instruments import Instrument
from engine.model.orders import TradeType

_MARGIN: Final = Fraction(105, 100)


class GridTooSmallError(ValueError):
    """The amount of the grid does not pay for one level."""


@dataclass(frozen=True, slots=True)
class PlannedLevel:
    """One level: its price, its size at the mid, what it may cost, its take profit fraction."""

    ticks: int
    lots: int
    quote: Fraction
    take_profit: Fraction


@dataclass(frozen=True, slots=True)
class GridPlan:
    """The levels from start to end, and the step between them as a fraction of the start."""

    levels: tuple[PlannedLevel, ...]
    step: Fraction


def plan_grid(config: GridExecutorConfig, instrument: Instrument, mid: Fraction) -> GridPlan:
    """Return the levels of a grid that begins at the price *mid*; all sums are exact.

    Raises:
        GridTooSmallError: not even one level fits, and ``allow_min_level`` is off.
    """
    start, end = Fraction(config.start_price), Fraction(config.end_price)
    total, increment = Fraction(config.total_amount_quote), Fraction(instrument.lot)
    width = (end - start) / start
    least_lots = _least_lots(config, instrument, mid)
    least_quote = least_lots * increment * mid
    affordable = floor(total / least_quote)
    lots, count = least_lots, 1
    if affordable:
        least_step = max(
            Fraction(config.min_spread_between_orders), Fraction(instrument.tick) / mid
        )
        count = max(1, min(affordable, floor(width / least_step)))
        lots = max(least_lots, floor(total / (mid * count) / increment))
        count = max(1, min(count, floor(total / (lots * increment * mid))))
    elif not config.allow_min_level:
        raise GridTooSmallError(
            f"total_amount_quote {config.total_amount_quote} is below one level of "
            f"{float(least_quote):.8g} (allow_min_level is off)"
        )
    step = width / (count - 1) if count > 1 else width
    take_profit = Fraction(config.triple_barrier_config.take_profit or 0)
    if config.coerce_tp_to_step:
        take_profit = max(step, take_profit)
    prices = (
        [start + (end - start) * index / (count - 1) for index in range(count)]
        if count > 1
        else [(start + end) / 2]
    )
    round_passively = floor if config.side is TradeType.BUY else ceil
    return GridPlan(
        tuple(
            PlannedLevel(
                round_passively(price / Fraction(instrument.tick)),
                lots,
                lots * increment * mid,
                take_profit,
            )
            for price in prices
        ),
        step,
    )


def _least_lots(config: GridExecutorConfig, instrument: Instrument, mid: Fraction) -> int:
    """Return the least size of a level, with a margin for the way that the price may go."""
    increment = Fraction(instrument.lot)
    notional = max(Fraction(config.min_order_amount_quote), Fraction(instrument.min_notional))
    return max(ceil(_MARGIN * notional / mid / increment), instrument.min_lots)
