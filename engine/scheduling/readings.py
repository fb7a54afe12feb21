"""Checks of figures that come from outside: refused when they are none, forced into range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

from engine.scheduling.option import as_number

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ReadingT = TypeVar("ReadingT", bound="DataclassInstance")


def check_finite(value: object, what: str) -> float:
    """Return *value* as a float.

    Raises:
        ValueError: it is no number, NaN or infinite.
    """
    number = as_number(value)
    if number is None or math.isinf(number):
        raise ValueError(f"{what} must be a finite number, not {value!r}")
    return number


def clamp_fields(
    reading: ReadingT, ranges: Mapping[str, tuple[float, float]]
) -> tuple[ReadingT, int]:
    """Return *reading* with every value inside its range, 0 to 1 unless *ranges* says otherwise.

    The second value is how many were outside.
    """
    changed = {}
    for field in fields(reading):
        value = getattr(reading, field.name)
        if value is not None:
            low, high = ranges.get(field.name, (0.0, 1.0))
            if not low <= value <= high:
                changed[field.name] = min(max(value, low), high)
    return (replace(reading, **changed) if changed else reading), len(changed)
