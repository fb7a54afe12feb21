"""Rule 4 of the architecture: the same inputs give the same effects, whatever the seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.session_plan import SessionPlan
from engine.containers.inputs import (
    ActionInput,
    SessionInput,
    StartInput,
    StopInput,
    TimerInput,
    decode,
    encode,
)
from engine.markets.merged_feed import MergedFeed, TimerTick
from engine.markets.synthetic import SyntheticConfig, SyntheticSource
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair
from engine.strategies.momentum import MomentumController, MomentumParams
from engine.strategies.sma_cross import SmaCross, SmaCrossParams
from engine.testing.small_session import (
    MARKET,
    OTHER,
    START_NS,
    SmallSession,
    instrument_of,
    small_plan,
)

INPUTS = 500


def plan_of(seed: int) -> SessionPlan:
    """Return a plan with a controller on one market and a strategy on the other, newly made."""
    params = MomentumParams.model_validate(
        {
            "connector_name": "sim",
            "trading_pair": "AAA-USDT",
            "interval_s": 2,
            "amount_quote": 500,
            "time_limit_s": 20,
        }
    )
    plan = small_plan(
        controllers=[MomentumController(controller_id="m", params=params)],
        strategies=[(OTHER, SmaCross(SmaCrossParams(fast=2, slow=4)))],
        sections={"session": {"seed": seed, "bar": "5s"}},
    )
    return replace(plan, sources=tuple(source(market, seed) for market in (MARKET, OTHER)))


def source(market: ConnectorPair, seed: int) -> SyntheticSource:
    config = SyntheticConfig(start_price=Decimal(100), volatility_annual_pct=Decimal(15))
    return SyntheticSource(instrument=instrument_of(market), config=config, seed=seed)


def inputs_of(plan: SessionPlan) -> Iterator[SessionInput]:
    """Return the inputs of a short session in which somebody meddles."""
    yield StartInput(START_NS)
    now_ns = START_NS
    feed = MergedFeed(plan.sources, start_ns=START_NS)
    for number, item in enumerate(islice(feed, INPUTS)):
        now_ns = item.ts_ns
        yield TimerInput(now_ns) if isinstance(item, TimerTick) else item
        if number == INPUTS // 4:
            values = {
                "connector_name": "sim",
                "trading_pair": "BBB-USDT",
                "side": "SELL",
                "amount": "1.5",
                "triple_barrier_config": {"open_order_type": "MARKET", "take_profit": "0.001"},
            }
            arguments = {"executor_type": "position_executor", "config": values}
            yield ActionInput(now_ns, "r", "operator", "create", arguments)
    yield StopInput(now_ns, keep_positions=False, actor="operator")
    yield TimerInput(now_ns + 5 * SECOND_NS)


def story(session: SmallSession, inputs: list[SessionInput]) -> list[object]:
    """Return everything that the inputs caused, as values."""
    told: list[object] = []
    for item in inputs:
        effects = session.apply(item)
        archived = [one.executor.snapshot() for one in effects.archived]
        told.append((replace(effects, archived=[]), archived))
    container = session.container
    told.append(container.portfolio.account_snapshot())
    told.append(container.orchestrator.snapshots(include_archived=True))
    return told


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_the_same_inputs_give_the_same_effects(seed: int) -> None:
    inputs = list(inputs_of(plan_of(seed)))
    first, second = SmallSession(plan_of(seed)), SmallSession(plan_of(seed))
    replayed = [decode(*encode(item)) for item in inputs]
    assert story(first, inputs) == story(second, replayed)
    assert first.container.executor_count > 1
    assert first.container.is_stopped


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_money_is_conserved_to_the_last_digit(seed: int) -> None:
    session = SmallSession(plan_of(seed))
    story(session, list(inputs_of(plan_of(seed))))
    fills = session.built.recorder.fills
    account = session.container.portfolio.account_snapshot()
    instruments = {market: instrument_of(market) for market in (MARKET, OTHER)}
    spent = sum(
        fill.side.sign * instruments[fill.market].money(fill.notional_atoms) for fill in fills
    )
    fees = sum(instruments[fill.market].money(fill.fee_atoms) for fill in fills)
    worth = sum(
        position.amount * position.mark_price
        for position in account.positions
        if position.mark_price is not None
    )
    assert account.equity == account.initial_equity - spent - fees + worth
    assert account.fees == fees
