"""Watches over a session: whether it keeps up, trades, and can be written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from engine.agents.ports import EngineAgent


class SessionHealthParams(BaseModel):
    """From which figures on something is wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_lag_ms: float = Field(default=2_000, gt=0, description="how late inputs may be taken")
    max_tick_ms: float = Field(default=50, gt=0, description="time that one input may take")
    max_store_ms: float = Field(default=250, gt=0, description="time that a commit may take")
    max_queue: int = Field(default=200, ge=1, description="requests that may wait")


class SessionHealth(EngineAgent):
    """Raises an alert for each figure that is out of bounds, until it is back."""

    summary: ClassVar[str] = "watches over the session's pace, its state and its store"
    params_model: ClassVar[type[BaseModel]] = SessionHealthParams
    defaults: ClassVar[Mapping[str, Any]] = {
        "interval": 5.0,
        "priority": "high",
        "cycle_timeout": 10.0,
    }

    async def _run_cycle(self, resource_pool: Any) -> Mapping[str, Any]:  # noqa: ANN401 (as in BaseAgent)
        del resource_pool
        params: SessionHealthParams = self.params
        runner = self.ports.runner
        figures = runner.figures
        lag_ms, tick_ms = figures.lag_ms or 0.0, figures.tick_ms or 0.0
        store_ms = self.ports.store.write_ms or 0.0
        self._check("halted", is_wrong=bool(figures.problem), text=figures.problem)
        self._check(
            "lag", is_wrong=lag_ms > params.max_lag_ms, text=f"inputs are {lag_ms:,.0f} ms late"
        )
        self._check(
            "tick", is_wrong=tick_ms > params.max_tick_ms, text=f"an input takes {tick_ms:,.0f} ms"
        )
        self._check(
            "store",
            is_wrong=store_ms > params.max_store_ms,
            text=f"a commit takes {store_ms:,.0f} ms",
        )
        self._check(
            "queue",
            is_wrong=runner.queue_length > params.max_queue,
            text=f"{runner.queue_length:,} requests wait",
        )
        return {
            "state": runner.state.value,
            "lag_ms": lag_ms,
            "tick_ms": tick_ms,
            "store_ms": store_ms,
            "queue": runner.queue_length,
            "note": f"{runner.state.value}, tick {tick_ms:.2f} ms, lag {lag_ms:,.0f} ms",
        }

    def _check(self, key: str, *, is_wrong: bool, text: str) -> None:
        if is_wrong:
            self.context.raise_alert(text, key=key, level="error" if key == "halted" else "warning")
        else:
            self.context.clear_alert(key)
