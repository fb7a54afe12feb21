"""Runs the controllers of a session and turns what they propose into actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Any, Final

from engine.containers.action_builder import ActionRefusedError, build_action
from engine.containers.data_handler import DataHandler
from engine.executors.actions import ActionCode, ActionResult, ExecutorAction
from engine.executors.info import ExecutorInfo
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.executors.snapshot import ExecutorSnapshot
from engine.executors.step import Notice
from engine.model.orders import TradeType
from engine.strategies.controller import (
    Controller,
    ControllerContext,
    ControllerProposal,
    CreateProposal,
    KeyedDraws,
    StopProposal,
    StoreProposal,
    UpdateProposal,
)

ERRORS_ALLOWED: Final = 3
"""Consecutive failures after which a controller is paused."""
ACTIONS_ALLOWED: Final = 100
"""Proposals of one controller that are carried out in one tick."""
FIRST_STREAM: Final = 200
"""Random stream of the first controller; the others follow."""


class SnapshotFacts:
    """What a controller sees of one of its executors; money is computed when it is asked for."""

    __slots__ = ("_data_handler", "_snapshot")

    def __init__(self, snapshot: ExecutorSnapshot, data_handler: DataHandler) -> None:
        self._snapshot = snapshot
        self._data_handler = data_handler

    @property
    def id(self) -> str:
        """Return the executor's id."""
        return self._snapshot.id

    @property
    def type(self) -> str:
        """Return its registered type."""
        return self._snapshot.type

    @property
    def is_active(self) -> bool:
        """Whether it is not terminated."""
        return not self._snapshot.is_done

    @property
    def side(self) -> TradeType | None:
        """Return its side."""
        return self._snapshot.side

    @property
    def connector_name(self) -> str:
        """Return its venue connector."""
        return self._snapshot.market.connector_name

    @property
    def trading_pair(self) -> str:
        """Return its trading pair."""
        return self._snapshot.market.trading_pair

    @property
    def net_pnl_quote(self) -> Decimal:
        """Return its result in quote, fees included."""
        snapshot = self._snapshot
        mark_ticks = snapshot.mark_of(self._data_handler.quote(snapshot.market))
        return snapshot.instrument.money(snapshot.net_pnl_atoms(mark_ticks))


