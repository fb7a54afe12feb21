"""A console engine that stands still: for tests of the console and for pictures of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from engine.api import views
from engine.api.filtering import FilterError, parse_filter
from engine.api.sorting import sort_rows
from engine.api.views import EngineState
from engine.testing import fake_forms
from engine.testing.fake_agents import make_agents, make_scheduling
from engine.testing.fake_backtests import make_backtests, make_containers, make_result
from engine.testing.fake_details import make_detail, make_fills, make_orders
from engine.testing.fake_rows import (
    ASK,
    BID,
    CONNECTOR,
    NOW_NS,
    SECOND_NS,
    SPECIMENS,
    fake_id,
    make_row,
    make_rows,
)
from engine.testing.fake_studies import make_studies

if TYPE_CHECKING:
    from engine.api.backtest_views import BacktestDetail, BacktestRow, ContainerRow
    from engine.api.commands import Command, RunBacktest, RunOptimization
    from engine.api.optimization_views import StudyDetail, StudyRow
    from engine.testing.fake_result import FakeResult

FakeState = Literal["starting", "empty", "running", "faulted", "stale"]

SESSION_ID: Final = "s-20260227-080431"
"""Id of the one session; queries also take its name, ``main``."""

_STARTED_NS: Final = NOW_NS - (3 * 24 + 4) * 3_600 * SECOND_NS
_INITIAL: Final = Decimal("100000.00")
_REALIZED: Final = Decimal("1290.64")
_FLOWS: Final = (
    ("commands", (0, 1, 418, 2, 0, 0, 0)),
    ("session", (3, 2, 71_204, 1, 4, 0, 0)),
    ("agents", (7, 1, 481, 3, 1, 2, 0)),
)
_STATUSES: Final = (
    "pending", "processing", "completed", "failed", "cancelled", "skipped", "aborted",
)  # fmt: skip


class FakeConsoleEngine:
    """Keep the contract of ``ConsoleEngine`` over hand-made, frozen data.

    Args:
        executors: number of executors; None means one of each specimen.
        state: what the console meets: an engine that is starting, has a session without
            executors, runs, is faulted, or runs with a feed that stopped 41 s ago.
        mode: mode of the session ``main``.
        types: executor types that can be created.
        refusal: if not empty, every command fails with this reason.

    ``submitted`` holds the commands as they came, oldest first. Nothing ever changes by itself:
    ``advance()`` moves the clock and up to 200 executors, ``finish()`` ends a held command.
    """

    def __init__(
        self,
        *,
        executors: int | None = None,
        state: FakeState = "running",
        mode: str = "paper",
        types: tuple[views.ExecutorTypeView, ...] = (fake_forms.POSITION,),
        refusal: str = "",
        hold_commands: bool = False,
    ) -> None:
        self.state = state
        self.mode = mode
        self.types = types
        self.refusal = refusal
        self.hold_commands = hold_commands
        self.submitted: list[Command] = []
        self.now_ns = NOW_NS
        self.version = 1
        count = len(SPECIMENS) if executors is None else executors
        self._rows = [] if state in {"starting", "empty"} else list(make_rows(count))
        self._places = {row.id: place for place, row in enumerate(self._rows)}
        self._commands: dict[str, views.CommandRow] = {}
        self._agents = make_agents()
        quiet = state in {"starting", "empty"}
        self._backtests = {} if quiet else make_backtests()
        self._studies = {} if quiet else make_studies()
        self.exported: list[tuple[str, str]] = []
        self.controllers: dict[str, str] = {}
        self._steps = 0

    # --- what a test turns -------------------------------------------------------------------

    def advance(self, seconds: float = 0.1) -> None:
        """Move the clock by *seconds* and the marks of up to 200 executors, one after the other."""
        self._steps += 1
        self.now_ns += int(seconds * SECOND_NS)
        self.version += 1
        width = min(200, len(self._rows))
        first = (self._steps - 1) * width
        for number in (place % len(self._rows) for place in range(first, first + width)):
            if self._rows[number].closed_ns is None:
                drift = (self._steps * 7 + number * 3) % 23 - 11
                fresh = make_row(number, drift=drift)
                self._rows[number] = replace(fresh, age_s=fresh.age_s + self._elapsed_s())

    def replace_row(self, row: views.ExecutorRow) -> None:
        """Put *row* in the place of the executor with its id, or behind all others."""
        place = self._places.setdefault(row.id, len(self._rows))
        self._rows[place : place + 1] = [row]
        self.version += 1

    def finish(self, command_id: str, *, reason: str = "", answer: str = "") -> None:
        """End a command: failed with *reason*, or else completed with *answer*."""
        status = "failed" if reason else "completed"
        row = self._commands[command_id]
        self._commands[command_id] = replace(
            row, status=status, reason=reason or answer, duration_ms=12.4
        )
        self.version += 1

    def replace_agents(self, details: Mapping[str, views.AgentDetail]) -> None:
        """Put *details* in the place of all agents."""
        self._agents = dict(details)

    def replace_backtests(self, details: Mapping[str, BacktestDetail]) -> None:
        """Put *details* in the place of all backtests."""
        self._backtests = dict(details)

    def replace_studies(self, details: Mapping[str, StudyDetail]) -> None:
        """Put *details* in the place of all studies."""
        self._studies = dict(details)

    def row_at(self, place: int) -> views.ExecutorRow:
        """Return the executor at *place* in order of creation of the fake."""
        return self._rows[place]

    # --- ConsoleEngine -----------------------------------------------------------------------

    def health(self) -> views.HealthView:
        """Return the engine's state."""
        match self.state:
            case "starting":
                return views.HealthView(EngineState.STARTING, "opening the store")
            case "faulted":
                message = "store: disk is full at journal.db. Free some space and restart."
                return views.HealthView(EngineState.FAULTED, message, exit_code=1)
            case "stale":
                message = "no market data for 41 s: BTC-USDT, EUR-USD"
                return views.HealthView(EngineState.RUNNING, message, 0.6, 41_000.0, 1.2, 0)
            case _:
                return views.HealthView(EngineState.RUNNING, "", 0.6, 84.0, 1.2, 0)

    def submit(self, command: Command) -> str:
        """Record *command*, end it at once unless commands are held, and return its id."""
        self.submitted.append(command)
        command_id = f"cmd-{len(self.submitted):04d}"
        data = command.model_dump()
        names = ("executor_id", "executor_type", "agent_id", "study_id", "controller_id")
        target = next((str(data[name]) for name in names if data.get(name)), command.session)
        self._commands[command_id] = views.CommandRow(
            id=command_id, ts_ns=self.now_ns, actor=command.actor, kind=type(command).__name__,
            target=target, status="pending", reason="", duration_ms=None,
        )  # fmt: skip
        if not self.hold_commands:
            self.finish(command_id, reason=self.refusal)
        return command_id

    def command(self, command_id: str) -> views.CommandRow | None:
        """Return one command."""
        return self._commands.get(command_id)

    def sessions(self) -> tuple[views.SessionRow, ...]:
        """Return the session ``main``, or nothing while starting."""
        if self.state == "starting":
            return ()
        counts: dict[str, int] = {}
        for row in self._rows:
            counts[row.lifecycle] = counts.get(row.lifecycle, 0) + 1
        unrealized = self._open_pnl()
        realized = _REALIZED if self._rows else Decimal("0.00")
        return (
            views.SessionRow(
                id=SESSION_ID, name="main", mode=self.mode,
                state="faulted" if self.state == "faulted" else "running",
                started_ns=_STARTED_NS, now_ns=self.now_ns, markets=("BTC-USDT", "EUR-USD"),
                equity=_INITIAL + realized + unrealized, initial_equity=_INITIAL,
                realized_pnl=realized, unrealized_pnl=unrealized,
                fees=Decimal("18.40") if self._rows else Decimal("0.00"), currency="USDT",
                speed="x1" if self.mode == "live" else "x60", executors=counts,
                inputs=188_310 + self._steps, alerts=2 if self._rows else 0,
                controllers=dict(self.controllers),
            ),
        )  # fmt: skip

    def markets(self, session: str) -> tuple[views.MarketRow, ...]:
        """Return both markets."""
        if not self._knows(session):
            return ()
        late_ns = 41 * SECOND_NS if self.state == "stale" else 84_000_000
        return tuple(
            views.MarketRow(
                CONNECTOR, pair, BID[pair], ASK[pair], (BID[pair] + ASK[pair]) / 2,
                Decimal("0.0082") if pair == "BTC-USDT" else Decimal("-0.00031"),
                self.now_ns - late_ns,
                None if pair == "BTC-USDT" else self.now_ns - 600 * 24 * 3_600 * SECOND_NS,
                tuple(float(BID[pair]) * (1 + math.sin(i / 3) / 900) for i in range(32)),
            )
            for pair in ("BTC-USDT", "EUR-USD")
        )  # fmt: skip

    def executors(
        self,
        session: str,
        *,
        sort: str = "created",
        descending: bool = True,
        filter_text: str = "",
        start: int = 0,
        count: int = 100,
        include_archived: bool = False,
    ) -> views.ExecutorPage:
        """Return a window of the sorted, filtered rows."""
        del include_archived  # the fake has no archive
        if not self._knows(session):
            return views.ExecutorPage((), 0, 0, 0, self.version)
        rows, error = self._matching(sort=sort, descending=descending, filter_text=filter_text)
        window = tuple(rows[start : start + count])
        return views.ExecutorPage(window, start, len(rows), len(self._rows), self.version, error)

    def executor_index(
        self,
        session: str,
        executor_id: str,
        *,
        sort: str = "created",
        descending: bool = True,
        filter_text: str = "",
        include_archived: bool = False,
    ) -> int | None:
        """Return the row number of an executor under the same sort and filter."""
        del include_archived
        if not self._knows(session):
            return None
        rows, _ = self._matching(sort=sort, descending=descending, filter_text=filter_text)
        return next((place for place, row in enumerate(rows) if row.id == executor_id), None)

    def executor(self, session: str, executor_id: str) -> views.ExecutorDetail | None:
        """Return everything about one executor."""
        row = self._row(session, executor_id)
        return None if row is None else make_detail(row)

    def orders(
        self, session: str, *, start: int = 0, count: int = 100
    ) -> tuple[views.OrderRow, ...]:
        """Return orders, newest first."""
        if not self._knows(session):
            return ()
        rows = [order for row in self._rows for order in make_orders(row)]
        rows.sort(key=lambda order: (order.created_ns, order.client_order_id), reverse=True)
        return tuple(rows[start : start + count])

    def fills(self, session: str, *, start: int = 0, count: int = 100) -> tuple[views.FillRow, ...]:
        """Return fills, newest first."""
        if not self._knows(session):
            return ()
        rows = [fill for row in self._rows for fill in make_fills(row)]
        rows.sort(key=lambda fill: (fill.ts_ns, fill.fill_id), reverse=True)
        return tuple(rows[start : start + count])

    def positions(self, session: str) -> tuple[views.PositionRow, ...]:
        """Return a long and a short position."""
        if not self._knows(session) or not self._rows:
            return ()
        return (
            views.PositionRow(
                CONNECTOR, "BTC-USDT", Decimal("0.1250"), Decimal("64212.4"), BID["BTC-USDT"],
                Decimal("33.50"), Decimal("1204.11"), Decimal("12.18"), Decimal("0.0300"),
            ),
            views.PositionRow(
                CONNECTOR, "EUR-USD", Decimal(-15000), Decimal("1.08510"), ASK["EUR-USD"],
                Decimal("16.95"), Decimal("-104.93"), Decimal("6.22"), Decimal(0),
            ),
        )  # fmt: skip

    def performance(self, session: str) -> views.PerformanceView | None:
        """Return the session's report."""
        if not self._knows(session) or not self._rows:
            return None
        unrealized = self._open_pnl()
        closes: dict[str, int] = {}
        for row in self._rows:
            if row.close_type is not None:
                closes[row.close_type] = closes.get(row.close_type, 0) + 1
        done = sum(1 for row in self._rows if row.closed_ns is not None)
        return views.PerformanceView(
            realized_pnl=_REALIZED, unrealized_pnl=unrealized, global_pnl=_REALIZED + unrealized,
            global_pnl_pct=Decimal("0.004182"), volume=Decimal("308611.20"), fees=Decimal("18.40"),
            win_rate=Decimal("0.5714"), wins=4, losses=3, close_types=closes,
            active=len(self._rows) - done, done=done,
        )  # fmt: skip

    def equity(self, session: str, *, points: int = 120) -> views.EquityView:
        """Return a curve that ends at the present equity."""
        if not self._knows(session) or not self._rows or points < 1:
            return views.EquityView((), ())
        end = float(self.sessions()[0].equity)
        span_ns = self.now_ns - _STARTED_NS
        steps = [place / max(points - 1, 1) for place in range(points)]
        values = [1e5 + (end - 1e5) * x + 420 * math.sin(9 * x) * (1 - x) for x in steps]
        return views.EquityView(
            tuple(_STARTED_NS + int(span_ns * x) for x in steps),
            tuple(round(value, 2) for value in values),
        )

    def agents(self) -> tuple[views.AgentRow, ...]:
        """Return one agent of each kind, or nothing while starting."""
        if self.state == "starting":
            return ()
        return tuple(detail.row for detail in self._agents.values())

    def agent(self, agent_id: str) -> views.AgentDetail | None:
        """Return everything about one agent."""
        return None if self.state == "starting" else self._agents.get(agent_id)

    def scheduling(self) -> views.SchedulingView:
        """Return the engine that runs the agents."""
        rows = self.agents()
        return make_scheduling(rows) if rows else views.SchedulingView()

    def backtests(self) -> tuple[BacktestRow, ...]:
        """Return the backtests in every state."""
        return tuple(detail.row for detail in self._backtests.values())

    def backtest(self, backtest_id: str) -> BacktestDetail | None:
        """Return one backtest, or None."""
        return self._backtests.get(backtest_id)

    def backtest_result(self, backtest_id: str) -> FakeResult | None:
        """Return made-up tables for a backtest with figures."""
        return make_result(self._backtests.get(backtest_id))

    def check_backtest(self, command: RunBacktest) -> views.FormCheck:
        """Return a preview; a path that ends in ``missing.yaml`` and overrides with ``!`` fail."""
        if command.path.endswith("missing.yaml"):
            return views.FormCheck(errors={"path": f"{command.path}:1: file: does not exist"})
        wrong = [one for one in command.overrides if "!" in one or "=" not in one]
        if wrong:
            text = f"backtest.yaml:1: command line: {wrong[0]!r} is no key.key=value"
            return views.FormCheck(errors={"overrides": text})
        preview = (("Name", "sma-cross-spx"), ("Strategy", "sma_cross fast=10 slow=30"),
                   ("SPX", "1d bars"), ("Cash", "100000 USD"))  # fmt: skip
        return views.FormCheck(preview=preview, values={"name": "sma-cross-spx"})

    def export_backtest(self, backtest_id: str, folder: str) -> tuple[str, ...]:
        """Note the wish in ``exported``; a folder below ``/proc`` cannot be written."""
        if folder.startswith("/proc"):
            raise ValueError(f"{folder}: cannot be written; name another folder")
        self.exported.append((backtest_id, folder))
        return tuple(f"{folder}/{name}" for name in ("metrics.json", "report.html"))

    def export_optimization(self, study_id: str, folder: str) -> tuple[str, ...]:
        """Note the wish in ``exported``; a folder below ``/proc`` cannot be written."""
        if folder.startswith("/proc"):
            raise ValueError(f"{folder}: cannot be written; name another folder")
        self.exported.append((study_id, folder))
        return tuple(f"{folder}/{name}" for name in ("trials.csv", "report.html"))

    def optimizations(self) -> tuple[StudyRow, ...]:
        """Return the studies in every state."""
        return tuple(detail.row for detail in self._studies.values())

    def optimization(self, study_id: str) -> StudyDetail | None:
        """Return one study, or None."""
        return self._studies.get(study_id)

    def check_optimization(self, command: RunOptimization) -> views.FormCheck:
        """Return a preview; a path that ends in ``missing.yaml`` fails."""
        if command.path.endswith("missing.yaml"):
            return views.FormCheck(errors={"path": f"{command.path}:1: file: does not exist"})
        preview = (("Trials", "36 by grid, process"), ("Looks for", "max sharpe"),
                   ("fast", "5 10 15 20 25 30"), ("slow", "40 50 60 70 80 90"))  # fmt: skip
        return views.FormCheck(preview=preview, values={"name": "optimization"})

    def containers(self) -> tuple[ContainerRow, ...]:
        """Return a session's container and a backtest's."""
        return () if self.state in {"starting", "empty"} else make_containers()

    def flow_states(self) -> tuple[views.FlowStateView, ...]:
        """Return three panels in the exact format of ``inspect_state()``."""
        if self.state == "starting":
            return ()
        return tuple(
            _flow_state(name, dict(zip(_STATUSES, counts, strict=True))) for name, counts in _FLOWS
        )

    def flow_events(
        self, name: str, status: str = "", *, count: int = 500
    ) -> tuple[views.FlowEventRow, ...]:
        """Return as many events as the panel counts, at most *count*; each a second apart."""
        rows = [
            views.FlowEventRow(
                f"{name}-{word}-{number}", self.now_ns - number * SECOND_NS, "Command",
                f"StopExecutor ex-{number:04d}", word, 12.5 if word != "pending" else None,
                "TimeoutError: no answer" if word == "failed" else "",
            )
            for flow in self.flow_states() if flow.name == name
            for word, total in flow.counts.items() if status in {"", word}
            for number in range(total)
        ]  # fmt: skip
        return tuple(sorted(rows, key=lambda row: -row.created_ns)[:count])

    def commands(self, *, count: int = 100) -> tuple[views.CommandRow, ...]:
        """Return the newest commands, newest first."""
        return tuple(reversed(self._commands.values()))[:count]

    def log(self, *, after: int = -1, count: int = 500) -> tuple[views.LogRow, ...]:
        """Return the log lines above *after*."""
        if self.state == "starting":
            return ()
        rows = [row for row in _LOG if row.seq > after]
        return tuple(rows[-count:]) if count > 0 else ()

    def executor_types(self, session: str) -> tuple[views.ExecutorTypeView, ...]:
        """Return the types given at construction."""
        return self.types if self._knows(session) else ()

    def check_create(
        self, session: str, executor_type: str, values: Mapping[str, str]
    ) -> views.FormCheck:
        """Validate a create form."""
        if not self._knows(session):
            return views.FormCheck({"": f"There is no session {session!r}."})
        return fake_forms.check_create(executor_type, values)

    def update_fields(self, session: str, executor_id: str) -> tuple[views.FormField, ...]:
        """Return the barriers of a running position executor, nothing for others."""
        row = self._row(session, executor_id)
        return () if row is None else fake_forms.update_fields(row)

    def check_update(
        self, session: str, executor_id: str, values: Mapping[str, str]
    ) -> views.FormCheck:
        """Validate an update form."""
        row = self._row(session, executor_id)
        if row is None:
            return views.FormCheck({"": f"There is no executor {executor_id!r} in {session}."})
        return fake_forms.check_update(row, values)

    # --- inside ------------------------------------------------------------------------------

    def _knows(self, session: str) -> bool:
        return session in {"main", SESSION_ID} and self.state != "starting"

    def _elapsed_s(self) -> float:
        return (self.now_ns - NOW_NS) / SECOND_NS

    def _row(self, session: str, executor_id: str) -> views.ExecutorRow | None:
        place = self._places.get(executor_id) if self._knows(session) else None
        return None if place is None else self._rows[place]

    def _open_pnl(self) -> Decimal:
        pnl = sum((row.net_pnl_quote for row in self._rows if row.closed_ns is None), Decimal(0))
        return pnl.quantize(Decimal("0.01"))

    def _matching(
        self, *, sort: str, descending: bool, filter_text: str
    ) -> tuple[list[views.ExecutorRow], str]:
        try:
            predicate = parse_filter(filter_text)
        except FilterError as exc:
            return [], str(exc)
        rows = [row for row in self._rows if predicate(row)] if filter_text else self._rows
        return sort_rows(rows, sort, descending=descending), ""


