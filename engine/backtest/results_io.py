"""Results in a directory: `result.json` and Parquet tables, lossless (COORD-5)."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any, Final

import numpy as np
import polars as pl

from engine.backtest.metrics import Metrics
from engine.backtest.results import BacktestResult, InstrumentFacts, ResultStatus
from engine.backtest.trade_log import TRADE_DTYPE
from engine.containers.container_metrics import ContainerMetrics
from engine.flow.errors import ValidationError
from engine.model.bar_columns import BarColumns
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
    result: BacktestResult, folder: pathlib.Path, *, bars: Sequence[BarColumns] = ()
) -> None:
    """Write *result* to *folder*, which is made if need be.

    `result.json` is written last: a folder without it holds no complete result.

    Args:
        result: what to write.
        folder: where to.
        bars: prices for charts, one for each symbol; they are no part of the result.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT_FILE).unlink(missing_ok=True)
    for name in TABLES:
        table_frame(getattr(result, name)).write_parquet(folder / f"{name}.parquet")
    if result.events is not None:
        _texts_frame(result.events).write_parquet(folder / "events.parquet")
    _texts_frame(result.order_notes).write_parquet(folder / "order_notes.parquet")
    for index, one in enumerate(bars):
        frame = pl.DataFrame({name: getattr(one, name) for name in PRICE_COLUMNS})
        frame.write_parquet(folder / f"prices-{index}.parquet", row_group_size=65_536)
    for name, part in result.splits.items():
        save_result(part, folder / f"split-{name}")
    text = json.dumps(_document(result), indent=1, allow_nan=False)
    (folder / RESULT_FILE).write_text(f"{text}\n", encoding="utf-8")


def load_result(folder: pathlib.Path) -> BacktestResult:
    """Return the result in *folder*, equal to what was saved.

    Raises:
        ResultFormatError: a file is missing or damaged.
    """
    document = read_document(folder)
    try:
        tables: dict[str, Any] = {name: read_table(folder, name) for name in TABLES}
        events = _read_texts(folder / "events.parquet") if document["has_events"] else None
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
    """Return one of `TABLES` as a structured array.

    Raises:
        ResultFormatError: the file is missing or damaged.
    """
    path, dtype = folder / f"{name}.parquet", TABLES[name]
    try:
        frame = pl.read_parquet(path, columns=list(dtype.names or ()))
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).partition("\n")[0][:120]
        raise ResultFormatError(
            f"{path}:1: table: cannot be read ({reason}): run the backtest again", cause=error
        ) from error
    table = np.zeros(len(frame), dtype=dtype)
    for column in dtype.names or ():
        table[column] = frame[column].to_numpy()
    return table


def table_frame(table: Table) -> pl.DataFrame:
    """Return a structured array as a data frame with the same columns."""
    names = table.dtype.names or ()
    return pl.DataFrame({name: np.ascontiguousarray(table[name]) for name in names})


def _texts_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    texts = [json.dumps(dict(row), default=json_value, allow_nan=False) for row in rows]
    return pl.DataFrame({"json": texts}, schema={"json": pl.String})


def _read_texts(path: pathlib.Path) -> tuple[Mapping[str, Any], ...]:
    try:
        texts = pl.read_parquet(path)["json"]
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ResultFormatError(
            f"{path}:1: table: cannot be read: run the backtest again", cause=error
        ) from error
    return tuple(json.loads(text) for text in texts)


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
