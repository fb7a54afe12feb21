"""The checks of bars, V1 to V8, V11 and V13 with their neighbours (backtest.md 2.3)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

from engine.markets.data_report import CHECKS, MarketDataError, Policy
from engine.markets.stamps import BarDuration
from engine.model.clock import SECOND_NS, to_iso

OPEN, HIGH, LOW, CLOSE = range(4)
PRICE_NAMES: Final = ("open", "high", "low", "close")
_SPACING_TOLERANCE: Final = 10
"""A tenth: months and years are not all of one length."""


@dataclass(slots=True)
class Row:
    """One row while it is read: its line in the file, its stamp, its prices and volume.

    A plain row has digits in every field: no sign, no blank, no word.
    """

    line: int
    stamp_ns: int
    prices: list[Decimal]
    volume: Decimal | None
    cells: list[str]
    is_plain: bool = False
    is_synthetic: bool = False

    def has_same_values(self, other: Row) -> bool:
        """Whether prices and volume are the same; a blank is the same as a blank."""
        mine, theirs = (*self.prices, self.volume), (*other.prices, other.volume)
        return all(_is_same(one, two) for one, two in zip(mine, theirs, strict=True))


class Findings:
    """Counts what the checks find, and says what to do about it.

    Args:
        file: name of the file in messages.
        columns: index of each column by its name here, such as ``high``.
        policies: policies other than the defaults, by code.

    Raises:
        ValueError: a policy is not one of its check's.
    """

    def __init__(
        self, *, file: str, columns: Mapping[str, int], policies: Mapping[str, Policy]
    ) -> None:
        for code, policy in policies.items():
            if policy not in CHECKS.get(code, ()):
                allowed = ", ".join(CHECKS.get(code, ())) or f"codes {', '.join(CHECKS)}"
                raise ValueError(f"policy {code}: {policy} is not allowed, use {allowed}")
        self._file = file
        self._columns = columns
        self._policies = {code: policies.get(code, known[0]) for code, known in CHECKS.items()}
        self.counts = dict.fromkeys(CHECKS, 0)

    def found(self, code: str, row: Row, column: str, text: str) -> Policy:
        """Count a finding of *code*; return its policy.

        Raises:
            MarketDataError: the policy is ``error``.
        """
        self.counts[code] += 1
        policy = self._policies[code]
        if policy == "error":
            raise self.error(row.line, column, row.cells, text, code)
        return policy

    def error(
        self, line: int, column: str, cells: Sequence[str], text: str, code: str
    ) -> MarketDataError:
        """Return the error ``file:line: column: 'value' text (code)``."""
        index = self._columns.get(column)
        value = repr(cells[index][:40]) if index is not None and index < len(cells) else "row"
        return MarketDataError(
            f"{self._file}:{line}: {column}: {value} {text} ({code})",
            details={"code": code, "line": line, "column": column},
        )


def _is_same(one: Decimal | None, two: Decimal | None) -> bool:
    if one is None or two is None:
        return one is two
    return one == two or (one.is_nan() and two.is_nan())


def in_order(rows: list[Row], findings: Findings) -> list[Row]:
    """Return *rows* in the order of their stamps, one for each stamp (V6, V7, V8)."""
    for before, row in pairwise(rows):
        if row.stamp_ns < before.stamp_ns:
            findings.found("V8", row, "timestamp", "is before the row above: sort the rows")
    kept: list[Row] = []
    for row in sorted(rows, key=lambda one: one.stamp_ns):
        if not kept or kept[-1].stamp_ns != row.stamp_ns:
            kept.append(row)
        elif row.has_same_values(kept[-1]):
            findings.found("V6", row, "timestamp", f"repeats line {kept[-1].line}: delete one")
        else:
            text = f"has other values than line {kept[-1].line} with the same stamp: keep one"
            if findings.found("V7", row, "timestamp", text) == "fix":
                kept[-1] = row
    return kept


def with_valid_values(rows: list[Row], findings: Findings) -> list[Row]:
    """Return the rows whose values can be used, some of them mended (V1 to V5, V11)."""
    kept: list[Row] = []
    for row in rows:
        previous = kept[-1].prices[CLOSE] if kept else None
        if _is_sound(row) or (
            _has_finite_prices(row, previous, findings)
            and _has_positive_prices(row, findings)
            and _has_valid_volume(row, findings)
            and _has_valid_range(row, findings)
        ):
            kept.append(row)
    return kept


def _is_sound(row: Row) -> bool:
    """Whether nothing is wrong with the values of *row*: the quick answer for nearly all rows."""
    if not row.is_plain:
        return False
    opening, high, low, closing = row.prices
    return 0 < low <= opening <= high and low <= closing <= high


def _has_finite_prices(row: Row, previous: Decimal | None, findings: Findings) -> bool:
    for name, price in zip(PRICE_NAMES, row.prices, strict=True):
        if price.is_infinite():
            findings.found("V11", row, name, "is infinite: a finite price is allowed")
            return False
    for name, price in zip(PRICE_NAMES, row.prices, strict=True):
        if price.is_nan():
            text = "is blank: a price is needed in every row"
            if findings.found("V1", row, name, text) == "drop":
                return False
            if previous is None:
                text = "is blank and no earlier close exists to carry: delete the row"
                raise findings.error(row.line, name, row.cells, text, "V1")
            row.prices = [previous] * 4
            row.volume = Decimal(0)
            row.is_synthetic = True
            return True
    return True


def _has_positive_prices(row: Row, findings: Findings) -> bool:
    if min(row.prices) > 0:
        return True
    name = PRICE_NAMES[row.prices.index(min(row.prices))]
    return findings.found("V4", row, name, "is not above 0: a positive price is allowed") == "keep"


def _has_valid_volume(row: Row, findings: Findings) -> bool:
    volume = row.volume
    if volume is None:
        return True
    if volume.is_infinite():
        findings.found("V11", row, "volume", "is infinite: a finite volume is allowed")
        return False
    if volume.is_nan():
        row.volume = None
        return findings.found("V2", row, "volume", "is blank: a volume is needed") == "fix"
    if volume < 0:
        row.volume = -volume
        return findings.found("V5", row, "volume", "is negative: 0 or more is allowed") == "fix"
    return True


def _has_valid_range(row: Row, findings: Findings) -> bool:
    highest, lowest = max(row.prices), min(row.prices)
    is_low = row.prices[HIGH] < highest
    if not is_low and row.prices[LOW] <= lowest:
        return True
    name, text = (
        ("high", "is below another price of its bar") if is_low else ("low", "is above another")
    )
    policy = findings.found("V3", row, name, f"{text}: low <= open, close <= high is allowed")
    row.prices[HIGH], row.prices[LOW] = highest, lowest
    return policy == "fix"


def check_spacing(rows: Sequence[Row], duration: BarDuration, findings: Findings) -> None:
    """Compare the median distance of the stamps with the declared *duration*.

    Raises:
        MarketDataError: they differ by more than a tenth (BAR_SPACING).
    """
    if len(rows) < 2:
        return
    median_ns = int(statistics.median(b.stamp_ns - a.stamp_ns for a, b in pairwise(rows)))
    if abs(median_ns - duration.nominal_ns) * _SPACING_TOLERANCE > duration.nominal_ns:
        row = rows[1]
        text = (
            f"the rows are {_seconds(median_ns)} apart (median), but bar {duration.text} is "
            f"declared: correct bar"
        )
        raise findings.error(row.line, "timestamp", row.cells, text, "BAR_SPACING")


def without_overlaps(
    rows: list[Row], opens_ns: list[int], closes_ns: list[int], findings: Findings
) -> list[int]:
    """Return the indices of the bars that start at or after the end of the one before (V13, V9)."""
    kept = [0]
    for index in range(1, len(rows)):
        ended_ns, length_ns = closes_ns[kept[-1]], closes_ns[index] - opens_ns[index]
        row = rows[index]
        if opens_ns[index] < ended_ns:
            text = f"starts before the bar above ends ({to_iso(ended_ns)}): bars may not overlap"
            findings.found("V13", row, "timestamp", text)
            continue
        if 2 * (opens_ns[index] - opens_ns[kept[-1]]) > 3 * length_ns:
            text = f"comes {_seconds(opens_ns[index] - ended_ns)} after the bar above: fill the gap"
            findings.found("V9", row, "timestamp", text)
        kept.append(index)
    return kept


def check_jumps(rows: Sequence[Row], limit: Decimal, findings: Findings) -> None:
    """Count closes that differ from the one before by more than the fraction *limit* (V10)."""
    for before, row in pairwise(rows):
        previous, close = before.prices[CLOSE], row.prices[CLOSE]
        if abs(close - previous) > limit * abs(previous):
            text = f"moved by more than the fraction {limit} from {previous}: check the price"
            findings.found("V10", row, "close", text)


def _seconds(ns: int) -> str:
    return f"{Decimal(ns) / SECOND_NS:f} s"
