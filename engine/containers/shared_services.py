"""Services that containers may share: read-only, or they are refused (CONT-12, CONT-14)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from engine import flow

SHARED_NAMES: Final = frozenset(
    {
        "market_data",
        "config",
        "instruments",
        "calendars",
        "models",
        "blob_store",
        "slippage_model",
        "commission_model",
        "market_data_feed",
        "order_router",
    }
)
"""What may be shared; everything else belongs to one container."""

_LIVE_NAMES: Final = frozenset({"market_data_feed", "order_router"})
"""Façades that are safe for threads by themselves (CONT-13)."""

_SCALARS: Final = (str, bytes, int, float, complex, bool, type(None), frozenset, range)


class SharedServiceError(flow.ConfigurationError):
    """Something cannot be shared between containers."""


class ReadOnlyServiceError(flow.OperationError, AttributeError, TypeError):
    """Somebody tried to write to a shared service (CONT-12)."""

    default_retryable = False


class ReadOnlyView:
    """A shared object as containers see it: attributes and items can be read only.

    What it gives out is wrapped as well; methods can be called.
    """

    __slots__ = ("_name", "_target")

    def __init__(self, name: str, target: object) -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_target", target)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the service offers)
        value = getattr(object.__getattribute__(self, "_target"), name)
        return value if callable(value) else read_only(value, name=self._name)

    def __setattr__(self, name: str, value: object) -> None:
        raise _refusal(self._name, f"attribute {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise _refusal(self._name, f"attribute {name!r} cannot be deleted")

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 (whatever the service offers)
        return read_only(object.__getattribute__(self, "_target")[key], name=self._name)

    def __setitem__(self, key: object, value: object) -> None:
        raise _refusal(self._name, f"item {key!r} cannot be set")

    def __delitem__(self, key: object) -> None:
        raise _refusal(self._name, f"item {key!r} cannot be deleted")

    def __len__(self) -> int:
        return len(object.__getattribute__(self, "_target"))

    def __iter__(self) -> Iterator[Any]:
        target = object.__getattribute__(self, "_target")
        return (read_only(item, name=self._name) for item in target)

    def __contains__(self, item: object) -> bool:
        return item in object.__getattribute__(self, "_target")

    def __repr__(self) -> str:
        return f"<read-only {object.__getattribute__(self, '_name')}>"


def read_only(value: Any, *, name: str = "shared service") -> Any:  # noqa: ANN401 (any service)
    """Return *value* so that it cannot be written through what is returned.

    Arrays are made non-writable, mappings become read-only views of read-only values, lists and
    sets become tuples and frozen sets, other objects are wrapped.
    """
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, np.ndarray):
        if value.flags.writeable:
            value = value.view()
            value.flags.writeable = False
        return value
    if isinstance(value, Mapping):
        return MappingProxyType({key: read_only(one, name=name) for key, one in value.items()})
    if isinstance(value, list | tuple):
        return tuple(read_only(one, name=name) for one in value)
    if isinstance(value, set):
        return frozenset(value)
    if isinstance(value, ReadOnlyView) or callable(value) or _is_frozen(value):
        return value
    return ReadOnlyView(name, value)


def shared_service(name: str, value: object) -> object:
    """Return *value* as containers may share it under *name*.

    Raises:
        SharedServiceError: *name* is not a shareable service, or a cost model keeps state.
    """
    if name not in SHARED_NAMES:
        allowed = ", ".join(sorted(SHARED_NAMES))
        raise SharedServiceError(
            f"{name!r} cannot be shared between containers; shareable are: {allowed}"
        )
    if name in _LIVE_NAMES:
        return value
    if name.endswith("_model"):
        if not getattr(value, "stateless", False):
            raise SharedServiceError(
                f"{name} {type(value).__name__} keeps state (stateless is not True): each "
                "container needs its own"
            )
        return value
    return read_only(value, name=name)


def _is_frozen(value: object) -> bool:
    params = getattr(type(value), "__dataclass_params__", None)
    if params is not None:
        return bool(params.frozen)
    config = getattr(type(value), "model_config", None)
    if isinstance(config, dict):
        return bool(config.get("frozen"))
    return isinstance(value, type)


def _refusal(name: str, text: str) -> ReadOnlyServiceError:
    return ReadOnlyServiceError(f"{name} is shared by containers and read-only: {text}")
