"""Bars of one instrument as read-only integer columns (DATA-10, DATA-11)."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from engine.model.instruments import Instrument
from engine.model.quotes import Bar

IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]

MISSING: Final = -(2**63)
"""A `vwap`, `trades` or `spread` that the source does not give for a bar."""
UNKNOWN_VOLUME: Final = -1
BLOCK_ROWS: Final = 1 << 16
"""Rows of a column that are worked on at once, so that long columns need not be in memory."""
_PICKED_AT_ONCE: Final = 1 << 9
DAY_NS: Final = 86_400_000_000_000

INTEGER_COLUMNS: Final = ("ts_open", "ts_close", "open", "high", "low", "close", "volume")
OPTIONAL_COLUMNS: Final = ("vwap", "trades", "spread")
FLAG_COLUMNS: Final = ("is_synthetic", "starts_session", "ends_session")


class ColumnMemo(Protocol):
    """Keeps columns that were computed of bars, for others that want the same."""

    def get(self, key: Hashable, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the column *key*, read-only; *compute* makes it the first time. Any thread."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class BarColumns:
    """Bars of one instrument in the order of time.

    Stamps are nanoseconds since the epoch, UTC; a bar covers ``[ts_open, ts_close)`` and is known
    from ``ts_close`` on (DATA-1). Prices are in ticks, ``volume`` in lots (-1 unknown). A synthetic
    bar stands for one that the source does not have: nothing fills on it. ``vwap`` and ``spread``
    are in ticks, ``trades`` is a count; `MISSING` marks a bar without one. ``features`` are the
    further numeric columns of the source, NaN where blank. ``duration_ns`` is the nominal length.
    ``is_closed`` marks bars outside of the sessions of a calendar; None without one. ``memo`` keeps
    what is computed of exactly these bars while many runs share them.

    All arrays are made non-writable: a write raises ValueError at once. The columns may be
    memory-mapped. Equality is identity; compare `data_hash`.
    """

    instrument: Instrument
    symbol: str
    duration_ns: int
    ts_open: IntArray
    ts_close: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    volume: IntArray
    is_synthetic: BoolArray
    starts_session: BoolArray
    ends_session: BoolArray
    vwap: IntArray | None = None
    trades: IntArray | None = None
    spread: IntArray | None = None
    features: Mapping[str, FloatArray] = field(default_factory=dict)
    is_closed: BoolArray | None = None
    memo: ColumnMemo | None = field(default=None, repr=False)
    _hash: list[str] = field(init=False, repr=False, default_factory=list)
    _extremes: list[tuple[int, int]] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        features = {name: _frozen(values) for name, values in self.features.items()}
        object.__setattr__(self, "features", MappingProxyType(features))
        length = len(self.ts_open)
        for name in (*INTEGER_COLUMNS, *FLAG_COLUMNS, *OPTIONAL_COLUMNS, "is_closed"):
            values = getattr(self, name)
            if values is None:
                continue
            if len(values) != length:
                raise ValueError(f"{self.symbol}: column {name} has {len(values)} of {length} rows")
            object.__setattr__(self, name, _frozen(values))

    def __len__(self) -> int:
        return len(self.ts_open)

    def slice(self, start: int, stop: int) -> BarColumns:
        """Return the bars *start* to *stop* as views of the same memory."""
        cut = slice(max(0, start), max(0, stop))
        columns: dict[str, Any] = {
            name: values[cut]
            for name in (*INTEGER_COLUMNS, *FLAG_COLUMNS, *OPTIONAL_COLUMNS, "is_closed")
            if (values := getattr(self, name)) is not None
        }
        features = {name: values[cut] for name, values in self.features.items()}
        return self.with_columns(**columns, features=features)

    def with_columns(self, **changes: Any) -> BarColumns:  # noqa: ANN401 (columns by name)
        """Return the bars with other columns of the same names."""
        return replace(self, **{"memo": None, **changes})

    def prefix(self, length: int) -> BarColumns:
        """Return the first *length* bars."""
        return self.slice(0, length)

    def shared(self, key: Hashable, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the column that *compute* makes of these bars; from the memo if there is one.

        *key* says everything that it depends on beside the bars. What comes of a memo is read-only.
        """
        return compute() if self.memo is None else self.memo.get(key, compute)

    def row(self, index: int) -> Bar:
        """Return bar *index* as a record."""
        return Bar(
            self.instrument.market,
            int(self.ts_open[index]),
            int(self.ts_close[index]),
            int(self.open[index]),
            int(self.high[index]),
            int(self.low[index]),
            int(self.close[index]),
            int(self.volume[index]),
        )

    def closes_by(self, ts_ns: int) -> int:
        """Return how many bars are known at *ts_ns*: those with ``ts_close <= ts_ns``."""
        return int(np.searchsorted(self.ts_close, ts_ns, side="right"))

    @property
    def blocks_fills(self) -> BoolArray:
        """Return on which bars nothing may fill: synthetic ones, and outside of sessions."""
        if self.is_closed is None:
            return self.is_synthetic
        blocked: BoolArray = self.is_synthetic | self.is_closed
        return blocked

    @property
    def has_blocked(self) -> bool:
        """Whether nothing may fill on any of the bars."""
        flags = (
            [self.is_synthetic] if self.is_closed is None else [self.is_synthetic, self.is_closed]
        )
        return any(bool(one[part].any()) for one in flags for part in blocks(len(one), one))

    def close_prices(self) -> FloatArray:
        """Return the closes as float64 prices, for indicators and metrics."""
        return np.multiply(self.close, float(self.instrument.tick), dtype=np.float64)

    @property
    def highest(self) -> int:
        """Return the highest price in ticks; computed once.

        Raises:
            ValueError: there are no bars.
        """
        return self._lowest_highest()[1]

    @property
    def lowest(self) -> int:
        """Return the lowest price in ticks; computed once.

        Raises:
            ValueError: there are no bars.
        """
        return self._lowest_highest()[0]

    def _lowest_highest(self) -> tuple[int, int]:
        if not self._extremes:
            low, high = self.low, self.high
            parts = [
                (int(low[part].min()), int(high[part].max()))
                for part in blocks(len(self), low, high)
            ]
            self._extremes.append((min(one for one, _ in parts), max(one for _, one in parts)))
        return self._extremes[0]

    @property
    def data_hash(self) -> str:
        """Return the SHA-256 of the integer columns, hexadecimal (DATA-10); computed once."""
        if not self._hash:
            self._hash.append(hash_columns(self))
        return self._hash[0]


