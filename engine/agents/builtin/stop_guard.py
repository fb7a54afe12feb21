"""The second look at stops: every active executor with one is armed, and none is past it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import anyio.lowlevel
from pydantic import BaseModel, ConfigDict, Field

from engine.agents.ports import EngineAgent
from engine.executors.stop_check import StopFault, protective_level
from engine.scheduling.agent_log import TOLD

_AT_ONCE: Final = 100
"""Executors looked at before others get their turn on the loop."""


class StopGuardParams(BaseModel):
    """What the guard does about a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ask_for_stop: bool = Field(
        default=True, description="whether an executor whose stop has a fault is stopped"
    )


class StopGuard(EngineAgent):
    """Trusts neither the wake index nor the executors: it looks at every stop itself.

    A fault is an alert, and the executor is asked to stop and to close its position; again in every
    cycle in which the fault is still there.
    """

    summary: ClassVar[str] = "checks that every stop is armed and that none was passed"
    params_model: ClassVar[type[BaseModel]] = StopGuardParams
    is_protected: ClassVar[bool] = True
    defaults: ClassVar[Mapping[str, Any]] = {
        "interval": 2.0,
        "priority": "critical",
        "cycle_timeout": 10.0,
    }

    def __init__(self, agent_id: str, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(agent_id, config)
        self._told: set[str] = set()

    async def _run_cycle(self, resource_pool: Any) -> Mapping[str, Any]:  # noqa: ANN401 (as in BaseAgent)
        del resource_pool
        orchestrator = self.ports.container.orchestrator
        armed, faults = 0, list[StopFault]()
        for number, executor in enumerate(orchestrator.executors(), start=1):
            if number % _AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
            if protective_level(executor.snapshot()) is None:
                continue
            fault = orchestrator.stop_fault(executor)
            if fault is None:
                armed += 1
            else:
                faults.append(fault)
        await self._deal_with(faults)
        note = f"{armed} stops armed" if not faults else f"{len(faults)} stops have a fault"
        return {"armed": armed, "faults": len(faults), "note": note}

    async def _deal_with(self, faults: list[StopFault]) -> None:
        params: StopGuardParams = self.params
        now = {fault.executor_id for fault in faults}
        for executor_id in self._told - now:
            self.context.clear_alert(executor_id)
        for fault in faults:
            self.context.raise_alert(fault.text, key=fault.executor_id, level="error")
            if fault.executor_id not in self._told:
                self.logger.error("%s", fault.text, extra=TOLD)
        self._told = now
        self.increment("faults", len(faults))
        if not params.ask_for_stop:
            return
        for fault in faults:
            result = await self.context.stop_executor(fault.executor_id, keep_position=False)
            self.increment("stops_asked")
            if not result.ok:
                self.logger.error("stop of %s refused: %s", fault.executor_id, result.message)
