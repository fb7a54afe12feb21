"""Sample: scales the barriers of progressive executors to the market's volatility."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from engine.agents.picture import MarketFacts
from engine.agents.session_agent import SessionAgent


class VolatilityWatcherParams(BaseModel):
    """Which market is watched, over which time, and how far it must move."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connector_name: str = Field(description="venue connector of the market")
    trading_pair: str = Field(pattern="^[^-]+-[^-]+$", description="market, BASE-QUOTE")
    horizon_s: int = Field(
        default=300, ge=1, description="seconds whose expected move is the volatility"
    )
    min_samples: int = Field(default=20, ge=2, description="seconds that must have been seen")
    step: float = Field(
        default=0.15, gt=0, lt=10, description="least relative change that is passed on"
    )
    floor: Decimal = Field(
        default=Decimal("0.0005"), gt=0, description="least volatility, a fraction of the price"
    )


class VolatilityWatcher(SessionAgent):
    """Measures the expected move over ``horizon_s`` and updates the progressive executors.

    The stop loss of an updated executor is 1.1 times the volatility, the other barriers scale
    along.
    """

    summary: ClassVar[str] = "scales progressive executors to the volatility"
    params_model: ClassVar[type[BaseModel]] = VolatilityWatcherParams
    defaults: ClassVar[Mapping[str, Any]] = {"interval": 15.0}

    def __init__(self, agent_id: str, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(agent_id, config)
        self._passed_on: dict[str, float] = {}

    async def _run_cycle(self, resource_pool: Any) -> Mapping[str, Any]:  # noqa: ANN401 (as in BaseAgent)
        del resource_pool
        params: VolatilityWatcherParams = self.params
        picture = self.context.picture()
        market = picture.market(params.connector_name, params.trading_pair)
        if market is None:
            raise ValueError(
                f"the session does not trade {params.connector_name}:{params.trading_pair}"
            )
        if len(market.trend) < params.min_samples:
            return {"note": f"{len(market.trend)} of {params.min_samples} samples"}
        volatility = max(expected_move(market.trend, params.horizon_s), float(params.floor))
        updated = 0
        active = [
            executor.id
            for executor in picture.executors(executor_type="progressive_executor")
            if self._is_watched(market, executor.connector_name, executor.trading_pair)
        ]
        for executor_id in active:
            before = self._passed_on.get(executor_id)
            if before is not None and abs(volatility / before - 1) < params.step:
                continue
            changes = {"volatility": f"{volatility:.6f}"}
            result = await self.context.update_executor(executor_id, changes)
            if result.ok:
                self._passed_on[executor_id] = volatility
                updated += 1
            else:
                self.logger.warning("update of %s refused: %s", executor_id, result.message)
        self._passed_on = {key: self._passed_on[key] for key in active if key in self._passed_on}
        self.increment("updates", updated)
        return {
            "volatility": volatility,
            "updated": updated,
            "note": f"volatility {volatility:.3%}, {updated} of {len(active)} updated",
        }

    def _is_watched(self, market: MarketFacts, connector_name: str, trading_pair: str) -> bool:
        return (connector_name, trading_pair) == (market.connector_name, market.trading_pair)


def expected_move(mids: Sequence[float], horizon: int) -> float:
    """Return the root mean square of the returns between samples, times the root of *horizon*.

    A fraction of the price; 0 for fewer than two samples.
    """
    squares = [((after - before) / before) ** 2 for before, after in pairwise(mids) if before]
    return math.sqrt(math.fsum(squares) / len(squares) * horizon) if squares else 0.0
