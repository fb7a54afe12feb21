"""Where a resting limit stands in the queue when a trade prints at its price (TICK-3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from engine.execution.live_order import LiveOrder
from engine.model.draws import uniform
from engine.model.quotes import TradeTick

_LIMIT_STREAM: Final = 1


@unique
class QueueKind(StrEnum):
    """The place that an order is given at its price."""

    FRONT = "front"
    """A print at the price fills it."""
    BACK = "back"
    """Only a print beyond the price does."""
    PROB = "prob"
    """A print at the price fills it with a chance."""
    VOLUME = "volume"
    """What was displayed when it arrived must be traded first."""


@dataclass(frozen=True, slots=True)
class QueueModel:
    """Decides whether a print at an order's own price reaches it."""

    kind: QueueKind = QueueKind.FRONT
    chance: float = 0.5
    seed: int = 0

    def is_reached(self, order: LiveOrder, trade: TradeTick) -> bool:
        """Whether *trade*, at the limit of *order*, fills it; prints use up what is ahead."""
        match self.kind:
            case QueueKind.FRONT:
                return True
            case QueueKind.BACK:
                return False
            case QueueKind.PROB:
                draw = uniform(self.seed, _LIMIT_STREAM, order.number, trade.seq)
                return draw < self.chance
            case QueueKind.VOLUME:
                if trade.aggressor == order.sign:
                    return False
                order.ahead_lots -= trade.lots
                return order.ahead_lots < 0
