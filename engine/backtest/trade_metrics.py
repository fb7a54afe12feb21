"""Metrics of closed round trips."""

from __future__ import annotations

import math
from typing import Final, Protocol

import numpy as np

from engine.backtest.metric_series import running_sum
from engine.backtest.overfitting import sample_deviation
from engine.backtest.trade_log import trade_returns
from engine.model.bar_columns import DAY_NS, BoolArray, FloatArray
from engine.model.run_tables import Table

NO_TRADES: Final = "NO_TRADES"
NO_WINS: Final = "NO_WINS"
NO_LOSSES: Final = "NO_LOSSES"
_NULL_WITHOUT_TRADES: Final = (
    "win_rate",
    "profit_factor",
    "profit_factor_pct",
    "expectancy",
    "expectancy_pct",
    "payoff",
    "sqn",
    "kelly",
    "best_trade",
    "worst_trade",
    "avg_trade",
    "max_duration",
    "avg_duration",
)


class Draft(Protocol):
    """Where values go."""

    def put(self, name: str, value: float | None, reason: str = ...) -> None:
        """Set *name*, to None with *reason* if undefined."""
        ...


def trade_metrics(draft: Draft, trades: Table, money_precision: int) -> None:
    """Put the metrics of *trades* (a table of `TRADE_DTYPE`) into *draft*."""
    count = len(trades)
    draft.put("n_trades", count)
    pnl_atoms = trades["pnl_atoms"]
    wins, losses = pnl_atoms > 0, pnl_atoms < 0
    draft.put("max_consecutive_wins", longest_run(wins))
    draft.put("max_consecutive_losses", longest_run(losses))
    if not count:
        for name in _NULL_WITHOUT_TRADES:
            draft.put(name, None, NO_TRADES)
        return
    pnl = pnl_atoms.astype(np.float64) / float(10**money_precision)
    returns = trade_returns(trades)
    won, lost = int(np.count_nonzero(wins)), int(np.count_nonzero(losses))
    gained, given = running_sum(pnl[wins]), -running_sum(pnl[losses])
    win_rate = won / count
    draft.put("win_rate", win_rate)
    draft.put("profit_factor", gained / given if given else None, NO_LOSSES)
    draft.put("expectancy", running_sum(pnl) / count)
    payoff = (gained / won) / (given / lost) if won and lost else None
    why = NO_WINS if lost else NO_LOSSES
    draft.put("payoff", payoff, why)
    draft.put("kelly", win_rate - (1.0 - win_rate) / payoff if payoff else None, why)
    deviation = sample_deviation(pnl)
    reason = "TOO_FEW_TRADES" if deviation is None else "ZERO_VARIANCE"
    mean = running_sum(pnl) / count
    draft.put("sqn", math.sqrt(count) * mean / deviation if deviation else None, reason)
    _put_returns(draft, returns)
    durations = trades["exit_ts"] - trades["entry_ts"]
    draft.put("max_duration", int(durations.max()) / DAY_NS)
    draft.put("avg_duration", sum(durations.tolist()) / count / DAY_NS)


def _put_returns(draft: Draft, returns: FloatArray) -> None:
    up, down = running_sum(returns[returns > 0]), -running_sum(returns[returns < 0])
    draft.put("profit_factor_pct", up / down if down else None, NO_LOSSES)
    draft.put("expectancy_pct", running_sum(returns) / len(returns))
    draft.put("best_trade", float(returns.max()))
    draft.put("worst_trade", float(returns.min()))
    growth = 1.0 + returns
    if bool((growth <= 0.0).any()):
        draft.put("avg_trade", 0.0)  # as the growth rate g of the returns
    else:
        draft.put("avg_trade", math.exp(running_sum(np.log(growth)) / len(returns)) - 1.0)


def longest_run(flags: BoolArray) -> int:
    """Return the length of the longest run of True."""
    padded = np.concatenate(([0], flags.astype(np.int8), [0]))
    edges = np.flatnonzero(np.diff(padded))
    lengths = edges[1::2] - edges[::2]
    return int(lengths.max()) if len(lengths) else 0
