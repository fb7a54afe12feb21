"""From a key press to the painted cursor line: a busy engine, and one with busy agents."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from benchmarks.crowd import write_session
from benchmarks.first_paint import COMMAND
from benchmarks.harness import Finding, percentile
from benchmarks.terminal import Terminal

PRESSES: Final = 300
AGENTS: Final = 20
MOST_MS: Final = 50.0
MODULE: Final = "bench_agents"
OWN_AGENTS: Final = '''
from anyio import to_thread
from engine.agents.session_agent import SessionAgent


def crunch():
    total = 0
    for number in range(4_000_000):
        total += number * number % 7
    return total


class Cruncher(SessionAgent):
    """Computes in a thread for a good part of every second."""

    async def _run_cycle(self, resource_pool):
        return {"total": await to_thread.run_sync(crunch)}


class ProcessCruncher(SessionAgent):
    """Computes as much, where the documentation says: in a process of its own."""

    async def _run_cycle(self, resource_pool):
        return {"total": await self.context.compute(crunch)}


class Looker(SessionAgent):
    """Looks at account and markets once a second."""

    async def _run_cycle(self, resource_pool):
        picture = self.context.picture()
        stale = [one.trading_pair for one in picture.markets() if one.age_s is None]
        return {"note": f"equity {picture.account.equity:,.2f}, {len(stale)} stale"}
'''
CURSOR: Final = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"


def measure() -> list[Finding]:
    """Press j and k in turn in the list of executors, with a busy engine, then an idle one."""
    busy = _presses(executors=1000, quotes_per_s=25.0)
    idle = _presses(executors=30, quotes_per_s=0.01)
    heavy = _presses(executors=1000, quotes_per_s=25.0, agents=AGENTS, heavy="ProcessCruncher")
    threaded = _presses(executors=1000, quotes_per_s=25.0, agents=AGENTS, heavy="Cruncher")
    return [
        Finding(
            "key to paint, 1,000 live executors at 10 Hz, 120x40",
            "ms",
            busy,
            idle,
            "the same, engine idle",
            f"p99 <= {MOST_MS:g} ms",
            percentile(busy, 0.99) <= MOST_MS,
        ),
        Finding(
            f"key to paint, the same with {AGENTS} agents, one CPU-heavy, by compute()",
            "ms",
            heavy,
            busy,
            "the same without them",
            f"p99 <= {MOST_MS:g} ms",
            percentile(heavy, 0.99) <= MOST_MS,
        ),
        Finding(
            f"key to paint, the same with {AGENTS} agents, one CPU-heavy, in a thread",
            "ms",
            threaded,
            busy,
            "the same without them",
            f"p99 <= {MOST_MS:g} ms",
            percentile(threaded, 0.99) <= MOST_MS,
        ),
    ]


def _agent(number: int, heavy: str) -> dict[str, object]:
    """Return the section of agent *number*; the first one is CPU-heavy."""
    kind = heavy if number == 0 else "Looker"
    return {"id": f"agent-{number}", "class": f"{MODULE}:{kind}", "interval": 1}


def _presses(
    *, executors: int, quotes_per_s: float, agents: int = 0, heavy: str = ""
) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / f"{MODULE}.py").write_text(OWN_AGENTS, encoding="utf-8")
        session = write_session(
            home / "crowd.yaml",
            executors=executors,
            is_fast=False,
            quotes_per_s=quotes_per_s,
            agents=[_agent(number, heavy) for number in range(agents)],
        )
        command = [COMMAND, "run", str(session), "--data-dir", str(home / "data")]
        with Terminal(command, home=home, columns=120, rows=40) as terminal:
            terminal.until_shown(" Session ")
            _wait_for_executors(terminal, executors)
            return _move_up_and_down(terminal)


def _wait_for_executors(terminal: Terminal, count: int) -> None:
    terminal.press("2")
    terminal.until_shown(f"Executors ─ {count:,}", timeout=120)
    terminal.watch(3)


def _move_up_and_down(terminal: Terminal) -> list[float]:
    # The cursor stays with its executor, wherever that has gone: begin at the top.
    terminal.press("g")
    terminal.watch(1)
    terminal.press("j")
    terminal.watch(0.5)
    row = terminal.rows_of(CURSOR)[-1]
    taken: list[float] = []
    for number in range(PRESSES):
        key, row = ("j", row + 1) if number % 2 == 0 else ("k", row - 1)
        pressed = terminal.press(key)
        taken.append((terminal.until_on_row(CURSOR, row) - pressed) * 1000)
        # Uneven pauses: the presses must not fall into step with the paint clock.
        terminal.watch(0.031 + 0.013 * (number % 11))
    return taken
