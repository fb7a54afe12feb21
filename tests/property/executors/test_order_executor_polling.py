"""Waking by conditions equals polling on every quote, for the order, TWAP and two-venue types."""

from __future__ import annotations

import random
from typing import Any

import pytest

from engine.executors.actions import ExecutorAction
from engine.executors.factory import ExecutorFactory
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.executors.order_executor import OrderExecutor
from engine.executors.step import Intent
from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderRequest
from engine.model.quotes import QuoteTick
from engine.testing.executor_bench import bench_instrument
from engine.testing.scripted_venue import ScriptedVenue
from engine.testing.type_bench import TypeBench

VENUES = tuple(
    bench_instrument(market=ConnectorPair(name, "BTC-USDT"), taker_ppb=300_000, maker_ppb=100_000)
    for name in ("alpha", "beta")
)


class PollingOrchestrator(ExecutorOrchestrator):
    """The reference: every active executor looks at every quote of every market."""

    def on_quote(self, quote: QuoteTick) -> None:
        always = (PriceTrigger(quote.market, PriceField.BID, is_above=True, level=0),)
        for executor in self.executors():
            if executor.is_active:
                conditions = WakeConditions(always, executor.wakes.at_ns)
                self._roster._wakes.update(executor.executor_id, conditions)
        super().on_quote(quote)


class MoodyVenue(ScriptedVenue):
    """Rejects every seventh order and forgets every fifth cancel."""

    def carry_out(self, intent: Intent) -> None:
        if isinstance(intent, OrderRequest):
            self.rejections = int(len(self.orders) % 7 == 3)
        else:
            self.is_deaf = len(self.cancels) % 5 == 2
        super().carry_out(intent)


def random_fields(draw: random.Random) -> dict[str, Any]:
    """Return the configuration of a random executor of one of the four types."""
    kind = draw.choice(["order", "twap", "arbitrage", "xemm"])
    side = draw.choice(["BUY", "SELL"])
    fields: dict[str, Any]
    single = {
        "connector_name": draw.choice(["alpha", "beta"]),
        "trading_pair": "BTC-USDT",
        "side": side,
    }
    markets = draw.sample(["alpha:BTC-USDT", "beta:BTC-USDT"], 2)
    double = {
        "buying_market": markets[0],
        "selling_market": markets[1],
        "order_amount": draw.choice(["0.05", "0.4", "1"]),
    }
    match kind:
        case "order":
            fields = single | {
                "amount": draw.choice(["0.05", "0.4"]),
                "execution_strategy": draw.choice(
                    ["LIMIT_CHASER", "LIMIT_CHASER", "LIMIT", "MARKET", "LIMIT_MAKER"]
                ),
                "price": draw.choice(["49", "50", "51"]),
                "chaser_config": {
                    "distance": draw.choice(["0.002", "0.01"]),
                    "refresh_threshold": draw.choice(["0.003", "0.02"]),
                },
            }
        case "twap":
            fields = single | {
                "total_amount_quote": draw.choice(["20", "77"]),
                "total_duration": draw.randint(5, 60),
                "order_interval": draw.randint(2, 9),
                "mode": draw.choice(["MAKER", "TAKER"]),
                "limit_order_buffer": draw.choice(["0", "0.005"]),
                "order_resubmission_time": draw.choice([None, 3]),
            }
        case "arbitrage":
            fields = double | {"min_profitability": draw.choice(["0", "0.01", "0.03"])}
        case _:
            fields = double | {
                "maker_side": side,
                "min_profitability": draw.choice(["-0.01", "0.001"]),
                "target_profitability": draw.choice(["0.002", "0.01"]),
                "max_profitability": draw.choice(["0.011", "0.04"]),
            }
    return fields | {"type": f"{kind}_executor"}


def run(kind: type[ExecutorOrchestrator], seed: int) -> list[object]:
    """Run one random session; return every order and every final report."""
    draw = random.Random(seed)
    bench = TypeBench(OrderExecutor, "order_executor", {}, *VENUES, venue_type=MoodyVenue)
    bench.venue.fill_cap_lots = draw.choice([None, 130])
    bench.orchestrator = kind(strategy=bench.venue)
    mids = [500, 500]
    for market in (0, 1):
        bench.price(500, 501, market=market)
    for index in range(120):
        if index < 24:
            fields = random_fields(draw)
            config = ExecutorFactory.get_config_type(fields["type"])(**fields)
            bench.orchestrator.execute_action(ExecutorAction.create(config))
            bench.pump()
        bench.advance(draw.choice([0, 0.4, 1, 3]))
        market = draw.randint(0, 1)
        mids[market] = max(400, mids[market] + draw.choice([-7, -2, -1, 0, 0, 1, 2, 7]))
        bench.price(mids[market], mids[market] + draw.randint(0, 2), market=market)
    bench.orchestrator.begin_stop(keep_positions=draw.random() < 0.5)
    bench.pump()
    bench.advance(120)
    orders: list[object] = [
        (order.request, order.created_ns, order.filled_lots, order.status)
        for order in bench.venue.orders.values()
    ]
    return orders + [
        (info.id, info.close_type, info.net_pnl_quote, info.is_handed_over)
        for info in bench.orchestrator.archived_infos("main")
    ]


@pytest.mark.parametrize("seed", range(10))
def test_waking_equals_polling(seed: int) -> None:
    waking = run(ExecutorOrchestrator, seed)
    assert waking == run(PollingOrchestrator, seed)
    assert len(waking) > 40
