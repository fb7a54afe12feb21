"""Values as other programs read them: what is copied and exported. No separators, no arrows."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

_NS: Final = 1_000_000_000
_LAST_NS: Final = 253_402_300_799 * _NS


def raw_text(value: object) -> str:
    """Return *value* exactly and never scientific; empty if it is not known."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else ""
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f") if math.isfinite(value) else ""
    if isinstance(value, tuple | list):
        return " ".join(map(raw_text, value))
    return str(value)


def iso_time(at_ns: int | None) -> str:
    """Return an instant as ``2026-03-02T12:04:31.204Z``, with the digits that it has."""
    if at_ns is None or not 0 <= at_ns <= _LAST_NS:
        return ""
    seconds, rest = divmod(at_ns, _NS)
    fraction = f".{rest:09d}".rstrip("0").ljust(4, "0") if rest else ""
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}{fraction}Z"
