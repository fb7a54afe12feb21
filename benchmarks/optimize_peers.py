"""The same grid of crossovers in other programs, run by the Python of their own environment.

See `benchmarks.backtest_peers` for how the environment is made. Called with the name of a peer, a
file of bars and a file of pairs it prints one JSON object: seconds, CPU seconds of it and its
children, peak memory in MiB, and equity and trades of each pair. Nothing of quarterdeck is
imported here.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FEE, CASH = 0.001, 100_000.0
TRADE = 1e9
"""More than any equity."""
Pairs = list[list[int]]
Rows = list[list[float]]


def frame(path: Path) -> Any:
    """Return the bars as a pandas frame."""
    import numpy as np
    import pandas as pd

    data = np.load(path)
    index = pd.date_range("2020-01-01", periods=len(data["close"]), freq="min")
    names = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "volume"}
    return pd.DataFrame({name: data[key] for name, key in names.items()}, index=index)


def vectorbt(bars: Any, pairs: Pairs) -> Callable[[], Rows]:
    """All pairs as columns of one simulation; the Rust engine where it has one."""
    return _vectorbt(bars, pairs, has_stats=False)


def vectorbt_stats(bars: Any, pairs: Pairs) -> Callable[[], Rows]:
    """The same with the statistics of every column."""
    return _vectorbt(bars, pairs, has_stats=True)


def _vectorbt(bars: Any, pairs: Pairs, *, has_stats: bool) -> Callable[[], Rows]:
    import warnings

    import vectorbt as vbt

    warnings.simplefilter("ignore")
    close, opening = bars["Close"], bars["Open"]

    def run() -> Rows:
        fast = vbt.MA.run(close, [one for one, _ in pairs], short_name="fast")
        slow = vbt.MA.run(close, [one for _, one in pairs], short_name="slow")
        up = fast.ma_crossed_above(slow).shift(1, fill_value=False)
        down = fast.ma_crossed_below(slow).shift(1, fill_value=False)
        portfolio = vbt.Portfolio.from_signals(
            close, up, down, price=opening, fees=FEE, init_cash=CASH, freq="1min", engine="rust"
        )
        if has_stats:
            portfolio.stats(agg_func=None)
        # What is open at the end is closed at the last price, with its commission.
        open_value = portfolio.asset_value().iloc[-1]
        values = (portfolio.final_value() - FEE * open_value).tolist()
        return [list(row) for row in zip(values, portfolio.trades.count().tolist(), strict=True)]

    return run


def both(stats: Any) -> float:
    """Return trades and equity in one number: the optimiser keeps one for each pair."""
    return float(stats["# Trades"]) * TRADE + float(stats["Equity Final [$]"])


def backtesting(bars: Any, pairs: Pairs) -> Callable[[], Rows]:
    """The optimiser, on as many processes as it likes; only the pairs pass its constraint."""
    import warnings

    import pandas as pd
    from backtesting import Backtest, Strategy

    warnings.simplefilter("ignore")
    scaled = bars.copy()
    scaled[["Open", "High", "Low", "Close"]] /= 1e6
    wanted = {tuple(pair) for pair in pairs}

    class Cross(Strategy):  # type: ignore[misc]  # a class of an untyped library
        short = 10
        long = 30

        def init(self) -> None:
            def mean(values: Any, length: int) -> Any:
                return pd.Series(values).rolling(length).mean()

            self.fast = self.I(mean, self.data.Close, self.short)
            self.slow = self.I(mean, self.data.Close, self.long)

        def next(self) -> None:
            if self.fast[-2] < self.slow[-2] and self.fast[-1] > self.slow[-1]:
                self.buy()
            elif self.fast[-2] > self.slow[-2] and self.fast[-1] < self.slow[-1]:
                self.position.close()

    # Its processes look the class up by its name.
    Cross.__qualname__ = "Cross"
    globals()["Cross"] = Cross

    def run() -> Rows:
        test = Backtest(scaled, Cross, cash=CASH, commission=FEE, finalize_trades=True)
        _, heat = test.optimize(
            short=sorted({one for one, _ in pairs}),
            long=sorted({one for _, one in pairs}),
            constraint=lambda given: (given.short, given.long) in wanted,
            maximize=both,
            return_heatmap=True,
        )
        found = [float(heat[short, long]) for short, long in pairs]
        return [[value % TRADE, value // TRADE] for value in found]

    return run


PEERS: dict[str, Callable[[Any, Pairs], Callable[[], Rows]]] = {
    "vectorbt": vectorbt,
    "vectorbt_stats": vectorbt_stats,
    "backtesting": backtesting,
}


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    spent = (resource.getrusage(one) for one in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)


def main(arguments: list[str]) -> int:
    """Run one peer: a short run first for what it prepares once, then the measured one."""
    name, path, pairs_path = arguments
    pairs: Pairs = json.loads(Path(pairs_path).read_text(encoding="utf-8"))
    bars = frame(Path(path))
    PEERS[name](bars.iloc[:2000], pairs[:2])()
    run = PEERS[name](bars, pairs)
    started, cpu = time.perf_counter(), cpu_seconds()
    rows = run()
    found = {
        "seconds": time.perf_counter() - started,
        "cpu": cpu_seconds() - cpu,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows": rows,
        "processors": os.cpu_count(),
    }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
