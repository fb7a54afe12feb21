"""Trades and quotes from files, and bars made of trades."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.markets.bar_options import InstrumentTerms
from engine.markets.data_report import MarketDataError
from engine.markets.plain_file import PlainFile
from engine.markets.stamps import BarDuration, EpochUnit
from engine.model.bar_columns import BarColumns, IntArray, day_sessions
from engine.model.instruments import Instrument, NonIntegralScaleError, OffGridError
from engine.model.tick_columns import QuoteColumns, TradeColumns

_TRADE_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "price": ("price", "p"),
    "size": ("size", "qty", "quantity", "amount", "volume"),
    "aggressor": ("aggressor", "side"),
    "seq": ("seq", "trade_id", "id"),
}
_QUOTE_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "bid": ("bid", "bid_price"),
    "ask": ("ask", "ask_price"),
    "bid_size": ("bid_size", "bid_qty"),
    "ask_size": ("ask_size", "ask_qty"),
    "seq": ("seq", "id"),
}
_AGGRESSORS: Final = {
    "1": 1,
    "+1": 1,
    "b": 1,
    "buy": 1,
    "-1": -1,
    "s": -1,
    "sell": -1,
    "0": 0,
    "": 0,
    "unknown": 0,
}


def load_trades(
    path: pathlib.Path,
    *,
    terms: InstrumentTerms,
    timezone: str | None = None,
    epoch_unit: EpochUnit | None = None,
) -> TradeColumns:
    """Return the trades in the file *path* in the order of time; equal stamps keep their order.

    Raises:
        MarketDataError: the file cannot be read or used.
        ValueError: the time zone is not known.
    """
    file = PlainFile(
        path,
        aliases=_TRADE_NAMES,
        required=("price", "size"),
        timezone=timezone,
        epoch_unit=epoch_unit,
    )
    instrument = _instrument(path, terms)
    aggressor = np.zeros(len(file), dtype=np.int8)
    if file.has("aggressor"):
        words = file.series("aggressor").cast(pl.String).fill_null("").str.to_lowercase()
        codes = words.replace_strict(_AGGRESSORS, default=None, return_dtype=pl.Int8)
        text = "is no side: buy, sell, 1, -1, 0 or blank are allowed"
        file.refuse_in_order("aggressor", codes.is_null().to_numpy(), text)
        aggressor = codes.to_numpy()
    return TradeColumns(
        instrument,
        terms.symbol,
        file.ts,
        file.ticks("price", instrument.tick),
        file.lots("size", instrument.lot),
        aggressor,
        _sequence(file),
    )


def load_quotes(
    path: pathlib.Path,
    *,
    terms: InstrumentTerms,
    timezone: str | None = None,
    epoch_unit: EpochUnit | None = None,
) -> QuoteColumns:
    """Return the quotes in the file *path* in the order of time; equal stamps keep their order.

    Raises:
        MarketDataError: the file cannot be read or used, or a bid is above its ask.
        ValueError: the time zone is not known.
    """
    file = PlainFile(
        path,
        aliases=_QUOTE_NAMES,
        required=("bid", "ask"),
        timezone=timezone,
        epoch_unit=epoch_unit,
    )
    instrument = _instrument(path, terms)
    bid, ask = file.ticks("bid", instrument.tick), file.ticks("ask", instrument.tick)
    file.refuse_in_order("bid", bid > ask, "is above the ask: bid <= ask is allowed")
    nothing = np.zeros(len(file), dtype=np.int64)
    return QuoteColumns(
        instrument,
        terms.symbol,
        file.ts,
        bid,
        ask,
        file.lots("bid_size", instrument.lot) if file.has("bid_size") else nothing,
        file.lots("ask_size", instrument.lot) if file.has("ask_size") else nothing,
        _sequence(file),
    )


def _sequence(file: PlainFile) -> IntArray:
    """Return the file's own numbers if they are whole, else the place in the order of time."""
    if file.has("seq"):
        numbers = file.series("seq").cast(pl.Int64, strict=False)
        if not numbers.null_count():
            return numbers.to_numpy()
    return np.arange(len(file), dtype=np.int64)


def _instrument(path: pathlib.Path, terms: InstrumentTerms) -> Instrument:
    if terms.tick is None:
        raise MarketDataError(f"{path}:1: tick: is not configured: trades and quotes need one")
    try:
        return terms.instrument(terms.tick)
    except (NonIntegralScaleError, OffGridError) as error:
        raise MarketDataError(
            f"{path}:1: tick: NON_INTEGRAL_SCALE: {error}", cause=error
        ) from error


def bars_of_trades(trades: TradeColumns, duration: BarDuration) -> BarColumns:
    """Return the bars of *trades*: periods since the epoch with at least one trade.

    VWAP is weighted by size, half to even; ``trades`` counts them.

    Raises:
        ValueError: *duration* has no fixed length.
    """
    length = duration.fixed_ns
    if not length:
        raise ValueError(f"bars of trades need a fixed length, not {duration.text}")
    opens = trades.ts // length * length
    starts = np.flatnonzero(np.diff(opens, prepend=opens[:1] - 1)) if len(trades) else opens
    ends = np.append(starts[1:], len(trades))[: len(starts)]
    ts_open = opens[starts]
    ts_close = ts_open + length
    edges = day_sessions(ts_open, ts_close)
    volume = _reduce(np.add, trades.size, starts)
    value = _reduce(np.add, trades.price.astype(object) * trades.size.astype(object), starts)
    return BarColumns(
        instrument=trades.instrument,
        symbol=trades.symbol,
        duration_ns=length,
        ts_open=ts_open,
        ts_close=ts_close,
        open=trades.price[starts],
        high=_reduce(np.maximum, trades.price, starts),
        low=_reduce(np.minimum, trades.price, starts),
        close=trades.price[ends - 1],
        volume=volume,
        is_synthetic=np.zeros(len(starts), dtype=np.bool_),
        starts_session=edges[0],
        ends_session=edges[1],
        vwap=_mean_price(value, volume, trades.price[ends - 1]),
        trades=(ends - starts).astype(np.int64),
    )


def _reduce(reduce: np.ufunc, values: Any, starts: IntArray) -> Any:  # noqa: ANN401 (arrays of one dtype)
    return reduce.reduceat(values, starts) if len(starts) else values[:0]


def _mean_price(value: NDArray[Any], volume: IntArray, close: IntArray) -> IntArray:
    safe = np.where(volume == 0, 1, volume)
    quotient = value // safe
    twice = 2 * (value - quotient * safe)
    is_up = (twice > safe) | ((twice == safe) & (quotient % 2 == 1))
    return np.where(volume == 0, close, quotient + is_up.astype(np.int64)).astype(np.int64)
