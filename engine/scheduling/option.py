"""Options: a default, what is allowed, and a validated attribute that may change at any time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar, overload

V = TypeVar("V")

Check = Callable[[object], V]
"""Returns the value in its own type, or raises ValueError saying what is allowed."""


@dataclass(frozen=True, slots=True)
class OptionSpec(Generic[V]):
    """One option: where it starts and what it may become."""

    default: V
    check: Check[V]


def whole(low: int, high: int | None = None) -> Check[int]:
    """Return the check of an integer from *low* to *high*."""
    allowed = f"an integer from {low} to {high}" if high is not None else f"an integer >= {low}"

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"must be {allowed}, not {value!r}")  # noqa: TRY004 (specified)
        if value < low or (high is not None and value > high):
            raise ValueError(f"must be {allowed}, not {value!r}")
        return value

    return check


def number(
    low: float = 0.0,
    high: float = math.inf,
    *,
    above: bool = False,
    infinite: bool = False,
) -> Check[float]:
    """Return the check of a number from *low* to *high*.

    Args:
        low: the smallest value.
        high: the largest value.
        above: whether *low* itself is refused.
        infinite: whether infinity is allowed.
    """
    allowed = f"a number {'>' if above else '>='} {low:g}"
    if high != math.inf:
        allowed += f" and <= {high:g}"
    if infinite:
        allowed += ", or infinity"

    def check(value: object) -> float:
        result = as_number(value)
        is_low = result is not None and (result <= low if above else result < low)
        if result is None or is_low or result > high or (math.isinf(result) and not infinite):
            raise ValueError(f"must be {allowed}, not {value!r}")
        return result

    return check


def optional(check: Check[V]) -> Check[V | None]:
    """Return the check that also lets None pass."""
    return lambda value: None if value is None else check(value)


def as_number(value: object) -> float | None:
    """Return *value* as a float; None if it is no number (a bool is none, nor is NaN)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return None
    try:
        return float(value)
    except OverflowError:
        return None


class Option(Generic[V]):
    """Attribute of an `Optioned` class; assigning checks, stores, and tells the owner."""

    __slots__ = ("_name", "spec")

    def __init__(self, spec: OptionSpec[V]) -> None:
        self.spec = spec
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Option[V]: ...
    @overload
    def __get__(self, instance: Optioned, owner: type) -> V: ...
    def __get__(self, instance: Optioned | None, owner: type) -> Option[V] | V:
        if instance is None:
            return self
        value: V = instance._options[self._name]  # noqa: SLF001 (the descriptor's own store)
        return value

    def __set__(self, instance: Optioned, value: object) -> None:
        instance._assign(self._name, value)  # noqa: SLF001 (as above)


class Optioned:
    """Base of what has options: `OPTIONS` names them, each is also an `Option` attribute."""

    OPTIONS: ClassVar[Mapping[str, OptionSpec[Any]]]
    SECTIONS: ClassVar[frozenset[str]] = frozenset()
    """Keys of the configuration that belong to somebody else."""

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        values = {name: spec.default for name, spec in self.OPTIONS.items()}
        if config is not None and not isinstance(config, Mapping):
            raise ValueError(f"{type(self).__name__} takes a mapping of options, not {config!r}")
        given = dict(config or {})
        check_keys(given, {*values, *self.SECTIONS}, owner=type(self).__name__)
        for name, value in given.items():
            if name in values:
                values[name] = self._checked(name, value)
        self._check_together(values)
        self._options: dict[str, Any] = values

    def options(self) -> dict[str, object]:
        """Return every option with its present value."""
        return dict(self._options)

    def _checked(self, name: str, value: object) -> Any:  # noqa: ANN401 (each option has its own type)
        try:
            return self.OPTIONS[name].check(value)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}.{name} {error}") from None

    def _assign(self, name: str, value: object) -> None:
        """Check and store *value*; a refused one leaves everything as it was."""
        self._before_assign()
        values = {**self._options, name: self._checked(name, value)}
        self._check_together(values)
        self._options[name] = values[name]
        self._option_changed(name)

    def _before_assign(self) -> None:
        """Refuse assignments that come from a wrong thread; for subclasses."""

    def _check_together(self, values: Mapping[str, Any]) -> None:
        """Raise ValueError if *values* do not fit each other; for subclasses."""

    def _option_changed(self, name: str) -> None:
        """React to the new value of *name*; for subclasses."""


def check_keys(given: Iterable[object], known: Iterable[str], *, owner: str) -> None:
    """Raise ValueError for the first key that is not known, naming those that are."""
    names: Final = sorted(known)
    for key in given:
        if key not in names:
            raise ValueError(f"{owner} has no option {key!r}; there are {', '.join(names)}")
