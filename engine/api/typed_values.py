"""Values as an operator types them: ``2%``, ``0.02``, ``1.5k``, ``4h``."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final

from engine.model.clock import SECOND_NS
from engine.model.durations import parse_duration_ns

_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?[kmb]?", re.IGNORECASE)
"""Commas are read between thousands only: ``0,05`` could mean 0.05, and must not become 5."""
_MULTIPLES: Final = {"k": Decimal(1_000), "m": Decimal(1_000_000), "b": Decimal(1_000_000_000)}


def parse_number(text: str) -> Decimal:
    """Return *text* as an exact number; ``1.5k``, ``2M`` and ``1,000`` are understood.

    Raises:
        ValueError: it is not a number.
    """
    cleaned = text.strip().replace("_", "")
    if _GROUPED.fullmatch(cleaned):
        cleaned = cleaned.replace(",", "")
    multiple = _MULTIPLES.get(cleaned[-1:].lower(), Decimal(1))
    digits = cleaned[:-1] if multiple != 1 else cleaned
    try:
        value = Decimal(digits)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number; write for example 0.05 or 1.5k") from None
    if not value.is_finite():
        raise ValueError(f"{text!r} is not a finite number")
    return value * multiple


def parse_fraction(text: str) -> Decimal:
    """Return *text* as a fraction: ``2%`` is 0.02, ``25bp`` is 0.0025, ``0.02`` is itself.

    Raises:
        ValueError: it is none of these.
    """
    cleaned = text.strip().lower()
    for suffix, divisor in (("%", 2), ("bps", 4), ("bp", 4)):
        if cleaned.endswith(suffix):
            return parse_number(cleaned.removesuffix(suffix)).scaleb(-divisor)
    try:
        return parse_number(cleaned)
    except ValueError:
        raise ValueError(f"{text!r} is not a fraction; write for example 2% or 0.02") from None


def parse_seconds(text: str) -> int:
    """Return a duration in whole seconds: ``4h``, ``90m``, ``300``.

    Raises:
        ValueError: it is not a duration, or not of whole seconds.
    """
    nanoseconds = parse_duration_ns(text)
    if nanoseconds % SECOND_NS:
        raise ValueError(f"{text!r} is not a whole number of seconds")
    return nanoseconds // SECOND_NS


def grouped(value: Decimal) -> str:
    """Return a price as tables show it: with all its decimals, ``63,981.40``."""
    return f"{value:,f}"


def plain(value: Decimal) -> str:
    """Return *value* without an exponent and without trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
