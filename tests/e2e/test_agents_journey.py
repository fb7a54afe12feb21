"""The agents by keyboard in a real terminal: run one now, stop it, start it, quit; a signal too."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import StoreRows, Terminal


def test_an_operator_steers_an_agent(
    open_terminal: Callable[..., Terminal], store_rows: StoreRows
) -> None:
    terminal = open_terminal("run", "agents.yaml", columns=80, lines=24)
    terminal.wait_for("agents 11/11")
    terminal.press("5")
    terminal.wait_for(lambda text: "prices" in text and "Scheduler and pool" in text)
    terminal.press_until("G", lambda text: "Agent ─ prices" in text, why="the last agent")
    terminal.press("R")
    terminal.wait_for("prices ran")
    terminal.press("x")
    terminal.wait_for("Stop 1 agent")
    terminal.press_until("y", lambda text: "Stop 1 agent" not in text, why="it is confirmed")
    terminal.wait_for("· stopped")
    terminal.press("s")
    terminal.wait_for("prices runs")
    terminal.press("\r")
    terminal.wait_for(lambda text: "Agents ▸ prices" in text and "Agent ─" not in text)
    terminal.press("\x1b")
    terminal.wait_for(lambda text: "Agent ─ prices" in text and "Agents ▸" not in text)
    terminal.press("q")
    terminal.wait_for("Quit quarterdeck")
    assert terminal.press_until_ended("f") == 0
    (session,) = store_rows("SELECT * FROM session")
    assert session["status"] == "stopped"
    commands = store_rows("SELECT kind, status FROM audit WHERE actor = 'operator' ORDER BY seq")
    assert [row["kind"] for row in commands] == [
        "RunAgentNow", "StopAgent", "StartAgent", "StopSession",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_a_signal_ends_agents_and_session(
    open_terminal: Callable[..., Terminal], store_rows: StoreRows, number: signal.Signals
) -> None:
    terminal = open_terminal("run", "agents.yaml", columns=120, lines=40)
    terminal.wait_for("agents 11/11")
    os.kill(terminal.pid, number)
    assert terminal.wait_until_ended() == 128 + number
    (session,) = store_rows("SELECT * FROM session")
    assert session["status"] == "stopped"
