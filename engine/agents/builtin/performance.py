"""Samples how fast the session is: what one input takes, and how much memory the process has."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from anyio import to_thread

from engine.agents.ports import EngineAgent

_KEPT: Final = 24


class PerformanceSamples(EngineAgent):
    """Keeps the newest samples for the dashboard and writes each into the log."""

    summary: ClassVar[str] = "samples what an input takes and what the process needs"
    defaults: ClassVar[Mapping[str, Any]] = {"interval": 10.0, "cycle_timeout": 10.0}

    def __init__(self, agent_id: str, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(agent_id, config)
        self._process: Any = None
        self.tick_p50_ms: float | None = None
        self.tick_p95_ms: float | None = None
        self.trend: deque[float] = deque(maxlen=_KEPT)
        """The last p95 values in milliseconds, oldest first."""

    async def _run_cycle(self, resource_pool: Any) -> Mapping[str, Any]:  # noqa: ANN401 (as in BaseAgent)
        del resource_pool
        ticks = sorted(self.ports.runner.figures.ticks_ms)
        memory_mb = await to_thread.run_sync(self._memory_mb)
        if not ticks:
            return {"memory_mb": memory_mb, "note": f"no inputs yet, {memory_mb:.0f} MB"}
        self.tick_p50_ms, self.tick_p95_ms = quantile(ticks, 0.5), quantile(ticks, 0.95)
        self.trend.append(self.tick_p95_ms)
        recorder = self.ports.recorder
        self.logger.info(
            "tick p50 %.3f ms p95 %.3f ms, %d inputs, %d fills, %.0f MB",
            self.tick_p50_ms,
            self.tick_p95_ms,
            recorder.inputs,
            recorder.fill_count,
            memory_mb,
        )
        return {
            "tick_p50_ms": self.tick_p50_ms,
            "tick_p95_ms": self.tick_p95_ms,
            "memory_mb": memory_mb,
            "note": f"p50 {self.tick_p50_ms:.2f} p95 {self.tick_p95_ms:.2f} ms, {memory_mb:.0f} MB",
        }

    def _memory_mb(self) -> float:
        """Return the resident memory of this process; reads files, so call it in a thread."""
        if self._process is None:
            import psutil

            self._process = psutil.Process()
        return float(self._process.memory_info().rss) / 1e6


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which *share* of the *ordered* values lie; at least one value."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
