"""What was sent and what became of it, written before it counts (LIVE-8).

An order is written down before it is sent, a report before it is applied. After a crash the log
says which orders may be at the venue, and which numbers are used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from engine import flow
from engine.execution.reports import OrderReport
from engine.live.order_codec import (
    report_from_json,
    report_to_json,
    request_from_json,
    request_to_json,
)
from engine.live.order_ids import number_of, strategy_of
from engine.model.orders import OrderRequest

_SUBMIT: Final = "submit"
_CANCEL: Final = "cancel"
_REPORT: Final = "report"


@dataclass(frozen=True, slots=True)
class SubmitIntent:
    """An order that is about to be sent, or was adopted."""

    request: OrderRequest
    ts_ns: int


@dataclass(frozen=True, slots=True)
class CancelIntent:
    """A cancel that is about to be sent."""

    client_order_id: str
    ts_ns: int


@dataclass(frozen=True, slots=True)
class ReportRecord:
    """What became of an order, about to be applied."""

    report: OrderReport
    ts_ns: int


IntentRecord: TypeAlias = SubmitIntent | CancelIntent | ReportRecord


class IntentLogError(flow.OperationError):
    """The log of intents cannot be read or written: nothing may be sent."""


class IntentLog(Protocol):
    """Where intents are written."""

    def append(self, record: IntentRecord) -> None:
        """Write *record*; when it returns the record is durable.

        Raises:
            IntentLogError: it could not be written.
        """
        ...

    def records(self, strategy_id: str) -> tuple[IntentRecord, ...]:
        """Return what was written about the orders of a strategy, oldest first."""
        ...

    def next_number(self, strategy_id: str) -> int:
        """Return one more than the highest order number that was ever written."""
        ...


class MemoryIntentLog:
    """Keeps intents in memory: for paper, where no order leaves the process, and for tests."""

    def __init__(self) -> None:
        self._records: dict[str, list[IntentRecord]] = {}
        self._next: dict[str, int] = {}

    def append(self, record: IntentRecord) -> None:
        """Keep *record*."""
        client_order_id = client_order_id_of(record)
        strategy = strategy_of(client_order_id)
        if strategy is None:
            return
        self._records.setdefault(strategy, []).append(record)
        number = number_of(client_order_id) + 1
        self._next[strategy] = max(self._next.get(strategy, 0), number)

    def records(self, strategy_id: str) -> tuple[IntentRecord, ...]:
        """Return what was kept about the orders of a strategy, oldest first."""
        return tuple(self._records.get(strategy_id, ()))

    def next_number(self, strategy_id: str) -> int:
        """Return one more than the highest order number that was ever kept."""
        return self._next.get(strategy_id, 0)


class FileIntentLog:
    """Keeps intents in a file of JSON lines; each is on the disk when `append` returns.

    A line that a crash cut short is dropped when the file is opened again: its order was never
    sent. Only one process may have it open.

    Raises:
        IntentLogError: the file cannot be read or written, or a line before the last is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._memory = MemoryIntentLog()
        try:
            whole = self._read()
            self._file: RawIOBase = path.open("ab", buffering=0)
            self._file.truncate(whole)
            self._whole = whole
        except OSError as error:
            raise IntentLogError(
                f"{path}: the log of orders cannot be opened ({error.strerror})", cause=error
            ) from error

    def append(self, record: IntentRecord) -> None:
        """Write *record* and wait until the disk has it."""
        line = json.dumps(_to_json(record), separators=(",", ":")).encode() + b"\n"
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:]) or 0
            os.fsync(self._file.fileno())
        except (OSError, ValueError) as error:
            self._drop_part()
            raise IntentLogError(
                f"{self._path}: an order cannot be written down ({error}): it is not sent",
                cause=error,
            ) from error
        self._whole += len(line)
        self._memory.append(record)

    def records(self, strategy_id: str) -> tuple[IntentRecord, ...]:
        """Return what was written about the orders of a strategy, oldest first."""
        return self._memory.records(strategy_id)

    def next_number(self, strategy_id: str) -> int:
        """Return one more than the highest order number that was ever written."""
        return self._memory.next_number(strategy_id)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _drop_part(self) -> None:
        """Remove the part of a line that was written; a start does it too if this fails."""
        with suppress(OSError, ValueError):
            self._file.truncate(self._whole)

    def _read(self) -> int:
        """Take in what the file holds; return the length of its whole lines."""
        if not self._path.exists():
            return 0
        whole = 0
        for number, line in enumerate(_lines(self._path), start=1):
            if not line.endswith(b"\n"):
                break
            try:
                self._memory.append(_from_json(json.loads(line)))
            except (ValueError, KeyError, TypeError) as error:
                raise IntentLogError(
                    f"{self._path}:{number}: is no record of an order ({error!r}): look at the "
                    "venue's orders before you remove it",
                    cause=error,
                ) from error
            whole += len(line)
        return whole


def client_order_id_of(record: IntentRecord) -> str:
    """Return the client order id that *record* is about."""
    match record:
        case SubmitIntent():
            return record.request.client_order_id
        case CancelIntent():
            return record.client_order_id
        case ReportRecord():
            return record.report.client_order_id


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _to_json(record: IntentRecord) -> dict[str, Any]:
    match record:
        case SubmitIntent():
            return {"kind": _SUBMIT, "ts": record.ts_ns, "order": request_to_json(record.request)}
        case CancelIntent():
            return {"kind": _CANCEL, "ts": record.ts_ns, "id": record.client_order_id}
        case ReportRecord():
            return {"kind": _REPORT, "ts": record.ts_ns, "what": report_to_json(record.report)}


def _from_json(values: Mapping[str, Any]) -> IntentRecord:
    match values["kind"]:
        case "submit":
            return SubmitIntent(request_from_json(values["order"]), int(values["ts"]))
        case "cancel":
            return CancelIntent(str(values["id"]), int(values["ts"]))
        case "report":
            return ReportRecord(report_from_json(values["what"]), int(values["ts"]))
        case other:
            raise ValueError(f"kind {other!r}")
