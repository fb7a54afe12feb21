"""What the console may ask of the engine: the contract that ``EngineThread`` keeps.

Every method returns at once and may be called from any thread. Queries read the newest published
state; they never wait for the engine, the store or the network. Before the engine is up they return
empty rows. ``submit`` only queues: the outcome is in ``commands()`` under the returned id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from engine.api import views
    from engine.api.backtest_views import BacktestDetail, BacktestRow, ContainerRow
    from engine.api.commands import Command, RunBacktest, RunOptimization
    from engine.api.optimization_views import StudyDetail, StudyRow
    from engine.api.result_tables import ResultTables


class ConsoleEngine(Protocol):
    """The engine as the console sees it."""

    def health(self) -> views.HealthView:
        """Return the engine's state in one attribute read."""
        ...

    def submit(self, command: Command) -> str:
        """Queue *command* and return its id."""
        ...

    def command(self, command_id: str) -> views.CommandRow | None:
        """Return one command with its status, or None if it is not known (any more)."""
        ...

    def sessions(self) -> tuple[views.SessionRow, ...]:
        """Return the sessions of this engine."""
        ...

    def markets(self, session: str) -> tuple[views.MarketRow, ...]:
        """Return the markets of a session in the order of its configuration."""
        ...

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
        """Return rows ``start`` to ``start + count`` of the sorted, filtered executor table.

        ``sort`` is one of created, id, type, pair, side, state, amount, entry, mark, pnl, pnl_pct,
        fees, age. The filter grammar: words match anywhere, ``field:value``, ``field<num``,
        ``field>num``, a leading ``!`` negates, quotes group; ``filter_error`` reports a mistake.
        """
        ...

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
        """Return the row number of an executor under the same sort and filter, or None."""
        ...

    def executor(self, session: str, executor_id: str) -> views.ExecutorDetail | None:
        """Return everything about one executor, or None."""
        ...

    def orders(
        self, session: str, *, start: int = 0, count: int = 100
    ) -> tuple[views.OrderRow, ...]:
        """Return orders, newest first."""
        ...

    def fills(self, session: str, *, start: int = 0, count: int = 100) -> tuple[views.FillRow, ...]:
        """Return fills, newest first."""
        ...

    def positions(self, session: str) -> tuple[views.PositionRow, ...]:
        """Return the net positions of a session."""
        ...

    def performance(self, session: str) -> views.PerformanceView | None:
        """Return the session's performance report, or None before the first one."""
        ...

    def equity(self, session: str, *, points: int = 120) -> views.EquityView:
        """Return at most *points* equity samples over the whole session."""
        ...

    def agents(self) -> tuple[views.AgentRow, ...]:
        """Return all agents in the order in which they were registered."""
        ...

    def agent(self, agent_id: str) -> views.AgentDetail | None:
        """Return everything about one agent, or None."""
        ...

    def scheduling(self) -> views.SchedulingView:
        """Return slots, queue, pool, load and alerts of the execution engine."""
        ...

    def backtests(self) -> tuple[BacktestRow, ...]:
        """Return all backtests, queued and running ones first, then the newest."""
        ...

    def backtest(self, backtest_id: str) -> BacktestDetail | None:
        """Return everything about one backtest but its tables, or None."""
        ...

    def backtest_result(self, backtest_id: str) -> ResultTables | None:
        """Open the tables of a finished backtest; None if there are none.

        Reads files: call it in a worker.
        """
        ...

    def check_backtest(self, command: RunBacktest) -> views.FormCheck:
        """Return what *command* would run, or what is wrong; reads files: call it in a worker."""
        ...

    def export_backtest(self, backtest_id: str, folder: str) -> tuple[str, ...]:
        """Write a result to *folder* and return the files; works long: call it in a worker."""
        ...

    def optimizations(self) -> tuple[StudyRow, ...]:
        """Return all studies, queued and running ones first, then the newest."""
        ...

    def optimization(self, study_id: str) -> StudyDetail | None:
        """Return a study with its table, or None."""
        ...

    def check_optimization(self, command: RunOptimization) -> views.FormCheck:
        """Return what *command* would run, or what is wrong; reads files: call it in a worker."""
        ...

    def export_optimization(self, study_id: str, folder: str) -> tuple[str, ...]:
        """Write a study to *folder* and return the files; works long: call it in a worker."""
        ...

    def containers(self) -> tuple[ContainerRow, ...]:
        """Return the containers that exist now, of sessions and of backtests."""
        ...

    def flow_states(self) -> tuple[views.FlowStateView, ...]:
        """Return the state panel of every named ``flow.Executor``."""
        ...

    def flow_events(
        self, name: str, status: str = "", *, count: int = 500
    ) -> tuple[views.FlowEventRow, ...]:
        """Return events of one named ``flow.Executor``, newest first; without *status* of all."""
        ...

    def commands(self, *, count: int = 100) -> tuple[views.CommandRow, ...]:
        """Return the newest commands, newest first."""
        ...

    def log(self, *, after: int = -1, count: int = 500) -> tuple[views.LogRow, ...]:
        """Return log lines with ``seq`` above *after*, oldest first, at most the newest *count*."""
        ...

    def executor_types(self, session: str) -> tuple[views.ExecutorTypeView, ...]:
        """Return the executor types that can be created, with their forms."""
        ...

    def check_create(
        self, session: str, executor_type: str, values: Mapping[str, str]
    ) -> views.FormCheck:
        """Validate a create form; *values* maps dotted field names to what was typed."""
        ...

    def update_fields(self, session: str, executor_id: str) -> tuple[views.FormField, ...]:
        """Return the form of what can be changed, defaults being the present values."""
        ...

    def check_update(
        self, session: str, executor_id: str, values: Mapping[str, str]
    ) -> views.FormCheck:
        """Validate an update form."""
        ...
