"""Terminals that are small, that change their size, or that are none."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.conftest import StoreRows, Terminal

SIZES = [(200, 60), (80, 24), (60, 12), (40, 10), (120, 40), (1, 1), (300, 5), (5, 90)]


def test_a_small_terminal_is_told_which_size_it_needs(
    open_terminal: Callable[..., Terminal],
) -> None:
    terminal = open_terminal(columns=40, lines=10)
    text = " ".join(terminal.wait_for("80x24").split())
    assert "40x10" in text
    assert "Traceback" not in text
    terminal.resize(120, 40)
    terminal.wait_for("● running")


def test_a_storm_of_resizes_leaves_a_console_that_works(
    open_terminal: Callable[..., Terminal], store_rows: StoreRows
) -> None:
    terminal = open_terminal()
    terminal.wait_for("● running")
    for _ in range(15):
        for columns, lines in SIZES:
            terminal.resize(columns, lines)
            terminal.press("j")
    terminal.resize(120, 40)
    terminal.wait_for("╭─ Session ─")
    terminal.press("?")
    terminal.wait_for("Keys")
    terminal.press("\x1b")
    terminal.press_until("q", lambda text: "Quit quarterdeck" in text, why="the dialog")
    assert terminal.press_until_ended("f") == 0
    assert [row["status"] for row in store_rows("SELECT status FROM session")] == ["stopped"]


def test_standard_error_in_a_file_leaves_the_screen_where_it_is(
    open_terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    errors = tmp_path / "errors"
    terminal = open_terminal(errors=errors)
    terminal.wait_for("● running")
    assert not errors.read_bytes()
    terminal.press_until("q", lambda text: "Quit quarterdeck" in text, why="the dialog")
    assert terminal.press_until_ended("k") == 0
    assert " paper paper stopped " in errors.read_text(encoding="utf-8")


def test_plain_letters_do_where_asked_or_where_nothing_else_is_known(
    open_terminal: Callable[..., Terminal], environment: dict[str, str]
) -> None:
    terminal = open_terminal("--ascii", "--read-only", "--no-color", "--no-mouse", "--fps", "5")
    terminal.wait_for("* running")
    terminal.wait_for("+= Executors")
    terminal.press("n")
    terminal.wait_for("This console is read only.")
    terminal.press_until("q", lambda text: "Quit quarterdeck" in text, why="the dialog")
    assert terminal.press_until_ended("k") == 0
    assert terminal.output.isascii()
    assert b"?1000h" not in terminal.output  # the mouse
    environment["PYTHONIOENCODING"] = "ascii"
    plain = open_terminal("run", "--theme", "quarterdeck-light")
    plain.wait_for("* running")
    plain.press_until("q", lambda text: "Quit quarterdeck" in text, why="the dialog")
    assert plain.press_until_ended("k") == 0
    assert plain.output.isascii()


def test_without_a_terminal_it_says_so_and_draws_nothing(
    command: str, environment: dict[str, str], store_rows: StoreRows
) -> None:
    done = subprocess.run(
        [command, "run", "--for", "1"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stderr == (
        "quarterdeck: standard output is not a terminal; running without the console (--headless)\n"
    )
    assert "\x1b" not in done.stdout
    assert " paper paper stopped " in done.stdout.splitlines()[0] + done.stdout.splitlines()[-1]
    assert [row["status"] for row in store_rows("SELECT status FROM session")] == ["stopped"]


def test_a_filter_and_an_amount_sent_in_one_burst_act_on_nothing(
    open_terminal: Callable[..., Terminal], store_rows: StoreRows
) -> None:
    terminal = open_terminal()
    terminal.wait_for("● running")
    terminal.press("/galaxy")
    terminal.wait_for("Nothing matches galaxy")
    terminal.press("\x1b")
    terminal.wait_for(lambda text: "galaxy" not in text, why="the filter is gone")
    terminal.press("n0.01")
    terminal.wait_for("✓ ready")
    terminal.wait_for("0.01")
    terminal.press("\x1b")
    terminal.wait_for(lambda text: "New executor" not in text, why="the form is closed")
    terminal.press("xy")
    terminal.wait_for("Stop 1 executor")
    terminal.press_until("\x1b", lambda text: "Stop 1" not in text, why="it is cancelled")
    terminal.press_until("q", lambda text: "Quit quarterdeck" in text, why="the dialog")
    assert terminal.press_until_ended("k") == 0
    kinds = {row["kind"] for row in store_rows("SELECT kind FROM audit WHERE actor = 'operator'")}
    assert kinds <= {"StopSession"}
