"""Builds containers of validated configuration and shared services (CONT-9, CONT-10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from engine.containers.bus import ErrorPolicy
from engine.containers.component_registry import ComponentRegistry
from engine.containers.scoped_container import ScopedContainer, Timeouts
from engine.model.clock import SimulatedClock

DEFAULT_ORDER = (
    "data_handler",
    "portfolio",
    "order_manager",
    "broker",
    "risk_manager",
    "strategy",
    "recorder",
)
"""Order in which components are created and, between equals, initialised (CONT-2)."""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What a container is made of; ``components`` are ``{name, class, params}``."""

    container_id: str
    mode: str
    components: Sequence[Mapping[str, Any]]
    seed: int = 0
    errors: ErrorPolicy | None = None
    services: Mapping[str, object] = field(default_factory=dict)
    timeouts: Timeouts | None = None


class ContainerFactory:
    """Builds containers; classes come from *registry* and from nowhere else.

    Args:
        registry: the component types by name.
        monotonic_ns: measures the time-outs of the life cycle.
    """

    def __init__(
        self, registry: ComponentRegistry, *, monotonic_ns: Callable[[], int] | None = None
    ) -> None:
        self._registry = registry
        self._monotonic_ns = monotonic_ns

    def create(self, spec: ContainerSpec) -> ScopedContainer:
        """Return a container in READY; nothing is left open if a component cannot be made.

        Raises:
            EngineError: a component is not known, or cannot be made or initialised.
        """
        container = ScopedContainer(
            container_id=spec.container_id,
            clock=SimulatedClock(),
            registry=self._registry,
            errors=spec.errors,
            seed=spec.seed,
            mode=spec.mode,
            monotonic_ns=self._monotonic_ns,
            timeouts=spec.timeouts,
        )
        try:
            for name, service in spec.services.items():
                container.register_shared_service(name, service)
            for component in sorted(spec.components, key=_place):
                container.create_component(component)
            container.initialize_scope()
        except BaseException:
            container.teardown_scope()
            raise
        return container


def _place(component: Mapping[str, Any]) -> int:
    name = str(component.get("name", ""))
    return DEFAULT_ORDER.index(name) if name in DEFAULT_ORDER else len(DEFAULT_ORDER)


def frozen(value: Any) -> Any:  # noqa: ANN401 (any configuration value)
    """Return *value* so that nothing in it can be changed: mappings as views, lists as tuples."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(one) for key, one in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(one) for one in value)
    return value
