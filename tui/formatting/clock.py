"""Instants and lengths of time to text. Instants are UTC."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Final

from tui.formatting.numbers import UNKNOWN

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_NS: Final = 253_402_300_799_000_000_000
_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400


def format_clock(at_ns: int | None, *, millis: bool = False) -> str:
    """Return the time of day in UTC: ``12:04:31``, with *millis* ``12:04:31.204``."""
    moment = _moment(at_ns)
    if moment is None or at_ns is None:
        return UNKNOWN
    text = moment.strftime("%H:%M:%S")
    return f"{text}.{at_ns // 1_000_000 % 1_000:03d}" if millis else text


def format_date_time(at_ns: int | None) -> str:
    """Return date and time of day in UTC: ``2026-03-02 12:04:31``."""
    moment = _moment(at_ns)
    return UNKNOWN if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")


def format_duration(seconds: float | None) -> str:
    """Return the two largest units: ``3d04h``, ``2h04m``, ``11m04s``, ``42s``, ``812ms``."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    sign, length = ("-" if seconds < 0 else ""), abs(seconds)
    whole = int(length)
    if length < 1:
        return f"{sign}{int(length * 1_000)}ms" if length else "0s"
    if whole < _MINUTE:
        return f"{sign}{whole}s"
    if whole < _HOUR:
        return f"{sign}{whole // _MINUTE}m{whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{sign}{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}m"
    return f"{sign}{whole // _DAY}d{whole % _DAY // _HOUR:02d}h"


def format_run_time(seconds: float | None) -> str:
    """Return how long something ran, with two digits that count: ``0.81ms``, ``412ms``, ``3.9s``.

    From a minute on it is as ``format_duration`` writes it.
    """
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    length = abs(seconds)
    sign = "-" if seconds < 0 else ""
    if length >= _MINUTE:
        return format_duration(seconds)
    if length >= 1:
        return f"{sign}{length:.1f}s"
    millis = length * 1_000
    if not millis:
        return "0ms"
    decimals = 0 if millis >= 10 else 1 if millis >= 1 else 2
    return f"{sign}{millis:.{decimals}f}ms"


def _moment(at_ns: int | None) -> datetime | None:
    """Return *at_ns* as a datetime, or None outside of 1970 to 9999."""
    if at_ns is None or not 0 <= at_ns <= _MAX_NS:
        return None
    return _EPOCH + timedelta(seconds=at_ns // 1_000_000_000)
