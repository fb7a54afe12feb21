from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backtest.metric_series import drawdown_spells, drawdowns
from engine.backtest.metrics import MetricInputs, MetricSettings, compute_metrics
from engine.backtest.sampling import min_max_buckets
from engine.backtest.trade_log import TradeMatching, build_trades, consistency_gap, open_pnl_atoms
from engine.model.bar_columns import DAY_NS, BarColumns, day_sessions
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.market_events import CorporateAction, CorporateActionKind
from engine.model.run_tables import FILL_DTYPE, Table

METHODS: tuple[TradeMatching, ...] = ("fifo", "average", "flat")
COUNT = 12


def columns(symbol: str, seed: int) -> BarColumns:
    rng = np.random.default_rng(seed)
    prices = rng.integers(50, 150, (4, COUNT))
    opens = np.arange(COUNT, dtype=np.int64) * DAY_NS
    starts, ends = day_sessions(opens, opens + DAY_NS)
    return BarColumns(
        instrument=Instrument(ConnectorPair("backtest", symbol), Decimal("0.05"), Decimal("0.1")),
        symbol=symbol,
        duration_ns=DAY_NS,
        ts_open=opens,
        ts_close=opens + DAY_NS,
        open=prices[0],
        high=prices.max(axis=0),
        low=prices.min(axis=0),
        close=prices[3],
        volume=np.full(COUNT, -1, dtype=np.int64),
        is_synthetic=np.zeros(COUNT, dtype=np.bool_),
        starts_session=starts,
        ends_session=ends,
    )


BARS = (columns("A", 1), columns("B", 2))


@st.composite
def fill_tables(draw: st.DrawFn) -> Table:
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, COUNT - 1),
                st.integers(0, 1),
                st.sampled_from([1, -1]),
                st.integers(1, 20),
                st.integers(50, 150),
                st.integers(-50, 10_000),
            ),
            max_size=25,
        )
    )
    table = np.zeros(len(rows), dtype=FILL_DTYPE)
    for seq, (bar, symbol, side, lots, ticks, fee) in enumerate(sorted(rows)):
        ts = bar * DAY_NS if seq % 2 else (bar + 1) * DAY_NS - 1
        table[seq] = (ts, bar, seq, symbol, side, 1, lots, ticks, fee, 0, 0, 0)
    return table


Actions = dict[int, list[CorporateAction]]


@st.composite
def splits(draw: st.DrawFn) -> Actions:
    actions: Actions = {}
    for symbol in (0, 1):
        days = draw(st.lists(st.integers(0, COUNT - 1), max_size=3, unique=True))
        actions[symbol] = [
            CorporateAction(
                day * DAY_NS - draw(st.integers(0, 1)),
                CorporateActionKind.SPLIT,
                draw(st.integers(1, 5)),
                draw(st.integers(1, 5)),
            )
            for day in days
        ]
    return actions


