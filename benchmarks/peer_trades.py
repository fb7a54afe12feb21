"""Trades of backtesting.py on the bundled daily bars, for the parity test of bar execution.

Run with a Python that has backtesting.py 0.6 (``pip install backtesting``); it prints the JSON that
``tests/unit/execution/peer_trades.json`` holds: for each script, the closed trades as
[lots, entry bar, exit bar, entry price, exit price].
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

BARS = Path(__file__).parent.parent / "sample_configs" / "data" / "sp500-1d.csv"
EVERY = 17
HOLD = 7
LOTS = 10


def rounded(price: float) -> float:
    """Return *price* on the grid of cents."""
    return round(price, 2)


def scripts() -> dict[str, Callable[[Any, float], object]]:
    """Return what each script orders at the close of a bar, every 17 bars."""
    return {
        "market": lambda strategy, _: strategy.buy(size=LOTS),
        "short": lambda strategy, _: strategy.sell(size=LOTS),
        "limit": lambda strategy, close: strategy.buy(size=LOTS, limit=rounded(close * 0.99)),
        "stop": lambda strategy, close: strategy.buy(size=LOTS, stop=rounded(close * 1.01)),
        "stop_limit": lambda strategy, close: strategy.buy(
            size=LOTS, stop=rounded(close * 1.01), limit=rounded(close * 1.02)
        ),
        "bracket": lambda strategy, close: strategy.buy(
            size=LOTS, sl=rounded(close * 0.97), tp=rounded(close * 1.03)
        ),
        "short_bracket": lambda strategy, close: strategy.sell(
            size=LOTS, sl=rounded(close * 1.02), tp=rounded(close * 0.98)
        ),
    }


def main() -> None:
    """Print the trades of every script."""
    pandas: Any = import_module("pandas")
    peer: Any = import_module("backtesting")
    warnings.simplefilter("ignore")
    frame = pandas.read_csv(BARS, parse_dates=["timestamp"], index_col="timestamp")
    frame.columns = [name.capitalize() for name in frame.columns]
    found = {}
    for name, order in scripts().items():
        namespace = {"init": lambda _: None, "next": stepper(order, is_timed="bracket" not in name)}
        scripted = type("Scripted", (peer.Strategy,), namespace)
        backtest = peer.Backtest(
            frame, scripted, cash=10_000_000, commission=0, finalize_trades=False
        )
        found[name] = [
            [int(row.Size), int(row.EntryBar), int(row.ExitBar), row.EntryPrice, row.ExitPrice]
            for row in backtest.run()["_trades"].itertuples()
        ]
    json.dump(found, sys.stdout, separators=(",", ":"))


def stepper(order: Callable[[Any, float], object], *, is_timed: bool) -> Callable[[Any], None]:
    """Return what a strategy does at each bar."""

    def step(strategy: Any) -> None:
        bar = len(strategy.data) - 1
        phase = bar % EVERY
        if phase == HOLD and is_timed:
            for working in strategy.orders:
                working.cancel()
            if strategy.position:
                strategy.position.close()
        if phase == 0 and bar and not strategy.position and not strategy.orders:
            order(strategy, float(strategy.data.Close[-1]))

    return step


if __name__ == "__main__":
    main()