def _frozen(values: NDArray[Any]) -> NDArray[Any]:
    """Return *values* behind a read-only buffer, so that no flag can make them writable again.

    The arrays that *values* are a view of are made non-writable too. What is not writable already
    is returned as it is.
    """
    if not values.flags.writeable:
        return values
    if not len(values):
        values = values.copy()
        values.flags.writeable = False
        return values
    shut = np.ascontiguousarray(values).data.toreadonly()
    mapped = getattr(values, "_mmap", None)
    kind = np.ndarray if mapped is None else np.memmap
    view: NDArray[Any] = np.ndarray.__new__(kind, values.shape, values.dtype, shut)
    if mapped is not None:
        view._mmap = mapped  # type: ignore[attr-defined]  # noqa: SLF001 (as its own views do)
        view.mode = getattr(values, "mode", None)  # type: ignore[attr-defined]
    owner: Any = values
    while isinstance(owner, np.ndarray):
        owner.flags.writeable = False
        owner = owner.base
    return view


def hash_columns(columns: BarColumns) -> str:
    """Return the SHA-256 over grid and integer columns of *columns* (DATA-10).

    The text ``BARS1``, tick, lot, multiplier, number of bars, then each column by name as
    little-endian int64 (flags as bytes); optional columns only if present. Symbol, path and
    features are not part of it, so the same bars from CSV and from Parquet hash the same.
    """
    grid = columns.instrument
    steps = (_plain(grid.tick), _plain(grid.lot), _plain(grid.multiplier), str(len(columns)))
    digest = hashlib.sha256(f"BARS1\n{' '.join(steps)}\n".encode())
    for name in (*INTEGER_COLUMNS, *OPTIONAL_COLUMNS, "is_synthetic"):
        values = getattr(columns, name)
        if values is None:
            continue
        digest.update(f"{name}\n".encode())
        dtype = "|u1" if values.dtype == np.bool_ else "<i8"
        for rows in blocks(len(values), values):
            part = values[rows].astype(dtype, copy=False)
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _plain(step: Any) -> str:  # noqa: ANN401 (a Decimal; normalised so that 0.10 is 0.1)
    return f"{step.normalize():f}"


def blocks(length: int, *columns: NDArray[Any], rows: int = BLOCK_ROWS) -> Iterator[slice]:
    """Yield slices of *rows* that cover *length*; the mapped pages of *columns* go after each."""
    for start in range(0, length, rows):
        yield slice(start, min(length, start + rows))
        release_pages(*columns)


def release_pages(*columns: NDArray[Any]) -> None:
    """Let go of the pages of memory-mapped *columns*; they come back when touched."""
    for values in columns:
        mapped = map_of(values)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def picked(values: NDArray[Any], places: IntArray) -> NDArray[Any]:
    """Return ``values[places]``; of mapped *values* few pages are in memory at a time."""
    if map_of(values) is None:
        return values[places]
    found = np.empty(len(places), dtype=values.dtype)
    for rows in blocks(len(places), values, rows=_PICKED_AT_ONCE):
        found[rows] = values[places[rows]]
    return found


def placed(values: NDArray[Any], wanted: NDArray[Any], side: Literal["left", "right"]) -> IntArray:
    """Return ``np.searchsorted(values, wanted, side)``, as `picked` does."""
    found = np.empty(len(wanted), dtype=np.int64)
    for rows in blocks(len(wanted), values, rows=_PICKED_AT_ONCE):
        found[rows] = np.searchsorted(values, wanted[rows], side=side)
    return found


def map_of(values: NDArray[Any]) -> mmap.mmap | None:
    """Return the map that *values* are in, or a view of; None if they are in memory.

    A private map (copy on write) counts as memory.
    """
    owner: Any = values
    while isinstance(owner, np.ndarray | memoryview):
        found = getattr(owner, "_mmap", None)
        if found is not None:
            # What was written to a private map is nowhere else: its pages must stay.
            is_private = getattr(owner, "mode", None) == "c"
            return None if is_private else cast("mmap.mmap", found)
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    return owner if isinstance(owner, mmap.mmap) else None


def day_sessions(ts_open: IntArray, ts_close: IntArray) -> tuple[BoolArray, BoolArray]:
    """Return which bars start and which end a session, a session being a day in UTC.

    A bar's day is the day that contains ``ts_close - 1``; bars of a day or more are sessions of
    their own.
    """
    day = (ts_close - 1) // DAY_NS
    return session_edges(day, ts_close - ts_open >= DAY_NS)


def session_edges(session: IntArray, is_whole: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Return (starts, ends) of runs of equal *session* numbers; a whole bar is its own session."""
    count = len(session)
    starts = np.ones(count, dtype=np.bool_)
    ends = np.ones(count, dtype=np.bool_)
    if count > 1:
        changes = (session[1:] != session[:-1]) | is_whole[1:] | is_whole[:-1]
        starts[1:] = changes
        ends[:-1] = changes
    return starts, ends
