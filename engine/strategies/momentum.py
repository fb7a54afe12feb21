"""Sample controller: opens position executors in the direction of short-term momentum."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from math import isqrt
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from engine.flow.errors import ConfigurationError
from engine.model.clock import SECOND_NS
from engine.model.instruments import PPB, ConnectorPair, Instrument
from engine.model.orders import OrderType, TradeType
from engine.model.quotes import QuoteTick
from engine.strategies.controller import ControllerContext, ControllerProposal, CreateProposal

_BARRIER_STEP: Final = Decimal("0.000001")


class MomentumParams(BaseModel):
    """Parameters of `MomentumController`.

    Barrier distances are given in volatility units: one unit is the expected move (root mean
    square) over ``volatility_horizon`` samples. No distance is below ``floor``, nor below
    ``cost_multiple`` times the fees and spread of one entry and exit: barriers are net of costs,
    so a nearer stop would be hit at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    connector_name: str = Field(min_length=1, description="venue connector of the market")
    trading_pair: str = Field(pattern="^[^-]+-[^-]+$", description="market, BASE-QUOTE")
    amount_quote: Decimal = Field(
        default=Decimal(1000), gt=0, description="size of one position in quote"
    )
    leverage: int = Field(default=1, ge=1, description="leverage of the orders")
    interval_s: int = Field(default=5, ge=1, description="seconds between two looks")
    lookback: int = Field(
        default=15, ge=2, description="samples (at most one per second) that make the momentum"
    )
    min_samples: int = Field(default=3, ge=2, description="samples needed for the first look")
    threshold: Decimal = Field(
        default=Decimal(0), ge=0, description="least momentum, in volatility units"
    )
    max_executors_per_side: int = Field(
        default=2, ge=1, description="most active executors on one side"
    )
    volatility_horizon: int = Field(
        default=60, ge=1, description="samples whose expected move is one volatility unit"
    )
    stop_loss: Decimal = Field(
        default=Decimal("1.5"), gt=0, description="stop loss, in volatility units"
    )
    take_profit: Decimal = Field(
        default=Decimal(2), gt=0, description="take profit, in volatility units"
    )
    trailing_activation: Decimal = Field(
        default=Decimal(1), gt=0, description="gain that starts trailing, in volatility units"
    )
    trailing_delta: Decimal = Field(
        default=Decimal("0.4"), gt=0, description="distance of the trail, in volatility units"
    )
    floor: Decimal = Field(
        default=Decimal("0.0005"), gt=0, description="least barrier distance, a fraction"
    )
    cost_multiple: Decimal = Field(
        default=Decimal(2), ge=1, description="least barrier distance, in costs of a round trip"
    )
    time_limit_s: int = Field(default=90, ge=1, description="seconds until a position is closed")

    @property
    def market(self) -> ConnectorPair:
        """Return the market."""
        return ConnectorPair(self.connector_name, self.trading_pair)


