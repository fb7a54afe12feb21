"""Rows of a table as a file: CSV, JSON lines or Parquet, exact values as they are copied."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tui.formatting import clean
from tui.state.columns import Column, RowT, lay_out
from tui.state.table import TableModel

KINDS: Final = (".csv", ".jsonl", ".parquet")


def table_rows(
    model: TableModel[RowT], columns: Sequence[Column[RowT]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return column keys and cells of every row that passes the filter, in the table's order."""
    rows = model.source.window(model.query, 0, model.window.matching).rows
    cells = tuple(tuple(clean(column.copied(row)).strip() for column in columns) for row in rows)
    return tuple(column.key for column in columns), cells


def shown_columns(model: TableModel[RowT], width: int, *, wide: bool) -> tuple[Column[RowT], ...]:
    """Return the columns that fit into *width* cells, or all where the table is *wide*."""
    columns = model.source.columns
    if wide:
        return tuple(columns)
    return tuple(slot.column for slot in lay_out(columns, width))


def path_problem(text: str) -> str:
    """Return why nothing can be written to the path *text*; empty if it can."""
    if not text.strip():
        return "Name the file to write."
    path = Path(text.strip()).expanduser()
    if path.suffix.lower() not in KINDS:
        return f"The name ends in {path.suffix or 'nothing'}; allowed are {', '.join(KINDS)}."
    if path.is_dir():
        return f"{path} is a directory; name a file."
    return ""


def write_rows(path: Path, names: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Write *rows* to *path*, whose ending says how; return the bytes written.

    What stood there before is replaced at once, when everything is written.

    Raises:
        OSError: the directory or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    try:
        _write(fresh, path.suffix.lower(), names, rows)
        size = fresh.stat().st_size
        _ = fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return size


def _write(path: Path, kind: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if kind == ".parquet":
        import polars as pl

        data = {name: [row[place] for row in rows] for place, name in enumerate(names)}
        pl.DataFrame(data, schema=dict.fromkeys(names, pl.String)).write_parquet(path)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if kind == ".jsonl":
            for row in rows:
                _ = file.write(
                    json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n"
                )
        else:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(names)
            writer.writerows(rows)
