"""Look-ahead checks (LOOK-1 to LOOK-4): prefix, poison and recursion tests.

A strategy that uses what it cannot know yet gives other decisions when the later bars are taken
away, made unusable, or replaced. Decisions are all signals with all their order fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from engine.backtest.assembly import RunRequest, build_run, make_strategies
from engine.backtest.control import RunControl
from engine.backtest.market_data import MarketData
from engine.backtest.strategy_seat import StrategySeat, SymbolFeed
from engine.flow.errors import EngineError
from engine.model.bar_columns import BarColumns
from engine.model.draws import mix
from engine.strategies.indicators import IndicatorType, first_leak, indicator_types
from engine.strategies.signal_rows import rows_of
from engine.strategies.signals import Signal

CUTS: Final = 8
MAX_BARS: Final = 3000
"""Bars that the checks use: each cut runs the strategy again."""
RECURSION_ROWS: Final = (50, 100, 200, 500, 1000)
_POISON_STREAM: Final = 101

Decision = tuple[int, int, str]
"""(symbol, bar, everything about the signal as text)."""


@dataclass(frozen=True, slots=True)
class LookAheadFinding:
    """What one test found about one indicator or signal; ``bar`` is the cut at which it failed."""

    test: str
    subject: str
    passed: bool
    bar: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class LookAheadReport:
    """All findings; ``recursion`` has the relative change of indicators by preceding bars."""

    findings: tuple[LookAheadFinding, ...]
    recursion: Mapping[str, Mapping[str, float | None]]
    bars: int
    cuts: tuple[int, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing looked ahead."""
        return all(one.passed for one in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "passed": self.passed,
            "lookahead": "passed" if self.passed else "failed",
            "bars": self.bars,
            "cuts": list(self.cuts),
            "findings": [
                {
                    "test": one.test,
                    "subject": one.subject,
                    "passed": one.passed,
                    "bar": one.bar,
                    "text": one.text,
                }
                for one in self.findings
            ],
            "recursion": {name: dict(changes) for name, changes in self.recursion.items()},
        }


def check_request(request: RunRequest, *, cuts: int = CUTS) -> LookAheadReport:
    """Run LOOK-1 to LOOK-3 on the strategy of *request* and report."""
    columns = tuple(one.prefix(MAX_BARS) for one in request.data.columns)
    short = replace(request, data=MarketData(columns, {}))
    length = min(len(one) for one in columns)
    points = _cuts(length, cuts)
    whole = decisions(short)
    findings = [
        *_prefix_test(short, whole, points),
        *_poison_test(short, whole, points),
        *_table_test(short, points),
        *_indicator_test(short),
    ]
    return LookAheadReport(tuple(findings), _recursion(short), length, points)


def decisions(request: RunRequest) -> list[Decision]:
    """Return every signal that the strategies give over the data of *request*."""
    config = request.config.model_copy(
        update={"record_events": False, "close_positions_at_end": False}
    )
    built = build_run(replace(request, config=config), RunControl())
    found: list[Decision] = []
    with built.container as container:
        recorder = _Outbox(found, {one.market: one.index for one in _feeds_of(built.run)})
        container.start()
        built.run.listen(recorder.take)
        built.run.begin()
        built.run.run()
        container.stop()
    return found


class _Outbox:
    """Writes down signals as they are given."""

    def __init__(self, found: list[Decision], symbols: Mapping[Any, int]) -> None:
        self._found = found
        self._symbols = symbols

    def take(self, bar: int, signal: object) -> None:
        symbol = self._symbols.get(getattr(signal, "market", None), -1)
        self._found.append((symbol, bar, repr(signal)))


def _feeds_of(run: Any) -> Sequence[SymbolFeed]:  # noqa: ANN401 (a BarRun)
    feeds: Sequence[SymbolFeed] = run.feeds
    return feeds


