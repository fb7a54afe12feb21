"""TIME-4: strategies see coarse bars, orders are matched on finer ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from engine.backtest.config import as_config
from engine.backtest.control import RunControl
from engine.backtest.coordinator import BacktestCoordinator
from engine.backtest.market_data import MarketData
from engine.backtest.runner import Runner
from engine.backtest.strategy_loading import type_of_class
from engine.live.clock import SystemClock
from engine.markets.resampling import resample
from engine.markets.stamps import parse_bar_duration
from engine.model.bar_view import AnyBar
from engine.strategies.strategy import Strategy
from engine.testing.bar_market import HOUR_NS, Row, bars_of, config_of, request_of, wave

FLAT: Row = (10_000, 10_010, 9_990, 10_000)
DIP: Row = (10_000, 10_000, 9_400, 9_500)
RISE: Row = (9_500, 10_600, 9_500, 10_500)
FINE_ROWS: list[Row] = [FLAT] * 5 + [DIP, RISE, FLAT] + [FLAT] * 4
SCRIPT = [
    {
        "bar": 0,
        "side": "buy",
        "qty": 10,
        "bracket": {"sl": 95, "tp": 105},
    }
]


def test_a_stop_is_hit_at_its_fine_bar_before_the_target_of_the_same_coarse_bar() -> None:
    fine = bars_of(FINE_ROWS, bar_ns=6 * HOUR_NS)
    coarse = resample(fine, parse_bar_duration("1d"))
    assert len(coarse) == 3
    request = request_of(config_of("scripted", {"orders": SCRIPT}, engine="events"), coarse)
    request = replace(request, data=MarketData((coarse,), {}, (fine,)))
    result = Runner(RunControl(), clock=SystemClock()).run(request)
    entry, stop = result.fills
    # Placed at the close of the first day: the open of the next six-hour bar is its fill.
    assert (int(entry["bar"]), int(entry["ts"])) == (4, int(fine.ts_open[4]))
    assert (int(stop["bar"]), int(stop["ticks"])) == (5, 9_500)
    assert len(result.equity) == len(fine)
    assert result.bars == len(fine)


def test_strategies_see_complete_coarse_bars_only() -> None:
    seen: list[tuple[int, int]] = []

    class Sees(Strategy):
        def on_bar(self, bar: AnyBar) -> None:
            seen.append((bar.ts_open_ns, bar.ts_close_ns))

    fine = bars_of(wave(24), bar_ns=6 * HOUR_NS)
    coarse = resample(fine, parse_bar_duration("1d"))
    request = request_of(config_of("mine"), coarse, strategies={"mine": type_of_class(Sees)})
    request = replace(request, data=MarketData((coarse,), {}, (fine,)))
    Runner(RunControl(), clock=SystemClock()).run(request)
    assert seen == list(zip(coarse.ts_open.tolist(), coarse.ts_close.tolist(), strict=True))


def test_fine_bars_that_are_the_coarse_ones_change_nothing() -> None:
    bars = bars_of(wave(200))
    same = bars.prefix(len(bars))
    config = config_of("sma_cross", {"fast": 2, "slow": 5, "direction": "both"}, engine="events")
    plain = request_of(config, bars)
    split = replace(plain, data=MarketData((bars,), {}, (same,)))
    runner = Runner(RunControl(), clock=SystemClock())
    first, second = runner.run(plain), runner.run(split)
    assert first.fingerprint == second.fingerprint
    assert first.data_hash != second.data_hash
    assert np.array_equal(first.trades, second.trades)


def test_finer_bars_come_from_the_configuration(tmp_path: Path) -> None:
    fine = bars_of(FINE_ROWS, bar_ns=6 * HOUR_NS)
    coarse = resample(fine, parse_bar_duration("1d"))
    for name, bars in (("fine", fine), ("coarse", coarse)):
        lines = ["timestamp,open,high,low,close"]
        for index in range(len(bars)):
            stamp = np.datetime64(int(bars.ts_open[index]), "ns").astype("datetime64[s]")
            prices = (bars.open, bars.high, bars.low, bars.close)
            shown = ",".join(f"{int(column[index]) / 100:.2f}" for column in prices)
            lines.append(f"{stamp}Z,{shown}")
        (tmp_path / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    values = {
        "data": [
            {
                "symbol": "ACME",
                "path": "coarse.csv",
                "bar": "1d",
                "execution_bars": {"path": "fine.csv", "bar": "6h"},
            }
        ],
        "components": {"strategy": {"class": "scripted", "params": {"orders": SCRIPT}}},
    }
    result = BacktestCoordinator(base_dir=tmp_path).run_backtest(values)
    assert result.engine == "events"
    assert [int(bar) for bar in result.fills["bar"]] == [4, 5]
    values["data"][0]["execution_bars"]["bar"] = "1d"  # type: ignore[index]  # nested values
    with pytest.raises(ValidationError, match="1d is not finer than the bars 1d"):
        as_config(values)
