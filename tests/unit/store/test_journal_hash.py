"""The journal's hash: a stated form, independent of the session's id."""

from __future__ import annotations

import hashlib

from engine.store.journal_hash import JournalHash
from engine.store.records import JournalEntry

ENTRIES = (
    JournalEntry("s", 0, 1_000, "quote", "paper BTC-USDT 1 2 3 4 0"),
    JournalEntry("s", 1, 2_000, "action", '{"verb":"create","name":"ü|x"}'),
)


def hash_of(*entries: JournalEntry) -> str:
    digest = JournalHash()
    for entry in entries:
        digest.update(entry)
    return digest.hexdigest()


def test_the_hash_is_sha256_over_the_canonical_lines() -> None:
    lines = '0|1000|quote|paper BTC-USDT 1 2 3 4 0\n1|2000|action|{"verb":"create","name":"ü|x"}\n'
    assert hash_of(*ENTRIES) == hashlib.sha256(lines.encode()).hexdigest()


def test_no_entries_give_the_empty_hash() -> None:
    assert hash_of() == hashlib.sha256(b"").hexdigest()


def test_the_order_of_entries_matters() -> None:
    assert hash_of(*ENTRIES) != hash_of(*reversed(ENTRIES))


def test_the_session_does_not_matter() -> None:
    elsewhere = [JournalEntry("t", e.seq, e.ts_ns, e.kind, e.payload) for e in ENTRIES]
    assert hash_of(*elsewhere) == hash_of(*ENTRIES)


def test_reading_the_hash_does_not_end_it() -> None:
    digest = JournalHash()
    digest.update(ENTRIES[0])
    assert digest.hexdigest() == hash_of(ENTRIES[0])
    digest.update(ENTRIES[1])
    assert digest.hexdigest() == hash_of(*ENTRIES)
