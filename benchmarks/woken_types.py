"""What one woken executor of each type costs, orders that it places included.

It is the thread's processor time: a busy machine must not look like a slow executor.
"""

from __future__ import annotations

import gc
import random
import time
from typing import Any, Final

from benchmarks.harness import Finding
from engine.executors.actions import ExecutorAction
from engine.executors.factory import ExecutorFactory
from engine.model.clock import SECOND_NS
from engine.model.orders import TradeType
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench, bench_instrument

START_TICKS: Final = 640_000
START_PRICE: Final = 64_000
STEP_NS: Final = SECOND_NS // 10
TICKS: Final = 300
MOST_US: Final = 50
KINDS: Final = (
    ("position, trailing stop", 500),
    ("position, resting take profit", 500),
    ("progressive", 500),
    ("dca", 500),
    ("grid", 150),
    ("twap", 500),
    ("order, chaser", 500),
)


def woken_findings() -> list[Finding]:
    """Measure each type in a walk that wakes it again and again."""
    return [_finding(kind, size) for kind, size in KINDS]


def _finding(kind: str, size: int) -> Finding:
    draw = random.Random(3)
    bench = ExecutorBench(bench_instrument(maker_ppb=100_000, taker_ppb=200_000))
    bench.price(START_TICKS, START_TICKS + 1)
    for _ in range(size):
        plain = _config(kind, draw)
        config = ExecutorFactory.get_config_type(plain["type"]).model_validate(plain)  # type: ignore[attr-defined]  # built-in configurations are pydantic models
        result = bench.orchestrator.execute_action(ExecutorAction.create(config))
        if not result.ok:
            raise ValueError(f"{kind}: {result.message}")
        _settle(bench)
    orchestrator, venue, draw = bench.orchestrator, bench.venue, random.Random(5)
    price, spent, woken = START_TICKS, 0.0, orchestrator.woken
    gc.collect()  # what making the crowd left is not the cost of waking it
    for _ in range(TICKS):
        price += draw.choice((-30, 10, 20, 30))
        venue.clock.advance_to(venue.now_ns() + STEP_NS)
        quote = venue.set_quote(BENCH_MARKET, price, price + 1)
        bench.pump()
        started = time.thread_time()
        orchestrator.on_quote(quote)
        orchestrator.on_time(venue.now_ns())
        spent += time.thread_time() - started
        _settle(bench)
    woken = orchestrator.woken - woken
    cost = spent / max(woken, 1) * 1e6
    name = f"one woken of {size:,}: {kind}"
    return Finding(name, "us", [cost], target=f"at most {MOST_US}", is_met=cost <= MOST_US)


def _settle(bench: ExecutorBench) -> None:
    """Let the venue answer, and forget what is over."""
    bench.pump()
    bench.orchestrator.take_changed()
    bench.orchestrator.take_notices()
    orders = bench.venue.orders
    for order_id in [name for name, order in orders.items() if not order.is_open]:
        del orders[order_id]
    bench.venue.fills.clear()


def _config(kind: str, draw: random.Random) -> dict[str, Any]:
    """Return a configuration that a walk of a percent wakes often and seldom ends."""
    side = draw.choice((TradeType.BUY, TradeType.SELL))
    common = {
        "connector_name": BENCH_MARKET.connector_name,
        "trading_pair": BENCH_MARKET.trading_pair,
        "side": side.name,
    }
    barriers: dict[str, Any] = {
        "open_order_type": "MARKET",
        "stop_loss": "0.05",
        "time_limit": 864_000,
    }
    trailing = f"{draw.uniform(0.0005, 0.005):.6f},{draw.uniform(0.001, 0.01):.6f}"
    match kind:
        case "position, trailing stop":
            barriers["trailing_stop"] = trailing
            return common | _position("position_executor", barriers)
        case "position, resting take profit":
            barriers |= {
                "trailing_stop": trailing,
                "take_profit": f"{draw.uniform(0.01, 0.05):.6f}",
            }
            barriers["take_profit_order_type"] = "LIMIT"
            return common | _position("position_executor", barriers)
        case "progressive":
            ladder = f"{trailing},0.002:0.2|0.01:0.5|0.05:1"
            barriers |= {"apr_yield": "1", "trailing_stop": ladder}
            return common | _position("progressive_executor", barriers)
        case "dca":
            steps = (0.0, draw.uniform(0.0005, 0.005), draw.uniform(0.005, 0.01))
            prices = [f"{START_PRICE * (1 - side.sign * step):.1f}" for step in steps]
            return common | {
                "type": "dca_executor",
                "amounts_quote": "1500,1500,1500",
                "prices": ",".join(prices),
                "trailing_stop": trailing,
                "time_limit": 864_000,
            }
        case "grid":
            del barriers["open_order_type"]
            barriers |= {"take_profit": f"{draw.uniform(0.001, 0.003):.6f}"}
            barriers |= {"take_profit_order_type": "LIMIT", "trailing_stop": trailing}
            return common | {
                "type": "grid_executor",
                "start_price": "63000",
                "end_price": "65500",
                "limit_price": "60000" if side is TradeType.BUY else "68000",
                "total_amount_quote": "20000",
                "activation_bounds": "0.01",
                "min_spread_between_orders": "0.003",
                "min_order_amount_quote": "1000",
                "triple_barrier_config": barriers,
            }
        case "twap":
            return common | {
                "type": "twap_executor",
                "total_amount_quote": "10000",
                "total_duration": 25,
                "order_interval": 5,
            }
        case _:
            return common | {
                "type": "order_executor",
                "amount": "0.05",
                "execution_strategy": "LIMIT_CHASER",
                "chaser_config": {
                    "distance": "0.0002",
                    "refresh_threshold": f"{draw.uniform(0.0003, 0.001):.6f}",
                },
            }


def _position(type_name: str, barriers: dict[str, Any]) -> dict[str, Any]:
    return {"type": type_name, "amount": "0.2", "triple_barrier_config": barriers}
