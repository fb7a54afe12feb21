"""The rows of a list as a file: what passes the filter, in its order, exact values."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest
from textual.widgets import Button, Input

from tests.integration.shell.conftest import Console, OpenConsole
from tui.modals.export_rows import ExportRowsModal
from tui.state.row_export import path_problem, write_rows

pytestmark = pytest.mark.anyio


async def write_to(console: Console, path: Path, *, all_columns: bool = False) -> ExportRowsModal:
    await console.press("E")
    modal = console.app.screen
    assert isinstance(modal, ExportRowsModal)
    modal.query_one(Input).value = str(path)
    if all_columns:
        await console.press("tab", "right")
    await console.pilot.pause(0.15)
    await console.press("enter", "enter")
    await console.settle()
    return modal


async def test_rows_that_pass_the_filter_are_written(
    open_console: OpenConsole, tmp_path: Path
) -> None:
    target = tmp_path / "new" / "rows.csv"
    async with open_console() as console:
        await console.press("2", "slash", *"BTC", "enter")
        await write_to(console, target, all_columns=True)
        matching = console.app.screen.query_one("#executors").model.window.matching  # type: ignore[attr-defined]
        assert f"Wrote {matching} rows" in console.hint()
    rows = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == matching < 18
    assert {"id", "pnl", "entry", "controller", "note"} <= set(rows[0])
    assert all("BTC" in row["pair"] for row in rows)
    assert all(str(Decimal(row["pnl"])) == row["pnl"] for row in rows)


async def test_only_the_columns_on_the_screen_without_asking_for_more(
    open_console: OpenConsole, tmp_path: Path
) -> None:
    target = tmp_path / "rows.jsonl"
    async with open_console(size=(80, 24)) as console:
        await console.press("2")
        await write_to(console, target)
    rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 18
    assert {"id", "state", "pnl", "pnl_pct"} <= set(rows[0])
    assert "controller" not in rows[0]


async def test_a_file_that_is_there_is_replaced_only_after_saying_so(
    open_console: OpenConsole, tmp_path: Path
) -> None:
    target = tmp_path / "rows.csv"
    target.write_text("mine", encoding="utf-8")
    async with open_console() as console:
        await console.press("2", "E")
        modal = console.app.screen
        modal.query_one(Input).value = str(target)
        await console.pilot.pause(0.15)
        await console.pilot.pause()
        assert "Replace the file" in str(modal.query_one("#export", Button).label)
        await console.press("escape")
    assert target.read_text(encoding="utf-8") == "mine"


async def test_a_read_only_console_exports_too(open_console: OpenConsole, tmp_path: Path) -> None:
    from tui.settings import Settings

    async with open_console(settings=Settings(fps=0, read_only=True)) as console:
        await console.press("0")
        await write_to(console, tmp_path / "log.csv")
    assert len((tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()) == 41


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("  ", "Name the file"),
        ("rows", "ends in nothing; allowed are .csv, .jsonl, .parquet"),
        ("rows.xls", "ends in .xls"),
        ("rows.CSV", ""),
        ("~/rows.parquet", ""),
    ],
)
def test_what_a_path_may_be(text: str, problem: str) -> None:
    assert problem in path_problem(text)
    assert bool(problem) == bool(path_problem(text))


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "rows.jsonl"
    target.write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match="zip"):
        write_rows(target, ("a", "b"), [("1",)])
    assert target.read_text(encoding="utf-8") == "mine"
    assert [one.name for one in tmp_path.iterdir()] == ["rows.jsonl"]


def test_parquet_keeps_the_text(tmp_path: Path) -> None:
    import polars as pl

    target = tmp_path / "rows.parquet"
    write_rows(target, ("id", "pnl"), [("a", "1.50"), ("b", "")])
    assert pl.read_parquet(target).rows() == [("a", "1.50"), ("b", "")]
