"""A scoped container: the component instances of one run, with one life cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum, unique
from graphlib import CycleError, TopologicalSorter
from types import TracebackType
from typing import Any, Final, Protocol, Self, runtime_checkable

from engine import flow
from engine.containers.bus import BusKind, ComponentFailedError, ErrorPolicy, EventBus
from engine.containers.component_registry import ComponentRegistry
from engine.containers.container_metrics import ContainerMetrics
from engine.containers.context import ContainerContext, LogLine
from engine.containers.lifecycle import ContainerState, ContainerStateError, check_transition
from engine.containers.shared_services import shared_service
from engine.model.clock import SECOND_NS, SimulatedClock

LOG_LINES_KEPT: Final = 10_000

_TOLD_STATES: Final = frozenset(
    {
        ContainerState.RUNNING,
        ContainerState.PAUSED,
        ContainerState.STOPPED,
        ContainerState.ERROR,
        ContainerState.DISPOSING,
    }
)
"""States whose beginning is an event; before them no component listens yet."""


@unique
class HealthLevel(Enum):
    """How well a container is."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNHEALTHY = "UNHEALTHY"


class UnresolvedComponent(flow.NotFoundError):
    """A container was asked for a component that it does not hold (CONT-5)."""


class DependencyCycleError(flow.ConfigurationError):
    """Components depend on each other in a circle (CONT-2)."""


class ContainerTimeoutError(flow.OperationError):
    """A component took longer than its step may take (CONT-7)."""


@runtime_checkable
class Initializes(Protocol):
    """A component that is told of its container before anything else happens."""

    def initialize(self, ctx: ContainerContext) -> None:
        """Subscribe to what it needs."""
        ...


@runtime_checkable
class Starts(Protocol):
    """A component that does something when inputs are let in."""

    def start(self) -> None:
        """Prepare for inputs."""
        ...


@runtime_checkable
class Stops(Protocol):
    """A component that does something when the run ends."""

    def stop(self) -> None:
        """Finish; the state stays for reports."""
        ...


@runtime_checkable
class Resets(Protocol):
    """A component that can return to its state right after `initialize`."""

    def reset(self) -> None:
        """Forget the run."""
        ...


@runtime_checkable
class TearsDown(Protocol):
    """A component that has something to give back."""

    def teardown(self) -> None:
        """Release what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each step of the life cycle may take, in seconds; a run has no bound (CONT-7)."""

    init_s: float = 30.0
    stop_s: float = 10.0
    teardown_s: float = 10.0


@dataclass(frozen=True, slots=True)
class ContainerHealth:
    """How a container is doing."""

    container_id: str
    state: ContainerState
    errors: int
    last_error: str
    events: int
    queued: bool
    components: Mapping[str, object]
    level: HealthLevel = HealthLevel.HEALTHY


@dataclass(slots=True)
class Counters:
    """What a run counts while it goes; components add to it."""

    bars: int = 0
    bar_index: int = -1
    signals: int = 0
    orders: int = 0
    fills: int = 0
    ambiguous_fills: int = 0


@dataclass(slots=True)
class _Entry:
    component: object
    needs: tuple[str, ...]
    reusable: bool = True


@dataclass(slots=True)
class _Held:
    """What belongs to the container and goes with it."""

    components: dict[str, _Entry] = field(default_factory=dict)
    services: dict[str, object] = field(default_factory=dict)
    initialized: list[str] = field(default_factory=list)
    lifecycle: list[tuple[object, str]] = field(default_factory=list)


