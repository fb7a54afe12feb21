"""How far the event loop is behind."""

from __future__ import annotations


class LagProbe:
    """Keeps the newest lag of the loop: by how much its latest timer was late."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = 0.0

    def record(self, seconds: float) -> None:
        """Take a measured lag."""
        self.seconds = seconds
