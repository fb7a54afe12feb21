"""Values to text for people: pure, and nothing here raises whatever the value."""

from __future__ import annotations

from tui.formatting.clock import (
    format_clock,
    format_date_time,
    format_duration,
    format_run_time,
)
from tui.formatting.modes import mode_badge, mode_role
from tui.formatting.money import Direction, direction, format_money, format_signed_money
from tui.formatting.numbers import UNKNOWN, Number, format_compact, format_decimal
from tui.formatting.percent import format_percent, format_share
from tui.formatting.raw import iso_time, raw_text
from tui.formatting.sparkline import sparkline
from tui.formatting.text import (
    clean,
    clip,
    cut,
    fit,
    plural,
    short_id,
    short_ids,
    wrap_words,
)

__all__ = [
    "UNKNOWN",
    "Direction",
    "Number",
    "clean",
    "clip",
    "cut",
    "direction",
    "fit",
    "format_clock",
    "format_compact",
    "format_date_time",
    "format_decimal",
    "format_duration",
    "format_money",
    "format_percent",
    "format_run_time",
    "format_share",
    "format_signed_money",
    "iso_time",
    "mode_badge",
    "mode_role",
    "plural",
    "raw_text",
    "short_id",
    "short_ids",
    "sparkline",
    "wrap_words",
]
