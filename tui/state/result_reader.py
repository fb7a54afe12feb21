"""Reads what the viewer draws, in a worker: windows on curves, plain values, nothing of numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tui.state.plot import Curve

if TYPE_CHECKING:
    from engine.api.console import ConsoleEngine
    from engine.api.result_tables import ResultTables, TradeRow

MARKED_TRADES: Final = 400
_BINS: Final = 31


@dataclass(frozen=True, slots=True)
class ChartData:
    """What is drawn between two instants."""

    from_ns: int
    to_ns: int
    equity: Curve
    drawdown: Curve
    price: Curve
    hold: Curve
    """The first equity, held in the instrument."""
    trades: tuple[TradeRow, ...] = ()
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class ResultFacts:
    """What does not depend on the window."""

    span_ns: tuple[int, int]
    trade_count: int
    symbols: tuple[str, ...]
    metrics: Mapping[str, Any]
    months: tuple[tuple[int, int, float], ...]
    """Year, month, return."""
    spread: tuple[tuple[float, float, int], ...]
    """Lower and upper edge, count, of the daily returns."""
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class ResultReader:
    """Two views of one result: one for the worker's curves, one for the trades on the screen.

    ``curves`` is only used by workers, which run one after the other; ``trades`` only by the
    screen, once ``open`` has read it.
    """

    curves: ResultTables
    trades: ResultTables
    facts: ResultFacts
    _base: dict[int, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def open(cls, engine: ConsoleEngine, backtest_id: str) -> ResultReader | None:
        """Open a result; None if there is none. Reads files: call it in a worker.

        Raises:
            EngineError: the files are damaged.
        """
        curves, trades = engine.backtest_result(backtest_id), engine.backtest_result(backtest_id)
        if curves is None or trades is None:
            return None
        _ = trades.trades(0, 1)  # reads the table here, not on the screen's loop
        histogram = curves.distribution(_BINS)
        edges = [float(edge) for edge in histogram.edges]
        counts = [int(count) for count in histogram.counts]
        facts = ResultFacts(
            span_ns=curves.span_ns,
            trade_count=trades.trade_count,
            symbols=tuple(one.symbol for one in curves.instruments),
            metrics=dict(curves.metrics),
            months=tuple((one.year, one.month, float(one.value)) for one in curves.months),
            spread=tuple(zip(edges[:-1], edges[1:], counts, strict=True)) if counts else (),
            warnings=tuple(map(str, curves.document.get("warnings") or ())),
        )
        return cls(curves, trades, facts)

    def chart(self, buckets: int, from_ns: int, to_ns: int, *, symbol: int = 0) -> ChartData:
        """Return the curves between two stamps; O(samples in the window): call it in a worker."""
        view = self.curves
        price, hold = self._price(buckets, from_ns, to_ns, symbol)
        return ChartData(
            from_ns=from_ns,
            to_ns=to_ns,
            equity=_curve(view.equity(buckets, from_ns=from_ns, to_ns=to_ns)),
            drawdown=_curve(view.drawdown(buckets, from_ns=from_ns, to_ns=to_ns), sign=-1.0),
            price=price,
            hold=hold,
            trades=tuple(view.trades_between(from_ns, to_ns, most=MARKED_TRADES)),
            symbol=self.facts.symbols[symbol] if self.facts.symbols else "",
        )

    def _price(self, buckets: int, from_ns: int, to_ns: int, symbol: int) -> tuple[Curve, Curve]:
        view = self.curves
        if not view.has_prices(symbol):
            return Curve(), Curve()
        joined = view.price(buckets, symbol=symbol, from_ns=from_ns, to_ns=to_ns)
        opened, closed = joined.ts_open.tolist(), joined.ts_close.tolist()
        low, high, close = joined.low.tolist(), joined.high.tolist(), joined.close.tolist()
        stamps: list[int] = []
        values: list[float] = []
        for place, end_ns in enumerate(closed):
            start_ns = max(from_ns, opened[place])
            middle_ns = (start_ns + end_ns) // 2
            stamps += (middle_ns, middle_ns, end_ns)
            values += (low[place], high[place], close[place])
        if len(self.facts.symbols) != 1:
            return Curve(stamps, values), Curve()
        cash, first = self._start(symbol)
        hold = [cash * value / first for value in close] if first else []
        return Curve(stamps, values), Curve(closed if hold else (), hold)

    def _start(self, symbol: int) -> tuple[float, float]:
        """Return the first equity and the first close, for the comparison with holding."""
        if symbol not in self._base:
            start_ns, end_ns = self.facts.span_ns
            _, equity = self.curves.equity(1)
            every = self.curves.price(1, symbol=symbol, from_ns=start_ns, to_ns=end_ns)
            first = float(every.open[0]) if len(every) else 0.0
            self._base[symbol] = (float(equity[0]) if len(equity) else 0.0, first)
        return self._base[symbol]


def _curve(samples: tuple[Any, Any], *, sign: float = 1.0) -> Curve:
    stamps, values = samples
    return Curve(stamps.tolist(), [sign * value for value in values.tolist()])


def relative(curve: Curve, *, first: float | None = None) -> Curve:
    """Return *curve* as a fraction gained since its first value."""
    values: Sequence[float] = curve.values
    start = values[0] if first is None and values else first
    if not start:
        return curve
    return Curve(curve.stamps, [value / start - 1 for value in values])
