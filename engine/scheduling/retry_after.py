"""The `Retry-After` header: seconds or a date (RFC 9110, 10.2.3)."""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_S: Final = 7 * 86_400.0
"""What a longer answer counts as; the longest ban that exchanges are known for is three days."""


def retry_after_s(text: str | None, wall: float) -> float | None:
    """Return the seconds to wait, or None if the header is missing or means nothing.

    Args:
        text: the header's value.
        wall: now, in seconds since the epoch; a date that is past gives 0.0.
    """
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - wall
        except (ValueError, OverflowError):
            return None
    if math.isnan(seconds):
        return None
    return min(max(0.0, seconds), LONGEST_S)
