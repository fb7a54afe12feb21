"""State that few executors ever need: an idle one does not pay for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, overload

from engine.executors.foreign_fees import ForeignFees
from engine.executors.held_order import HeldOrder
from engine.executors.order_queries import OrderQueries

T = TypeVar("T")


@dataclass(slots=True)
class SeldomUsed:
    """What goes wrong, comes late, is left at the end or is waited for after a failure."""

    foreign_fees: ForeignFees = field(default_factory=ForeignFees)
    queries: OrderQueries = field(default_factory=OrderQueries)
    held: tuple[HeldOrder, ...] = ()
    """Fills that are left to the position store at the end."""
    late: tuple[HeldOrder, ...] = ()
    """Fills that came after the end (6.4)."""
    error_count: int = 0
    last_error: str = ""
    entry_not_before_ns: int = 0
    entry_cancels: int = 0
    """Entries that the venue has cancelled by itself."""
    exit_not_before_ns: int = 0
    exit_failures: int = 0
    """Resting take profits that failed (5.4)."""


class HasSeldomUsed(Protocol):
    """An executor with such state, or with none yet."""

    _seldom: SeldomUsed | None


class Seldom(Generic[T]):
    """An attribute of an executor that lives in its ``SeldomUsed``, made when one is first set."""

    def __init__(self, name: str, default: T) -> None:
        self._name = name
        self._default = default

    @overload
    def __get__(self, executor: None, owner: type) -> Seldom[T]: ...
    @overload
    def __get__(self, executor: HasSeldomUsed, owner: type) -> T: ...
    def __get__(self, executor: HasSeldomUsed | None, owner: type) -> T | Seldom[T]:
        """Return the executor's value; the default while there is none."""
        if executor is None:
            return self
        used = executor._seldom  # noqa: SLF001 (a descriptor is part of its owner)
        if used is None:
            return self._default
        value: Any = getattr(used, self._name)
        return value  # type: ignore[no-any-return]  # the field that the name means

    def __set__(self, executor: HasSeldomUsed, value: T) -> None:
        """Set the executor's value; the default needs no place."""
        if executor._seldom is None:  # noqa: SLF001 (a descriptor is part of its owner)
            if value == self._default:
                return
            executor._seldom = SeldomUsed()  # noqa: SLF001 (a descriptor is part of its owner)
        setattr(executor._seldom, self._name, value)  # noqa: SLF001 (a descriptor is part of its owner)
