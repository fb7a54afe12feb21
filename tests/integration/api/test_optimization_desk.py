"""Studies inside the engine: tracked, listed, cancelled, resumed."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import polars as pl
import pytest
import yaml

from engine.api.board import Board
from engine.api.commands import CancelOptimization, HoldOptimization, RunOptimization
from engine.api.optimization_desk import OptimizationDesk
from engine.api.optimization_export import export_optimization
from engine.api.optimization_files import OptimizationFileError
from engine.api.optimization_views import StudyDetail, StudyStatus, heatmap_of
from engine.flow.errors import EngineError, NotFoundError
from engine.live.clock import SystemClock

pytestmark = pytest.mark.anyio

SAMPLES = pathlib.Path(__file__).parents[3] / "sample_configs"


def written(folder: pathlib.Path, **more: Any) -> str:
    section = {
        "name": "two means",
        "base": str(SAMPLES / "backtest.yaml"),
        "parallelism": "thread",
        "max_workers": 2,
        "space": {"fast": [5, 10, 50], "slow": [40, 60]},
        **more,
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "optimization": section}))
    return str(path)


def slow_base() -> dict[str, Any]:
    """The sample backtest on the event path: there is time to act on a study of it."""
    base: dict[str, Any] = yaml.safe_load((SAMPLES / "backtest.yaml").read_text())["backtest"]
    base["engine"] = "events"
    base["data"][0]["path"] = str(SAMPLES / base["data"][0]["path"])
    return base


class Bench:
    def __init__(self, folder: pathlib.Path) -> None:
        self.board = Board()
        self.notes: list[str] = []
        self.desk = OptimizationDesk(
            board=self.board,
            clock=SystemClock(),
            data_dir=folder,
            note=lambda level, text: self.notes.append(f"{level} {text}"),
        )

    @property
    def only(self) -> StudyDetail:
        (detail,) = self.board.optimizations.values()
        return detail

    async def until(self, condition: Callable[[StudyDetail], bool]) -> StudyDetail:
        with anyio.fail_after(60):
            while not condition(self.only):
                await anyio.sleep(0.01)
                await self.desk.refresh()
        return self.only


@asynccontextmanager
async def opened(folder: pathlib.Path) -> AsyncIterator[Bench]:
    bench = Bench(folder)
    await bench.desk.start()
    try:
        yield bench
    finally:
        await bench.desk.shutdown()


async def test_a_study_is_run_tracked_and_listed_after_a_restart(tmp_path: pathlib.Path) -> None:
    async with opened(tmp_path / "data") as bench:
        told = await bench.desk.perform(RunOptimization(path=written(tmp_path)))
        detail = await bench.until(lambda one: one.row.status.is_final)
        assert told == f"study {detail.row.id} is queued"
        row = detail.row
        assert (row.status, row.name, row.done, row.total) == (
            StudyStatus.COMPLETED,
            "two means",
            6,
            6,
        )
        assert row.failed == 1  # 50 is not below 40
        assert row.best is not None
        assert detail.report["best"]["index"] == row.best.index
        assert bench.desk.trials.status_counts()["completed"] == 5
        assert bench.desk.trials.status_counts()["failed"] == 1
        await bench.until(lambda _: bench.desk.executor.status_counts()["completed"] == 1)
        assert any("completed" in note for note in bench.notes)
    async with opened(tmp_path / "data") as again:
        kept = again.only
        assert kept.row.status is StudyStatus.COMPLETED
        assert kept.trials == detail.trials
        assert kept.report == detail.report
        assert kept.parameters == {"fast": (5, 10, 50), "slow": (40, 60)}


async def test_a_cancelled_study_can_be_gone_on_with(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, base=slow_base(), space={"fast": {"range": [2, 32]}, "slow": [40, 50]})
    async with opened(tmp_path / "data") as bench:
        await bench.desk.perform(RunOptimization(path=path))
        study_id = bench.only.row.id
        await bench.until(lambda one: len(one.trials) >= 2)
        await bench.desk.perform(CancelOptimization(study_id=study_id))
        detail = await bench.until(lambda one: one.row.status.is_final)
        assert detail.row.status is StudyStatus.CANCELLED
        done = sum(trial.status == "DONE" for trial in detail.trials)
        assert 2 <= done < 60
        await bench.desk.perform(RunOptimization(resume=study_id))
        detail = await bench.until(lambda one: one.row.status.is_final)
        assert detail.row.status is StudyStatus.COMPLETED
        assert detail.report["resumed"] == done
        assert len(detail.trials) == 60


async def test_a_study_can_be_held_and_goes_on_where_it_was(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, base=slow_base(), space={"fast": {"range": [2, 22]}, "slow": [40, 50]})
    async with opened(tmp_path / "data") as bench:
        await bench.desk.perform(RunOptimization(path=path))
        study_id = bench.only.row.id
        await bench.until(lambda one: len(one.trials) >= 2)
        told = await bench.desk.perform(HoldOptimization(study_id=study_id))
        assert told == f"study {study_id} is held: trials that run end, no others begin"
        assert bench.only.row.status is StudyStatus.HELD
        for _ in range(3):  # what has been begun may still end
            await bench.desk.refresh()
        assert bench.only.row.done < 40
        await bench.desk.perform(HoldOptimization(study_id=study_id, held=False))
        detail = await bench.until(lambda one: one.row.status.is_final)
        assert detail.row.status is StudyStatus.COMPLETED
        assert len(detail.trials) == 40
        with pytest.raises(NotFoundError, match="is not running"):
            await bench.desk.perform(HoldOptimization(study_id=study_id))


async def test_a_study_is_exported_with_its_report(tmp_path: pathlib.Path) -> None:
    async with opened(tmp_path / "data") as bench:
        await bench.desk.perform(RunOptimization(path=written(tmp_path)))
        detail = await bench.until(lambda one: one.row.status.is_final)
    files = export_optimization(detail, str(tmp_path / "out"))
    names = [pathlib.Path(file).name for file in files]
    assert names == ["trials.csv", "trials.parquet", "study.json", "report.html"]
    frame = pl.read_parquet(files[1])
    assert frame["fast"].to_list() == [5, 5, 10, 10, 50, 50]
    assert frame["sharpe"].dtype == pl.Float64
    with pytest.raises(NotFoundError, match="no trial has ended"):
        export_optimization(None, str(tmp_path))
    with pytest.raises(EngineError, match="name another folder"):
        export_optimization(detail, "/proc/nowhere")


async def test_mistakes_are_refused_with_a_reason(tmp_path: pathlib.Path) -> None:
    async with opened(tmp_path / "data") as bench:
        with pytest.raises(OptimizationFileError, match=r"nowhere.yaml"):
            await bench.desk.perform(RunOptimization(path=str(tmp_path / "nowhere.yaml")))
        with pytest.raises(OptimizationFileError, match="there is no study 'opt-1'"):
            await bench.desk.perform(RunOptimization(resume="opt-1"))
        with pytest.raises(NotFoundError, match="study opt-1 is not running"):
            await bench.desk.perform(CancelOptimization(study_id="opt-1"))
        with pytest.raises(
            OptimizationFileError, match=r"study.yaml:\d+: optimization.space.wait: "
        ):
            await bench.desk.perform(
                RunOptimization(path=written(tmp_path, space={"wait": [1, 2]}))
            )
        too_long = written(tmp_path, walk_forward={"train": 100_000, "test": 10})
        await bench.desk.perform(RunOptimization(path=too_long))
        detail = await bench.until(lambda one: one.row.status.is_final)
        assert detail.row.status is StudyStatus.FAILED
        assert "optimization.walk_forward: 100000 + 0 + 10 bars do not fit" in detail.row.error
    async with opened(tmp_path / "data") as again:
        assert not again.board.optimizations  # nothing of it had run: nothing is kept


async def test_a_heatmap_of_a_study(tmp_path: pathlib.Path) -> None:
    async with opened(tmp_path / "data") as bench:
        await bench.desk.perform(RunOptimization(path=written(tmp_path)))
        detail = await bench.until(lambda one: one.row.status.is_final)
    view = heatmap_of(detail, "fast", "slow")
    assert (view.columns, view.rows) == (("5", "10", "50"), ("40", "60"))
    assert view.cells[0][2] is None
    assert view.best is not None
    row, column = view.best
    assert detail.row.best is not None
    assert view.cells[row][column] == detail.row.best.objective
    numbers = heatmap_of(detail, "fast", "slow", rule="best_index")
    assert numbers.cells[1][0] == 1.0
    assert heatmap_of(detail, "slow", "fast", metric="n_trades").cells[2][0] is None
