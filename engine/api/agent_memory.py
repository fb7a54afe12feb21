"""What an operator has changed on the agents of a session, over restarts."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, cast

from anyio import to_thread

AgentChoice = Literal["running", "paused", "stopped"]
FOLDER: Final = "agents"
_VERSION: Final = 1
_CHOICES: Final = ("running", "paused", "stopped")


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an agent was left with; None where nobody has changed anything.

    ``origin`` tells the configuration that it was changed from: with another one in the session
    file it counts no more.
    """

    origin: str
    choice: AgentChoice | None = None
    interval: float | None = None
    priority: str | None = None

    @property
    def config(self) -> dict[str, Any]:
        """Return the entries that take the place of the configured ones."""
        found: dict[str, Any] = {}
        if self.interval is not None:
            found["interval"] = self.interval
        if self.priority is not None:
            found["priority"] = self.priority
        if self.choice == "paused":
            found["repeat"] = False
        return found

    @property
    def text(self) -> str:
        """Return it in words; empty if there is nothing to tell."""
        parts: list[str] = [self.choice] if self.choice is not None else []
        if self.interval is not None:
            parts.append(f"every {self.interval:g} s")
        if self.priority is not None:
            parts.append(f"priority {self.priority}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Configured:
    """What a session file says of an agent: a digest of all of it, and whether it repeats."""

    origin: str
    repeats: bool

    @classmethod
    def of(cls, agent_type: str, config: Mapping[str, Any], *, is_enabled: bool) -> Configured:
        """Return it for an agent of *agent_type*."""
        said = json.dumps([agent_type, dict(config), is_enabled], sort_keys=True, default=str)
        digest = hashlib.sha256(said.encode()).hexdigest()[:16]
        return cls(digest, bool(config.get("repeat", True)))


class AgentMemory:
    """The changes of one session's agents in a file, replaced as a whole before they count.

    Sessions are told apart by their name: an interrupted session and the one that takes it up have
    the same. Without a path nothing is kept. Belongs to one event loop.
    """

    def __init__(self, path: Path | None) -> None:
        self._path: Final = path
        self._entries: dict[str, Remembered] = {}

    async def load(self) -> str:
        """Read the file; return what is wrong with it, then nothing is remembered."""
        if self._path is None:
            return ""
        try:
            text = await to_thread.run_sync(_read, self._path)
            self._entries = {} if text is None else _entries(text)
        except (OSError, ValueError) as error:
            return f"changes of agents cannot be read from {self._path}: {error}"
        return ""

    def recall(self, agent_id: str, origin: str) -> Remembered | None:
        """Return what *agent_id* was left with, unless its configuration is another now."""
        found = self._entries.get(agent_id)
        return found if found is not None and found.origin == origin else None

    async def remember(
        self,
        agent_id: str,
        origin: str,
        *,
        choice: AgentChoice | None = None,
        interval: float | None = None,
        priority: str | None = None,
    ) -> None:
        """Keep what was changed, beside what was before.

        Raises:
            OSError: the file cannot be written.
        """
        if self._path is None:
            return
        known = self.recall(agent_id, origin) or Remembered(origin)
        self._entries[agent_id] = replace(
            known,
            choice=known.choice if choice is None else choice,
            interval=known.interval if interval is None else interval,
            priority=known.priority if priority is None else priority,
        )
        await to_thread.run_sync(_write, self._path, _text(self._entries))


def memory_path(data_dir: Path, session_name: str) -> Path:
    """Return where the changes of a session's agents are kept; it is not made."""
    return data_dir / FOLDER / f"{session_name}.json"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_suffix(".tmp")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 (a descriptor with a mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _text(entries: Mapping[str, Remembered]) -> str:
    agents = {
        agent_id: {
            "origin": one.origin,
            "choice": one.choice,
            "interval": one.interval,
            "priority": one.priority,
        }
        for agent_id, one in sorted(entries.items())
    }
    return json.dumps({"version": _VERSION, "agents": agents}, indent=1)


def _entries(text: str) -> dict[str, Remembered]:
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        raise ValueError(f"version {_VERSION} is expected")
    return {str(agent_id): _entry(one) for agent_id, one in document["agents"].items()}


def _entry(plain: Mapping[str, Any]) -> Remembered:
    choice, interval, priority = (plain.get(name) for name in ("choice", "interval", "priority"))
    if choice is not None and choice not in _CHOICES:
        raise ValueError(f"{choice!r} is none of {', '.join(_CHOICES)}")
    return Remembered(
        origin=str(plain["origin"]),
        choice=cast("AgentChoice | None", choice),  # it is one of the three
        interval=None if interval is None else float(interval),
        priority=None if priority is None else str(priority),
    )
