"""Bars from CSV, Parquet and Arrow files as exact integer columns."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.markets import bar_checks as checks
from engine.markets.bar_cache import INDEX_FILE, load_bar_cache
from engine.markets.bar_options import ADJUSTED, ALIASES, REQUIRED, BarFileOptions, InstrumentTerms
from engine.markets.column_spool import ColumnSpool
from engine.markets.data_report import CHECKS, DataReport, MarketDataError
from engine.markets.gap_filling import fill_gaps_flat
from engine.markets.mapped_columns import column_like, require_room
from engine.markets.number_columns import (
    ABSENT,
    INFINITE,
    FormatProblem,
    NumberColumn,
    floor_to_grid,
    parse_column,
    parse_float_column,
    parse_floats,
    places_for,
    rescaled,
    to_grid,
)
from engine.markets.numbers import MAX_DECIMALS
from engine.markets.price_adjusting import adjust_by_ratio
from engine.markets.records import Records, open_records
from engine.markets.stamp_columns import MixedZonesError, StampColumns
from engine.markets.stamps import ONE_DAY, BarDuration
from engine.model.bar_columns import (
    MISSING,
    UNKNOWN_VOLUME,
    BarColumns,
    BoolArray,
    IntArray,
    blocks,
    day_sessions,
    release_pages,
    session_edges,
)
from engine.model.calendar import SessionCalendar
from engine.model.instruments import NonIntegralScaleError, OffGridError

LARGE_FILE_BYTES: Final = 32 * 2**20
"""From this size of the file or of its columns on these are in temporary files, memory-mapped."""

_LEAST_ROW_BYTES: Final = 63
"""A row on disk: two stamps, four prices, volume, what is odd about it, three flags."""
_NAME_OF: Final = {alias: name for name, aliases in ALIASES.items() for alias in aliases}
_OPTIONAL_PRICES: Final = ("vwap", "spread")


@dataclass(frozen=True, slots=True)
class LoadedBars:
    """Bars and what was found in their file."""

    columns: BarColumns
    report: DataReport


def load_bar_columns(
    path: pathlib.Path,
    *,
    terms: InstrumentTerms,
    options: BarFileOptions | None = None,
    large_file_bytes: int = LARGE_FILE_BYTES,
) -> LoadedBars:
    """Return the bars in the file *path*, in the order of time.

    Reads in batches: beside the columns themselves (60 bytes a bar; in temporary files for large
    sources) it needs the memory of one batch. The options' tick and lot give way to the terms'.

    Raises:
        MarketDataError: the file cannot be read or used.
        NoRoomError: the disk has no room for the columns of a large file.
        ValueError: the time zone or a policy in *options* is not known.
    """
    options = replace(
        options or BarFileOptions(),
        tick=terms.tick or (options.tick if options else None),
        lot=terms.lot,
    )
    if path.is_dir() and (path / INDEX_FILE).is_file():
        return _cached_bars(path, terms)
    reader = _BarReader(path, options, large_file_bytes=large_file_bytes)
    return reader.load(terms)


def _cached_bars(folder: pathlib.Path, terms: InstrumentTerms) -> LoadedBars:
    """Return bars that were checked when their cache was made."""
    bars = load_bar_cache(folder)
    found = bars.instrument
    for name, wanted, has in (
        ("tick", terms.tick or found.tick, found.tick),
        ("lot", terms.lot, found.lot),
    ):
        if wanted != has:
            raise MarketDataError(
                f"{folder / INDEX_FILE}:1: {name}: {has} is not the {name} {wanted} asked for: "
                "read the source again"
            )
    bars = bars.with_columns(symbol=terms.symbol, instrument=terms.instrument(found.tick))
    report = DataReport(
        rows_read=len(bars),
        rows_kept=len(bars),
        counts=dict.fromkeys(CHECKS, 0),
        rounded_prices=0,
        rounded_volumes=0,
        clock_changes=0,
        largest_rounding=Decimal(0),
        ignored_columns=(),
        synthetic_bars=int(np.count_nonzero(bars.is_synthetic)),
        unknown_volumes=_unknown_volumes(bars),
        tick=found.tick,
        first_ns=int(bars.ts_open[0]) if len(bars) else None,
        last_ns=int(bars.ts_close[-1]) if len(bars) else None,
        data_hash=bars.data_hash,
    )
    return LoadedBars(bars, report)


def _size_of(path: pathlib.Path) -> int:
    return path.stat().st_size if path.is_file() else 0


class _BarReader:
    """Reads one file: batches into a spool, then the checks over whole columns."""

    def __init__(
        self, path: pathlib.Path, options: BarFileOptions, *, large_file_bytes: int
    ) -> None:
        self._path = path
        self._options = options
        self._stamps = StampColumns(timezone=options.timezone, epoch_unit=options.epoch_unit)
        self._records: Records = open_records(path)
        self._places = self._column_places(self._records.header)
        self._findings = checks.Findings(
            file=str(path),
            columns=self._places,
            policies=options.policies,
            locate=self._records.locate,
        )
        rows = self._records.rows_hint()
        # A compressed file is smaller than its columns.
        on_disk = max(_size_of(path), rows * _LEAST_ROW_BYTES) >= large_file_bytes
        if on_disk:
            # The first rows may be short: what is refused here is less than half of what it needs.
            require_room(rows * _LEAST_ROW_BYTES // 2)
        self._spool = ColumnSpool(on_disk=on_disk, rows_hint=rows)
        self._decimals: list[int] = []
        self._places_of_prices = places_for(options.tick) if options.tick else MAX_DECIMALS
        self._features = [name for name in self._places if name not in ALIASES]
        self._ignored: list[str] = []
        self._rounded_prices = 0
        self._rounded_volumes = 0
        self._largest_rounding = Decimal(0)
        self._rows_before = 0

    def load(self, terms: InstrumentTerms) -> LoadedBars:
        try:
            for frame in self._records.batches():
                self._take_batch(frame)
                self._rows_before += len(frame)
            if not self._rows_before:
                raise self._error(1, "row", "none follows the header: add bars")
            return self._finish(terms)
        finally:
            self._spool.close()

    def _column_places(self, header: Sequence[str]) -> dict[str, int]:
        places: dict[str, int] = {}
        for place, cell in enumerate(header):
            name = _NAME_OF.get(cell.strip().lower(), cell.strip())
            if name in places:
                raise self._error(1, "header", f"has two columns for {name!r}: keep one")
            places[name] = place
        missing = [name for name in REQUIRED if name not in places]
        if missing:
            wanted = "; ".join(f"{name} ({', '.join(ALIASES[name])})" for name in missing)
            shown = repr(",".join(header)[:80]) if any(header) else "the file is empty and"
            raise self._error(1, "header", f"{shown} lacks columns: add {wanted}")
        return places

    # --- one batch -------------------------------------------------------------------------------

    def _take_batch(self, frame: pl.DataFrame) -> None:
        column = "timestamp"
        try:
            stamps = self._read_stamps(self._series(frame, column))
            prices: dict[str, NumberColumn] = {}
            for column in checks.PRICE_NAMES:
                prices[column] = number_column(self._series(frame, column), self._places_of_prices)
            more: dict[str, NumberColumn] = {}
            for column in ("volume", "vwap", "trades", "spread"):
                if column in self._places:
                    more[column] = number_column(
                        self._series(frame, column), self._places_of(column)
                    )
            columns = self._integers(len(frame), prices, more)
        except MixedZonesError as problem:
            raise self._cell_error(problem, column, "MIXED_ZONES") from problem
        except FormatProblem as problem:
            raise self._cell_error(problem, column, "FORMAT") from problem
        except OverflowError as error:
            # Past the last column it is the volume, whose lots are the finest grid.
            names = (column, "volume", "close")
            culprit = next(name for name in names if name in self._places)
            raise self._too_large(frame, culprit) from error
        columns["stamp"] = stamps
        columns |= self._feature_values(frame)
        self._spool.append(columns)

    def _places_of(self, column: str) -> int:
        if column in _OPTIONAL_PRICES:
            return self._places_of_prices
        return places_for(self._options.lot)

    def _series(self, frame: pl.DataFrame, name: str) -> pl.Series:
        return frame[str(self._places[name])]

    def _read_stamps(self, series: pl.Series) -> IntArray:
        if series.dtype == pl.String:
            return self._stamps.read(series)
        if series.dtype.is_integer():
            return self._stamps.read_epochs(series)
        if series.dtype in (pl.Date, pl.Datetime):
            return self._stamps.read_moments(series)
        raise FormatProblem(0, f"is of the type {series.dtype}: use a timestamp, date or text")

    def _integers(
        self, count: int, prices: dict[str, NumberColumn], more: dict[str, NumberColumn]
    ) -> dict[str, NDArray[Any]]:
        """Return prices in ticks (or at the batch's decimals), volume in lots, and what is odd."""
        decimals = max(column.decimals for column in prices.values())
        state = np.zeros(count, dtype=np.int32)
        columns: dict[str, NDArray[Any]] = {}
        exact: dict[str, IntArray] = {}
        tick = self._options.tick
        for place, (name, column) in enumerate(prices.items()):
            rounded, changed = column.rounded()
            exact[name] = rescaled(rounded, decimals - column.decimals)
            if tick is None:
                self._rounded_prices += changed
                columns[name] = exact[name]
            else:
                grid = to_grid(column, tick)
                columns[name] = grid.steps
                state |= np.where(grid.is_moved, checks.OFF_GRID[place], 0)
                state |= np.where((grid.steps == 0) & (column.scaled > 0), checks.ROUNDS_TO_ZERO, 0)
                self._largest_rounding = max(self._largest_rounding, grid.largest_move)
            if column.kinds is not None:
                for kind, bits in ((ABSENT, checks.BLANK), (INFINITE, checks.INFINITE)):
                    state |= np.where(column.kinds == kind, bits[place], 0)
            state |= np.where(exact[name] <= 0, checks.NOT_POSITIVE[place], 0)
        highest = np.maximum(np.maximum(exact["open"], exact["close"]), exact["low"])
        lowest = np.minimum(np.minimum(exact["open"], exact["close"]), exact["high"])
        state |= np.where(exact["high"] < highest, checks.HIGH_TOO_LOW, 0)
        state |= np.where(exact["low"] > lowest, checks.LOW_TOO_HIGH, 0)
        self._decimals.append(decimals)
        columns["volume"] = self._volumes(count, more.pop("volume", None), state)
        for name, column in more.items():
            columns[name] = self._optional(name, column, decimals)
        columns["state"] = state
        return columns

    def _volumes(
        self, count: int, column: NumberColumn | None, state: NDArray[np.int32]
    ) -> IntArray:
        if column is None:
            return np.full(count, UNKNOWN_VOLUME, dtype=np.int64)
        lots, changed = floor_to_grid(column, self._options.lot)
        self._rounded_volumes += changed
        if column.kinds is not None:
            state |= np.where(column.kinds == ABSENT, checks.VOLUME_BLANK, 0)
            state |= np.where(column.kinds == INFINITE, checks.VOLUME_INFINITE, 0)
            lots = np.where(column.kinds == ABSENT, UNKNOWN_VOLUME, lots)
        is_negative = column.scaled < 0
        state |= np.where(is_negative, checks.VOLUME_NEGATIVE, 0)
        return lots

    def _optional(self, name: str, column: NumberColumn, decimals: int) -> IntArray:
        """Return a column beside the prices; `vwap` and `spread` keep the prices' decimals."""
        if name not in _OPTIONAL_PRICES:
            values, _ = floor_to_grid(column, Decimal(1))
        else:
            step = self._options.tick or Decimal(1).scaleb(-decimals)
            values = to_grid(column, step).steps
        if column.kinds is not None:
            values = np.where(column.kinds != 0, MISSING, values)
        return values

    def _feature_values(self, frame: pl.DataFrame) -> dict[str, NDArray[Any]]:
        values: dict[str, NDArray[Any]] = {}
        for name in tuple(self._features):
            series = self._series(frame, name)
            floats = _floats(series)
            if floats is None:
                self._features.remove(name)
                self._ignored.append(self._records.header[self._places[name]])
                self._spool.drop(_feature(name))
            else:
                values[_feature(name)] = floats
        return values

    # --- whole columns ---------------------------------------------------------------------------

    def _finish(self, terms: InstrumentTerms) -> LoadedBars:
        duration = self._duration()
        findings, options = self._findings, self._options
        tick, columns = self._on_one_grid()
        rows_read = len(columns["stamp"])
        columns["synthetic"] = column_like(columns["stamp"], dtype=np.dtype(np.bool_))
        columns = checks.put_in_order(columns, findings)
        checks.check_spacing(columns, duration, findings)
        columns = checks.settle_values(
            columns, findings, allow_nonpositive=options.allow_nonpositive
        )
        if options.tick is not None:
            columns = checks.settle_grid(columns, findings, tick)
        self._require_rows(columns)
        if options.tick is None and len(columns["stamp"]) < rows_read:
            tick = _coarsened(columns, tick)
        self._add_spans(columns, duration)
        columns = checks.settle_overlaps(columns, findings)
        sessions = self._sessions(columns)
        checks.check_gaps(columns, sessions, findings)
        checks.check_jumps(columns, tick, options.jump_limit, findings)
        bars = self._bars(columns, terms, tick, duration, sessions)
        if options.price_adjust == "ratio":
            bars = self._adjusted(bars)
        rows_kept = len(bars)
        if options.fill_gaps == "flat":
            bars = fill_gaps_flat(bars, calendar=options.calendar)
        return LoadedBars(bars, self._report(bars, rows_read, rows_kept, tick))

    def _duration(self) -> BarDuration:
        if self._options.bar is not None:
            return self._options.bar
        if self._stamps.are_dates:
            return ONE_DAY
        raise self._error(
            self._findings.line(0), "timestamp", "has a time: declare bar, such as 1h"
        )

    def _on_one_grid(self) -> tuple[Decimal, checks.Columns]:
        """Return the tick and the columns, with the prices of all batches in that tick."""
        names = ["stamp", *checks.PRICE_NAMES, "volume", "state"]
        names += [name for name in ("vwap", "trades", "spread") if name in self._places]
        names += [_feature(name) for name in self._features]
        columns = {name: self._spool.take(name) for name in names}
        if self._options.tick is not None:
            return self._options.tick, columns
        most = max(self._decimals)
        for name in (*checks.PRICE_NAMES, *_OPTIONAL_PRICES):
            values = columns.get(name)
            start = 0
            for length, decimals in zip(self._spool.lengths, self._decimals, strict=True):
                stop = start + length
                if values is not None and decimals < most:
                    values[start:stop] = self._finer(values[start:stop], most - decimals, start)
                    release_pages(values)
                start = stop
        return Decimal(1).scaleb(-most), columns

    def _finer(self, values: IntArray, more_decimals: int, start: int) -> IntArray:
        try:
            finer = rescaled(np.where(values == MISSING, 0, values), more_decimals)
        except OverflowError as error:
            row = start + int(np.argmax(np.abs(values)))
            text = "is too large for a tick as fine as other prices need: set tick"
            raise self._findings.error(row, "close", text, "FORMAT") from error
        return np.where(values == MISSING, MISSING, finer)

    def _require_rows(self, columns: checks.Columns) -> None:
        if not len(columns["stamp"]):
            raise self._error(1, "row", "is left of none after the checks: mend the file")

    def _add_spans(self, columns: checks.Columns, duration: BarDuration) -> None:
        stamps = columns.pop("stamp")
        is_open = self._options.timestamp_is == "open"
        other = column_like(stamps)
        move = duration.end_of if is_open else duration.start_of
        for part in blocks(len(stamps), stamps, other):
            if duration.fixed_ns:
                step = duration.fixed_ns if is_open else -duration.fixed_ns
                other[part] = stamps[part] + step
            else:
                other[part] = [move(stamp) for stamp in stamps[part].tolist()]
        columns["ts_open"], columns["ts_close"] = (stamps, other) if is_open else (other, stamps)

    def _sessions(self, columns: checks.Columns) -> IntArray | None:
        calendar = self._options.calendar
        return None if calendar is None else calendar_sessions(columns["ts_close"], calendar)

    def _bars(
        self,
        columns: checks.Columns,
        terms: InstrumentTerms,
        tick: Decimal,
        duration: BarDuration,
        sessions: IntArray | None,
    ) -> BarColumns:
        try:
            instrument = terms.instrument(tick)
        except (NonIntegralScaleError, OffGridError) as error:
            raise self._error(1, "tick", f"NON_INTEGRAL_SCALE: {error}") from error
        starts, ends = _session_flags(columns, sessions)
        return BarColumns(
            instrument=instrument,
            symbol=terms.symbol,
            duration_ns=duration.nominal_ns,
            ts_open=columns["ts_open"],
            ts_close=columns["ts_close"],
            open=columns["open"],
            high=columns["high"],
            low=columns["low"],
            close=columns["close"],
            volume=columns["volume"],
            is_synthetic=columns["synthetic"],
            starts_session=starts,
            ends_session=ends,
            vwap=columns.get("vwap"),
            trades=columns.get("trades"),
            spread=columns.get("spread"),
            features={name: columns[_feature(name)] for name in self._features},
        )

    def _adjusted(self, bars: BarColumns) -> BarColumns:
        name = next((name for name in self._features if name.lower() in ADJUSTED), None)
        if name is None:
            text = (
                f"lacks an adjusted close for price_adjust ratio: add one of {', '.join(ADJUSTED)}"
            )
            raise self._error(1, "header", text)
        try:
            return adjust_by_ratio(bars, bars.features[name])
        except ValueError as error:
            raise self._error(1, name, f"{error}: mend the column") from error

    def _report(
        self, bars: BarColumns, rows_read: int, rows_kept: int, tick: Decimal
    ) -> DataReport:
        return DataReport(
            rows_read=rows_read,
            rows_kept=rows_kept,
            counts=self._findings.counts,
            rounded_prices=self._rounded_prices,
            rounded_volumes=self._rounded_volumes,
            clock_changes=self._stamps.clock_changes,
            largest_rounding=self._largest_rounding,
            ignored_columns=tuple(self._ignored),
            gaps=tuple(self._findings.gaps),
            inserted_bars=len(bars) - rows_kept,
            synthetic_bars=int(np.count_nonzero(bars.is_synthetic)),
            unknown_volumes=_unknown_volumes(bars),
            tick=tick,
            is_tick_inferred=self._options.tick is None,
            first_ns=int(bars.ts_open[0]),
            last_ns=int(bars.ts_close[-1]),
            data_hash=bars.data_hash,
        )

    # --- errors ----------------------------------------------------------------------------------

    def _cell_error(self, problem: FormatProblem, column: str, code: str) -> MarketDataError:
        row = self._rows_before + problem.row
        return self._findings.error(row, column, str(problem), code)

    def _too_large(self, frame: pl.DataFrame, column: str) -> MarketDataError:
        texts = self._series(frame, column).cast(pl.String).fill_null("")
        digits = texts.str.extract(r"^[-+]?([0-9]*)").str.len_bytes().fill_null(0)
        row = self._rows_before + int(digits.arg_max() or 0)
        text = "has more digits than 62 bits hold beside the decimals of the others: set tick"
        return self._findings.error(row, column, text, "FORMAT")

    def _error(self, line: int, column: str, text: str) -> MarketDataError:
        return MarketDataError(f"{self._path}:{line}: {column}: {text}")


def calendar_sessions(ts_close: IntArray, calendar: SessionCalendar) -> IntArray:
    """Return the number of each bar's session, in a file if the ends of the bars are in one."""
    found = column_like(ts_close)
    for part in blocks(len(ts_close), ts_close, found):
        found[part] = calendar.bar_sessions(ts_close[part])
    return found


def _unknown_volumes(bars: BarColumns) -> int:
    return sum(
        int(np.count_nonzero(bars.volume[part] < 0)) for part in blocks(len(bars), bars.volume)
    )


def _feature(name: str) -> str:
    return f"feature {name}"


def _coarsened(columns: checks.Columns, tick: Decimal) -> Decimal:
    """Return the tick that the rows which are left need, their prices brought to it (UNIT-3)."""
    names = [name for name in checks.PRICE_NAMES if name in columns]
    while tick < 1 and not any((columns[name] % 10).any() for name in names):
        for name in (*names, *_OPTIONAL_PRICES):
            values = columns.get(name)
            if values is not None:
                columns[name] = np.where(values == MISSING, MISSING, values // 10)
        tick = tick.scaleb(1)
    return tick


def number_column(series: pl.Series, places: int = MAX_DECIMALS) -> NumberColumn:
    """Return a price or volume column of any type, exact.

    Raises:
        FormatProblem: a value is no number.
        OverflowError: a number does not fit.
    """
    kind = series.dtype
    if kind == pl.Float64:
        return parse_float_column(series.fill_null(float("nan")).to_numpy(), places)
    if kind.is_integer():
        absent = series.is_null().to_numpy()
        wide = series.cast(pl.Int64, strict=False)
        if wide.null_count() != series.null_count():
            raise OverflowError
        kinds = absent.astype(np.uint8) * ABSENT if absent.any() else None
        return NumberColumn(wide.fill_null(0).to_numpy(), 0, None, kinds)
    if kind == pl.String:
        return parse_column(series.str.strip_chars(), places)
    if kind.is_numeric() or kind == pl.Null:  # float32 by its own shortest text, decimals exactly
        return parse_column(series.cast(pl.String), places)
    raise FormatProblem(0, f"is of the type {kind}: use numbers or text")


def _floats(series: pl.Series) -> NDArray[np.float64] | None:
    if series.dtype == pl.String:
        return parse_floats(series)
    if not series.dtype.is_numeric():
        return None
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _session_flags(
    columns: checks.Columns, sessions: IntArray | None
) -> tuple[BoolArray, BoolArray]:
    """Return which bars start and which end a session, block by block with their neighbours."""
    opens, closes = columns["ts_open"], columns["ts_close"]
    count = len(opens)
    starts, ends = (column_like(opens, dtype=np.dtype(np.bool_)) for _ in range(2))
    for part in blocks(count, opens, closes, starts, ends):
        wide = slice(max(0, part.start - 1), min(count, part.stop + 1))
        if sessions is None:
            edges = day_sessions(opens[wide], closes[wide])
        else:
            whole = np.zeros(wide.stop - wide.start, dtype=np.bool_)
            edges = session_edges(sessions[wide], whole)
        inner = slice(part.start - wide.start, part.stop - wide.start)
        starts[part], ends[part] = edges[0][inner], edges[1][inner]
    return starts, ends
