"""The mode of a session as a badge: a word and a shape besides the colour."""

from __future__ import annotations

from typing import Final

_SHAPES: Final = {"live": "●", "paper": "◌", "backtest": "▣", "replay": "◀"}
_WORDS: Final = {"backtest": "TEST"}
_ROLES: Final = {
    "live": "mode-live",
    "paper": "mode-paper",
    "backtest": "mode-test",
    "replay": "mode-replay",
}


def mode_badge(mode: str) -> str:
    """Return ``● LIVE``, ``◌ PAPER``, ``▣ TEST`` or ``◀ REPLAY``; an unknown mode in capitals."""
    word = _WORDS.get(mode, mode.upper())
    return f"{_SHAPES.get(mode, '?')} {word}"


def mode_role(mode: str) -> str:
    """Return the theme variable of a mode's colour; an unknown mode gets the warning one."""
    return _ROLES.get(mode, "mode-armed")
