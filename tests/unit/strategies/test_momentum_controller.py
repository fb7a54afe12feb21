"""The sample controller: when it opens what, with which barriers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from engine.flow.errors import ConfigurationError
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.model.orders import TradeType
from engine.model.quotes import QuoteTick
from engine.strategies.controller import ControllerContext, CreateProposal, KeyedDraws
from engine.strategies.momentum import (
    MomentumController,
    MomentumParams,
    round_trip_cost,
    volatility_ppb,
)

MARKET = ConnectorPair("paper", "ACME-USD")
GRID = Instrument(
    MARKET, tick=Decimal("0.01"), lot=Decimal("0.001"), min_qty=Decimal("0.01"), taker_ppb=500_000
)


@dataclass(frozen=True)
class Markets:
    """One market with given mids (in whole ticks) and a spread of two ticks."""

    mids: Sequence[int]
    grid: Instrument = GRID

    def instrument(self, market: ConnectorPair) -> Instrument:
        return self.grid

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        if not self.mids:
            return None
        return QuoteTick(market, 0, self.mids[-1] - 1, self.mids[-1] + 1, 5, 5)

    def trend(self, market: ConnectorPair) -> Sequence[tuple[int, int]]:
        return [(index, 2 * mid) for index, mid in enumerate(self.mids)]


@dataclass(frozen=True)
class Info:
    """An executor as its controller sees it."""

    id: str = "e"
    type: str = "position_executor"
    is_active: bool = True
    side: TradeType | None = TradeType.BUY
    connector_name: str = "paper"
    trading_pair: str = "ACME-USD"
    net_pnl_quote: Decimal = Decimal(0)


RISING = Markets([10_000, 10_010, 10_020, 10_030])
FALLING = Markets([10_030, 10_020, 10_010, 10_000])


def controller(**params: Any) -> MomentumController:
    return MomentumController(
        controller_id="momentum",
        params=MomentumParams.model_validate(
            {"connector_name": "paper", "trading_pair": "ACME-USD"} | params
        ),
    )


def context(
    markets: Markets, *, now_s: int = 100, executors: Sequence[Info] = ()
) -> ControllerContext:
    return ControllerContext(
        controller_id="momentum",
        now_ns=now_s * SECOND_NS,
        markets=markets,
        draws=KeyedDraws(seed=1, stream=100),
        executors=executors,
    )


def config_of(proposals: Sequence[object]) -> dict[str, Any]:
    (proposal,) = proposals
    assert isinstance(proposal, CreateProposal)
    assert proposal.executor_type == "position_executor"
    return proposal.config


@pytest.mark.parametrize(("markets", "side"), [(RISING, "BUY"), (FALLING, "SELL")])
def test_it_opens_with_the_momentum(markets: Markets, side: str) -> None:
    config = config_of(controller(amount_quote=1000).on_tick(context(markets)))
    assert config["side"] == side
    assert (config["connector_name"], config["trading_pair"]) == ("paper", "ACME-USD")
    assert config["triple_barrier_config"]["open_order_type"] == "MARKET"
    assert config["triple_barrier_config"]["time_limit"] == 90


def test_the_amount_is_the_quote_amount_in_whole_lots() -> None:
    config = config_of(controller(amount_quote=1000).on_tick(context(RISING)))
    assert config["amount"] == Decimal("9.970")


def test_it_looks_once_per_interval() -> None:
    sample = controller(interval_s=5)
    assert sample.on_tick(context(RISING, now_s=100))
    assert sample.on_tick(context(RISING, now_s=104)) == []
    assert sample.on_tick(context(RISING, now_s=105))


@pytest.mark.parametrize("markets", [Markets([]), Markets([10_000, 10_010])])
def test_it_waits_for_enough_samples_without_using_up_its_turn(markets: Markets) -> None:
    sample = controller()
    assert sample.on_tick(context(markets)) == []
    assert sample.on_tick(context(RISING))


def test_only_active_executors_of_the_side_and_market_count() -> None:
    others = [
        Info(is_active=False),
        Info(side=TradeType.SELL),
        Info(side=None),
        Info(trading_pair="BETA-USD"),
        Info(connector_name="elsewhere"),
    ]
    assert controller(max_executors_per_side=1).on_tick(context(RISING, executors=others))
    full = [*others, Info()]
    assert controller(max_executors_per_side=1).on_tick(context(RISING, executors=full)) == []
    assert controller(max_executors_per_side=2).on_tick(context(RISING, executors=full))


def test_barriers_are_volatility_units() -> None:
    mids = [10_000, 10_100, 10_000, 10_100]
    unit = volatility_ppb([2 * mid for mid in mids], 60)
    config = config_of(controller(stop_loss=2, take_profit=3).on_tick(context(Markets(mids))))
    barriers = config["triple_barrier_config"]
    exact = Decimal(unit).scaleb(-9)
    assert 0 <= barriers["stop_loss"] - 2 * exact < Decimal("0.000001")
    assert 0 <= barriers["take_profit"] - 3 * exact < Decimal("0.000001")
    trailing = barriers["trailing_stop"]
    assert 0 <= trailing["activation_price"] - exact < Decimal("0.000001")
    assert trailing["trailing_delta"] < trailing["activation_price"]


@pytest.mark.parametrize(
    ("floor", "least"),
    # Twice 0.1 % of fees and 0.04 % of spread both ways: 0.2 % + 2 * 2 * 2 / 20000.
    [("0.01", "0.01"), ("0.0001", "0.0024")],
)
def test_barriers_stay_above_the_floor_and_the_costs(floor: str, least: str) -> None:
    calm = Markets([10_000] * 4)
    config = config_of(controller(floor=floor).on_tick(context(calm)))
    barriers = config["triple_barrier_config"]
    assert barriers["stop_loss"] == barriers["take_profit"] == Decimal(least)


def test_round_trip_cost_is_fees_and_spread() -> None:
    quote = QuoteTick(MARKET, 0, 9_999, 10_001, 1, 1)
    assert round_trip_cost(GRID, quote) == Decimal("0.001") + Decimal("0.0002")


def test_a_still_market_gives_a_keyed_draw_or_nothing() -> None:
    calm = Markets([10_000] * 4)
    sides = {
        config_of(controller().on_tick(context(calm, now_s=second)))["side"] for second in range(30)
    }
    assert sides == {"BUY", "SELL"}
    first, again = (controller().on_tick(context(calm, now_s=9)) for _ in range(2))
    assert first == again


def test_momentum_below_the_threshold_opens_nothing() -> None:
    wobbling = Markets([10_000, 10_100, 10_000, 10_100, 10_001])
    assert controller(threshold=1).on_tick(context(wobbling)) == []


def test_a_spot_market_is_only_bought() -> None:
    spot = replace(GRID, settlement=Settlement.SPOT)
    assert controller().on_tick(context(replace(FALLING, grid=spot))) == []
    assert controller().on_tick(context(replace(RISING, grid=spot)))


def test_an_amount_below_the_smallest_order_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"raise it to at least 1\.003000"):
        controller(amount_quote=1).on_tick(context(RISING))


@pytest.mark.parametrize(
    ("mids", "horizon", "ppb"),
    [
        ([100], 60, 0),
        ([100, 100, 100], 60, 0),
        ([100, 101], 1, 10_000_000),
        ([100, 101], 4, 20_000_000),
    ],
)
def test_volatility_is_the_root_mean_square_over_the_horizon(
    mids: list[int], horizon: int, ppb: int
) -> None:
    assert volatility_ppb(mids, horizon) == ppb
