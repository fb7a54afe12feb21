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
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Finding
from engine.backtest.assembly import RunRequest, build_run
from engine.backtest.compiled_outcome import plan_run
from engine.backtest.compiled_run import run_compiled
from engine.backtest.config import BacktestConfig
from engine.backtest.control import RunControl
from engine.backtest.kernel_request import KernelRequest, SymbolSignals
from engine.backtest.market_data import MarketData
from engine.backtest.peak_memory import peak_rss_bytes
from engine.backtest.planner import kernel_request
from engine.backtest.runner import Runner
from engine.live.clock import SystemClock
from engine.model.bar_columns import BarColumns, day_sessions
from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.strategies.signal_codes import OffsetUnit
from engine.strategies.signal_table import signal_table

FAST, SLOW, FEE, CASH = 10, 30, 0.001, 100_000.0
MINUTE_NS = 60_000_000_000
ENTRIES, BARRIER, UNITS = 10_000, 0.005, 0.001
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


def barrier_search(
    opening: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    gap: int,
) -> int:
    """Return how many of the entries every *gap* bars hit their target before their stop.

    A search and no backtest: there is no account, and most bars are not looked at.
    """
    hits = 0
    for start in range(0, len(opening) - 1, gap):
        entry = opening[start + 1]
        for i in range(start + 1, len(opening)):
            if low[i] <= entry * (1.0 - BARRIER):
                break
            if high[i] >= entry * (1.0 + BARRIER):
                hits += 1
                break
    return hits


