"""One hash over everything that a session was fed."""

from __future__ import annotations

import hashlib

from engine.store.records import JournalEntry


class JournalHash:
    """SHA-256 over the lines `seq|ts_ns|kind|payload`, each ended by a line feed, in UTF-8.

    The session's id is no part of it, so two runs on the same inputs have the same hash.
    """

    __slots__ = ("_digest",)

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, entry: JournalEntry) -> None:
        """Add the next entry; entries must come in the order of their `seq`."""
        line = f"{entry.seq}|{entry.ts_ns}|{entry.kind}|{entry.payload}\n"
        self._digest.update(line.encode())

    def hexdigest(self) -> str:
        """Return the hash of the entries so far, 64 hexadecimal digits."""
        return self._digest.hexdigest()
