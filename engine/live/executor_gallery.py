"""The executors of a session as immutable values, copied only when one of them has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from engine.executors.base import ExecutorBase
from engine.executors.snapshot import ExecutorSnapshot
from engine.live.published import ExecutorCounts

ARCHIVED_KEPT: Final = 300
_KEPT: Final = (
    "_changed", "_shown", "_archived", "_lifecycles", "_types", "_close_types", "membership"
)  # fmt: skip


class ExecutorGallery:
    """Snapshots for readers on other threads: a mapping that was given out never changes.

    A look costs O(1) while nothing has changed; after a change one copy of the mapping, and the
    work on the executors that changed.
    """

    def __init__(self, find: Callable[[str], ExecutorBase | None]) -> None:
        self._find = find
        self._changed: dict[str, None] = {}
        self._shown: dict[str, ExecutorSnapshot] = {}
        self._archived: dict[str, ExecutorSnapshot] = {}
        self._lifecycles: Counter[str] = Counter()
        self._types: Counter[str] = Counter()
        self._close_types: Counter[str] = Counter()
        self.membership = 0
        """Grows whenever an executor comes or goes."""

    def note(self, executor_ids: Iterable[str]) -> None:
        """Remember that these executors have changed or are new."""
        for executor_id in executor_ids:
            if executor_id not in self._archived:
                self._changed[executor_id] = None

    def archive(self, snapshot: ExecutorSnapshot) -> None:
        """Move an executor to the archived ones; the oldest of them is forgotten."""
        shown = dict(self._shown)
        self._changed.pop(snapshot.id, None)
        self._recount(shown.pop(snapshot.id, None), snapshot)
        self._shown = shown
        self._archived = {**self._archived, snapshot.id: snapshot}
        if len(self._archived) > ARCHIVED_KEPT:
            del self._archived[next(iter(self._archived))]
        self.membership += 1

    def is_archived(self, executor_id: str) -> bool:
        """Whether the executor is one of the newest archived ones."""
        return executor_id in self._archived

    def executors(self) -> Mapping[str, ExecutorSnapshot]:
        """Return the executors in memory by id, in the order of their creation."""
        if not self._changed:
            return self._shown
        shown = dict(self._shown)
        changed, self._changed = self._changed, {}
        for executor_id in changed:
            executor = self._find(executor_id)
            if executor is not None:
                self.membership += executor_id not in shown
                snapshot = executor.snapshot()
                self._recount(shown.get(executor_id), snapshot)
                shown[executor_id] = snapshot
        self._shown = shown
        return shown

    def archived(self) -> Mapping[str, ExecutorSnapshot]:
        """Return the newest archived executors, in the order in which they were archived."""
        return self._archived

    def counts(self) -> ExecutorCounts:
        """Return the counts over all executors there ever were, up to the last look."""
        return ExecutorCounts(dict(self._lifecycles), dict(self._types), dict(self._close_types))

    def kept(self) -> dict[str, object]:
        """Return what the gallery of the same executors needs to go on from here."""
        return {name: getattr(self, name) for name in _KEPT}

    def go_on(self, kept: Mapping[str, Any]) -> None:
        """Take up what `kept` of another gallery has returned."""
        for name in _KEPT:
            setattr(self, name, kept[name])

    def _recount(self, old: ExecutorSnapshot | None, new: ExecutorSnapshot) -> None:
        if old is not None:
            self._count(old, -1)
        self._count(new, 1)

    def _count(self, snapshot: ExecutorSnapshot, by: int) -> None:
        self._lifecycles[snapshot.lifecycle.value] += by
        self._types[snapshot.type] += by
        if snapshot.close_type is not None:
            self._close_types[snapshot.close_type.name] += by