def barriers(
    opening: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    gap: int,
    equity: NDArray[np.float64],
    trades: NDArray[np.float64],
) -> tuple[float, int]:
    """Return final equity and round trips of entries every *gap* bars while flat.

    What any backtest leaves: the *equity* of each bar, and of each trade in *trades* the bars and
    prices of entry and exit.
    """
    cash, entry, count = CASH, 0.0, 0
    stop = target = 0.0
    for i in range(len(close)):
        if entry == 0.0 and i % gap == 1:
            entry = opening[i]
            stop, target = entry * (1.0 - BARRIER), entry * (1.0 + BARRIER)
            cash -= entry * UNITS * 1.001
            trades[count, 0], trades[count, 1] = i, entry
        if entry > 0.0:
            price = 0.0
            if low[i] <= stop:
                price = min(opening[i], stop)
            elif high[i] >= target:
                price = max(opening[i], target)
            if price > 0.0:
                cash += price * UNITS * 0.999
                trades[count, 2], trades[count, 3] = i, price
                count += 1
                entry = 0.0
        equity[i] = cash + (close[i] * UNITS if entry > 0.0 else 0.0)
    if entry > 0.0:
        cash += close[-1] * UNITS * 0.999
        trades[count, 2], trades[count, 3] = len(close) - 1, close[-1]
        equity[-1] = cash
        count += 1
    return cash, count


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
    """Return *entries* market entries with stop and target, evenly over the bars, while flat."""
    bars = np.arange(entries, dtype=np.int64) * (len(columns) // entries)
    count = len(bars)
    table = signal_table(
        {
            "bar": bars,
            "kind": np.full(count, 5),
            "side": np.full(count, 1),
            "value": np.full(count, 10),
            "only_flat": np.ones(count),
            "bracket_basis": np.full(count, 1),
            "sl": np.full(count, round(BARRIER * 1e9)),
            "sl_unit": np.full(count, OffsetUnit.PPB),
            "tp": np.full(count, round(BARRIER * 1e9)),
            "tp_unit": np.full(count, OffsetUnit.PPB),
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
    columns = columns_of(_walk(np.random.default_rng(3).normal(0.0, 0.0008, length), rng_seed=11))
    whole_seconds(columns, "compiled")
    print(peak_rss_bytes() / 2**20)


# --- the findings ---------------------------------------------------------------------------------


def measure(lengths: tuple[int, ...] = (100_000, 1_000_000)) -> list[Finding]:
    """Return what was found; peers only where `QUARTERDECK_PEERS` names their environment."""
    compiled_loop: Loop = numba.njit(nogil=True)(crossover)
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
            findings += _barriers(columns, prices)
            findings += _executors(columns)
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


def _peer(name: str, prices: Prices, runs: int) -> dict[str, Any] | None:
    """Return what the peer *name* reports of *runs* on *prices*; None where it is not installed."""
    folder = os.environ.get("QUARTERDECK_PEERS")
    if not folder:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "bars.npz"
        np.savez(
            path,
            open=prices.opening,
            high=prices.high,
            low=prices.low,
            close=prices.close,
            volume=np.ones(len(prices.close)),
        )
        script = Path(__file__).with_name("backtest_peers.py")
        done = subprocess.run(
            [Path(folder) / "bin" / "python", script, name, path, str(runs)],
            check=False,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        print(f"{name}: {done.stderr.strip().splitlines()[-1]}")
        return None
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _note(peer: dict[str, Any], own: tuple[float, int]) -> str:
    """Return by how much the peer's result differs, empty if it is the same."""
    away = peer["equity"] / own[0] - 1
    if abs(peer["trades"] - own[1]) <= 1 and abs(away) < 0.02:
        return ""
    return f" ({away:+.2%}, {peer['trades'] - own[1]:+d} trades)"


def _peers(
    length: int,
    prices: Prices,
    events: list[float],
    compiled: list[float],
    own: tuple[float, int],
) -> list[Finding]:
    findings = []
    names = ("vectorbt", "backtesting", "backtrader") if length <= 100_000 else ("vectorbt",)
    for name in names:
        is_compiled = name == "vectorbt"
        peer = _peer(name, prices, 1 if name == "backtrader" else 4)
        if peer is None:
            continue
        samples = peer["seconds"][1:] or peer["seconds"]
        ours = compiled if is_compiled else events
        factor = 5.0 if is_compiled else 2.5
        speed = median(samples) / median(ours)
        label = "compiled" if is_compiled else "event path"
        findings.append(
            Finding(
                f"{label}, {length:,} bars",
                "s",
                ours,
                samples,
                f"{name}{_note(peer, own)}",
                f"{factor}x faster",
                speed >= factor,
            )
        )
    return findings


def _barriers(columns: BarColumns, prices: Prices) -> list[Finding]:
    """Return how fast entries with barriers are, beside bare loops and the peer."""
    request = barrier_request(columns, ENTRIES)
    length, gap = len(columns), len(columns) // ENTRIES
    account: Callable[..., tuple[float, int]] = numba.njit(nogil=True)(barriers)
    search: Callable[..., int] = numba.njit(nogil=True)(barrier_search)

    def bare() -> tuple[float, int]:
        # New tables each time, as for us: who makes a result pays for its memory.
        equity, trades = np.empty(length), np.empty((ENTRIES + 1, 4))
        return account(prices.opening, prices.high, prices.low, prices.close, gap, equity, trades)

    run = run_compiled(request)
    own = int(run.equity_atoms[-1]) / 1e8, int(np.count_nonzero(run.fills["side"] < 0))
    _agree("barriers", own, bare(), near=1e-6)
    loop = _seconds(bare, 5)
    searched = _seconds(lambda: search(prices.opening, prices.high, prices.low, gap), 5)
    ours = _seconds(lambda: run_compiled(request), 5)
    ratio = median(ours) / median(loop)
    what = f"{ENTRIES:,} barrier entries on {length:,} bars ({ENTRIES / median(ours):,.0f}/s)"
    findings = [
        Finding(what, "s", ours, loop, "bare numba with an account", "<= 4x", ratio <= 4),
        Finding(what, "s", ours, searched, "numba that only searches the exits"),
    ]
    peer = _peer("vectorbt_barriers", prices, 4)
    if peer is not None:
        samples = peer["seconds"][1:]
        speed = median(samples) / median(ours)
        note = _note(peer, own)
        findings.append(
            Finding(what, "s", ours, samples, f"vectorbt{note}", "5x faster", speed >= 5)
        )
    return findings


def executors_seconds(columns: BarColumns, count: int, engine: str) -> tuple[float, str]:
    """Return the CPU seconds of *count* position executors at once, and the fingerprint.

    Their barriers lie at different prices, so that they end one after the other.
    """
    executors = [
        {
            "type": "position_executor",
            "connector_name": "backtest",
            "trading_pair": "X-USD",
            "side": "BUY",
            "amount": "0.01",
            "triple_barrier_config": {
                "stop_loss": str(0.004 * (1 + number % 100)),
                "take_profit": str(0.004 * (1 + number % 37)),
            },
        }
        for number in range(count)
    ]
    values = config_of(engine).model_dump(by_alias=True) | {"executors": executors}
    values["components"]["strategy"] = None
    config = BacktestConfig.model_validate(values)
    request = RunRequest(config=config, base_dir=Path(), data=MarketData((columns,), {"X": {}}))
    started = time.process_time()
    result = Runner(RunControl(), clock=SystemClock()).run(request)
    return time.process_time() - started, result.fingerprint


def _executors(columns: BarColumns) -> list[Finding]:
    """Return how fast executors are: objects that live at once, with and without idle quotes."""
    findings = []
    short = first_bars(columns, 20_000)
    compiled = executors_seconds(short, 100, "compiled")
    events = executors_seconds(short, 100, "events")
    if events[1] != compiled[1]:
        raise AssertionError("executors: the two paths have different fingerprints")
    again = [executors_seconds(short, 100, "compiled")[0] for _ in range(3)]
    findings.append(
        Finding(
            f"100 executors at once on {len(short):,} bars, compiled",
            "s",
            again,
            [events[0]],
            "event path",
        )
    )
    costs = {
        count: [executors_seconds(columns, count, "compiled")[0] for _ in range(3)]
        for count in (1, 100, 1000)
    }
    base = median(costs[1])
    each = [(median(costs[count]) - base) / count for count in (100, 1000)]
    findings.append(
        Finding(
            f"1,000 executors at once on {len(columns):,} bars, compiled",
            "s",
            costs[1000],
            costs[100],
            "100 at once",
        )
    )
    ratio = each[1] / each[0]
    findings.append(
        Finding(
            "one executor, among 1,000 / among 100", "x", [ratio], (), "", "<= 1.3", ratio <= 1.3
        )
    )
    return findings


def first_bars(columns: BarColumns, count: int) -> BarColumns:
    """Return the first *count* bars."""
    prices = ("ts_open", "ts_close", "open", "high", "low", "close", "volume")
    flags = ("is_synthetic", "starts_session", "ends_session")
    return replace(columns, **{name: getattr(columns, name)[:count] for name in prices + flags})


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
