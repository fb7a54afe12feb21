"""The sample strategy: strict crosses, first decision at bar index ``slow``."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import Bar, QuoteTick
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.sma_cross import SmaCross, SmaCrossParams

MARKET = ConnectorPair("paper", "ACME-USD")


class Recorder:
    """A context that keeps bars and signals."""

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self.signals: list[tuple[int, Signal]] = []

    def now_ns(self) -> int:
        return len(self.bars)

    def signal(self, signal: Signal) -> None:
        self.signals.append((len(self.bars) - 1, signal))

    def history(self, market: ConnectorPair, n: int) -> Sequence[Bar]:
        return self.bars[-n:]

    def instrument(self, market: ConnectorPair) -> Instrument:
        return Instrument(market, tick=Decimal(1), lot=Decimal(1))

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        return None

    def net_lots(self, market: ConnectorPair) -> int:
        return 0


def run(closes: Sequence[int], **params: Any) -> list[tuple[int, SignalKind, Decimal]]:
    recorder = Recorder()
    strategy = SmaCross(SmaCrossParams.model_validate(params))
    strategy.bind(recorder)
    strategy.on_start()
    for index, close in enumerate(closes):
        recorder.bars.append(Bar(MARKET, index, index + 1, close, close, close, close))
        strategy.on_bar(recorder.bars[-1])
    strategy.on_stop()
    return [(index, signal.kind, signal.value) for index, signal in recorder.signals]


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
