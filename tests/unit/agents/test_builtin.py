"""The engine's own agents: what they notice, what they ask for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.agents.builtin.feed_staleness import FeedStaleness
from engine.agents.builtin.performance import PerformanceSamples, quantile
from engine.agents.builtin.reconcile import Reconciliation
from engine.agents.builtin.session_health import SessionHealth
from engine.agents.builtin.snapshot import Snapshots, write_snapshot
from engine.agents.builtin.stop_guard import StopGuard
from engine.agents.builtin.store_maintenance import StoreMaintenance
from engine.agents.catalogue import builtin_types
from engine.agents.picture import SessionPicture
from engine.agents.ports import EngineAgent, SessionPorts
from engine.containers.reconciliation import Difference
from engine.executors.stop_check import StopFault, StopProblem
from engine.live.session_runner import SessionState
from engine.store.maintenance import StoreFigures
from engine.store.store import Store
from tests.unit.agents.conftest import Desk

pytestmark = pytest.mark.anyio
GB = 1_000_000_000


class FakeStore:
    """Stands for the store: figures that a test sets."""

    def __init__(self) -> None:
        self.write_ms: float | None = 1.0
        self.figures = StoreFigures(5_000_000, 1_000_000, 0, 50 * GB, 100 * GB)

    async def maintain(self) -> StoreFigures:
        return self.figures


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def make(desk: Desk, store: FakeStore, tmp_path: Path) -> Callable[[type[EngineAgent]], Any]:
    def made(kind: type[EngineAgent], **params: Any) -> Any:
        agent = kind("guard", {"params": params})
        built = desk.session.built
        ports = SessionPorts(
            container=built.container,
            runner=built.runner,
            recorder=built.recorder,
            store=store,  # type: ignore[arg-type]  # as much of a store as agents use
            data_dir=tmp_path,
        )
        desk.attach(agent, ports=ports)
        return agent

    return made


Make = Callable[..., Any]


async def cycle(agent: EngineAgent) -> dict[str, Any]:
    results: dict[str, Any] = (await agent.execute_cycle(None))["results"]
    return results


# --- stop guard ----------------------------------------------------------------------------------


async def test_the_guard_counts_armed_stops_and_leaves_them_alone(make: Make, desk: Desk) -> None:
    desk.session.create()
    desk.session.create(triple_barrier_config={"open_order_type": "MARKET"})
    agent = make(StopGuard)
    assert await cycle(agent) == {"armed": 1, "faults": 0, "note": "1 stops armed"}
    assert not desk.asked


async def test_a_stop_that_is_not_armed_is_told_once_and_the_executor_stopped(
    make: Make, desk: Desk
) -> None:
    executor_id = desk.session.create()
    orchestrator = desk.session.container.orchestrator
    orchestrator._roster._wakes.remove(executor_id)
    agent = make(StopGuard)
    assert (await cycle(agent))["faults"] == 1
    assert f"the stop of executor {executor_id}" in desk.told[0]
    assert desk.asked == [("guard", "stop", {"executor_id": executor_id, "keep_position": False})]
    desk.session.quote(2, "9.99", "10.01")
    assert desk.session.snapshot(executor_id).is_done
    assert (await cycle(agent))["faults"] == 0
    assert not desk.raised
    assert len(desk.told) == 1
    assert agent.metrics["stops_asked"] == 1


async def test_a_guard_may_only_watch(make: Make, desk: Desk) -> None:
    executor_id = desk.session.create()
    desk.session.container.orchestrator._roster._wakes.remove(executor_id)
    agent = make(StopGuard, ask_for_stop=False)
    await cycle(agent)
    await cycle(agent)
    assert not desk.asked
    assert len(desk.told) == 1


async def test_a_refused_stop_is_logged_and_asked_for_again(make: Make, desk: Desk) -> None:
    agent = make(StopGuard)
    fault = StopFault("gone", "main", StopProblem.PASSED, "executor gone is past its stop")
    await agent._deal_with([fault])
    await agent._deal_with([fault])
    assert len(desk.asked) == 2
    assert "stop of gone refused" in agent.log_lines()[-1].text


async def test_the_guard_looks_at_many_executors_in_pieces(make: Make, desk: Desk) -> None:
    for _ in range(120):
        desk.session.create(amount="0.01")
    assert (await cycle(make(StopGuard)))["armed"] == 120


def test_the_guard_is_critical() -> None:
    assert builtin_types()["stop_guard"].defaults["priority"] == "critical"
    assert set(builtin_types()) == {
        "stop_guard", "health", "feed", "reconcile", "performance", "snapshot", "maintenance",
    }  # fmt: skip


# --- session health ------------------------------------------------------------------------------


async def test_health_raises_and_clears_each_figure(
    make: Make, desk: Desk, store: FakeStore
) -> None:
    agent = make(SessionHealth)
    figures = desk.session.built.runner.figures
    desk.session.built.runner.state = SessionState.RUNNING
    assert (await cycle(agent))["note"].startswith("running, tick 0.00 ms")
    figures.lag_ms, figures.tick_ms, figures.problem = 5_000.0, 80.0, "the disk is full"
    store.write_ms = 400.0
    await cycle(agent)
    assert {key.partition(":")[2] for key in desk.raised} == {"lag", "tick", "store", "halted"}
    assert desk.raised["guard:halted"] == ("guard: the disk is full", "error")
    figures.lag_ms, figures.tick_ms, figures.problem, store.write_ms = 1.0, 0.1, "", None
    await cycle(agent)
    assert not desk.raised


# --- feed staleness ------------------------------------------------------------------------------


async def test_a_market_without_quotes_is_stale_until_they_come(make: Make, desk: Desk) -> None:
    runner = desk.session.built.runner
    runner._pace._ratio = (1, 1)  # not the simulated clock
    for second in range(2, 12):
        desk.session.quote(second, "9.99", "10.01")
    agent = make(FeedStaleness, stale_after_s=5)
    assert (await cycle(agent))["stale"] == []
    desk.session.timer(29)
    assert (await cycle(agent))["stale"] == ["AAA-USDT"]
    assert desk.told == ["guard: no market data of sim:AAA-USDT for 18 s"]
    assert desk.raised["guard:sim:AAA-USDT"][1] == "error"
    desk.session.quote(30, "9.99", "10.01")
    assert (await cycle(agent))["stale"] == []
    assert not desk.raised
    assert 0 <= desk.market["volatility"] <= 1


@pytest.mark.parametrize(("quotes", "at", "stale"), [
    ((), 90, False), ((), 110, True), ((2, 3), 90, False), ((2, 3), 110, True),
    (tuple(range(11, 110, 10)), 150, False), (tuple(range(11, 110, 10)), 155, True),
])  # fmt: skip
async def test_a_slow_market_gets_more_time(
    quotes: tuple[int, ...], at: int, stale: bool, make: Make, desk: Desk
) -> None:
    desk.session.built.runner._pace._ratio = (1, 1)  # not the simulated clock
    for second in quotes:
        desk.session.quote(second, "9.99", "10.01")
    desk.session.timer(at)
    agent = make(FeedStaleness, stale_after_s=5, patience=5)
    assert bool((await cycle(agent))["stale"]) is stale


async def test_the_simulated_clock_has_no_stale_feed(make: Make, desk: Desk) -> None:
    desk.session.timer(3_600)
    assert (await cycle(make(FeedStaleness)))["stale"] == []


# --- reconciliation ------------------------------------------------------------------------------


async def test_books_that_agree_and_books_that_do_not(make: Make, desk: Desk) -> None:
    agent = make(Reconciliation)
    desk.session.create()
    assert (await cycle(agent))["note"] == "books agree: 2 markets, 0 open orders"
    container = agent.ports.container
    wrong = (Difference("sim:AAA-USDT", "sim:AAA-USDT: the account holds 1, the broker 2"),)
    stub = _Differs(container, wrong)
    agent.attach_ports(replace(agent.ports, container=stub))
    await cycle(agent)
    assert (await cycle(agent))["differences"] == 1
    assert desk.raised["guard:sim:AAA-USDT"][1] == "error"
    assert sum("the broker 2" in line.text for line in agent.log_lines()) == 1
    agent.attach_ports(replace(agent.ports, container=container))
    assert (await cycle(agent))["differences"] == 0
    assert not desk.raised


class _Differs:
    """A container whose books do not agree."""

    def __init__(self, container: Any, differences: tuple[Difference, ...]) -> None:
        self.data_handler = container.data_handler
        self.order_manager = container.order_manager
        self._differences = differences

    def differences(self) -> tuple[Difference, ...]:
        return self._differences


# --- performance, snapshots, store ---------------------------------------------------------------


async def test_performance_is_sampled(make: Make, desk: Desk) -> None:
    agent = make(PerformanceSamples)
    assert "no inputs yet" in (await cycle(agent))["note"]
    desk.session.built.runner.figures.ticks_ms.extend(i / 10 for i in range(100))
    result = await cycle(agent)
    assert (result["tick_p50_ms"], result["tick_p95_ms"]) == (5.0, 9.5)
    assert list(agent.trend) == [9.5]
    assert "tick p50 5.000 ms p95 9.500 ms" in agent.log_lines()[-1].text
    assert quantile([3.0], 0.99) == 3.0


def read(path: Path) -> tuple[int, str]:
    return path.stat().st_mode & 0o777, path.read_text(encoding="utf-8")


async def test_a_snapshot_says_what_the_session_holds(
    make: Make, desk: Desk, tmp_path: Path
) -> None:
    executor_id = desk.session.create()
    result = await cycle(make(Snapshots))
    path = Path(result["path"])
    assert path.parent == tmp_path / "snapshots"
    mode, text = read(path)
    assert mode == 0o600
    values = json.loads(text)
    assert values["session_id"] == "s-1"
    assert values["positions"] == [
        {"market": "sim:AAA-USDT", "amount": "2.000", "value_quote": "20.00000"}
    ]
    assert [one["id"] for one in values["executors"]] == [executor_id]
    assert values["journal"]["entries"] == 0


def test_old_snapshots_go(desk: Desk, tmp_path: Path) -> None:
    for number in range(25):
        published = replace(desk.session.published(), id=f"s-{number}")
        write_snapshot(tmp_path, SessionPicture(published), {})
    assert len(list(tmp_path.glob("*.json"))) == 20


async def test_a_full_disk_is_told(make: Make, desk: Desk, store: FakeStore) -> None:
    agent = make(StoreMaintenance)
    assert (await cycle(agent))["note"] == "5.0 MB, log 1.0 MB, 50 GB free"
    store.figures = replace(store.figures, free_bytes=GB // 2)
    await cycle(agent)
    assert desk.told == ["guard: the disk has 500 MB left (0.5%); make room"]
    store.figures = replace(store.figures, free_bytes=50 * GB)
    await cycle(agent)
    assert not desk.raised


async def test_the_store_is_maintained_while_it_is_open(tmp_path: Path) -> None:
    async with Store.open(tmp_path, now_ns=1) as store:
        figures = await store.maintain()
    assert figures.database_bytes > 0
    assert figures.free_bytes > 0
    assert figures.pages_left == 0
