"""A study as lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

_SHOWN: Final = ("sharpe", "total_return", "max_drawdown", "n_trades", "win_rate")
_BEST: Final = 10
_WITHOUT_RESULT: Final = frozenset({"FAILED", "OOM", "TIMEOUT"})


class StudyProgressLike(Protocol):
    """Where a study stands, as the engine tells it."""

    @property
    def done(self) -> int:
        """Return how many trials have ended."""
        ...

    @property
    def total(self) -> int:
        """Return how many there will be."""
        ...

    @property
    def trials_per_s(self) -> float:
        """Return the speed."""
        ...

    @property
    def left_s(self) -> float | None:
        """Return the seconds that are left, None if unknown."""
        ...

    @property
    def counts(self) -> Mapping[Any, int]:
        """Return how many trials there are by status."""
        ...

    @property
    def best(self) -> TrialLike | None:
        """Return the best trial so far."""
        ...


class TrialLike(Protocol):
    """A trial that has ended."""

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Return its metrics by name."""
        ...


def progress_line(progress: StudyProgressLike, *, metric: str = "", width: int = 24) -> str:
    """Return one line: a bar, trials, speed, time left, failures, the best *metric* so far."""
    share = progress.done / progress.total if progress.total else 1.0
    filled = int(share * width)
    bar = "█" * filled + "░" * (width - filled)
    left = "--" if progress.left_s is None else _seconds(progress.left_s)
    failed = sum(
        count for status, count in progress.counts.items() if str(status) in _WITHOUT_RESULT
    )
    best = progress.best
    value = None if best is None else _number(best.metrics.get(metric))
    told = "" if value is None else f"  best {metric} {value:.4g}"
    return (
        f"{bar} {share:4.0%}  {progress.done:,} of {progress.total:,} trials  "
        f"{progress.trials_per_s:,.1f}/s  {left} left  {failed:,} failed{told}"
    )


def report_lines(summary: Mapping[str, Any], *, files: Sequence[str] = ()) -> Iterator[str]:
    """Yield the report of a study: the best, the table's head, how far to believe it."""
    counts = {name: count for name, count in summary["counts"].items() if count}
    told = ", ".join(f"{count:,} {name.lower()}" for name, count in counts.items())
    yield (
        f"study {summary['id']}  {summary['trials']:,} trials in "
        f"{_seconds(summary['seconds'])}: {told}"
    )
    if summary["resumed"]:
        yield f"{summary['resumed']:,} of them were finished before and not run again"
    yield ""
    yield from _best_lines(summary)
    yield from _out_of_sample_lines(summary)
    yield from _walk_forward_lines(summary)
    yield from _failure_lines(summary)
    for note in summary["notes"]:
        yield f"note: {note}"
    for file in files:
        yield f"wrote {file}"


def _best_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    metric = summary["objective"]["metric"]
    sign = -1 if summary["objective"]["direction"] == "maximize" else 1
    ranked = sorted(
        (row for row in summary["rows"] if row["objective"] is not None),
        key=lambda row: (sign * row["objective"], row["index"]),
    )
    if not ranked:
        yield f"no trial has a {metric}"
        yield ""
        return
    parts = _parts(summary)
    columns = list(dict.fromkeys((metric, *parts, *_SHOWN)))
    names = list(ranked[0]["parameters"])
    head = ["#", *names, *(parts.get(name, name) for name in columns)]
    table = [
        [
            str(row["index"]),
            *(str(row["parameters"][name]) for name in names),
            *(_shown(row["metrics"].get(name)) for name in columns),
        ]
        for row in ranked[:_BEST]
    ]
    yield f"best by {metric}"
    yield from _table(head, table)
    best = summary["best"]
    if best is not None and best["reproduced"] is not None:
        again = "gave the same fingerprint" if best["reproduced"] else "gave ANOTHER fingerprint"
        yield f"a run of the best one alone {again}"
    if summary["deflated_sharpe"] is not None:
        yield (
            f"deflated Sharpe {summary['deflated_sharpe']:.1%}: how likely the best is more than "
            f"the luck of {summary['trials']:,} trials"
        )
        yield f"  {summary['deflated_sharpe_source']}"
    if summary["overfitting_probability"] is not None:
        yield (
            f"probability of overfitting {summary['overfitting_probability']:.1%}: how often the "
            "best of one half of the time is below the median on the other"
        )
        yield f"  {summary['overfitting_source']}"
    yield from _front_lines(summary)
    yield ""


