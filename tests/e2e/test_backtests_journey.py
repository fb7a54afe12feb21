"""A backtest by keyboard in a real terminal: run the sample, watch it end, look at it, quit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.conftest import StoreRows, Terminal


def test_an_operator_runs_the_sample_and_looks_at_it(
    open_terminal: Callable[..., Terminal], store_rows: StoreRows
) -> None:
    terminal = open_terminal(columns=80, lines=24)
    terminal.wait_for("● running")
    terminal.press("7")
    terminal.wait_for("n runs one")
    terminal.press("n")
    terminal.wait_for("✓ ready")
    terminal.press_until("\r", lambda text: "Run a backtest" not in text, why="it is sent")
    terminal.wait_for("✓ done")
    terminal.press("\r")
    terminal.wait_for(lambda text: "Trades 88" in text and "equity" in text)
    terminal.wait_for("trade 88")
    terminal.press_until("<", lambda text: "trade 88" not in text, why="the cursor moves")
    terminal.press_until("+", lambda text: "1999-01-05" not in text, why="it zooms in")
    terminal.press("\x1b")
    terminal.wait_for("Backtest ─ sma-cross-spx")
    terminal.press("q")
    terminal.wait_for("Quit quarterdeck")
    assert terminal.press_until_ended("f") == 0
    (row,) = store_rows("SELECT status, name FROM backtest")
    assert (row["status"], row["name"]) == ("completed", "sma-cross-spx")
