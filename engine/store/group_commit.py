"""One writer: callers that come while a commit runs share the next one."""

from __future__ import annotations

from collections import deque
from typing import Final

import anyio
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.batch import StoreBatch
from engine.store.connections import reason_of
from engine.store.errors import StoreError, StoreWriteError
from engine.store.writing import write_batch

_SAMPLES: Final = 64
_FAILURES: Final = (SQLAlchemyError, OverflowError, StoreError)


class _Pending:
    """A batch on its way, and what became of it."""

    __slots__ = ("batch", "error", "is_settled", "is_written")

    def __init__(self, batch: StoreBatch) -> None:
        self.batch = batch
        self.error: Exception | None = None
        self.is_written = False
        self.is_settled = False


class GroupWriter:
    """Writes batches through one connection, each all or nothing.

    The first caller commits for all that wait; a batch that fails takes no other with it. Order of
    calls is order of commits. A cancelled caller's batch is written to its end before the
    cancellation is raised.
    """

    def __init__(self, connection: AsyncConnection, *, name: str) -> None:
        self._connection = connection
        self._name = name
        self._turn = anyio.Lock()
        self._queue: list[_Pending] = []
        self._durations: deque[float] = deque(maxlen=_SAMPLES)
        self.median_ms: float | None = None
        """Median time of the last commits in milliseconds; None before the first."""

    async def write(self, batch: StoreBatch) -> None:
        """Return when *batch* is committed.

        Raises:
            StoreWriteError: nothing of it was written.
        """
        pending = _Pending(batch)
        self._queue.append(pending)
        with anyio.CancelScope(shield=True):
            async with self._turn:
                if not pending.is_settled:
                    group, self._queue = self._queue, []
                    await self._commit(group)
        if not pending.is_written:
            raise self._failure(pending) from pending.error

    async def _commit(self, group: list[_Pending]) -> None:
        started = anyio.current_time()
        try:
            error = await self._transact(group)
            if error is not None and len(group) > 1:
                for pending in group:
                    await self._transact([pending])
        finally:
            for pending in group:
                pending.is_settled = True
            self._note(anyio.current_time() - started)

    async def _transact(self, group: list[_Pending]) -> Exception | None:
        """Commit the batches of *group* together; return what prevented it."""
        try:
            async with self._connection.begin():
                for pending in group:
                    await write_batch(self._connection, pending.batch)
        except _FAILURES as error:
            for pending in group:
                pending.error = error
            return error
        for pending in group:
            pending.is_written = True
        return None

    def _note(self, seconds: float) -> None:
        self._durations.append(seconds * 1000)
        self.median_ms = sorted(self._durations)[len(self._durations) // 2]

    def _failure(self, pending: _Pending) -> StoreWriteError:
        reason = reason_of(pending.error) if pending.error else "the commit was cut short"
        remedy = (
            "; check the free space and the permissions of its directory"
            if isinstance(pending.error, OperationalError)
            else ""
        )
        return StoreWriteError(
            f"{pending.batch.row_count} rows were not written to {self._name}: {reason}{remedy}",
            details={"rows": pending.batch.row_count, "database": self._name},
        )
