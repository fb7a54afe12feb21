"""The console's questions, answered from what the engine has published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.api.board import Board

if TYPE_CHECKING:
    from engine.api.agent_views import AgentDetail, AgentRow, SchedulingView
    from engine.api.backtest_views import BacktestDetail, BacktestRow, ContainerRow
    from engine.api.commands import RunBacktest, RunOptimization
    from engine.api.executor_table import ExecutorTable
    from engine.api.health import HealthView
    from engine.api.optimization_views import StudyDetail, StudyRow
    from engine.api.views import (
        CommandRow,
        EquityView,
        ExecutorDetail,
        ExecutorPage,
        ExecutorTypeView,
        FillRow,
        FlowEventRow,
        FlowStateView,
        FormCheck,
        FormField,
        LogRow,
        MarketRow,
        OrderRow,
        PerformanceView,
        PositionRow,
        SessionRow,
    )
    from engine.backtest.result_view import ResultView
    from engine.live.published import PublishedSession


class ConsoleQueries:
    """Answers from the board: at once, from any thread, without waiting for the engine.

    Heavy modules are imported in the answers, which are first asked for when the engine that
    needs the same modules is up: the console's first frame does not pay for them.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self._table: ExecutorTable | None = None

    def health(self) -> HealthView:
        """Return the engine's state in one attribute read."""
        return self.board.health

    def command(self, command_id: str) -> CommandRow | None:
        """Return one command with its status, or None if it is not known (any more)."""
        return self.board.commands.get(command_id)

    def commands(self, *, count: int = 100) -> tuple[CommandRow, ...]:
        """Return the newest commands, newest first."""
        return tuple(reversed(self.board.commands.values()))[:count]

    def backtests(self) -> tuple[BacktestRow, ...]:
        """Return all backtests, queued and running ones first, then the newest."""
        return tuple(detail.row for detail in self.board.backtests.values())

    def backtest(self, backtest_id: str) -> BacktestDetail | None:
        """Return everything about one backtest but its tables, or None."""
        return self.board.backtests.get(backtest_id)

    def backtest_result(self, backtest_id: str) -> ResultView | None:
        """Open the tables of a finished backtest; reads files: call it in a worker.

        Returns None while there is no result. What it gives can be kept and asked at once.
        """
        from engine.api.backtest_views import open_result

        return open_result(self.board.backtests.get(backtest_id))

    def optimizations(self) -> tuple[StudyRow, ...]:
        """Return all studies, queued and running ones first, then the newest."""
        return tuple(detail.row for detail in self.board.optimizations.values())

    def optimization(self, study_id: str) -> StudyDetail | None:
        """Return a study with its table, or None."""
        return self.board.optimizations.get(study_id)

    def check_optimization(self, command: RunOptimization) -> FormCheck:
        """Return what *command* would run, or what is wrong; reads files: call it in a worker."""
        from engine.api.optimization_check import check_optimization

        return check_optimization(command)

    def check_backtest(self, command: RunBacktest) -> FormCheck:
        """Return what *command* would run, or what is wrong; reads files: call it in a worker."""
        from engine.api.backtest_check import check_backtest

        return check_backtest(command)

    def export_backtest(self, backtest_id: str, folder: str) -> tuple[str, ...]:
        """Write a result to *folder* and return the files; works long: call it in a worker.

        Raises:
            EngineError: there is no result, or the folder cannot be written.
        """
        from engine.api.backtest_check import export_backtest

        return export_backtest(self.backtest(backtest_id), folder)

    def export_optimization(self, study_id: str, folder: str) -> tuple[str, ...]:
        """Write a study to *folder* and return the files; works long: call it in a worker.

        Raises:
            EngineError: no trial has ended, or the folder cannot be written.
        """
        from engine.api.optimization_export import export_optimization

        return export_optimization(self.optimization(study_id), folder)

    def containers(self) -> tuple[ContainerRow, ...]:
        """Return the containers that exist now, of sessions and of backtests."""
        return self.board.containers

    def agents(self) -> tuple[AgentRow, ...]:
        """Return all agents in the order in which they were registered."""
        return tuple(detail.row for detail in self.board.agents.values())

    def agent(self, agent_id: str) -> AgentDetail | None:
        """Return everything about one agent, or None."""
        return self.board.agents.get(agent_id)

    def scheduling(self) -> SchedulingView:
        """Return slots, queue, pool, load and alerts of the execution engine."""
        found = self.board.scheduling
        if found is not None:
            return found
        from engine.api.agent_views import SchedulingView

        return SchedulingView()

    def flow_states(self) -> tuple[FlowStateView, ...]:
        """Return the state panel of every named ``flow.Executor``."""
        return self.board.flow_states

    def flow_events(
        self, name: str, status: str = "", *, count: int = 500
    ) -> tuple[FlowEventRow, ...]:
        """Return events of one named ``flow.Executor``, newest first; without *status* of all."""
        from engine.api.flow_events import flow_event_rows

        return flow_event_rows(self.board.flow_executors(), name, status, count=count)

    def log(self, *, after: int = -1, count: int = 500) -> tuple[LogRow, ...]:
        """Return log lines with ``seq`` above *after*, oldest first, at most the newest *count*."""
        lines = self.board.log
        if not lines or lines[-1].seq <= after:
            return ()
        fresh = min(lines[-1].seq - after, count, len(lines))
        return lines[len(lines) - fresh :]

    def sessions(self) -> tuple[SessionRow, ...]:
        """Return the sessions of this engine."""
        sessions = self.board.sessions
        if not sessions:
            return ()
        from engine.api.session_views import session_row

        return tuple(session_row(session) for session in sessions.values())

    def markets(self, session: str) -> tuple[MarketRow, ...]:
        """Return the markets of a session in the order of its configuration."""
        found = self._find(session)
        if found is None:
            return ()
        from engine.api.session_views import market_row

        return tuple(market_row(key, market) for key, market in found.markets.items())

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
    ) -> ExecutorPage:
        """Return a window of the sorted, filtered executor table (see ``ConsoleEngine``)."""
        found = self._find(session)
        if found is None:
            from engine.api.views import ExecutorPage

            return ExecutorPage((), start, 0, 0, 0)
        return self._executor_table().page(
            found,
            sort=sort,
            descending=descending,
            filter_text=filter_text,
            start=start,
            count=count,
            include_archived=include_archived,
        )

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
        found = self._find(session)
        if found is None:
            return None
        return self._executor_table().index(
            found,
            executor_id,
            sort=sort,
            descending=descending,
            filter_text=filter_text,
            include_archived=include_archived,
        )

    def executor(self, session: str, executor_id: str) -> ExecutorDetail | None:
        """Return everything about one executor, or None."""
        from engine.api.executor_views import executor_detail

        found = self._find(session)
        if found is None:
            return None
        snapshot = found.executors.get(executor_id) or found.archived.get(executor_id)
        return None if snapshot is None else executor_detail(snapshot, found)

    def orders(self, session: str, *, start: int = 0, count: int = 100) -> tuple[OrderRow, ...]:
        """Return orders, newest first."""
        found = self._find(session)
        if found is None:
            return ()
        from engine.api.order_views import order_row

        newest = sorted(found.orders.values(), key=lambda order: order.seq, reverse=True)
        return tuple(
            order_row(order, found.markets[order.request.market].instrument)
            for order in newest[start : start + count]
        )

    def fills(self, session: str, *, start: int = 0, count: int = 100) -> tuple[FillRow, ...]:
        """Return fills, newest first."""
        found = self._find(session)
        if found is None:
            return ()
        from engine.api.order_views import fill_row

        newest = found.fills[::-1][start : start + count]
        return tuple(fill_row(fill, found.markets[fill.market].instrument) for fill in newest)

    def positions(self, session: str) -> tuple[PositionRow, ...]:
        """Return the positions of a session: one of each market, two of a hedged one."""
        found = self._find(session)
        if found is None:
            return ()
        from engine.api.order_views import position_row

        return tuple(
            position_row(position, found.held_lots.get((position.market, position.side), 0))
            for position in found.account.positions
        )

    def performance(self, session: str) -> PerformanceView | None:
        """Return the session's performance report, or None before the first one."""
        from engine.api.session_views import performance_view

        found = self._find(session)
        return None if found is None else performance_view(found)

    def equity(self, session: str, *, points: int = 120) -> EquityView:
        """Return at most *points* equity samples over the whole session."""
        from engine.api.views import EquityView

        found = self._find(session)
        if found is None or not found.equity:
            return EquityView((), ())
        samples = found.equity
        step = -(-len(samples) // max(2, points))
        # Counted from the end, so that the newest sample is always there.
        kept = samples[::-1][::step][::-1]
        return EquityView(tuple(ts for ts, _ in kept), tuple(value for _, value in kept))

    def executor_types(self, session: str) -> tuple[ExecutorTypeView, ...]:
        """Return the executor types that can be created, with their forms."""
        from engine.api.executor_forms import executor_types

        found = self._find(session)
        return () if found is None else executor_types(found)

    def check_create(
        self, session: str, executor_type: str, values: Mapping[str, str]
    ) -> FormCheck:
        """Validate a create form; *values* maps dotted field names to what was typed."""
        from engine.api.executor_forms import check_create

        found = self._find(session)
        if found is None:
            from engine.api.views import FormCheck

            return FormCheck(errors={"": "the engine has no session yet"})
        return check_create(found, executor_type, values)

    def update_fields(self, session: str, executor_id: str) -> tuple[FormField, ...]:
        """Return the form of what can be changed, defaults being the present values."""
        from engine.api.executor_forms import update_fields

        found = self._find(session)
        snapshot = None if found is None else found.executors.get(executor_id)
        return () if snapshot is None else update_fields(snapshot)

    def check_update(self, session: str, executor_id: str, values: Mapping[str, str]) -> FormCheck:
        """Validate an update form."""
        from engine.api.executor_forms import check_update

        found = self._find(session)
        snapshot = None if found is None else found.executors.get(executor_id)
        if found is None or snapshot is None:
            from engine.api.views import FormCheck

            return FormCheck(errors={"": f"executor {executor_id} is not in the table any more"})
        return check_update(found, snapshot, values)

    def _find(self, session: str) -> PublishedSession | None:
        sessions = self.board.sessions
        if session in sessions:
            return sessions[session]
        return next((one for one in sessions.values() if one.name == session), None)

    def _executor_table(self) -> ExecutorTable:
        if self._table is None:
            from engine.api.executor_table import ExecutorTable
            from engine.live.clock import SystemClock

            self._table = ExecutorTable(monotonic_ns=SystemClock().monotonic_ns)
        return self._table
