"""The execution side handles ORDER, never SIGNAL (EVT-1)."""

from __future__ import annotations

from engine import flow


class WrongEventKind(flow.OperationError):
    """A component got an event, or asked for a kind, that is not its business."""

    default_retryable = False
