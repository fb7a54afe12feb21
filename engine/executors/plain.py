"""Values as plain JSON: Decimals as text, enums by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cache
from types import NoneType
from typing import Final, TypeAlias, Union

JsonValue: TypeAlias = Union[  # noqa: UP007 (a recursive alias needs the quoted names)
    bool, int, float, str, list["JsonValue"], dict[str, "JsonValue"], None
]
"""What JSON can hold."""


_PLAIN_TYPES: Final = frozenset({bool, int, float, str, NoneType})


def to_plain(value: object) -> JsonValue:
    """Return *value* as plain JSON without loss of information in numbers.

    Raises:
        TypeError: *value* has no plain form.
    """
    kind = type(value)
    if kind in _PLAIN_TYPES:
        return value  # type: ignore[return-value]  # its type has just been looked up
    if kind is Decimal:
        return f"{value:f}"
    if kind is tuple:  # most are empty: reports have many lists
        return [to_plain(item) for item in value]  # type: ignore[attr-defined]  # a tuple
    return _to_plain(value)


def _to_plain(value: object) -> JsonValue:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    kind: type = type(value)
    if is_dataclass(kind):
        return {name: to_plain(getattr(value, name)) for name in _given_fields(kind)}
    raise TypeError(f"{type(value).__name__} has no plain JSON form: {value!r}")


@cache
def _given_fields(kind: type) -> tuple[str, ...]:
    """Return the fields of a dataclass but those that it computes for itself (init=False)."""
    return tuple(item.name for item in fields(kind) if item.init)
