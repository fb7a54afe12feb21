"""The executor table: sorted, filtered, windowed, at a cost that follows the visible rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from engine.api.executor_sorter import ExecutorSorter
from engine.api.executor_views import executor_row
from engine.api.views import ExecutorPage
from engine.executors.snapshot import ExecutorSnapshot
from engine.live.published import PublishedSession
from engine.model.clock import SECOND_NS

ORDER_INTERVAL_NS: Final = SECOND_NS
"""A live order is recomputed at most this often."""


@dataclass(slots=True)
class _Order:
    key: tuple[object, ...]
    ids: list[str]
    taken_at: int
    filter_error: str


class ExecutorTable:
    """Remembers the order of the rows for a second, so that a frame builds visible rows only."""

    def __init__(self, *, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._order: _Order | None = None
        self._sorter = ExecutorSorter()

    def page(
        self,
        session: PublishedSession,
        *,
        sort: str,
        descending: bool,
        filter_text: str,
        start: int,
        count: int,
        include_archived: bool,
    ) -> ExecutorPage:
        """Return the rows *start* to ``start + count`` of the table."""
        order = self._current_order(
            session,
            sort,
            descending=descending,
            filter_text=filter_text,
            include_archived=include_archived,
        )
        shown = [_find(session, one) for one in order.ids[start : start + count]]
        return ExecutorPage(
            rows=tuple(executor_row(snapshot, session) for snapshot in shown),
            start=start,
            matching=len(order.ids),
            total=len(session.executors) + len(session.archived) * include_archived,
            version=session.version,
            filter_error=order.filter_error,
        )

    def index(
        self,
        session: PublishedSession,
        executor_id: str,
        *,
        sort: str,
        descending: bool,
        filter_text: str,
        include_archived: bool,
    ) -> int | None:
        """Return the row number of an executor, or None if it is not in the table."""
        order = self._current_order(
            session,
            sort,
            descending=descending,
            filter_text=filter_text,
            include_archived=include_archived,
        )
        return order.ids.index(executor_id) if executor_id in order.ids else None

    def _current_order(
        self,
        session: PublishedSession,
        sort: str,
        *,
        descending: bool,
        filter_text: str,
        include_archived: bool,
    ) -> _Order:
        """Return the order of the rows: fresh if executors came or went, else a second old."""
        key = (session.id, session.membership, sort, descending, filter_text, include_archived)
        order = self._order
        now = self._monotonic_ns()
        is_fresh = order is not None and now - order.taken_at < ORDER_INTERVAL_NS
        if order is not None and order.key == key and is_fresh:
            return order
        ids, filter_error = self._sorter.ids(
            session,
            sort,
            descending=descending,
            filter_text=filter_text,
            include_archived=include_archived,
        )
        self._order = _Order(key, ids, now, filter_error)
        return self._order


def _find(session: PublishedSession, executor_id: str) -> ExecutorSnapshot:
    """Return an executor of an order that was made from a session with the same members."""
    return session.executors.get(executor_id) or session.archived[executor_id]