def _flow_state(name: str, counts: dict[str, int]) -> views.FlowStateView:
    lines = [f"Executor State ({name}):"]
    for status, count in counts.items():
        lines.append(f"  {status}: {count} event{'' if count == 1 else 's'}")
    return views.FlowStateView(name, counts, "\n".join(lines))


_LINES: Final = (
    ("info", "engine", "session main running, paper, x60, seed 7"),
    ("info", "trend-a", "signal BUY BTC-USDT strength 0.62"),
    ("info", "orchestrator", "executor created: position BTC-USDT BUY 0.1000"),
    ("warning", "feed", "gap of 4.1 s in BTC-USDT"),
    ("info", "broker", "fill 0.0800 BTC-USDT @ 64,471.2"),
    ("error", "orchestrator", "order rejected by paper_perpetual: price is off the tick of 0.1"),
    ("info", "risk", "exposure 26,600.00 USDT of 50,000.00 USDT"),
    ("debug", "store", "journal flushed, 412 inputs in 1.2 ms"),
    ("info", "executor", "terminated: TAKE_PROFIT ▲ +71.31 [BTC-USDT]"),
    ("warning", "executor", "retry 3/10"),
)
_LOG: Final = tuple(
    views.LogRow(
        seq,
        NOW_NS - (len(_LINES) * 4 - seq) * 7 * SECOND_NS,
        level,
        source,
        text,
        fake_id(seq % 16) if source == "executor" else None,
    )
    for seq, (level, source, text) in enumerate(_LINES * 4)
)
