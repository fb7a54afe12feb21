"""The data handler of backtests: shared columns, own windows and own cursor."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from engine.markets.timelines import timeline_of
from engine.markets.windows import SplitSettings, Window, WindowName, split_windows
from engine.model.bar_columns import BarColumns
from engine.model.timeline import Timeline

DEFAULT_CACHE_SIZE: Final = 10_000


class HistoricalDataHandler:
    """Gives a run its bars, and no bar before its time.

    The columns are shared and read-only; windows and cursor belong to this handler, so each split
    runs with its own. A handler of the window ``train`` does not hold the bars after it. One of
    the window ``test`` holds the earlier bars for warm-up, but its timeline begins at the split.

    Args:
        columns: bars of each symbol in the order of declaration.
        cache_size: bars of the hot window (STR-3); asking for more reads the shared columns, which
            changes nothing but the time it takes.
        enable_splits: whether `train` and `test` exist.
        split: how they are cut.
        window: the window of this handler.

    Raises:
        ValueError: a symbol appears twice, or a window is empty.
    """

    reusable: Final = True

    def __init__(
        self,
        columns: Sequence[BarColumns],
        *,
        cache_size: int = DEFAULT_CACHE_SIZE,
        enable_splits: bool = False,
        split: SplitSettings | None = None,
        window: WindowName = "full",
    ) -> None:
        if cache_size < 1:
            raise ValueError(f"cache_size: {cache_size} is not a number of bars above 0")
        if window != "full" and not enable_splits:
            raise ValueError(f"window {window!r} needs enable_splits: true")
        symbols = [one.symbol for one in columns]
        if len(set(symbols)) != len(symbols):
            raise ValueError(f"symbols: {', '.join(symbols)} are not all different")
        self._all = tuple(columns)
        self._cache_size = cache_size
        self._enable_splits = enable_splits
        self._split = split or SplitSettings()
        self.window_name: WindowName = window
        self.windows: tuple[Window, ...] = split_windows(columns, self._split, name=window)
        self._columns = tuple(
            one.prefix(span.stop_bar) for one, span in zip(columns, self.windows, strict=True)
        )
        self._index: Mapping[str, int] = MappingProxyType(
            {symbol: index for index, symbol in enumerate(symbols)}
        )
        self._timeline: Timeline | None = None
        self._hot: list[tuple[int, BarColumns]] = []
        self._cursor: list[int] = []
        self.reset()

    # --- component -------------------------------------------------------------------------------

    def initialize(self, ctx: object) -> None:
        """Take the container's context; nothing is needed of it."""

    def start(self) -> None:
        """Start the component; the run moves the cursor."""

    def stop(self) -> None:
        """Stop the component."""

    def reset(self) -> None:
        """Go back to before the first bar."""
        self._cursor = [-1] * len(self._columns)
        self._hot = [(0, one.slice(0, self._cache_size)) for one in self._columns]

    def teardown(self) -> None:
        """Let go of the columns."""
        self._columns = self._all = ()
        self._hot = []
        self._timeline = None

    # --- the data --------------------------------------------------------------------------------

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the symbols in the order of declaration."""
        return tuple(self._index)

    @property
    def bars(self) -> tuple[BarColumns, ...]:
        """Return the columns up to the end of this handler's window, one per symbol."""
        return self._columns

    def columns(self, symbol: str) -> BarColumns:
        """Return the columns of *symbol* up to the end of this handler's window.

        Raises:
            KeyError: the symbol is not part of the run.
        """
        return self._columns[self.index_of(symbol)]

    def index_of(self, symbol: str) -> int:
        """Return the place of *symbol* in the declaration.

        Raises:
            KeyError: the symbol is not part of the run.
        """
        try:
            return self._index[symbol]
        except KeyError:
            known = ", ".join(self._index)
            raise KeyError(f"symbol {symbol!r} is not part of the run, use {known}") from None

    def window(self, symbol: str) -> Window:
        """Return this handler's window of *symbol*."""
        return self.windows[self.index_of(symbol)]

    @property
    def timeline(self) -> Timeline:
        """Return the bars of the window in the order in which they become known (TIME-1)."""
        if self._timeline is None:
            self._timeline = timeline_of(
                self._columns,
                starts=[span.decision_bar for span in self.windows],
                stops=[span.stop_bar for span in self.windows],
            )
        return self._timeline

    @property
    def train(self) -> HistoricalDataHandler:
        """Return a handler of the train window over the same columns."""
        return self._of("train")

    @property
    def test(self) -> HistoricalDataHandler:
        """Return a handler of the test window over the same columns."""
        return self._of("test")

    @property
    def full(self) -> HistoricalDataHandler:
        """Return a handler of all bars over the same columns."""
        return self._of("full")

    def _of(self, window: WindowName) -> HistoricalDataHandler:
        return HistoricalDataHandler(
            self._all,
            cache_size=self._cache_size,
            enable_splits=self._enable_splits,
            split=self._split,
            window=window,
        )

    @property
    def data_hash(self) -> str:
        """Return the hash of what this handler gives: columns by symbol, and the window."""
        digest = hashlib.sha256(f"DATA1\n{self.window_name}\n".encode())
        for one, span in zip(self._columns, self.windows, strict=True):
            digest.update(f"{one.symbol} {one.data_hash} {span.decision_bar}\n".encode())
        return digest.hexdigest()

    # --- the present -----------------------------------------------------------------------------

    def advance(self, symbol_index: int, bar: int) -> None:
        """Make *bar* the newest one that is known of a symbol.

        Raises:
            ValueError: it lies before the present one or behind the window.
        """
        if not self._cursor[symbol_index] <= bar < len(self._columns[symbol_index]):
            raise ValueError(
                f"{self.symbols[symbol_index]}: bar {bar} does not follow "
                f"{self._cursor[symbol_index]} of {len(self._columns[symbol_index])}"
            )
        self._cursor[symbol_index] = bar

    def history(self, symbol: str, n: int) -> BarColumns:
        """Return at most the last *n* bars up to the present one, as read-only views (STR-3)."""
        index = self.index_of(symbol)
        stop = self._cursor[index] + 1
        start = max(0, stop - n)
        first, hot = self._hot[index]
        if n <= self._cache_size and not first <= start <= stop <= first + len(hot):
            # Twice the size, so that it moves once in cache_size bars.
            first = start
            hot = self._columns[index].slice(start, start + 2 * self._cache_size)
            self._hot[index] = (first, hot)
        if first <= start and stop <= first + len(hot):
            return hot.slice(start - first, stop - first)
        return self._columns[index].slice(start, stop)
