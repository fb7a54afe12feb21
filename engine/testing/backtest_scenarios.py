"""Random backtests that both paths must play alike (FAST-7).

A scenario is a number: bars with gaps, ties, flat bars and bars without volume, a script of signals
of every kind, and a draw of fill rules, cost models, sizers, limits and accounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from engine.backtest.assembly import RunRequest, build_run
from engine.backtest.compiled_outcome import raw_run
from engine.backtest.compiled_run import run_compiled
from engine.backtest.config import BacktestConfig, SimulatedBrokerSection
from engine.backtest.control import RunControl
from engine.backtest.kernel_request import KernelRequest, SymbolSignals
from engine.backtest.market_data import MarketData
from engine.backtest.outcome import RawRun, collect
from engine.backtest.results import ResultStatus
from engine.model.bar_columns import BarColumns, IntArray
from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.model.run_tables import Table, fingerprint
from engine.strategies.catalogue import StrategyType
from engine.strategies.signal_codes import BarOrderType, KindCode, OffsetUnit, TimeInForce
from engine.strategies.signal_table import NO_PRICE, SignalTable, signal_table
from engine.strategies.strategy import Strategy

MINUTE_NS: Final = 60_000_000_000
_PPB: Final = 1_000_000_000
Rng = np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """One backtest: columns and signals by symbol, and the rest of its configuration."""

    number: int
    columns: tuple[BarColumns, ...]
    tables: tuple[SignalTable, ...]
    components: Mapping[str, Any]
    close_positions: bool

    @property
    def config(self) -> BacktestConfig:
        """Return the configuration."""
        return BacktestConfig.model_validate(
            {
                "seed": self.number,
                "close_positions_at_end": self.close_positions,
                "data": [
                    {"symbol": one.symbol, "path": "none.csv", "bar": "1m"} for one in self.columns
                ],
                "components": dict(self.components),
            }
        )


class PlayTable(Strategy):
    """Says what a table says."""

    per_market = True

    def __init__(self, tables: Mapping[str, SignalTable]) -> None:
        super().__init__()
        self._tables = tables

    def signals(self, bars: BarColumns, *, start: int = 0) -> SignalTable:
        """Return the table of the symbol."""
        del start
        return self._tables[bars.symbol]


class _NoParams(BaseModel):
    """A table needs no parameters."""


def table_type(tables: Mapping[str, SignalTable]) -> StrategyType:
    """Return a strategy type that plays *tables*, by symbol."""
    return StrategyType("table", "plays a table", _NoParams, lambda _: PlayTable(tables))


# --- both paths ----------------------------------------------------------------------------------


def play_events(scenario: Scenario) -> RawRun:
    """Return what the event path leaves of *scenario*."""
    tables = {
        one.symbol: table for one, table in zip(scenario.columns, scenario.tables, strict=True)
    }
    request = RunRequest(
        config=scenario.config,
        base_dir=Path(),
        data=MarketData(scenario.columns, {}),
        strategies={"table": table_type(tables)},
    )
    built = build_run(request, RunControl())
    try:
        built.container.start()
        built.run.begin()
        built.run.run()
        built.run.finish(close_positions=built.close_positions)
        status = ResultStatus.BANKRUPT if built.broker.is_bankrupt else ResultStatus.COMPLETED
        return collect(built, status=status)
    finally:
        built.container.teardown_scope()


def kernel_request(scenario: Scenario) -> KernelRequest:
    """Return *scenario* for the compiled path."""
    config = scenario.config
    broker = config.components.broker
    if not isinstance(broker, SimulatedBrokerSection):
        raise TypeError("the compiled path knows the simulated broker only")
    return KernelRequest(
        columns=scenario.columns,
        starts=tuple(0 for _ in scenario.columns),
        stops=tuple(len(one) for one in scenario.columns),
        signals=tuple(
            SymbolSignals(index, index, table) for index, table in enumerate(scenario.tables)
        ),
        account=config.components.portfolio.params,
        broker=broker.params,
        risk=config.components.risk_manager.params,
        seed=config.seed,
        close_positions=config.close_positions_at_end,
    )


def play_compiled(scenario: Scenario) -> RawRun:
    """Return what the compiled path leaves of *scenario*."""
    ids = [f"table-{one.symbol}" for one in scenario.columns]
    if len(ids) == 1:
        ids = ["table"]
    return raw_run(run_compiled(kernel_request(scenario)), ids, container_id="compiled")


def differences(events: RawRun, compiled: RawRun) -> list[str]:
    """Return in words where the two runs differ; empty when they are the same."""
    found = []
    for name, left, right in (
        ("fill", events.fills, compiled.fills),
        ("equity sample", events.equity, compiled.equity),
        ("order", events.orders, compiled.orders),
    ):
        found += _table_differences(name, left, right)
    for note, other in zip(events.order_notes, compiled.order_notes, strict=False):
        found += [
            f"order {note['seq']}: {name} {value!r} and {other[name]!r}"
            for name, value in note.items()
            if other[name] != value and name != "client_id"
        ]
    if events.status is not compiled.status:
        found.append(f"status {events.status.value} and {compiled.status.value}")
    for name in ("bars_done", "shortfall_atoms", "final_equity_atoms", "open_marks", "warnings"):
        if getattr(events, name) != getattr(compiled, name):
            found.append(f"{name} {getattr(events, name)} and {getattr(compiled, name)}")
    for name in ("rejections", "cancellations"):
        counts = [dict(getattr(one, name)) for one in (events, compiled)]
        if counts[0] != counts[1]:
            found.append(f"{name} {counts[0]} and {counts[1]}")
    marks = [fingerprint(one.fills, one.equity, one.orders) for one in (events, compiled)]
    if marks[0] != marks[1] and not found:
        found.append("the fingerprints differ")
    return found


def _table_differences(name: str, left: Table, right: Table) -> list[str]:
    found = []
    if len(left) != len(right):
        found.append(f"{len(left)} and {len(right)} {name}s")
    count = min(len(left), len(right))
    for field in left.dtype.names or ():
        unequal = np.flatnonzero(left[field][:count] != right[field][:count])
        if len(unequal):
            row = int(unequal[0])
            found.append(f"{name} {row}: {field} {left[field][row]} and {right[field][row]}")
    return found


# --- scenarios -----------------------------------------------------------------------------------


def scenario(number: int) -> Scenario:
    """Return the scenario *number*."""
    rng = np.random.default_rng(number)
    symbols = 1 if rng.random() < 0.8 else int(rng.integers(2, 4))
    length = int(rng.integers(20, 120))
    columns = tuple(_columns(rng, index, length) for index in range(symbols))
    tables = tuple(_table(rng, one) for one in columns)
    return Scenario(
        number,
        columns,
        tables,
        {
            "strategy": {"class": "table"},
            "portfolio": {"params": _account(rng)},
            "broker": {"class": "SimulatedBroker", "params": _broker(rng)},
            "risk_manager": {"params": _risk(rng)},
        },
        close_positions=bool(rng.random() < 0.8),
    )


def long_columns(number: int, length: int) -> BarColumns:
    """Return *length* bars of one symbol, for strategies of which every bar may matter."""
    columns = _columns(np.random.default_rng(number), 0, length)
    return replace(columns, instrument=replace(columns.instrument, max_qty=Decimal("1e56")))


def market_scenario(number: int) -> Scenario:
    """Return a scenario that the small kernel can play: plain market orders, one at a bar."""
    rng = np.random.default_rng(10**6 + number)
    given = scenario(number)
    columns = replace(
        given.columns[0],
        is_synthetic=np.zeros(len(given.columns[0]), dtype=np.bool_),
        instrument=replace(given.columns[0].instrument, min_notional=Decimal(0)),
    )
    bars = np.flatnonzero(rng.random(len(columns)) < 0.3)
    count = len(bars)
    kind = rng.choice([1, 2, 3, 4], count)
    side = np.where(rng.random(count) < 0.5, 1, -1)
    sizes = (rng.integers(0, 2 * _PPB, count), rng.integers(0, 60, count), np.ones(count))
    value = side * np.select([kind == 1, kind == 2, kind == 3], sizes, 0)
    table = signal_table(
        {
            "bar": bars,
            "kind": kind,
            "value": value,
            "strength_ppb": rng.choice([_PPB, 333_333_333], count),
            "only_flat": rng.random(count) < 0.1,
            "tag": rng.integers(0, 3, count),
        },
        tags=("", "a", "b"),
    )
    models: list[dict[str, Any]] = [
        {"kind": "none"},
        {"kind": "fixed", "ticks": 2},
        {"kind": "bps", "bps": "7"},
    ]
    components = dict(given.components)
    components["broker"] = {
        "class": "SimulatedBroker",
        "params": {
            **components["broker"]["params"],
            "fill_timing": "next_open",
            "market_basis": "open",
            "max_participation": None,
            "slippage_model": models[int(rng.integers(0, 3))],
        },
    }
    sizer = components["risk_manager"]["params"]["sizer"]
    if sizer["kind"] == "percent_risk":
        sizer = {"kind": "all_in"}
    components["risk_manager"] = {"params": {"sizer": sizer}}
    return replace(given, columns=(columns,), tables=(table,), components=components)


def bracket_scenario(number: int) -> Scenario:
    """Return a scenario that the kernel for brackets can begin: entries with stop and target."""
    rng = np.random.default_rng(2 * 10**6 + number)
    given = market_scenario(number)
    bars = given.tables[0]["bar"]
    count = len(bars)
    bare = rng.random(count) < (0.0 if number % 2 else 0.15)
    close = given.columns[0].close[bars]
    is_fill = rng.random(count) < 0.7
    side = np.where(rng.random(count) < 0.5, 1, -1)
    exits: dict[str, NDArray[Any]] = {}
    for name, away in (("sl", -1), ("tp", 1)):
        unit = rng.choice([1, 2, 3], count)
        offset = np.where(
            unit == 2, rng.integers(10**6, 10**8, count), rng.integers(1, 2 + close // 20, count)
        )
        absolute = np.maximum(1, close + away * side * rng.integers(1, 2 + close // 20, count))
        is_absent = bare | (rng.random(count) < 0.15)
        exits[name] = np.where(is_absent, NO_PRICE, np.where(is_fill, offset, absolute))
        exits[f"{name}_unit"] = unit
    kind = rng.choice([1, 2, 3, 5, 5, 5], count)
    size = rng.integers(1, 40, count)
    value = np.select([kind == 1, kind == 2, kind == 3], [side * 10**8, side * size, side], size)
    table = signal_table(
        {
            "bar": bars,
            "kind": kind,
            "value": value,
            "side": side,
            "only_flat": (rng.random(count) < 0.9) | (number % 3 > 0),
            "bracket_basis": is_fill,
            "tag": rng.integers(0, 3, count),
            **exits,
        },
        tags=("", "a", "b"),
    )
    components = dict(given.components)
    broker = components["broker"]
    components["broker"] = {**broker, "params": {**broker["params"], "limit_fill": "touch"}}
    return replace(given, tables=(table,), components=components)


def without_signals(given: Scenario, keep: Mapping[int, IntArray]) -> Scenario:
    """Return *given* with only the rows *keep* of each table: for shrinking."""
    tables = tuple(
        SignalTable(
            {name: column[keep[index]] for name, column in table.columns.items()}, table.tags
        )
        for index, table in enumerate(given.tables)
    )
    return replace(given, tables=tables)


def _columns(rng: Rng, index: int, length: int) -> BarColumns:
    step = int(rng.choice([1, 2, 5]))
    close = np.maximum(1000 + np.cumsum(rng.integers(-4 * step, 4 * step + 1, length)), 200)
    before = np.concatenate(([close[0]], close[:-1]))
    gap = np.where(rng.random(length) < 0.2, rng.integers(-8 * step, 8 * step + 1, length), 0)
    opening = np.maximum(before + gap, 150)
    high = np.maximum(opening, close) + rng.integers(0, 4 * step, length)
    low = np.minimum(opening, close) - rng.integers(0, 4 * step, length)
    flat = rng.random(length) < 0.08
    opening, high, low = (np.where(flat, close, one) for one in (opening, high, low))
    volume = rng.integers(0, 60, length)
    volume[rng.random(length) < 0.1] = 0
    volume[rng.random(length) < 0.05] = -1
    pauses = np.where(rng.random(length) < 0.1, rng.integers(1, 5, length), 0)
    ts_close = (np.cumsum(1 + pauses) * MINUTE_NS).astype(np.int64)
    if index and rng.random() < 0.5:
        ts_close = np.arange(1, length + 1, dtype=np.int64) * MINUTE_NS
    ends = rng.random(length) < 0.15
    ends[-1] = True
    starts = np.concatenate(([True], ends[:-1]))
    instrument = Instrument(
        market=ConnectorPair("backtest", f"S{index}"),
        tick=Decimal(str(rng.choice(["0.01", "0.05", "0.25", "1"]))),
        lot=Decimal(str(rng.choice(["1", "0.1", "0.01"]))),
        min_qty=Decimal(str(rng.choice(["0", "2"]))),
        max_qty=Decimal(str(rng.choice(["1e56", "40"]))),
        min_notional=Decimal(str(rng.choice(["0", "50"]))),
        multiplier=Decimal(str(rng.choice(["1", "1", "10"]))),
        settlement=Settlement.SPOT if rng.random() < 0.6 else Settlement.DERIVATIVE,
        shortable=bool(rng.random() < 0.85),
    )
    return BarColumns(
        instrument=instrument,
        symbol=f"S{index}",
        duration_ns=MINUTE_NS,
        ts_open=ts_close - MINUTE_NS,
        ts_close=ts_close,
        open=_wide(opening),
        high=_wide(high),
        low=_wide(low),
        close=_wide(close),
        volume=_wide(volume),
        is_synthetic=rng.random(length) < 0.04,
        starts_session=starts,
        ends_session=ends,
        vwap=_wide((high + low + close) // 3) if rng.random() < 0.5 else None,
        spread=_wide(rng.integers(0, 4, length)) if rng.random() < 0.5 else None,
    )


def _wide(values: NDArray[Any]) -> IntArray:
    return np.asarray(values, dtype=np.int64)


def _near(rng: Rng, close: int) -> int:
    return close + int(rng.integers(-12, 13))


def _table(rng: Rng, bars: BarColumns) -> SignalTable:
    length = len(bars)
    count = int(rng.integers(3, max(4, length // 2)))
    rows = [_row(rng, bars, int(bar)) for bar in np.sort(rng.integers(0, length, count))]
    return signal_table(
        {name: [row[name] for row in rows] for name in rows[0]}, tags=("", "a", "b")
    )


def _row(rng: Rng, bars: BarColumns, bar: int) -> dict[str, int]:
    kind = int(rng.choice([1, 2, 3, 4, 5], p=[0.08, 0.1, 0.22, 0.12, 0.48]))
    side = 1 if rng.random() < 0.55 else -1
    close = int(bars.close[bar])
    row = {
        "bar": bar,
        "kind": kind,
        "value": side,
        "side": 0,
        "strength_ppb": int(rng.choice([_PPB, _PPB, 333_333_333])),
        "only_flat": int(rng.random() < 0.1),
        "order_type": 0,
        "tag": int(rng.integers(0, 3)),
        "off_grid": int(rng.random() < 0.05),
    }
    row |= dict.fromkeys(("limit", "stop", "trail", "limit_offset", "activation"), NO_PRICE)
    row |= dict.fromkeys(("sl", "tp", "sl_trail"), NO_PRICE)
    row |= {"trail_unit": 0, "sl_unit": 1, "tp_unit": 1, "sl_trail_unit": 0, "bracket_basis": 0}
    row |= {"tif": 0, "expire": 0, "reduce_only": 0, "post_only": 0, "size_ppb": 0}
    row |= {"oco_group": 0, "oco_mode": 0}
    row |= {name: int(rng.integers(1, 6)) for name in ("trail_n", "sl_n", "tp_n", "sl_trail_n")}
    if kind == KindCode.TARGET_WEIGHT:
        row["value"] = side * int(rng.integers(0, _PPB))
    elif kind == KindCode.TARGET_QTY:
        row["value"] = side * int(rng.integers(0, 60))
    elif kind == KindCode.EXIT:
        row["value"] = 0
    elif kind == KindCode.ORDER:
        row["side"], row["value"] = side, int(rng.integers(0, 50))
        if rng.random() < 0.15:
            row["size_ppb"] = int(rng.choice([_PPB, _PPB // 2, 123_456_789]))
            row["value"] = 0
        row["reduce_only"] = int(rng.random() < 0.12)
        if rng.random() < 0.2:
            row["oco_group"] = int(rng.integers(1, 4))
            row["oco_mode"] = int(rng.integers(0, 3))
    if kind == KindCode.ORDER or rng.random() < 0.25:
        _set_type(rng, row, close, side)
        row["tif"] = int(rng.choice([0, 1, 2, 3, 4], p=[0.6, 0.12, 0.1, 0.08, 0.1]))
        if row["tif"] == TimeInForce.GTD:
            row["expire"] = int(bars.ts_close[bar]) + int(rng.integers(-1, 5 * 60)) * 10**9
    if rng.random() < 0.35:
        _set_bracket(rng, row, close, side)
    return row


def _set_type(rng: Rng, row: dict[str, int], close: int, side: int) -> None:
    kind = BarOrderType(int(rng.integers(0, 9)))
    row["order_type"] = int(kind)
    if kind in (BarOrderType.LIMIT, BarOrderType.STOP_LIMIT) or rng.random() < 0.02:
        row["limit"] = _near(rng, close)
        row["post_only"] = int(rng.random() < 0.15)
    stops = (BarOrderType.STOP, BarOrderType.STOP_LIMIT, BarOrderType.MARKET_IF_TOUCHED)
    if kind in stops or rng.random() < 0.02:
        row["stop"] = _near(rng, close)
    if kind in (BarOrderType.TRAILING_STOP, BarOrderType.TRAILING_STOP_LIMIT):
        row["trail"], row["trail_unit"] = _offset(rng)
        if kind is BarOrderType.TRAILING_STOP_LIMIT and rng.random() < 0.8:
            row["limit_offset"] = int(rng.integers(0, 5))
        if rng.random() < 0.3:
            row["activation"] = close - side * int(rng.integers(-4, 10))


def _offset(rng: Rng) -> tuple[int, int]:
    unit = OffsetUnit(int(rng.integers(1, 5)))
    if unit is OffsetUnit.PPB:
        return int(rng.integers(1, 20_000_000)), int(unit)
    if unit is OffsetUnit.ATR:
        return int(rng.integers(_PPB // 2, 2 * _PPB)), int(unit)
    return int(rng.integers(1, 12)), int(unit)


def _set_bracket(rng: Rng, row: dict[str, int], close: int, side: int) -> None:
    if rng.random() < 0.5:
        row["bracket_basis"] = 1
        if rng.random() < 0.8:
            row["sl"], row["sl_unit"] = _offset(rng)
        if rng.random() < 0.7:
            row["tp"], row["tp_unit"] = _offset(rng)
    else:
        if rng.random() < 0.8:
            row["sl"] = close - side * int(rng.integers(-2, 15))
        if rng.random() < 0.7:
            row["tp"] = close + side * int(rng.integers(-2, 15))
    if rng.random() < 0.3:
        row["sl_trail"], row["sl_trail_unit"] = _offset(rng)


def _account(rng: Rng) -> dict[str, Any]:
    is_margin = rng.random() < 0.8
    return {
        "initial_cash": str(rng.choice(["1000", "10000", "100000", "1000000"])),
        "account": "margin" if is_margin else "cash",
        "leverage": str(rng.choice(["1", "1", "2", "5"])) if is_margin else "1",
        "liquidation_fee": str(rng.choice(["0", "0.005"])),
    }


def _broker(rng: Rng) -> dict[str, Any]:
    pick = rng.choice
    params: dict[str, Any] = {
        "fill_timing": str(pick(["next_open", "next_open", "next_open", "this_close"])),
        "path": str(pick(["pessimistic", "adaptive", "ohlc", "olhc"])),
        "limit_fill": str(pick(["touch", "through", "probability"])),
        "market_basis": str(pick(["open", "open", "open", "vwap", "typical", "mid", "close"])),
        "unknown_volume": str(pick(["unlimited", "reject"])),
        "insufficient_funds": str(pick(["reject", "trim"])),
        "trail_update": str(pick(["path", "path", "close"])),
        "price_grid": str(pick(["lenient", "strict"])),
        "slippage_model": _slippage(rng),
        "commission_model": _commission(rng),
    }
    if rng.random() < 0.3:
        params["max_participation"] = str(pick(["0.1", "0.5", "1"]))
    return params


def _slippage(rng: Rng) -> dict[str, Any]:
    models: list[dict[str, Any]] = [
        {"kind": "none"},
        {"kind": "fixed", "ticks": int(rng.integers(0, 3))},
        {"kind": "fixed", "amount": "0.07"},
        {"kind": "percent", "rate": "0.0013"},
        {"kind": "bps", "bps": "7"},
        {"kind": "spread", "ticks": 3},
        {"kind": "spread"},
        {"kind": "volume_share", "limit": "0.3", "k": "0.1"},
        {"kind": "volatility", "n": 5},
    ]
    model = dict(models[int(rng.integers(0, len(models)))])
    if rng.random() < 0.3:
        model["clamp"] = "bar"
    return model


def _commission(rng: Rng) -> dict[str, Any]:
    models: list[dict[str, Any]] = [
        {"kind": "none"},
        {"kind": "per_share"},
        {"kind": "per_share", "rate": "0.01", "min": "0", "max": "0.2"},
        {"kind": "percent", "rate": "0.001"},
        {"kind": "percent", "rate": "0.002", "min": "2", "max": "9"},
        {"kind": "per_trade", "flat": "1.5"},
        {"kind": "maker_taker"},
        {"kind": "maker_taker", "maker": "-0.0001", "taker": "0.0007"},
    ]
    return models[int(rng.integers(0, len(models)))]


def _risk(rng: Rng) -> dict[str, Any]:
    sizers: list[dict[str, Any]] = [
        {"kind": "fixed", "qty": "3"},
        {"kind": "percent_equity", "weight": "0.4"},
        {"kind": "percent_risk", "risk": "0.02"},
        {"kind": "all_in"},
        {"kind": "all_in", "weight": "0.7"},
        {"kind": "kelly", "win_rate": "0.6", "payoff": "1.5"},
    ]
    params: dict[str, Any] = {
        "sizer": sizers[int(rng.integers(0, len(sizers)))],
        "one_pending_per_symbol": bool(rng.random() < 0.7),
    }
    for name, value in (
        ("max_position_size", "25"),
        ("max_leverage", "1.5"),
        ("max_position_pct", "0.8"),
    ):
        if rng.random() < 0.15:
            params[name] = {"value": value, "mode": str(rng.choice(["clamp", "reject"]))}
    if rng.random() < 0.3:
        params["drawdown_control"] = {
            "reduce_threshold": "0.01",
            "reduction_factor": "0.5",
            "max_drawdown": "0.03" if rng.random() < 0.6 else None,
            "action": str(rng.choice(["halt", "flatten"])),
        }
    return params
