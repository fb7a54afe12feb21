"""Rows of data files in batches: CSV, Parquet and Arrow IPC, in bounded memory."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, Protocol

import polars as pl

from engine.markets.data_report import MarketDataError

BATCH_ROWS: Final = 131_072
_BLOCK_BYTES: Final = 2**20
_SAMPLE_BYTES: Final = 2**16
_BOM: Final = b"\xef\xbb\xbf"
TEXT_SUFFIXES: Final = (".csv", ".txt")
PARQUET_SUFFIXES: Final = (".parquet", ".pq")
IPC_SUFFIXES: Final = (".arrow", ".ipc", ".feather")


class Records(Protocol):
    """The rows of one file."""

    @property
    def header(self) -> Sequence[str]:
        """Return the names of the columns as the file has them."""
        ...

    def rows_hint(self) -> int:
        """Return how many rows there are, about."""
        ...

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield the rows in order; the columns are named "0", "1", ... by their place."""
        ...

    def locate(self, row: int) -> tuple[int, list[str]]:
        """Return (line, cells) of *row*, counted from 0 without blank lines."""
        ...


def open_records(path: pathlib.Path) -> Records:
    """Return the rows of the file *path*, its format by its suffix.

    Raises:
        MarketDataError: the file cannot be read.
    """
    if path.is_dir():
        raise MarketDataError(
            f"{path}:1: file: is a directory: name a file of bars ({_allowed_suffixes()})"
        )
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise MarketDataError(
            f"{path}:1: file: cannot be read ({error.strerror}): check the name and permissions",
            cause=error,
        ) from error
    suffix = path.suffix.lower()
    if suffix in PARQUET_SUFFIXES:
        return TypedRecords(path, "Parquet", pl.scan_parquet)
    if suffix in IPC_SUFFIXES:
        return TypedRecords(path, "Arrow IPC", pl.scan_ipc)
    return CsvRecords(path)


def _allowed_suffixes() -> str:
    return ", ".join((*TEXT_SUFFIXES, *PARQUET_SUFFIXES, *IPC_SUFFIXES))


class TypedRecords:
    """Rows of a file whose columns have types."""

    def __init__(
        self, path: pathlib.Path, kind: str, scan: Callable[[pathlib.Path], pl.LazyFrame]
    ) -> None:
        self._path = path
        self._kind = kind
        self._scan = scan
        self.header: Sequence[str] = self._guarded(lambda: scan(path).collect_schema().names())

    def rows_hint(self) -> int:
        return int(self._guarded(lambda: self._scan(self._path).select(pl.len()).collect().item()))

    def batches(self) -> Iterator[pl.DataFrame]:
        places = {name: str(place) for place, name in enumerate(self.header)}
        frames = iter(self._scan(self._path).rename(places).collect_batches(chunk_size=BATCH_ROWS))
        while (frame := self._guarded(lambda: next(frames, None))) is not None:
            yield frame

    def locate(self, row: int) -> tuple[int, list[str]]:
        frame = self._guarded(lambda: self._scan(self._path).slice(row, 1).collect())
        return row + 1, ["" if cell is None else str(cell) for cell in frame.row(0)]

    def _guarded(self, read: Callable[[], Any]) -> Any:  # noqa: ANN401 (whatever it reads)
        try:
            return read()
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).partition("\n")[0][:120]
            raise MarketDataError(
                f"{self._path}:1: file: is not a readable {self._kind} file ({reason}): "
                "write it again",
                cause=error,
            ) from error


class CsvRecords:
    """Rows of a CSV file as text.

    Polars splits the rows; where it cannot, the standard library's reader says why, or reads on.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._is_checked = False
        self.header: Sequence[str] = next(iter(self._cells()), (1, [""]))[1]

    def rows_hint(self) -> int:
        with self._path.open("rb") as file:
            sample = file.read(_SAMPLE_BYTES)
        lines = sample.count(b"\n") or 1
        return self._path.stat().st_size * lines // max(1, len(sample)) * 21 // 20 + 1

    def batches(self) -> Iterator[pl.DataFrame]:
        width = len(self.header)
        records = 0
        names = [str(place) for place in range(width)]
        frames = self._fast_frames(names)
        while True:
            try:
                frame = next(frames, None)
            except (pl.exceptions.PolarsError, OSError):
                self._check_rows()
                frames = self._slow_frames(names, records)
                continue
            if frame is None:
                return
            frame = self._without_blank_rows(frame)
            records += len(frame)
            yield frame

    def locate(self, row: int) -> tuple[int, list[str]]:
        return next(islice(self._cells(), row + 1, None), (1, []))

    def _fast_frames(self, names: list[str]) -> Iterator[pl.DataFrame]:
        """Yield the rows block by block; a block ends where no quotation is open."""
        schema = dict.fromkeys(names, pl.String)
        for block in self._blocks():
            yield pl.read_csv(block, has_header=False, schema=schema, empty_string_is_null=False)

    def _blocks(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            header = file.readline()
            while header and not header.removeprefix(_BOM).strip():
                header = file.readline()
            if header.count(b'"') % 2 or b"\r" in header.rstrip(b"\r\n"):
                raise pl.exceptions.ComputeError("a header of several lines")
            while block := file.read(_BLOCK_BYTES):
                block += file.readline()
                while block.count(b'"') % 2 and (more := file.readline()):
                    block += more
                yield block

    def _slow_frames(self, names: list[str], skipped: int) -> Iterator[pl.DataFrame]:
        """Yield the rows after the first *skipped*, split by the standard library."""
        rows = islice(self._cells(), skipped + 1, None)
        schema = dict.fromkeys(names, pl.String)
        while part := [cells for _, cells in islice(rows, BATCH_ROWS)]:
            yield pl.DataFrame(part, schema=schema, orient="row")

    def _without_blank_rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        if not (frame[:, -1] == "").any():
            return frame
        self._check_rows()  # polars fills short rows with blanks
        blank = frame.select(pl.all_horizontal(pl.all() == "")).to_series()
        return frame.filter(~blank) if blank.any() else frame

    def _check_rows(self) -> None:
        """Read the whole file row by row.

        Raises:
            MarketDataError: a row is no CSV, no UTF-8, or has too few or too many values.
        """
        if self._is_checked:
            return
        self._is_checked = True
        width = len(self.header)
        for line, cells in self._cells():
            if len(cells) != width:
                text = f"has {len(cells)} values, the header names {width}: mend the row"
                raise MarketDataError(f"{self._path}:{line}: row: {text}")
            if not any(cells):
                raise MarketDataError(
                    f"{self._path}:{line}: row: has only blank values: delete the row"
                )

    def _cells(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (line, cells) of each row that is not blank, the header first."""
        with self._path.open("r", encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                for cells in reader:
                    if cells:
                        yield reader.line_num, cells
            except csv.Error as error:
                raise MarketDataError(
                    f"{self._path}:{reader.line_num}: row: is not CSV ({error}): mend the row",
                    cause=error,
                ) from error
            except UnicodeDecodeError as error:
                raise MarketDataError(
                    f"{self._path}:{self._undecodable_line()}: file: is not UTF-8 text: "
                    "save it as UTF-8",
                    cause=error,
                ) from error

    def _undecodable_line(self) -> int:
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    return number
        return 1
