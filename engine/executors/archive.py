"""Executors that have ended and been stored."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from engine.executors.base import ExecutorBase
from engine.executors.info import ExecutorInfo
from engine.executors.performance import PerformanceReport, with_archived


class Archiver(Protocol):
    """Where archived executors are written."""

    def archive(self, info: ExecutorInfo) -> None:
        """Keep *info* for good; any exception means that it is not kept."""
        ...


@dataclass(frozen=True, slots=True)
class ArchivedExecutor:
    """A stored executor with its final report."""

    info: ExecutorInfo
    executor: ExecutorBase


class Archive:
    """The newest archived executors of each controller, and the performance of all of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[str, deque[ArchivedExecutor]] = {}
        self._by_id: dict[str, ArchivedExecutor] = {}
        self._cached: dict[str, PerformanceReport] = {}
        self._fresh: list[ArchivedExecutor] = []

    @property
    def controllers(self) -> tuple[str, ...]:
        """Return the controllers with archived work."""
        return tuple(self._cached)

    def add(self, info: ExecutorInfo, executor: ExecutorBase) -> None:
        """Keep a stored executor and count its performance, once."""
        controller_id = info.controller_id
        entry = ArchivedExecutor(info, executor)
        kept = self._kept.setdefault(controller_id, deque())
        kept.append(entry)
        self._by_id[info.id] = entry
        if len(kept) > self._limit:
            del self._by_id[kept.popleft().info.id]
        self._cached[controller_id] = with_archived(self.performance(controller_id), info)
        self._fresh.append(entry)

    def find(self, executor_id: str) -> ArchivedExecutor | None:
        """Return a stored executor while it is kept in memory."""
        return self._by_id.get(executor_id)

    def infos(self, controller_id: str) -> tuple[ExecutorInfo, ...]:
        """Return the newest archived reports of a controller, oldest first."""
        return tuple(entry.info for entry in self._kept.get(controller_id, ()))

    def executors(self) -> tuple[ExecutorBase, ...]:
        """Return the archived executors that are kept in memory."""
        return tuple(entry.executor for entry in self._by_id.values())

    def performance(self, controller_id: str) -> PerformanceReport:
        """Return the performance of all archived work of a controller."""
        return self._cached.get(controller_id, PerformanceReport())

    def set_performance(self, controller_id: str, report: PerformanceReport) -> None:
        """Begin with stored performance."""
        self._cached[controller_id] = report

    def take_fresh(self) -> tuple[ArchivedExecutor, ...]:
        """Drain what was archived since the last call."""
        fresh = tuple(self._fresh)
        self._fresh.clear()
        return fresh
