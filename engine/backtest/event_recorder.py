"""Keeps all bus events of a run for its result (``record_events``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.containers.bus import BusEvent, BusKind
from engine.containers.context import ContainerContext


class EventRecorder:
    """Component ``recorder``: hears every kind first and keeps plain rows."""

    reusable = True

    def __init__(self) -> None:
        self.rows: list[Mapping[str, Any]] = []

    def initialize(self, ctx: ContainerContext) -> None:
        """Listen to everything."""
        for kind in BusKind:
            ctx.bus.subscribe(kind, self._keep, priority=0, component="recorder")

    def reset(self) -> None:
        """Forget the events."""
        self.rows = []

    def teardown(self) -> None:
        """Let go of the events."""
        self.rows = []

    def _keep(self, event: BusEvent) -> None:
        self.rows.append(
            {
                "seq": event.seq,
                "ts": event.ts_ns,
                "kind": event.kind.value,
                "container_id": event.container_id,
                "symbol": event.symbol,
                "cause_seq": event.cause_seq,
                "payload": event.payload,
            }
        )
