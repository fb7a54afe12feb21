"""The executors of a session: waking them, containing their errors, taking their effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec

from engine.executors.archive import Archive, Archiver
from engine.executors.base import ExecutorBase
from engine.executors.factory import ExecutorFactory
from engine.executors.info import ExecutorInfo
from engine.executors.performance import PerformanceReport
from engine.executors.position_store import PositionStore
from engine.executors.running_money import RunningMoney
from engine.executors.status import CloseType
from engine.executors.step import EMPTY_STEP, Intent, Level, Notice, Step
from engine.executors.strategy import ExecutorStrategy
from engine.executors.wake_conditions import PriceTrigger, WakeConditions
from engine.executors.wake_index import WakeIndex
from engine.model.instruments import ConnectorPair
from engine.model.orders import Fill
from engine.model.quotes import QuoteTick

P = ParamSpec("P")


@dataclass(slots=True, eq=False)
class Member:
    """An executor with what the roster knows about it."""

    executor: ExecutorBase
    sequence: int
    seen_version: int = -1


class Roster:
    """Executors that are not archived, by id and by controller, and the effects they caused.

    An event costs O(log n) in the number of executors, a quote that wakes nobody O(1).
    """

    def __init__(
        self,
        *,
        strategy: ExecutorStrategy,
        positions: PositionStore,
        archive: Archive,
        archiver: Archiver | None,
        update_interval_ns: int,
    ) -> None:
        self._strategy = strategy
        self._positions = positions
        self._archive = archive
        self._archiver = archiver
        self._update_interval_ns = update_interval_ns
        self._members: dict[str, Member] = {}
        self._done: dict[str, Member] = {}
        self._unreported: dict[str, dict[str, Member]] = {}
        self._reported: dict[str, Member] = {}
        self._final_infos: dict[str, tuple[int, ExecutorInfo]] = {}
        """Reports of ended executors, with the version that they tell of."""
        self._sequence = 0
        self._wakes = WakeIndex()
        self._archive_due_ns: int | None = None
        self._money: dict[str, RunningMoney] = {}
        self._stale_money: dict[str, dict[str, None]] = {}
        self.by_controller: dict[str, dict[str, Member]] = {}
        self._errors: dict[str, int] = {}
        """Errors in a row, by executor: almost always there are none."""
        self.woken = 0
        self.intents: list[Intent] = []
        self.notices: list[Notice] = []
        self.changed: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._members)

    @property
    def joined(self) -> int:
        """Return how many executors were ever taken in."""
        return self._sequence

    @property
    def has_active(self) -> bool:
        """Whether any executor is not terminated."""
        return len(self._members) > len(self._done)

    def members(self) -> tuple[Member, ...]:
        """Return the members, oldest first."""
        return tuple(self._members.values())

    def find(self, executor_id: str) -> Member | None:
        """Return a member by the id of its executor."""
        return self._members.get(executor_id)

    def of_controller(self, controller_id: str, executor_id: str) -> Member | None:
        """Return a member only if it belongs to *controller_id*."""
        return self.by_controller.get(controller_id, {}).get(executor_id)

    def join(self, executor: ExecutorBase) -> Member:
        """Take an executor in."""
        self._sequence += 1
        member = Member(executor, self._sequence)
        self._members[executor.executor_id] = member
        bucket = self.by_controller.setdefault(executor.controller_id, {})
        bucket[executor.executor_id] = member
        return member

    def wake_by_quote(self, quote: QuoteTick) -> None:
        """Give *quote* to the executors that wait for it, oldest first."""
        members = self._in_order(self._wakes.fire_quote(quote))
        self.woken += len(members)
        for member in members:
            self.dispatch(member, member.executor.on_quote, quote)

    def wake_by_time(self, now_ns: int) -> None:
        """Give the time to the executors that wait for it, oldest first."""
        members = self._in_order(self._wakes.fire_time(now_ns))
        self.woken += len(members)
        for member in members:
            self.dispatch(member, member.executor.on_time, now_ns)

    def least_keys(self, market: ConnectorPair) -> tuple[float, ...]:
        """Return which prices of *market* may wake anybody, as `WakeIndex.least_keys`."""
        return self._wakes.least_keys(market)

    @property
    def waits_for_report(self) -> bool:
        """Whether the next report changes anything: somebody has ended since the last."""
        return any(self._unreported.values())

    def is_watched(self, executor_id: str, trigger: PriceTrigger) -> bool:
        """Whether an executor is woken when *trigger* is met."""
        return self._wakes.is_watched(executor_id, trigger)

    def next_wake_ns(self) -> int | None:
        """Return the earliest instant that an executor or the archiving waits for."""
        times = (self._wakes.next_time_ns(), self._archive_due_ns)
        return min((time for time in times if time is not None), default=None)

    def dispatch(
        self, member: Member, event: Callable[P, Step], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Let *event* happen to an executor and take over all of its effects."""
        try:
            step = event(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 (boundary: one executor must not harm the others)
            step = self._contain(member, error)
        else:
            if self._errors:
                self._errors.pop(member.executor.executor_id, None)
        if step.intents:
            self.intents += step.intents
        self._settle(member)

    def late_fill(self, fill: Fill) -> None:
        """Take a fill whose executor is not a member any more (6.4)."""
        archived = self._archive.find(fill.owner_id)
        if archived is None:
            self.tell("error", f"fill {fill.fill_id} of unknown executor {fill.owner_id} ignored")
            return
        archived.executor.on_fill(fill)
        self._collect(archived.executor)

    def report(self, member: Member) -> ExecutorInfo:
        """Return the report of a member; a done one may be archived from now on."""
        executor = member.executor
        known = self._final_infos.get(executor.executor_id)
        if known is not None and known[0] == executor.version:
            return known[1]
        info = executor.executor_info
        self.notices += executor.take_notices()
        self._note_reported(member)
        if info.is_done:
            self._final_infos[executor.executor_id] = (executor.version, info)
        return info

    def performance(
        self, controller_id: str, cached: PerformanceReport, *, archives: bool
    ) -> PerformanceReport:
        """Return *cached* with the executors of a controller; done ones may be archived now."""
        stale = self._stale_money.get(controller_id, {})
        money = self._money.get(controller_id)
        if money is None and stale:
            money = self._money[controller_id] = RunningMoney()
        for executor_id in stale:
            member = self._members.get(executor_id)
            if member is not None and money is not None:
                money.put(member.executor.snapshot())
        stale.clear()
        if archives:
            for member in tuple(self._unreported.get(controller_id, {}).values()):
                self._note_reported(member)
        return cached if money is None else money.added_to(cached, self._strategy.quote)

    def archive_one(self, member: Member) -> str:
        """Archive a terminated executor; return why it could not be stored, or nothing."""
        executor = member.executor
        executor_id = executor.executor_id
        info = self.report(member)
        if self._archiver is not None:
            try:
                self._archiver.archive(info)
            except Exception as error:  # noqa: BLE001 (boundary: the store's failure is a result here)
                return f"executor {executor_id} could not be stored: {error}"
        del self._members[executor_id]
        del self.by_controller[executor.controller_id][executor_id]
        self._done.pop(executor_id, None)
        self._reported.pop(executor_id, None)
        self._errors.pop(executor_id, None)
        self._final_infos.pop(executor_id, None)
        money = self._money.get(executor.controller_id)
        if money is not None:
            money.remove(executor_id)
        self._archive.add(info, executor)
        ExecutorFactory.forget_executor(executor_id, self._strategy)
        return ""

    def archive_done(self, *, only_reported: bool) -> None:
        """Archive the terminated executors, all or those that a report has shown (11.3)."""
        self._archive_due_ns = None
        for member in tuple((self._reported if only_reported else self._done).values()):
            problem = self.archive_one(member)
            if problem:
                self.tell("error", problem, member.executor.executor_id)
                self._archive_due_ns = self._strategy.now_ns() + self._update_interval_ns

    def tell(self, level: Level, text: str, executor_id: str = "") -> None:
        """Add a notice of the orchestrator's own."""
        self.notices.append(Notice(self._strategy.now_ns(), level, executor_id, text))

    def _note_reported(self, member: Member) -> None:
        executor = member.executor
        if executor.is_done and executor.executor_id not in self._reported:
            self._unreported.get(executor.controller_id, {}).pop(executor.executor_id, None)
            self._reported[executor.executor_id] = member
            self._archive_due_ns = self._strategy.now_ns() + self._update_interval_ns

    def _in_order(self, owners: list[str]) -> list[Member]:
        members = [self._members[owner] for owner in owners if owner in self._members]
        if len(members) > 1:
            members.sort(key=lambda member: member.sequence)
        return members

    def _contain(self, member: Member, error: Exception) -> Step:
        executor = member.executor
        kept = executor.take_step()
        errors = self._errors[executor.executor_id] = 1 + self._errors.get(executor.executor_id, 0)
        executor.note_error(f"error in {executor.config.type}: {error!r}")
        if errors <= executor.max_retries or executor.is_done:
            return kept
        try:
            last = executor.fail(f"{errors} errors in a row, the last: {error!r}")
        except Exception as second:  # noqa: BLE001 (boundary: one executor must not harm the others)
            self.tell("error", f"cannot end: {second!r}", executor.executor_id)
            last = EMPTY_STEP
        return Step(kept.intents + last.intents)

    def _settle(self, member: Member) -> None:
        executor = member.executor
        self._collect(executor)
        version = executor.version
        if version != member.seen_version:
            member.seen_version = version
            self.changed[executor.executor_id] = None
            self._stale_money.setdefault(executor.controller_id, {})[executor.executor_id] = None
        if executor.is_active:
            self._register(member)
            return
        self._wakes.remove(executor.executor_id)
        if executor.executor_id not in self._done:
            self._done[executor.executor_id] = member
            ended = self._unreported.setdefault(executor.controller_id, {})
            ended[executor.executor_id] = member
            held = executor.held_position_orders
            if executor.close_type is CloseType.POSITION_HOLD and not held:
                self.tell("warning", "ended as a position hold of nothing", executor.executor_id)
            self._positions.add(executor, executor.controller_id, held)

    def _register(self, member: Member) -> None:
        """Wait for what the executor waits for, if it has looked at the market again."""
        executor = member.executor
        wakes = executor.take_wakes()
        if executor.executor_id in self._errors:
            wakes = self._soon(executor.wakes if wakes is None else wakes)
        if wakes is not None:
            self._wakes.update(executor.executor_id, wakes)

    def _soon(self, wakes: WakeConditions) -> WakeConditions:
        """Return *wakes*, but after an error the executor gets another chance soon."""
        now_ns = self._strategy.now_ns()
        at_ns = now_ns + self._update_interval_ns
        if wakes.at_ns is not None and wakes.at_ns > now_ns:  # else it is what just failed
            at_ns = min(at_ns, wakes.at_ns)
        return WakeConditions(wakes.prices, at_ns)

    def _collect(self, executor: ExecutorBase) -> None:
        if executor.has_told:
            self.notices += executor.take_notices()
        late = executor.take_late_fills()
        if late:
            self._positions.add(executor, executor.controller_id, late)
