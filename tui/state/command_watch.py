"""The commands that were sent, until their outcomes can be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tui.formatting import clean, plural, short_id, short_ids
from tui.state.command_words import words_of

if TYPE_CHECKING:
    from engine.api.console import ConsoleEngine
    from engine.api.views import CommandRow

_ENDED: Final = frozenset({"completed", "failed", "cancelled", "skipped", "aborted"})
_NAMED: Final = 3
_LONGEST_NAME: Final = 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one command, or several that ended alike, came out."""

    text: str
    ok: bool


class CommandWatch:
    """Remembers ids of commands; ``outcomes`` gives each of them up once, when it has ended."""

    def __init__(self, engine: ConsoleEngine) -> None:
        self._engine = engine
        self._ids: dict[str, None] = {}

    def add(self, command_ids: Iterable[str]) -> None:
        """Watch *command_ids*."""
        self._ids |= dict.fromkeys(command_ids)

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return what has ended since the last call; failures come last, alike ones in one.

        Those that went well are alike if they are of one kind, failures if their reasons are too.
        """
        alike: dict[tuple[str, str, str], list[CommandRow]] = {}
        for command_id in tuple(self._ids):
            row = self._engine.command(command_id)
            if row is not None and row.status in _ENDED:
                del self._ids[command_id]
                why = "" if row.status == "completed" else row.reason
                alike.setdefault((row.kind, row.status, why), []).append(row)
        return tuple(sorted(map(_outcome, alike.values()), key=lambda one: not one.ok))


def target_name(row: CommandRow) -> str:
    """Return the object of a command as it is called in the tables."""
    return short_id(row.target) if len(row.target) > _LONGEST_NAME else row.target


def _outcome(rows: list[CommandRow]) -> Outcome:
    first = rows[0]
    if first.status != "completed":
        what = f"{words_of(first.kind).verb} {_objects(rows)}"
        return Outcome(
            clean(f"Could not {what}: {short_ids(first.reason) or first.status}"), ok=False
        )
    if len(rows) == 1 and first.reason:  # the engine has said it in a sentence
        name = target_name(first)
        said = short_ids(first.reason.replace(first.target, name))
        return Outcome(clean(said if said.startswith(name) else _capital(said)), ok=True)
    return Outcome(clean(_capital(f"{words_of(first.kind).past} {_objects(rows)}")), ok=True)


def _objects(rows: list[CommandRow]) -> str:
    noun = words_of(rows[0].kind).noun
    names = ", ".join(target_name(row) for row in rows[:_NAMED])
    if len(rows) > _NAMED:
        names += f" and {len(rows) - _NAMED:,} more"
    if len(rows) == 1:
        return f"{noun} {names}".strip()
    return f"{plural(len(rows), noun)}: {names}" if noun else names


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
