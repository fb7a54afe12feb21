"""A desk on which executors of any type are tested, with one market or with several."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from engine.executors.actions import ActionResult, ExecutorAction
from engine.executors.base import ExecutorBase
from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.model.instruments import Instrument
from engine.model.orders import Order, OrderState
from engine.testing.executor_bench import bench_instrument
from engine.testing.scripted_venue import Desk, ScriptedVenue

E = TypeVar("E", bound=ExecutorBase)


class TypeBench(Desk, Generic[E]):
    """Creates executors of one class from plain fields; nothing is quoted at first.

    Args:
        executor_type: class of the executors.
        type_name: its registered type.
        defaults: fields of the configuration unless a test says otherwise.
        instruments: the markets; the bench's own if there are none.
        venue_type: for a venue that can more.
        options: of the orchestrator.
    """

    def __init__(
        self,
        executor_type: type[E],
        type_name: str,
        defaults: dict[str, Any],
        *instruments: Instrument,
        venue_type: type[ScriptedVenue] = ScriptedVenue,
        **options: Any,  # noqa: ANN401 (of the orchestrator)
    ) -> None:
        load_builtin_executors()
        venue = venue_type(instruments or (bench_instrument(),))
        super().__init__(venue, ExecutorOrchestrator(strategy=venue, **options))
        self._executor_type = executor_type
        self._type_name = type_name
        self._defaults = defaults

    def price(self, bid_ticks: int, ask_ticks: int | None = None, *, market: int = 0) -> None:
        """Publish a quote of a market by its number (ask = bid if omitted)."""
        self.quote(list(self.venue.instruments)[market], bid_ticks, ask_ticks)

    def ask_for(self, **fields: Any) -> ActionResult:  # noqa: ANN401 (as a file gives them)
        """Return what the orchestrator says to a create action."""
        config_type = ExecutorFactory.get_config_type(self._type_name)
        config = config_type(**(self._defaults | fields))
        return self.orchestrator.execute_action(ExecutorAction.create(config))

    def create(self, **fields: Any) -> E:  # noqa: ANN401 (as a file gives them)
        """Create and start an executor and let everything settle.

        Raises:
            ValueError: the orchestrator refused it.
        """
        result = self.ask_for(**fields)
        executor = self.orchestrator.find(result.executor_id or "")
        if not isinstance(executor, self._executor_type):
            raise ValueError(result.message)  # noqa: TRY004 (the message is what matters)
        self.pump()
        return executor

    def stop(self, executor: E, *, keep: bool | None = None) -> None:
        """Stop an executor and let everything settle."""
        action = ExecutorAction.stop(executor.executor_id, keep_position=keep)
        self.orchestrator.execute_action(action)
        self.pump()

    def update(self, executor: E, payload: object) -> ActionResult:
        """Change an executor while it runs and let everything settle."""
        result = self.orchestrator.execute_action(
            ExecutorAction.update(executor.executor_id, payload)
        )
        self.pump()
        return result

    def fill(self, order: Order, lots: int | None = None, ticks: int | None = None) -> None:
        """Fill an order, all of what is left and at its limit unless said otherwise."""
        request = order.request
        quote = self.venue.quotes.get(request.market)
        touch = (
            0 if quote is None else quote.ask_ticks if request.side.sign > 0 else quote.bid_ticks
        )
        limit = touch if request.limit_ticks is None else request.limit_ticks
        self.venue.fill(
            request.client_order_id,
            order.remaining_lots if lots is None else lots,
            limit if ticks is None else ticks,
        )
        self.pump()

    def cancel(self, order: Order) -> None:
        """Let the venue cancel an order by itself."""
        self.venue.cancel(order.request.client_order_id)
        self.pump()

    def reject(self, order: Order) -> None:
        """Let the venue reject an order."""
        self.venue.reject(order.request.client_order_id)
        self.pump()

    def orders(self) -> list[Order]:
        """Return all orders that were placed, oldest first."""
        return list(self.venue.orders.values())

    def states(self) -> list[OrderState]:
        """Return the states of all orders, oldest first."""
        return [order.state for order in self.orders()]

    def reborn(self, executor: E) -> tuple[TypeBench[E], E]:
        """Return a new desk at the same venue, with *executor* as a restart brings it back.

        Raises:
            ValueError: the new orchestrator does not know it.
        """
        fresh: TypeBench[E] = TypeBench(self._executor_type, self._type_name, self._defaults)
        fresh.venue = self.venue
        fresh.orchestrator = ExecutorOrchestrator(strategy=self.venue)
        fresh.orchestrator.resume(
            executor.config, executor.runtime_state(), self.orders(), list(self.venue.fills)
        )
        fresh.pump()
        again = fresh.orchestrator.find(executor.executor_id)
        if not isinstance(again, self._executor_type):
            raise ValueError(f"executor {executor.executor_id} did not come back")  # noqa: TRY004 (a missing one)
        return fresh, again
