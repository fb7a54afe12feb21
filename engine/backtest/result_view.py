"""Windows on a stored result for a viewer: already sorted, cut and made small."""

from __future__ import annotations

import operator
import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.backtest.metric_series import (
    DepthWalk,
    equity_values,
    period_ends,
    simple_returns,
)
from engine.backtest.readable_tables import trade_prices
from engine.backtest.results import InstrumentFacts
from engine.backtest.results_io import PRICE_COLUMNS, ResultFormatError, read_document, read_table
from engine.backtest.return_tables import (
    Histogram,
    MonthReturn,
    monthly_returns,
    return_histogram,
)
from engine.backtest.sampling import Candles, candles, min_max_places
from engine.backtest.table_files import read_parquet
from engine.backtest.trade_log import trade_returns
from engine.markets.mapped_columns import column_like
from engine.model.bar_columns import (
    DAY_NS,
    FloatArray,
    IntArray,
    blocks,
    picked,
    release_pages,
)
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

_PRICES: Final = np.dtype([(name, np.int64) for name in PRICE_COLUMNS])
"""A bar of a stored price chart."""

TradeTerm: TypeAlias = tuple[str, str, str | float, bool]
"""One condition: field, sign, value, whether it must not hold."""

_MONEY: Final = {
    "pnl": "pnl_atoms",
    "fees": "fees_atoms",
    "worst": "mae_atoms",
    "best": "mfe_atoms",
}
_COMPARE: Final[Mapping[str, Callable[[FloatArray, float], NDArray[np.bool_]]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}


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
        self._prices: dict[int, Table] = {}
        nothing: tuple[TradeTerm, ...] = (("", "", "", False),)
        self._last_mask: tuple[tuple[TradeTerm, ...], NDArray[np.bool_]] = (
            nothing,
            np.zeros(0, dtype=np.bool_),
        )
        self._last_chosen: tuple[tuple[str, bool, tuple[TradeTerm, ...]], IntArray] = (
            ("", False, nothing),
            np.zeros(0, dtype=np.int64),
        )

    @cached_property
    def _equity(self) -> Table:
        return read_table(self._folder, "equity")

    @cached_property
    def _curve(self) -> FloatArray:
        return self._column(lambda equity: equity)

    def _column(self, made_of: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """Return what *made_of* makes of the equity, block by block; where the samples are."""
        samples = self._equity
        found = column_like(samples, dtype=np.dtype(np.float64))
        for rows in blocks(len(samples), samples, found):
            atoms = samples["equity_atoms"][rows]
            found[rows] = made_of(equity_values(atoms, self._money_precision))
        return found

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
        return self._column(DepthWalk().take)

    def _cut(
        self, values: FloatArray, buckets: int, from_ns: int | None, to_ns: int | None
    ) -> tuple[IntArray, FloatArray]:
        ts = self._equity["ts"]
        start, stop = _range(ts, from_ns, to_ns)
        if stop - start <= 2 * buckets:
            return ts[start:stop], values[start:stop]

        def part(rows: slice) -> FloatArray:
            release_pages(values)
            return values[start + rows.start : start + rows.stop]

        places, kept = min_max_places(stop - start, part, buckets)
        return picked(ts, places + start), kept

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
                self._prices[symbol] = read_parquet(path, _PRICES)
            except (OSError, pl.exceptions.PolarsError) as error:
                text = f"{path}:1: file: cannot be read: run the backtest again"
                raise ResultFormatError(text, cause=error) from error
        bars = self._prices[symbol]
        start, stop = _range(bars["ts_close"], from_ns, to_ns)
        shown = bars[start:stop]
        joined = candles(
            shown["ts_open"],
            shown["ts_close"],
            (shown["open"], shown["high"], shown["low"], shown["close"]),
            buckets,
            tick=float(self.instruments[symbol].tick),
        )
        joined.first_bar[:] += start
        return joined

    @property
    def trade_count(self) -> int:
        """Return the number of closed round trips."""
        return len(self._trades)

    def trades(
        self,
        start: int,
        count: int,
        *,
        sort: str = "number",
        descending: bool = False,
        where: Sequence[TradeTerm] = (),
    ) -> list[TradeRow]:
        """Return *count* trades from place *start* of the order by *sort*, those of *where*.

        The order is computed once and kept, so are the trades that the last *where* left.

        Raises:
            ValueError: *sort* or a field of *where* is no column.
        """
        order = self._chosen(sort, descending=descending, where=where)
        return self._rows(order[start : start + count])

    def count_trades(self, where: Sequence[TradeTerm]) -> int:
        """Return how many trades *where* is true of."""
        return int(np.count_nonzero(self._mask(where)))

    def place_of(
        self,
        number: int,
        *,
        sort: str = "number",
        descending: bool = False,
        where: Sequence[TradeTerm] = (),
    ) -> int | None:
        """Return the place of trade *number* in the order by *sort*; None if *where* leaves it."""
        order = self._chosen(sort, descending=descending, where=where)
        places = np.flatnonzero(order == number)
        return int(places[0]) if len(places) else None

    def _chosen(self, sort: str, *, descending: bool, where: Sequence[TradeTerm]) -> IntArray:
        order = self._order(sort, descending=descending)
        if not where:
            return order
        key = (sort, descending, tuple(where))
        if self._last_chosen[0] != key:
            self._last_chosen = (key, order[self._mask(where)[order]])
        return self._last_chosen[1]

    def _mask(self, where: Sequence[TradeTerm]) -> NDArray[np.bool_]:
        key = tuple(where)
        if self._last_mask[0] != key:
            mask = np.ones(self.trade_count, dtype=np.bool_)
            for field, sign, value, is_not in key:
                mask &= self._holds(field, sign, value) ^ is_not
            self._last_mask = (key, mask)
        return self._last_mask[1]

    def _holds(self, field: str, sign: str, value: str | float) -> NDArray[np.bool_]:
        if not isinstance(value, str):
            return _COMPARE[sign](self._numbers_of(field), value)
        found = np.zeros(self.trade_count, dtype=np.bool_)
        for name in (field,) if field else ("symbol", "side", "why"):
            column, words = self._words_of(name)
            codes = [code for code, word in words.items() if value in word.casefold()]
            found |= np.isin(column, codes)
        return found

    def _words_of(self, field: str) -> tuple[IntArray, Mapping[int, str]]:
        """Return a column of codes, and the word of each code."""
        table = self._trades
        if field == "symbol":
            names = [one.symbol for one in self.instruments]
            return table["symbol"], dict(enumerate(names))
        if field == "side":
            return table["side"], {1: "long", -1: "short"}
        if field == "why":
            words = (reason.replace("_", " ") for reason in FILL_REASONS)
            return table["exit_reason"], dict(enumerate(words))
        raise ValueError(f"where: {field!r} is no text of trades, use symbol, side, why")

    def _numbers_of(self, field: str) -> FloatArray:
        table = self._trades
        if field == "number":
            return np.arange(1, len(table) + 1, dtype=np.float64)
        if field == "return":
            return trade_returns(table)
        if field in ("in", "out"):
            column = "entry_atoms" if field == "in" else "exit_atoms"
            return trade_prices(table, column, self.instruments)
        if field == "qty":
            lot = np.array([float(one.lot) for one in self.instruments])
            held: FloatArray = table["lots"] * lot[table["symbol"]]
            return held
        if field == "bars":
            return table["bars_held"].astype(np.float64)
        if field in _MONEY:
            atoms: FloatArray = table[_MONEY[field]].astype(np.float64)
            return atoms / 10.0**self._money_precision
        known = ", ".join(("number", "qty", "in", "out", "return", "bars", *_MONEY))
        raise ValueError(f"where: {field!r} is no number of trades, use {known}")

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
        ends = self._period_ends
        return monthly_returns(picked(self._equity["ts"], ends), picked(self._curve, ends), initial)

    def distribution(self, bins: int = 41) -> Histogram:
        """Return how the daily returns are spread (native ones for bars above a day)."""
        return return_histogram(simple_returns(picked(self._curve, self._period_ends)), bins)

    @cached_property
    def _period_ends(self) -> IntArray:
        ts = self._equity["ts"]
        step = int(np.median(np.diff(ts[: 2**16]))) if len(ts) > 1 else DAY_NS
        return period_ends(ts, step)


def _range(ts: IntArray, from_ns: int | None, to_ns: int | None) -> tuple[int, int]:
    start = 0 if from_ns is None else int(np.searchsorted(ts, from_ns))
    stop = len(ts) if to_ns is None else int(np.searchsorted(ts, to_ns, side="right"))
    return start, stop
