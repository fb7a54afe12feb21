"""What an agent may do: read the session's picture, ask for actions, raise alerts.

The picture is at most a tenth of a second old. An action goes through the session's input queue: it
is journaled before the core sees it, so a recorded session replays without its agents.

    class Watcher(SessionAgent):
        async def _run_cycle(self, resource_pool):
            picture = self.context.picture()
            for executor in picture.executors(controller_id="main"):
                if executor.net_pnl_quote < -100:
                    await self.context.stop_executor(executor.id)
            return {"note": f"equity {picture.account.equity:,.2f}"}
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from engine.agents.heavy import in_process
from engine.agents.picture import SessionPicture
from engine.containers.inputs import START_CONTROLLER, STOP_CONTROLLER
from engine.executors.actions import ActionResult
from engine.flow.errors import OperationError
from engine.live.published import PublishedSession

ResultT = TypeVar("ResultT")

AlertLevel: TypeAlias = Literal["warning", "error"]

Act: TypeAlias = Callable[[str, str, Mapping[str, Any]], Awaitable[ActionResult]]
"""Lets the session carry out (actor, verb, arguments)."""


class AlertBook(Protocol):
    """Where alerts go: shown in the console and logged, once per episode."""

    def raise_alert(self, key: str, text: str, level: AlertLevel) -> None:
        """Say *text*; the same key again only renews it."""
        ...

    def clear_alert(self, key: str) -> None:
        """Say that *key* is over; nothing happens if it was not raised."""
        ...


class MarketCondition(Protocol):
    """Takes what the adaptive intervals depend on (scheduling 7.1)."""

    def __call__(
        self, *, volatility: float, trading_volume: float, trend: float, liquidity: float
    ) -> None:
        """Tell the scheduler how the market is; 0 to 1, the trend -1 to 1."""
        ...


class AgentContext:
    """One agent's access to the session. Belongs to the engine's loop.

    Args:
        agent_id: in whose name actions are asked for.
        published: the newest published state, None before the first.
        act: carries actions to the session's input queue.
        alerts: where alerts go.
        market_condition: takes what the adaptive intervals depend on.
    """

    def __init__(
        self,
        *,
        agent_id: str,
        published: Callable[[], PublishedSession | None],
        act: Act,
        alerts: AlertBook,
        market_condition: MarketCondition,
    ) -> None:
        self.agent_id = agent_id
        self.set_market_condition = market_condition
        self._published = published
        self._act = act
        self._alerts = alerts

    def picture(self) -> SessionPicture:
        """Return the newest picture of the session.

        Raises:
            OperationError: there is none yet; the cycle counts as failed and is tried again.
        """
        published = self._published()
        if published is None:
            raise OperationError("the session has published nothing yet")
        return SessionPicture(published)

    async def compute(self, function: Callable[..., ResultT], *args: Any) -> ResultT:  # noqa: ANN401 (the function's)
        """Return what ``function(*args)`` returns, computed in a process of its own.

        For work that keeps a core busy for more than a few milliseconds: in the agent itself it
        would hold the engine up, in a thread it would take turns from engine and console. One
        computation runs at a time, the others wait; a timeout of the cycle kills it. The function
        stands at the top of a module; arguments and result are values that can be copied.

        Raises:
            TypeError: the function is not at the top of a module.
            Exception: what the function raised.
        """
        return await in_process(function, *args)

    def find_picture(self) -> SessionPicture | None:
        """Return the newest picture, None before the first."""
        published = self._published()
        return None if published is None else SessionPicture(published)

    async def create_executor(
        self, executor_type: str, config: Mapping[str, Any], *, controller_id: str | None = None
    ) -> ActionResult:
        """Ask for a new executor, by default under the agent's own id.

        Raises:
            OperationError: the session does not run.
        """
        arguments = {
            "executor_type": executor_type,
            "config": dict(config),
            "controller_id": controller_id or self.agent_id,
        }
        return await self._act(self.agent_id, "create", arguments)

    async def stop_executor(
        self, executor_id: str, *, keep_position: bool | None = None
    ) -> ActionResult:
        """Ask an executor to stop; None leaves the choice to its configuration."""
        arguments = {"executor_id": executor_id, "keep_position": keep_position}
        return await self._act(self.agent_id, "stop", arguments)

    async def update_executor(self, executor_id: str, changes: Mapping[str, Any]) -> ActionResult:
        """Ask for a change of a running executor."""
        arguments = {"executor_id": executor_id, "changes": dict(changes)}
        return await self._act(self.agent_id, "update", arguments)

    async def stop_controller(
        self, controller_id: str, *, keep_position: bool | None = None
    ) -> ActionResult:
        """Ask a controller to propose nothing any more, and its executors to stop."""
        arguments = {"controller_id": controller_id, "keep_position": keep_position}
        return await self._act(self.agent_id, STOP_CONTROLLER, arguments)

    async def start_controller(self, controller_id: str) -> ActionResult:
        """Let a stopped controller go on."""
        arguments = {"controller_id": controller_id}
        return await self._act(self.agent_id, START_CONTROLLER, arguments)

    def raise_alert(self, text: str, *, key: str = "", level: AlertLevel = "warning") -> None:
        """Say something that the operator should know, once until it is cleared."""
        self._alerts.raise_alert(f"{self.agent_id}:{key}", f"{self.agent_id}: {text}", level)

    def clear_alert(self, key: str = "") -> None:
        """Say that what was raised under *key* is over."""
        self._alerts.clear_alert(f"{self.agent_id}:{key}")
