"""CONT-2 to CONT-14: components from a registry, reset, time-outs, shared services, errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from engine import flow
from engine.containers.bus import (
    BusEvent,
    BusKind,
    ComponentFailedError,
    ErrorPolicy,
    EventBus,
)
from engine.containers.component_registry import (
    ComponentRegistry,
    ComponentType,
    UnknownComponentError,
)
from engine.containers.container_factory import ContainerFactory, ContainerSpec, frozen
from engine.containers.container_pool import ContainerPool
from engine.containers.context import ContainerContext
from engine.containers.lifecycle import ContainerState, ContainerStateError
from engine.containers.scoped_container import (
    ContainerTimeoutError,
    ScopedContainer,
    Timeouts,
    UnresolvedComponent,
)
from engine.containers.shared_services import (
    ReadOnlyServiceError,
    SharedServiceError,
    read_only,
    shared_service,
)
from engine.execution.wrong_event import WrongEventKind
from engine.model.clock import SECOND_NS, SimulatedClock


class Part:
    """A component that writes down what happens to it."""

    def __init__(self, params: Mapping[str, Any], ctx: ContainerContext) -> None:
        self.params = params
        self.ctx = ctx
        self.journal: list[str] = []

    def initialize(self, ctx: ContainerContext) -> None:
        self.journal.append("initialize")
        ctx.bus.subscribe(BusKind.TIMER, self.on_timer)

    def start(self) -> None:
        self.journal.append("start")

    def stop(self) -> None:
        self.journal.append("stop")

    def reset(self) -> None:
        self.journal = ["initialize"]

    def teardown(self) -> None:
        self.journal.append("teardown")

    def health(self) -> str:
        return "fine"

    def on_timer(self, event: BusEvent) -> None:
        self.journal.append(f"timer {event.seq}")


REGISTRY = ComponentRegistry(
    [
        ComponentType("Part", Part),
        ComponentType("Needy", Part, needs=("first",)),
        ComponentType("Once", Part, reusable=False),
    ]
)


def container(**more: Any) -> ScopedContainer:
    return ScopedContainer(
        container_id="backtest_1", clock=SimulatedClock(), registry=REGISTRY, **more
    )


def test_components_come_from_the_registry_by_name() -> None:
    with container() as scope:
        made: Any = scope.create_component({"name": "first", "class": "Part", "params": {"a": 1}})
        assert made.params == {"a": 1}
        assert scope.resolve("first") is made
        with pytest.raises(UnknownComponentError, match="did you mean 'Part'"):
            scope.create_component({"name": "second", "class": "Prat"})
        with pytest.raises(flow.ConfigurationError, match="needs name and class"):
            scope.create_component({"name": "second", "kind": "Part"})
        with pytest.raises(flow.ExistsError, match="already has a component 'first'"):
            scope.create_component({"name": "first", "class": "Part"})


def test_nothing_is_registered_or_shared_after_ready() -> None:
    with container() as scope:
        scope.initialize_scope()
        with pytest.raises(ContainerStateError, match="came too late"):
            scope.create_component({"name": "late", "class": "Part"})
        with pytest.raises(ContainerStateError, match="came too late"):
            scope.register_shared_service("market_data", ())


def test_the_life_of_a_component() -> None:
    scope = container()
    part: Any = scope.create_component({"name": "first", "class": "Part"})
    scope.initialize_scope()
    scope.start()
    scope.bus.publish(BusKind.TIMER, None)
    scope.bus.drain()
    scope.pause()
    scope.resume()
    scope.stop()
    # Events 0 and 1 are LIFECYCLE and HEALTH.
    assert part.journal == ["initialize", "start", "timer 2", "stop"]
    scope.clock.advance_to(99)
    scope.reset()
    assert (scope.state, part.journal) == (ContainerState.READY, ["initialize"])
    assert (scope.clock.now_ns(), scope.bus.events_published) == (0, 0)
    scope.start()
    scope.bus.publish(BusKind.TIMER, None)
    scope.bus.drain()
    scope.teardown_scope()
    assert part.journal == ["initialize", "start", "timer 2", "stop", "teardown"]
    assert scope.bus.subscription_count == 0
    with pytest.raises(UnresolvedComponent):
        scope.resolve("first")


def test_a_container_with_a_part_that_is_used_once_cannot_be_reset() -> None:
    with container() as scope:
        scope.create_component({"name": "only", "class": "Once"})
        scope.initialize_scope()
        scope.start()
        scope.stop()
        with pytest.raises(ContainerStateError, match="only is not reusable"):
            scope.reset()


def test_health_and_metrics_say_how_it_is() -> None:
    with container(mode="BACKTEST_SINGLE", seed=7) as scope:
        scope.create_component({"name": "first", "class": "Part"})
        scope.initialize_scope()
        scope.start()
        scope.counters.bars = 3
        health = scope.health()
        assert (health.state, dict(health.components)) == (
            ContainerState.RUNNING,
            {"first": "fine"},
        )
        metrics = scope.metrics
        assert (metrics.container_id, metrics.mode, metrics.seed) == (
            "backtest_1",
            "BACKTEST_SINGLE",
            7,
        )
        assert (metrics.bars_processed, metrics.sharpe, metrics.final_equity) == (3, None, None)


def test_log_lines_carry_container_mode_and_bar() -> None:
    with container(mode="OPTIMIZATION") as scope:
        scope.counters.bar_index = 12
        scope.clock.advance_to(99)
        scope.context.log("info", "hello", "ACME")
        where = {
            "container_id": "backtest_1",
            "mode": "OPTIMIZATION",
            "symbol": "ACME",
            "bar": 12,
            "ts": 99,
        }
        assert scope.log_lines == [("info", "hello", where)]


class Slow:
    """A clock that goes on by a step at each look."""

    def __init__(self, step_s: float) -> None:
        self.now = 0
        self.step = int(step_s * SECOND_NS)

    def __call__(self) -> int:
        self.now += self.step
        return self.now


def test_a_step_that_takes_too_long_is_an_error() -> None:
    scope = container(monotonic_ns=Slow(31), timeouts=Timeouts())
    scope.create_component({"name": "first", "class": "Part"})
    with pytest.raises(ContainerTimeoutError, match=r"initialize of first took 31\.0 s"):
        scope.initialize_scope()
    assert scope.state is ContainerState.ERROR
    with pytest.raises(ExceptionGroup, match="teardown of container"):
        scope.teardown_scope()
    assert scope.state.value == "disposed"


def test_draws_of_a_container_hang_on_its_seed() -> None:
    drawn = []
    for seed in (1, 1, 2):
        with container(seed=seed) as scope:
            drawn.append(float(scope.context.rng.random()))
    assert drawn[0] == drawn[1] != drawn[2]


# --- factory and pool ----------------------------------------------------------------------------


def spec(*names: str, kind: str = "Part") -> ContainerSpec:
    components = [{"name": name, "class": kind} for name in names]
    return ContainerSpec("backtest_1", "BACKTEST_SINGLE", components, services={"models": {}})


def test_the_factory_builds_in_the_default_order() -> None:
    scope = ContainerFactory(REGISTRY).create(spec("strategy", "broker", "data_handler"))
    assert scope.state is ContainerState.READY
    assert scope.component_names == ("data_handler", "broker", "strategy")
    scope.teardown_scope()


def test_the_factory_leaves_nothing_open_when_it_fails() -> None:
    with pytest.raises(UnresolvedComponent, match="no component 'first'"):
        ContainerFactory(REGISTRY).create(spec("second", kind="Needy"))


def test_frozen_configuration_cannot_be_changed() -> None:
    values = frozen({"a": [1, {"b": 2}]})
    with pytest.raises(TypeError):
        values["a"] = 1
    with pytest.raises(TypeError):
        values["a"][1]["b"] = 3


class Item:
    def __init__(self, scope: ScopedContainer) -> None:
        self.container = scope


@pytest.mark.parametrize(("kind", "reused"), [("Part", 1), ("Once", 0)])
def test_a_pool_reuses_what_can_be_reset(kind: str, reused: int) -> None:
    factory = ContainerFactory(REGISTRY)
    pool: ContainerPool[Item] = ContainerPool(
        lambda: Item(factory.create(spec("first", kind=kind))), size=1
    )
    pool.fill()
    item = pool.acquire()
    item.container.start()
    item.container.stop()
    pool.release(item)
    assert (pool.reused, pool.idle_count) == (reused, reused)
    again = pool.acquire()
    assert (again is item) is bool(reused)
    assert again.container.state is ContainerState.READY
    pool.release(again)
    pool.close()
    assert pool.idle_count == 0


# --- shared services -----------------------------------------------------------------------------


class Thing:
    def __init__(self) -> None:
        self.numbers = [1, 2]
        self.column = np.arange(3)


def test_a_shared_service_can_be_read_and_never_written() -> None:
    view: Any = read_only(Thing(), name="instruments")
    assert view.numbers == (1, 2)
    for attempt in (
        lambda: setattr(view, "numbers", []),
        lambda: delattr(view, "numbers"),
        lambda: view.__setitem__("a", 1),
        lambda: view.__delitem__("a"),
    ):
        with pytest.raises(ReadOnlyServiceError, match="instruments is shared"):
            attempt()
    with pytest.raises(ValueError, match="read-only"):
        view.column[0] = 5
    nested = read_only({"a": {"b": [1]}})
    with pytest.raises(TypeError):
        nested["a"]["b"] = 2
    assert nested["a"]["b"] == (1,)


def test_only_what_may_be_shared_is_shared() -> None:
    with pytest.raises(SharedServiceError, match="'portfolio' cannot be shared"):
        shared_service("portfolio", object())

    class Model:
        stateless = False

    with pytest.raises(SharedServiceError, match="keeps state"):
        shared_service("slippage_model", Model())
    stateless = type("Free", (), {"stateless": True})()
    assert shared_service("commission_model", stateless) is stateless


# --- bus -----------------------------------------------------------------------------------------


def test_the_execution_side_never_hears_a_signal() -> None:
    bus = EventBus(container_id="c", clock=SimulatedClock())
    for component in ("broker", "order_manager", "order_desk"):
        with pytest.raises(WrongEventKind, match="must not listen to SIGNAL"):
            bus.subscribe(BusKind.SIGNAL, lambda event: None, component=component)
    bus.subscribe(BusKind.SIGNAL, lambda event: None, component="risk_manager")


def test_errors_are_counted_up_to_a_bound() -> None:
    bus = EventBus(
        container_id="c",
        clock=SimulatedClock(),
        errors=ErrorPolicy(stop_on_error=False, max_errors=2),
    )

    def broken(_: BusEvent) -> None:
        raise ValueError("no")

    bus.subscribe(BusKind.TIMER, broken, component="recorder")
    for _ in range(2):
        bus.publish(BusKind.TIMER, None)
    bus.drain()
    assert bus.error_count == 2
    bus.publish(BusKind.TIMER, None)
    with pytest.raises(ComponentFailedError, match="error 3 of this run") as caught:
        bus.drain()
    assert caught.value.details == {
        "container_id": "c",
        "seq": 4,  # events 2 and 3 tell the errors before it
        "kind": "TIMER",
        "component": "recorder",
    }


def test_numbers_do_not_depend_on_who_listens() -> None:
    bus = EventBus(container_id="c", clock=SimulatedClock())
    assert bus.count(3) == 2
    assert bus.publish(BusKind.TIMER, None).seq == 3
    handler = lambda event: None  # noqa: E731 (it is looked up again)
    bus.subscribe(BusKind.TIMER, handler)
    assert bus.has_subscribers(BusKind.TIMER)
    bus.unsubscribe(handler)
    assert not bus.has_subscribers(BusKind.TIMER)
