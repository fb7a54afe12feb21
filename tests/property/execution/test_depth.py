"""Synthetic depth: the closed form equals a walk over single lots."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from engine.execution.liquidity import Depth, QuoteSide


@given(
    sign=st.sampled_from([1, -1]),
    extra_ticks=st.integers(1, 4),
    displayed=st.integers(1, 9),
    takes=st.lists(st.tuples(st.integers(1, 40), st.none() | st.integers(900, 1100)), max_size=6),
)
def test_taking_equals_a_walk_over_single_lots(
    sign: int, extra_ticks: int, displayed: int, takes: list[tuple[int, int | None]]
) -> None:
    side = QuoteSide(sign=sign, depth=Depth.SYNTHETIC, extra_ticks=extra_ticks)
    side.update(1000, displayed)
    consumed = 0
    for wanted, limit in takes:
        walked: list[int] = []
        while len(walked) < wanted:
            ticks = 1000 + sign * extra_ticks * ((consumed + len(walked)) // displayed)
            if limit is not None and sign * ticks > sign * limit:
                break
            walked.append(ticks)
        lots, average = side.take(wanted, limit)
        assert lots == len(walked)
        consumed += lots
        if lots:
            exact = Fraction(sum(walked), lots)
            assert 0 <= sign * (average - exact) < 1
