"""Decimal text of whole columns to integers, exact (UNIT-3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
import polars as pl

from engine.markets.numbers import MAX_DECIMALS, parse_number
from engine.model.bar_columns import FloatArray, IntArray

FINITE, ABSENT, INFINITE = range(3)
EXACT, BELOW_HALF, HALF, ABOVE_HALF = range(4)
LARGEST: Final = 2**62
_EXACT_DIGITS: Final = 1e15

_PLAIN: Final = r"^[0-9]{1,15}(?:\.[0-9]{0,%d})?$"
_LONG: Final = r"^[0-9]{1,15}\.[0-9]{%d,24}$"


class FormatProblem(ValueError):  # noqa: N818 (it says what is wrong with one cell)
    """A cell that is no number: its row in the batch and what is wrong."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(text)
        self.row = row


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """Numbers as integers: row i is ``scaled[i] / 10**decimals``, cut off toward minus infinity.

    ``beyond`` says what was cut off after ``places`` decimals, compared with half a unit (EXACT,
    BELOW_HALF, HALF, ABOVE_HALF), None if nothing was. ``kinds`` says which rows are FINITE,
    ABSENT or INFINITE, None if all are finite. ``decimals`` is the most that any row needs.
    """

    scaled: IntArray
    decimals: int
    beyond: np.ndarray[tuple[int], np.dtype[np.uint8]] | None = None
    kinds: np.ndarray[tuple[int], np.dtype[np.uint8]] | None = None
    places: int = MAX_DECIMALS

    def rounded(self) -> tuple[IntArray, int]:
        """Return the numbers rounded half to even, and how many that changed."""
        if self.beyond is None:
            return self.scaled, 0
        is_up = (self.beyond == ABOVE_HALF) | ((self.beyond == HALF) & (self.scaled & 1 == 1))
        return self.scaled + is_up, int(np.count_nonzero(self.beyond))

    def at(self, decimals: int) -> IntArray:
        """Return `scaled` for *decimals*, at least this column's own.

        Raises:
            OverflowError: a number does not fit 62 bits.
        """
        return rescaled(self.scaled, decimals - self.decimals)


def rescaled(values: IntArray, more_decimals: int) -> IntArray:
    """Return *values* times ``10**more_decimals``.

    Raises:
        OverflowError: a number does not fit 62 bits.
    """
    if not more_decimals or not len(values):
        return values
    factor = 10**more_decimals
    if max(abs(int(values.max())), abs(int(values.min()))) >= LARGEST // factor:
        raise OverflowError
    scaled: IntArray = values * factor
    return scaled


def places_for(step: Decimal) -> int:
    """Return how many decimals must be read to round to *step* exactly: nine or more."""
    return max(MAX_DECIMALS, _digits(step)[1] + 1)


def parse_column(texts: pl.Series, places: int = MAX_DECIMALS) -> NumberColumn:
    """Return the numbers that *texts* name, exact to *places* decimals, then compared with half.

    Plain digits are parsed in bulk; everything else (signs, exponents, words) one by one.

    Raises:
        FormatProblem: a text is no number, or is too large.
        OverflowError: a number does not fit 62 bits with the decimals of the others.
    """
    plain = texts.str.contains(_PLAIN % places).fill_null(value=False)
    if plain.all():
        scaled, decimals = _parse_plain(texts)
        return NumberColumn(scaled, decimals, places=places)
    return _parse_mixed(texts, plain, places)


def parse_float_column(values: FloatArray, places: int = MAX_DECIMALS) -> NumberColumn:
    """Return float64 *values* as the shortest decimals that name them (UNIT-3), NaN as ABSENT.

    Raises:
        FormatProblem: a number is too large.
        OverflowError: a number does not fit 62 bits with the decimals of the others.

    Source:
        A decimal of at most 15 digits is the shortest that names its nearest double; the quotient
        of two exact doubles is the double nearest to it.
    """
    steps = np.zeros(len(values), dtype=np.int64)
    needs = np.full(len(values), -1, dtype=np.int64)
    open_rows = np.flatnonzero(np.isfinite(values))
    for decimals in range(places + 1):
        if not len(open_rows):
            break
        wanted = values[open_rows]
        nearest = np.rint(wanted * 10.0**decimals)
        is_exact = (nearest / 10.0**decimals == wanted) & (np.abs(nearest) < _EXACT_DIGITS)
        hits = open_rows[is_exact]
        steps[hits] = nearest[is_exact].astype(np.int64)
        needs[hits] = decimals
        open_rows = open_rows[~is_exact]
    rest = np.flatnonzero(needs < 0)
    if len(rest):
        return _with_texts(values, steps, needs, rest, places)
    most = int(needs.max()) if len(needs) else 0
    return NumberColumn(_raised(steps, most - needs), most, places=places)


