"""What a run noted: how it ran, what its components logged, what was skipped, how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from engine.containers.scoped_container import ScopedContainer
from engine.model.bar_columns import BarColumns
from engine.model.clock import to_iso

LogEntry: TypeAlias = Mapping[str, Any]
"""``level``, ``text``, ``ts`` (ISO 8601 of simulated time, None for the run as a whole), ``bar``,
``symbol``, ``container_id``, ``mode`` (CONT-8)."""


def run_log(
    container: ScopedContainer,
    columns: Sequence[BarColumns],
    *,
    engine: str,
    refusals: Sequence[str] = (),
    liquidations: int = 0,
    status: str = "",
    bars_done: int = 0,
) -> tuple[LogEntry, ...]:
    """Return the log of a run, in the order in which things happened."""
    ending = f"{status.lower()} after {bars_done:,} bars" if status else ""
    return tuple(_entries(container, columns, engine, refusals, liquidations, ending))


def _entries(
    container: ScopedContainer,
    columns: Sequence[BarColumns],
    engine: str,
    refusals: Sequence[str],
    liquidations: int,
    ending: str,
) -> Iterator[LogEntry]:
    where = {"container_id": container.id, "mode": container.mode, "symbol": "", "bar": -1}

    def whole(level: str, text: str) -> LogEntry:
        return {"level": level, "text": text, "ts": None, **where}

    for bars in columns:
        if len(bars):
            first, last = _stamp(int(bars.ts_open[0])), _stamp(int(bars.ts_close[-1]))
            text = f"{len(bars):,} bars from {first} to {last}"
            yield {**whole("info", text), "symbol": bars.symbol}
    yield whole("info", f"runs on the {_PATHS.get(engine, engine)}")
    for reason in refusals:
        yield whole("info", f"not compiled: {reason}")
    for level, text, facts in container.log_lines:
        ts = int(facts.get("ts", 0))
        yield {**where, **facts, "level": level, "text": text, "ts": _stamp(ts) if ts else None}
    for text in container.bus.error_texts:
        yield whole("error", text)
    if liquidations:
        yield whole("warning", f"the margin did not suffice {liquidations} times (LIQUIDATION)")
    if ending:
        yield whole("info", ending)


_PATHS: Mapping[str, str] = {"events": "event path", "compiled": "compiled path"}


def _stamp(ns: int) -> str:
    """Return *ns* as ISO 8601 with whole seconds."""
    return f"{to_iso(ns)[:19]}Z"
