"""A walk-forward as tables on disk: its folds, the trials of every training, the stitched curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.model.clock import to_iso
from engine.optimization.objective import Objective
from engine.optimization.walk_forward import FoldResult, StitchedCurve


def export_walk_forward(
    folder: Path,
    folds: Sequence[FoldResult],
    objective: Objective,
    curve: StitchedCurve | None,
) -> tuple[Path, ...]:
    """Write ``folds``, ``fold_trials`` and ``stitched_equity`` as CSV and Parquet.

    Returns:
        The files.

    Raises:
        OSError: *folder* cannot be written.
    """
    tables = {
        "folds": fold_rows([one.to_plain(objective) for one in folds]),
        "fold_trials": _trial_rows(folds, objective),
    }
    if curve is not None:
        tables["stitched_equity"] = [
            {"time": to_iso(stamp), "growth": value}
            for stamp, value in zip(curve.stamps.tolist(), curve.values.tolist(), strict=True)
        ]
    written: list[Path] = []
    for name, rows in tables.items():
        written += write_rows(rows, folder, name)
    return tuple(written)


def write_rows(rows: Sequence[Mapping[str, Any]], folder: Path, name: str) -> tuple[Path, Path]:
    """Write *rows* as CSV and Parquet to *folder* and return both files.

    Raises:
        OSError: *folder* cannot be written.
    """
    import polars as pl

    frame = pl.DataFrame(_columns(rows), strict=False, infer_schema_length=None)
    csv, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
    frame.write_csv(csv)
    frame.write_parquet(parquet)
    return csv, parquet


def fold_rows(folds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return folds of a summary as flat rows: one column for each parameter and each time."""
    rows = []
    for fold in folds:
        times = fold.get("times") or (None,) * 4
        row: dict[str, Any] = {"fold": fold["fold"]}
        for name, (start, stop), began, ended in (
            ("train", fold["train"], *times[:2]),
            ("test", fold["test"], *times[2:]),
        ):
            row |= {f"{name}_start": start, f"{name}_stop": stop}
            row |= {f"{name}_from": began, f"{name}_to": ended}
        row |= fold["parameters"] or {}
        left = ("fold", "train", "test", "times", "parameters")
        row |= {name: value for name, value in fold.items() if name not in left}
        rows.append(row)
    return rows


def _trial_rows(folds: Sequence[FoldResult], objective: Objective) -> list[dict[str, Any]]:
    rows = []
    for result in folds:
        winner = None if result.winner is None else result.winner.index
        for record, plain in zip(result.trials, result.table(objective), strict=True):
            row = {"fold": result.fold.number, "index": plain["index"], **plain["parameters"]}
            row |= {"status": plain["status"], "selected": plain["index"] == winner}
            row |= {
                f"metric_{name}" if name in row else name: value
                for name, value in record.metrics.items()
            }
            rows.append(row)
    return rows


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return *rows* as columns of one type each: numbers, or text where not all are numbers."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    for name, values in columns.items():
        if any(isinstance(value, str) for value in values):
            columns[name] = [None if value is None else str(value) for value in values]
        elif any(isinstance(value, float) for value in values):
            columns[name] = [None if value is None else float(value) for value in values]
    return columns
