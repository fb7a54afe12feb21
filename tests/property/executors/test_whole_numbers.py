"""Rules that are kept as whole numbers decide exactly as their formulas."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.executors.barrier_levels import barrier_levels, trailed
from engine.executors.barriers import TrailingStopState, TrailingTrigger
from engine.executors.fill_ledger import LedgerTotals
from engine.executors.grid_work import GridWindows
from engine.executors.ladder import LadderedTrailingStopState, LadderStep
from engine.executors.net_line import NetLine
from engine.model.orders import TradeType

fractions = st.fractions(Fraction(1, 1000), Fraction(3, 2), max_denominator=1000)
lines = st.builds(
    NetLine,
    basis=st.integers(1, 10**9),
    constant=st.integers(-(10**9), 10**9),
    slope=st.integers(1, 10**6),
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([TradeType.BUY, TradeType.SELL]), fractions, st.integers(1, 10**5), st.data()
)
def test_windows_of_a_grid(side: TradeType, x: Fraction, ticks: int, data: st.DataObject) -> None:
    windows = GridWindows(side, x)
    mid = data.draw(st.integers(1, 4 * ticks), label="mid in half ticks")
    price, half = Fraction(ticks), Fraction(mid, 2)
    opens = price >= half * (1 - x) if side is TradeType.BUY else price <= half * (1 + x)
    assert windows.entry(ticks).contains(mid) == opens
    assert windows.exit(ticks).contains(mid) == (abs(price - half) / half < x)
    assert windows.keep(ticks).contains(mid) == (abs(price - half) / half <= x)


@settings(max_examples=150, deadline=None)
@given(lines, fractions, st.fractions(0, Fraction(1, 100), max_denominator=10**6), st.data())
def test_a_level_that_moves_with_time(
    line: NetLine, base: Fraction, per_ns: Fraction, data: st.DataObject
) -> None:
    moving = line.moving(-base, per_ns)
    elapsed = data.draw(st.integers(0, 10**6), label="elapsed")
    assert moving.at(elapsed) == line.at_or_below(per_ns * elapsed - base)
    if not per_ns:
        return
    wanted = moving.at(elapsed) + data.draw(st.integers(1, 5), label="higher")
    reached = moving.reaches(wanted)
    assert moving.at(reached) >= wanted > moving.at(reached - 1)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([TradeType.BUY, TradeType.SELL]),
    st.integers(1, 1000),
    st.integers(1, 1000),
    st.integers(0, 10**5),
    fractions,
    st.lists(st.integers(1, 3000), min_size=1, max_size=12),
)
def test_a_trailing_stop_moves_by_whole_ticks(
    side: TradeType, lots: int, price: int, fees: int, delta: Fraction, marks: list[int]
) -> None:
    totals = LedgerTotals(side.sign, 10, lots, lots * price * 10, fee_atoms=fees)
    plain = TrailingStopState(Fraction(1, 50), delta)
    lazy = TrailingStopState(Fraction(1, 50), delta)
    levels = barrier_levels(totals, None, None, lazy)
    for mark in marks:
        signed = side.sign * mark
        fires = plain.update(totals.net_pnl_pct(mark))
        close_at, raise_at = levels.trailing_close, levels.trailing_raise
        assert fires == (close_at is not None and signed <= close_at)
        if fires:
            return
        if raise_at is not None and signed >= raise_at:
            levels = trailed(levels, totals, lazy, signed)
            lazy.raise_to(totals, mark)
        seen = lazy.seen_trigger
        assert (seen.pct if isinstance(seen, TrailingTrigger) else seen) == plain.trigger
        assert lazy.is_armed == (plain.trigger is not None)
        assert levels == barrier_levels(totals, None, None, plain)


class PlainLadder:
    """The rules of 4.4 as they are written, in fractions."""

    def __init__(
        self, activation: Fraction, trailing: Fraction, r: Fraction, cap: Fraction
    ) -> None:
        self.activation, self.trailing, self.r, self.cap = activation, trailing, r, cap
        self.trigger: Fraction | None = None

    def update(self, p: Fraction) -> bool:
        grown = self.r * p if p > self.trailing else 0
        wanted = p - min(self.trailing + grown, self.cap)
        if self.trigger is None:
            if p >= self.activation:
                self.trigger = wanted
            return False
        if wanted > self.trigger:
            self.trigger = wanted
            return False
        if p <= self.trigger:
            self.trigger = wanted
            return True
        return False


@settings(max_examples=150, deadline=None)
@given(
    fractions,
    fractions,
    st.fractions(0, Fraction(9, 10), max_denominator=100),
    fractions,
    st.lists(st.fractions(-1, 2, max_denominator=500), max_size=20),
)
def test_the_ladder_is_what_is_written(
    activation: Fraction, trailing: Fraction, r: Fraction, cap: Fraction, path: list[Fraction]
) -> None:
    steps = [LadderStep(Fraction(1, 10), Fraction(1, 2))]
    state = LadderedTrailingStopState(
        activation=activation, trailing=trailing, relaxation=r, cap=cap, steps=steps
    )
    plain = PlainLadder(activation, trailing, r, cap)
    for net in path:
        fires = plain.update(net)
        ratio = state.update(net, 1)
        assert (ratio is not None) == fires
        assert state.trigger == plain.trigger
        if fires:
            assert ratio == (Fraction(1, 2) if net >= Fraction(1, 10) else 1)
