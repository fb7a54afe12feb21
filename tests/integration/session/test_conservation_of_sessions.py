"""Conservation: fills x prices and fees are the change of cash and positions, to the last digit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.api import Engine
from engine.api.build import build_container
from engine.config.session_plan import SessionPlan, load_session_plan
from engine.containers.inputs import SessionInput, StartInput, StopInput, TimerInput
from engine.containers.session_container import SessionContainer
from engine.markets.merged_feed import MergedFeed, TimerTick
from engine.model.clock import SECOND_NS
from engine.model.orders import Fill, TradeType
from engine.store.records import EquityRecord, FillRecord, PositionRecord, SessionRecord
from engine.store.store import Store

START_NS = 1_767_600_000 * SECOND_NS
INITIAL = Decimal(100_000)


def signed(fill: FillRecord) -> Decimal:
    """Return the amount of *fill*, negative if it was sold."""
    return fill.amount if fill.side == "BUY" else -fill.amount


async def run_and_read(
    path: Path, data_dir: Path
) -> tuple[SessionRecord, list[FillRecord], list[PositionRecord], list[EquityRecord]]:
    async with Engine.open(config=path, data_dir=data_dir) as engine:
        await engine.wait_until_ended()
    async with Store.open(data_dir, now_ns=0) as store:
        (session,) = await store.sessions()
        key = session.session_id
        return (
            session,
            list(await store.fills(key)),
            list(await store.positions(key)),
            list(await store.equity(key)),
        )


@pytest.mark.parametrize("on_end", ["flatten", "keep"])
def test_an_hour_of_market_time_conserves_cash_and_positions(
    write_session: Callable[..., Path], tmp_path: Path, on_end: str
) -> None:
    length = {"flatten": "1h", "keep": "5m"}[on_end]
    path = write_session(
        "deterministic.yaml",
        {"end_after: 30m": f"end_after: {length}", "on_end: flatten": f"on_end: {on_end}"},
    )
    session, fills, positions, samples = anyio.run(run_and_read, path, tmp_path / "data")
    assert session.status == "stopped"
    assert len(fills) == session.fills > 20
    assert all(fill.price * fill.amount == fill.quote for fill in fills)
    cash = INITIAL
    equity = INITIAL
    for position in positions:
        market = (position.connector_name, position.trading_pair)
        mine = [one for one in fills if (one.connector_name, one.trading_pair) == market]
        paid = sum((signed(one) * one.price for one in mine), Decimal(0))
        fees = sum((one.fee_quote for one in mine), Decimal(0))
        assert position.amount == sum(map(signed, mine), Decimal(0))
        assert position.fees == fees
        cash -= paid + fees
        assert position.held == position.amount, "nothing is managed any more"
        mark = position.mark_price or Decimal(0)
        # Both sides of the same books: what was paid, and what the position says that it made.
        assert position.realized_pnl + position.unrealized_pnl == position.amount * mark - paid
        equity += position.realized_pnl + position.unrealized_pnl - fees
    if on_end == "flatten":
        assert all(position.amount == 0 for position in positions)
        assert session.equity == cash
    assert session.equity == equity
    assert session.fees == sum((one.fee_quote for one in fills), Decimal(0))
    assert session.realized_pnl == sum((one.realized_pnl for one in positions), Decimal(0))
    made = session.realized_pnl + session.unrealized_pnl
    assert session.equity == INITIAL + made - session.fees
    for sample in samples:
        assert sample.equity == INITIAL + sample.realized_pnl + sample.unrealized_pnl - sample.fees


def inputs(plan: SessionPlan, *, seconds: int, keep: bool) -> Iterable[SessionInput]:
    """Return what a session of *plan* is fed: *seconds* of market, a stop, ten more seconds."""
    feed = MergedFeed(plan.sources, start_ns=START_NS)
    end_ns = START_NS + seconds * SECOND_NS

    def until(limit_ns: int) -> Iterable[SessionInput]:
        while (due := feed.peek_ns()) is not None and due <= limit_ns:
            item = next(feed)
            yield TimerInput(item.ts_ns) if isinstance(item, TimerTick) else item

    yield StartInput(START_NS)
    yield from until(end_ns)
    yield StopInput(end_ns, keep, "plan")
    yield from until(end_ns + 10 * SECOND_NS)


def check_books(container: SessionContainer, fills: list[Fill]) -> None:
    """Check the account against nothing but *fills* and the marks."""
    account = container.portfolio.account_snapshot()
    equity = INITIAL
    for position in account.positions:
        instrument = position.instrument
        mine = [fill for fill in fills if fill.market == position.market]
        lots = sum(fill.lots if fill.side is TradeType.BUY else -fill.lots for fill in mine)
        assert position.net_lots == lots
        for fill in mine:
            price, amount = instrument.price(fill.ticks), instrument.qty(fill.lots)
            assert instrument.money(fill.notional_atoms) == price * amount
            equity -= price * amount * fill.side.sign + instrument.money(fill.fee_atoms)
        equity += instrument.qty(lots) * (position.mark_price or 0)
    assert {fill.market for fill in fills} <= {one.market for one in account.positions}
    assert account.equity == equity


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 2**62),
    seconds=st.integers(5, 90),
    size=st.integers(10, 20_000),
    keep=st.booleans(),
)
def test_books_balance_at_every_instant_of_any_session(
    write_session: Callable[..., Path], seed: int, seconds: int, size: int, keep: bool
) -> None:
    path = write_session(
        "deterministic.yaml",
        {"seed: 7": f"seed: {seed}", "amount_quote: 1500": f"amount_quote: {size}"},
    )
    plan = load_session_plan(path)
    container = build_container(plan, container_id="paper_x", start_ns=0)
    fills: list[Fill] = []
    for item in inputs(plan, seconds=seconds, keep=keep):
        effects = container.apply(item)
        fills.extend(effects.fills)
        if effects.fills or isinstance(item, TimerInput):
            check_books(container, fills)
    assert container.is_stopped
    account = container.portfolio.account_snapshot()
    assert keep or not any(position.net_lots for position in account.positions)
    check_books(container, fills)
