"""The words, shapes and roles of a session's mode: never colour alone."""

from __future__ import annotations

from tui.formatting import mode_badge, mode_role
from tui.state.text import Span


def badge_span(mode: str) -> Span:
    """Return the badge of *mode* with a cell of air on both sides."""
    return (f" {mode_badge(mode)} ", mode_role(mode))


def mode_title(mode: str, name: str) -> str:
    """Return the terminal's title."""
    word = {"live": "● LIVE"}.get(mode, mode)
    return f"{word} {name} · quarterdeck"
