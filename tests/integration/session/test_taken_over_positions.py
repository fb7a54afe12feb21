"""A session that begins with positions and pays funding: account and controllers agree."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from engine.api import Engine
from engine.api.build import build_container
from engine.config.session_plan import SessionPlan, load_session_plan
from engine.containers.inputs import SessionInput, StartInput, StopInput, TimerInput
from engine.containers.session_container import SessionContainer
from engine.markets.merged_feed import MergedFeed, TimerTick
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair
from engine.store.records import EquityRecord
from engine.store.store import Store

START_NS = 1_767_600_000 * SECOND_NS
PERPETUAL = ConnectorPair("paper_perpetual", "BTC-USDT")
SPOT = ConnectorPair("paper_spot", "ETH-USDT")
TEXT = """\
version: 1
session: {name: test, speed: max, start: 2026-01-05T08:00:00Z, seed: 5}
account: {currency: USDT, initial_balance: 100000}
venues:
  - {name: paper_perpetual}
  - {name: paper_spot, kind: spot}
markets:
  - venue: paper_perpetual
    pair: BTC-USDT
    tick: 0.1
    lot: 0.0001
    source: {kind: synthetic}
    funding: {rate: 0.0001, interval: 20s}
  - venue: paper_spot
    pair: ETH-USDT
    tick: 0.1
    lot: 0.001
    source: {kind: synthetic, start_price: 3000}
controllers:
  - id: momentum
    kind: momentum
    params: {connector_name: paper_perpetual, trading_pair: BTC-USDT}
initial_positions:
  - {connector_name: paper_perpetual, trading_pair: BTC-USDT, amount: 0.5, side: SELL}
  - {connector_name: paper_spot, trading_pair: ETH-USDT, amount: 2.5, side: BUY}
  - controller_id: momentum
    connector_name: paper_perpetual
    trading_pair: BTC-USDT
    amount: 0.2
    side: BUY
"""


@pytest.fixture
def plan(tmp_path: Path) -> SessionPlan:
    path = tmp_path / "session.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return load_session_plan(path)


def inputs(plan: SessionPlan, seconds: int) -> Iterator[SessionInput]:
    yield StartInput(START_NS)
    for item in MergedFeed(plan.sources, start_ns=START_NS, funding=plan.funding):
        if item.ts_ns > START_NS + seconds * SECOND_NS:
            return
        yield TimerInput(item.ts_ns) if isinstance(item, TimerTick) else item


def made_by_controllers(container: SessionContainer) -> Decimal:
    reports = container.orchestrator.get_all_performance().values()
    return sum((report.global_pnl_quote for report in reports), Decimal(0))


def test_account_and_controllers_agree_at_every_instant(plan: SessionPlan) -> None:
    container = build_container(plan, container_id="test", start_ns=0)
    taken = funded = compared = 0
    account = container.portfolio.account_snapshot()
    for item in inputs(plan, 90):
        notices = container.apply(item).notices
        taken += sum("is taken over" in notice.text for notice in notices)
        funded += sum("funding of" in notice.text for notice in notices)
        assert container.differences() == ()
        account = container.portfolio.account_snapshot()
        if any(executor.is_active for executor in container.orchestrator.executors()):
            continue  # they value what they have open at the touch, the account at the mid
        compared += 1
        made = account.equity - account.initial_equity
        # A position hold's cost is a whole number of atoms, of which half a tick is no multiple.
        assert abs(made - made_by_controllers(container)) <= Decimal("1e-7")
    assert taken == 2
    assert compared > 20
    assert funded == 4
    report = container.orchestrator.get_performance_report("main")
    assert account.funding != 0
    assert report.funding_quote > 0, "the short gets what the longs pay"
    total = container.orchestrator.get_all_performance().values()
    assert account.funding == sum((one.funding_quote for one in total), Decimal(0))


def test_they_are_worth_the_first_mid_and_no_fee_is_paid(plan: SessionPlan) -> None:
    container = build_container(plan, container_id="test", start_ns=0)
    for item in inputs(plan, 0):
        container.apply(item)
    account = container.portfolio.account_snapshot()
    perpetual, spot = account.positions
    assert (perpetual.amount, spot.amount) == (Decimal("-0.3"), Decimal("2.5"))
    assert account.fees == account.unrealised == 0
    assert spot.mark_price is not None
    # What the spot market holds was paid before the session; a perpetual costs nothing to have.
    assert account.initial_equity == account.equity == 100_000 + spot.mark_price * Decimal("2.5")
    held = {one.trading_pair: one for one in container.orchestrator.positions("main")}
    assert held["BTC-USDT"].amount == Decimal("0.5")
    assert held["BTC-USDT"].volume_traded_quote == 0


def test_flattening_can_reduce_what_was_taken_over(plan: SessionPlan) -> None:
    container = build_container(plan, container_id="test", start_ns=0)
    for item in inputs(plan, 5):
        container.apply(item)
    container.apply(StopInput(START_NS + 6 * SECOND_NS, keep_positions=False, actor="test"))
    container.flatten("test")
    assert [one.amount for one in container.portfolio.account_snapshot().positions] == [0, 0]


async def run_and_read(path: Path, data_dir: Path) -> tuple[list[EquityRecord], Decimal, Decimal]:
    async with Engine.open(config=path, data_dir=data_dir) as engine:
        await engine.wait_until_ended()
    async with Store.open(data_dir, now_ns=0) as store:
        (session,) = await store.sessions()
        key = session.session_id
        positions, performance = await store.positions(key), await store.performance(key)
        newest = {one.controller_id: one for one in performance}
        return (
            list(await store.equity(key)),
            sum((one.funding for one in positions), Decimal(0)),
            sum((one.funding for one in newest.values()), Decimal(0)),
        )


def test_the_store_tells_funding_beside_fees(tmp_path: Path) -> None:
    path = tmp_path / "session.yaml"
    perpetual_only = TEXT.replace(
        "  - {connector_name: paper_spot, trading_pair: ETH-USDT, amount: 2.5, side: BUY}\n", ""
    ).replace("seed: 5}", "seed: 5, end_after: 2m}")
    path.write_text(perpetual_only, encoding="utf-8")
    samples, paid, shared = anyio.run(run_and_read, path, tmp_path / "data")
    for sample in samples:
        made = sample.realized_pnl + sample.unrealized_pnl - sample.fees + sample.funding
        assert sample.equity == 100_000 + made
    assert samples[-1].funding != 0
    assert paid == samples[-1].funding
    # The newest sample of the controllers is from before the last payments.
    assert 0 < shared < paid
