"""The operator's key map: checked here, because Textual takes unknown ids and clashes silently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tui.actions import ACTIONS, Action, Scope

FORBIDDEN: Final[dict[str, str]] = {
    "ctrl+m": "it is enter",
    "ctrl+i": "it is tab",
    "ctrl+j": "it is a line feed",
    "ctrl+h": "it is backspace",
    "ctrl+s": "it stops the terminal's output",
    "ctrl+q": "it restarts the terminal's output",
    "ctrl+a": "it is a multiplexer's prefix",
    "ctrl+b": "it is a multiplexer's prefix",
    "ctrl+z": "it would stop the engine with the screen",
}
_NAMES: Final = {
    "?": "question_mark", ":": "colon", ";": "semicolon", ",": "comma", "/": "slash",
    "*": "asterisk", "-": "minus", " ": "space", "esc": "escape", "+": "plus",
    "=": "equals_sign", "(": "left_parenthesis", ")": "right_parenthesis",
    "<": "less_than_sign", ">": "greater_than_sign",
}  # fmt: skip
_MODE: Final = frozenset({Scope.EVERYWHERE, Scope.SCREEN, Scope.LIST})
_TOGETHER: Final = (
    _MODE | {Scope.EXECUTORS},
    _MODE | {Scope.LOGS},
    _MODE | {Scope.AGENTS},
    _MODE | {Scope.BACKTESTS},
    _MODE | {Scope.STUDIES, Scope.STUDY},
    frozenset({Scope.EVERYWHERE, Scope.SCREEN, Scope.STUDIES, Scope.STUDY, Scope.HEATMAP}),
    frozenset({Scope.EVERYWHERE, Scope.SCREEN, Scope.STUDIES, Scope.STUDY, Scope.TEXT}),
    frozenset({Scope.EVERYWHERE, Scope.SCREEN, Scope.EXECUTORS, Scope.DETAIL, Scope.TEXT}),
    frozenset({Scope.EVERYWHERE, Scope.SCREEN, Scope.AGENTS, Scope.DETAIL, Scope.TEXT}),
    frozenset(
        {Scope.EVERYWHERE, Scope.SCREEN, Scope.BACKTESTS, Scope.DETAIL, Scope.RESULT, Scope.TEXT}
    ),
    frozenset(
        {Scope.EVERYWHERE, Scope.SCREEN, Scope.BACKTESTS, Scope.DETAIL, Scope.RESULT, Scope.CHART}
    ),
    frozenset({Scope.DIALOG, Scope.CONFIRM, Scope.STOP}),
    frozenset({Scope.DIALOG, Scope.CONFIRM, Scope.QUIT}),
    frozenset({Scope.DIALOG, Scope.FORM}),
    frozenset({Scope.FORM, Scope.CHOICE}),
    frozenset({Scope.OVERLAY, Scope.SETTINGS, Scope.LIST}),
)
"""Scopes whose keys can be pressed on one screen. Where an inner one covers an outer key on
purpose (a choice has the arrows of its dialog) they stand apart."""


@dataclass(frozen=True, slots=True)
class CheckedKeymap:
    """What can be used of a key map, and one sentence for each line that cannot."""

    keys: Mapping[str, str]
    problems: tuple[str, ...] = ()


def normalize(keys: str) -> str:
    """Return *keys* with the names that Textual uses; a lone ``,`` is the comma key."""
    if keys.strip() == ",":
        return "comma"
    parts = [part.strip() for part in keys.split(",")]
    return ",".join(_NAMES.get(part, part) for part in parts if part)


def check_keymap(wanted: Mapping[str, str]) -> CheckedKeymap:
    """Return the lines of *wanted* that make sense, in order; a bad line is left out and named."""
    by_id = {action.id: action for action in ACTIONS}
    accepted: dict[str, str] = {}
    problems: list[str] = []
    for action_id, keys in wanted.items():
        action = by_id.get(action_id)
        if action is None:
            from difflib import get_close_matches

            near = get_close_matches(action_id, by_id, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problems.append(f"keymap: there is no action {action_id!r}{hint}")
            continue
        names = normalize(keys)
        problem = _problem(action, names, accepted)
        if problem:
            problems.append(f"keymap: {action_id}: {keys}: {problem}; the line is ignored")
        else:
            accepted[action_id] = names
    return CheckedKeymap(accepted, tuple(problems))


def _problem(action: Action, keys: str, accepted: Mapping[str, str]) -> str:
    if not keys:
        return "no key"
    if action.fixed and keys != action.keys:
        return "this key cannot be changed"
    for key in keys.split(","):
        if key in FORBIDDEN:
            return f"{key} cannot be used, {FORBIDDEN[key]}"
        for other in ACTIONS:
            taken = accepted.get(other.id, other.keys).split(",")
            if other.id != action.id and key in taken and _meet(action.scope, other.scope):
                return f"{key} already means {other.id}"
    return ""


def _meet(one: Scope, other: Scope) -> bool:
    """Whether both scopes can be active at once."""
    return one is other or any({one, other} <= together for together in _TOGETHER)
