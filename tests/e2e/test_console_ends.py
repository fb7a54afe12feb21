"""However the console is ended: the session is stopped, the terminal is as it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import StoreRows, Terminal

CTRL_C = "\x03"
LEFT_ON_BY_A_CONSOLE = {47, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1049, 2004}
SAYS_RUNNING = "● running"


def _status(store_rows: StoreRows) -> list[str]:
    return [row["status"] for row in store_rows("SELECT status FROM session")]


def test_ctrl_c_must_be_pressed_twice(
    open_terminal: Callable[..., Terminal], store_rows: StoreRows
) -> None:
    terminal = open_terminal()
    terminal.wait_for(SAYS_RUNNING)
    terminal.press(CTRL_C)
    terminal.wait_for("again within 2 s to quit")
    assert _status(store_rows) == ["running"]
    # Both at once, because the first one may be too old by now.
    terminal.press(CTRL_C, CTRL_C)
    assert terminal.wait_until_ended() == 0
    assert not terminal.modes_left_on() & LEFT_ON_BY_A_CONSOLE
    assert _status(store_rows) == ["stopped"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_gracefully(
    open_terminal: Callable[..., Terminal], store_rows: StoreRows, number: signal.Signals
) -> None:
    terminal = open_terminal()
    terminal.wait_for(SAYS_RUNNING)
    os.kill(terminal.pid, number)
    assert terminal.wait_until_ended() == 128 + number
    assert not terminal.modes_left_on() & LEFT_ON_BY_A_CONSOLE
    assert _status(store_rows) == ["stopped"]


def test_a_closed_window_ends_it_gracefully(
    open_terminal: Callable[..., Terminal], store_rows: StoreRows
) -> None:
    terminal = open_terminal()
    terminal.wait_for(SAYS_RUNNING)
    terminal.hang_up()
    assert terminal.wait_until_ended() == 128 + signal.SIGHUP
    assert _status(store_rows) == ["stopped"]


def test_a_closed_window_is_noticed_behind_a_leader_that_only_waits(
    open_terminal: Callable[..., Terminal], store_rows: StoreRows
) -> None:
    # As under make: the system tells the leader of the session alone, which waits for the console.
    terminal = open_terminal(leader='trap : HUP; "$0" "$@"; code=$?; exit $code')
    terminal.wait_for(SAYS_RUNNING)
    terminal.hang_up()
    assert terminal.wait_until_ended() == 128 + signal.SIGHUP
    assert _status(store_rows) == ["stopped"]


def test_a_signal_while_it_starts_ends_it(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal()
    terminal.wait_for("Dashboard")
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.wait_until_ended() == 128 + signal.SIGTERM
    assert not terminal.modes_left_on() & LEFT_ON_BY_A_CONSOLE
