"""Fill prices of backtrader on the bundled daily bars, for the parity test of bar execution.

Run with a Python that has backtrader 1.9.78 (``pip install backtrader``); it prints the JSON that
``tests/unit/execution/peer_fills.json`` holds: for each script, the fills as [bar, price].
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

BARS = Path(__file__).parent.parent / "sample_configs" / "data" / "sp500-1d.csv"
EVERY = 13
HOLD = 11
LOTS = 10


def rounded(price: float) -> float:
    """Return *price* on the grid of cents."""
    return round(price, 2)


def scripts(peer: Any) -> dict[str, Callable[[Any, float], Any]]:
    """Return what each script orders at the close of a bar, every 13 bars."""
    kinds = peer.Order

    def order(
        side: str, kind: int, away: float = 0.0, **fields: Any
    ) -> Callable[[Any, float], Any]:
        def submit(strategy: Any, close: float) -> Any:
            price = rounded(close * (1 + away)) if away else None
            return getattr(strategy, side)(size=LOTS, exectype=kind, price=price, **fields)

        return submit

    return {
        "market": order("buy", kinds.Market),
        "moc": order("sell", kinds.Close),
        "limit_buy": order("buy", kinds.Limit, -0.01),
        "limit_sell": order("sell", kinds.Limit, 0.01),
        "stop_buy": order("buy", kinds.Stop, 0.01),
        "stop_sell": order("sell", kinds.Stop, -0.01),
        "trail_sell": order("sell", kinds.StopTrail, trailamount=20.0),
        "trail_buy": order("buy", kinds.StopTrail, trailamount=20.0),
    }


def main() -> None:
    """Print the fills of every script."""
    peer: Any = import_module("backtrader")
    found = {}
    for name, order in scripts(peer).items():
        cerebro = peer.Cerebro(stdstats=False)
        cerebro.adddata(
            peer.feeds.GenericCSVData(
                dataname=str(BARS),
                dtformat="%Y-%m-%d",
                fromdate=datetime(1990, 1, 1),  # noqa: DTZ001 (the peer's days have no zone)
                openinterest=-1,
            )
        )
        cerebro.broker.set_cash(1e9)
        fills: list[list[float]] = []
        cerebro.addstrategy(type("Scripted", (peer.Strategy,), steps(order, fills)))
        cerebro.run(runonce=False)
        found[name] = fills
    json.dump(found, sys.stdout, separators=(",", ":"))


def steps(order: Callable[[Any, float], Any], fills: list[list[float]]) -> dict[str, Any]:
    """Return the methods of a strategy that orders, cancels and notes its fills."""

    def begin(strategy: Any) -> None:
        strategy.working = None

    def step(strategy: Any) -> None:
        bar = len(strategy) - 1
        phase = bar % EVERY
        if phase == HOLD and strategy.working is not None:
            strategy.cancel(strategy.working)
            strategy.working = None
        if phase == 0 and bar:
            strategy.working = order(strategy, strategy.data.close[0])

    def hear(strategy: Any, told: Any) -> None:
        if told.status == told.Completed:
            fills.append([len(strategy) - 1, rounded(told.executed.price)])
            strategy.working = None

    return {"__init__": begin, "next": step, "notify_order": hear}


if __name__ == "__main__":
    main()
