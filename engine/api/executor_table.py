"""The executor table: sorted, filtered, windowed, at a cost that follows the visible rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from engine.api.executor_views import executor_row
from engine.api.filtering import FilterError, parse_filter
from engine.api.sorting import sort_rows
from engine.api.views import ExecutorPage
from engine.executors.snapshot import ExecutorSnapshot
from engine.live.published import PublishedSession
from engine.model.clock import SECOND_NS

ORDER_INTERVAL_NS: Final = SECOND_NS
"""A live order is recomputed at most this often (console.md section 9)."""


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
        snapshots = _snapshots(session, include_archived=include_archived)
        order = self._current_order(
            session, snapshots, sort, descending=descending, filter_text=filter_text
        )
        ids = [one for one in order.ids[start : start + count] if one in snapshots]
        return ExecutorPage(
            rows=tuple(executor_row(snapshots[one], session) for one in ids),
            start=start,
            matching=len(order.ids),
            total=len(snapshots),
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
        snapshots = _snapshots(session, include_archived=include_archived)
        order = self._current_order(
            session, snapshots, sort, descending=descending, filter_text=filter_text
        )
        return order.ids.index(executor_id) if executor_id in order.ids else None

    def _current_order(
        self,
        session: PublishedSession,
        snapshots: dict[str, ExecutorSnapshot],
        sort: str,
        *,
        descending: bool,
        filter_text: str,
    ) -> _Order:
        """Return the order of the rows: fresh if executors came or went, else a second old."""
        key = (session.id, sort, descending, filter_text, frozenset(snapshots))
        order = self._order
        now = self._monotonic_ns()
        is_fresh = order is not None and now - order.taken_at < ORDER_INTERVAL_NS
        if order is not None and order.key == key and is_fresh:
            return order
        ids, filter_error = _sorted_ids(
            session, snapshots, sort, descending=descending, filter_text=filter_text
        )
        self._order = _Order(key, ids, now, filter_error)
        return self._order


def _snapshots(session: PublishedSession, *, include_archived: bool) -> dict[str, ExecutorSnapshot]:
    if include_archived:
        return {**session.archived, **session.executors}
    return dict(session.executors)


def _sorted_ids(
    session: PublishedSession,
    snapshots: dict[str, ExecutorSnapshot],
    sort: str,
    *,
    descending: bool,
    filter_text: str,
) -> tuple[list[str], str]:
    if sort == "created" and not filter_text.strip():
        # The mapping is in the order of creation already: no rows need to be built.
        return (list(reversed(snapshots)) if descending else list(snapshots)), ""
    rows = [executor_row(snapshot, session) for snapshot in snapshots.values()]
    filter_error = ""
    try:
        accepts = parse_filter(filter_text)
    except FilterError as error:
        filter_error = str(error)
    else:
        rows = [row for row in rows if accepts(row)]
    return [row.id for row in sort_rows(rows, sort, descending=descending)], filter_error