class ControllerHost:
    """Asks each controller once per tick and carries out what it proposes.

    After the actions of one controller the next one sees fresh facts. A controller that raises is
    reported; after ``ERRORS_ALLOWED`` failures in a row it is paused, the others go on. Of one that
    floods, the first ``ACTIONS_ALLOWED`` proposals of a tick are carried out; that is told once,
    until it behaves again.
    """

    def __init__(
        self,
        *,
        controllers: Sequence[Controller],
        orchestrator: ExecutorOrchestrator,
        data_handler: DataHandler,
        seed: int,
    ) -> None:
        self._controllers = tuple(controllers)
        self._orchestrator = orchestrator
        self._data_handler = data_handler
        self._seed = seed
        self._errors: dict[str, int] = {}
        self._flooding: set[str] = set()
        self._stopped: set[str] = set()
        self._notices: list[Notice] = []

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the controllers' ids in the order of their ticks."""
        return tuple(controller.controller_id for controller in self._controllers)

    @property
    def stopped_ids(self) -> tuple[str, ...]:
        """Return the ids of the controllers that somebody outside has stopped."""
        return tuple(name for name in self.ids if name in self._stopped)

    def states(self) -> dict[str, str]:
        """Return by id whether each controller is running, stopped, or paused by its failures."""
        return {name: self._state_of(name) for name in self.ids}

    def _state_of(self, controller_id: str) -> str:
        if controller_id in self._stopped:
            return "stopped"
        return "failed" if self._errors.get(controller_id, 0) >= ERRORS_ALLOWED else "running"

    def stop_controller(self, controller_id: str) -> None:
        """Ask a controller no more; its executors are not touched."""
        self._stopped.add(controller_id)

    def start_controller(self, controller_id: str) -> None:
        """Ask a controller again, also one that was paused after failures."""
        self._stopped.discard(controller_id)
        self._errors.pop(controller_id, None)

    def on_tick(self, now_ns: int) -> list[tuple[str, str, ActionResult]]:
        """Return (controller id, verb, result) of what was done."""
        done: list[tuple[str, str, ActionResult]] = []
        for index, controller in enumerate(self._controllers):
            controller_id = controller.controller_id
            if controller_id in self._stopped:
                continue
            if self._errors.get(controller_id, 0) >= ERRORS_ALLOWED:
                continue
            try:
                answer = controller.on_tick(self._context(controller_id, index, now_ns))
                # One more than is allowed shows a flood, even one that never ends.
                proposals = tuple(islice(answer, ACTIONS_ALLOWED + 1))
            except Exception as error:  # noqa: BLE001 (boundary: a controller's code runs here)
                self._count_error(controller_id, error, now_ns)
                continue
            self._errors[controller_id] = 0
            self._note_flood(controller_id, now_ns, is_flood=len(proposals) > ACTIONS_ALLOWED)
            for proposal in proposals[:ACTIONS_ALLOWED]:
                verb, result = self._carry_out(controller_id, proposal)
                done.append((controller_id, verb, result))
                if not result.ok:
                    text = f"{controller_id}: {verb} refused: {result.message}"
                    self._notices.append(Notice(now_ns, "warning", result.executor_id or "", text))
        return done

    def take_notices(self) -> tuple[Notice, ...]:
        """Drain the notices."""
        notices = tuple(self._notices)
        self._notices.clear()
        return notices

    def _context(self, controller_id: str, index: int, now_ns: int) -> ControllerContext:
        return ControllerContext(
            controller_id=controller_id,
            now_ns=now_ns,
            markets=self._data_handler,
            draws=KeyedDraws(self._seed, FIRST_STREAM + index),
            executors=tuple(
                SnapshotFacts(executor.snapshot(), self._data_handler)
                for executor in self._orchestrator.executors(controller_id)
            ),
            positions=self._orchestrator.positions(controller_id),
            performance=self._orchestrator.get_performance_report(controller_id, archives=False),
            reports_of=partial(self._reports, controller_id),
        )

    def _reports(self, controller_id: str) -> tuple[ExecutorInfo, ...]:
        """Return full reports without counting them as such: what has ended stays listed."""
        executors = self._orchestrator.executors(controller_id)
        return tuple(executor.executor_info for executor in executors)

    def _carry_out(
        self, controller_id: str, proposal: ControllerProposal
    ) -> tuple[str, ActionResult]:
        arguments: dict[str, Any] = {"controller_id": controller_id}
        match proposal:
            case CreateProposal():
                verb = "create"
                arguments |= {"executor_type": proposal.executor_type, "config": proposal.config}
            case StopProposal():
                verb = "stop"
                arguments |= {
                    "executor_id": proposal.executor_id,
                    "keep_position": proposal.keep_position,
                }
            case UpdateProposal():
                verb = "update"
                arguments |= {"executor_id": proposal.executor_id, "changes": proposal.changes}
            case StoreProposal():
                verb = "store"
                arguments |= {"executor_id": proposal.executor_id}
            case ExecutorAction() if type(proposal) is not ExecutorAction:
                return str(proposal.action_type), self._execute(controller_id, proposal)
            case _:
                kind = type(proposal).__name__
                text = f"a proposal must be a create, stop, update or store, got {kind}"
                return kind, ActionResult(ok=False, code=ActionCode.NOT_FOUND, message=text)
        try:
            action = build_action(verb, arguments, self._orchestrator.config_type_of)
            return verb, self._orchestrator.execute_action(action)
        except ActionRefusedError as refusal:
            return verb, refusal.result

    def _execute(self, controller_id: str, action: ExecutorAction) -> ActionResult:
        """Execute an action as the controller's own, whatever controller it names."""
        try:
            own = replace(action, controller_id=controller_id)
        except ValueError as error:  # its executor is not there any more
            return ActionResult(ok=False, code=ActionCode.NOT_FOUND, message=str(error))
        return self._orchestrator.execute_action(own)

    def _note_flood(self, controller_id: str, now_ns: int, *, is_flood: bool) -> None:
        if not is_flood:
            self._flooding.discard(controller_id)
        elif controller_id not in self._flooding:
            self._flooding.add(controller_id)
            text = (
                f"controller {controller_id} proposes more than {ACTIONS_ALLOWED} actions in one "
                "tick; the rest is ignored"
            )
            self._notices.append(Notice(now_ns, "error", "", text))

    def _count_error(self, controller_id: str, error: Exception, now_ns: int) -> None:
        count = self._errors.get(controller_id, 0) + 1
        self._errors[controller_id] = count
        text = f"controller {controller_id} failed: {type(error).__name__}: {error}"
        if count >= ERRORS_ALLOWED:
            text += f"; paused after {count} failures in a row, its executors go on"
        self._notices.append(Notice(now_ns, "error", "", text))
