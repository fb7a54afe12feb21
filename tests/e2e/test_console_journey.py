"""The main journey: open, see the first fill, create an executor, see it, stop it, quit."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import StoreRows, Terminal

MOUSE_MODES = {1000, 1002, 1003, 1005, 1006, 1015, 1016}
ALTERNATE_SCREEN = {47, 1047, 1049}
BRACKETED_PASTE = 2004
FILLED_ROW = re.compile(r"(BUY|SELL) .*[▲▼] [+-]\d")
MY_RUNNING_ROW = re.compile(r"[┃│] .(\w{8}) .*BTC-USDT +BUY +● running .*[▲▼] [+-]\d")
MY_STOPPED_ROW = re.compile(r"[┃│] .(\w{8}) .*BTC-USDT +BUY +✓ stopped")


@pytest.mark.parametrize(("columns", "lines"), [(120, 40), (80, 24)], ids=["120x40", "80x24"])
def test_an_operator_creates_an_executor_stops_it_and_quits(
    open_terminal: Callable[..., Terminal], store_rows: StoreRows, columns: int, lines: int
) -> None:
    terminal = open_terminal(columns=columns, lines=lines)
    terminal.wait_for(lambda text: bool(FILLED_ROW.search(text)), why="the first fill")
    _create(terminal, amount="0.01")
    short_id = _find_mine(terminal)
    _stop(terminal, short_id)
    terminal.press("q")
    terminal.wait_for("Quit quarterdeck")
    assert terminal.press_until_ended("k") == 0
    assert not terminal.modes_left_on() & (MOUSE_MODES | ALTERNATE_SCREEN | {BRACKETED_PASTE})
    _check_store(store_rows, short_id)


def _create(terminal: Terminal, *, amount: str) -> None:
    terminal.press("n")
    terminal.wait_for("New executor")
    terminal.wait_for(lambda text: "▸ Amount" in text, why="the field to fill in has the focus")
    terminal.press("-1")
    terminal.wait_for("to correct")
    terminal.press("\x7f\x7f", amount)
    terminal.wait_for("✓ ready")
    terminal.press("\t")
    terminal.wait_for("▸ Entry price")
    # Above the market, so that it fills at once and not only if the market comes back.
    terminal.press("65000")
    terminal.wait_for(lambda text: "65000" in text and "✓ ready" in text, why="it is checked")
    terminal.press("\r")
    terminal.wait_for(lambda text: "▸ Entry price" not in text, why="the focus is on Create")
    terminal.press("\r")
    terminal.wait_for(lambda text: "New executor" not in text, why="the form is closed")


def _find_mine(terminal: Terminal) -> str:
    """Filter for the executors that the operator made; return the short id of the only one."""
    terminal.press("/")
    terminal.wait_for("\n /", why="the prompt of the filter")
    terminal.press("controller:main")
    terminal.wait_for("filter controller:main")
    terminal.press("\r")
    text = terminal.wait_for(
        lambda text: bool(MY_RUNNING_ROW.search(text)), why="the new executor in the table"
    )
    rows = MY_RUNNING_ROW.findall(text)
    assert len(rows) == 1
    return str(rows[0])


def _stop(terminal: Terminal, short_id: str) -> None:
    terminal.press("x")
    terminal.wait_for("Stop 1 executor")
    terminal.press_until("k", lambda text: "● keep the position" in text, why="keep is chosen")
    terminal.press_until("f", lambda text: "● flatten" in text, why="flatten is chosen")
    terminal.press_until("y", lambda text: "After stopping" not in text, why="it is confirmed")
    text = terminal.wait_for(
        lambda text: bool(MY_STOPPED_ROW.search(text)), why="the executor has stopped"
    )
    assert MY_STOPPED_ROW.findall(text) == [short_id]


def _check_store(store_rows: StoreRows, short_id: str) -> None:
    (session,) = store_rows("SELECT * FROM session")
    assert (session["status"], session["mode"]) == ("stopped", "paper")
    assert "positions kept" in session["reason"]
    (executor,) = store_rows("SELECT * FROM executor WHERE controller_id = 'main'")
    assert executor["executor_id"].startswith(short_id)
    assert (executor["status"], executor["close_type"]) == ("TERMINATED", "EARLY_STOP")
    assert executor["closed_ns"] is not None
    fills = store_rows(
        "SELECT * FROM fill WHERE executor_id = ? ORDER BY rowid", executor["executor_id"]
    )
    assert {fill["role"] for fill in fills} == {"entry", "close"}
    assert [_sum(fills, "BUY"), _sum(fills, "SELL")] == [Decimal("0.01"), Decimal("0.01")]
    commands = store_rows("SELECT kind, status FROM audit WHERE actor = 'operator' ORDER BY seq")
    assert [(row["kind"], row["status"]) for row in commands] == [
        ("CreateExecutor", "completed"),
        ("StopExecutor", "completed"),
        ("StopSession", "completed"),
    ]


def _sum(fills: list[dict[str, str]], side: str) -> Decimal:
    return sum((Decimal(fill["amount"]) for fill in fills if fill["side"] == side), Decimal(0))
