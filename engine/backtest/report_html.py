"""One HTML file with interactive charts that needs no network."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import numpy as np

from engine.backtest.metric_series import equity_values, period_ends, simple_returns
from engine.backtest.readable_tables import trade_prices
from engine.backtest.results import BacktestResult
from engine.backtest.return_tables import Histogram, monthly_returns, return_histogram
from engine.backtest.sampling import candles
from engine.backtest.trade_log import trade_returns
from engine.model.bar_columns import DAY_NS, BarColumns, FloatArray, IntArray, picked
from engine.model.run_tables import FILL_REASONS

MOST_CANDLES: Final = 6_000
MOST_POINTS: Final = 2_000
MOST_TRADES: Final = 5_000
"""Trades in the page; the CSV beside it has all of them."""
_STEPS: Final = 1 << 16
"""Samples whose distances say how far apart all of them are."""
_MILLION: Final = 1_000_000
_DIGITS: Final = 10


def render_report(result: BacktestResult, *, bars: Sequence[BarColumns] = ()) -> str:
    """Return the report of *result* as one HTML document.

    Everything is inlined; a content security policy forbids any request. Long runs are made small:
    equity by minimum and maximum of each bucket, bars joined, the first `MOST_TRADES` trades.

    Args:
        result: what to show.
        bars: the columns of each symbol, for the price chart.
    """
    template = files("engine.backtest").joinpath("report_template.html").read_text("utf-8")
    # "<" in JSON text only occurs inside strings: escaped, no value can end the script element.
    data = json.dumps(_report_data(result, bars), allow_nan=False).replace("<", "\\u003c")
    title = html.escape(f"{result.run_id} · {', '.join(result.symbols)}")
    return template.replace("__TITLE__", title).replace("__DATA__", data)


def _report_data(result: BacktestResult, bars: Sequence[BarColumns]) -> dict[str, Any]:
    ts = result.equity["ts"]
    bar_ns = bars[0].duration_ns if bars else _usual_step(ts)
    ends = period_ends(ts, bar_ns)
    period_ts = picked(ts, ends)
    atoms = picked(result.equity["equity_atoms"], ends)
    period_equity = equity_values(atoms, result.money_precision)
    returns = simple_returns(period_equity)
    depth_ts, depth = result.drawdown_sample(MOST_POINTS)
    initial = float(result.money(result.initial_atoms))
    return {
        "run": {
            "id": result.run_id,
            "status": result.status.value,
            "partial": result.is_partial,
            "symbols": list(result.symbols),
            "engine": result.engine,
            "fingerprint": result.fingerprint,
            "bars": result.bars,
            "currency": result.currency,
            "costs": result.cost_banner,
            "initial": f"{result.money(result.initial_atoms):f}",
            "final": f"{result.final_equity:f}",
            "ambiguous": result.ambiguous_fills,
            "fills": len(result.fills),
            "error": result.error,
            "warnings": list(result.warnings),
            "flags": {str(key): str(value) for key, value in result.flags.items()},
            "rejections": dict(result.rejections),
            "cancellations": dict(result.cancellations),
            "noFillReason": result.dominant_rejection,
        },
        "prices": [_price_data(one) for one in bars],
        "equity": _curve(*result.equity_sample(MOST_POINTS)),
        "drawdown": _curve(depth_ts, -depth),
        "trades": _trade_data(result),
        "tradeCount": len(result.trades),
        "months": [
            [one.year, one.month, _short(one.value)]
            for one in monthly_returns(period_ts, period_equity, initial)
        ],
        "histogram": _histogram_data(return_histogram(returns)),
        "tradeHistogram": _histogram_data(return_histogram(trade_returns(result.trades))),
        "metrics": [
            [name, value, result.metrics.reasons.get(name)]
            for name, value in result.metrics.to_json().items()
        ],
        "config": _json_text(result.config),
        "dataReport": _json_text(result.data_report),
    }


def _usual_step(ts: IntArray) -> int:
    return int(np.median(np.diff(ts[:_STEPS]))) if len(ts) > 1 else DAY_NS


def _json_text(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), indent=2, default=_plain)


def _plain(value: object) -> Any:  # noqa: ANN401 (a JSON value)
    return dict(value) if isinstance(value, Mapping) else str(value)


def _price_data(bars: BarColumns) -> dict[str, Any]:
    joined = candles(
        bars.ts_open,
        bars.ts_close,
        (bars.open, bars.high, bars.low, bars.close),
        MOST_CANDLES,
        tick=float(bars.instrument.tick),
    )
    return {
        "symbol": bars.symbol,
        "t": _milliseconds(joined.ts_open),
        "e": _milliseconds(joined.ts_close),
        "o": _list(joined.open),
        "h": _list(joined.high),
        "l": _list(joined.low),
        "c": _list(joined.close),
        "joined": len(bars) > len(joined),
    }


def _curve(ts: IntArray, values: FloatArray) -> dict[str, Any]:
    return {"t": _milliseconds(ts), "v": _list(values)}


def _trade_data(result: BacktestResult) -> list[list[Any]]:
    table = result.trades[:MOST_TRADES]
    money = float(10**result.money_precision)
    lots = [float(one.lot) for one in result.instruments]
    columns = (
        table["symbol"].tolist(),
        table["side"].tolist(),
        [
            _short(count * lots[symbol])
            for count, symbol in zip(table["lots"].tolist(), table["symbol"].tolist(), strict=True)
        ],
        _milliseconds(table["entry_ts"]),
        _list(trade_prices(table, "entry_atoms", result.instruments)),
        _milliseconds(table["exit_ts"]),
        _list(trade_prices(table, "exit_atoms", result.instruments)),
        _list(table["pnl_atoms"].astype(np.float64) / money),
        _list(trade_returns(table)),
        table["bars_held"].tolist(),
        _list(table["fees_atoms"].astype(np.float64) / money),
        _list(table["mae_atoms"].astype(np.float64) / money),
        _list(table["mfe_atoms"].astype(np.float64) / money),
        [FILL_REASONS[code] for code in table["exit_reason"].tolist()],
    )
    return [list(row) for row in zip(*columns, strict=True)]


def _histogram_data(histogram: Histogram) -> dict[str, Any]:
    return {"edges": _list(histogram.edges), "counts": histogram.counts.tolist()}


def _milliseconds(stamps: IntArray) -> list[int]:
    found: list[int] = (stamps // _MILLION).tolist()
    return found


def _list(values: FloatArray) -> list[float]:
    return [_short(value) for value in values.tolist()]


def _short(value: float) -> float:
    """Return *value* with as many digits as a screen can show."""
    return float(f"{value:.{_DIGITS}g}")
