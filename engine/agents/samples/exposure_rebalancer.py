"""Sample: keeps the exposure in one market near a target by trading the difference."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from engine.agents.session_agent import SessionAgent
from engine.flow.errors import OperationError


class ExposureRebalancerParams(BaseModel):
    """Where the exposure should be and how far it may go before it is brought back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connector_name: str = Field(description="venue connector of the market")
    trading_pair: str = Field(pattern="^[^-]+-[^-]+$", description="market, BASE-QUOTE")
    target_quote: Decimal = Field(default=Decimal(0), description="wanted net exposure in quote")
    band_quote: Decimal = Field(gt=0, description="distance from the target that is left alone")
    leverage: int = Field(default=1, ge=1, description="leverage of the orders")


class ExposureRebalancer(SessionAgent):
    """Trades the whole difference with one market order whenever the band is left.

    While an order of its own works it waits, so that nothing is traded twice.
    """

    summary: ClassVar[str] = "brings the exposure back to its target"
    params_model: ClassVar[type[BaseModel]] = ExposureRebalancerParams
    defaults: ClassVar[Mapping[str, Any]] = {"interval": 10.0}

    async def _run_cycle(self, resource_pool: Any) -> Mapping[str, Any]:  # noqa: ANN401 (as in BaseAgent)
        del resource_pool
        params: ExposureRebalancerParams = self.params
        picture = self.context.picture()
        market = picture.market(params.connector_name, params.trading_pair)
        if market is None or market.mid is None:
            raise OperationError(
                f"there is no price of {params.connector_name}:{params.trading_pair}"
            )
        place = (params.connector_name, params.trading_pair)
        exposure = sum(
            (
                position.value_quote
                for position in picture.positions()
                if (position.connector_name, position.trading_pair) == place
            ),
            Decimal(0),
        )
        if any(picture.executors(controller_id=self.agent_id)):
            return {"note": f"exposure {exposure:+,.0f}, an order works"}
        excess = exposure - params.target_quote
        if abs(excess) <= params.band_quote:
            return {"exposure": float(exposure), "note": f"exposure {exposure:+,.0f}, in its band"}
        instrument = market.instrument
        lots = instrument.floor_lots(abs(excess) / (market.mid * instrument.multiplier))
        if lots < instrument.min_lots:
            return {"note": f"exposure {exposure:+,.0f}, too little to trade"}
        side = "SELL" if excess > 0 else "BUY"
        amount = instrument.qty(lots)
        result = await self.context.create_executor(
            "order_executor",
            {
                "connector_name": params.connector_name,
                "trading_pair": params.trading_pair,
                "side": side,
                "amount": str(amount),
                "execution_strategy": "MARKET",
                "leverage": params.leverage,
                "level_id": "rebalance",
            },
        )
        if not result.ok:
            raise OperationError(f"{side} {amount}: {result.message}")
        self.increment("trades")
        self.logger.info("exposure %s: %s %s", f"{exposure:+,.0f}", side, amount)
        return {
            "exposure": float(exposure),
            "note": f"exposure {exposure:+,.0f}: {side} {amount:f}",
        }
