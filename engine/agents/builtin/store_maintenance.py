"""Keeps the store small, and says so before the disk is full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from engine.agents.ports import EngineAgent

_MB = 1_000_000


class StoreMaintenanceParams(BaseModel):
    """How little room on the disk is too little."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_free_mb: float = Field(default=1_000, ge=0, description="free megabytes on the disk")
    min_free_pct: float = Field(default=0.05, ge=0, lt=1, description="free fraction of the disk")


class StoreMaintenance(EngineAgent):
    """Copies the write-ahead log into the database and renews its statistics."""

    summary: ClassVar[str] = "keeps the store small and watches the room on the disk"
    params_model: ClassVar[type[BaseModel]] = StoreMaintenanceParams
    defaults: ClassVar[Mapping[str, Any]] = {"interval": 300.0, "priority": "idle"}

    async def _run_cycle(self, resource_pool: Any) -> Mapping[str, Any]:  # noqa: ANN401 (as in BaseAgent)
        del resource_pool
        params: StoreMaintenanceParams = self.params
        figures = await self.ports.store.maintain()
        free_mb = figures.free_bytes / _MB
        share = figures.free_bytes / figures.disk_bytes if figures.disk_bytes else 1.0
        if free_mb < params.min_free_mb or share < params.min_free_pct:
            text = f"the disk has {free_mb:,.0f} MB left ({share:.1%}); make room"
            self.context.raise_alert(text, key="disk")
        else:
            self.context.clear_alert("disk")
        return {
            "database_bytes": figures.database_bytes,
            "wal_bytes": figures.wal_bytes,
            "note": (
                f"{figures.database_bytes / _MB:.1f} MB, log {figures.wal_bytes / _MB:.1f} MB, "
                f"{free_mb / 1000:,.0f} GB free"
            ),
        }