def ledger(fills: Table, marks: list[int], actions: Actions | None = None) -> int:
    """Return the change of equity by the plain sum of what was paid, got and is held (PF-4)."""
    scale = BARS[0].instrument.atoms_per_tick_lot
    held = [0, 0]
    cash = 0
    waiting = {
        symbol: sorted(some, key=lambda one: one.ts_ns) for symbol, some in (actions or {}).items()
    }

    def split(symbol: int, bar: int) -> int:
        """Scale what is held by the splits until *bar*; return what fractions brought (PF-10)."""
        brought = 0
        queue = waiting.get(symbol, [])
        while queue and queue[0].ts_ns <= bar * DAY_NS:
            one = queue.pop(0)
            first = -(-one.ts_ns // DAY_NS)
            mark = int(BARS[symbol].close[max(0, first - 1)])
            sign = 1 if held[symbol] > 0 else -1
            whole, rest = divmod(abs(held[symbol]) * one.ratio_num, one.ratio_den)
            brought += sign * rest * mark * scale // one.ratio_num if rest else 0
            held[symbol] = sign * whole
        return brought

    for row in fills:
        cash += split(int(row["symbol"]), int(row["bar"]))
        lots = int(row["side"]) * int(row["lots"])
        cash -= lots * int(row["ticks"]) * scale + int(row["fee_atoms"])
        held[row["symbol"]] += lots
    cash += split(0, COUNT - 1) + split(1, COUNT - 1)
    return cash + sum(lots * mark * scale for lots, mark in zip(held, marks, strict=True))


@given(fills=fill_tables(), marks=st.lists(st.integers(50, 150), min_size=2, max_size=2))
@settings(max_examples=150, deadline=None)
def test_trades_explain_the_equity_to_the_atom_coord_7(fills: Table, marks: list[int]) -> None:
    change = ledger(fills, marks)
    for method in METHODS:
        log = build_trades(fills, BARS, matching=method)
        opened = open_pnl_atoms(log.open_lots, marks, BARS)
        assert consistency_gap(log, equity_change_atoms=change, open_pnl=opened) == 0


@given(
    fills=fill_tables(),
    actions=splits(),
    marks=st.lists(st.integers(50, 150), min_size=2, max_size=2),
)
@settings(max_examples=150, deadline=None)
def test_trades_explain_the_equity_across_splits_too_pf_10(
    fills: Table, actions: Actions, marks: list[int]
) -> None:
    change = ledger(fills, marks, actions)
    for method in METHODS:
        log = build_trades(fills, BARS, matching=method, actions=actions)
        opened = open_pnl_atoms(log.open_lots, marks, BARS)
        assert consistency_gap(log, equity_change_atoms=change, open_pnl=opened) == 0
        assert (log.trades["lots"] > 0).all()


@given(fills=fill_tables())
@settings(max_examples=100, deadline=None)
def test_the_three_methods_agree_on_totals_when_flat_pf_7(fills: Table) -> None:
    closing = []
    for symbol in (0, 1):
        mine = fills[fills["symbol"] == symbol]
        net = int((mine["side"].astype(np.int64) * mine["lots"]).sum())
        if net:
            closing.append(
                ((COUNT) * DAY_NS, COUNT - 1, 99 + symbol, symbol, -1 if net > 0 else 1, 1,
                 abs(net), 77, 13, 0, 0, 6)
            )  # fmt: skip
    table = np.concatenate([fills, np.array(closing, dtype=FILL_DTYPE)])
    totals = set()
    for method in METHODS:
        log = build_trades(table, BARS, matching=method)
        assert log.open_lots == ()
        trades = log.trades
        totals.add((int(trades["pnl_atoms"].sum()), int(trades["fees_atoms"].sum())))
        assert (trades["mae_atoms"] <= np.minimum(0, trades["gross_atoms"])).all()
        assert (trades["mfe_atoms"] >= np.maximum(0, trades["gross_atoms"])).all()
        assert (trades["exit_bar"] >= trades["entry_bar"]).all()
        assert (trades["lots"] > 0).all()
    assert len(totals) == 1


CURVES = st.lists(st.integers(0, 10**6), min_size=1, max_size=80)


@given(curve=CURVES)
@settings(max_examples=100, deadline=None)
def test_drawdowns_are_fractions_and_spells_cover_them(curve: list[int]) -> None:
    depths = drawdowns(np.array(curve, dtype=np.float64))
    assert ((depths >= 0) & (depths <= 1)).all()
    inside = set()
    for spell in drawdown_spells(depths):
        assert depths[spell.peak] == 0
        assert spell.is_over == (depths[spell.end] == 0)
        inside |= set(range(spell.peak + 1, spell.end + (not spell.is_over)))
    assert inside == set(np.flatnonzero(depths > 0).tolist())


@given(curve=CURVES, seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_metrics_of_any_curve_are_finite_or_null(curve: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    stamps = np.cumsum(rng.integers(1, 10 * DAY_NS, len(curve)))
    metrics = compute_metrics(
        MetricInputs(
            ts_close=stamps,
            equity_atoms=np.array(curve, dtype=np.int64) * 10**6,
            initial_atoms=10**8,
            benchmark_ts=stamps,
            benchmark_close=rng.uniform(1, 2, len(curve)),
        ),
        MetricSettings(annualise_short=True, sr_trials=(0.1, 0.2)),
    )
    for name, value in metrics.values.items():
        assert (value is None) == (name in metrics.reasons)
        assert value is None or np.isfinite(float(value))


@given(curve=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), buckets=st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_made_small_a_curve_keeps_its_ends_and_extremes(curve: list[float], buckets: int) -> None:
    ts = np.arange(len(curve), dtype=np.int64)
    values = np.array(curve)
    kept_ts, kept = min_max_buckets(ts, values, buckets)
    assert len(kept) <= 2 * buckets + 2
    assert (np.diff(kept_ts) > 0).all()
    assert kept.tolist() == values[kept_ts].tolist()
    assert (kept_ts[0], kept_ts[-1]) == (0, len(curve) - 1)
    assert (kept.min(), kept.max()) == (values.min(), values.max())
