"""Bars from CSV files, exact (backtest.md 2.2 and 2.3)."""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

from engine.markets.bar_checks import (
    PRICE_NAMES,
    Findings,
    Row,
    check_jumps,
    check_spacing,
    in_order,
    with_valid_values,
    without_overlaps,
)
from engine.markets.bar_table import BarTable
from engine.markets.data_report import DataReport, MarketDataError, Policy
from engine.markets.numbers import (
    MAX_DECIMALS,
    floor_steps,
    most_decimals,
    nearest_steps,
    parse_number,
    parse_plain_numbers,
)
from engine.markets.stamps import ONE_DAY, BarDuration, EpochUnit, StampReader

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "timestamp": ("timestamp", "date", "time", "datetime"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
}
"""Names of the columns in a header, whatever their case; volume may be absent."""

_NUMBERS: Final = (*PRICE_NAMES, "volume")

_NAME_OF: Final = {alias: name for name, aliases in ALIASES.items() for alias in aliases}


@dataclass(frozen=True, slots=True)
class BarFileOptions:
    """How to read a file of bars.

    ``bar`` is the length of a bar; only files of plain dates can do without. Without ``tick`` the
    tick is inferred (UNIT-3). ``lot`` is the step of volumes. ``policies`` changes what checks do,
    by their code; ``jump_limit`` is the fraction of V10.
    """

    bar: BarDuration | None = None
    timestamp_is: Literal["open", "close"] = "open"
    timezone: str | None = None
    epoch_unit: EpochUnit | None = None
    tick: Decimal | None = None
    lot: Decimal = Decimal(1)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    jump_limit: Decimal = Decimal("0.5")


def load_bars(path: pathlib.Path, options: BarFileOptions | None = None) -> BarTable:
    """Return the bars in the CSV file *path*, in the order of time.

    Raises:
        MarketDataError: the file cannot be read or used.
        ValueError: the time zone or a policy in *options* is not known.
    """
    options = options or BarFileOptions()
    return _Loader(path, options).load()


