"""Sample: stops controllers when the session has lost too much from its best equity."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from engine.agents.session_agent import SessionAgent
from engine.flow.errors import OperationError
from engine.model.clock import SECOND_NS


class DrawdownGuardParams(BaseModel):
    """How much may be lost, who is stopped then, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_drawdown_pct: Decimal = Field(
        default=Decimal("0.02"), gt=0, lt=1, description="fraction of the best equity"
    )
    controllers: tuple[str, ...] = Field(min_length=1, description="ids of the controllers")
    keep_position: bool = Field(default=False, description="whether stopped executors keep theirs")
    pause_s: float | None = Field(
        default=None,
        gt=0,
        description="session seconds until they go on; none: until somebody starts them",
    )


class DrawdownGuard(SessionAgent):
    """Follows the best equity; below it by more than the limit, the controllers are stopped.

    After the pause they go on, and the best equity is counted anew.
    """

    summary: ClassVar[str] = "stops controllers when the drawdown is too large"
    params_model: ClassVar[type[BaseModel]] = DrawdownGuardParams
    defaults: ClassVar[Mapping[str, Any]] = {"interval": 5.0, "priority": "high"}

    def __init__(self, agent_id: str, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(agent_id, config)
        self._best: Decimal | None = None
        self._stopped_ns: int | None = None

    async def _run_cycle(self, resource_pool: Any) -> Mapping[str, Any]:  # noqa: ANN401 (as in BaseAgent)
        del resource_pool
        params: DrawdownGuardParams = self.params
        picture = self.context.picture()
        equity = picture.account.equity
        if self._stopped_ns is not None:
            return await self._wait_or_go_on(params, picture.now_ns, equity)
        self._best = equity if self._best is None else max(self._best, equity)
        drawdown = (self._best - equity) / self._best if self._best > 0 else Decimal(0)
        if drawdown < params.max_drawdown_pct:
            return {"drawdown": float(drawdown), "note": f"drawdown {drawdown:.3%}"}
        await self._stop_controllers(params)
        self._stopped_ns = picture.now_ns
        self.increment("stops")
        names = ", ".join(params.controllers)
        self.context.raise_alert(f"drawdown {drawdown:.3%}, {names} stopped", key="drawdown")
        return {"drawdown": float(drawdown), "note": f"drawdown {drawdown:.3%}: stopped {names}"}

    async def _stop_controllers(self, params: DrawdownGuardParams) -> None:
        refused: list[str] = []
        for controller_id in params.controllers:
            result = await self.context.stop_controller(
                controller_id, keep_position=params.keep_position
            )
            if result.ok:
                self.logger.warning("%s", result.message)
            else:
                refused.append(result.message)
        if refused:
            raise OperationError("; ".join(refused))

    async def _wait_or_go_on(
        self, params: DrawdownGuardParams, now_ns: int, equity: Decimal
    ) -> Mapping[str, Any]:
        waited_s = (now_ns - (self._stopped_ns or now_ns)) / SECOND_NS
        if params.pause_s is None or waited_s < params.pause_s:
            left = "" if params.pause_s is None else f", {params.pause_s - waited_s:.0f} s left"
            return {"note": f"controllers are stopped{left}"}
        for controller_id in params.controllers:
            await self.context.start_controller(controller_id)
        self._stopped_ns, self._best = None, equity
        self.context.clear_alert("drawdown")
        self.logger.info("controllers go on")
        return {"note": "controllers go on"}
