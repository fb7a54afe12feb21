"""What components can be created by name (CONT-9); handed in, never looked up globally."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeAlias

from engine import flow
from engine.containers.context import ContainerContext

Build: TypeAlias = Callable[[Mapping[str, Any], ContainerContext], object]
"""Makes a component of its validated parameters and its container's context."""


@dataclass(frozen=True, slots=True)
class ComponentType:
    """A component that configuration can name.

    ``needs`` are the names of the components that must be initialised before it. A ``reusable``
    one returns to its state after `initialize` when it is reset (CONT-11).
    """

    name: str
    build: Build
    needs: tuple[str, ...] = ()
    reusable: bool = True


class UnknownComponentError(flow.ConfigurationError):
    """Configuration names a class that is not registered."""


class ComponentRegistry:
    """Component types by name; what is not in it cannot be built, no text is ever evaluated."""

    def __init__(self, types: Iterable[ComponentType] = ()) -> None:
        self._types = {one.name: one for one in types}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names in the order of registration."""
        return tuple(self._types)

    def get(self, name: str) -> ComponentType:
        """Return the type *name*.

        Raises:
            UnknownComponentError: it is not registered; near matches are named.
        """
        found = self._types.get(name)
        if found is None:
            near = get_close_matches(name, self._types, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UnknownComponentError(
                f"class {name!r} is not known, {hint}known: {', '.join(self._types) or 'none'}"
            )
        return found
