"""Alerts of agents and of the engine that runs them: told once per episode, kept for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from engine.agents.context import AlertLevel
from engine.api.agent_views import AlertRow

KEPT: Final = 100


class AgentAlerts:
    """The alerts, by key while they go on. Belongs to the engine's loop.

    Args:
        tell: passes (level, text) on to the operator: log, counters.
        wall_ns: when an alert was raised.
    """

    def __init__(
        self, *, tell: Callable[[AlertLevel, str], None], wall_ns: Callable[[], int]
    ) -> None:
        self._tell = tell
        self._wall_ns = wall_ns
        self._active: dict[str, AlertRow] = {}
        self._standing: set[str] = set()
        self._over: list[AlertRow] = []

    def raise_alert(
        self, key: str, text: str, level: AlertLevel, *, is_standing: bool = False
    ) -> None:
        """Say *text* if *key* is not raised already; renew the text if it is.

        A standing one is in the headline as long as it goes on, whatever its level.
        """
        if is_standing:
            self._standing.add(key)
        known = self._active.get(key)
        if known is None:
            self._active[key] = AlertRow(self._wall_ns(), level, text)
            self._tell(level, text)
        elif (known.text, known.level) != (text, level):
            self._active[key] = replace(known, text=text, level=level)

    def clear_alert(self, key: str) -> None:
        """Say that *key* is over."""
        self._standing.discard(key)
        known = self._active.pop(key, None)
        if known is not None:
            self._over.append(replace(known, is_active=False))
            del self._over[:-KEPT]

    def rows(self) -> tuple[AlertRow, ...]:
        """Return what goes on and what is over, newest first."""
        rows = [*self._active.values(), *self._over]
        rows.sort(key=lambda row: row.raised_ns, reverse=True)
        return tuple(rows[:KEPT])

    def headline(self) -> str:
        """Return what goes on and what nobody may overlook; empty if nothing.

        That is the newest error, and every standing alert.
        """
        errors = [key for key, row in self._active.items() if row.level == "error"]
        standing = [key for key in self._active if key in self._standing]
        shown = dict.fromkeys([*errors[-1:], *standing])
        return " · ".join(self._active[key].text for key in shown)
