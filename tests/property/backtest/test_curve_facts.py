"""FAST-6: what kernels add up while they walk a run once is what the tables give, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.backtest import kernel_grid as kernels
from engine.backtest import kernel_layout as at
from engine.backtest.curve_facts import CurveFacts, curve_facts
from engine.backtest.metric_series import period_ends
from engine.backtest.trade_log import build_trades
from engine.model.bar_columns import DAY_NS, IntArray
from engine.model.run_tables import FILL_DTYPE, Table
from engine.portfolio.account_settings import TradeMatching
from engine.testing.backtest_scenarios import long_columns

HOUR_NS = DAY_NS // 24
PRECISION = 8
MODES = {
    TradeMatching.FIFO: kernels.MATCH_FIFO,
    TradeMatching.AVERAGE: kernels.MATCH_AVERAGE,
    TradeMatching.FLAT: kernels.MATCH_FLAT,
}


def walked(stamps: IntArray, atoms: IntArray, bar_ns: int) -> CurveFacts:
    """Return the facts that a kernel finds."""
    ends = period_ends(stamps, bar_ns)
    values = np.empty(len(ends), dtype=np.float64)
    facts = np.zeros(kernels.C_COUNT, dtype=np.float64)
    numbers = np.zeros(kernels.I_COUNT, dtype=np.int64)
    pairs = np.zeros((len(atoms), 2), dtype=np.int64)
    exposed = np.zeros(len(atoms), dtype=np.uint8)
    stamps.flags.writeable = False
    kernels.walk_curve(
        atoms, exposed, stamps, len(atoms), 10.0**PRECISION, ends, values, pairs, facts, numbers
    )
    assert pairs[:, 0].tolist() == stamps.tolist()
    assert pairs[:, 1].tolist() == atoms.tolist()
    return CurveFacts(
        samples=len(atoms),
        first_ns=int(stamps[0]),
        last_ns=int(stamps[-1]),
        last=float(facts[kernels.C_LAST]),
        total=float(facts[kernels.C_TOTAL]),
        deepest=float(facts[kernels.C_DEEPEST]),
        square_depths=float(facts[kernels.C_SQUARE_DEPTHS]),
        longest_ns=int(numbers[kernels.I_LONGEST]),
        spells=int(numbers[kernels.I_SPELLS]),
        depths=float(facts[kernels.C_DEPTHS]),
        period_ns=stamps[ends],
        period_values=values,
    )


def plain(facts: CurveFacts) -> dict[str, Any]:
    names = [name for name in CurveFacts.__slots__ if not name.startswith("period")]
    found = {name: getattr(facts, name) for name in names}
    return found | {
        "period_ns": facts.period_ns.tolist(),
        "period_values": facts.period_values.tolist(),
    }


@given(
    steps=st.lists(st.sampled_from([0, 0, 1, -1, 7, -7, 400, -400]), min_size=1, max_size=80),
    first=st.sampled_from([1, 500, 10_000]),
    bar_ns=st.sampled_from([HOUR_NS, DAY_NS, 7 * DAY_NS]),
)
def test_a_walk_finds_what_the_columns_give(steps: list[int], first: int, bar_ns: int) -> None:
    atoms = (first + np.cumsum(np.array(steps, dtype=np.int64))) * 123_456_789
    stamps = np.arange(1, len(atoms) + 1, dtype=np.int64) * bar_ns
    expected = curve_facts(stamps, atoms, money_precision=PRECISION, bar_ns=bar_ns)
    assert plain(walked(stamps, atoms, bar_ns)) == plain(expected)


@pytest.mark.parametrize(
    ("equity", "spells", "longest", "deepest"),
    [
        ([100, 100, 100], 0, 0, 0.0),
        ([100, 50, 100], 1, 2, 0.5),
        ([100, 120, 90], 0, 1, 0.25),  # one step at the end is no spell, but it is a fall
        ([100, 80, 60], 1, 2, 0.4),
        ([-5, -9, -5], 0, 0, 0.0),  # a peak must be above nothing
        ([100], 0, 0, 0.0),
    ],
)
def test_spells(equity: list[int], spells: int, longest: int, deepest: float) -> None:
    atoms = np.array(equity, dtype=np.int64) * 10**PRECISION
    stamps = np.arange(1, len(atoms) + 1, dtype=np.int64) * DAY_NS
    facts = curve_facts(stamps, atoms, money_precision=PRECISION, bar_ns=DAY_NS)
    assert (facts.spells, facts.longest_ns) == (spells, longest * DAY_NS)
    assert facts.deepest == pytest.approx(deepest)
    assert plain(walked(stamps, atoms, DAY_NS)) == plain(facts)


def fills_of(rng: np.random.Generator, count: int, largest: int) -> Table:
    fills = np.zeros(count, dtype=FILL_DTYPE)
    fills["bar"] = np.sort(rng.integers(0, 200, count))
    fills["ts"] = fills["bar"] * 60_000_000_000 + 1
    fills["side"] = rng.choice([1, -1], count)
    fills["lots"] = rng.integers(1, largest, count)
    fills["ticks"] = rng.integers(900, 1100, count)
    fills["fee_atoms"] = rng.integers(-(10**9), 10**10, count)  # a rebate is a fee below zero
    return fills


@pytest.mark.parametrize("largest", [6, 200_000], ids=["few lots", "products beyond 64 bits"])
@pytest.mark.parametrize("matching", list(TradeMatching), ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_round_trips_are_those_of_the_trade_log(
    matching: TradeMatching, largest: int, seed: int
) -> None:
    bars = long_columns(seed, 200)
    fills = fills_of(np.random.default_rng(seed), 60, largest)
    log = build_trades(fills, (bars,), matching=matching.value)
    x = np.zeros((len(fills), at.X_COUNT), dtype=np.int64)
    for name, column in (
        ("ts", at.X_TS),
        ("side", at.X_SIDE),
        ("lots", at.X_LOTS),
        ("ticks", at.X_TICKS),
        ("ticks", at.X_RAW),
        ("fee_atoms", at.X_FEE),
    ):
        x[:, column] = fills[name]
    s = np.zeros((1, at.S_COUNT), dtype=np.int64)
    scale = s[0, at.S_SCALE] = bars.instrument.atoms_per_tick_lot
    entries = np.zeros((len(fills), kernels.E_COUNT), dtype=np.int64)
    books = np.zeros((1, kernels.B_COUNT), dtype=np.int64)
    trips = np.zeros((len(fills), kernels.T_COUNT), dtype=np.int64)
    totals = np.zeros(kernels.N_COUNT, dtype=np.int64)
    kernels.match_fills(x, len(fills), s, MODES[matching], entries, books, trips, totals)
    found = trips[: int(totals[kernels.N_TRADES])]
    for name, place in (
        ("pnl_atoms", kernels.T_PNL),
        ("entry_atoms", kernels.T_ENTRY_ATOMS),
        ("entry_ts", kernels.T_ENTRY_TS),
        ("exit_ts", kernels.T_EXIT_TS),
    ):
        assert found[:, place].tolist() == log.trades[name].tolist(), name
    turnover = int(totals[kernels.N_TURNOVER])
    turnover += kernels.CARRY * int(totals[kernels.N_TURNOVER_CARRY])
    assert turnover == sum(
        int(lots) * int(ticks) * scale
        for lots, ticks in zip(fills["lots"], fills["ticks"], strict=True)
    )
    opened = {one.symbol: one for one in log.open_lots}
    side = int(books[0, kernels.B_SIDE])
    assert (0 in opened) == bool(side)
    if side:
        left = opened[0]
        assert left.lots == side * int(books[0, kernels.B_LOTS])
        assert left.entry_atoms == int(books[0, kernels.B_COST])
        assert left.fees_atoms == int(books[0, kernels.B_FEES])
