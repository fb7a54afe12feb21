"""The orchestrator: owns a session's executors and feeds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from engine.executors.action_desk import ActionDesk, RestartPolicy
from engine.executors.actions import (
    ActionResult,
    CreateExecutorAction,
    ExecutorAction,
)
from engine.executors.archive import Archive, ArchivedExecutor, Archiver
from engine.executors.base import ExecutorBase
from engine.executors.config import ExecutorConfigBase
from engine.executors.factory import ExecutorFactory
from engine.executors.fill_ledger import half_even
from engine.executors.hold_closing import closing_config, open_holds
from engine.executors.info import ExecutorInfo
from engine.executors.performance import PerformanceReport, performance_report, summed
from engine.executors.plain import JsonValue
from engine.executors.position_hold import PositionHold, PositionState, PositionSummary
from engine.executors.position_store import InitialPosition, PositionStore
from engine.executors.roster import Roster
from engine.executors.settings import ExecutorSettings
from engine.executors.snapshot import ExecutorSnapshot
from engine.executors.status import RunnableStatus
from engine.executors.step import Intent, Notice
from engine.executors.stop_check import StopFault, stop_fault
from engine.executors.stop_watch import StopWatch
from engine.executors.strategy import ExecutorStrategy
from engine.model.clock import SECOND_NS
from engine.model.instruments import PPB, ConnectorPair
from engine.model.orders import Fill, Order, OrderQuery
from engine.model.quotes import QuoteTick


@dataclass(frozen=True, slots=True)
class ControllerReport:
    """What a controller gets to see: its executors, positions and performance."""

    executors: tuple[ExecutorInfo, ...]
    positions: tuple[PositionSummary, ...]
    performance: PerformanceReport


class ExecutorOrchestrator:
    """Owns executors through their actions, feeds them, collects their intents.

    All methods belong to the engine's thread. The quote that ``on_quote`` gets must already be the
    strategy's newest. Effects are drained: ``take_intents``, ``take_changed``,
    ``take_changed_positions``, ``take_archived``, ``take_notices``.

    Args:
        strategy: the container's side of the executors.
        executors_update_interval: seconds between two attempts of the same thing.
        executors_max_retries: overrides the types' own defaults if given (DEV-21).
        settings: waiting times.
        initial_positions_by_controller: positions that exist before the session (12.5).
        capital_by_controller: quote amount of each controller, for the return on capital.
        keep_positions: default of ``begin_stop``.
        archive_limit: archived executors of each controller that stay in memory.
        archiver: refuses what cannot be stored (STORE_FAILED); None accepts everything.
    """

    def __init__(
        self,
        strategy: ExecutorStrategy,
        executors_update_interval: float = 1.0,
        executors_max_retries: int | None = None,
        initial_positions_by_controller: Mapping[str, Iterable[InitialPosition]] | None = None,
        *,
        settings: ExecutorSettings | None = None,
        capital_by_controller: Mapping[str, Decimal] | None = None,
        keep_positions: bool | None = None,
        archive_limit: int = 100,
        archiver: Archiver | None = None,
    ) -> None:
        settings = settings or ExecutorSettings()
        self._strategy = strategy
        self._capital = dict(capital_by_controller or {})
        self._keep_positions = keep_positions
        self._positions = PositionStore(strategy)
        self._archive = Archive(archive_limit)
        self._roster = Roster(
            strategy=strategy,
            positions=self._positions,
            archive=self._archive,
            archiver=archiver,
            update_interval_ns=int(executors_update_interval * SECOND_NS),
        )
        self._actions = ActionDesk(
            strategy=strategy,
            roster=self._roster,
            archive=self._archive,
            settings=settings,
            update_interval=executors_update_interval,
            max_retries=executors_max_retries,
        )
        self._funding: dict[str, Decimal] = {}
        self._stop: StopWatch | None = None
        self._close_attempts = 0
        self._wants_holds_closed = False
        for controller_id, initial in (initial_positions_by_controller or {}).items():
            for position in initial:
                self._positions.expect(controller_id, position)

    @property
    def is_stopping(self) -> bool:
        """Whether ``begin_stop`` was called."""
        return self._stop is not None

    @property
    def is_stopped(self) -> bool:
        """Whether a stop has been asked for and nothing is active, or to be closed, any more."""
        if self._stop is None or self._wants_holds_closed:
            return False
        return not self._roster.has_active

    @property
    def created(self) -> int:
        """Return how many executors there were ever, those that ended at once too."""
        return self._roster.joined

    @property
    def woken(self) -> int:
        """Return how often a price or an instant has woken an executor so far."""
        return self._roster.woken

    def execute_actions(self, actions: Iterable[ExecutorAction]) -> list[ActionResult]:
        """Execute *actions* in order; one failure does not stop the rest."""
        return [self.execute_action(action) for action in actions]

    def execute_action(self, action: ExecutorAction) -> ActionResult:
        """Execute one action; a failure is a result, never an exception."""
        return self._actions.execute(action, is_stopping=self._stop is not None)

    def resume(
        self,
        config: ExecutorConfigBase,
        state: Mapping[str, JsonValue],
        orders: Iterable[Order],
        fills: Iterable[Fill],
        policy: RestartPolicy = "resume",
    ) -> None:
        """Take up a stored executor after a restart (14.3).

        Raises:
            ValueError: the configuration or the stored state does not fit.
        """
        self._actions.resume(config, state, orders, fills, policy)

    def recall(self) -> None:
        """Let the factory know the executors here, after the state came from another process."""
        configs = (member.executor.config for member in self._roster.members())
        ExecutorFactory.recall_executors(self._strategy, configs)

    def give_up(self, executor_id: str, reason: str) -> ActionResult:
        """End an executor as FAILED; what it holds goes to the position store (14.3, ignore)."""
        return self._actions.give_up(executor_id, reason)

    def restore_positions(self, states: Iterable[PositionState]) -> None:
        """Take up stored position holds."""
        self._positions.restore(states)

    def restore_performance(self, controller_id: str, report: PerformanceReport) -> None:
        """Begin with the performance of work that was archived in earlier sessions."""
        self._archive.set_performance(controller_id, report)

    def on_quote(self, quote: QuoteTick) -> None:
        """Wake the executors whose price condition *quote* meets."""
        if self._positions.has_pending:
            self._positions.open_pending()
        self._roster.wake_by_quote(quote)

    def on_time(self, now_ns: int) -> None:
        """Wake the executors whose instant has come; archive; watch over a stop."""
        self._roster.wake_by_time(now_ns)
        self._roster.archive_done(only_reported=True)
        self._poll_stop(now_ns)

    def on_order_update(self, order: Order) -> None:
        """Give an order's new state to its executor; orders of others are ignored."""
        member = self._roster.find(order.request.owner_id)
        if member is not None:
            self._roster.dispatch(member, member.executor.on_order_update, order)

    def on_order_missing(self, query: OrderQuery) -> None:
        """Tell the executor that asked that its venue does not know the order (6.4)."""
        member = self._roster.find(query.owner_id)
        if member is not None:
            on_missing = member.executor.on_order_missing
            self._roster.dispatch(member, on_missing, query.client_order_id)

    def on_fill(self, fill: Fill) -> None:
        """Give a fill to its executor; a late one goes to the position store (6.4)."""
        member = self._roster.find(fill.owner_id)
        if member is None:
            self._roster.late_fill(fill)
        else:
            self._roster.dispatch(member, member.executor.on_fill, fill)

    def on_funding(self, market: ConnectorPair, rate_ppb: int) -> dict[str, Decimal]:
        """Take a funding payment of a perpetual; return what each controller gets (8.7).

        Longs pay a positive rate, in parts per billion of the mid's notional. It is recorded beside
        the PnL of the controllers that are exposed; barriers do not see it. Without a valid mid
        nothing can be valued, and nothing is recorded.
        """
        mid = self._positions.mid_half_ticks(market)
        if mid is None:
            self._roster.tell("error", f"funding of {market} cannot be valued without a price")
            return {}
        instrument = self._strategy.instrument(market)
        paid: dict[str, Decimal] = {}
        for name, lots in self.exposed_lots(market).items():
            worth = lots * mid * instrument.atoms_per_tick_lot
            paid[name] = instrument.money(half_even(-worth * rate_ppb, 2 * PPB))
            self._funding[name] = self._funding.get(name, Decimal(0)) + paid[name]
        return paid

    def exposed_lots(self, market: ConnectorPair) -> dict[str, int]:
        """Return the signed lots of each controller that has some: executors and position holds."""
        found: dict[str, int] = {}
        for name in dict.fromkeys((*self._roster.by_controller, *self._positions.controllers)):
            lots = self._positions.net_lots(name, market)
            lots += sum(executor.open_lots(market) for executor in self.executors(name))
            if lots:
                found[name] = lots
        return found

    def open_initial_positions(self) -> tuple[tuple[ConnectorPair, int], ...]:
        """Open the initial positions whose market has a valid mid now; each is opened once.

        Returns: market and signed lots of each position of the account's books that was opened.
        """
        return self._positions.open_pending() if self._positions.has_pending else ()

    def next_wake_ns(self) -> int | None:
        """Return when ``on_time`` must be called next; None if nothing waits for the time."""
        times = [self._roster.next_wake_ns()]
        if self._stop is not None and len(self._roster):
            times.append(self._stop.next_poll_ns)
        return min((time for time in times if time is not None), default=None)

    def least_keys(self, market: ConnectorPair) -> tuple[float, ...] | None:
        """Return the least -bid, bid, -ask, ask, -mid and mid of *market* that may wake anybody.

        Mids are bid plus ask. None: the next quote does something whatever it is.
        """
        return None if self._positions.has_pending else self._roster.least_keys(market)

    @property
    def waits_for_report(self) -> bool:
        """Whether an executor has ended that no report has shown."""
        return self._roster.waits_for_report

    def stop_fault(self, executor: ExecutorBase) -> StopFault | None:
        """Return what is wrong with the stop of *executor*; call it between two inputs."""
        snapshot = executor.snapshot()
        quote = self._strategy.quote(snapshot.market)
        return stop_fault(snapshot, quote, self._roster.is_watched)

    def take_intents(self) -> tuple[Intent, ...]:
        """Drain the orders and cancels to carry out, in order."""
        intents = tuple(self._roster.intents)
        self._roster.intents.clear()
        return intents

    def take_changed(self) -> tuple[str, ...]:
        """Drain the ids of executors whose persisted state changed."""
        changed = tuple(self._roster.changed)
        self._roster.changed.clear()
        return changed

    def take_changed_positions(self) -> tuple[PositionState, ...]:
        """Drain the position holds that changed."""
        return self._positions.take_changed()

    def take_archived(self) -> tuple[ArchivedExecutor, ...]:
        """Drain the executors that were archived."""
        return self._archive.take_fresh()

    def take_notices(self) -> tuple[Notice, ...]:
        """Drain log lines and alerts."""
        notices = tuple(self._roster.notices)
        self._roster.notices.clear()
        return notices

    def begin_stop(
        self,
        keep_positions: bool | None = None,  # noqa: FBT001 (11.5 names it)
        *,
        max_close_attempts: int = 3,
        close_holds: bool = False,
    ) -> None:
        """Stop every executor; ``on_time`` goes on until ``is_stopped`` (11.5).

        With *close_holds* the position holds are closed too, once every executor has ended: whoever
        asks for it has to call ``close_holds`` after each input.
        """
        if self._stop is not None:
            return
        self._stop = StopWatch(self._strategy.now_ns(), max_close_attempts)
        self._close_attempts = max_close_attempts
        self._wants_holds_closed = close_holds
        keep = self._keep_positions if keep_positions is None else keep_positions
        for member in self._roster.members():
            if member.executor.status in {RunnableStatus.NOT_STARTED, RunnableStatus.RUNNING}:
                self._roster.dispatch(member, member.executor.early_stop, keep)
        self._poll_stop(self._strategy.now_ns())

    def close_holds(self) -> bool:
        """Close the position holds at market, if that is wanted and every executor has ended.

        Each is closed once, by an order executor of its controller; its result becomes realized.
        Returns: whether there is anything to send now.
        """
        if not self._wants_holds_closed or self._roster.has_active:
            return False
        self._wants_holds_closed = False
        self._stop = StopWatch(self._strategy.now_ns(), self._close_attempts)
        for hold, is_tradable in tuple(open_holds(self._positions)):
            amount = f"{hold.instrument.qty(hold.net_lots)} {hold.key.market}"
            if not is_tradable:
                text = f"{amount} is too little for an order, it stays held by"
                self._roster.tell("warning", f"{text} {hold.key.controller_id}")
                continue
            self._roster.tell("info", f"closing {amount} held by {hold.key.controller_id}")
            action = CreateExecutorAction(
                controller_id=hold.key.controller_id, executor_config=closing_config(hold)
            )
            self._actions.execute(action, is_stopping=False)
        return bool(self._roster.intents)

    def stop(
        self,
        max_executors_close_attempts: int = 3,
        keep_positions: bool | None = None,  # noqa: FBT001 (11.5 names it)
    ) -> None:
        """Begin a stop, with the arguments of 11.5; the same as ``begin_stop``."""
        self.begin_stop(keep_positions, max_close_attempts=max_executors_close_attempts)

    def force_stop(self) -> None:
        """End every executor at once (9.5): what is filled goes to the position store."""
        if self._stop is None:
            self._stop = StopWatch(self._strategy.now_ns(), 0)
        self._wants_holds_closed = False
        for member in self._roster.members():
            if member.executor.is_active:
                self._roster.dispatch(member, member.executor.stop)
        self._roster.archive_done(only_reported=False)

    @property
    def active_executors(self) -> dict[str, tuple[ExecutorBase, ...]]:
        """Return all executors that are not archived, terminated ones included, by controller."""
        return {name: self.executors(name) for name in self._roster.by_controller}

    @property
    def archived_executors(self) -> dict[str, tuple[ExecutorInfo, ...]]:
        """Return the newest archived reports by controller, oldest first."""
        return {name: self._archive.infos(name) for name in self._archive.controllers}

    @property
    def cached_performance(self) -> dict[str, PerformanceReport]:
        """Return the performance of archived work by controller."""
        return {name: self._archive.performance(name) for name in self._archive.controllers}

    @property
    def positions_held(self) -> dict[str, tuple[PositionHold, ...]]:
        """Return the buckets of position holds by controller."""
        return self._positions.by_controller()

    def find(self, executor_id: str) -> ExecutorBase | None:
        """Return an executor that is in memory, archived ones included."""
        member = self._roster.find(executor_id)
        if member is not None:
            return member.executor
        archived = self._archive.find(executor_id)
        return None if archived is None else archived.executor

    def config_type_of(self, executor_id: str) -> type | None:
        """Return the configuration class of an executor of this session that is not archived."""
        member = self._roster.find(executor_id)
        return None if member is None else type(member.executor.config)

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return the newest quote of *market* if it has two sides, else None."""
        quote = self._strategy.quote(market)
        is_valid = quote is not None and quote.bid_ticks > 0 and quote.ask_ticks > 0
        return quote if is_valid else None

    def executors(self, controller_id: str | None = None) -> tuple[ExecutorBase, ...]:
        """Return the executors that are not archived, oldest first."""
        if controller_id is None:
            return tuple(member.executor for member in self._roster.members())
        bucket = self._roster.by_controller.get(controller_id, {})
        return tuple(member.executor for member in bucket.values())

    def snapshots(self, *, include_archived: bool = False) -> tuple[ExecutorSnapshot, ...]:
        """Return the immutable state of all executors, archived ones (newest 100) first."""
        archived = self._archive.executors() if include_archived else ()
        return tuple(executor.snapshot() for executor in (*archived, *self.executors()))

    def archived_infos(self, controller_id: str) -> tuple[ExecutorInfo, ...]:
        """Return the newest archived reports of a controller, oldest first."""
        return self._archive.infos(controller_id)

    def get_executors_report(self) -> dict[str, tuple[ExecutorInfo, ...]]:
        """Return the reports of all executors that are not archived, by controller."""
        return {
            controller_id: tuple(self._roster.report(member) for member in members.values())
            for controller_id, members in self._roster.by_controller.items()
        }

    def get_positions_report(self) -> dict[str, tuple[PositionSummary, ...]]:
        """Return the position holds at the newest mids, by controller."""
        return {
            controller_id: self._positions.summaries(controller_id)
            for controller_id in self._positions.controllers
        }

    def archived_performance(self) -> PerformanceReport:
        """Return the performance of all archived work, summed over the controllers."""
        return summed(self._archive.performance(name) for name in self._archive.controllers)

    def positions(self, controller_id: str) -> tuple[PositionSummary, ...]:
        """Return the position holds of one controller at the newest mids."""
        return self._positions.summaries(controller_id)

    def get_performance_report(
        self, controller_id: str, *, archives: bool = True
    ) -> PerformanceReport:
        """Return the performance of one controller (13.2).

        With *archives* it counts as a report: what has ended and is in it may be archived.
        """
        positions = self._positions.summaries(controller_id)
        return self._performance(controller_id, positions, archives=archives)

    def get_all_reports(self) -> dict[str, ControllerReport]:
        """Return executors, positions and performance of every known controller."""
        executors, positions = self.get_executors_report(), self.get_positions_report()
        names = dict.fromkeys((*executors, *positions, *self._archive.controllers))
        return {
            name: ControllerReport(
                executors.get(name, ()),
                positions.get(name, ()),
                self._performance(name, positions.get(name, ())),
            )
            for name in names
        }

    def get_all_performance(self) -> dict[str, PerformanceReport]:
        """Return the performance of every known controller without its executors' reports."""
        positions = self.get_positions_report()
        names = dict.fromkeys((*self._roster.by_controller, *positions, *self._archive.controllers))
        return {name: self._performance(name, positions.get(name, ())) for name in names}

    def _performance(
        self,
        controller_id: str,
        positions: tuple[PositionSummary, ...],
        *,
        archives: bool = True,
    ) -> PerformanceReport:
        archived = self._archive.performance(controller_id)
        funding = self._funding.get(controller_id)
        if funding is not None:
            archived = replace(archived, funding_quote=archived.funding_quote + funding)
        return performance_report(
            self._roster.performance(controller_id, archived, archives=archives),
            (),
            positions,
            total_amount_quote=self._capital.get(controller_id),
        )

    def _poll_stop(self, now_ns: int) -> None:
        if self._stop is None or not len(self._roster):
            return
        active = [m.executor for m in self._roster.members() if m.executor.is_active]
        if not active:
            self._roster.archive_done(only_reported=False)
            return
        if now_ns < self._stop.next_poll_ns:
            return
        progress = tuple((executor.executor_id, executor.version) for executor in active)
        if self._stop.poll(now_ns, progress):
            text = f"{len(active)} executors did not end in time; stopping them now"
            self._roster.tell("warning", text)
            self.force_stop()
