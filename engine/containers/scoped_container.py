"""A scoped container: the component instances of one run, with one life cycle."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from engine import flow
from engine.containers.bus import EventBus
from engine.containers.lifecycle import ContainerState, ContainerStateError, check_transition
from engine.model.clock import SimulatedClock


class UnresolvedComponentError(flow.NotFoundError):
    """A container was asked for a component that it does not hold (CONT-5)."""


class DependencyCycleError(flow.ConfigurationError):
    """Components depend on each other in a circle (CONT-2)."""


@runtime_checkable
class Initializes(Protocol):
    """A component that subscribes to the bus when its container is initialised."""

    def initialize(self, bus: EventBus) -> None:
        """Subscribe to what it needs."""
        ...


@runtime_checkable
class TearsDown(Protocol):
    """A component that has something to give back."""

    def teardown(self) -> None:
        """Release what it holds."""
        ...


class ScopedContainer:
    """Holds one run's components; nothing in it is shared with another container.

    Components are initialised in the order of their dependencies, ties in the order of their
    registration, and torn down in reverse. Use it as a context manager: it always tears down.
    """

    def __init__(self, *, container_id: str, clock: SimulatedClock) -> None:
        self.id = container_id
        self.clock = clock
        self.bus = EventBus(container_id=container_id, clock=clock)
        self._state = ContainerState.CREATED
        self._components: dict[str, object] = {}
        self._dependencies: dict[str, tuple[str, ...]] = {}
        self._initialized: list[str] = []

    @property
    def state(self) -> ContainerState:
        """Return where the container is in its life cycle."""
        return self._state

    @property
    def component_names(self) -> tuple[str, ...]:
        """Return the names of the components in the order of their registration."""
        return tuple(self._components)

    def register(self, name: str, component: object, *, needs: Sequence[str] = ()) -> None:
        """Add a component before the container is initialised.

        Raises:
            ContainerStateError: the container is past CREATED.
            ExistsError: the name is taken.
        """
        if self._state is not ContainerState.CREATED:
            raise ContainerStateError(
                f"container {self.id} is {self._state.value}: components are registered before "
                f"it is initialised, {name!r} came too late"
            )
        if name in self._components:
            raise flow.ExistsError(f"container {self.id} already has a component {name!r}")
        self._components[name] = component
        self._dependencies[name] = tuple(needs)

    def resolve(self, name: str) -> object:
        """Return the component *name*.

        Raises:
            UnresolvedComponentError: there is none; near matches are named.
        """
        if name not in self._components:
            near = get_close_matches(name, self._components)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise UnresolvedComponentError(f"container {self.id} has no component {name!r}{hint}")
        return self._components[name]

    def initialize_scope(self) -> None:
        """Initialise all components in the order of their dependencies.

        Raises:
            DependencyCycleError: components depend on each other in a circle.
            UnresolvedComponentError: a dependency is not registered.
        """
        self._enter(ContainerState.INITIALIZING)
        try:
            for name in self._order():
                component = self.resolve(name)
                if isinstance(component, Initializes):
                    component.initialize(self.bus)
                self._initialized.append(name)
        except BaseException:
            self._enter(ContainerState.ERROR)
            raise
        self._enter(ContainerState.READY)

    def start(self) -> None:
        """Let inputs in."""
        self._enter(ContainerState.RUNNING)

    def pause(self) -> None:
        """Keep inputs out for a while."""
        self._enter(ContainerState.PAUSED)

    def resume(self) -> None:
        """Let inputs in again."""
        self._enter(ContainerState.RUNNING)

    def stop(self) -> None:
        """End the run; the components keep their state for reports."""
        self._enter(ContainerState.STOPPED)

    def fail(self) -> None:
        """Record that a component broke; only teardown is possible now."""
        self._enter(ContainerState.ERROR)

    def teardown_scope(self) -> None:
        """Close everything in reverse order; idempotent, from every state, past failures.

        Raises:
            ExceptionGroup: components failed in their teardown; all were asked all the same.
        """
        if self._state is ContainerState.DISPOSED:
            return
        if self._state in (ContainerState.RUNNING, ContainerState.PAUSED):
            self.stop()
        self._enter(ContainerState.DISPOSING)
        failures: list[Exception] = []
        for name in reversed(self._initialized):
            component = self._components[name]
            if isinstance(component, TearsDown):
                try:
                    component.teardown()
                except Exception as error:  # noqa: BLE001 (boundary: one component must not keep the others open)
                    failures.append(error)
        self.bus.clear()
        self._components.clear()
        self._initialized.clear()
        self._enter(ContainerState.DISPOSED)
        if failures:
            raise ExceptionGroup(f"teardown of container {self.id} failed", failures)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.teardown_scope()

    def _enter(self, state: ContainerState) -> None:
        check_transition(self.id, self._state, state)
        self._state = state

    def _order(self) -> tuple[str, ...]:
        position = {name: index for index, name in enumerate(self._components)}
        sorter: TopologicalSorter[str] = TopologicalSorter()
        for name, needs in self._dependencies.items():
            for needed in needs:
                self.resolve(needed)
            sorter.add(name, *needs)
        try:
            sorter.prepare()
        except CycleError as error:
            path = " > ".join(error.args[1])
            raise DependencyCycleError(
                f"components of container {self.id} depend on each other: {path}", cause=error
            ) from error
        order: list[str] = []
        ready: list[str] = []
        while sorter.is_active():
            ready = sorted([*ready, *sorter.get_ready()], key=position.__getitem__)
            name = ready.pop(0)
            order.append(name)
            sorter.done(name)
        return tuple(order)
