"""What a run over bars in files leaves behind is put away while it goes on.

Samples go into files; fills and orders that have ended become rows of their tables.
"""

from __future__ import annotations

from array import array
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.backtest.assembly import BuiltRun
from engine.backtest.order_notes import OrderNoteBook, OrderNotes
from engine.execution.bar_order import BarFill
from engine.execution.bar_tables import History, fill_table, order_table
from engine.markets.column_spool import RowSpool
from engine.markets.mapped_columns import is_mapped, temporary_column
from engine.model.bar_columns import IntArray, release_pages
from engine.model.run_tables import EQUITY_DTYPE, FILL_DTYPE, ORDER_DTYPE
from engine.portfolio.fx_account import FxAccount

SLICE_BARS: Final = 1 << 16
"""Bars between two times that history is put away and pages of the bars are let go."""


class RunHistory:
    """Takes the history of a run from its broker.

    Args:
        built: the run; its history is complete when it has ended and `finish` was called.
        on_disk: samples go into files, those of whatever length into memory otherwise.
    """

    def __init__(self, built: BuiltRun, *, on_disk: bool) -> None:
        self._broker = built.broker
        self._on_disk = on_disk
        self._most = built.run.total
        self._count = 0
        self._atoms = self._column(self._most if on_disk else 0, np.dtype(np.int64))
        self._stamps: IntArray | None = None
        self._fills = RowSpool(FILL_DTYPE, on_disk=on_disk)
        self._orders = RowSpool(ORDER_DTYPE, on_disk=on_disk)
        self._notes = OrderNoteBook(built.container.id, on_disk=on_disk)
        self._cash = [array("q"), array("q")]
        self._values = array("q") if isinstance(built.account, FxAccount) else None

    @property
    def is_on_disk(self) -> bool:
        """Whether samples go into files."""
        return self._on_disk

    def _column(self, length: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        return temporary_column(length, dtype) if self._on_disk else np.zeros(length, dtype)

    def take(self, *, is_last: bool = False) -> None:
        """Put away what does not change any more; with *is_last* everything that is left."""
        atoms, stamps = self._broker.take_samples(is_last=is_last)
        rows = slice(self._count, self._count + len(atoms))
        if not self._on_disk:
            self._atoms = np.concatenate((self._atoms, _numbers(atoms)))
        else:
            self._atoms[rows] = _numbers(atoms)
        if stamps:
            if self._stamps is None:
                self._stamps = self._column(max(self._most, rows.stop), np.dtype(np.int64))
            self._stamps[rows] = _numbers(stamps)
        self._count = rows.stop
        release_pages(self._atoms)
        taken = self._broker.take_ended(is_last=is_last)
        self._take_fills(taken.fills)
        self._orders.add(order_table(taken.orders))
        self._notes.add(taken.orders)
        for column, values in zip(self._cash, zip(*taken.cash, strict=True), strict=False):
            column.extend(values)

    def _take_fills(self, fills: list[BarFill]) -> None:
        self._fills.add(fill_table(fills))
        if self._values is not None:
            self._values.extend(fill.value_atoms for fill in fills)

    def finish(self) -> History:
        """Return everything that the ended run left."""
        self.take(is_last=True)
        samples, cash = (_numbers(column) for column in self._cash)
        return History(
            atoms=self._atoms[: self._count],
            stamps=None if self._stamps is None else self._stamps[: self._count],
            table=self._column(self._count, EQUITY_DTYPE),
            fills=self._fills.take(),
            orders=self._orders.take("seq"),
            cash_samples=samples,
            cash_atoms=cash,
        )

    def notes(self) -> OrderNotes:
        """Return what the table of orders does not say, once."""
        return self._notes.notes()

    def close(self) -> None:
        """Forget what nobody asked for; a run that failed leaves no file open."""
        for one in (self._fills, self._orders, self._notes):
            one.close()

    @property
    def values(self) -> IntArray | None:
        """Return the notional of each fill in the account's currency, None if all are in it."""
        return None if self._values is None else _numbers(self._values)


def _numbers(values: array[int]) -> IntArray:
    return np.frombuffer(values, dtype=np.int64) if values else np.zeros(0, dtype=np.int64)


def run_history(built: BuiltRun) -> RunHistory:
    """Return what takes the history of *built*: into files if its bars are in files."""
    is_on_disk = any(map(is_mapped, _columns(built))) and built.run.total > 0
    return RunHistory(built, on_disk=is_on_disk)


def run_bars(built: BuiltRun, history: RunHistory, *, slice_bars: int = SLICE_BARS) -> None:
    """Run *built* to its end; bars in files in slices, after each of which their pages may go."""
    if not history.is_on_disk:
        built.run.run()
        return
    columns = _columns(built)
    while not built.run.run(slice_bars):
        history.take()
        release_pages(*columns)


def _columns(built: BuiltRun) -> list[NDArray[Any]]:
    """Return what the run reads of its bars, and the order in which it does."""
    timeline = built.handler.timeline
    columns = [column for feed in built.feeds for column in feed.all_columns()]
    return (
        [*columns, timeline.ts_close, timeline.symbol, timeline.bar]
        if len(built.feeds) > 1
        else columns
    )