class ScopedContainer:
    """Holds one run's components; nothing in it is shared with another container.

    Components are initialised in the order of their dependencies, ties in the order of their
    registration, and torn down in reverse. Use it as a context manager: it always tears down.
    Belongs to one thread at a time.

    Args:
        container_id: deterministic; never part of a result (CONT-1).
        clock: the container's time; without one it begins at 0.
        registry: what `create_component` can make.
        errors: what an error in a handler does; None lets it through (EVT-6).
        seed: of the container's random draws.
        mode: for log records and metrics.
        monotonic_ns: measures the time-outs; None switches them off.
        timeouts: bounds of the steps.
    """

    def __init__(
        self,
        container_id: str,
        *,
        clock: SimulatedClock | None = None,
        registry: ComponentRegistry | None = None,
        errors: ErrorPolicy | None = None,
        seed: int = 0,
        mode: str = "",
        monotonic_ns: Callable[[], int] | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        clock = clock or SimulatedClock(0)
        self.id: Final = container_id
        self.clock: Final = clock
        self.mode: Final = mode
        self.seed: Final = seed
        self.bus: Final = EventBus(container_id=container_id, clock=clock, errors=errors)
        self.counters = Counters()
        self.log_lines: list[LogLine] = []
        self.last_error = ""
        self._registry = registry or ComponentRegistry()
        self._monotonic_ns = monotonic_ns
        self._timeouts = timeouts or Timeouts()
        self._state = ContainerState.CREATED
        self._told_level: HealthLevel | None = None
        self._held = _Held()
        self._context: ContainerContext | None = self._new_context()

    @property
    def state(self) -> ContainerState:
        """Return where the container is in its life cycle."""
        return self._state

    @property
    def component_names(self) -> tuple[str, ...]:
        """Return the names of the components in the order of their registration."""
        return tuple(self._held.components)

    @property
    def reusable(self) -> bool:
        """Whether every component returns to its first state when it is reset (CONT-11)."""
        return all(entry.reusable for entry in self._held.components.values())

    @property
    def context(self) -> ContainerContext:
        """Return what components see of the container.

        Raises:
            ContainerStateError: the container is disposed.
        """
        if self._context is None:
            raise ContainerStateError(f"container {self.id} is {self._state.value}")
        return self._context

    @property
    def metrics(self) -> ContainerMetrics:
        """Return what was counted so far; the figures of the clock are added by the shell."""
        counted = self.counters
        return ContainerMetrics(
            container_id=self.id,
            mode=self.mode,
            seed=self.seed,
            status=self._state.value,
            bars_processed=counted.bars,
            events_processed=self.bus.events_published,
            signals=counted.signals,
            orders_generated=counted.orders,
            fills_executed=counted.fills,
            ambiguous_fills=counted.ambiguous_fills,
            errors=self.bus.error_count,
        )

    def health(self) -> ContainerHealth:
        """Return how the container and those of its components that can say are doing."""
        told = {
            name: entry.component.health()
            for name, entry in self._held.components.items()
            if callable(getattr(entry.component, "health", None))
            and hasattr(entry.component, "health")
        }
        texts = self.bus.error_texts
        return ContainerHealth(
            container_id=self.id,
            state=self._state,
            errors=self.bus.error_count,
            last_error=self.last_error or (texts[-1] if texts else ""),
            events=self.bus.events_published,
            queued=not self.bus.is_idle,
            components=told,
            level=self.health_level,
        )

    @property
    def health_level(self) -> HealthLevel:
        """Return UNHEALTHY in ERROR, DEGRADED after an error that was skipped, else HEALTHY."""
        if self._state is ContainerState.ERROR:
            return HealthLevel.UNHEALTHY
        return HealthLevel.DEGRADED if self.bus.error_count else HealthLevel.HEALTHY

    def tell_health(self) -> None:
        """Publish HEALTH if the level has changed since it was last told."""
        level = self.health_level
        if level is self._told_level:
            return
        self._told_level = level
        self._tell(
            BusKind.HEALTH,
            lambda: {
                "level": level.value,
                "errors": self.bus.error_count,
                "last_error": self.last_error or (self.bus.error_texts or [""])[-1],
            },
        )

    def register_shared_service(self, name: str, service: object) -> None:
        """Make a read-only service reachable by name (CONT-12).

        Raises:
            ContainerStateError: the container is past CREATED.
            ExistsError: the name is taken.
            SharedServiceError: such a thing may not be shared.
        """
        self._check_open(name)
        self._held.services[name] = shared_service(name, service)

    def register(
        self, name: str, component: object, *, needs: Sequence[str] = (), reusable: bool = True
    ) -> None:
        """Add a component before the container is initialised.

        Raises:
            ContainerStateError: the container is past CREATED.
            ExistsError: the name is taken.
        """
        self._check_open(name)
        self._held.components[name] = _Entry(component, tuple(needs), reusable)

    def create_component(self, spec: Mapping[str, Any]) -> object:
        """Build the component that *spec* names and register it.

        Args:
            spec: ``{name, class, params}``.

        Raises:
            ConfigurationError: a key is missing or unknown, or the class is not registered.
            ContainerStateError: the container is past CREATED.
            ExistsError: the name is taken.
        """
        unknown = sorted(set(spec) - {"name", "class", "params"})
        if unknown or not {"name", "class"} <= set(spec):
            raise flow.ConfigurationError(
                f"a component needs name and class, and may have params; got {sorted(spec)}"
            )
        name = str(spec["name"])
        self._check_open(name)
        kind = self._registry.get(str(spec["class"]))
        component = kind.build(dict(spec.get("params") or {}), self.context)
        self.register(name, component, needs=kind.needs, reusable=kind.reusable)
        return component

    def resolve(self, name: str) -> object:
        """Return the component or shared service *name*.

        Raises:
            UnresolvedComponent: there is none; near matches are named.
        """
        entry = self._held.components.get(name)
        if entry is not None:
            return entry.component
        if name in self._held.services:
            return self._held.services[name]
        near = get_close_matches(name, [*self._held.components, *self._held.services])
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UnresolvedComponent(f"container {self.id} has no component {name!r}{hint}")

    def initialize_scope(self) -> None:
        """Initialise all components in the order of their dependencies.

        Raises:
            ContainerTimeoutError: it took too long.
            DependencyCycleError: components depend on each other in a circle.
            UnresolvedComponent: a dependency is not registered.
        """
        self._enter(ContainerState.INITIALIZING)
        try:
            started_ns = self._now()
            for name in self._order():
                component = self.resolve(name)
                if isinstance(component, Initializes):
                    component.initialize(self.context)
                self._held.initialized.append(name)
                self._check_time(started_ns, self._timeouts.init_s, f"initialize of {name}")
        except BaseException as error:
            self.fail(error)
            raise
        self._enter(ContainerState.READY)

    def start(self) -> None:
        """Let inputs in."""
        self._enter(ContainerState.RUNNING)
        self._each("start", Starts, self._held.initialized)

    def pause(self) -> None:
        """Keep inputs out for a while."""
        self._enter(ContainerState.PAUSED)

    def resume(self) -> None:
        """Let inputs in again."""
        self._enter(ContainerState.RUNNING)

    def stop(self) -> None:
        """End the run; the components keep their state for reports.

        Raises:
            ContainerTimeoutError: it took too long.
        """
        self._enter(ContainerState.STOPPED)
        started_ns = self._now()
        self._each("stop", Stops, list(reversed(self._held.initialized)))
        self._check_time(started_ns, self._timeouts.stop_s, "stop")

    def reset(self) -> None:
        """Return every component to its state right after `initialize`; the container is READY.

        Raises:
            ContainerStateError: the run has not stopped, or a component is not reusable.
        """
        check_transition(self.id, self._state, ContainerState.READY)
        stuck = [name for name, entry in self._held.components.items() if not entry.reusable]
        if stuck:
            raise ContainerStateError(
                f"container {self.id} cannot be reset: {', '.join(stuck)} is not reusable"
            )
        self.clock.rewind()
        self.bus.reset()
        self.counters = Counters()
        self.log_lines = []
        self._told_level = None
        self._context = self._new_context()
        for name in self._held.initialized:
            component = self.resolve(name)
            if isinstance(component, Resets):
                component.reset()
        self._enter(ContainerState.READY)

    def fail(self, error: BaseException | None = None) -> None:
        """Record that a component broke; only teardown is possible now."""
        if error is not None:
            self.last_error = f"{type(error).__name__}: {error}"
        self._enter(ContainerState.ERROR)

    def teardown_scope(self) -> None:
        """Close everything in reverse order; idempotent, from every state, past failures.

        Raises:
            ExceptionGroup: components failed in their teardown; all were asked all the same.
        """
        if self._state in (ContainerState.DISPOSED, ContainerState.DISPOSING):
            return
        failures: list[Exception] = []
        if self._state is ContainerState.INITIALIZING:
            self._enter(ContainerState.ERROR)
        if self._state in (ContainerState.RUNNING, ContainerState.PAUSED):
            try:
                self.stop()
            except Exception as error:  # noqa: BLE001 (boundary: a component must not keep the others open)
                failures.append(error)
        self._enter(ContainerState.DISPOSING)
        started_ns = self._now()
        for name in reversed(self._held.initialized):
            component = self._held.components[name].component
            if isinstance(component, TearsDown):
                try:
                    component.teardown()
                except Exception as error:  # noqa: BLE001 (boundary: one component must not keep the others open)
                    failures.append(error)
        self.bus.clear()
        self._held = _Held()
        self._context = None
        self._enter(ContainerState.DISPOSED)
        try:
            self._check_time(started_ns, self._timeouts.teardown_s, "teardown")
        except ContainerTimeoutError as error:
            failures.append(error)
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

    def _new_context(self) -> ContainerContext:
        return ContainerContext(
            container_id=self.id,
            bus=self.bus,
            clock=self.clock,
            resolve=self.resolve,
            log=self._log,
            seed=self.seed,
            mode=self.mode,
        )

    def _log(self, level: str, text: str, symbol: str = "") -> None:
        if len(self.log_lines) < LOG_LINES_KEPT:
            where = {
                "container_id": self.id,
                "mode": self.mode,
                "symbol": symbol,
                "bar": self.counters.bar_index,
                "ts": self.clock.now_ns(),
            }
            self.log_lines.append((level, text, where))

    def _check_open(self, name: str) -> None:
        if self._state is not ContainerState.CREATED:
            raise ContainerStateError(
                f"container {self.id} is {self._state.value}: components are registered before "
                f"it is initialised, {name!r} came too late"
            )
        if name in self._held.components or name in self._held.services:
            raise flow.ExistsError(f"container {self.id} already has a component {name!r}")

    def _each(self, verb: str, protocol: type[Any], names: Sequence[str]) -> None:
        for name in names:
            component = self._held.components[name].component
            if not isinstance(component, protocol):
                continue
            try:
                getattr(component, verb)()
            except Exception as error:
                if self._state is ContainerState.RUNNING:
                    self.fail(error)
                self.last_error = f"{type(error).__name__}: {error}"
                raise

    def _enter(self, state: ContainerState) -> None:
        check_transition(self.id, self._state, state)
        before, self._state = self._state, state
        if state not in _TOLD_STATES:
            return
        self._tell(BusKind.LIFECYCLE, lambda: {"from": before.name, "to": state.name})
        if state in (ContainerState.RUNNING, ContainerState.ERROR):
            self.tell_health()

    def _tell(self, kind: BusKind, facts: Callable[[], object]) -> None:
        """Publish an event of the container itself; within a handler it waits for its turn."""
        bus = self.bus
        bus.tell(kind, facts)
        if bus.is_draining or bus.is_idle:
            return
        if self._state not in (ContainerState.ERROR, ContainerState.DISPOSING):
            bus.drain()
            return
        # A listener that fails on the way out must not hide why the run ended.
        with suppress(ComponentFailedError):
            bus.drain()

    def _now(self) -> int:
        return 0 if self._monotonic_ns is None else self._monotonic_ns()

    def _check_time(self, started_ns: int, limit_s: float, what: str) -> None:
        taken_s = (self._now() - started_ns) / SECOND_NS
        if taken_s > limit_s:
            self.last_error = f"{what} took {taken_s:.1f} s"
            raise ContainerTimeoutError(
                f"container {self.id}: {what} took {taken_s:.1f} s, allowed are {limit_s:g} s"
            )

    def _order(self) -> tuple[str, ...]:
        position = {name: index for index, name in enumerate(self._held.components)}
        sorter: TopologicalSorter[str] = TopologicalSorter()
        for name, entry in self._held.components.items():
            for needed in entry.needs:
                self.resolve(needed)
            sorter.add(name, *(one for one in entry.needs if one in position))
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
