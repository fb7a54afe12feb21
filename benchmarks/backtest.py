"""Backtests beside bare loops over the same bars, and beside other programs where installed.

One rule everywhere: SMA(10) over SMA(30), all in, 0.1 % of commission, filled at the next open.
The final equity and the trades are compared first. Figures are seconds of CPU.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Finding
from engine.backtest.assembly import RunRequest, build_run
from engine.backtest.compiled_outcome import plan_run
from engine.backtest.compiled_run import run_compiled
from engine.backtest.config import BacktestConfig
from engine.backtest.control import RunControl
from engine.backtest.kernel_inputs import KernelRequest, SymbolSignals
from engine.backtest.market_data import MarketData
from engine.backtest.planner import kernel_request
from engine.backtest.runner import Runner
from engine.live.clock import SystemClock
from engine.model.bar_columns import BarColumns, day_sessions
from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.strategies.signal_table import signal_table

FAST, SLOW, FEE, CASH = 10, 30, 0.001, 100_000.0
MINUTE_NS = 60_000_000_000
ENTRIES = 10_000
Loop = Callable[[NDArray[np.float64], NDArray[np.float64], float], tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Prices:
    """Bars as floats; four decimals, so that means are seldom equal."""

    opening: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]


# --- the rule in a bare loop ----------------------------------------------------------------------


def crossover(
    opening: NDArray[np.float64], close: NDArray[np.float64], cash: float
) -> tuple[float, int]:
    """Return final equity and round trips: what any backtest of the rule must do per bar."""
    fast = slow = quantity = equity = peak = worst = 0.0
    wish = side = trades = 0
    for i in range(len(close)):
        if wish > 0 and quantity == 0.0:
            quantity = cash / (opening[i] * 1.001)
            cash -= quantity * opening[i] * 1.001
        elif wish < 0 and quantity > 0.0:
            cash += quantity * opening[i] * 0.999
            quantity = 0.0
            trades += 1
        wish = 0
        price = close[i]
        fast += price
        slow += price
        if i >= 10:
            fast -= close[i - 10]
        if i >= 30:
            slow -= close[i - 30]
        equity = cash + quantity * price
        peak = max(peak, equity)
        worst = max(worst, 1.0 - equity / peak)
        lead = fast * 3.0 - slow
        now = 0
        if lead > 1e-6:
            now = 1
        elif lead < -1e-6:
            now = -1
        if i >= 30 and now * side < 0:
            wish = now
        side = now
    if quantity > 0.0:
        cash += quantity * close[-1] * 0.999
        trades += 1
    return cash, trades


def barriers(
    opening: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    gap: int,
) -> int:
    """Return how many of the entries every *gap* bars hit their target before their stop."""
    hits = 0
    for start in range(0, len(opening) - 1, gap):
        entry = opening[start + 1]
        for i in range(start + 1, len(opening)):
            if low[i] <= entry - 0.5:
                break
            if high[i] >= entry + 0.5:
                hits += 1
                break
    return hits


def make_prices(length: int, loop: Loop) -> Prices:
    """Return a walk in regimes whose trend pays about the commission of the rule."""
    rng = np.random.default_rng(7)
    noise = rng.normal(0.0, 0.0008, length)
    regime = np.repeat(rng.choice([-1.0, 1.0], length // 60 + 1), 60)[:length]
    low, high = 0.0, 0.002
    prices = _walk(noise, rng_seed=11)
    for _ in range(25):
        trend = (low + high) / 2
        prices = _walk(noise + trend * regime, rng_seed=11)
        if loop(prices.opening, prices.close, CASH)[0] > CASH:
            high = trend
        else:
            low = trend
    return prices


def _walk(returns: NDArray[np.float64], *, rng_seed: int) -> Prices:
    rng = np.random.default_rng(rng_seed)
    path = np.cumsum(returns)
    path -= np.linspace(0.0, path[-1], len(path))
    close: NDArray[np.float64] = np.asarray(
        np.round(100.0 * np.exp(np.clip(path, -3.0, 3.0)), 4), dtype=np.float64
    )
    opening: NDArray[np.float64] = np.concatenate((close[:1], close[:-1]))
    wide = np.round(rng.random(len(close)) * 0.1, 4)
    high = np.asarray(np.round(np.maximum(opening, close) + wide, 4), dtype=np.float64)
    bottom = np.maximum(np.minimum(opening, close) - wide, 0.01)
    low = np.asarray(np.round(bottom, 4), dtype=np.float64)
    return Prices(opening, high, low, close)


# --- ours -----------------------------------------------------------------------------------------


def columns_of(prices: Prices) -> BarColumns:
    """Return *prices* as the bars of a run."""
    length = len(prices.close)
    ts_open = np.arange(length, dtype=np.int64) * MINUTE_NS

    def ticks(values: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.rint(values * 10_000).astype(np.int64)

    starts, ends = day_sessions(ts_open, ts_open + MINUTE_NS)
    return BarColumns(
        instrument=Instrument(
            ConnectorPair("backtest", "X"),
            tick=Decimal("0.0001"),
            lot=Decimal("0.0001"),
            settlement=Settlement.SPOT,
        ),
        symbol="X",
        duration_ns=MINUTE_NS,
        ts_open=ts_open,
        ts_close=ts_open + MINUTE_NS,
        open=ticks(prices.opening),
        high=ticks(prices.high),
        low=ticks(prices.low),
        close=ticks(prices.close),
        volume=np.full(length, -1, dtype=np.int64),
        is_synthetic=np.zeros(length, dtype=np.bool_),
        starts_session=starts,
        ends_session=ends,
    )


def config_of(engine: str) -> BacktestConfig:
    """Return the rule as a configuration."""
    return BacktestConfig.model_validate(
        {
            "engine": engine,
            "data": [{"symbol": "X", "path": "none.csv", "bar": "1m"}],
            "components": {
                "strategy": {"class": "sma_cross", "params": {"fast": FAST, "slow": SLOW}},
                "portfolio": {"params": {"initial_cash": str(CASH), "account": "cash"}},
                "risk_manager": {"params": {"sizer": "all_in"}},
                "broker": {"params": {"commission_model": {"kind": "percent", "rate": "0.001"}}},
            },
        }
    )


def request_of(columns: BarColumns, engine: str) -> RunRequest:
    """Return a run of the rule on *columns*."""
    return RunRequest(
        config=config_of(engine), base_dir=Path(), data=MarketData((columns,), {"X": {}})
    )


def events_seconds(columns: BarColumns) -> float:
    """Return the CPU seconds of the loop on the event path."""
    built = build_run(request_of(columns, "events"), RunControl())
    try:
        built.container.start()
        built.run.begin()
        started = time.process_time()
        built.run.run()
        built.run.finish(close_positions=True)
        return time.process_time() - started
    finally:
        built.container.teardown_scope()


def compiled_seconds(columns: BarColumns) -> tuple[float, float, int]:
    """Return CPU seconds from bars to equity and trades, final equity, trades."""
    built = build_run(request_of(columns, "compiled"), RunControl())
    try:
        started = time.process_time()
        plan = plan_run(built_config(), built)
        if plan.request is None:
            raise RuntimeError(f"not compiled: {plan.refusals}")
        run = run_compiled(plan.request)
        equity = int(run.equity_atoms[-1]) / 1e8
        trades = int(np.count_nonzero(run.fills["side"] < 0))
        return time.process_time() - started, equity, trades
    finally:
        built.container.teardown_scope()


def built_config() -> BacktestConfig:
    """Return the configuration of the compiled path."""
    return config_of("compiled")


def whole_seconds(columns: BarColumns, engine: str) -> tuple[float, str]:
    """Return the CPU seconds of a whole backtest with metrics and trades, and its fingerprint."""
    started = time.process_time()
    result = Runner(RunControl(), clock=SystemClock()).one(request_of(columns, engine))
    return time.process_time() - started, result.fingerprint


def barrier_request(columns: BarColumns, entries: int) -> KernelRequest:
    """Return *entries* market entries with stop and target, evenly over the bars."""
    bars = np.arange(entries, dtype=np.int64) * (len(columns) // entries)
    count = len(bars)
    table = signal_table(
        {
            "bar": bars,
            "kind": np.full(count, 5),
            "side": np.full(count, 1),
            "value": np.full(count, 10),
            "bracket_basis": np.full(count, 1),
            "sl": np.full(count, 5000),
            "tp": np.full(count, 5000),
        }
    )
    config = config_of("compiled").model_copy(update={})
    return kernel_request(
        config,
        columns=(columns,),
        windows=[(0, len(columns))],
        signals=[SymbolSignals(0, 0, table)],
    )


def fresh_seconds(length: int) -> tuple[float, float]:
    """Return CPU seconds and MiB of a new process that runs the rule compiled on *length* bars."""
    code = f"from benchmarks import backtest; backtest.child({length})"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, float(done.stdout)


def child(length: int) -> None:
    """Run the rule compiled on plain bars and print the peak of memory in MiB."""
    steps = np.random.default_rng(3).normal(0.0, 0.0008, length)
    columns = columns_of(_walk(steps, rng_seed=11))
    whole_seconds(columns, "compiled")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


# --- the findings ---------------------------------------------------------------------------------


def measure(lengths: tuple[int, ...] = (100_000, 1_000_000)) -> list[Finding]:
    """Return what was found; peers only where `QUARTERDECK_PEERS` names their environment."""
    compiled_loop: Loop = numba.njit(nogil=True)(crossover)
    compiled_barriers: Callable[..., int] = numba.njit(nogil=True)(barriers)
    findings: list[Finding] = []
    per_bar: list[float] = []
    for length in lengths:
        prices = make_prices(length, compiled_loop)
        columns = columns_of(prices)
        _, equity, trades = compiled_seconds(columns)
        expected = compiled_loop(prices.opening, prices.close, CASH)
        _agree(f"{length:,} bars", (equity, trades), expected)
        bare = _bare(crossover, prices.opening.tolist(), prices.close.tolist(), 3)
        compiled_bare = _bare(compiled_loop, prices.opening, prices.close, 5)
        events = [events_seconds(columns) for _ in range(3)]
        per_bar.append(median(events) / length)
        compiled = [compiled_seconds(columns)[0] for _ in range(5)]
        findings += _paths(length, events, compiled, bare, compiled_bare)
        findings += _peers(length, prices, events, compiled, (equity, trades))
        findings += _whole(length, columns)
        if length == lengths[-1]:
            findings += _barriers(columns, prices, compiled_barriers)
    ratio = per_bar[-1] / per_bar[0]
    findings.append(
        Finding(
            "event path, longest / shortest per bar", "x", [ratio], (), "", "<= 1.3", ratio <= 1.3
        )
    )
    return findings + _small(lengths[-1])


def _bare(loop: Callable[..., object], opening: object, close: object, runs: int) -> list[float]:
    return _seconds(lambda: loop(opening, close, CASH), runs)


def _seconds(work: Callable[[], object], runs: int) -> list[float]:
    work()
    samples = []
    for _ in range(runs):
        started = time.process_time()
        work()
        samples.append(time.process_time() - started)
    return samples


def _agree(
    what: str, ours: tuple[float, int], other: tuple[float, int], near: float = 1e-3
) -> None:
    """Refuse to time what does not compute the same.

    Raises:
        AssertionError: trades or equity differ.
    """
    if ours[1] != other[1] or abs(ours[0] / other[0] - 1.0) > near:
        raise AssertionError(f"{what}: equity and trades {ours} and {other}")


def _paths(
    length: int,
    events: list[float],
    compiled: list[float],
    bare: list[float],
    compiled_bare: list[float],
) -> list[Finding]:
    ratio = median(events) / median(bare)
    return [
        Finding(
            f"event path, {length:,} bars", "s", events, bare, "bare Python", "<= 12x", ratio <= 12
        ),
        Finding(f"compiled, {length:,} bars", "s", compiled, compiled_bare, "bare numba"),
    ]


def _whole(length: int, columns: BarColumns) -> list[Finding]:
    compiled = [whole_seconds(columns, "compiled") for _ in range(2)]
    events = whole_seconds(columns, "events")
    if events[1] != compiled[0][1]:
        raise AssertionError("the two paths have different fingerprints")
    return [
        Finding(
            f"whole backtest with metrics, {length:,} bars, compiled",
            "s",
            [seconds for seconds, _ in compiled],
            [events[0]],
            "event path",
        )
    ]


def _peers(
    length: int,
    prices: Prices,
    events: list[float],
    compiled: list[float],
    own: tuple[float, int],
) -> list[Finding]:
    folder = os.environ.get("QUARTERDECK_PEERS")
    if not folder:
        return []
    findings = []
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "bars.npz"
        volume = np.ones(length)
        np.savez(
            path,
            open=prices.opening,
            high=prices.high,
            low=prices.low,
            close=prices.close,
            volume=volume,
        )
        script = Path(__file__).with_name("backtest_peers.py")
        names = ("vectorbt", "backtesting", "backtrader") if length <= 100_000 else ("vectorbt",)
        for name in names:
            runs = "4" if name == "vectorbt" else "1"
            done = subprocess.run(
                [Path(folder) / "bin" / "python", script, name, path, runs],
                check=False,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                print(f"{name}: {done.stderr.strip().splitlines()[-1]}")
                continue
            peer = json.loads(done.stdout.strip().splitlines()[-1])
            samples = peer["seconds"][1:] or peer["seconds"]
            same = abs(peer["trades"] - own[1]) <= 1 and abs(peer["equity"] / own[0] - 1) < 0.02
            is_compiled = name == "vectorbt"
            ours = compiled if is_compiled else events
            factor = 5.0 if is_compiled else 2.5
            speed = median(samples) / median(ours)
            note = (
                ""
                if same
                else f" ({peer['equity'] / own[0] - 1:+.2%}, {peer['trades'] - own[1]:+d} trades)"
            )
            label = "compiled" if is_compiled else "event path"
            findings.append(
                Finding(
                    f"{label}, {length:,} bars",
                    "s",
                    ours,
                    samples,
                    f"{name}{note}",
                    f"{factor}x faster",
                    speed >= factor,
                )
            )
    return findings


def _barriers(columns: BarColumns, prices: Prices, bare: Callable[..., int]) -> list[Finding]:
    request = barrier_request(columns, ENTRIES)
    gap = len(columns) // ENTRIES
    loop = _seconds(lambda: bare(prices.opening, prices.high, prices.low, gap), 5)
    ours = _seconds(lambda: run_compiled(request), 5)
    ratio = median(ours) / median(loop)
    rate = ENTRIES / median(ours)
    return [
        Finding(
            f"{ENTRIES:,} barrier entries on {len(columns):,} bars ({rate:,.0f}/s)",
            "s",
            ours,
            loop,
            "bare numba",
            "<= 4x",
            ratio <= 4,
        )
    ]


def _small(longest: int) -> list[Finding]:
    columns = columns_of(_walk(np.random.default_rng(3).normal(0, 0.0008, 200), rng_seed=1))
    created = _seconds(lambda: _create(columns), 20)
    short = _seconds(lambda: whole_seconds(columns, "auto"), 20)
    findings = [
        Finding(
            "container create and teardown",
            "s",
            created,
            (),
            "",
            "< 0.002",
            median(created) < 0.002,
        ),
        Finding("200-bar backtest", "s", short, (), "", "< 0.010", median(short) < 0.010),
    ]
    fresh_seconds(1000)
    seconds, _ = fresh_seconds(100_000)
    findings.append(
        Finding("new process to result, 100,000 bars", "s", [seconds], (), "", "<= 2", seconds <= 2)
    )
    seconds, memory = fresh_seconds(longest)
    findings.append(
        Finding(
            f"new process to result, {longest:,} bars", "s", [seconds], (), "", "<= 2", seconds <= 2
        )
    )
    findings.append(
        Finding(f"peak memory, {longest:,} bars", "MiB", [memory], (), "", "<= 300", memory <= 300)
    )
    return findings


def _create(columns: BarColumns) -> None:
    build_run(request_of(columns, "events"), RunControl()).container.teardown_scope()
