"""What became of the tasks since the engine was made."""

from __future__ import annotations


class TaskCounters:
    """Totals; every task ends in exactly one of completed, failed, timed out, cancelled, skipped.

    `abandoned` ones, and of these `abandoned_cancelled`, are among them.
    """

    __slots__ = (
        "abandoned",
        "abandoned_cancelled",
        "cancelled",
        "coalesced",
        "completed",
        "failed",
        "rejected",
        "skipped",
        "timed_out",
    )

    def __init__(self) -> None:
        self.completed = 0
        self.failed = 0
        self.timed_out = 0
        self.cancelled = 0
        self.skipped = 0
        self.coalesced = 0
        self.rejected = 0
        self.abandoned = 0
        self.abandoned_cancelled = 0

    def totals(self) -> dict[str, int]:
        """Return each as ``name_total``."""
        return {
            "completed_total": self.completed,
            "failed_total": self.failed,
            "timed_out_total": self.timed_out,
            "cancelled_total": self.cancelled,
            "skipped_total": self.skipped,
            "coalesced_total": self.coalesced,
            "rejected_total": self.rejected,
        }
