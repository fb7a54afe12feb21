"""One thread of a grid: plays columns one after another in tables that it uses again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.backtest import kernel_layout as at
from engine.backtest import metric_series as series
from engine.backtest.compiled_run import SLICE, CompiledRun, LedgerOverflowError, run_compiled
from engine.backtest.curve_facts import CurveFacts
from engine.backtest.grid_axis import GridAxes, GridAxis, read_only
from engine.backtest.grid_column import GridColumn, GridRequest
from engine.backtest.kernel_inputs import KernelSetup, is_market_only, kernel_inputs
from engine.backtest.kernel_request import KernelRequest
from engine.backtest.metrics import RunFacts
from engine.flow.errors import OperationError
from engine.model.bar_columns import IntArray
from engine.model.run_tables import EQUITY_BYTES, FILL_BYTES, HEADER, ORDER_BYTES, Table
from engine.portfolio.account_settings import TradeMatching

TRIP_DTYPE: Final = np.dtype(
    [("pnl_atoms", "<i8"), ("entry_atoms", "<i8"), ("entry_ts", "<i8"), ("exit_ts", "<i8")]
)
"""What the metrics read of a round trip."""

LANES: Final = 4
"""Columns whose digests a thread computes together."""

_FILL_COLUMNS: Final = (
    ("ts", at.X_TS),
    ("order_seq", at.X_ORDER),
    ("symbol", at.X_SYMBOL),
    ("side", at.X_SIDE),
    ("liquidity", at.X_LIQUIDITY),
    ("lots", at.X_LOTS),
    ("ticks", at.X_TICKS),
    ("fee_atoms", at.X_FEE),
)


def _go_on() -> None:
    """Nobody ends a column."""


class InconsistentColumnError(OperationError):
    """Trades and equity of a column do not agree (COORD-7)."""


@dataclass(slots=True)
class _Tables:
    """What a run left: the first rows of tables that the next run uses again."""

    x: IntArray
    fills: int
    order_rows: IntArray
    e: IntArray
    exposed: NDArray[np.uint8]
    stamps: IntArray
    ends: IntArray
    symbols: IntArray
    slippage_atoms: int = 0
    """Of fills whose raw price is not in *x*."""
    signals: int = 0
    ambiguous: int = 0
    liquidations: int = 0
    is_bankrupt: bool = False
    final_equity_atoms: int = 0
    run: CompiledRun | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Played:
    """A column whose digest is not known yet."""

    column: GridColumn
    axis: GridAxis
    stamps: IntArray
    fill_state: int
    order_states: IntArray


class _Buffer:
    """Rows of integers that grow and are used again."""

    def __init__(self, width: int) -> None:
        self._rows = np.zeros((0, width), dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """Return its memory."""
        return self._rows.nbytes

    def rows(self, count: int, *, dirty: int = 0) -> IntArray:
        """Return *count* rows; the first *dirty* were written before and are cleared."""
        if len(self._rows) < count:
            self._rows = np.zeros((2 * count, self._rows.shape[1]), dtype=np.int64)
        else:
            self._rows[:dirty] = 0
        return self._rows


class GridWorker:
    """The tables of one thread."""

    def __init__(
        self,
        axes: GridAxes,
        matching: TradeMatching,
        *,
        has_fingerprints: bool,
        has_digests: bool,
    ) -> None:
        from engine.backtest import kernel_grid

        self._axes = axes
        self._has_fingerprints = has_fingerprints
        self._has_digests = has_digests
        self._kernels = kernel_grid
        self._mode = {
            TradeMatching.FIFO: kernel_grid.MATCH_FIFO,
            TradeMatching.AVERAGE: kernel_grid.MATCH_AVERAGE,
            TradeMatching.FLAT: kernel_grid.MATCH_FLAT,
        }[matching]
        self._orders, self._fills = _Buffer(at.O_COUNT), _Buffer(at.X_COUNT)
        self._used = (0, 0)
        self._entries = _Buffer(kernel_grid.E_COUNT)
        self._lanes = LANES if has_digests else 1
        self._trips = [_Buffer(kernel_grid.T_COUNT) for _ in range(self._lanes)]
        self._equity = np.zeros((self._lanes, 0), dtype=np.int64)
        self._cash = np.zeros(0, dtype=np.int64)
        self._exposed = np.zeros(0, dtype=np.uint8)
        self._pairs = np.zeros((0, 2), dtype=np.int64)
        self._waiting: list[_Played] = []

    @property
    def table_bytes(self) -> int:
        """Return the memory of the tables that are used again."""
        buffers = (self._orders, self._fills, self._entries, *self._trips)
        arrays = (self._equity, self._cash, self._exposed, self._pairs)
        return sum(one.nbytes for one in buffers) + sum(one.nbytes for one in arrays)

    def take(self) -> list[GridColumn]:
        """Return the columns that were played since the last call, with their digests."""
        waiting, self._waiting = self._waiting, []
        if not self._has_digests:
            return [one.column for one in waiting]
        groups: dict[tuple[int, int], list[int]] = {}
        for lane, one in enumerate(waiting):
            groups.setdefault((id(one.axis), one.column.curve.samples), []).append(lane)
        found: list[GridColumn] = []
        states = np.zeros(LANES, dtype=np.int64)
        states[: len(waiting)] = [one.fill_state for one in waiting]
        for (_, samples), lanes in groups.items():
            moved = states.copy()
            stamps = waiting[lanes[0]].stamps
            self._kernels.digest_samples(moved, stamps, self._equity, samples)
            states[lanes] = moved[lanes]
        for one, state in zip(waiting, states.tolist(), strict=False):
            digest = int(self._kernels.digest_orders(state, one.order_states))
            found.append(replace(one.column, digest64=digest & 0xFFFF_FFFF_FFFF_FFFF))
        return found

    def _fit(self, samples: int) -> None:
        """Make room for *samples*; what earlier lanes hold stays."""
        if len(self._cash) < samples:
            equity = np.zeros((self._lanes, samples), dtype=np.int64)
            equity[:, : self._equity.shape[1]] = self._equity
            self._equity = equity
            self._cash = np.zeros(samples, dtype=np.int64)
            self._exposed = np.zeros(samples, dtype=np.uint8)

    def play(
        self,
        number: int,
        request: GridRequest,
        *,
        is_kept: bool,
        look: Callable[[], None] = _go_on,
    ) -> None:
        """Run one column; `take` gives it.

        *look* is called between two slices of bars; what it raises ends the column.

        Raises:
            LedgerOverflowError: it belongs on the event path.
            InconsistentColumnError: its trades do not explain its equity.
        """
        axis = self._axes.of(request.kernel)
        setup = axis.setup(request.kernel)
        played = None if is_kept else self._play_market(request.kernel, axis, setup, look)
        if played is None:
            played = self._play_whole(request.kernel, axis, setup, look)
        column = self._summary(number, request, axis, played, is_kept=is_kept)
        fill_state, order_states = 0, played.order_rows[:0, at.O_STATE]
        if self._has_digests:
            lane = len(self._waiting)
            if played.run is not None:
                self._fit(len(played.e))
                self._equity[lane, : len(played.e)] = played.e
            fill_state = int(self._kernels.digest_fills(played.x, played.fills))
            order_states = played.order_rows[:, at.O_STATE].copy()
        self._waiting.append(_Played(column, axis, played.stamps, fill_state, order_states))

    def _play_market(
        self, request: KernelRequest, axis: GridAxis, setup: KernelSetup, look: Callable[[], None]
    ) -> _Tables | None:
        """Run *request* on the small kernel; None if it needs the whole ones."""
        if not is_market_only(request, setup):
            return None
        from engine.backtest.kernel_market import run_market

        inputs = kernel_inputs(request, market_only=True, setup=setup)
        q, s, steps = inputs.numbers, inputs.symbols, inputs.steps
        most = len(inputs.decisions) + 2
        orders = self._orders.rows(most, dirty=self._used[0])
        fills = self._fills.rows(most, dirty=self._used[1])
        self._fit(steps)
        e, cash, exposed = self._equity[len(self._waiting)], self._cash, self._exposed
        waiting = np.zeros((2, 1), dtype=np.int64)
        bars, decisions = inputs.bars, inputs.decisions
        for stop in (*range(SLICE, steps, SLICE), steps):
            last = int(stop == steps)
            run_market(
                q, s, orders, fills, waiting, bars, decisions, e, cash, exposed, stop, last
            )  # fmt: skip
            self._used = (int(q[at.A_ORDERS]), int(q[at.A_FILLS]))
            if last or q[at.A_STATUS] != at.STATUS_RUNNING:
                break
            look()
        if q[at.A_STATUS] == at.STATUS_OVERFLOW:
            raise LedgerOverflowError("a position or the cash came near 2**62 (UNIT-7)")
        if q[at.A_STATUS] == at.STATUS_WHOLE:
            return None
        samples = int(q[at.A_SAMPLES])
        return _Tables(
            x=fills,
            fills=self._used[1],
            order_rows=orders[: self._used[0]],
            e=e[:samples],
            exposed=exposed[:samples],
            stamps=axis.single[:samples],
            ends=axis.ends_of(samples),
            symbols=s,
            signals=int(q[at.A_SIGNALS]),
            final_equity_atoms=int(q[at.A_EQUITY]),
        )

    def _play_whole(
        self, request: KernelRequest, axis: GridAxis, setup: KernelSetup, look: Callable[[], None]
    ) -> _Tables:
        def watch(*_: int) -> bool:
            look()
            return True

        run = run_compiled(request, watch, setup=setup)
        samples = len(run.stamps)
        stamps = axis.single[:samples] if request.is_single else read_only(run.stamps)
        fills = run.fills
        x = np.zeros((len(fills), at.X_COUNT), dtype=np.int64)
        for name, column in (*_FILL_COLUMNS, ("ticks", at.X_RAW)):
            x[:, column] = fills[name]
        return _Tables(
            x=x,
            fills=len(fills),
            order_rows=run.order_rows,
            e=run.equity_atoms,
            exposed=run.exposed,
            stamps=stamps,
            ends=axis.ends_of(samples)
            if request.is_single
            else series.period_ends(stamps, axis.bar_ns),
            symbols=run.inputs.symbols,
            slippage_atoms=int(fills["slippage_atoms"].sum()),
            signals=run.signals,
            ambiguous=run.ambiguous_fills,
            liquidations=run.liquidations,
            is_bankrupt=run.is_bankrupt,
            final_equity_atoms=run.final_equity_atoms,
            run=run,
        )

    def _summary(
        self, number: int, request: GridRequest, axis: GridAxis, played: _Tables, *, is_kept: bool
    ) -> GridColumn:
        kernels, account = self._kernels, request.kernel.account
        initial = int(account.initial_cash.scaleb(account.money_precision))
        curve, exposed_bars = self._walk(played, account.money_precision)
        totals = np.zeros(kernels.N_COUNT, dtype=np.int64)
        books = np.zeros((len(played.symbols), kernels.B_COUNT), dtype=np.int64)
        trips = self._trips[len(self._waiting)].rows(played.fills)
        kernels.match_fills(
            played.x,
            played.fills,
            played.symbols,
            self._mode,
            self._entries.rows(played.fills),
            books,
            trips,
            totals,
        )
        if not played.is_bankrupt:
            self._check(played, books, totals, played.final_equity_atoms - initial)
        first = axis.columns[0]
        decision = min(request.decision_bar, len(first) - 1)
        facts = RunFacts(
            initial_atoms=initial,
            money_precision=account.money_precision,
            trades=_trips(trips[: int(totals[kernels.N_TRADES])]),
            turnover_atoms=int(totals[kernels.N_TURNOVER])
            + kernels.CARRY * int(totals[kernels.N_TURNOVER_CARRY]),
            fees_atoms=int(totals[kernels.N_FEES]),
            slippage_atoms=int(totals[kernels.N_SLIPPAGE]) + played.slippage_atoms,
            bars=curve.samples,
            exposed_bars=exposed_bars,
            bar_ns=axis.bar_ns,
            benchmark_ts=first.ts_close,
            benchmark_close=axis.closes,
            decision_ns=int(first.ts_close[decision]) if len(first) else None,
        )
        return GridColumn(
            number=number,
            curve=curve,
            facts=facts,
            final_equity_atoms=int(played.e[-1]) if len(played.e) else initial,
            fills=played.fills,
            orders=len(played.order_rows),
            signals=played.signals,
            ambiguous_fills=played.ambiguous,
            liquidations=played.liquidations,
            is_bankrupt=played.is_bankrupt,
            fingerprint=self._fingerprint(played) if self._has_fingerprints or is_kept else None,
            run=played.run if is_kept else None,
        )

    def _walk(self, played: _Tables, precision: int) -> tuple[CurveFacts, int]:
        kernels, samples, ends = self._kernels, len(played.e), played.ends
        if len(self._pairs) < samples and self._has_fingerprints:
            self._pairs = np.zeros((samples, 2), dtype=np.int64)
        values = np.empty(len(ends), dtype=np.float64)
        facts = np.zeros(kernels.C_COUNT, dtype=np.float64)
        numbers = np.zeros(kernels.I_COUNT, dtype=np.int64)
        kernels.walk_curve(
            played.e,
            played.exposed,
            played.stamps,
            samples,
            float(10**precision),
            ends,
            values,
            self._pairs,
            facts,
            numbers,
        )
        stamps = played.stamps
        curve = CurveFacts(
            samples=samples,
            first_ns=int(stamps[0]) if samples else 0,
            last_ns=int(stamps[-1]) if samples else 0,
            last=float(facts[kernels.C_LAST]),
            total=float(facts[kernels.C_TOTAL]),
            deepest=float(facts[kernels.C_DEEPEST]),
            square_depths=float(facts[kernels.C_SQUARE_DEPTHS]),
            longest_ns=int(numbers[kernels.I_LONGEST]),
            spells=int(numbers[kernels.I_SPELLS]),
            depths=float(facts[kernels.C_DEPTHS]),
            period_ns=stamps[ends],
            period_values=values,
        )
        return curve, int(numbers[kernels.I_EXPOSED])

    def _check(self, played: _Tables, books: IntArray, totals: IntArray, change: int) -> None:
        """Refuse a column whose trades do not explain its equity (COORD-7)."""
        kernels, s = self._kernels, played.symbols
        explained = int(totals[kernels.N_PNL])
        for symbol in range(len(s)):
            side = int(books[symbol, kernels.B_SIDE])
            if not side:
                continue
            lots, scale = int(s[symbol, at.S_LOTS]), int(s[symbol, at.S_SCALE])
            worth = abs(lots) * int(s[symbol, at.S_MARK]) * scale
            explained += side * (worth - int(books[symbol, kernels.B_COST]))
            explained -= int(books[symbol, kernels.B_FEES])
        if explained != change:
            raise InconsistentColumnError(
                f"trades and equity differ by {change - explained} atoms: the column cannot be "
                "trusted (COORD-7)"
            )

    def _fingerprint(self, played: _Tables) -> str:
        digest = hashlib.sha256(HEADER)
        fills = np.empty(played.fills, dtype=FILL_BYTES)
        for name, column in _FILL_COLUMNS:
            fills[name] = played.x[: played.fills, column]
        digest.update(fills.data)
        if self._has_fingerprints:
            digest.update(self._pairs[: len(played.e)].reshape(-1).data)
        else:
            samples = np.empty(len(played.e), dtype=EQUITY_BYTES)
            samples["ts"], samples["equity_atoms"] = played.stamps, played.e
            digest.update(samples.data)
        orders = np.empty(len(played.order_rows), dtype=ORDER_BYTES)
        orders["seq"] = np.arange(len(orders))
        orders["state"] = played.order_rows[:, at.O_STATE]
        digest.update(orders.data)
        return digest.hexdigest()


def _trips(rows: IntArray) -> Table:
    """Return *rows* as a table, the same memory."""
    return rows.view(TRIP_DTYPE).reshape(len(rows))
