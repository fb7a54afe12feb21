"""Results in a directory: `result.json` and Parquet tables, lossless (COORD-5)."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from functools import partial
from typing import Any, Final, overload

import numpy as np
import polars as pl

from engine.backtest.metrics import Metrics
from engine.backtest.results import BacktestResult, InstrumentFacts, ResultStatus
from engine.backtest.table_files import ROWS_AT_ONCE, FrameOf, read_parquet, write_parquet
from engine.backtest.trade_log import TRADE_DTYPE
from engine.containers.container_metrics import ContainerMetrics
from engine.flow.errors import ValidationError
from engine.model.bar_columns import BarColumns, release_pages
from engine.model.run_tables import EQUITY_DTYPE, FILL_DTYPE, ORDER_DTYPE, Table

FORMAT: Final = "quarterdeck-result-1"
RESULT_FILE: Final = "result.json"
TABLES: Final = {
    "equity": EQUITY_DTYPE,
    "trades": TRADE_DTYPE,
    "fills": FILL_DTYPE,
    "orders": ORDER_DTYPE,
}
PRICE_COLUMNS: Final = ("ts_open", "ts_close", "open", "high", "low", "close", "volume")
_PLAIN: Final = (
    "run_id",
    "run_hash",
    "data_hash",
    "fingerprint",
    "engine",
    "cost_banner",
    "error",
    "currency",
    "money_precision",
    "initial_atoms",
    "bars",
    "bars_per_second",
    "shortfall_atoms",
)
_MAPPINGS: Final = ("config", "data_report", "orders_by_state", "rejections", "flags")


class ResultFormatError(ValidationError):
    """A result directory cannot be read; the message names the file."""


def save_result(
    result: BacktestResult,
    folder: pathlib.Path,
    *,
    bars: Sequence[BarColumns] = (),
    readable: Mapping[str, FrameOf] | None = None,
) -> None:
    """Write *result* to *folder*, which is made if need be; long tables block by block.

    `result.json` is written last: a folder without it holds no complete result.

    Args:
        result: what to write.
        folder: where to.
        bars: prices for charts, one for each symbol; they are no part of the result.
        readable: further columns by table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT_FILE).unlink(missing_ok=True)
    for name in TABLES:
        table: Table = getattr(result, name)
        frames = _beside(table_rows(table), (readable or {}).get(name))
        write_parquet(folder / f"{name}.parquet", len(table), frames)
    if result.events is not None:
        _write_texts(result.events, folder / "events.parquet")
    _write_texts(result.order_notes, folder / "order_notes.parquet")
    for index, one in enumerate(bars):
        path = folder / f"prices-{index}.parquet"
        write_parquet(path, len(one), partial(_prices, one), row_group_size=ROWS_AT_ONCE)
    for name, part in result.splits.items():
        save_result(part, folder / f"split-{name}")
    text = json.dumps(_document(result), indent=1, allow_nan=False)
    (folder / RESULT_FILE).write_text(f"{text}\n", encoding="utf-8")


def table_rows(table: Table) -> FrameOf:
    """Return what makes data frames of rows of a structured array, with the same columns."""

    def frame(rows: slice) -> pl.DataFrame:
        release_pages(table)
        names = table.dtype.names or ()
        return pl.DataFrame({name: np.ascontiguousarray(table[name][rows]) for name in names})

    return frame


def _beside(exact: FrameOf, readable: FrameOf | None) -> FrameOf:
    """Return what makes both side by side; a readable column of a name that is taken is `_text`."""
    if readable is None:
        return exact

    def frame(rows: slice) -> pl.DataFrame:
        left, right = exact(rows), readable(rows)
        taken = set(left.columns)
        names = {one: f"{one}_text" for one in right.columns if one in taken}
        return pl.concat([left, right.rename(names)], how="horizontal")

    return frame


def _prices(bars: BarColumns, rows: slice) -> pl.DataFrame:
    columns = {name: getattr(bars, name) for name in PRICE_COLUMNS}
    release_pages(*columns.values())
    return pl.DataFrame({name: values[rows] for name, values in columns.items()})


def _write_texts(rows: Sequence[Mapping[str, Any]], path: pathlib.Path) -> None:
    def frame(some: slice) -> pl.DataFrame:
        texts = [json.dumps(dict(row), default=json_value, allow_nan=False) for row in rows[some]]
        return pl.DataFrame({"json": texts}, schema={"json": pl.String})

    write_parquet(path, len(rows), frame)


