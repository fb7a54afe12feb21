"""Backtests of the engine: queued, run in a worker process, cancelled, stored, listed again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from engine import flow
from engine.api.backtest_desk import BacktestDesk
from engine.api.backtest_views import BacktestStatus
from engine.api.board import Board
from engine.api.commands import CancelBacktest, DeleteBacktest, RunBacktest
from engine.api.queries import ConsoleQueries
from engine.config.document import ConfigError
from engine.live.clock import SystemClock
from engine.store.store import Store

SAMPLES = Path(__file__).resolve().parents[3] / "sample_configs"
pytestmark = pytest.mark.anyio

STUCK = """\
from engine.strategies.strategy import Strategy


class Stuck(Strategy):
    def on_bar(self, bar):
        while self.ctx.bar_index() == 100:
            pass
"""
STUBBORN = """\
from engine.strategies.strategy import Strategy


class Stuck(Strategy):
    def on_bar(self, bar):
        while self.ctx.bar_index() == 100:
            try:
                while True:
                    pass
            except BaseException:
                pass
"""
STUCK_FILE = """\
version: 1
backtest:
  allow_imports: [stuck]
  timeout_s: {timeout}
  data:
    - {{symbol: SPX, path: {path}, bar: 1d}}
  components:
    strategy: {{class: stuck.Stuck}}
"""


class Bench:
    def __init__(self, desk: BacktestDesk, queries: ConsoleQueries, notes: list[str]) -> None:
        self.desk = desk
        self.queries = queries
        self.notes = notes

    async def until_final(self) -> str:
        """Wait until the newest backtest has ended; return its id."""
        with anyio.fail_after(60):
            while True:
                self.desk.publish()
                rows = self.queries.backtests()
                counts = self.desk.executor.status_counts()
                busy = counts[flow.EventStatus.PROCESSING.value]
                if rows and rows[0].status.is_final and not busy:
                    return rows[0].id
                await anyio.sleep(0.02)  # a worker process is waited for, in real time

    async def until_bar(self, backtest_id: str, bar: int) -> None:
        """Wait until a backtest has come to a bar."""
        with anyio.fail_after(60):
            while True:
                self.desk.publish()
                detail = self.queries.backtest(backtest_id)
                if detail is not None and detail.row.bars_done >= bar:
                    return
                await anyio.sleep(0.02)  # a worker process is waited for, in real time


@asynccontextmanager
async def bench(data_dir: Path) -> AsyncIterator[Bench]:
    clock, board, notes = SystemClock(), Board(), list[str]()
    async with Store.open(data_dir, now_ns=clock.now_ns()) as store:
        desk = BacktestDesk(
            board=board,
            clock=clock,
            data_dir=data_dir,
            write=store.write,
            note=lambda level, text: notes.append(f"{level} {text}"),
        )
        await desk.start(await store.backtests())
        try:
            yield Bench(desk, ConsoleQueries(board), notes)
        finally:
            await desk.shutdown()


async def test_a_backtest_is_run_stored_and_listed_after_a_restart(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        command = RunBacktest(
            path=str(SAMPLES / "backtest.yaml"),
            overrides=("seed=5",),
            backtest_engine="events",
        )
        assert "is queued" in await made.desk.perform(command)
        backtest_id = await made.until_final()
        detail = made.queries.backtest(backtest_id)
        assert detail is not None
        row = detail.row
        assert row.status is BacktestStatus.COMPLETED
        assert (row.bars_done, row.n_trades) == (5031, 88)
        assert detail.config["seed"] == 5
        view = made.queries.backtest_result(backtest_id)
        assert view is not None
        assert view.trade_count == 88
        states = made.desk.executor.status_counts()
        assert states[flow.EventStatus.COMPLETED.value] == 1
        said = [line.partition(" info ")[2] for line in detail.log]
        assert said[0] == "queued"
        assert said[1].startswith("runs in process ")
        assert "runs on the event path" in detail.log[3]
        assert said[-1] == "ended completed"
    async with bench(tmp_path) as again:
        (listed,) = again.queries.backtests()
        assert listed == row
        stored = again.queries.backtest(backtest_id)
        assert stored is not None
        assert stored.log == detail.log
        assert await again.desk.perform(DeleteBacktest(backtest_id=backtest_id))
        assert again.queries.backtests() == ()
        assert not await anyio.Path(detail.folder).exists()


async def test_a_stuck_strategy_is_broken_off_at_its_limit_and_on_demand(tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text(STUCK, encoding="utf-8")
    file = tmp_path / "stuck.yaml"
    path = SAMPLES / "data" / "sp500-1d.csv"
    async with bench(tmp_path / "data") as made:
        file.write_text(STUCK_FILE.format(timeout="0.5", path=path), encoding="utf-8")
        await made.desk.perform(RunBacktest(path=str(file)))
        first = made.queries.backtest(await made.until_final())
        assert first is not None
        assert first.row.status is BacktestStatus.FAILED
        assert "did not end within 0.5 s (timeout_s)" in first.row.error
        assert first.summary["partial"]
        assert first.summary["bars"] == 101
        assert made.queries.backtest_result(first.row.id) is not None
        file.write_text(STUCK_FILE.format(timeout="100", path=path), encoding="utf-8")
        await made.desk.perform(RunBacktest(path=str(file)))
        second_id = made.queries.backtests()[0].id
        await made.until_bar(second_id, 1)
        await made.desk.perform(CancelBacktest(backtest_id=second_id))
        second = made.queries.backtest(await made.until_final())
        assert second is not None
        assert second.row.status is BacktestStatus.CANCELLED
        assert (second.summary["partial"], second.summary["bars"]) == (True, 101)


async def test_a_strategy_that_cannot_be_broken_off_is_killed(tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text(STUBBORN, encoding="utf-8")
    file = tmp_path / "stuck.yaml"
    path = SAMPLES / "data" / "sp500-1d.csv"
    async with bench(tmp_path / "data") as made:
        file.write_text(STUCK_FILE.format(timeout="0.2", path=path), encoding="utf-8")
        await made.desk.perform(RunBacktest(path=str(file)))
        detail = made.queries.backtest(await made.until_final())
        assert detail is not None
        assert detail.row.status is BacktestStatus.FAILED
        assert "nor when it was stopped at bar" in detail.row.error
        assert "its worker was killed" in detail.row.error


async def test_a_queued_backtest_can_be_cancelled_before_it_begins(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        for _ in range(2):
            await made.desk.perform(RunBacktest(path=str(SAMPLES / "backtest.yaml")))
        newest = made.queries.backtests()[0].id
        await made.desk.perform(CancelBacktest(backtest_id=newest))
        with anyio.fail_after(60):
            while True:
                made.desk.publish()
                rows = made.queries.backtests()
                if all(one.status.is_final for one in rows):
                    break
                await anyio.sleep(0.02)
        states = {one.id: one.status for one in made.queries.backtests()}
        assert states[newest] is BacktestStatus.CANCELLED
        assert sorted(states.values()) == [BacktestStatus.CANCELLED, BacktestStatus.COMPLETED]


async def test_what_cannot_be_run_is_said_at_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        with pytest.raises(ConfigError, match="does not exist"):
            await made.desk.perform(RunBacktest(path=str(tmp_path / "none.yaml")))
        with pytest.raises(flow.NotFoundError, match="there is no backtest bt-1"):
            await made.desk.perform(DeleteBacktest(backtest_id="bt-1"))
        with pytest.raises(flow.NotFoundError, match="bt-1 is not running"):
            await made.desk.perform(CancelBacktest(backtest_id="bt-1"))
        assert made.queries.backtest_result("bt-1") is None
