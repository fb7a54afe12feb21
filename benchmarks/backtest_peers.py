"""The same crossover in other programs, run by the Python of their own environment.

``python -m benchmarks.backtest_peers install DIR`` makes the environment (their requirements do not
fit ours); ``QUARTERDECK_PEERS=DIR`` lets ``make bench`` use it. Called with the name of a peer, a
file of bars and a number of runs it prints one JSON object: seconds of CPU per run, equity, trades.
Nothing of quarterdeck is imported here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

REQUIREMENTS = ("backtesting", "backtrader", "vectorbt[rust]", "plotly<6")
FAST, SLOW, FEE, CASH = 10, 30, 0.001, 100_000.0
ENTRIES, BARRIER, UNITS = 10_000, 0.005, 0.001
Outcome = tuple[float, int]


def install(folder: Path) -> None:
    """Make the environment of the peers in *folder*."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)


def frame(path: Path) -> Any:
    """Return the bars as a pandas frame."""
    import numpy as np
    import pandas as pd

    data = np.load(path)
    index = pd.date_range("2020-01-01", periods=len(data["close"]), freq="min")
    names = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "volume"}
    return pd.DataFrame({name: data[key] for name, key in names.items()}, index=index)


def vectorbt(bars: Any) -> Callable[[], Outcome]:
    """Crossings at the close, filled at the next open; the Rust engine where it has one."""
    import vectorbt as vbt

    close, opening = bars["Close"], bars["Open"]

    def run() -> Outcome:
        fast, slow = vbt.MA.run(close, FAST), vbt.MA.run(close, SLOW)
        up = fast.ma_crossed_above(slow).shift(1, fill_value=False)
        down = fast.ma_crossed_below(slow).shift(1, fill_value=False)
        portfolio = vbt.Portfolio.from_signals(
            close, up, down, price=opening, fees=FEE, init_cash=CASH, freq="1min", engine="rust"
        )
        return float(portfolio.value().iloc[-1]), int(portfolio.trades.count())

    return run


def vectorbt_barriers(bars: Any) -> Callable[[], Outcome]:
    """An entry at each so many bars while flat, with a percentage stop and target."""
    import numpy as np
    import vectorbt as vbt

    entries = np.zeros(len(bars), dtype=np.bool_)
    entries[1 :: len(bars) // ENTRIES] = True  # decided a bar before, filled at the open
    never = np.zeros(len(bars), dtype=np.bool_)

    def run() -> Outcome:
        portfolio = vbt.Portfolio.from_signals(
            bars["Close"],
            entries,
            never,
            price=bars["Open"],
            open=bars["Open"],
            high=bars["High"],
            low=bars["Low"],
            sl_stop=BARRIER,
            tp_stop=BARRIER,
            size=UNITS,
            fees=FEE,
            init_cash=CASH,
            freq="1min",
            engine="rust",
        )
        return float(portfolio.value().iloc[-1]), int(portfolio.trades.count())

    return run


def backtesting(bars: Any) -> Callable[[], Outcome]:
    """The usual strategy of the documentation, with whole units of a thousandth of the price."""
    import warnings

    import pandas as pd
    from backtesting import Backtest, Strategy

    warnings.simplefilter("ignore")
    scaled = bars.copy()
    scaled[["Open", "High", "Low", "Close"]] /= 1e6

    class Cross(Strategy):  # type: ignore[misc]  # a class of an untyped library
        def init(self) -> None:
            def mean(values: Any, length: int) -> Any:
                return pd.Series(values).rolling(length).mean()

            self.fast = self.I(mean, self.data.Close, FAST)
            self.slow = self.I(mean, self.data.Close, SLOW)

        def next(self) -> None:
            if self.fast[-2] < self.slow[-2] and self.fast[-1] > self.slow[-1]:
                self.buy()
            elif self.fast[-2] > self.slow[-2] and self.fast[-1] < self.slow[-1]:
                self.position.close()

    def run() -> Outcome:
        stats = Backtest(scaled, Cross, cash=CASH, commission=FEE, finalize_trades=True).run()
        return float(stats["Equity Final [$]"]), int(stats["# Trades"])

    return run


def backtrader(bars: Any) -> Callable[[], Outcome]:
    """A strategy with the platform's own crossover."""
    import backtrader as bt

    class Cross(bt.Strategy):  # type: ignore[misc]  # a class of an untyped library
        def __init__(self) -> None:
            fast, slow = bt.ind.SMA(period=FAST), bt.ind.SMA(period=SLOW)
            self.cross = bt.ind.CrossOver(fast, slow)
            self.count = 0

        def notify_trade(self, trade: Any) -> None:
            self.count += trade.isclosed

        def next(self) -> None:
            if self.cross > 0:
                self.order_target_percent(target=0.998)
            elif self.cross < 0:
                self.close()

    def run() -> Outcome:
        engine = bt.Cerebro(stdstats=False)
        engine.adddata(bt.feeds.PandasData(dataname=bars))
        engine.addstrategy(Cross)
        engine.broker.setcash(CASH)
        engine.broker.setcommission(commission=FEE)
        (played,) = engine.run()
        return float(engine.broker.getvalue()), int(played.count)

    return run


PEERS: dict[str, Callable[[Any], Callable[[], Outcome]]] = {
    "vectorbt": vectorbt,
    "vectorbt_barriers": vectorbt_barriers,
    "backtesting": backtesting,
    "backtrader": backtrader,
}


def main(arguments: list[str]) -> int:
    """Install the environment, or run one peer."""
    if arguments[0] == "install":
        install(Path(arguments[1]))
        return 0
    name, path, runs = arguments
    run = PEERS[name](frame(Path(path)))
    seconds = []
    equity, trades = 0.0, 0
    for _ in range(int(runs)):
        started = time.process_time()
        equity, trades = run()
        seconds.append(time.process_time() - started)
    print(json.dumps({"seconds": seconds, "equity": equity, "trades": trades}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
