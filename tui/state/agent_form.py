"""The form that changes an agent: what was typed, as the engine will get it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from engine.api.views import FormCheck, FormField
from tui.formatting import format_run_time

if TYPE_CHECKING:
    from engine.api.views import AgentRow

LEVELS: Final = ("critical", "high", "normal", "low", "idle")
_MOST_S: Final = 86_400.0
_LENGTH: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, None: 1.0}


def agent_fields(rows: Sequence[AgentRow]) -> tuple[FormField, ...]:
    """Return the form for *rows*; its defaults are what they have in common."""
    bases = {row.interval.base_s for row in rows if row.interval is not None}
    priorities = {row.priority for row in rows}
    base = f"{bases.pop():g}s" if len(bases) == 1 else ""
    return (
        FormField(
            "interval", "Base interval", "duration", required=False, default=base,
            help="How often it runs before the three factors: 5s, 250ms, 2m. At most a day.",
        ),
        FormField(
            "priority", "Priority", "choice", required=False,
            default=priorities.pop() if len(priorities) == 1 else "normal", choices=LEVELS,
            help="Of its cycles, the queued one too. critical must not wait, idle may.",
        ),
    )  # fmt: skip


def check_agent_form(typed: Mapping[str, str]) -> FormCheck:
    """Return what is understood of *typed*; an empty interval stays as it is."""
    errors: dict[str, str] = {}
    understood: dict[str, str] = {}
    values: dict[str, object] = {}
    text = typed.get("interval", "").strip().lower()
    if text:
        match = _LENGTH.fullmatch(text)
        seconds = float(match.group(1)) * _UNITS[match.group(2)] if match else 0.0
        if match is None:
            errors["interval"] = f"{text!r} is not a duration. Try 5s, 250ms or 2m."
        elif not 0 < seconds <= _MOST_S:
            errors["interval"] = "It must be above 0 and at most a day (24h)."
        else:
            understood["interval"] = format_run_time(seconds)
            values["interval"] = seconds
    priority = typed.get("priority", "")
    if priority in LEVELS:
        understood["priority"] = priority
        values["priority"] = priority
    return FormCheck(errors=errors, understood=understood, values=values)
