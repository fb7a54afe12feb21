"""The seven states of an event."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final


@unique
class EventStatus(StrEnum):
    """State of an event; members equal their string and stand in this order everywhere.

    Attributes:
        is_terminal: whether the state is final; a retry is a new event.
        position: 0 to 6, the place in the order.
    """

    is_terminal: bool
    position: int

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    ABORTED = "aborted"


STATUSES: Final = tuple(EventStatus)

for _position, _status in enumerate(STATUSES):
    _status.position = _position
    _status.is_terminal = _status not in (EventStatus.PENDING, EventStatus.PROCESSING)