def _with_texts(
    values: FloatArray, steps: IntArray, needs: IntArray, rest: IntArray, places: int
) -> NumberColumn:
    try:
        slow = parse_column(pl.Series(values[rest]).cast(pl.String), places)
    except FormatProblem as problem:
        raise FormatProblem(int(rest[problem.row]), str(problem)) from problem
    decimals = max(int(needs.max()), slow.decimals)
    scaled = _raised(steps, np.where(needs < 0, 0, decimals - needs))
    scaled[rest] = slow.at(decimals)
    beyond = np.zeros(len(values), dtype=np.uint8)
    kinds = np.zeros(len(values), dtype=np.uint8)
    if slow.beyond is not None:
        beyond[rest] = slow.beyond
    if slow.kinds is not None:
        kinds[rest] = slow.kinds
    return NumberColumn(
        scaled,
        decimals,
        beyond if beyond.any() else None,
        kinds if kinds.any() else None,
        places,
    )


def _raised(values: IntArray, powers: IntArray) -> IntArray:
    factors = 10 ** np.maximum(powers, 0)
    if len(values) and bool((np.abs(values) >= LARGEST // factors).any()):
        raise OverflowError
    raised: IntArray = values * factors
    return raised


def _parse_plain(texts: pl.Series) -> tuple[IntArray, int]:
    parts = texts.str.split_exact(".", 1).struct.unnest()
    whole = parts["field_0"].cast(pl.Int64).to_numpy()
    fraction = parts["field_1"].fill_null("").str.strip_chars_end("0")
    decimals = int(fraction.str.len_bytes().cast(pl.Int64).max() or 0)  # type: ignore[arg-type]  # a length
    scaled = rescaled(whole, decimals)
    if decimals:
        scaled = scaled + fraction.str.pad_end(decimals, "0").cast(pl.Int64).to_numpy()
    return scaled, decimals


def _parse_mixed(texts: pl.Series, plain: pl.Series, places: int) -> NumberColumn:
    count = len(texts)
    long = texts.str.contains(_LONG % (places + 1)).fill_null(value=False) & ~plain
    rest = np.flatnonzero((~(plain | long)).to_numpy())
    beyond = np.zeros(count, dtype=np.uint8)
    kinds = np.zeros(count, dtype=np.uint8)
    slow = [_slow_cell(texts[int(row)], int(row), places) for row in rest]
    decimals = max((cell.decimals for cell in slow), default=0)
    plain_rows, long_rows = np.flatnonzero(plain.to_numpy()), np.flatnonzero(long.to_numpy())
    plain_scaled, plain_decimals = _parse_plain(texts.gather(plain_rows))
    decimals = max(decimals, plain_decimals, places if len(long_rows) else 0)
    scaled = np.zeros(count, dtype=np.int64)
    scaled[plain_rows] = rescaled(plain_scaled, decimals - plain_decimals)
    if len(long_rows):
        cut = texts.gather(long_rows)
        parts = cut.str.split_exact(".", 1).struct.unnest()
        head = parts["field_0"] + "." + parts["field_1"].str.slice(0, places)
        cut_scaled, cut_decimals = _parse_plain(head)
        scaled[long_rows] = rescaled(cut_scaled, decimals - cut_decimals)
        tail = parts["field_1"].str.slice(places).str.strip_chars_end("0")
        beyond[long_rows] = np.select(
            [(tail == "").to_numpy(), (tail < "5").to_numpy(), (tail == "5").to_numpy()],
            [EXACT, BELOW_HALF, HALF],
            ABOVE_HALF,
        ).astype(np.uint8)
    for row, cell in zip(rest, slow, strict=True):
        value = cell.scaled * 10 ** (decimals - cell.decimals)
        if abs(value) >= LARGEST:
            raise OverflowError
        scaled[row], beyond[row], kinds[row] = value, cell.beyond, cell.kind
    return NumberColumn(
        scaled,
        decimals,
        beyond if beyond.any() else None,
        kinds if kinds.any() else None,
        places,
    )


@dataclass(frozen=True, slots=True)
class _Cell:
    scaled: int
    decimals: int
    beyond: int
    kind: int


def _slow_cell(text: str | None, row: int, places: int) -> _Cell:
    try:
        number = parse_number((text or "").strip())
    except ValueError as error:
        raise FormatProblem(row, str(error)) from error
    if number.is_nan():
        return _Cell(0, 0, EXACT, ABSENT)
    if number.is_infinite():
        return _Cell(-1 if number < 0 else 1, 0, EXACT, INFINITE)
    numerator, denominator = number.as_integer_ratio()
    whole, rest = divmod(numerator * 10**places, denominator)
    if rest:
        half = 2 * rest - denominator
        beyond = HALF if not half else (BELOW_HALF if half < 0 else ABOVE_HALF)
        return _Cell(whole, places, beyond, FINITE)
    decimals = places
    while decimals and whole % 10 == 0:
        whole, decimals = whole // 10, decimals - 1
    return _Cell(whole, decimals, EXACT, FINITE)


@dataclass(frozen=True, slots=True)
class GridColumn:
    """Numbers in whole steps: rounded half to even; which ones moved, and the largest move."""

    steps: IntArray
    is_moved: np.ndarray[tuple[int], np.dtype[np.bool_]]
    largest_move: Decimal


def to_grid(column: NumberColumn, step: Decimal) -> GridColumn:
    """Return *column* in whole multiples of *step*, half to even (V12).

    Exact if the column was read with the places that the step needs (`places_for`).

    Raises:
        OverflowError: a number does not fit 62 bits.
    """
    digits, decimals = _digits(step)
    scale = max(decimals, column.decimals)
    values = column.at(scale)
    unit = digits * 10 ** (scale - decimals)
    if unit == 1:
        steps, twice_rest = values, np.zeros(len(values), dtype=np.int64)
    else:
        steps = values // unit
        twice_rest = (values - steps * unit) * 2
    more = np.zeros(len(values), dtype=np.bool_) if column.beyond is None else column.beyond > 0
    is_moved = (twice_rest > 0) | more
    is_up = (twice_rest > unit) | ((twice_rest == unit) & (more | (steps & 1 == 1)))
    if unit == 1 and column.beyond is not None:
        is_up = (column.beyond == ABOVE_HALF) | ((column.beyond == HALF) & (steps & 1 == 1))
    moves = np.where(is_up, 2 * unit - twice_rest, twice_rest)
    largest = Decimal(int(moves[is_moved].max()) if is_moved.any() else 0) / 2
    return GridColumn(steps + is_up, is_moved, largest.scaleb(-scale))


def _digits(step: Decimal) -> tuple[int, int]:
    """Return *step* as (n, d) with step = n / 10**d, n not a multiple of ten unless d is 0."""
    _, _, exponent = step.normalize().as_tuple()
    decimals = max(0, -int(exponent))
    return int(step.scaleb(decimals)), decimals


def floor_to_grid(column: NumberColumn, step: Decimal) -> tuple[IntArray, int]:
    """Return *column* in whole steps toward zero, and how many that changed; for volumes.

    Raises:
        OverflowError: a number does not fit 62 bits.
    """
    digits, decimals = _digits(step)
    scale = max(decimals, column.decimals)
    values = column.at(scale)
    unit = digits * 10 ** (scale - decimals)
    steps = np.abs(values) // unit
    is_moved = steps * unit != np.abs(values)
    if column.beyond is not None:
        is_moved |= column.beyond > 0
    return np.where(values < 0, -steps, steps), int(np.count_nonzero(is_moved))


def parse_floats(texts: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    """Return *texts* as float64, NaN where blank; None if one is not a number."""
    clean = texts.str.strip_chars()
    numbers = clean.cast(pl.Float64, strict=False)
    unread = np.flatnonzero(numbers.is_null().to_numpy())
    values = numbers.fill_null(float("nan")).to_numpy().copy()
    read_one: Callable[[str], Decimal] = parse_number
    for row in unread:
        try:
            values[row] = float(read_one(clean[int(row)] or ""))
        except ValueError:
            return None
    return values