class _Loader:
    def __init__(self, path: pathlib.Path, options: BarFileOptions) -> None:
        self._path = path
        self._options = options
        self._stamps = StampReader(timezone=options.timezone, epoch_unit=options.epoch_unit)
        self._number_columns: tuple[str, ...] = ()
        self._rounded_prices = 0
        self._rounded_volumes = 0
        self._largest_rounding = Decimal(0)

    def load(self) -> BarTable:
        lines = _csv_lines(self._path)
        _, header = next(lines, (1, []))
        columns = self._columns(header)
        self._number_columns = tuple(name for name in _NUMBERS if name in columns)
        findings = Findings(file=str(self._path), columns=columns, policies=self._options.policies)
        rows = [self._row(line, cells, header, columns, findings) for line, cells in lines]
        rows_read = len(rows)
        duration = self._duration(rows)
        rows = in_order(rows, findings)
        check_spacing(rows, duration, findings)
        rows, tick = self._on_grid(with_valid_values(rows, findings), findings)
        return self._table(rows, rows_read, duration, tick, header, columns, findings)

    def _columns(self, header: Sequence[str]) -> dict[str, int]:
        columns: dict[str, int] = {}
        for index, cell in enumerate(header):
            name = _NAME_OF.get(cell.strip().lower(), cell.strip())
            if name in columns:
                raise self._error(1, "header", f"has two columns for {name!r}: keep one")
            columns[name] = index
        missing = [name for name in ALIASES if name != "volume" and name not in columns]
        if missing:
            wanted = "; ".join(f"{name} ({', '.join(ALIASES[name])})" for name in missing)
            shown = ",".join(header)[:80]
            raise self._error(1, "header", f"{shown!r} lacks columns: add {wanted}")
        return columns

    def _row(
        self,
        line: int,
        cells: list[str],
        header: Sequence[str],
        columns: Mapping[str, int],
        findings: Findings,
    ) -> Row:
        if len(cells) != len(header):
            text = f"has {len(cells)} values, the header names {len(header)}: mend the row"
            raise self._error(line, "row", text)
        column = "timestamp"
        try:
            stamp_ns = self._stamps.read(cells[columns[column]].strip())
            names = self._number_columns
            plain = parse_plain_numbers([cells[columns[name]] for name in names])
            numbers = plain or []
            if plain is None:
                for column in names:
                    numbers.append(parse_number(cells[columns[column]]))
        except ValueError as error:
            raise findings.error(line, column, cells, str(error), "FORMAT") from error
        volume = numbers[4] if len(numbers) > 4 else None
        return Row(line, stamp_ns, numbers[:4], volume, cells, is_plain=plain is not None)

    def _duration(self, rows: Sequence[Row]) -> BarDuration:
        if not rows:
            raise self._error(1, "row", "none follows the header: add bars")
        if self._options.bar is not None:
            return self._options.bar
        if self._stamps.are_dates:
            return ONE_DAY
        raise self._error(rows[0].line, "timestamp", "has a time: declare bar, such as 1h")

    def _on_grid(self, rows: list[Row], findings: Findings) -> tuple[list[Row], Decimal]:
        """Return *rows* with prices that are multiples of the tick, and the tick (UNIT-3, V12)."""
        if self._options.tick is None:
            most = most_decimals(price for row in rows for price in row.prices)
            tick = Decimal(1).scaleb(-most)
            if most == MAX_DECIMALS:
                for row in rows:
                    self._rounded_prices += self._rounded(row, tick)
            return rows, tick
        tick = self._options.tick
        kept: list[Row] = []
        for row in rows:
            off_grid = [price % tick != 0 for price in row.prices]
            if any(off_grid):
                name = PRICE_NAMES[off_grid.index(True)]
                text = f"is not a multiple of the tick {tick}: correct the price or the tick"
                if findings.found("V12", row, name, text) != "fix":
                    continue
                is_positive = min(row.prices) > 0
                self._rounded(row, tick)
                if is_positive and not min(row.prices):
                    text = f"rounds to 0 with the tick {tick}: use a finer tick"
                    findings.found("V4", row, "low", text)
                    continue
            kept.append(row)
        return kept, tick

    def _rounded(self, row: Row, tick: Decimal) -> int:
        """Round the prices of *row* to the nearest *tick*; return how many that changed."""
        changed = 0
        for index, price in enumerate(row.prices):
            steps, moved = nearest_steps(price, tick)
            if moved:
                changed += 1
                row.prices[index] = steps * tick
                self._largest_rounding = max(self._largest_rounding, moved)
        return changed

    def _table(
        self,
        rows: list[Row],
        rows_read: int,
        duration: BarDuration,
        tick: Decimal,
        header: Sequence[str],
        columns: Mapping[str, int],
        findings: Findings,
    ) -> BarTable:
        if not rows:
            raise self._error(1, "row", "is left of none after the checks: mend the file")
        stamps = [row.stamp_ns for row in rows]
        if self._options.timestamp_is == "open":
            opens, closes = stamps, [duration.end_of(stamp) for stamp in stamps]
        else:
            opens, closes = [duration.start_of(stamp) for stamp in stamps], stamps
        kept = without_overlaps(rows, opens, closes, findings)
        rows = [rows[index] for index in kept]
        check_jumps(rows, self._options.jump_limit, findings)
        opening, high, low, closing = (
            tuple(int(row.prices[index] // tick) for row in rows) for index in range(4)
        )
        features, ignored = self._features(rows, header, columns)
        return BarTable(
            tick,
            tuple(opens[index] for index in kept),
            tuple(closes[index] for index in kept),
            opening,
            high,
            low,
            closing,
            tuple(self._lots(row.volume) for row in rows),
            tuple(row.is_synthetic for row in rows),
            features,
            DataReport(
                rows_read=rows_read,
                rows_kept=len(rows),
                counts=findings.counts,
                rounded_prices=self._rounded_prices,
                rounded_volumes=self._rounded_volumes,
                clock_changes=self._stamps.clock_changes,
                largest_rounding=self._largest_rounding,
                ignored_columns=ignored,
            ),
        )

    def _lots(self, volume: Decimal | None) -> int:
        if volume is None:
            return -1
        lots, is_rounded = floor_steps(volume, self._options.lot)
        self._rounded_volumes += is_rounded
        return lots

    def _features(
        self, rows: Sequence[Row], header: Sequence[str], columns: Mapping[str, int]
    ) -> tuple[dict[str, tuple[float, ...]], tuple[str, ...]]:
        features: dict[str, tuple[float, ...]] = {}
        ignored: list[str] = []
        for name, index in columns.items():
            if name in ALIASES:
                continue
            try:
                features[name] = tuple(float(parse_number(row.cells[index])) for row in rows)
            except ValueError:
                ignored.append(header[index])
        return features, tuple(ignored)

    def _error(self, line: int, column: str, text: str) -> MarketDataError:
        return MarketDataError(f"{self._path}:{line}: {column}: {text}")


def _csv_lines(path: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of each row of *path* that is not blank."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise MarketDataError(
            f"{path}:{line}: file: is not UTF-8 text: save it as UTF-8", cause=error
        ) from error
    except OSError as error:
        raise MarketDataError(
            f"{path}:1: file: cannot be read ({error.strerror}): check the name and permissions",
            cause=error,
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise MarketDataError(
            f"{path}:{reader.line_num}: row: is not CSV ({error}): mend the row", cause=error
        ) from error