def _parts(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the metrics in and out of sample with their short names."""
    judged = summary["out_of_sample"]
    if not judged:
        return {}
    name = judged[0]["metric"]
    return {f"in_sample_{name}": f"{name} in", f"out_of_sample_{name}": f"{name} out"}


def _front_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    front = summary["pareto_front"]
    if front:
        shown = ", ".join(f"#{index}" for index in front[:_BEST])
        more = f" and {len(front) - _BEST:,} more" if len(front) > _BEST else ""
        yield f"no other trial beats in every objective: {shown}{more}"


def _out_of_sample_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    judged = summary["out_of_sample"]
    if not judged:
        return
    names = list(judged[0]["parameters"])
    yield f"best {judged[0]['metric']} on the first bars (in), and what came of it later (out)"
    yield from _table(
        ["#", *names, "in", "out", "change"],
        [
            [
                str(item["index"]),
                *(str(item["parameters"][name]) for name in names),
                _shown(item["in_sample"]),
                _shown(item["out_of_sample"]),
                _change(item["in_sample"], item["out_of_sample"]),
            ]
            for item in judged
        ],
    )
    if summary["rank_correlation"] is not None:
        yield f"rank correlation of in and out over all trials {summary['rank_correlation']:+.2f}"
    yield ""


def _change(before: float | None, after: float | None) -> str:
    return "--" if before is None or after is None else f"{after - before:+.3f}"


def _walk_forward_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    walk = summary["walk_forward"]
    if walk is None:
        return
    yield "walk forward"
    yield from _table(
        ["fold", "train", "test", "parameters", "in", "out", "efficiency", "return"],
        [
            [
                str(fold["fold"]),
                "{}..{}".format(*fold["train"]),
                "{}..{}".format(*fold["test"]),
                "--"
                if fold["parameters"] is None
                else " ".join(f"{name}={value}" for name, value in fold["parameters"].items()),
                _shown(fold["in_sample"]),
                _shown(fold["out_of_sample"]),
                _shown(fold["efficiency"]),
                "--" if fold["total_return"] is None else f"{fold['total_return']:+.2%}",
            ]
            for fold in walk["folds"]
        ],
    )
    if walk["stitched_return"] is not None:
        curve = walk.get("stitched") or {}
        sharpe, fall = curve.get("sharpe"), curve.get("max_drawdown")
        more = "" if sharpe is None else f", Sharpe {sharpe:.3f}"
        more += "" if fall is None else f", deepest fall {fall:.1%}"
        yield f"return of the tests one after another {walk['stitched_return']:+.2%}{more}"
    yield ""


def _failure_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    failed = [row for row in summary["rows"] if row["error"]]
    if not failed:
        return
    yield f"{len(failed):,} trials without a result"
    for row in failed[:5]:
        parameters = " ".join(f"{name}={value}" for name, value in row["parameters"].items())
        yield f"  #{row['index']} {parameters}  {row['status']}: {row['error']['message']}"
    if len(failed) > 5:
        yield f"  and {len(failed) - 5:,} more"
    yield ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for line in (head, *rows):
        yield "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))


def _shown(value: object) -> str:
    number = _number(value)
    if number is None:
        return "--"
    if number == int(number) and abs(number) < 1e9:
        return f"{int(number):,}"
    return f"{number:,.3f}"


def _number(value: object) -> float | None:
    match value:
        case bool() | None:
            return None
        case int() | float():
            return float(value)
        case str():
            try:
                return float(value)
            except ValueError:
                return None
        case _:
            return None


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s"
