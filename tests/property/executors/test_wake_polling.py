"""The wake index gives the same orders as polling every executor on every quote."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.executors.actions import ExecutorAction
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.executors.step import Intent
from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.executors.wake_index import WakeIndex
from engine.model.orders import OrderRequest
from engine.model.quotes import QuoteTick
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench
from engine.testing.scripted_venue import ScriptedVenue


class PollingOrchestrator(ExecutorOrchestrator):
    """The reference: every active executor looks at every quote."""

    def on_quote(self, quote: QuoteTick) -> None:
        for executor in self.executors():
            if executor.is_active:
                self._roster._wakes.update(
                    executor.executor_id,
                    WakeConditions(
                        (PriceTrigger(BENCH_MARKET, PriceField.BID, is_above=True, level=0),),
                        executor.wakes.at_ns,
                    ),
                )
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
    def fraction(low: int, high: int) -> str:
        return f"0.{draw.randint(low, high):04d}"

    open_type = draw.choice(["MARKET", "LIMIT", "LIMIT_MAKER"])
    fields: dict[str, Any] = {
        "side": draw.choice(["BUY", "SELL"]),
        "amount": str(draw.choice([0.02, 0.5, 2])),
        "open_order_type": open_type,
    }
    if draw.random() < 0.5:
        fields["entry_price"] = str(draw.choice([49.5, 49.97, 50, 50.3]))
    if draw.random() < 0.8:
        fields["stop_loss"] = fraction(10, 400)
    if draw.random() < 0.8:
        fields["take_profit"] = fraction(10, 400)
        fields["take_profit_order_type"] = draw.choice(["MARKET", "LIMIT", "LIMIT_MAKER"])
    if draw.random() < 0.5:
        fields["trailing_stop"] = f"{fraction(5, 100)},{fraction(5, 100)}"
    if draw.random() < 0.5:
        fields["time_limit"] = draw.randint(5, 90)
    if draw.random() < 0.3:
        bounds = [fraction(1, 150) for _ in range(2 if open_type == "MARKET" else 1)]
        fields["activation_bounds"] = bounds
    return fields


def run(kind: type[ExecutorOrchestrator], seed: int, executors: int, ticks: int) -> list[object]:
    """Run one random session; return every request and every final report."""
    draw = random.Random(seed)
    bench = ExecutorBench()
    bench.venue = MoodyVenue(bench.venue.instruments.values(), seed=seed)
    bench.venue.fill_cap_lots = draw.choice([None, 300])
    bench.orchestrator = kind(strategy=bench.venue)
    bench.price(500, 501)
    price = 500
    created = 0
    for _ in range(ticks):
        while created < executors and draw.random() < 0.5:
            created += 1
            action = ExecutorAction.create(bench.config(**random_fields(draw)))
            bench.orchestrator.execute_action(action)
            bench.pump()
        bench.advance(draw.choice([0, 0.4, 1, 3]))
        price = max(50, price + draw.choice([-9, -3, -1, -1, 0, 0, 1, 1, 3, 9]))
        bench.price(price, price + draw.randint(0, 2))
    bench.orchestrator.begin_stop(keep_positions=draw.random() < 0.5)
    bench.pump()
    bench.advance(60)
    orders: list[object] = [
        (order.request, order.created_ns, order.filled_lots, order.status)
        for order in bench.venue.orders.values()
    ]
    return orders + list(bench.orchestrator.archived_infos("main"))


@pytest.mark.parametrize("seed", range(8))
def test_waking_equals_polling(seed: int) -> None:
    waking = run(ExecutorOrchestrator, seed, executors=20, ticks=90)
    assert waking == run(PollingOrchestrator, seed, executors=20, ticks=90)
    assert len(waking) > 20


levels = st.integers(1, 40)
triggers = st.builds(
    PriceTrigger,
    st.just(BENCH_MARKET),
    st.sampled_from(PriceField),
    is_above=st.booleans(),
    level=st.integers(1, 80),
)
changes = st.tuples(
    st.sampled_from("abcdef"), st.lists(triggers, max_size=4), st.none() | st.integers(0, 50)
)


@settings(max_examples=150)
@given(st.lists(changes | st.tuples(levels, levels) | st.integers(0, 50), max_size=30))
def test_the_index_fires_what_a_scan_finds(steps: list[Any]) -> None:
    index = WakeIndex()
    prices: dict[str, set[PriceTrigger]] = {}
    times: dict[str, int | None] = {}
    for step in steps:
        if isinstance(step, int):
            due = {name for name, at_ns in times.items() if at_ns is not None and at_ns <= step}
            assert set(index.fire_time(step)) == due
            times |= dict.fromkeys(due)
        elif len(step) == 3:
            name, wanted, at_ns = step
            index.update(name, WakeConditions(tuple(wanted), at_ns))
            prices[name], times[name] = set(wanted), at_ns
        else:
            bid, ask = step
            met = {
                name for name, found in prices.items() if any(_is_met(t, bid, ask) for t in found)
            }
            fired = index.fire_quote(QuoteTick(BENCH_MARKET, 0, bid, ask, 1, 1))
            assert set(fired) == met
            assert len(fired) == len(met)
            for name in met:
                index.remove(name)
                del prices[name], times[name]


def _is_met(trigger: PriceTrigger, bid: int, ask: int) -> bool:
    value = (bid, ask, bid + ask)[trigger.field.value]
    return value >= trigger.level if trigger.is_above else value <= trigger.level
