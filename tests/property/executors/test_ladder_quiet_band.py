"""Inside its quiet band the ladder does nothing; above it the trigger is raised (4.4)."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from engine.executors.ladder import LadderedTrailingStopState

nets = st.integers(-300, 600).map(lambda value: Fraction(value, 2000))


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(0, 9),
    st.integers(1, 200),
    st.lists(nets, min_size=1, max_size=8),
    nets,
)
def test_the_band_tells_where_an_update_changes_something(
    activation: int, trailing: int, relaxation: int, cap: int, path: list[Fraction], probe: Fraction
) -> None:
    state = LadderedTrailingStopState(
        activation=Fraction(activation, 2000),
        trailing=Fraction(trailing, 2000),
        relaxation=Fraction(relaxation, 10),
        cap=Fraction(cap, 2000),
    )
    for net in path:
        state.update(net, 1)
    band = state.quiet_band(path[-1])
    is_above = probe >= band.high if band.is_high_inclusive else probe > band.high
    is_inside = not is_above and (band.low is None or probe > band.low)
    trigger = state.trigger
    fired = state.update(probe, 1)
    if is_inside:
        assert fired is None
        assert state.trigger == trigger
    elif is_above:
        assert state.trigger != trigger
