"""The commands that were sent, until their outcomes can be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tui.formatting import clean, plural, short_id

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
        """Return what has ended since the last call; failures come last, alike ones in one."""
        alike: dict[tuple[str, str, str], list[CommandRow]] = {}
        for command_id in tuple(self._ids):
            row = self._engine.command(command_id)
            if row is not None and row.status in _ENDED:
                del self._ids[command_id]
                alike.setdefault((row.kind, row.status, row.reason), []).append(row)
        return tuple(sorted(map(_outcome, alike.values()), key=lambda one: not one.ok))


def target_name(row: CommandRow) -> str:
    """Return the object of a command as it is called in the tables."""
    return short_id(row.target) if len(row.target) > _LONGEST_NAME else row.target


def _outcome(rows: list[CommandRow]) -> Outcome:
    first = rows[0]
    names = ", ".join(target_name(row) for row in rows[:_NAMED])
    if len(rows) > _NAMED:
        names += f" and {len(rows) - _NAMED:,} more"
    noun = "agent" if "Agent" in first.kind else "executor"
    several = f" for {plural(len(rows), noun)}:" if len(rows) > 1 else ""
    reason = f": {first.reason}" if first.reason else ""
    if several:
        text = f"{first.kind} {first.status}{several} {names}{reason}"
    else:
        text = f"{first.kind} {names} {first.status}{reason}"
    return Outcome(clean(text), first.status == "completed")
