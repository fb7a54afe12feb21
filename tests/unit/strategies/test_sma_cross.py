"""The sample strategy: strict crosses, first decision at bar index ``slow``."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.strategies.signals import SignalKind
from engine.strategies.sma_cross import SmaCross, SmaCrossParams
from engine.testing.bar_context import BarContext, flat_bars


def run(closes: Sequence[int], **params: Any) -> list[tuple[int, SignalKind, Decimal]]:
    strategy = SmaCross(SmaCrossParams.model_validate(params))
    signals = BarContext(strategy).play(flat_bars(closes))
    strategy.on_stop()
    return [(index, signal.kind, signal.value) for index, signal in signals]


UP, DOWN = Decimal(1), Decimal(-1)


def test_crosses_up_enter_and_crosses_down_exit() -> None:
    closes = [10, 9, 8, 7, 12, 13, 5, 4]
    assert run(closes, fast=1, slow=3) == [
        (4, SignalKind.DIRECTION, UP),
        (6, SignalKind.EXIT, Decimal(0)),
    ]


def test_both_directions_reverse() -> None:
    closes = [10, 9, 8, 7, 12, 13, 5, 4]
    assert run(closes, fast=1, slow=3, direction="both") == [
        (4, SignalKind.DIRECTION, UP),
        (6, SignalKind.DIRECTION, DOWN),
    ]


def test_the_first_decision_is_at_bar_index_slow() -> None:
    assert run([10, 9, 8, 20], fast=1, slow=3) == [(3, SignalKind.DIRECTION, UP)]
    assert run([10, 9, 20], fast=1, slow=3) == []
    assert SmaCross(SmaCrossParams(fast=2, slow=7)).warmup == 7


def test_equal_means_are_on_neither_side() -> None:
    assert run([9, 9, 9, 12], fast=1, slow=3) == []
    assert run([10, 9, 8, 8, 8, 12], fast=1, slow=3) == []


@pytest.mark.parametrize(
    "params", [{"fast": 5, "slow": 5}, {"fast": 0}, {"direction": "short"}, {"fats": 3}]
)
def test_bad_parameters_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SmaCrossParams.model_validate(params)


def test_an_unbound_strategy_says_so() -> None:
    with pytest.raises(RuntimeError, match="SmaCross is not bound to a container yet"):
        _ = SmaCross(SmaCrossParams()).ctx
