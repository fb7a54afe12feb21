"""Section 4.1 of the container rules: life cycle, order, teardown."""

from __future__ import annotations

from itertools import product

import pytest

from engine import flow
from engine.containers.context import ContainerContext
from engine.containers.lifecycle import (
    TRANSITIONS,
    ContainerState,
    ContainerStateError,
    check_transition,
)
from engine.containers.scoped_container import (
    DependencyCycleError,
    ScopedContainer,
    UnresolvedComponent,
)
from engine.model.clock import SimulatedClock


class Component:
    def __init__(self, name: str, journal: list[str], *, fails: str = "") -> None:
        self.name = name
        self.journal = journal
        self.fails = fails

    def initialize(self, ctx: ContainerContext) -> None:
        self._act("init")

    def teardown(self) -> None:
        self._act("teardown")

    def _act(self, what: str) -> None:
        self.journal.append(f"{what} {self.name}")
        if self.fails == what:
            raise RuntimeError(f"{self.name} broke")


@pytest.fixture
def container() -> ScopedContainer:
    return ScopedContainer(container_id="paper_1", clock=SimulatedClock())


@pytest.mark.parametrize(("old", "new"), list(product(ContainerState, ContainerState)))
def test_only_the_table_allows_a_transition(old: ContainerState, new: ContainerState) -> None:
    if new in TRANSITIONS[old]:
        check_transition("c", old, new)
    else:
        with pytest.raises(ContainerStateError, match="cannot become"):
            check_transition("c", old, new)


def test_components_start_by_dependency_and_end_in_reverse(container: ScopedContainer) -> None:
    journal: list[str] = []
    container.register("strategy", Component("strategy", journal), needs=("risk", "data"))
    container.register("data", Component("data", journal))
    container.register("risk", Component("risk", journal), needs=("data",))
    with container:
        container.initialize_scope()
        container.start()
        assert container.resolve("risk") is not None
    assert journal == [
        "init data",
        "init risk",
        "init strategy",
        "teardown strategy",
        "teardown risk",
        "teardown data",
    ]
    assert container.state is ContainerState.DISPOSED
    container.teardown_scope()
    assert len(journal) == 6


def test_ties_are_broken_by_registration(container: ScopedContainer) -> None:
    journal: list[str] = []
    for name in ("b", "a", "c"):
        container.register(name, Component(name, journal))
    container.initialize_scope()
    assert journal == ["init b", "init a", "init c"]


def test_a_cycle_is_named(container: ScopedContainer) -> None:
    container.register("a", object(), needs=("b",))
    container.register("b", object(), needs=("a",))
    with pytest.raises(DependencyCycleError, match=r"a > b > a|b > a > b"):
        container.initialize_scope()
    assert container.state is ContainerState.ERROR


def test_an_unknown_component_is_refused_with_near_matches(container: ScopedContainer) -> None:
    container.register("portfolio", object())
    with pytest.raises(UnresolvedComponent, match="did you mean portfolio"):
        container.resolve("portfolo")


def test_a_name_is_taken_once_and_only_before_initialisation(container: ScopedContainer) -> None:
    container.register("a", object())
    with pytest.raises(flow.ExistsError, match="already has"):
        container.register("a", object())
    container.initialize_scope()
    with pytest.raises(ContainerStateError, match="too late"):
        container.register("b", object())


def test_teardown_goes_on_past_failures(container: ScopedContainer) -> None:
    journal: list[str] = []
    container.register("first", Component("first", journal))
    container.register("second", Component("second", journal, fails="teardown"))
    container.initialize_scope()
    container.start()
    container.pause()
    container.resume()
    with pytest.raises(ExceptionGroup, match="paper_1"):
        container.teardown_scope()
    assert journal[-1] == "teardown first"
    assert container.state is ContainerState.DISPOSED


def test_a_half_initialised_container_closes_what_it_opened(container: ScopedContainer) -> None:
    journal: list[str] = []
    container.register("good", Component("good", journal))
    container.register("bad", Component("bad", journal, fails="init"))
    with pytest.raises(RuntimeError, match="bad broke"):
        container.initialize_scope()
    container.teardown_scope()
    assert journal == ["init good", "init bad", "teardown good"]


def test_a_broken_container_can_only_be_closed(container: ScopedContainer) -> None:
    container.initialize_scope()
    container.start()
    container.fail()
    with pytest.raises(ContainerStateError):
        container.start()
    container.teardown_scope()
