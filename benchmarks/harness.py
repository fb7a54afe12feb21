"""Our figures beside a reference's from the same run: samples, medians, ratios, a table."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

Sample = Callable[[], float]
"""Does its work once and returns one figure."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the result: our samples and, from the same run, those of the reference.

    ``target`` says in words what is wanted; ``is_met`` is None where nothing is.
    """

    subject: str
    unit: str
    ours: Sequence[float]
    reference: Sequence[float] = ()
    reference_name: str = ""
    target: str = ""
    is_met: bool | None = None

    @property
    def ratio(self) -> float | None:
        """Return our median over the reference's; None without one, or when that is 0."""
        reference = median(self.reference) if self.reference else 0.0
        return median(self.ours) / reference if reference else None


def repeat(sample: Sample, *, runs: int, warm_up: int = 1) -> list[float]:
    """Return *runs* figures, after *warm_up* that are thrown away."""
    for _ in range(warm_up):
        sample()
    return [sample() for _ in range(runs)]


def interleave(
    ours: Sample, reference: Sample, *, runs: int, warm_up: int = 1
) -> tuple[list[float], list[float]]:
    """Return the figures of both, taken in turns: what disturbs the machine disturbs both."""
    for _ in range(warm_up):
        ours()
        reference()
    pairs = [(ours(), reference()) for _ in range(runs)]
    return [own for own, _ in pairs], [other for _, other in pairs]


def rate_of(work: Callable[[], int]) -> float:
    """Do *work* once; return how many of what it counts were done per second."""
    started = time.perf_counter()
    count = work()
    return count / (time.perf_counter() - started)


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least *share* of all do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def table(findings: Sequence[Finding]) -> str:
    """Return *findings* as aligned text; of a rate the p99 is what 99 % of the samples exceed."""
    head = ("", "unit", "median", "p99", "reference", "median", "ratio", "target", "met")
    rows = [head, *(_cells(finding) for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    is_number = {2, 3, 5, 6}
    lines = [
        "  ".join(
            cell.rjust(width) if column in is_number else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join((lines[0], "-" * max(map(len, lines)), *lines[1:]))


def _cells(finding: Finding) -> tuple[str, ...]:
    ratio = finding.ratio
    worst = 0.01 if finding.unit.endswith("/s") else 0.99
    met = {None: "", True: "yes", False: "NO"}[finding.is_met]
    return (
        finding.subject,
        finding.unit,
        _number(median(finding.ours)),
        _number(percentile(finding.ours, worst)) if len(finding.ours) > 1 else "",
        finding.reference_name,
        _number(median(finding.reference)) if finding.reference else "",
        "" if ratio is None else f"{ratio:.2f}x",
        finding.target,
        met,
    )


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
