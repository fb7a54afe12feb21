"""The journal of a study: one line for each trial that has ended (OPT-12, OPT-13)."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import IO, Any, Final, Self

from engine.flow.errors import ConfigurationError
from engine.optimization.trials import CLUSTER_STAGE, StudyIdentity, TrialRecord, TrialStatus

_FORMAT: Final = 1
_SYNC_INTERVAL_S: Final = 1.0


class TrialJournal:
    """An append-only file of trial records, safe against a crash at any byte.

    Each record reaches the operating system at once and the disk at least every second. A line
    that a crash cut off is dropped when the file is opened again.

    Args:
        path: the file; its folder is made if it is missing.
        identity: what the study computes; a journal of another one is refused.
        study: further facts of the study that a resume compares: space, method, objective.
        monotonic: seconds of a clock that never goes back.

    Raises:
        ConfigurationError: the file belongs to another study or is no journal.
    """

    def __init__(
        self,
        path: pathlib.Path,
        *,
        identity: StudyIdentity,
        study: Mapping[str, Any],
        monotonic: Callable[[], float],
    ) -> None:
        self.path = path
        self._monotonic = monotonic
        self._header = {
            "format": _FORMAT,
            "kind": "optimization",
            "config_hash": identity.config_hash,
            "data_hash": identity.data_hash,
            "engine_version": identity.engine_version,
            "study": dict(study),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        self.records: tuple[TrialRecord, ...] = self._open()
        """What was there when the journal was opened, in the order in which it was written."""
        self._file: IO[bytes] = path.open("ab")
        self._synced_s = monotonic()
        if self._file.tell() == 0:
            self._write(self._header)
            self.sync()

    def append(self, record: TrialRecord) -> None:
        """Write *record* behind the others."""
        self._write(record.to_plain())
        if self._monotonic() - self._synced_s >= _SYNC_INTERVAL_S:
            self.sync()

    def sync(self) -> None:
        """Bring everything that was written to the disk."""
        os.fsync(self._file.fileno())
        self._synced_s = self._monotonic()

    def close(self) -> None:
        """Bring everything to the disk and let the file go; more than once is harmless."""
        if not self._file.closed:
            self.sync()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def finished(self, *, retry_failed: bool = False) -> dict[str, TrialRecord]:
        """Return by key what need not be run again: the first result of each trial.

        Trials that were cancelled, or that no worker took, are run again; failed ones only with
        *retry_failed*.
        """
        again = {TrialStatus.CANCELLED}
        if retry_failed:
            again |= {TrialStatus.FAILED, TrialStatus.OOM, TrialStatus.TIMEOUT}
        finished: dict[str, TrialRecord] = {}
        for record in self.records:
            earlier = finished.get(record.key)
            was_run = record.error is None or record.error.stage != CLUSTER_STAGE
            if (
                record.status not in again
                and was_run
                and (earlier is None or earlier.status is not TrialStatus.DONE)
            ):
                finished[record.key] = record
        return finished

    def _write(self, plain: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(plain, separators=(",", ":")).encode() + b"\n")
        self._file.flush()

    def _open(self) -> tuple[TrialRecord, ...]:
        if not self.path.exists():
            return ()
        raw = self.path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if len(whole) < len(raw):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        lines = whole.splitlines()
        if not lines:
            return ()
        self._check_header(lines[0])
        return tuple(self._record(number, line) for number, line in enumerate(lines[1:], start=2))

    def _check_header(self, line: bytes) -> None:
        found = self._parse(1, line)
        for name, wanted in self._header.items():
            if found.get(name) != json.loads(json.dumps(wanted)):
                raise ConfigurationError(
                    f"{self.path}:1: {name}: the journal has {found.get(name)!r}, this study has "
                    f"{wanted!r}; resume with the same configuration, data and version, or name "
                    "another journal"
                )

    def _record(self, number: int, line: bytes) -> TrialRecord:
        plain = self._parse(number, line)
        try:
            return TrialRecord.from_plain(plain)
        except (KeyError, TypeError, ValueError) as error:
            raise self._damage(number, error) from error

    def _parse(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            plain = json.loads(line)
        except ValueError as error:
            raise self._damage(number, error) from error
        if not isinstance(plain, dict):
            raise self._damage(number, None)
        return plain

    def _damage(self, number: int, cause: BaseException | None) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path}:{number}: is not a line of a study's journal; name another journal",
            cause=cause,
        )


def read_records(path: pathlib.Path) -> tuple[TrialRecord, ...]:
    """Return what a study's journal holds, whoever it belongs to; a cut off line is left out.

    Raises:
        OSError: the file cannot be read.
        KeyError, TypeError, ValueError: it is no journal.
    """
    if not path.exists():
        return ()
    raw = path.read_bytes()
    lines = raw[: raw.rfind(b"\n") + 1].splitlines()[1:]
    return tuple(TrialRecord.from_plain(json.loads(line)) for line in lines)


def has_records(path: pathlib.Path) -> bool:
    """Return whether a study's journal holds at least one trial."""
    try:
        with path.open("rb") as file:
            return file.readline().endswith(b"\n") and file.readline().endswith(b"\n")
    except OSError:
        return False


def write_table(path: pathlib.Path, records: Iterable[TrialRecord]) -> None:
    """Write the final table of a study, one line for each row.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            plain = record.to_plain() | {"blocks": []}
            file.write(json.dumps(plain, separators=(",", ":")) + "\n")


def read_table(path: pathlib.Path) -> tuple[TrialRecord, ...]:
    """Return what `write_table` wrote.

    Raises:
        OSError: the file cannot be read.
        KeyError, TypeError, ValueError: it is no table.
    """
    lines = path.read_bytes().splitlines()
    return tuple(TrialRecord.from_plain(json.loads(line)) for line in lines)
