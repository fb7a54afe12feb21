"""Windows on a stored result for a viewer: already sorted, cut and made small."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl

from engine.backtest.metric_series import drawdowns, equity_values, period_ends, simple_returns
from engine.backtest.readable_tables import trade_prices
from engine.backtest.results import InstrumentFacts
from engine.backtest.results_io import PRICE_COLUMNS, ResultFormatError, read_document, read_table
from engine.backtest.return_tables import (
    Histogram,
    MonthReturn,
    monthly_returns,
    return_histogram,
)
from engine.backtest.sampling import Candles, candles, min_max_buckets
from engine.backtest.trade_log import trade_returns
from engine.model.bar_columns import DAY_NS, FloatArray, IntArray
from engine.model.run_tables import FILL_REASONS, Table

SORT_KEYS: Final = {
    "entry": "entry_ts",
    "exit": "exit_ts",
    "pnl": "pnl_atoms",
    "bars": "bars_held",
    "fees": "fees_atoms",
    "qty": "lots",
    "mae": "mae_atoms",
    "mfe": "mfe_atoms",
    "symbol": "symbol",
    "side": "side",
}
"""Columns that trades can be sorted by, beside ``return`` and ``number``."""


@dataclass(frozen=True, slots=True)
class TradeRow:
    """One round trip for a table; ``number`` is its place in the order of exits."""

    number: int
    symbol: str
    side: int
    qty: Decimal
    entry_bar: int
    exit_bar: int
    entry_ns: int
    exit_ns: int
    entry_price: float
    exit_price: float
    pnl: Decimal
    fees: Decimal
    return_pct: float
    mae: Decimal
    mfe: Decimal
    bars_held: int
    exit_reason: str


class ResultView:
    """Reads what a screen shows of the result in *folder*.

    Opening reads `result.json`; a table is read when it is first asked for and kept. One view
    belongs to one thread.

    Raises:
        ResultFormatError: the folder holds no complete result.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self.document: Mapping[str, Any] = read_document(folder)
        self.instruments = tuple(
            InstrumentFacts(
                **{
                    **one,
                    **{name: Decimal(one[name]) for name in ("tick", "lot", "multiplier")},
                }
            )
            for one in self.document["instruments"]
        )
        self._money_precision = int(self.document["money_precision"])
        self._orders: dict[tuple[str, bool], IntArray] = {}
        self._prices: dict[int, dict[str, IntArray]] = {}

    @cached_property
    def _equity(self) -> Table:
        return read_table(self._folder, "equity")

    @cached_property
    def _curve(self) -> FloatArray:
        return equity_values(self._equity["equity_atoms"], self._money_precision)

    @cached_property
    def _trades(self) -> Table:
        return read_table(self._folder, "trades")

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Return the metrics by name, money as text, None where undefined."""
        values: Mapping[str, Any] = self.document["metrics"]["values"]
        return values

    @property
    def span_ns(self) -> tuple[int, int]:
        """Return the first and last stamp of the equity, (0, 0) without samples."""
        ts = self._equity["ts"]
        return (int(ts[0]), int(ts[-1])) if len(ts) else (0, 0)

    def equity(
        self, buckets: int, *, from_ns: int | None = None, to_ns: int | None = None
    ) -> tuple[IntArray, FloatArray]:
        """Return (stamps, equity) between two stamps, at most ``2 * buckets + 2`` samples."""
        return self._cut(self._curve, buckets, from_ns, to_ns)

    def drawdown(
        self, buckets: int, *, from_ns: int | None = None, to_ns: int | None = None
    ) -> tuple[IntArray, FloatArray]:
        """Return (stamps, drawdown as a positive fraction), as `equity` does."""
        return self._cut(self._drawdowns, buckets, from_ns, to_ns)

    @cached_property
    def _drawdowns(self) -> FloatArray:
        return drawdowns(self._curve)

    def _cut(
        self, values: FloatArray, buckets: int, from_ns: int | None, to_ns: int | None
    ) -> tuple[IntArray, FloatArray]:
        ts = self._equity["ts"]
        start, stop = _range(ts, from_ns, to_ns)
        return min_max_buckets(ts[start:stop], values[start:stop], buckets)

    def has_prices(self, symbol: int = 0) -> bool:
        """Whether the bars of *symbol* (its place in the declaration) are stored."""
        return (self._folder / f"prices-{symbol}.parquet").is_file()

    def price(
        self,
        buckets: int,
        *,
        symbol: int = 0,
        from_ns: int | None = None,
        to_ns: int | None = None,
    ) -> Candles:
        """Return at most *buckets* bars of *symbol* between two stamps, joined if need be.

        Raises:
            ResultFormatError: the bars are not stored.
        """
        if symbol not in self._prices:
            path = self._folder / f"prices-{symbol}.parquet"
            try:
                frame = pl.read_parquet(path, columns=list(PRICE_COLUMNS))
            except (OSError, pl.exceptions.PolarsError) as error:
                text = f"{path}:1: file: cannot be read: run the backtest again"
                raise ResultFormatError(text, cause=error) from error
            self._prices[symbol] = {name: frame[name].to_numpy() for name in PRICE_COLUMNS}
        bars = self._prices[symbol]
        start, stop = _range(bars["ts_close"], from_ns, to_ns)
        tick = float(self.instruments[symbol].tick)
        opening, high, low, closing = (
            bars[name][start:stop].astype(np.float64) * tick
            for name in ("open", "high", "low", "close")
        )
        joined = candles(
            bars["ts_open"][start:stop],
            bars["ts_close"][start:stop],
            (opening, high, low, closing),
            buckets,
        )
        joined.first_bar[:] += start
        return joined

    @property
    def trade_count(self) -> int:
        """Return the number of closed round trips."""
        return len(self._trades)

    def trades(
        self, start: int, count: int, *, sort: str = "number", descending: bool = False
    ) -> list[TradeRow]:
        """Return *count* trades from place *start* of the order by *sort*.

        The order is computed once and kept.

        Raises:
            ValueError: *sort* is no column.
        """
        order = self._order(sort, descending=descending)[start : start + count]
        return self._rows(order)

    def place_of(self, number: int, *, sort: str = "number", descending: bool = False) -> int:
        """Return the place of trade *number* in the order by *sort*."""
        return int(np.flatnonzero(self._order(sort, descending=descending) == number)[0])

    def trades_between(self, from_ns: int, to_ns: int, *, most: int = 500) -> list[TradeRow]:
        """Return trades that touch the time between two stamps, evenly thinned to *most*."""
        table = self._trades
        hits = np.flatnonzero((table["exit_ts"] >= from_ns) & (table["entry_ts"] <= to_ns))
        if len(hits) > most:
            hits = hits[np.linspace(0, len(hits) - 1, most).astype(np.int64)]
        return self._rows(hits)

    def _order(self, sort: str, *, descending: bool) -> IntArray:
        key = (sort, descending)
        if key not in self._orders:
            table = self._trades
            values: FloatArray | IntArray = np.arange(len(table))
            if sort == "return":
                values = trade_returns(table)
            elif sort in SORT_KEYS:
                values = table[SORT_KEYS[sort]].astype(np.int64)
            elif sort != "number":
                allowed = ", ".join(("number", "return", *SORT_KEYS))
                raise ValueError(f"sort: {sort!r} is no column of trades, use {allowed}")
            self._orders[key] = np.argsort(-values if descending else values, kind="stable")
        return self._orders[key]

    def _rows(self, places: IntArray) -> list[TradeRow]:
        table = self._trades[places]
        entry = trade_prices(table, "entry_atoms", self.instruments).tolist()
        exit_ = trade_prices(table, "exit_atoms", self.instruments).tolist()
        returns = trade_returns(table).tolist()
        names = table.dtype.names or ()
        rows = []
        for index, number in enumerate(places.tolist()):
            one = dict(zip(names, table[index].tolist(), strict=True))
            facts = self.instruments[one["symbol"]]
            rows.append(
                TradeRow(
                    number,
                    facts.symbol,
                    one["side"],
                    facts.lot * one["lots"],
                    one["entry_bar"],
                    one["exit_bar"],
                    one["entry_ts"],
                    one["exit_ts"],
                    entry[index],
                    exit_[index],
                    self._money(one["pnl_atoms"]),
                    self._money(one["fees_atoms"]),
                    returns[index],
                    self._money(one["mae_atoms"]),
                    self._money(one["mfe_atoms"]),
                    one["bars_held"],
                    FILL_REASONS[one["exit_reason"]],
                )
            )
        return rows

    def _money(self, atoms: int) -> Decimal:
        return Decimal(atoms).scaleb(-self._money_precision)

    @property
    def months(self) -> list[MonthReturn]:
        """Return the return of each month."""
        initial = float(self._money(int(self.document["initial_atoms"])))
        return monthly_returns(self._equity["ts"], self._curve, initial)

    def distribution(self, bins: int = 41) -> Histogram:
        """Return how the daily returns are spread (native ones for bars above a day)."""
        ts = self._equity["ts"]
        step = int(np.median(np.diff(ts[: 2**16]))) if len(ts) > 1 else DAY_NS
        ends = period_ends(ts, step)
        return return_histogram(simple_returns(self._curve[ends]), bins)


def _range(ts: IntArray, from_ns: int | None, to_ns: int | None) -> tuple[int, int]:
    start = 0 if from_ns is None else int(np.searchsorted(ts, from_ns))
    stop = len(ts) if to_ns is None else int(np.searchsorted(ts, to_ns, side="right"))
    return start, stop
