"""The simple trailing stop."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from engine.executors.barriers import TrailingStop, TrailingStopState


def state(activation: str, delta: str) -> TrailingStopState:
    return TrailingStopState.of(
        TrailingStop(activation_price=Decimal(activation), trailing_delta=Decimal(delta))
    )


def test_the_worked_example() -> None:
    trailing = state("0.02", "0.005")
    steps = [
        ("0.02", False, None),
        ("0.021", False, "0.016"),
        ("0.03", False, "0.025"),
        ("0.025", False, "0.025"),
        ("0.0249", True, "0.025"),
    ]
    for net, fires, trigger in steps:
        assert trailing.update(Fraction(net)) is fires
        assert trailing.trigger == (None if trigger is None else Fraction(trigger))


def test_a_trigger_of_zero_is_a_trigger() -> None:
    trailing = state("0.01", "0.02")
    assert not trailing.update(Fraction("0.02"))
    assert trailing.trigger == 0
    assert trailing.update(Fraction("-0.0001"))


def test_arming_never_fires_at_once() -> None:
    trailing = state("0.01", "0.5")
    assert not trailing.update(Fraction("0.011"))


@pytest.mark.parametrize("text", ["0.1", "0.1;0.2", "a,b", "0,1", "0.1,0"])
def test_bad_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        TrailingStop.from_text(text)


def test_blank_text_is_none() -> None:
    assert TrailingStop.from_text(" ") is None
