"""Snapshots of a session's state: what its first inputs have made of its container, as one file.

A snapshot spares a resume the replay of these inputs. It is JSON, with a header that says whose it
is, how far it goes and which code has made it: anything that differs makes it useless, and the
journal, from which a session can always be rebuilt, is replayed from its beginning.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle  # noqa: TID251 (a copy in memory; what is on disk is JSON, see `object_graph`)
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pydantic

from engine.containers.session_container import SessionContainer
from engine.flow.errors import OperationError
from engine.live.object_graph import from_plain, to_plain
from engine.live.recorder import Recorder

FORMAT: Final = 1
FOLDER: Final = "snapshots"
SUFFIX: Final = ".state"
FILES_KEPT: Final = 5
MOST_EXECUTORS: Final = 300
"""Taking a snapshot holds the session's loop: some 50 us for an executor, active or archived."""
LARGEST: Final = 256 * 2**20
"""Bytes of a snapshot that is read."""


class StateError(OperationError):
    """A snapshot cannot be taken, or cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class StateHeader:
    """Whose state it is, and after which inputs."""

    session_id: str
    entries: int
    """Entries of this session's journal that are in it; those of earlier lives are too."""
    last_entry: str
    """Digest of the last of them."""
    config_hash: str
    code: str
    """Digest of the code that took it, see `code_digest`."""
    digest: str = ""
    """SHA-256 of the state's text."""
    format: int = FORMAT


def entry_digest(ts_ns: int, kind: str, payload: str) -> str:
    """Return the digest of a journal entry."""
    return hashlib.sha256(f"{ts_ns} {kind} {payload}".encode()).hexdigest()


def code_digest() -> str:
    """Return a digest of this package's sources, Python's version and pydantic's.

    Reads all of them: some 50 ms, in a thread.
    """
    found = hashlib.sha256(f"{sys.version} {pydantic.VERSION}".encode())
    root = Path(__file__).resolve().parents[1]
    for path in sorted(root.rglob("*.py")):
        found.update(str(path.relative_to(root)).encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def copied(
    container: SessionContainer, recorder: Recorder, *, most_executors: int = MOST_EXECUTORS
) -> bytes:
    """Return a copy of the state as bytes for `plain_text`; some 10 ms, between two inputs.

    Raises:
        StateError: it is too large to be copied in passing, or a part of it cannot be.
    """
    orchestrator = container.orchestrator
    count = len(orchestrator.snapshots(include_archived=True))
    if count > most_executors:
        raise StateError(f"{count} executors are more than {most_executors}")
    try:
        return pickle.dumps((container, recorder.kept()), protocol=5)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError, RuntimeError) as error:
        raise StateError(f"a part cannot be copied: {error}", cause=error) from error


def plain_text(copy: bytes) -> bytes:
    """Return the state that `copied` has taken, as JSON; some 100 ms, in a thread.

    Raises:
        GraphError: a part of it is no data of this package.
    """
    state = pickle.loads(copy)  # noqa: S301 (bytes of this process that were nowhere else)
    return json.dumps(to_plain(state), separators=(",", ":")).encode()


def restored(text: bytes) -> tuple[SessionContainer, Mapping[str, Any]]:
    """Return the container, and what a recorder of it goes on from; some 100 ms, in a thread.

    The classes that are named must be loaded: make another container of the plan first.

    Raises:
        StateError: it is damaged, or its books do not agree.
        GraphError: it names what it must not.
    """
    try:
        found = from_plain(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise StateError(f"it cannot be read: {error}", cause=error) from error
    match found:
        case (SessionContainer() as container, dict() as kept):
            pass
        case _:
            raise StateError("it holds something else")
    container.orchestrator.recall()
    container.portfolio.check_identity()
    differences = container.differences()
    if differences:
        raise StateError(f"its books differ: {differences[0]}")
    return container, kept


def state_path(folder: Path, session_id: str) -> Path:
    """Return where the snapshot of a session is kept; it is not made."""
    return folder / f"{session_id}{SUFFIX}"


def write_state(folder: Path, header: StateHeader, text: bytes) -> Path:
    """Write a snapshot as a whole, readable by its owner only; drop the oldest ones of others.

    Blocks: call it in a thread.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    path = state_path(folder, header.session_id)
    fresh = folder / f".{header.session_id}{SUFFIX}.tmp"
    values = asdict(header) | {"digest": hashlib.sha256(text).hexdigest()}
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor with a mode)
        file.write(json.dumps(values, sort_keys=True).encode() + b"\n")
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    newest = sorted(folder.glob(f"*{SUFFIX}"), key=lambda one: one.stat().st_mtime, reverse=True)
    for old in newest[FILES_KEPT:]:
        old.unlink(missing_ok=True)
    return path


def read_state(
    folder: Path, session_id: str, *, config_hash: str
) -> tuple[StateHeader, bytes] | None:
    """Return the snapshot of a session, None if there is none; blocks.

    Raises:
        StateError: it is damaged, or of another configuration, format or code.
        OSError: it cannot be read.
    """
    path = state_path(folder, session_id)
    try:
        if path.stat().st_size > LARGEST:
            raise StateError(f"it has more than {LARGEST} bytes")
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    line, _, text = content.partition(b"\n")
    try:
        header = StateHeader(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise StateError("its header cannot be read", cause=error) from error
    for what, ours, theirs in (
        ("format", FORMAT, header.format),
        ("session", session_id, header.session_id),
        ("configuration", config_hash, header.config_hash),
        ("content", hashlib.sha256(text).hexdigest(), header.digest),
        ("code", code_digest(), header.code),
    ):
        if ours != theirs:
            raise StateError(f"its {what} is another one")
    return header, text