def load_result(folder: pathlib.Path) -> BacktestResult:
    """Return the result in *folder*, equal to what was saved.

    Raises:
        ResultFormatError: a file is missing or damaged.
    """
    document = read_document(folder)
    try:
        tables: dict[str, Any] = {name: read_table(folder, name) for name in TABLES}
        events = tuple(_read_texts(folder / "events.parquet")) if document["has_events"] else None
        splits = {name: load_result(folder / f"split-{name}") for name in document["splits"]}
        return BacktestResult(
            status=ResultStatus(document["status"]),
            metrics=_metrics(document["metrics"]),
            instruments=tuple(_instrument(one) for one in document["instruments"]),
            container_metrics=_container_metrics(document["container_metrics"]),
            order_notes=_read_texts(folder / "order_notes.parquet"),
            events=events,
            warnings=tuple(document["warnings"]),
            log=tuple(document.get("log", ())),
            envelope=document["envelope"],
            cancellations=document.get("cancellations", {}),
            splits=splits,
            **tables,
            **{name: document[name] for name in (*_PLAIN, *_MAPPINGS)},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ResultFormatError(
            f"{folder / RESULT_FILE}:1: result: is damaged ({error!r}): run the backtest again",
            cause=error,
        ) from error


def read_document(folder: pathlib.Path) -> dict[str, Any]:
    """Return the content of `result.json` in *folder*.

    Raises:
        ResultFormatError: it is missing, no JSON, or of another format.
    """
    path = folder / RESULT_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        text = f"{path}:1: file: cannot be read ({error.strerror}): name the folder of a result"
        raise ResultFormatError(text, cause=error) from error
    except ValueError as error:
        text = f"{path}:1: file: is no JSON ({error}): run the backtest again"
        raise ResultFormatError(text, cause=error) from error
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise ResultFormatError(f"{path}:1: format: {found!r} is not {FORMAT!r}")
    return dict(document)


def read_table(folder: pathlib.Path, name: str) -> Table:
    """Return one of `TABLES` as a structured array, memory-mapped if it is a long one.

    Raises:
        ResultFormatError: the file is missing or damaged.
    """
    path = folder / f"{name}.parquet"
    try:
        return read_parquet(path, TABLES[name])
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).partition("\n")[0][:120]
        raise ResultFormatError(
            f"{path}:1: table: cannot be read ({reason}): run the backtest again", cause=error
        ) from error


class _StoredRows(Sequence[Mapping[str, Any]]):
    """Mappings that are kept as JSON text; one is made when it is read."""

    def __init__(self, texts: pl.Series) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Mapping[str, Any], ...]: ...

    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | tuple[Mapping[str, Any], ...]:
        if isinstance(index, slice):
            return tuple(json.loads(text) for text in self._texts[index])
        found: Mapping[str, Any] = json.loads(self._texts[index])
        return found

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return map(json.loads, self._texts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # equal to a tuple, which hashes otherwise


def _read_texts(path: pathlib.Path) -> _StoredRows:
    try:
        return _StoredRows(pl.read_parquet(path)["json"])
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ResultFormatError(
            f"{path}:1: table: cannot be read: run the backtest again", cause=error
        ) from error


def json_value(value: object) -> Any:  # noqa: ANN401 (a JSON value)
    """Return what JSON has no word for: Decimal and Enum as text, numpy numbers as Python's."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _document(result: BacktestResult) -> dict[str, Any]:
    document: dict[str, Any] = {
        "format": FORMAT,
        "status": result.status.value,
        **{name: getattr(result, name) for name in _PLAIN},
        **{name: dict(getattr(result, name)) for name in _MAPPINGS},
        "cancellations": dict(result.cancellations),
        "warnings": list(result.warnings),
        "log": [dict(one) for one in result.log],
        "envelope": None if result.envelope is None else dict(result.envelope),
        "has_events": result.events is not None,
        "splits": list(result.splits),
        "metrics": {
            "values": result.metrics.to_json(),
            "reasons": dict(result.metrics.reasons),
            "basis": dict(result.metrics.basis),
        },
        "instruments": [
            {
                one.name: json_value(getattr(facts, one.name))
                if one.name in _DECIMALS
                else getattr(facts, one.name)
                for one in fields(facts)
            }
            for facts in result.instruments
        ],
        "container_metrics": {
            one.name: getattr(result.container_metrics, one.name)
            for one in fields(result.container_metrics)
        },
    }
    return json.loads(json.dumps(document, default=json_value, allow_nan=False))  # type: ignore[no-any-return]  # a mapping in, a mapping out


_DECIMALS: Final = ("tick", "lot", "multiplier")


def _metrics(document: Mapping[str, Any]) -> Metrics:
    values = {
        name: Decimal(value) if isinstance(value, str) else value
        for name, value in document["values"].items()
    }
    return Metrics(values, document["reasons"], document["basis"])


def _instrument(document: Mapping[str, Any]) -> InstrumentFacts:
    decimals = {name: Decimal(document[name]) for name in _DECIMALS}
    return InstrumentFacts(**{**document, **decimals})


def _container_metrics(document: Mapping[str, Any]) -> ContainerMetrics:
    final = document["final_equity"]
    return ContainerMetrics(
        **{**document, "final_equity": None if final is None else Decimal(final)}
    )
