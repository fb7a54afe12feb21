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
    base_dirs: tuple[Path, ...]
    """Folders that the paths of its data may start from, the likeliest first."""


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
    base_dirs = _from_file(beside).base_dirs if beside.is_file() else ()
    return Recording(
        source=source,
        config=result.config,
        status=result.status,
        data_hash=result.data_hash,
        fingerprint=result.fingerprint,
        bars=result.bars,
        events=result.events,
        base_dirs=base_dirs,
    )


def write_recording(result: BacktestResult, path: Path, *, base_dir: Path) -> None:
    """Write *result* as a file of events; without recorded events it has its first line only.

    Args:
        result: of a run whose data paths start from *base_dir*.
        path: the file.
        base_dir: kept relative to the file, for a tree that moves, and absolute, for a file that
            does.

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
        **folder_of_data(base_dir, path),
    }
    with path.open("w", encoding="utf-8") as file:
        for row in (header, *(result.events or ())):
            file.write(json.dumps(dict(row), default=json_value, allow_nan=False) + "\n")


def folder_of_data(base_dir: Path, path: Path) -> dict[str, str]:
    """Return what the recording *path* says of the folder that the paths in it start from."""
    whole = base_dir.resolve()
    return {
        "base_dir": str(whole),
        "base_dir_from_here": os.path.relpath(whole, path.resolve().parent),
    }


def folders_of_data(path: Path, header: Mapping[str, Any]) -> tuple[Path, ...]:
    """Return where the paths in the recording *path* may start from, the likeliest first.

    That is where the folder lies from the recording, for a tree that was moved or copied; where
    it was, for a recording that was moved; and beside the recording.
    """
    folders = []
    if "base_dir_from_here" in header:
        folders.append(path.parent / str(header["base_dir_from_here"]))
    if "base_dir" in header:
        folders.append(Path(str(header["base_dir"])))
    return tuple(dict.fromkeys((*folders, path.parent)))


def base_dirs_of(path: Path) -> tuple[Path, ...]:
    """Return the folders that the paths in a file of events may start from.

    Raises:
        ValidationError: the file cannot be read, or is none.
    """
    return folders_of_data(path, read_header(path))


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
            base_dirs=folders_of_data(path, header),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValidationError(
            f"{path}:1: recording: is damaged ({error!r}): run it again", cause=error
        ) from error


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
