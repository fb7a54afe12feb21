"""What a replay plays again: a stored result, or a file ``*.events``.

A file of events is JSON lines: the first says what was run (configuration, folder of the data,
hash of the data, fingerprint), each further one is an event of the run in its order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.backtest.results import BacktestResult, ResultStatus
from engine.backtest.results_io import json_value, load_result
from engine.flow.errors import ValidationError

FORMAT: Final = "quarterdeck-events-1"
EVENTS_FILE: Final = "run.events"
_BACKTEST: Final = "backtest"


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded run. ``events`` is None if they were not recorded."""

    source: Path
    config: Mapping[str, Any]
    status: ResultStatus
    data_hash: str
    fingerprint: str
    bars: int
    events: tuple[Mapping[str, Any], ...] | None
    base_dir: Path | None
    """Folder that the paths of its data start from, if it is known and still there."""


def load_recording(source: Path) -> Recording:
    """Return the recording in *source*: the folder of a result, or a file of events.

    Raises:
        ResultFormatError: a folder holds no complete result.
        ValidationError: the file cannot be read, or is none.
    """
    if not source.is_dir():
        return _from_file(source)
    result = load_result(source)
    beside = source / EVENTS_FILE
    base_dir = _from_file(beside).base_dir if beside.is_file() else None
    return Recording(
        source=source,
        config=result.config,
        status=result.status,
        data_hash=result.data_hash,
        fingerprint=result.fingerprint,
        bars=result.bars,
        events=result.events,
        base_dir=base_dir,
    )


def write_recording(result: BacktestResult, path: Path, *, base_dir: Path) -> None:
    """Write *result* as a file of events; without recorded events it has its first line only.

    Args:
        result: of a run whose data paths start from *base_dir*.
        path: the file.
        base_dir: kept absolute, and relative to the file for a tree that moves.

    Raises:
        OSError: it cannot be written.
    """
    header = {
        "format": FORMAT,
        "kind": _BACKTEST,
        "config": result.config,
        "status": result.status.value,
        "data_hash": result.data_hash,
        "fingerprint": result.fingerprint,
        "bars": result.bars,
        "has_events": result.events is not None,
        "base_dir": str(base_dir.resolve()),
        "base_dir_from_here": os.path.relpath(base_dir.resolve(), path.resolve().parent),
    }
    with path.open("w", encoding="utf-8") as file:
        for row in (header, *(result.events or ())):
            file.write(json.dumps(dict(row), default=json_value, allow_nan=False) + "\n")


def base_dir_of(path: Path) -> Path | None:
    """Return the folder that the paths in a file of events start from, None if it is gone.

    Raises:
        ValidationError: the file cannot be read, or is none.
    """
    return _base_dir(path, read_header(path))


def read_header(path: Path) -> dict[str, Any]:
    """Return the first line of a file of events.

    Raises:
        ValidationError: the file cannot be read, or is none.
    """
    return next(read_lines(path))


def _from_file(path: Path) -> Recording:
    lines = read_lines(path)
    header = next(lines)
    try:
        if header["kind"] != _BACKTEST:
            raise ValidationError(f"{path}:1: kind: {header['kind']!r} is not {_BACKTEST!r}")
        return Recording(
            source=path,
            config=header["config"],
            status=ResultStatus(header["status"]),
            data_hash=header["data_hash"],
            fingerprint=header["fingerprint"],
            bars=header["bars"],
            events=tuple(lines) if header["has_events"] else None,
            base_dir=_base_dir(path, header),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValidationError(
            f"{path}:1: recording: is damaged ({error!r}): run it again", cause=error
        ) from error


def _base_dir(path: Path, header: Mapping[str, Any]) -> Path | None:
    for candidate in (path.parent / header["base_dir_from_here"], Path(header["base_dir"])):
        if candidate.is_dir():
            return candidate
    return None


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file of events as mappings; the first must be a header.

    Raises:
        ValidationError: it cannot be read, or is none.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise ValidationError(
                        f"{path}:{number}: event: is no JSON ({error}): run it again", cause=error
                    ) from error
                found = row.get("format") if isinstance(row, dict) else None
                if number == 1 and found != FORMAT:
                    raise ValidationError(f"{path}:1: format: {found!r} is not {FORMAT!r}")
                yield row
            if file.tell() == 0:
                raise ValidationError(f"{path}:1: file: is empty, it is no file of events")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValidationError(
            f"{path}:1: file: cannot be read ({reason}): name the folder of a result or a file "
            "of events",
            cause=error,
        ) from error
