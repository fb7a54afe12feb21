"""Values as plain JSON: Decimals as text, enums by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import TypeAlias, Union

JsonValue: TypeAlias = Union[  # noqa: UP007 (a recursive alias needs the quoted names)
    bool, int, float, str, list["JsonValue"], dict[str, "JsonValue"], None
]
"""What JSON can hold."""


def to_plain(value: object) -> JsonValue:
    """Return *value* as plain JSON without loss of information in numbers.

    Raises:
        TypeError: *value* has no plain form.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal | Fraction):
        return str(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if is_dataclass(value):
        # What a value computes for itself (init=False) is no part of what it says.
        given = (item.name for item in fields(value) if item.init)
        return {name: to_plain(getattr(value, name)) for name in given}
    raise TypeError(f"{type(value).__name__} has no plain JSON form: {value!r}")
