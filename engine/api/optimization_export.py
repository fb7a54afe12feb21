"""Writes a study that the console shows to a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.api.optimization_views import StudyDetail


def export_optimization(detail: StudyDetail | None, folder: str) -> tuple[str, ...]:
    """Write the table as CSV and Parquet, the report as JSON and, when it has ended, as HTML.

    Returns:
        The files.

    Raises:
        EngineError: there is no trial yet, or the folder cannot be written.
    """
    from engine.flow.errors import EngineError, NotFoundError

    if detail is None or not detail.trials:
        raise NotFoundError("there is nothing to export: no trial has ended yet")
    if not folder.strip():
        raise NotFoundError("folder: name the folder to write to")
    target = Path(folder).expanduser().absolute()
    try:
        target.mkdir(parents=True, exist_ok=True)
        return tuple(map(str, _write(detail, target)))
    except OSError as error:
        raise EngineError(
            f"{target}: cannot be written ({error.strerror}); name another folder", cause=error
        ) from error


def _write(detail: StudyDetail, target: Path) -> list[Path]:
    import polars as pl

    frame = pl.DataFrame(_columns(detail), strict=False, infer_schema_length=None)
    csv, parquet, study = target / "trials.csv", target / "trials.parquet", target / "study.json"
    frame.write_csv(csv)
    frame.write_parquet(parquet)
    rows = [
        {
            "index": trial.index,
            "parameters": dict(trial.parameters),
            "status": trial.status,
            "objective": trial.objective,
            "metrics": dict(trial.metrics),
            "fingerprint": trial.fingerprint,
            "error": trial.error or None,
        }
        for trial in detail.trials
    ]
    plain = {"id": detail.row.id, "status": detail.row.status.value, **detail.report, "rows": rows}
    study.write_text(json.dumps(plain, indent=1), encoding="utf-8")
    written = [csv, parquet, study, *_write_folds(detail, target)]
    if detail.html_path and Path(detail.html_path).is_file():
        written.append(Path(shutil.copyfile(detail.html_path, target / "report.html")))
    return written


def _write_folds(detail: StudyDetail, target: Path) -> list[Path]:
    """Write the folds of a walk-forward and what each training found, if there is one."""
    from engine.optimization.walk_tables import fold_rows, write_rows

    walk = detail.report.get("walk_forward") or {}
    folds = walk.get("folds") or ()
    if not folds:
        return []
    written = list(write_rows(fold_rows(folds), target, "folds"))
    trials = [
        {
            "fold": fold["fold"],
            "index": row["index"],
            **row["parameters"],
            "status": row["status"],
            "selected": row["index"] == fold["index"],
            detail.row.metric: row["objective"],
        }
        for fold, table in zip(folds, walk.get("tables") or (), strict=False)
        for row in table
    ]
    return [*written, *(write_rows(trials, target, "fold_trials") if trials else ())]


def _columns(detail: StudyDetail) -> dict[str, list[Any]]:
    trials = detail.trials
    names = dict.fromkeys(name for trial in trials for name in trial.metrics)
    columns: dict[str, list[Any]] = {
        "index": [trial.index for trial in trials],
        "status": [trial.status for trial in trials],
    }
    for name in detail.parameters:
        columns[name] = _one_type([trial.parameters.get(name) for trial in trials])
    for name in names:
        label = f"metric_{name}" if name in columns else name
        columns[label] = _one_type([trial.metrics.get(name) for trial in trials])
    columns["error"] = [trial.error or None for trial in trials]
    columns["fingerprint"] = [trial.fingerprint for trial in trials]
    return columns


def _one_type(values: Sequence[Any]) -> list[Any]:
    """Return *values* as numbers if they all are, else as text: a column has one type."""
    if any(isinstance(value, str | bool) for value in values):
        return [None if value is None else str(value) for value in values]
    if any(isinstance(value, float) for value in values):
        return [None if value is None else float(value) for value in values]
    return list(values)
