"""A curve in a table cell: one character for each value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_BARS: Final = "▁▂▃▄▅▆▇█"
_FLAT: Final = "▄"


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Return the last *width* values as bars scaled to themselves, the newest on the right.

    A flat line is drawn at half height; a gap (None or not finite) is a space; what is missing on
    the left is padded with spaces, so that the result is always *width* cells wide.
    """
    shown = values[-width:] if width > 0 else ()
    known = [value for value in shown if value is not None and math.isfinite(value)]
    if not known:
        return " " * max(width, 0)
    low, high = min(known), max(known)
    cells = "".join(_cell(value, low, high) for value in shown)
    return cells.rjust(width)


def _cell(value: float | None, low: float, high: float) -> str:
    if value is None or not math.isfinite(value):
        return " "
    span = high / 2 - low / 2  # halves: the difference of two large floats may overflow
    if not span:
        return _FLAT
    share = (value / 2 - low / 2) / span
    return _BARS[min(int(share * len(_BARS)), len(_BARS) - 1)]
