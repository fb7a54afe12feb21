"""The barriers of a grid: whole mids at which they fire."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum, unique
from fractions import Fraction
from math import ceil, floor

from engine.executors.barriers import TrailingStopState, TrailingTrigger
from engine.executors.grid_config import GridExecutorConfig
from engine.executors.grid_work import MidEdges
from engine.executors.net_line import NetLine
from engine.model.orders import TradeType


@unique
class TrailingMove(Enum):
    """What a mid does to the trailing stop."""

    NONE = "none"
    ARMED = "armed"
    RAISED = "raised"
    FIRED = "fired"


class GridBarriers:
    """Stop loss and trailing stop of the open part, the limit price, the end of the range.

    All mids are *signed*: the side's sign times bid plus ask, so that a rise is a gain for both
    sides. Between two fills the net PnL is a straight line in the mid: every rule on it is one
    comparison with a whole number. The trailing stop belongs to the open part and is forgotten
    with it.
    """

    def __init__(self, side: TradeType, tick: Decimal) -> None:
        self._side = side
        self._tick = Fraction(tick)
        self._line: NetLine | None = None
        self._stop_loss: Fraction | None = None
        self._stop_level: int | None = None
        self._limit_level: int | None = None
        self._end_level = 0
        self._trailing: TrailingStopState | None = None
        self._trail: tuple[int | None, int | None] = (None, None)
        self._reach = 0

    @property
    def has_line(self) -> bool:
        """Whether something is open."""
        return self._line is not None

    @property
    def is_trailing(self) -> bool:
        """Whether there is a trailing stop."""
        return self._trailing is not None

    @property
    def trigger(self) -> Fraction | None:
        """Return the net PnL at which the trailing stop fires."""
        return None if self._trailing is None else self._trailing.trigger

    @property
    def seen_trigger(self) -> Fraction | TrailingTrigger | None:
        """Return the trigger for somebody who may never look at its value."""
        return None if self._trailing is None else self._trailing.seen_trigger

    def use_config(self, config: GridExecutorConfig) -> None:
        """Take the terms of *config*; a trigger that is set stays."""
        barrier, is_buy = config.triple_barrier_config, self._side is TradeType.BUY
        self._stop_loss = None if barrier.stop_loss is None else Fraction(barrier.stop_loss)
        stop, trigger = barrier.trailing_stop, self.trigger
        self._trailing = None if stop is None else TrailingStopState.of(stop, trigger)
        start, end = Fraction(config.start_price), Fraction(config.end_price)
        limit = 2 * Fraction(config.limit_price) / self._tick
        self._limit_level = None
        if limit:
            self._limit_level = floor(limit) if is_buy else -ceil(limit)
        winning = 2 * end / self._tick if is_buy else -2 * start / self._tick
        self._end_level = floor(winning) + 1
        self.follow(self._line)

    def follow(self, line: NetLine | None) -> None:
        """Take the net PnL of what is open now; None while nothing is."""
        self._line = line
        trailing, stop = self._trailing, self._stop_loss
        self._stop_level = None if line is None or stop is None else line.at_or_below(-stop)
        self._trail = None, None
        if trailing is None:
            return
        if line is None:
            trailing.trigger = None
            return
        self._reach = line.reach(trailing.delta)
        trigger = trailing.trigger
        if trigger is None:
            self._trail = None, line.above(trailing.activation)
        else:
            self._trail = line.at_or_above(trigger) - 1, line.above(trigger + trailing.delta)

    def restore_trigger(self, trigger: Fraction) -> None:
        """Take up a stored trigger, if there is something that it belongs to."""
        if self._trailing is not None and self._line is not None:
            self._trailing.trigger = trigger
            self.follow(self._line)

    def is_stopped(self, signed: int) -> bool:
        """Whether the stop loss fires."""
        return self._stop_level is not None and signed <= self._stop_level

    def is_beyond_limit(self, signed: int) -> bool:
        """Whether the limit price is reached."""
        return self._limit_level is not None and signed <= self._limit_level

    def is_range_won(self, signed: int) -> bool:
        """Whether the mid has left the range on the winning side."""
        return signed >= self._end_level

    def trail(self, signed: int) -> TrailingMove:
        """Give the trailing stop the newest mid and return what that does (4.2)."""
        trailing, line, (close_at, raise_at) = self._trailing, self._line, self._trail
        if trailing is None or line is None:
            return TrailingMove.NONE
        if close_at is not None and signed <= close_at:
            return TrailingMove.FIRED
        if raise_at is None or signed < raise_at:
            return TrailingMove.NONE
        move = TrailingMove.RAISED if trailing.is_armed else TrailingMove.ARMED
        trailing.raise_to(line, signed)
        self._trail = signed - self._reach, signed + 1
        return move

    def watch(self, edges: MidEdges, *, is_open: bool) -> None:
        """Watch the nearest barrier below and the nearest above the mid."""
        falling, rising = [self._limit_level], [self._end_level]
        if is_open and self._line is not None:
            close_at, raise_at = self._trail
            falling += [self._stop_level, close_at]
            if raise_at is not None:
                rising.append(raise_at)
        low = max((level for level in falling if level is not None), default=None)
        if self._side is TradeType.BUY:
            edges.rise_to(min(rising))
            if low is not None:
                edges.fall_to(low)
            return
        edges.fall_to(-min(rising))
        if low is not None:
            edges.rise_to(-low)

    def lines(self) -> list[tuple[str, int, str]]:
        """Return the barriers as kind, mid in half ticks and note."""
        sign, (close_at, raise_at) = self._side.sign, self._trail
        found: list[tuple[str, int, str]] = []
        if self._stop_level is not None:
            found.append(("stop_loss", sign * self._stop_level, ""))
        if self._limit_level is not None:
            found.append(("stop_loss", sign * self._limit_level, "limit price"))
        found.append(("take_profit", sign * self._end_level, "end of the range"))
        if close_at is not None:
            found.append(("trailing_stop", sign * close_at, "armed: closes at this price"))
        elif raise_at is not None:
            found.append(("trailing_stop", sign * raise_at, "arms at this price"))
        return found
