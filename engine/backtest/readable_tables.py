"""Tables of a result for people and other programs: decimals instead of ticks and atoms, exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import numpy as np
import polars as pl

from engine.backtest.metric_series import DepthWalk, equity_values
from engine.backtest.results import BacktestResult, InstrumentFacts
from engine.backtest.table_files import FrameOf
from engine.backtest.trade_log import trade_returns
from engine.execution.bar_order import KIND_NAMES, TIF_NAMES
from engine.model.bar_columns import FloatArray, release_pages
from engine.model.orders import OrderStatus
from engine.model.run_tables import FILL_REASONS, NO_PRICE, Table

_SIDES: Final = {1: "buy", -1: "sell"}
_PRICE_DIGITS: Final = 9


def decimal_column(values: Any, step: Decimal) -> pl.Series:  # noqa: ANN401 (an integer array)
    """Return whole *values* times *step* as an exact decimal column."""
    scale = _decimals(step)
    wide = pl.Series(values=np.asarray(values), dtype=pl.Int64).cast(pl.Decimal(38, 0))
    return wide * pl.Series([step]).cast(pl.Decimal(38, scale))


def _decimals(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))


def readable_tables(result: BacktestResult) -> dict[str, FrameOf]:
    """Return what makes the frames below of some rows of each table of *result*."""

    def fills(rows: slice) -> pl.DataFrame:
        return fill_frame(replace(result, fills=result.fills[rows]))

    def trades(rows: slice) -> pl.DataFrame:
        return trade_frame(replace(result, trades=result.trades[rows]))

    def orders(rows: slice) -> pl.DataFrame:
        notes = result.order_notes[rows]
        return order_frame(replace(result, orders=result.orders[rows], order_notes=notes))

    return {
        "equity": _EquityRows(result).frame,
        "trades": trades,
        "fills": fills,
        "orders": orders,
    }


class _EquityRows:
    """Frames of the equity samples in order: the drawdown looks back to the peak before them."""

    def __init__(self, result: BacktestResult) -> None:
        self._result = result
        self._depth = DepthWalk()

    def frame(self, rows: slice) -> pl.DataFrame:
        """Return the frame of *rows*, which go on where the last ones ended or at the first."""
        if not rows.start:
            self._depth = DepthWalk()
        result, samples = self._result, self._result.equity
        release_pages(samples)
        atoms = samples["equity_atoms"][rows]
        drawdown = self._depth.take(equity_values(atoms, result.money_precision))
        return equity_frame(result, samples[rows], drawdown)


def fill_frame(result: BacktestResult) -> pl.DataFrame:
    """Return the fills: time, symbol, side, quantity, price, fee, slippage, liquidity, reason."""
    table = result.fills
    return pl.DataFrame(
        [
            _times("time", table["ts"]),
            pl.Series("bar", table["bar"]),
            pl.Series("order_seq", table["order_seq"]),
            _symbols(result, table),
            _sides(table),
            _by_symbol("qty", table, "lots", [one.lot for one in result.instruments]),
            _by_symbol("price", table, "ticks", [one.tick for one in result.instruments]),
            _money(result, "fee", table["fee_atoms"]),
            _money(result, "slippage", table["slippage_atoms"]),
            _names("liquidity", table["liquidity"], ("maker", "taker")),
            _names("reason", table["reason"], FILL_REASONS),
            pl.Series("ambiguous", table["ambiguous"] != 0),
        ]
    )


def equity_frame(result: BacktestResult, table: Table, drawdown: FloatArray) -> pl.DataFrame:
    """Return the equity samples of *table*: time, equity, cash, drawdown, exposure."""
    return pl.DataFrame(
        [
            _times("time", table["ts"]),
            _money(result, "equity", table["equity_atoms"]),
            _money(result, "cash", table["cash_atoms"]),
            pl.Series("drawdown", drawdown),
            pl.Series("exposed", table["exposed"] != 0),
        ]
    )


def trade_frame(result: BacktestResult) -> pl.DataFrame:
    """Return the round trips: symbol, side, quantity, entry, exit, gross, fees, pnl, return, ..."""
    table = result.trades
    lots = [one.lot for one in result.instruments]
    tags = _entry_tags(result, table)
    return pl.DataFrame(
        [
            _symbols(result, table),
            pl.Series(
                "side",
                ["long" if side > 0 else "short" for side in table["side"].tolist()],
                dtype=pl.String,
            ),
            _by_symbol("qty", table, "lots", lots),
            pl.Series("entry_bar", table["entry_bar"]),
            pl.Series("exit_bar", table["exit_bar"]),
            _times("entry_time", table["entry_ts"]),
            _times("exit_time", table["exit_ts"]),
            pl.Series(
                "entry_price",
                _prices(table, "entry_atoms", result.instruments),
                dtype=pl.Decimal(38, _PRICE_DIGITS),
            ),
            pl.Series(
                "exit_price",
                _prices(table, "exit_atoms", result.instruments),
                dtype=pl.Decimal(38, _PRICE_DIGITS),
            ),
            _money(result, "gross", table["gross_atoms"]),
            _money(result, "fees", table["fees_atoms"]),
            _money(result, "pnl", table["pnl_atoms"]),
            pl.Series("return", trade_returns(table)),
            pl.Series("bars_held", table["bars_held"]),
            _money(result, "mae", table["mae_atoms"]),
            _money(result, "mfe", table["mfe_atoms"]),
            _names("exit_reason", table["exit_reason"], FILL_REASONS),
            pl.Series(
                "tag", [tags.get(seq, "") for seq in table["entry_seq"].tolist()], dtype=pl.String
            ),
        ]
    )


def _known(name: str, codes: Table, words: Sequence[str]) -> pl.Series:
    """Return the words of *codes*; a code without one, which is why it was rejected, stays."""
    texts = [words[code] if code < len(words) else str(code) for code in codes.astype(int).tolist()]
    return pl.Series(name, texts, dtype=pl.String)


def order_frame(result: BacktestResult) -> pl.DataFrame:
    """Return the orders with their states and reasons."""
    table = result.orders
    states = [status.name for status in OrderStatus]
    notes = result.order_notes or ({},) * len(table)
    ticks = [one.tick for one in result.instruments]
    columns = [
        pl.Series("seq", table["seq"]),
        _symbols(result, table),
        _sides(table),
        _known("type", table["type"], KIND_NAMES),
        _known("tif", table["tif"], TIF_NAMES),
        _names("state", table["state"], states),
        _by_symbol("qty", table, "lots", [one.lot for one in result.instruments]),
        _by_symbol("filled", table, "filled_lots", [one.lot for one in result.instruments]),
        _money(result, "fee", table["fee_atoms"]),
        _times("created", table["ts_created"]),
        _times("updated", table["ts_updated"]),
    ]
    for name in ("limit", "stop"):
        column = _by_symbol(name, table, name, ticks)
        columns.append(column.set(pl.Series(table[name] == NO_PRICE), None))
    for name in ("reason", "role", "tag"):
        texts = [str(note.get(name) or "") for note in notes]
        columns.append(pl.Series(name, texts, dtype=pl.String))
    return pl.DataFrame(columns)


def trade_prices(table: Table, name: str, instruments: Sequence[InstrumentFacts]) -> FloatArray:
    """Return the mean price of the entries or exits (*name* is a column of atoms) as float64."""
    scale = np.array([one.atoms_per_tick_lot for one in instruments] or [1], dtype=np.float64)
    tick = np.array([float(one.tick) for one in instruments] or [1.0])
    symbol = table["symbol"]
    lots = table["lots"].astype(np.float64) * scale[symbol]
    ticks = np.divide(table[name], lots, out=np.zeros(len(table)), where=lots != 0)
    prices: FloatArray = ticks * tick[symbol]
    return prices


def _prices(table: Table, name: str, instruments: Sequence[InstrumentFacts]) -> list[Decimal]:
    """Return the same prices to nine decimals, exact where they are on the tick."""
    grid = [(one.tick, one.atoms_per_tick_lot) for one in instruments]
    unit = Decimal(1).scaleb(-_PRICE_DIGITS)
    rows = zip(table["symbol"].tolist(), table[name].tolist(), table["lots"].tolist(), strict=True)
    prices = []
    for symbol, atoms, lots in rows:
        tick, scale = grid[symbol]
        price = Decimal(atoms) / (lots * scale) * tick if lots else Decimal(0)
        prices.append(price.quantize(unit))
    return prices


def _entry_tags(result: BacktestResult, trades: Table) -> dict[int, str]:
    """Return the tags of the orders that entered *trades*, by their seq."""
    if not result.order_notes:
        return {}
    seqs = np.unique(trades["entry_seq"])
    known = result.orders["seq"]
    places = np.searchsorted(known, seqs)
    pairs = zip(seqs.tolist(), places.tolist(), strict=True)
    return {
        seq: str(result.order_notes[place].get("tag") or "")
        for seq, place in pairs
        if place < len(known) and known[place] == seq
    }


def _times(name: str, stamps: Any) -> pl.Series:  # noqa: ANN401 (an integer array)
    values = pl.Series(name, np.ascontiguousarray(stamps))
    return values.cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")


def _symbols(result: BacktestResult, table: Table) -> pl.Series:
    return _names("symbol", table["symbol"], result.symbols)


def _sides(table: Table) -> pl.Series:
    return pl.Series("side", [_SIDES[side] for side in table["side"].tolist()], dtype=pl.String)


def _names(name: str, codes: Any, words: Sequence[str]) -> pl.Series:  # noqa: ANN401 (integers)
    return pl.Series(name, [words[code] for code in codes.tolist()], dtype=pl.String)


def _money(result: BacktestResult, name: str, atoms: Any) -> pl.Series:  # noqa: ANN401 (integers)
    return decimal_column(atoms, Decimal(1).scaleb(-result.money_precision)).alias(name)


def _by_symbol(name: str, table: Table, column: str, steps: Sequence[Decimal]) -> pl.Series:
    """Return whole steps of each symbol as decimals of one scale."""
    scale = max((_decimals(step) for step in steps), default=0)
    factors = np.array([int(step.scaleb(scale)) for step in steps] or [1], dtype=np.int64)
    values = table[column]
    known = np.where(values == NO_PRICE, 0, values)
    return decimal_column(known * factors[table["symbol"]], Decimal(1).scaleb(-scale)).alias(name)