def _cuts(length: int, cuts: int) -> tuple[int, ...]:
    """Return *cuts* bar indexes spread over the data, and the last but one."""
    if length < 3:
        return ()
    spread = {length * (step + 1) // (cuts + 1) for step in range(cuts)}
    return tuple(sorted(spread | {length - 2}))


def _until(found: Sequence[Decision], cut_ns: Sequence[int]) -> list[Decision]:
    return [one for one in found if one[0] < 0 or one[1] <= cut_ns[one[0]]]


def _prefix_test(
    request: RunRequest, whole: Sequence[Decision], points: Sequence[int]
) -> list[LookAheadFinding]:
    """LOOK-1: without the bars after the cut the decisions up to it are the same."""
    for cut in points:
        bars = _bars_at(request.data.columns, cut)
        data = MarketData(
            tuple(one.prefix(bar + 1) for one, bar in zip(request.data.columns, bars, strict=True)),
            {},
        )
        found = _attempt(replace(request, data=data))
        problem = _difference(_until(whole, bars), found)
        if problem:
            return [LookAheadFinding("prefix", "signals", passed=False, bar=cut, text=problem)]
    return [LookAheadFinding("prefix", "signals", passed=True)]


def _poison_test(
    request: RunRequest, whole: Sequence[Decision], points: Sequence[int]
) -> list[LookAheadFinding]:
    """LOOK-2: bars after the cut become a random walk; decisions up to it do not change."""
    for cut in points:
        bars = _bars_at(request.data.columns, cut)
        data = MarketData(
            tuple(
                poisoned(one, bar, seed=request.config.seed)
                for one, bar in zip(request.data.columns, bars, strict=True)
            ),
            {},
        )
        found = _attempt(replace(request, data=data))
        problem = _difference(
            _until(whole, bars),
            found if isinstance(found, str) else _until(found, bars),
        )
        if problem:
            return [LookAheadFinding("poison", "signals", passed=False, bar=cut, text=problem)]
    return [LookAheadFinding("poison", "signals", passed=True)]


def _attempt(request: RunRequest) -> list[Decision] | str:
    try:
        return decisions(request)
    except EngineError as error:
        return error.message


def _difference(expected: Sequence[Decision], found: Sequence[Decision] | str) -> str:
    if isinstance(found, str):
        return f"the strategy fails without the later bars: {found}"
    if list(expected) == list(found):
        return ""
    for before, after in zip(expected, found, strict=False):
        if before != after:
            return f"bar {min(before[1], after[1])}: {before[2]} became {after[2]}"
    place = expected[len(found)] if len(expected) > len(found) else found[len(expected)]
    return f"bar {place[1]}: {place[2]} {'is gone' if len(expected) > len(found) else 'is new'}"


def _bars_at(columns: Sequence[BarColumns], cut: int) -> list[int]:
    """Return the newest bar of each symbol when the first symbol's bar *cut* ends."""
    now_ns = int(columns[0].ts_close[cut])
    return [max(0, one.closes_by(now_ns) - 1) for one in columns]


def poisoned(columns: BarColumns, cut: int, *, seed: int) -> BarColumns:
    """Return *columns* with the bars after *cut* replaced by a seeded random walk.

    Features after the cut become NaN, and so does the adjusted price of a leak.
    """
    count = len(columns) - cut - 1
    if count <= 0:
        return columns
    rng = np.random.Generator(np.random.PCG64(mix(seed ^ _POISON_STREAM) ^ cut))
    last = int(columns.close[cut])
    step = max(1, abs(last) // 50)
    walk = np.maximum(5, last + np.cumsum(rng.integers(-step, step + 1, count)))
    opens = np.concatenate(([last], walk[:-1]))
    spread = rng.integers(0, step + 1, count)
    changed = {
        "open": opens,
        "high": np.maximum(opens, walk) + spread,
        "low": np.maximum(1, np.minimum(opens, walk) - spread),
        "close": walk,
        "volume": rng.integers(0, 1000, count),
    }
    values = {
        name: np.concatenate((getattr(columns, name)[: cut + 1], after)).astype(np.int64)
        for name, after in changed.items()
    }
    features = {
        name: np.concatenate((column[: cut + 1], np.full(count, np.nan)))
        for name, column in columns.features.items()
    }
    return replace(columns, **values, features=features)  # type: ignore[arg-type]  # columns by name


def _table_test(request: RunRequest, points: Sequence[int]) -> list[LookAheadFinding]:
    """LOOK-1 for tables of signals: rows up to the cut do not hang on later bars."""
    findings = []
    for seated in make_strategies(request):
        for symbol in seated.symbols:
            columns = request.data.columns[symbol]
            table = seated.strategy.signals(columns)
            if table is None:
                continue
            subject = f"signals() of {seated.id}"
            whole = rows_of(table)
            bad = None
            for cut in points:
                part = seated.strategy.signals(columns.prefix(cut + 1))
                known = [row for row in whole if row.bar <= cut]
                if part is None or rows_of(part) != known:
                    bad = cut
                    break
            text = "" if bad is None else "rows change when later bars are taken away"
            findings.append(
                LookAheadFinding("prefix", subject, passed=bad is None, bar=bad, text=text)
            )
    return findings


def _indicators_of(request: RunRequest) -> list[tuple[str, IndicatorType, Mapping[str, Any], int]]:
    """Return (label, type, parameters, symbol) of the indicators that the strategies ask for."""
    asked: list[tuple[str, IndicatorType, Mapping[str, Any], int]] = []
    feeds = [SymbolFeed(index, one) for index, one in enumerate(request.data.columns)]
    for seated in make_strategies(request):
        seat = _AskingSeat(seated.strategy, [feeds[one] for one in seated.symbols], asked)
        seated.strategy.bind(seat)
        seated.strategy.on_start()
    return asked


class _AskingSeat(StrategySeat):
    """A seat that writes down which indicators are asked for."""

    def __init__(
        self,
        strategy: Any,  # noqa: ANN401 (a Strategy)
        feeds: Sequence[SymbolFeed],
        asked: list[tuple[str, IndicatorType, Mapping[str, Any], int]],
    ) -> None:
        outbox: list[tuple[int, Signal]] = []
        account: Any = None
        super().__init__(
            strategy,
            feeds,
            account=account,
            rng=lambda: np.random.Generator(np.random.PCG64(0)),
            outbox=outbox,
            number=0,
        )
        self._asked = asked
        self._all_types = {**indicator_types(), **strategy.indicators}

    def indicator(self, name: str, *, market: Any = None, **params: Any) -> Any:  # noqa: ANN401
        kind = self._all_types.get(name)
        feed = self._feed(market)
        if kind is not None:
            inner = ", ".join(f"{key}={value}" for key, value in params.items())
            self._asked.append((f"{name}({inner})", kind, params, feed.index))
            self._all_types[name] = kind
            trusted = replace(kind, is_trusted=True)
            values = np.asarray(trusted.compute(feed.columns, params)).tolist()
            return lambda back=0: values[feed.cursor.index - back]
        return super().indicator(name, market=market, **params)


def _indicator_test(request: RunRequest) -> list[LookAheadFinding]:
    """LOOK-1 for each indicator: its values up to the cut do not hang on later bars."""
    findings = []
    for label, kind, params, symbol in _indicators_of(request):
        columns = request.data.columns[symbol]
        column = np.asarray(kind.compute(columns, params))
        cut = first_leak(kind, columns, params, column, cuts=CUTS)
        text = "" if cut is None else "a value changes when later bars are taken away"
        findings.append(LookAheadFinding("prefix", label, passed=cut is None, bar=cut, text=text))
    return findings


def _recursion(request: RunRequest) -> dict[str, dict[str, float | None]]:
    """LOOK-3: relative change of each indicator at the last bar by the number of bars before."""
    report: dict[str, dict[str, float | None]] = {}
    for label, kind, params, symbol in _indicators_of(request):
        columns = request.data.columns[symbol]
        if not len(columns):
            continue
        whole = float(np.asarray(kind.compute(columns, params))[-1])
        changes: dict[str, float | None] = {}
        for rows in RECURSION_ROWS:
            if kind.lookback(params) <= rows < len(columns):
                part = columns.slice(len(columns) - rows, len(columns))
                value = float(np.asarray(kind.compute(part, params))[-1])
                change = abs(value - whole) / abs(whole) if whole else abs(value - whole)
                changes[str(rows)] = change if np.isfinite(change) else None
        report[label] = changes
    return report
