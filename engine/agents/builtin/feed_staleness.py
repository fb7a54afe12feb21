"""Watches the age of the quotes, and tells the scheduler how lively the markets are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from engine.agents.market_gauge import MarketGauge
from engine.agents.picture import MarketFacts
from engine.agents.ports import EngineAgent


class FeedStalenessParams(BaseModel):
    """When a feed counts as stale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stale_after_s: float = Field(
        default=30, gt=0, description="least session seconds without a quote of a market"
    )
    patience: float = Field(
        default=5, ge=1, description="times the longest gap of late, for markets that are slow"
    )


_UNKNOWN_PACE: Final = 20
"""A market with few quotes so far gets so many times the least time."""
_KNOWN_FROM: Final = 10
"""Seconds with a quote from which on a market's pace is known."""


class FeedStaleness(EngineAgent):
    """Raises an alert for each market without quotes, until they come again."""

    summary: ClassVar[str] = "watches the age of the quotes of every market"
    params_model: ClassVar[type[BaseModel]] = FeedStalenessParams
    defaults: ClassVar[Mapping[str, Any]] = {
        "interval": 5.0,
        "priority": "high",
        "cycle_timeout": 10.0,
    }

    def __init__(self, agent_id: str, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(agent_id, config)
        self._gauge = MarketGauge()

    async def _run_cycle(self, resource_pool: Any) -> Mapping[str, Any]:  # noqa: ANN401 (as in BaseAgent)
        del resource_pool
        markets = self.context.picture().markets()
        stale = [market for market in markets if self._look_at(market)]
        lively = self._gauge.look(
            markets, inputs=self.ports.recorder.inputs, at_s=self.clock.monotonic()
        )
        self.context.set_market_condition(
            volatility=lively.volatility,
            trading_volume=lively.trading_volume,
            trend=lively.trend,
            liquidity=lively.liquidity,
        )
        ages = [market.age_s for market in markets if market.age_s is not None]
        return {
            "stale": [market.trading_pair for market in stale],
            "oldest_s": max(ages, default=None),
            "note": f"{len(stale)} stale of {len(markets)}, oldest {max(ages, default=0.0):.1f} s",
        }

    def _look_at(self, market: MarketFacts) -> bool:
        """Return whether *market* is stale; say so when that changes."""
        params: FeedStalenessParams = self.params
        name = f"{market.connector_name}:{market.trading_pair}"
        runner = self.ports.runner
        age_s, gap_s = market.age_s, market.longest_gap_s
        is_known = gap_s is not None and len(market.trend) >= _KNOWN_FROM
        usual_s = params.patience * (gap_s or 0.0)
        limit_s = max(params.stale_after_s * (1 if is_known else _UNKNOWN_PACE), usual_s)
        is_stale = not runner.is_simulated and age_s is not None and age_s > limit_s
        if is_stale:
            text = f"no market data of {name} for {age_s:,.0f} s"
            self.context.raise_alert(text, key=name, level="error")
        else:
            self.context.clear_alert(name)
        return is_stale
