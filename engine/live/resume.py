"""Takes up an interrupted session: its state is what its journal makes of a new container."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

import anyio.lowlevel

from engine.containers.effects import Effects
from engine.containers.inputs import StartInput, StopInput, decode
from engine.containers.session_container import SessionContainer
from engine.flow.errors import OperationError
from engine.markets.source import MarketSource
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick
from engine.store.records import JournalEntry

PAGE: Final = 1000
INPUTS_PER_SLICE: Final = 50
"""Inputs replayed between two chances for other tasks to run."""


class JournalReader(Protocol):
    """Where journals are read from."""

    async def journal(
        self, session_id: str, *, after_seq: int = -1, limit: int = PAGE
    ) -> tuple[JournalEntry, ...]:
        """Return the next entries of a session's journal behind *after_seq*."""
        ...


class CannotResumeError(OperationError):
    """An interrupted session cannot be taken up; the message says why."""


@dataclass(slots=True)
class Recovered:
    """What replaying an interrupted session's journal has come to."""

    session_id: str
    inputs: int = 0
    """Inputs of all its lives."""
    replayed: int = 0
    """Those of them that were replayed; the others were in a snapshot."""
    adopts: str = ""
    """The life whose rows are those of the snapshot; empty without one."""
    last_ns: int = 0
    quotes: dict[ConnectorPair, int] = field(default_factory=dict)
    """How many quotes of each market the session has seen in all its lives."""
    begun_ns: int = 0
    """Start of the first life."""
    funded_ns: dict[ConnectorPair, int] = field(default_factory=dict)
    """By market, when the last funding that was charged had been due."""

    def funded_until(self, market: ConnectorPair) -> int:
        """Return the instant up to which the funding of *market* is charged."""
        return self.funded_ns.get(market, self.begun_ns)


async def replay_session(
    reader: JournalReader,
    session_id: str,
    container: SessionContainer,
    record: Callable[[Effects], None],
    *,
    begin: tuple[str, int] | None = None,
) -> Recovered:
    """Feed *container* with the journals of *session_id* and of the lives before it.

    The container must be new and of the same plan: same inputs, same seed, same state. Or it is
    what the first entries of one of these lives have made of it: *begin* names the life, and how
    many.

    Raises:
        CannotResumeError: the session was stopping already, or its journal has no beginning.
        JournalFormatError: an entry cannot be read.
    """
    recovered = Recovered(session_id, adopts="" if begin is None else begin[0])
    lives = await lives_of(reader, session_id)
    first, known = (lives[0], 0) if begin is None else begin
    for life in lives[lives.index(first) :]:
        after_seq = known - 1 if life == first else -1
        while entries := await reader.journal(life, after_seq=after_seq, limit=PAGE):
            after_seq = entries[-1].seq
            for number, entry in enumerate(entries):
                _replay(entry, container, record, recovered)
                if number % INPUTS_PER_SLICE == 0:
                    await anyio.lowlevel.checkpoint()
    recovered.inputs = container.inputs
    recovered.last_ns = container.clock.now_ns()
    recovered.quotes = container.data_handler.quotes_seen()
    recovered.begun_ns = container.begun_ns
    recovered.funded_ns = dict(container.funded_ns)
    return recovered


def _replay(
    entry: JournalEntry,
    container: SessionContainer,
    record: Callable[[Effects], None],
    recovered: Recovered,
) -> None:
    item = decode(entry.ts_ns, entry.kind, entry.payload)
    if isinstance(item, StopInput):
        raise CannotResumeError(f"session {recovered.session_id} was stopping when it was cut off")
    record(container.apply(item))
    recovered.replayed += 1


async def lives_of(reader: JournalReader, session_id: str) -> list[str]:
    """Return the session and the ones that it continued, the first life first.

    Raises:
        CannotResumeError: the journal of one of them has no beginning.
        JournalFormatError: its first entry cannot be read.
    """
    lives = [session_id]
    while True:
        head = await reader.journal(lives[-1], limit=1)
        first = decode(head[0].ts_ns, head[0].kind, head[0].payload) if head else None
        if not isinstance(first, StartInput):
            raise CannotResumeError(f"the journal of session {lives[-1]} has no beginning")
        if not first.continues:
            return lives[::-1]
        lives.append(first.continues)


class ResumedSource:
    """A market that goes on where an earlier life of the session stopped hearing it.

    The quotes are those that would have come next; their times are moved to the new start.
    """

    def __init__(self, source: MarketSource, *, seen: int) -> None:
        self._source = source
        self._seen = seen

    @property
    def market(self) -> ConnectorPair:
        """Return the market."""
        return self._source.market

    @property
    def instrument(self) -> Instrument:
        """Return the instrument."""
        return self._source.instrument

    def ticks(self, start_ns: int) -> Iterator[QuoteTick]:
        """Return the quotes after the ones that were seen, the first one at *start_ns*."""
        quotes = islice(self._source.ticks(start_ns), self._seen, None)
        shift_ns: int | None = None
        for quote in quotes:
            if shift_ns is None:
                shift_ns = start_ns - quote.ts_ns
            yield QuoteTick(
                quote.market,
                quote.ts_ns + shift_ns,
                quote.bid_ticks,
                quote.ask_ticks,
                quote.bid_lots,
                quote.ask_lots,
                quote.source_ns,
            )
