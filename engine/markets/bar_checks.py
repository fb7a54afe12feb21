"""The checks of bars, V1 to V13, on whole columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.markets.data_report import CHECKS, GAPS_KEPT, Gap, MarketDataError, Policy
from engine.markets.mapped_columns import column_like, gathered, kept
from engine.markets.stamps import BarDuration
from engine.model.bar_columns import (
    BLOCK_ROWS,
    UNKNOWN_VOLUME,
    BoolArray,
    IntArray,
    blocks,
    release_pages,
)
from engine.model.clock import SECOND_NS, to_iso

Columns: TypeAlias = dict[str, NDArray[Any]]
"""Writable columns by name, of equal length: stamp, open, high, low, close, volume, state, ..."""

PRICE_NAMES: Final = ("open", "high", "low", "close")

BLANK = tuple(1 << bit for bit in range(4))
"""Bits of ``state``: which price is blank."""
INFINITE = tuple(1 << bit for bit in range(4, 8))
NOT_POSITIVE = tuple(1 << bit for bit in range(8, 12))
OFF_GRID = tuple(1 << bit for bit in range(12, 16))
HIGH_TOO_LOW, LOW_TOO_HIGH, VOLUME_BLANK, VOLUME_INFINITE, VOLUME_NEGATIVE, ROUNDS_TO_ZERO = (
    1 << bit for bit in range(16, 22)
)
_NEEDS_A_LOOK: Final = ~(sum(OFF_GRID) | ROUNDS_TO_ZERO | VOLUME_BLANK)

_SPACING_TOLERANCE: Final = 10
"""A tenth: months and years are not all of one length."""
_EXACT_MEDIAN_ROWS: Final = 1 << 18


class Findings:
    """Counts what the checks find, and says what to do about it.

    Args:
        file: name of the file in messages.
        columns: index of each column by its name here, such as ``high``.
        policies: policies other than the defaults, by code.
        locate: gives (line, cells) of a row of the file.

    Raises:
        ValueError: a policy is not one of its check's.
    """

    def __init__(
        self,
        *,
        file: str,
        columns: Mapping[str, int],
        policies: Mapping[str, Policy],
        locate: Callable[[int], tuple[int, list[str]]],
    ) -> None:
        for code, policy in policies.items():
            if policy not in CHECKS.get(code, ()):
                allowed = ", ".join(CHECKS.get(code, ())) or f"codes {', '.join(CHECKS)}"
                raise ValueError(f"policy {code}: {policy} is not allowed, use {allowed}")
        self._file = file
        self._columns = columns
        self._policies = {code: policies.get(code, known[0]) for code, known in CHECKS.items()}
        self._locate = locate
        self.counts = dict.fromkeys(CHECKS, 0)
        self.gaps: list[Gap] = []

    def policy(self, code: str) -> Policy:
        """Return what to do about findings of *code*."""
        return self._policies[code]

    def found(self, code: str, row: int, column: str, text: str, *, count: int = 1) -> Policy:
        """Count *count* findings of *code*, the first in *row* of the file; return the policy.

        Raises:
            MarketDataError: the policy is ``error``.
        """
        self.counts[code] += count
        policy = self._policies[code]
        if policy == "error":
            raise self.error(row, column, text, code)
        return policy

    def error(self, row: int, column: str, text: str, code: str) -> MarketDataError:
        """Return the error ``file:line: column: 'value' text (code)``."""
        line, cells = self._locate(row)
        index = self._columns.get(column)
        value = repr(cells[index][:40]) if index is not None and index < len(cells) else "row"
        return MarketDataError(
            f"{self._file}:{line}: {column}: {value} {text} ({code})",
            details={"code": code, "line": line, "column": column},
        )

    def line(self, row: int) -> int:
        """Return the line of *row*."""
        return self._locate(row)[0]


def put_in_order(columns: Columns, findings: Findings) -> Columns:
    """Return *columns* in the order of their stamps, one row for each stamp (V6, V7, V8)."""
    stamps = columns["stamp"]
    descents = [row for rows in _where_adjacent(stamps, np.less) for row in rows]
    if descents:
        text = "is before the row above: sort the rows"
        findings.found("V8", int(descents[0]), "timestamp", text, count=len(descents))
        order = np.argsort(stamps, kind="stable")
        columns = {name: gathered(values, order) for name, values in columns.items()}
        columns["row"] = order.astype(np.int64)
        stamps = columns["stamp"]
    repeats = [row for rows in _where_adjacent(stamps, np.equal) for row in rows]
    if not repeats:
        return columns
    keep = np.ones(len(stamps), dtype=np.bool_)
    last = -1
    for index in repeats:
        before = last if last >= 0 and stamps[last] == stamps[index] else index - 1
        last = _settle_repeat(columns, findings, keep, before, int(index))
    return compressed(columns, keep)


def _settle_repeat(
    columns: Columns, findings: Findings, keep: BoolArray, before: int, index: int
) -> int:
    """Keep one of two rows with the same stamp; return which."""
    row = row_of(columns, index)
    if all(columns[name][before] == columns[name][index] for name in (*PRICE_NAMES, "volume")):
        if findings.policy("V6") == "error":
            text = f"repeats line {findings.line(row_of(columns, before))}: delete one"
            findings.found("V6", row, "timestamp", text)
        findings.counts["V6"] += 1
        keep[index] = False
        return before
    text = ""
    if findings.policy("V7") == "error":
        line = findings.line(row_of(columns, before))
        text = f"has other values than line {line} with the same stamp: keep one"
    is_fix = findings.found("V7", row, "timestamp", text) == "fix"
    keep[before if is_fix else index] = False
    return index if is_fix else before


def _where_adjacent(
    values: IntArray, compare: Callable[[Any, Any], Any]
) -> Iterator[Sequence[int]]:
    """Yield the indices i, in parts, with ``compare(values[i], values[i - 1])``."""
    for start in range(1, len(values), BLOCK_ROWS):
        part = values[start - 1 : start + BLOCK_ROWS]
        found = np.flatnonzero(compare(part[1:], part[:-1]))
        release_pages(values)
        if len(found):
            yield (found + start).tolist()


def row_of(columns: Columns, index: int) -> int:
    """Return the row of the file that is at *index* of *columns* now."""
    return int(columns["row"][index]) if "row" in columns else index


def compressed(columns: Columns, keep: BoolArray) -> Columns:
    """Return only the rows to *keep*, each with its row in the file."""
    if keep.all():
        return columns
    if "row" not in columns:
        columns = {**columns, "row": np.arange(len(keep), dtype=np.int64)}
    return {name: kept(values, keep) for name, values in columns.items()}


def check_spacing(columns: Columns, duration: BarDuration, findings: Findings) -> None:
    """Compare the median distance of the stamps with the declared *duration*.

    Raises:
        MarketDataError: they differ by more than a tenth (BAR_SPACING).
    """
    stamps = columns["stamp"]
    if len(stamps) < 2:
        return
    # The median of a large file is that of evenly spread distances: it needs no copy of the file.
    every = 1 + (len(stamps) - 1) // _EXACT_MEDIAN_ROWS
    before = stamps[:-1:every]
    median_ns = int(np.median(stamps[1::every][: len(before)] - before))
    release_pages(stamps)
    if abs(median_ns - duration.nominal_ns) * _SPACING_TOLERANCE > duration.nominal_ns:
        text = (
            f"the rows are {_seconds(median_ns)} apart (median), but bar {duration.text} is "
            f"declared: correct bar"
        )
        raise findings.error(row_of(columns, 1), "timestamp", text, "BAR_SPACING")


def settle_values(columns: Columns, findings: Findings, *, allow_nonpositive: bool) -> Columns:
    """Return the rows whose values can be used, some of them mended (V1 to V5, V11)."""
    state = columns["state"]
    look_at = _NEEDS_A_LOOK
    if allow_nonpositive:
        look_at &= ~sum(NOT_POSITIVE)
    if findings.policy("V2") != "fix":
        look_at |= VOLUME_BLANK
    keep = column_like(state, dtype=np.dtype(np.bool_))
    keep[:] = True
    previous = -1
    seen = 0
    for part in blocks(len(state), keep, *columns.values()):
        for index in (np.flatnonzero(state[part] & look_at) + part.start).tolist():
            if index > seen:
                previous = index - 1  # nothing is wrong with the rows in between
            bits = int(state[index]) & look_at
            keep[index] = _settle_row(columns, findings, index, bits, previous)
            previous = index if keep[index] else previous
            seen = index + 1
    columns = compressed(columns, keep)
    if findings.policy("V2") == "fix":
        state, volume = columns["state"], columns["volume"]
        for part in blocks(len(state), state, volume):
            blank = np.flatnonzero(state[part] & VOLUME_BLANK) + part.start
            findings.counts["V2"] += len(blank)
            volume[blank] = UNKNOWN_VOLUME
    return columns


def _settle_row(columns: Columns, findings: Findings, index: int, bits: int, previous: int) -> bool:
    """Mend the row at *index*; return whether it stays."""
    row = row_of(columns, index)
    for name, bit in zip(PRICE_NAMES, INFINITE, strict=True):
        if bits & bit:
            findings.found("V11", row, name, "is infinite: a finite price is allowed")
            return False
    for name, bit in zip(PRICE_NAMES, BLANK, strict=True):
        if bits & bit:
            return _carry_close(columns, findings, index, name, previous)
    return _has_positive_prices(columns, findings, index, bits) and (
        _settle_volume(columns, findings, index, bits)
        and _settle_range(columns, findings, index, bits)
    )


def _carry_close(
    columns: Columns, findings: Findings, index: int, name: str, previous: int
) -> bool:
    row = row_of(columns, index)
    text = "is blank: a price is needed in every row"
    if findings.found("V1", row, name, text) == "drop":
        return False
    if previous < 0:
        text = "is blank and no earlier close exists to carry: delete the row"
        raise findings.error(row, name, text, "V1")
    for one in PRICE_NAMES:
        columns[one][index] = columns["close"][previous]
    columns["volume"][index] = 0
    columns["state"][index] = 0
    columns["synthetic"][index] = True
    return True


def _has_positive_prices(columns: Columns, findings: Findings, index: int, bits: int) -> bool:
    prices = [int(columns[name][index]) for name in PRICE_NAMES]
    if not any(bits & bit for bit in NOT_POSITIVE):
        return True
    name = PRICE_NAMES[prices.index(min(prices))]
    text = "is not above 0: a positive price is allowed"
    return findings.found("V4", row_of(columns, index), name, text) == "keep"


def _settle_volume(columns: Columns, findings: Findings, index: int, bits: int) -> bool:
    row = row_of(columns, index)
    if bits & VOLUME_INFINITE:
        findings.found("V11", row, "volume", "is infinite: a finite volume is allowed")
        return False
    if bits & VOLUME_BLANK:
        findings.found("V2", row, "volume", "is blank: a volume is needed")
        return False
    if bits & VOLUME_NEGATIVE:
        columns["volume"][index] = -columns["volume"][index]
        text = "is negative: 0 or more is allowed"
        return findings.found("V5", row, "volume", text) == "fix"
    return True


def _settle_range(columns: Columns, findings: Findings, index: int, bits: int) -> bool:
    if not bits & (HIGH_TOO_LOW | LOW_TOO_HIGH):
        return True
    name, text = (
        ("high", "is below another price of its bar")
        if bits & HIGH_TOO_LOW
        else ("low", "is above another")
    )
    text = f"{text}: low <= open, close <= high is allowed"
    policy = findings.found("V3", row_of(columns, index), name, text)
    prices = [int(columns[one][index]) for one in PRICE_NAMES]
    columns["high"][index], columns["low"][index] = max(prices), min(prices)
    return policy == "fix"


def settle_grid(columns: Columns, findings: Findings, tick: Decimal) -> Columns:
    """Return the rows whose prices may be rounded to the configured *tick* (V12)."""
    state = columns["state"]
    off_grid = column_like(state, dtype=np.dtype(np.bool_))
    for part in blocks(len(state), state, off_grid):
        off_grid[part] = state[part] & sum(OFF_GRID) != 0
    count = int(np.count_nonzero(off_grid))
    if not count:
        return columns
    first = int(np.argmax(off_grid))
    name = next(
        name for name, bit in zip(PRICE_NAMES, OFF_GRID, strict=True) if int(state[first]) & bit
    )
    text = f"is not a multiple of the tick {tick}: correct the price or the tick"
    if findings.found("V12", row_of(columns, first), name, text, count=count) == "drop":
        return compressed(columns, ~off_grid)
    parts = [
        np.flatnonzero(state[part] & ROUNDS_TO_ZERO) + part.start
        for part in blocks(len(state), state)
    ]
    zero = np.concatenate(parts)
    if len(zero):
        text = f"rounds to 0 with the tick {tick}: use a finer tick"
        policy = findings.found("V4", row_of(columns, int(zero[0])), "low", text, count=len(zero))
        if policy == "drop":
            return compressed(columns, state & ROUNDS_TO_ZERO == 0)
    return columns


def settle_overlaps(columns: Columns, findings: Findings) -> Columns:
    """Return the bars that start at or after the end of the one before (V13)."""
    opens, closes = columns["ts_open"], columns["ts_close"]
    first = _first_overlap(opens, closes)
    if first is None:
        return columns
    keep = np.ones(len(opens), dtype=np.bool_)
    ended_ns = int(closes[first - 1])
    for index in range(first, len(opens)):
        if opens[index] < ended_ns:
            text = f"starts before the bar above ends ({to_iso(ended_ns)}): bars may not overlap"
            findings.found("V13", row_of(columns, index), "timestamp", text)
            keep[index] = False
        else:
            ended_ns = int(closes[index])
    return compressed(columns, keep)


def _first_overlap(opens: IntArray, closes: IntArray) -> int | None:
    for start in range(1, len(opens), BLOCK_ROWS):
        part = opens[start : start + BLOCK_ROWS]
        found = np.flatnonzero(part < closes[start - 1 : start - 1 + len(part)])
        release_pages(opens, closes)
        if len(found):
            return start + int(found[0])
    return None


def check_gaps(columns: Columns, sessions: IntArray | None, findings: Findings) -> None:
    """Count the gaps of more than half a bar (V9), with *sessions* only those inside of one."""
    opens, closes = columns["ts_open"], columns["ts_close"]
    for start in range(1, len(opens), BLOCK_ROWS):
        stop = min(len(opens), start + BLOCK_ROWS)
        now, before = slice(start, stop), slice(start - 1, stop - 1)
        is_gap = 2 * (opens[now] - opens[before]) > 3 * (closes[now] - opens[now])
        if sessions is not None:
            is_gap &= sessions[now] == sessions[before]
        found = np.flatnonzero(is_gap) + start
        release_pages(opens, closes)
        if not len(found):
            continue
        first = int(found[0])
        distance_ns = int(opens[first] - closes[first - 1])
        text = f"comes {_seconds(distance_ns)} after the bar above: fill the gap"
        findings.found("V9", row_of(columns, first), "timestamp", text, count=len(found))
        for index in found[: GAPS_KEPT - len(findings.gaps)].tolist():
            findings.gaps.append(Gap(int(closes[index - 1]), int(opens[index])))


def check_jumps(columns: Columns, tick: Decimal, limit: Decimal, findings: Findings) -> None:
    """Count closes that differ from the one before by more than the fraction *limit* (V10)."""
    closes = columns["close"]
    ratio = Fraction(limit)
    for start in range(1, len(closes), BLOCK_ROWS):
        part = closes[start - 1 : start + BLOCK_ROWS]
        moves, before = np.abs(part[1:] - part[:-1]), np.abs(part[:-1])
        # float64 finds the candidates with room to spare, integers decide.
        near = moves.astype(np.float64) > float(ratio) * before.astype(np.float64) * (1 - 1e-9)
        for index in np.flatnonzero(near).tolist():
            if int(moves[index]) * ratio.denominator > int(before[index]) * ratio.numerator:
                previous = tick * int(part[index])
                text = f"moved by more than the fraction {limit} from {previous}: check the price"
                findings.found("V10", row_of(columns, index + start), "close", text)
        release_pages(closes)


def _seconds(ns: int) -> str:
    return f"{Decimal(ns) / SECOND_NS:f} s"
