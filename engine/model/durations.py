"""Durations as people write them: ``90``, ``90s``, ``1.5h``, ``1h30m``, ``250ms``, ``2d``."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_UNIT_NS: Final = {
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h|d)")
_WHOLE: Final = re.compile(rf"(?:{_PART.pattern}\s*)+")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?|\.\d+")


def parse_duration_ns(text: str) -> int:
    """Return *text* in nanoseconds; a bare number is seconds.

    Raises:
        ValueError: *text* is not a duration.
    """
    cleaned = text.strip().lower()
    if _NUMBER.fullmatch(cleaned):
        return int(Decimal(cleaned) * _UNIT_NS["s"])
    if not _WHOLE.fullmatch(cleaned):
        raise ValueError(f"{text!r} is not a duration; write for example 90s, 4h or 1h30m")
    return sum(int(Decimal(number) * _UNIT_NS[unit]) for number, unit in _PART.findall(cleaned))
