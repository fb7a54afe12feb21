"""Alerts: limits whose crossing an operator should know (10.5)."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from engine.scheduling.agent_log import TOLD
from engine.scheduling.clock import Clock
from engine.scheduling.option import check_keys

LOG: Final = logging.getLogger("engine.scheduling")

KEPT_S: Final = 24 * 3600.0
KEPT: Final = 1000
"""Alerts kept at most, for a limit that is crossed all the time."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One limit: raised while the value is over it, or under it when `is_floor`."""

    limit: float
    text: str
    is_floor: bool = False
    level: str = "warning"

    def is_broken_by(self, value: float) -> bool:
        """Return whether *value* is on the wrong side."""
        return value < self.limit if self.is_floor else value > self.limit


RULES: Final = {
    "cpu": AlertRule(0.8, "cpu {value:.0%} busy, over {limit:.0%}"),
    "memory": AlertRule(0.8, "memory {value:.0%} used, over {limit:.0%}"),
    "disk": AlertRule(0.8, "disk {value:.0%} full, over {limit:.0%}"),
    "cache_hit_rate": AlertRule(
        0.5, "only {value:.0%} of cache look-ups hit, under {limit:.0%}", is_floor=True
    ),
    "http_error_rate": AlertRule(0.05, "{value:.1%} of HTTP requests fail, over {limit:.0%}"),
    "ready_tasks": AlertRule(100, "{value:.0f} tasks are ready and wait, over {limit:.0f}"),
    "engine_not_running": AlertRule(0, "the execution engine is not running", level="error"),
}
"""The rules by kind."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One episode beyond a limit; wall time in nanoseconds, `cleared_ns` None while it lasts."""

    kind: str
    level: str
    text: str
    value: float
    limit: float
    raised_ns: int
    cleared_ns: int | None = None

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON takes."""
        return {
            "kind": self.kind,
            "level": self.level,
            "text": self.text,
            "value": self.value,
            "limit": self.limit,
            "raised_ns": self.raised_ns,
            "cleared_ns": self.cleared_ns,
        }


class AlertMonitor:
    """Raises each alert once per episode and keeps it for 24 hours.

    Args:
        clock: monotonic time decides what is kept, wall time is shown.
        switches: kinds that are on or off; all are on.

    Raises:
        ValueError: there is no such kind, or a switch is no bool.
    """

    def __init__(self, clock: Clock, switches: Mapping[str, object] | None = None) -> None:
        self._clock: Final = clock
        self._switches: Final = dict.fromkeys(RULES, True)
        self._alerts: Final[dict[int, Alert]] = {}
        self._order: Final[deque[tuple[float, int]]] = deque()
        self._open: Final[dict[str, int]] = {}
        self._serial = 0
        self._listeners: Final[list[Callable[[Alert], object]]] = []
        for kind, on in (switches or {}).items():
            self.switch(kind, on)

    def switch(self, kind: str, on: object) -> None:
        """Switch the alert *kind* on or off; off also ends its episode.

        Raises:
            ValueError: there is no such kind, or *on* is no bool.
        """
        check_keys([kind], RULES, owner="alerts")
        if not isinstance(on, bool):
            raise ValueError(f"alerts.{kind} must be true or false, not {on!r}")  # noqa: TRY004 (an option's error)
        self._switches[kind] = on
        if not on:
            self._clear(kind)

    def is_on(self, kind: str) -> bool:
        """Return whether the alert *kind* is switched on."""
        return self._switches[kind]

    def evaluate(self, values: Mapping[str, float | None]) -> None:
        """Compare *values* by kind with their limits; None: not known now, so no episode."""
        for kind, value in values.items():
            rule = RULES[kind]
            if not self._switches[kind]:
                continue
            if value is None or not rule.is_broken_by(value):
                self._clear(kind)
            elif kind not in self._open:
                self._raise(kind, rule, value)
        self._forget_old()

    def recent(self, limit: int = 100) -> tuple[Alert, ...]:
        """Return the newest alerts, newest first, at most *limit*."""
        self._forget_old()
        return tuple(list(self._alerts.values())[::-1][: max(0, limit)])

    def subscribe(self, listener: Callable[[Alert], object]) -> Callable[[], None]:
        """Call *listener* with every alert that is raised and once more when it is over.

        Returns:
            What ends it.
        """
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def _raise(self, kind: str, rule: AlertRule, value: float) -> None:
        text = rule.text.format(value=value, limit=rule.limit)
        now_ns = int(self._clock.wall() * 1e9)
        self._serial += 1
        alert = Alert(kind, rule.level, text, value, rule.limit, now_ns)
        self._alerts[self._serial] = alert
        self._order.append((self._clock.monotonic(), self._serial))
        self._open[kind] = self._serial
        if kind == "engine_not_running":
            # It was stopped by somebody: worth a line, but no one has to act on it.
            LOG.info("%s", text)
        else:
            LOG.warning("%s", text, extra=TOLD)
        self._tell(alert)

    def _clear(self, kind: str) -> None:
        serial = self._open.pop(kind, None)
        alert = None if serial is None else self._alerts.get(serial)
        if serial is not None and alert is not None:
            alert = replace(alert, cleared_ns=int(self._clock.wall() * 1e9))
            self._alerts[serial] = alert
            self._tell(alert)

    def _forget_old(self) -> None:
        oldest = self._clock.monotonic() - KEPT_S
        while self._order and (self._order[0][0] < oldest or len(self._order) > KEPT):
            self._alerts.pop(self._order.popleft()[1], None)

    def _tell(self, alert: Alert) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(alert)
            except Exception:
                LOG.exception("an alert listener failed")
