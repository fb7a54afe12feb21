"""What a strategy sees of a backtest: bars up to now, its indicators, its position."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.backtest.indicator_columns import indicator_column
from engine.model.bar_columns import FLAG_COLUMNS, INTEGER_COLUMNS, BarColumns
from engine.model.bar_view import AnyBar, BarHistory, BarLists, reader
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick
from engine.strategies.indicators import (
    IndicatorLine,
    IndicatorType,
    find_indicator,
    indicator_types,
)
from engine.strategies.signals import Signal
from engine.strategies.strategy import Strategy

if TYPE_CHECKING:
    from engine.portfolio.bar_account import BarAccount


class Cursor:
    """Index of the newest bar of one symbol; only the run moves it."""

    __slots__ = ("index",)

    def __init__(self) -> None:
        self.index = -1


class ColumnLine:
    """An indicator that was computed as a whole column; reads up to the cursor only."""

    __slots__ = ("_cursor", "_first", "_values", "column")

    def __init__(self, column: NDArray[Any], cursor: Cursor, first: int) -> None:
        self.column = column
        self._values: Sequence[Any] = reader(column)
        self._cursor = cursor
        self._first = first

    def __call__(self, back: int = 0) -> Any:  # noqa: ANN401 (int or float, as the indicator)
        """Return the value *back* bars before the current one; None before the first.

        Raises:
            ValueError: *back* is negative: that bar is not known yet.
        """
        index = self._cursor.index
        if back:
            if back < 0:
                raise ValueError(f"bar {back} before the current one lies in the future")
            index -= back
        return None if index < self._first else self._values[index]


class SymbolFeed:
    """One symbol of a run: columns, lists, cursor, and the indicators that were asked for."""

    __slots__ = ("columns", "cursor", "index", "lines", "lists", "market", "run", "ts_close")

    def __init__(self, index: int, columns: BarColumns, run: BarColumns | None = None) -> None:
        self.index = index
        self.columns = columns
        self.market = columns.instrument.market
        self.lists = BarLists(columns)
        self.cursor = Cursor()
        self.lines: dict[tuple[str, str], ColumnLine] = {}
        self.run = columns if run is None else run
        """The bars that are matched: finer ones, if the data have them (TIME-4)."""
        self.ts_close: Sequence[int] = reader(self.run.ts_close)

    def all_columns(self) -> Iterator[NDArray[Any]]:
        """Yield the columns that a run reads, and the indicators that were asked for."""
        for bars in {id(one): one for one in (self.columns, self.run)}.values():
            for name in (*INTEGER_COLUMNS, *FLAG_COLUMNS):
                yield getattr(bars, name)
        for line in self.lines.values():
            yield line.column

    @property
    def is_fine(self) -> bool:
        """Whether orders are matched on finer bars than the strategy sees."""
        return self.run is not self.columns


class StrategySeat:
    """The context of one strategy.

    Args:
        strategy: whose context it is.
        feeds: the symbols that it sees, its own first.
        account: equity and positions; read only here.
        rng: gives the generator of the container (DET-3).
        outbox: where signals go, with the strategy's number.
        number: the strategy's place among the strategies of the container.
    """

    def __init__(
        self,
        strategy: Strategy,
        feeds: Sequence[SymbolFeed],
        *,
        account: BarAccount,
        rng: Callable[[], np.random.Generator],
        outbox: list[tuple[int, Signal]],
        number: int,
    ) -> None:
        self._feeds = {feed.market: feed for feed in feeds}
        self._first = feeds[0]
        self._account = account
        self._outbox = outbox
        self._number = number
        self._types: Mapping[str, IndicatorType] = {**indicator_types(), **strategy.indicators}
        self._rng = rng

    @property
    def rng(self) -> np.random.Generator:
        """Return the container's generator, seeded by the run (DET-3)."""
        return self._rng()

    @property
    def market(self) -> ConnectorPair:
        """Return the strategy's market; the first one if it has several."""
        return self._first.market

    @property
    def markets(self) -> tuple[ConnectorPair, ...]:
        """Return all markets whose bars the strategy sees."""
        return tuple(self._feeds)

    @property
    def equity(self) -> Decimal:
        """Return the equity at the last marks."""
        instrument = self._first.columns.instrument
        return instrument.money(self._account.equity)

    def now_ns(self) -> int:
        """Return the end of the newest bar."""
        return max(
            (
                feed.lists.ts_close[feed.cursor.index]
                for feed in self._feeds.values()
                if feed.cursor.index >= 0
            ),
            default=0,
        )

    def bar_index(self, market: ConnectorPair | None = None) -> int:
        """Return the index of the current bar, from 0; -1 before the first."""
        return self._feed(market).cursor.index

    def signal(self, signal: Signal) -> None:
        """Emit *signal*; the risk manager sees it after the hook has returned.

        Raises:
            TypeError: it is no signal.
        """
        if not isinstance(signal, Signal):
            raise TypeError(f"ctx.signal takes a Signal, not {type(signal).__name__}")
        self._outbox.append((self._number, signal))

    def history(self, market: ConnectorPair | int, n: int | None = None) -> Sequence[AnyBar]:
        """Return at most the last *n* bars, oldest first, the current one last (STR-3)."""
        if isinstance(market, int):
            feed, count = self._first, market
        else:
            feed, count = self._feed(market), 1 if n is None else n
        stop = feed.cursor.index + 1
        return BarHistory(feed.lists, stop - max(0, count), stop)

    def indicator(
        self,
        name: str,
        *,
        market: ConnectorPair | None = None,
        **params: Any,  # noqa: ANN401 (parameters of the indicator)
    ) -> IndicatorLine:
        """Return a registered indicator, computed as a whole column (STR-4).

        Raises:
            ConfigurationError: it is not registered, or looks ahead.
        """
        feed = self._feed(market)
        key = (name, repr(sorted(params.items())))
        line = feed.lines.get(key)
        if line is None:
            kind = find_indicator(self._types, name)
            column = indicator_column(kind, feed.columns, params)
            line = ColumnLine(column, feed.cursor, kind.lookback(params) - 1)
            feed.lines[key] = line
        return line

    def instrument(self, market: ConnectorPair) -> Instrument:
        """Return the instrument of *market*."""
        return self._feed(market).columns.instrument

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return nothing: bars have no quotes."""
        del market
        return None

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed position of *market*."""
        return self._account.positions[self._feed(market).index].lots

    def _feed(self, market: ConnectorPair | None) -> SymbolFeed:
        return self._first if market is None else self._feeds[market]
