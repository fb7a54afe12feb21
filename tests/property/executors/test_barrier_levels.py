"""Integer barrier levels decide exactly as the formulas do."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from engine.executors.barrier_levels import barrier_levels
from engine.executors.barriers import TrailingStopState
from engine.executors.fill_ledger import LedgerTotals

fractions = st.fractions(min_value=Fraction(1, 10_000), max_value=Fraction(1, 2))


@st.composite
def open_positions(draw: st.DrawFn) -> LedgerTotals:
    """Positions with something open, with partial exits and fees in quote and base."""
    entry_lots = draw(st.integers(2, 500))
    entry_fee_lots = draw(st.integers(0, min(3, entry_lots - 1)))
    exit_lots = draw(st.integers(0, entry_lots - entry_fee_lots - 1))
    price = draw(st.integers(50, 500))
    k = draw(st.integers(1, 1000))
    return LedgerTotals(
        draw(st.sampled_from((1, -1))),
        k,
        entry_lots,
        price * entry_lots * k + draw(st.integers(0, 100)),
        entry_fee_lots,
        exit_lots,
        exit_lots * k * draw(st.integers(40, 600)),
        draw(st.integers(-1000, 100_000)),
    )


@given(open_positions(), fractions, fractions, fractions, fractions, st.integers(1, 1200))
def test_levels_decide_as_the_formulas(
    totals: LedgerTotals,
    stop_loss: Fraction,
    take_profit: Fraction,
    activation: Fraction,
    delta: Fraction,
    mark: int,
) -> None:
    levels = barrier_levels(totals, stop_loss, take_profit, TrailingStopState(activation, delta))
    net, signed = totals.net_pnl_pct(mark), totals.sign * mark
    assert levels.stop_loss is not None
    assert levels.take_profit is not None
    assert levels.trailing_raise is not None
    assert levels.trailing_close is None
    assert (signed <= levels.stop_loss) == (net <= -stop_loss)
    assert (signed >= levels.take_profit) == (net >= take_profit)
    assert (signed >= levels.trailing_raise) == (net > activation)


@given(open_positions(), fractions, st.integers(1, 1200), st.integers(1, 1200))
def test_trailing_levels_decide_as_the_state_machine(
    totals: LedgerTotals, delta: Fraction, peak: int, mark: int
) -> None:
    trigger = totals.net_pnl_pct(peak) - delta
    state = TrailingStopState(Fraction(1), delta, trigger)
    levels = barrier_levels(totals, None, None, state)
    signed = totals.sign * mark
    assert levels.trailing_close is not None
    assert levels.trailing_raise is not None
    fires = state.update(totals.net_pnl_pct(mark))
    assert (signed <= levels.trailing_close) == fires
    is_raised = state.trigger is not None and state.trigger > trigger
    assert (signed >= levels.trailing_raise) == is_raised
