"""The agents that the engine knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from engine.scheduling.agent_record import RecordOf
from engine.scheduling.cycle_work import cycle_work
from engine.scheduling.task_handle import AgentRecord
from engine.scheduling.task_names import check_name

LOOSE_IDS: Final = 10_000
"""Ids known from custom tasks only; beyond that the longest idle one is forgotten."""


class AgentBook:
    """Records by agent id: of tracked agents until forgotten, of others while there is room.

    Attributes:
        records: every record by its id.
        dropped: ids that made room for others and that somebody else may forget too.
    """

    def __init__(self, loose_ids: int = LOOSE_IDS) -> None:
        self._loose_ids: Final = loose_ids
        self.records: Final[dict[str, AgentRecord]] = {}
        self.dropped: Final[list[str]] = []
        self._loose: Final[dict[str, None]] = {}

    def __iter__(self) -> Iterator[AgentRecord]:
        return iter(tuple(self.records.values()))

    def __len__(self) -> int:
        return len(self.records)

    def track(self, agent: Any) -> AgentRecord:  # noqa: ANN401 (a BaseAgent, or anything like one)
        """Know *agent* from now on; return its record.

        Raises:
            ValueError: its id cannot be one.
            TypeError: it has no `run_cycle`.
        """
        agent_id = check_name(getattr(agent, "agent_id", None), "agent id")
        record = self.find(agent_id) or self._add(agent_id)
        if record.agent is not agent:
            record.cycle_work = cycle_work(agent)
            record.agent = agent
            self._loose.pop(agent_id, None)
        return record

    def find(self, agent_id: str) -> AgentRecord | None:
        """Return the record of *agent_id*; None if it is not known."""
        return self.records.get(agent_id)

    def record(self, agent_id: str) -> AgentRecord:
        """Return the record of *agent_id*, a new one if it is not known.

        Raises:
            ValueError: it cannot be an id.
        """
        check_name(agent_id, "agent id")
        record = self.records.get(agent_id)
        if record is None:
            record = self._add(agent_id)
            self._loose[agent_id] = None
            self._make_room()
        return record

    def forget(self, agent_id: str) -> None:
        """Know *agent_id* no more."""
        record = self.records.pop(agent_id, None)
        if record is not None:
            record.agent = None  # a cycle that still runs is not followed by another
        self._loose.pop(agent_id, None)

    def _add(self, agent_id: str) -> AgentRecord:
        record: AgentRecord = RecordOf(agent_id)
        self.records[agent_id] = record
        return record

    def _make_room(self) -> None:
        # Two for each new one: busy ids go to the end, and the rest shrinks back in the end.
        for _ in range(2):
            if len(self._loose) <= self._loose_ids:
                return
            oldest = next(iter(self._loose))
            del self._loose[oldest]
            if self.records[oldest].is_idle:
                del self.records[oldest]
                self.dropped.append(oldest)
            else:
                self._loose[oldest] = None
