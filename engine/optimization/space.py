"""The space of parameters: which combinations exist, and which number each one has (OPT-2)."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cached_property
from typing import Final, TypeGuard

from engine.flow.errors import ConfigurationError
from engine.optimization.constraint import Constraint, ParameterValue

MAX_COMBINATIONS: Final = 10_000_000
"""Combinations before constraints; more must be searched with coarser values."""

_LOG_DIGITS: Final = 12
"""Significant digits of the points of a log range."""
LOG_FORMS: Final = ("log", "log_range")
"""Keys of a log range."""

_FORMS: Final = (
    "a list of values, {range: [start, stop, step]}, {choice: [...]} or {log: [low, high, count]}"
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter and the values it may take, in the order in which they are tried."""

    name: str
    values: tuple[ParameterValue, ...]


class ParameterSpace:
    """All combinations of the parameters' values that satisfy the constraints.

    They are numbered from 0 in the order of the declaration, the last parameter fastest. The
    number is a combination's identity; constraints are applied before numbering.

    Raises:
        ConfigurationError: no parameter, a name twice, or too many combinations.
    """

    def __init__(self, parameters: Sequence[Parameter], constraints: Sequence[str] = ()) -> None:
        if not parameters:
            raise ConfigurationError("space: is empty, name at least one parameter with its values")
        names = [parameter.name for parameter in parameters]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigurationError(f"space: {', '.join(twice)} is given twice")
        self.parameters = tuple(parameters)
        self.constraints = tuple(Constraint(text, names) for text in constraints)
        self.size_before_constraints = math.prod(len(item.values) for item in parameters)
        if self.size_before_constraints > MAX_COMBINATIONS:
            raise ConfigurationError(
                f"space: {self.size_before_constraints:,} combinations, at most "
                f"{MAX_COMBINATIONS:,}; use fewer values"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Return the parameters' names in the order of the declaration."""
        return tuple(parameter.name for parameter in self.parameters)

    def __len__(self) -> int:
        return self.size_before_constraints if self._kept is None else len(self._kept)

    def at(self, index: int) -> dict[str, ParameterValue]:
        """Return combination *index*.

        Raises:
            IndexError: there is no such combination.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"combination {index} of {len(self)}")
        return self._combination(index if self._kept is None else self._kept[index])

    def positions_at(self, index: int) -> tuple[int, ...]:
        """Return the place of each of the combination's values among its parameter's values."""
        return self._positions(index if self._kept is None else self._kept[index])

    def index_of(self, positions: Sequence[int]) -> int | None:
        """Return the combination with values at *positions*, None if a constraint forbids it."""
        cell = 0
        for parameter, position in zip(self.parameters, positions, strict=True):
            cell = cell * len(parameter.values) + position
        if self._kept is None:
            return cell
        return self._index_by_cell.get(cell)

    def __iter__(self) -> Iterator[dict[str, ParameterValue]]:
        return (self.at(index) for index in range(len(self)))

    @cached_property
    def _kept(self) -> array[int] | None:
        """The cells that satisfy the constraints, None if there are no constraints."""
        if not self.constraints:
            return None
        kept = array("Q")
        for cell in range(self.size_before_constraints):
            combination = self._combination(cell)
            if all(constraint.holds(combination) for constraint in self.constraints):
                kept.append(cell)
        return kept

    @cached_property
    def _index_by_cell(self) -> dict[int, int]:
        return {cell: index for index, cell in enumerate(self._kept or ())}

    def _positions(self, cell: int) -> tuple[int, ...]:
        positions: list[int] = []
        for parameter in reversed(self.parameters):
            cell, position = divmod(cell, len(parameter.values))
            positions.append(position)
        return tuple(reversed(positions))

    def _combination(self, cell: int) -> dict[str, ParameterValue]:
        return {
            parameter.name: parameter.values[position]
            for parameter, position in zip(self.parameters, self._positions(cell), strict=True)
        }


def parse_space(plain: Mapping[str, object], constraints: Sequence[str] = ()) -> ParameterSpace:
    """Return the space that a configuration's ``space`` and ``constraints`` describe.

    Raises:
        ConfigurationError: a parameter is in none of the allowed forms; the message names it.
    """
    parameters = [Parameter(name, parse_values(name, form)) for name, form in plain.items()]
    return ParameterSpace(parameters, constraints)


def parse_values(name: str, form: object) -> tuple[ParameterValue, ...]:
    """Return the values that *form* gives to parameter *name*.

    Raises:
        ConfigurationError: *form* is none of the allowed forms, empty, or repeats a value.
    """
    match form:
        case list() | tuple():
            values = tuple(_value(name, item) for item in form)
        case {"choice": list() | tuple() as items, **rest} if not rest:
            values = tuple(_value(name, item) for item in items)
        case {"range": list() | tuple() as limits, **rest} if not rest:
            values = _range(name, limits)
        case {"log": limits, **rest} | {"log_range": limits, **rest} if not rest:
            values = _log_range(name, limits)
        case _:
            raise ConfigurationError(f"space.{name}: {form!r} is not allowed, write {_FORMS}")
    if not values:
        raise ConfigurationError(f"space.{name}: has no value; write {_FORMS}")
    if len({(isinstance(value, bool), value) for value in values}) < len(values):
        raise ConfigurationError(f"space.{name}: repeats a value; name each value once")
    return values


def _range(name: str, limits: Sequence[object]) -> tuple[ParameterValue, ...]:
    if len(limits) not in {2, 3} or not all(_is_number(limit) for limit in limits):
        raise ConfigurationError(
            f"space.{name}.range: {list(limits)!r} must be [start, stop, step], three numbers"
        )
    start, stop, step = (Decimal(str(limit)) for limit in (*limits, 1)[:3])
    if step == 0:
        raise ConfigurationError(f"space.{name}.range: the step is 0, it must lead to the stop")
    count = max(0, math.ceil((stop - start) / step))
    if count == 0:
        raise ConfigurationError(
            f"space.{name}.range: no value from {start} before {stop} in steps of {step}"
        )
    if count > MAX_COMBINATIONS:
        raise ConfigurationError(f"space.{name}.range: {count:,} values, use a larger step")
    whole = all(isinstance(limit, int) for limit in limits)
    values = (start + number * step for number in range(count))
    return tuple(int(value) if whole else value for value in values)


def _log_range(name: str, limits: object) -> tuple[ParameterValue, ...]:
    match limits:
        case [low, high, int() as count] if (
            _is_number(low) and _is_number(high) and not isinstance(count, bool)
        ):
            first, last = Decimal(str(low)), Decimal(str(high))
        case _:
            raise ConfigurationError(
                f"space.{name}.log: {limits!r} must be [low, high, count], three numbers"
            )
    if not 0 < first < last or count < 2:
        raise ConfigurationError(
            f"space.{name}.log: {limits!r} needs 0 < low < high and a count of at least 2"
        )
    with localcontext(prec=40):
        step = (last / first).ln() / (count - 1)
        points = [first * (step * number).exp() for number in range(count)]
    with localcontext(prec=_LOG_DIGITS):
        # The ends are what was written; the points between are rounded for people to read.
        values = (first, *(+point for point in points[1:-1]), last)
    whole = isinstance(low, int) and isinstance(high, int)  # 2, 4, 8: lengths, not 4.000
    return tuple(int(value) if whole and value % 1 == 0 else value for value in values)


def _is_number(value: object) -> TypeGuard[int | float | Decimal]:
    return (
        isinstance(value, int | float | Decimal)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def _value(name: str, value: object) -> ParameterValue:
    match value:
        case bool() | int() | str():
            return value
        case Decimal() | float() if math.isfinite(value):
            return Decimal(str(value))
        case _:
            raise ConfigurationError(
                f"space.{name}: {value!r} is not allowed, values are numbers, text, true or false"
            )