class MomentumController:
    """Looks every ``interval_s`` and opens one position executor with the momentum.

    A market that stands still has no momentum; then a keyed draw picks the side if the threshold
    is 0. A spot market is only bought. All arithmetic is in integers: returns in parts per billion.
    """

    def __init__(self, *, controller_id: str, params: MomentumParams) -> None:
        self._controller_id = controller_id
        self._params = params
        self._next_look_ns = 0

    @property
    def controller_id(self) -> str:
        """Return the id, unique in the session."""
        return self._controller_id

    def on_tick(self, context: ControllerContext) -> list[ControllerProposal]:
        """Propose at most one position executor.

        Raises:
            ConfigurationError: ``amount_quote`` buys less than the market's smallest order.
        """
        params = self._params
        if context.now_ns < self._next_look_ns:
            return []
        mids = [mid for _, mid in context.markets.trend(params.market)][-params.lookback - 1 :]
        quote = context.markets.quote(params.market)
        if quote is None or len(mids) < params.min_samples:
            return []
        self._next_look_ns = context.now_ns + params.interval_s * SECOND_NS
        unit_ppb = volatility_ppb(mids, params.volatility_horizon)
        momentum_ppb = (mids[-1] - mids[0]) * PPB // mids[0]
        if abs(momentum_ppb) < params.threshold * unit_ppb:
            return []
        side = self._side(momentum_ppb, context)
        instrument = context.markets.instrument(params.market)
        if side is TradeType.SELL and not instrument.is_perpetual:
            return []
        if self._active(side, context) >= params.max_executors_per_side:
            return []
        config = self._config(side, unit_ppb, quote, instrument)
        return [CreateProposal("position_executor", config)]

    def _side(self, momentum_ppb: int, context: ControllerContext) -> TradeType:
        if momentum_ppb:
            return TradeType.BUY if momentum_ppb > 0 else TradeType.SELL
        half = 0.5
        return TradeType.BUY if context.draws.uniform(context.now_ns) < half else TradeType.SELL

    def _active(self, side: TradeType, context: ControllerContext) -> int:
        market = self._params.market
        return sum(
            executor.is_active
            and executor.side is side
            and executor.trading_pair == market.trading_pair
            and executor.connector_name == market.connector_name
            for executor in context.executors
        )

    def _config(
        self, side: TradeType, unit_ppb: int, quote: QuoteTick, instrument: Instrument
    ) -> dict[str, object]:
        params = self._params
        least = max(params.floor, params.cost_multiple * round_trip_cost(instrument, quote))

        def distance(units: Decimal) -> Decimal:
            exact = max((units * unit_ppb).scaleb(-9), least)
            return exact.quantize(_BARRIER_STEP, ROUND_CEILING)

        return {
            "connector_name": params.connector_name,
            "trading_pair": params.trading_pair,
            "side": side.name,
            "amount": self._amount(quote, instrument),
            "leverage": params.leverage,
            "level_id": "momentum",
            "triple_barrier_config": {
                "stop_loss": distance(params.stop_loss),
                "take_profit": distance(params.take_profit),
                "time_limit": params.time_limit_s,
                "trailing_stop": {
                    "activation_price": distance(params.trailing_activation),
                    "trailing_delta": distance(params.trailing_delta),
                },
                "open_order_type": OrderType.MARKET.name,
            },
        }

    def _amount(self, quote: QuoteTick, instrument: Instrument) -> Decimal:
        mid_twice = quote.bid_ticks + quote.ask_ticks
        per_base = instrument.tick * mid_twice * instrument.multiplier / 2
        lots = instrument.floor_lots(self._params.amount_quote / per_base)
        if lots < instrument.min_lots:
            least = instrument.qty(instrument.min_lots) * per_base
            raise ConfigurationError(
                f"controller {self._controller_id}: amount_quote {self._params.amount_quote} "
                f"buys less than the smallest order of {instrument.market}; "
                f"raise it to at least {least.quantize(_BARRIER_STEP)}"
            )
        return instrument.qty(lots)


def volatility_ppb(mids: Sequence[int], horizon: int) -> int:
    """Return the expected move over *horizon* samples in parts per billion, rounded down.

    It is the root mean square of the returns between samples, times the square root of the
    horizon; 0 for fewer than two samples.
    """
    returns = [(after - before) * PPB // before for before, after in pairwise(mids)]
    if not returns:
        return 0
    return isqrt(sum(item * item for item in returns) * horizon // len(returns))


def round_trip_cost(instrument: Instrument, quote: QuoteTick) -> Decimal:
    """Return the taker fees and the spread of one entry and exit as a fraction of the price."""
    fees = Decimal(2 * instrument.taker_ppb).scaleb(-9)
    spread = Decimal(2 * (quote.ask_ticks - quote.bid_ticks))
    return fees + spread / (quote.bid_ticks + quote.ask_ticks)
