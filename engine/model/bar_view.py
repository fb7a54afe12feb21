"""One bar, or the last few, as views of columns: nothing is copied and nothing can be written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, overload

from engine.model.bar_columns import BarColumns, IntArray
from engine.model.instruments import ConnectorPair


class AnyBar(Protocol):
    """What strategies may read of a bar: a record in paper, a view of columns in a backtest."""

    @property
    def market(self) -> ConnectorPair:
        """Its market."""
        ...

    @property
    def ts_open_ns(self) -> int:
        """Its start."""
        ...

    @property
    def ts_close_ns(self) -> int:
        """Its end, at which it is known."""
        ...

    @property
    def open_ticks(self) -> int:
        """Its first price."""
        ...

    @property
    def high_ticks(self) -> int:
        """Its highest price."""
        ...

    @property
    def low_ticks(self) -> int:
        """Its lowest price."""
        ...

    @property
    def close_ticks(self) -> int:
        """Its last price."""
        ...

    @property
    def volume_lots(self) -> int:
        """Its volume, -1 when it is unknown."""
        ...


def reader(values: Any) -> Any:  # noqa: ANN401 (an array of any type, its values as Python has them)
    """Return a one-dimensional array as a sequence of Python values over the same memory."""
    return memoryview(values)


class BarLists:
    """The columns of one symbol as plain sequences of ints, without a copy.

    A memory view gives a Python int three times faster than an array, and a million bars cost no
    memory, as lists would.
    """

    __slots__ = (
        "close",
        "columns",
        "high",
        "length",
        "low",
        "market",
        "open",
        "ts_close",
        "ts_open",
        "volume",
    )

    def __init__(self, columns: BarColumns) -> None:
        self.columns = columns
        self.market = columns.instrument.market
        self.length = len(columns)
        self.ts_open: Sequence[int] = reader(columns.ts_open)
        self.ts_close: Sequence[int] = reader(columns.ts_close)
        self.open: Sequence[int] = reader(columns.open)
        self.high: Sequence[int] = reader(columns.high)
        self.low: Sequence[int] = reader(columns.low)
        self.close: Sequence[int] = reader(columns.close)
        self.volume: Sequence[int] = reader(columns.volume)


class BarView:
    """Bar ``index`` of some lists."""

    __slots__ = ("_lists", "index")

    def __init__(self, lists: BarLists, index: int) -> None:
        self._lists = lists
        self.index = index

    @property
    def market(self) -> ConnectorPair:
        """Return its market."""
        return self._lists.market

    @property
    def ts_open_ns(self) -> int:
        """Return its start."""
        return self._lists.ts_open[self.index]

    @property
    def ts_close_ns(self) -> int:
        """Return its end."""
        return self._lists.ts_close[self.index]

    @property
    def open_ticks(self) -> int:
        """Return its first price."""
        return self._lists.open[self.index]

    @property
    def high_ticks(self) -> int:
        """Return its highest price."""
        return self._lists.high[self.index]

    @property
    def low_ticks(self) -> int:
        """Return its lowest price."""
        return self._lists.low[self.index]

    @property
    def close_ticks(self) -> int:
        """Return its last price."""
        return self._lists.close[self.index]

    @property
    def volume_lots(self) -> int:
        """Return its volume, -1 when it is unknown."""
        return self._lists.volume[self.index]

    def __eq__(self, other: object) -> bool:
        names = (
            "market",
            "ts_open_ns",
            "ts_close_ns",
            "open_ticks",
            "high_ticks",
            "low_ticks",
            "close_ticks",
            "volume_lots",
        )
        return all(getattr(self, name) == getattr(other, name, None) for name in names)

    __hash__ = None  # type: ignore[assignment]  # a view is no key

    def __repr__(self) -> str:
        return f"<bar {self.index} of {self.market}>"


class BarHistory(Sequence[BarView]):
    """Bars ``start`` to ``stop`` (exclusive), oldest first; its columns are views."""

    __slots__ = ("_lists", "_start", "_stop")

    def __init__(self, lists: BarLists, start: int, stop: int) -> None:
        self._lists = lists
        self._start = max(0, start)
        self._stop = stop

    def __len__(self) -> int:
        return max(0, self._stop - self._start)

    @overload
    def __getitem__(self, index: int) -> BarView: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[BarView]: ...

    def __getitem__(self, index: int | slice) -> BarView | Sequence[BarView]:
        """Return the bar *index* of the window, or several."""
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"bar {index} of a window of {size}")
        return BarView(self._lists, self._start + index if index >= 0 else self._stop + index)

    def __iter__(self) -> Iterator[BarView]:
        return (BarView(self._lists, index) for index in range(self._start, self._stop))

    def column(self, name: str) -> IntArray:
        """Return a column of the window, read-only: ``close``, ``volume``, a feature's name, ..."""
        columns = self._lists.columns
        values: Any = columns.features.get(name)
        if values is None:
            values = getattr(columns, name)
        window: IntArray = values[self._start : self._stop]
        return window
