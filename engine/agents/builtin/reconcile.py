"""Reconciliation: the account against broker, executors and orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from engine.agents.ports import EngineAgent
from engine.scheduling.agent_log import TOLD


class Reconciliation(EngineAgent):
    """Compares the books between two inputs; each difference is an alert until it is gone."""

    summary: ClassVar[str] = "compares the account with broker, executors and open orders"
    defaults: ClassVar[Mapping[str, Any]] = {"interval": 30.0, "cycle_timeout": 20.0}

    def __init__(self, agent_id: str, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(agent_id, config)
        self._told: set[str] = set()

    async def _run_cycle(self, resource_pool: Any) -> Mapping[str, Any]:  # noqa: ANN401 (as in BaseAgent)
        del resource_pool
        container = self.ports.container
        differences = container.differences()
        now = {difference.subject: difference.text for difference in differences}
        for subject, text in now.items():
            self.context.raise_alert(text, key=subject, level="error")
            if subject not in self._told:
                self.logger.error("%s", text, extra=TOLD)
        for subject in self._told - now.keys():
            self.context.clear_alert(subject)
            self.logger.info("%s agrees again", subject)
        self._told = set(now)
        self.increment("differences", len(now))
        markets, orders = len(container.data_handler.markets), container.order_manager.open_count
        agree = f"books agree: {markets} markets, {orders} open orders"
        return {
            "differences": len(now),
            "note": agree if not now else f"{len(now)} differences: {next(iter(now.values()))}",
        }
