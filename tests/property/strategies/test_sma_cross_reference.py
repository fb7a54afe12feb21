"""The sample strategy against exact means in Fractions, and no look at the future."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from engine.strategies.sma_cross import SmaCross, SmaCrossDirection, SmaCrossParams
from engine.testing.bar_context import BarContext, flat_bars


def decisions(closes: Sequence[int], fast: int, slow: int) -> list[tuple[int, Decimal]]:
    params = SmaCrossParams(fast=fast, slow=slow, direction=SmaCrossDirection.BOTH)
    signals = BarContext(SmaCross(params)).play(flat_bars(closes))
    return [(index, signal.value) for index, signal in signals]


closes_ = st.lists(st.integers(1, 12), max_size=60)


@given(closes_, st.integers(1, 4), st.integers(1, 5))
def test_decisions_are_the_strict_crosses_of_the_exact_means(
    closes: list[int], fast: int, more: int
) -> None:
    slow = fast + more

    def lead(index: int) -> Fraction:
        return Fraction(sum(closes[index - fast + 1 : index + 1]), fast) - Fraction(
            sum(closes[index - slow + 1 : index + 1]), slow
        )

    expected = []
    for index in range(slow, len(closes)):
        if lead(index - 1) < 0 < lead(index):
            expected.append((index, Decimal(1)))
        elif lead(index - 1) > 0 > lead(index):
            expected.append((index, Decimal(-1)))
    assert decisions(closes, fast, slow) == expected


@given(closes_, closes_, st.integers(1, 4), st.integers(1, 5))
def test_future_bars_never_change_past_decisions(
    past: list[int], future: list[int], fast: int, more: int
) -> None:
    known = decisions(past, fast, fast + more)
    later = decisions(past + future, fast, fast + more)
    assert [item for item in later if item[0] < len(past)] == known
