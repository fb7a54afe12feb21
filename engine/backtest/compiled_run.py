"""A run on the compiled path: the same integer tables as the event path leaves (FAST-1).

The kernels are imported by `run_compiled`, with numba, and nowhere else. They run in slices of
bars, so that a run can be cancelled and watched, and grow their tables between two slices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.backtest import kernel_layout as at
from engine.backtest.kernel_inputs import (
    KernelInputs,
    KernelSetup,
    is_bracket_only,
    is_market_only,
    kernel_inputs,
)
from engine.backtest.kernel_request import KernelRequest
from engine.markets.mapped_columns import column_like, table_like
from engine.model.bar_columns import IntArray, blocks, picked, placed, release_pages
from engine.model.orders import OrderStatus
from engine.model.run_tables import EQUITY_DTYPE, FILL_DTYPE, ORDER_DTYPE, Table

_FILLED: Final = OrderStatus.FILLED.value
_REJECTED: Final = OrderStatus.REJECTED.value
_PIECE: Final = 1 << 16
"""Samples that are written at once."""
SLICE: Final = 1 << 18
"""Bars between two looks at whether the run is to go on."""

Watcher = Callable[[int, int, int, int], bool]
"""Takes (steps done, time in ns, equity in atoms, fills); False ends the run."""


class LedgerOverflowError(ArithmeticError):
    """A number left 62 bits: the run belongs on the event path (UNIT-7)."""


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRun:
    """What a kernel left; the tables have the dtypes of `engine.model.run_tables`.

    ``stamps``, ``equity_atoms``, ``cash_atoms`` and ``exposed`` are the samples by instant; with
    ``cash_steps`` the cash is that from each of these samples on.

    ``order_rows`` are the kernel's own rows of the orders, one per order, for what the table does
    not hold. ``reasons`` counts the signals that became no order.
    """

    fills: Table
    stamps: IntArray
    equity_atoms: IntArray
    cash_atoms: IntArray
    exposed: NDArray[np.uint8]
    order_rows: IntArray
    inputs: KernelInputs
    reasons: dict[str, int]
    steps_done: int
    ambiguous_fills: int
    unknown_volume_fills: int
    signals: int
    liquidations: int
    is_bankrupt: bool
    is_cancelled: bool
    shortfall_atoms: int
    final_equity_atoms: int
    marks: tuple[int, ...]
    cash_steps: IntArray | None = None

    @property
    def equity(self) -> Table:
        """Return the samples as a table, a new one each time."""
        samples = column_like(self.stamps, dtype=EQUITY_DTYPE)
        columns = (samples, self.stamps, self.equity_atoms, self.cash_atoms, self.exposed)
        for rows in blocks(len(samples), *columns, rows=_PIECE):
            part = samples[rows]
            part["ts"] = self.stamps[rows]
            part["equity_atoms"] = self.equity_atoms[rows]
            part["cash_atoms"] = self._cash(rows)
            part["exposed"] = self.exposed[rows]
        return samples

    def _cash(self, rows: slice) -> IntArray:
        if self.cash_steps is None:
            return self.cash_atoms[rows]
        places = np.arange(rows.start, rows.stop)
        last = np.searchsorted(self.cash_steps, places, side="right") - 1
        found: IntArray = self.cash_atoms[last]
        return found

    @property
    def orders(self) -> Table:
        """Return the orders as a table, a new one each time."""
        return _orders(self.order_rows)

    def reason_of(self, row: int) -> str:
        """Return why order *row* ended, empty without a reason."""
        return at.REASONS[int(self.order_rows[row, at.O_REASON])]

    @property
    def rejections(self) -> dict[str, int]:
        """Return how many signals and orders were refused, by reason (ORD-7)."""
        counts = Counter(self.reasons)
        for (state, reason), count in self._endings().items():
            if state == _REJECTED:
                counts[at.REASONS[reason]] += count
        return dict(sorted(counts.items()))

    @property
    def cancellations(self) -> dict[str, int]:
        """Return how many orders expired or were cancelled, by reason, but for the own wishes."""
        counts: Counter[str] = Counter()
        for (state, reason), count in self._endings().items():
            if state > _FILLED and state != _REJECTED and reason != at.USER:
                counts[at.REASONS[reason]] += count
        return dict(sorted(counts.items()))

    def _endings(self) -> Counter[tuple[int, int]]:
        """Return how many orders there are by state and number of the reason."""
        rows, counts = self.order_rows, Counter[tuple[int, int]]()
        width = len(at.REASONS)
        for some in blocks(len(rows), rows, rows=_PIECE):
            codes = rows[some, at.O_STATE] * width + rows[some, at.O_REASON]
            for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
                counts[divmod(int(code), width)] += int(count)
        return counts


class _Tables:
    """The tables that a run grows: orders, fills, lists of working orders, copies."""

    def __init__(self, inputs: KernelInputs) -> None:
        signals = len(inputs.decisions)
        symbols = len(inputs.symbols)
        burst = int(inputs.numbers[at.A_BURST])
        close = inputs.bars[at.B_C]
        # One order for each signal and its exits: a run that needs more grows the tables.
        rows = signals + inputs.exits + 64 + 8 * burst + 4 * symbols
        self.orders = table_like(close, (rows, at.O_COUNT))
        self.fills = table_like(close, (rows, at.X_COUNT))
        width = max(64 + 5 * burst, inputs.groups)
        self.working = np.zeros((symbols + 1, width), dtype=np.int64)
        self.copies = np.zeros((512 + 8 * burst, _COPY_WIDTH), dtype=np.int64)

    def grow(self) -> None:
        """Double every table; what is in them stays."""
        self.orders = _doubled(self.orders)
        self.fills = _doubled(self.fills)
        self.copies = _doubled(self.copies)
        wider = np.zeros((self.working.shape[0], 2 * self.working.shape[1]), dtype=np.int64)
        wider[:, : self.working.shape[1]] = self.working
        self.working = wider


_COPY_WIDTH: Final = max(at.Q_COUNT, at.S_COUNT, at.O_COUNT + 1)


def _doubled(table: NDArray[np.int64]) -> NDArray[np.int64]:
    larger = table_like(table, (2 * table.shape[0], table.shape[1]))
    larger[: table.shape[0]] = table
    return larger


def run_compiled(
    request: KernelRequest,
    watcher: Watcher | None = None,
    *,
    slice_bars: int = SLICE,
    setup: KernelSetup | None = None,
    on_compile: Callable[[], None] | None = None,
) -> CompiledRun:
    """Run *request* on the kernels; *watcher* is asked after every *slice_bars*.

    *setup* is that of requests which differ in their signals and seed only. *on_compile* is called
    before kernels are compiled that no process has compiled before.

    Raises:
        ImportError: numba is not installed.
        LedgerOverflowError: a number left 62 bits; nothing of the run is kept.
    """
    setup = setup or KernelSetup(request)
    tell = on_compile or _say_nothing
    if is_market_only(request, setup):
        _tell_compiling("kernel_market", "run_market", tell)
        run = _run_small(request, watcher, slice_bars, setup, brackets=False)
        if run is not None:
            return run
    elif is_bracket_only(request, setup):
        _tell_compiling("kernel_bracket", "run_bracket", tell)
        run = _run_small(request, watcher, slice_bars, setup, brackets=True)
        if run is not None:
            return run
    _tell_compiling("kernel_run", "run_bars", tell)
    return _run_whole(request, watcher, slice_bars, setup)


def _tell_compiling(module: str, function: str, tell: Callable[[], None]) -> None:
    from engine.backtest.jit import CACHE_FOLDER, drop_old_caches, is_compiled

    if not is_compiled(module, function):
        tell()
        drop_old_caches(CACHE_FOLDER)


def _say_nothing() -> None:
    """Nobody wants to know."""


def _run_small(
    request: KernelRequest,
    watcher: Watcher | None,
    slice_bars: int,
    setup: KernelSetup,
    *,
    brackets: bool,
) -> CompiledRun | None:
    """Run *request* on a small kernel; None if something in it needs the whole ones."""
    if brackets:
        from engine.backtest.kernel_bracket import run_bracket as play
    else:
        from engine.backtest.kernel_market import run_market as play

    inputs = kernel_inputs(request, market_only=not brackets, brackets=brackets, setup=setup)
    q, s, steps = inputs.numbers, inputs.symbols, inputs.steps
    tables = _Tables(inputs)
    equity, exposed = _samples(inputs, steps)
    cash = np.empty(0, dtype=np.int64)
    is_cancelled = False
    while q[at.A_STEP] < steps:
        stop = min(steps, int(q[at.A_STEP]) + slice_bars)
        play(
            q,
            s,
            tables.orders,
            tables.fills,
            tables.working,
            inputs.bars,
            inputs.decisions,
            equity,
            cash,
            exposed,
            stop,
            int(stop == steps),
        )
        release_pages(*inputs.bars, tables.orders, tables.fills, equity, exposed)
        _check(q)
        if q[at.A_STATUS] == at.STATUS_WHOLE:
            return None
        if watcher is not None and not watcher(
            int(q[at.A_STEP]), int(q[at.K_NOW]), int(q[at.A_EQUITY]), int(q[at.A_FILLS])
        ):
            is_cancelled = bool(q[at.A_STEP] < steps)
            break
    x = tables.fills[: int(q[at.A_FILLS])]
    begin = np.zeros(1, dtype=np.int64)
    bars = x[:, at.X_BAR] - request.starts[0]
    return replace(
        _result(request, inputs, tables, equity, cash, exposed, is_cancelled=is_cancelled),
        cash_steps=np.concatenate((begin, bars)),
        cash_atoms=np.concatenate((begin + q[at.A_INITIAL], x[:, at.X_CASH])),
    )


def _run_whole(
    request: KernelRequest, watcher: Watcher | None, slice_bars: int, setup: KernelSetup
) -> CompiledRun:
    """Run *request* on the kernels that know everything."""
    from engine.backtest.kernel_run import finish_run, run_bars

    inputs = kernel_inputs(request, setup=setup)
    q, s = inputs.numbers, inputs.symbols
    tables = _Tables(inputs)
    steps = inputs.steps
    samples = len(inputs.timeline_ts) if len(inputs.timeline) else steps
    equity, exposed = _samples(inputs, samples)
    cash = column_like(equity)
    stop = 0
    is_cancelled = False
    while q[at.A_STEP] < steps and q[at.A_STATUS] != at.STATUS_BANKRUPT:
        if q[at.A_STEP] >= stop:
            stop = min(steps, _instant_end(inputs, stop + slice_bars))
        run_bars(
            q,
            s,
            tables.orders,
            tables.fills,
            tables.working,
            tables.copies,
            inputs.bars,
            inputs.timeline,
            inputs.decisions,
            equity,
            cash,
            exposed,
            stop,
        )
        release_pages(
            *inputs.bars, inputs.timeline, tables.orders, tables.fills, equity, cash, exposed
        )
        _check(q)
        if q[at.A_STATUS] == at.STATUS_FULL:
            tables.grow()
            q[at.A_STATUS] = at.STATUS_RUNNING
        if watcher is not None and not watcher(
            int(q[at.A_STEP]), int(q[at.K_NOW]), int(q[at.A_EQUITY]), int(q[at.A_FILLS])
        ):
            is_cancelled = q[at.A_STEP] < steps
            break
    while not _has_room_to_finish(q, s, tables):
        tables.grow()
    if not is_cancelled:
        finish_run(
            q,
            s,
            tables.orders,
            tables.fills,
            tables.working,
            inputs.bars,
            equity,
            cash,
            exposed,
        )
        _check(q)
    return _result(request, inputs, tables, equity, cash, exposed, is_cancelled=is_cancelled)


def _samples(inputs: KernelInputs, count: int) -> tuple[IntArray, NDArray[np.uint8]]:
    """Return where equity and exposure go: into files if the bars are in files."""
    close = inputs.bars[at.B_C]
    return (
        column_like(close, dtype=np.dtype(np.int64), length=count),
        column_like(close, dtype=np.dtype(np.uint8), length=count),
    )


def _instant_end(inputs: KernelInputs, step: int) -> int:
    """Return *step*, moved on so that it does not cut an instant in two."""
    timeline = inputs.timeline
    while 0 < step < len(timeline) and timeline[step, 2] == timeline[step - 1, 2]:
        step += 1
    return step


def _check(q: IntArray) -> None:
    if q[at.A_STATUS] == at.STATUS_OVERFLOW:
        raise LedgerOverflowError(
            "a position or the cash came near 2**62: the event path has unbounded integers (UNIT-7)"
        )


def _has_room_to_finish(q: IntArray, s: IntArray, tables: _Tables) -> bool:
    more = 2 * len(s)
    return bool(
        q[at.A_ORDERS] + more < len(tables.orders)
        and q[at.A_FILLS] + more < len(tables.fills)
        and int(s[:, at.S_OPEN].max()) + more < tables.working.shape[1]
    )


def _result(
    request: KernelRequest,
    inputs: KernelInputs,
    tables: _Tables,
    equity: IntArray,
    cash: IntArray,
    exposed: NDArray[np.uint8],
    *,
    is_cancelled: bool,
) -> CompiledRun:
    q, s = inputs.numbers, inputs.symbols
    count = int(q[at.A_SAMPLES])
    rows = tables.orders[: int(q[at.A_ORDERS])]
    if len(inputs.timeline):
        stamps = inputs.timeline_ts
    else:
        stamps = request.columns[0].ts_close[request.starts[0] : request.stops[0]]
    fills = _fills(tables.fills[: int(q[at.A_FILLS])], s)
    held = exposed[:count]
    if not request.is_single:
        held = _exposure(stamps[:count], fills, request)
    reasons = {
        reason: int(q[at.R_FIRST + code])
        for code, reason in enumerate(at.REASONS)
        if q[at.R_FIRST + code]
    }
    return CompiledRun(
        fills=fills,
        stamps=stamps[:count],
        equity_atoms=equity[:count],
        cash_atoms=cash[:count],
        exposed=held,
        order_rows=rows,
        inputs=inputs,
        reasons=reasons,
        steps_done=int(q[at.A_STEP]),
        ambiguous_fills=int(q[at.A_AMBIGUOUS]),
        unknown_volume_fills=int(q[at.A_UNKNOWN_VOLUME]),
        signals=int(q[at.A_SIGNALS]),
        liquidations=int(q[at.A_LIQUIDATIONS]),
        is_bankrupt=bool(q[at.A_BANKRUPT]),
        is_cancelled=is_cancelled,
        shortfall_atoms=int(q[at.A_SHORTFALL]),
        final_equity_atoms=int(q[at.A_EQUITY]),
        marks=tuple(0 if mark == at.NO_PRICE else mark for mark in s[:, at.S_MARK].tolist()),
    )


def _exposure(stamps: IntArray, fills: Table, request: KernelRequest) -> NDArray[np.uint8]:
    """Return which samples had a position, from a fill's own bar to that of the last one.

    A symbol whose bars end before the others' is closed at its own last bar (PF-15).
    """
    exposed = column_like(stamps, dtype=np.dtype(np.uint8))
    held = [0] * len(request.columns)
    since = [0] * len(request.columns)
    closes = np.zeros(len(fills), dtype=np.int64)
    for symbol, bars in enumerate(request.columns):
        own = np.flatnonzero(fills["symbol"] == symbol)
        closes[own] = picked(bars.ts_close, fills["bar"][own])
    samples = np.minimum(placed(stamps, closes, "left"), len(stamps) - 1).tolist()
    changes = (fills["side"].astype(np.int64) * fills["lots"]).tolist()
    for symbol, change, sample in zip(fills["symbol"].tolist(), changes, samples, strict=True):
        if not held[symbol]:
            since[symbol] = sample
        held[symbol] += change
        if not held[symbol]:
            exposed[since[symbol] : sample + 1] = 1
    for symbol, lots in enumerate(held):
        if lots:
            exposed[since[symbol] :] = 1
    return exposed


_FILL_COLUMNS: Final = {
    "ts": at.X_TS,
    "bar": at.X_BAR,
    "order_seq": at.X_ORDER,
    "symbol": at.X_SYMBOL,
    "side": at.X_SIDE,
    "liquidity": at.X_LIQUIDITY,
    "lots": at.X_LOTS,
    "ticks": at.X_TICKS,
    "fee_atoms": at.X_FEE,
    "ambiguous": at.X_AMBIGUOUS,
    "reason": at.X_REASON,
}
_ORDER_COLUMNS: Final = {
    "symbol": at.O_SYMBOL,
    "side": at.O_SIDE,
    "type": at.O_KIND,
    "tif": at.O_TIF,
    "state": at.O_STATE,
    "lots": at.O_LOTS,
    "filled_lots": at.O_FILLED,
    "filled_atoms": at.O_NOTIONAL,
    "limit": at.O_LIMIT,
    "stop": at.O_STOP,
    "bar_created": at.O_BAR,
    "ts_created": at.O_CREATED,
    "ts_updated": at.O_UPDATED,
}


def _fills(rows: IntArray, s: IntArray) -> Table:
    table = column_like(rows, dtype=FILL_DTYPE)
    for some in blocks(len(rows), rows, table, rows=_PIECE):
        part, taken = table[some], rows[some]
        for name, column in _FILL_COLUMNS.items():
            part[name] = taken[:, column]
        worse = taken[:, at.X_SIDE] * (taken[:, at.X_TICKS] - taken[:, at.X_RAW])
        scale = s[taken[:, at.X_SYMBOL], at.S_SCALE]
        part["slippage_atoms"] = np.maximum(worse, 0) * taken[:, at.X_LOTS] * scale
    return table


def _orders(rows: IntArray) -> Table:
    table = column_like(rows, dtype=ORDER_DTYPE)
    for some in blocks(len(rows), rows, table, rows=_PIECE):
        part, taken = table[some], rows[some]
        part["seq"] = np.arange(some.start, some.stop)
        for name, column in _ORDER_COLUMNS.items():
            part[name] = taken[:, column]
        part["fee_atoms"] = taken[:, at.O_FEE] + taken[:, at.O_EXTRA]
    return table
