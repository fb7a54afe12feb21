"""Strategies that raise, order nonsense, mutate shared data, keep state in their class."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np
import pytest

from engine.backtest.results import ResultStatus
from engine.backtest.runner import ClassStateError
from engine.backtest.strategy_loading import StrategyLoadError, type_of_class
from engine.containers.bus import ComponentFailedError
from engine.model.bar_view import AnyBar, BarHistory
from engine.model.instruments import ConnectorPair
from engine.strategies.catalogue import StrategyType
from engine.strategies.signal_codes import BarOrderType
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.strategy import Strategy
from engine.testing.bar_market import bars_of, config_of, run_on, wave

BARS = bars_of(wave(60))


def types(cls: type[Strategy]) -> Mapping[str, StrategyType]:
    return {"mine": type_of_class(cls)}


class Raises(Strategy):
    def __init__(self, at: int = 30) -> None:
        super().__init__()
        self._at = at

    def on_bar(self, bar: AnyBar) -> None:
        if self.ctx.bar_index() == 3:
            self.ctx.signal(Signal(bar.market, SignalKind.DIRECTION, Decimal(1)))
        if self.ctx.bar_index() == self._at:
            raise ZeroDivisionError("the mean of nothing")


def test_an_error_ends_the_run_and_names_container_event_and_component() -> None:
    with pytest.raises(ComponentFailedError, match=r"strategy.on_bar of container backtest_\w{8}"):
        run_on(config_of("mine"), BARS, strategies=types(Raises))


def test_what_was_done_before_the_error_is_kept_as_partial() -> None:
    result = run_on(config_of("mine"), BARS, strategies=types(Raises), keep_failed=True)
    assert result.status is ResultStatus.FAILED
    assert result.is_partial
    assert len(result.fills) == 1
    assert result.error is not None
    assert "ZeroDivisionError: the mean of nothing" in result.error
    assert result.container_metrics.bars_processed == 31


def test_errors_can_be_counted_instead_until_there_are_too_many() -> None:
    class Often(Raises):
        def on_bar(self, bar: AnyBar) -> None:
            raise ValueError("again")

    result = run_on(config_of("mine", stop_on_error=False), BARS, strategies=types(Often))
    assert result.status is ResultStatus.COMPLETED
    assert result.container_metrics.errors == 60
    with pytest.raises(ComponentFailedError, match="error 21 of this run"):
        run_on(config_of("mine", stop_on_error=False, max_errors=20), BARS, strategies=types(Often))


class Nonsense(Strategy):
    def on_bar(self, bar: AnyBar) -> None:
        market, order = bar.market, SignalKind.ORDER
        match self.ctx.bar_index():
            case 1:
                self.ctx.signal(Signal(market, order, Decimal(-5), side=1))
            case 2:
                self.ctx.signal(Signal(market, order, Decimal(0), side=-1))
            case 3:
                self.ctx.signal(Signal(market, order, Decimal(10) ** 30))
            case 4:
                self.ctx.signal(Signal(market, order, Decimal(1), order_type=BarOrderType.LIMIT))
            case 5:
                self.ctx.signal(
                    Signal(
                        market, order, Decimal(1), order_type=BarOrderType.STOP, stop=Decimal(-3)
                    )
                )
            case 6:
                self.ctx.signal(Signal(ConnectorPair("backtest", "GONE"), order, Decimal(1)))
            case 7:
                self.ctx.signal(Signal(market, order, Decimal(-1), reduce_only=True))
            case _:
                pass


def test_nonsense_is_rejected_by_reason_and_never_filled() -> None:
    result = run_on(config_of("mine"), BARS, strategies=types(Nonsense))
    assert result.status is ResultStatus.COMPLETED
    assert len(result.fills) == 0
    assert dict(result.rejections) == {
        "PRICE_NOT_POSITIVE": 1,
        "PRICE_REQUIRED": 1,
        "QTY_ABOVE_MAX": 1,
        "QTY_NOT_POSITIVE": 2,
        "REDUCE_ONLY_NO_POSITION": 1,
        "UNKNOWN_SYMBOL": 1,
    }
    assert result.dominant_rejection == "QTY_NOT_POSITIVE"


class Writes(Strategy):
    def __init__(self, how: str) -> None:
        super().__init__()
        self._how = how

    def on_bar(self, bar: AnyBar) -> None:
        history: Any = self.ctx.history(5)
        assert isinstance(history, BarHistory)
        match self._how:
            case "column":
                history.column("close")[0] = 1
            case "bar":
                bar.close_ticks = 1  # type: ignore[misc]  # that is what is tried
            case _:
                history[0] = bar  # type: ignore[index]  # that is what is tried


@pytest.mark.parametrize("how", ["column", "bar", "window"])
def test_shared_data_cannot_be_written(how: str) -> None:
    before = BARS.data_hash
    with pytest.raises(ComponentFailedError, match=r"strategy\.on_bar"):
        run_on(config_of("mine", {"how": how}), BARS, strategies=types(Writes))
    assert bars_of(wave(60)).data_hash == before
    assert not BARS.close.flags.writeable


class Remembers(Strategy):
    seen: ClassVar[list[int]] = []

    def on_bar(self, bar: AnyBar) -> None:
        self.seen.append(bar.close_ticks)


def test_state_in_the_class_is_flagged_and_an_error_in_threads() -> None:
    result = run_on(config_of("mine"), BARS, strategies=types(Remembers))
    assert result.flags["class_state"] == "CLASS_STATE_MUTATED"
    with pytest.raises(ClassStateError, match="CLASS_STATE_MUTATED"):
        run_on(config_of("mine"), BARS, strategies=types(Remembers), in_threads=True)


class NoSignal(Strategy):
    def on_bar(self, bar: AnyBar) -> None:
        self.ctx.signal("buy")  # type: ignore[arg-type]  # that is what is tried


def test_what_is_no_signal_is_refused_at_once() -> None:
    with pytest.raises(ComponentFailedError, match=r"ctx\.signal takes a Signal, not str"):
        run_on(config_of("mine"), BARS, strategies=types(NoSignal))


def test_a_strategy_sees_no_future_bar() -> None:
    class Peeks(Strategy):
        def on_start(self) -> None:
            self._mean = self.ctx.indicator("sma", length=3)

        def on_bar(self, bar: AnyBar) -> None:
            self._mean(-1)

    with pytest.raises(ComponentFailedError, match="lies in the future"):
        run_on(config_of("mine"), BARS, strategies=types(Peeks))


def test_history_ends_at_the_current_bar_whatever_is_asked_for() -> None:
    lengths: list[tuple[int, int]] = []

    class Looks(Strategy):
        def on_bar(self, bar: AnyBar) -> None:
            window = self.ctx.history(1_000_000)
            assert window[-1] == bar
            lengths.append((self.ctx.bar_index(), len(window)))

    run_on(config_of("mine"), BARS, strategies=types(Looks))
    assert lengths == [(index, index + 1) for index in range(60)]


def test_draws_are_the_containers_own_and_the_same_every_time() -> None:
    drawn: list[float] = []

    class Draws(Strategy):
        def on_bar(self, bar: AnyBar) -> None:
            rng: np.random.Generator = self.ctx.rng  # type: ignore[attr-defined]  # backtests offer it
            drawn.append(float(rng.random()))

    run_on(config_of("mine"), BARS, strategies=types(Draws))
    first = drawn[:]
    drawn.clear()
    run_on(config_of("mine"), BARS, strategies=types(Draws))
    assert first == drawn
    drawn.clear()
    run_on(config_of("mine", seed=43), BARS, strategies=types(Draws))
    assert first != drawn


class Stillborn(Strategy):
    def __init__(self) -> None:
        raise RuntimeError("no constructor today")


def test_a_constructor_that_raises_is_told_without_a_traceback() -> None:
    with pytest.raises(StrategyLoadError, match="RuntimeError: no constructor today"):
        run_on(config_of("mine"), BARS, strategies=types(Stillborn))


class Quits(Strategy):
    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def on_start(self) -> None:
        if self._where == "on_start":
            sys.exit(3)

    def on_bar(self, bar: AnyBar) -> None:
        if self._where == "on_bar":
            sys.exit(3)

    def on_stop(self) -> None:
        if self._where == "on_stop":
            raise ValueError("not now")


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("on_start", "SystemExit: 3"),
        ("on_bar", "SystemExit: 3"),
        ("on_stop", "ValueError: not now"),
    ],
)
def test_a_strategy_cannot_end_the_process_and_its_hook_is_named(where: str, error: str) -> None:
    with pytest.raises(ComponentFailedError, match=rf"strategy\.{where} .* {error}") as caught:
        run_on(config_of("mine", {"where": where}), BARS, strategies=types(Quits))
    assert caught.value.details["component"] == f"strategy.{where}"


class Slow(Strategy):
    def __init__(self, bars: object) -> None:
        super().__init__()
        self._bars = bars

    @property
    def warmup(self) -> int:
        return self._bars  # type: ignore[return-value]  # foreign code may return anything

    def on_bar(self, bar: AnyBar) -> None:
        """Do nothing."""


def test_a_warm_up_longer_than_the_data_is_told() -> None:
    result = run_on(config_of("mine", {"bars": 60}), BARS, strategies=types(Slow))
    assert result.warnings[-1] == (
        "strategy mine never decided: its warm-up is 60 bars, there are 60"
    )
    enough = run_on(config_of("mine", {"bars": 59}), BARS, strategies=types(Slow))
    assert not any("never decided" in one for one in enough.warnings)


@pytest.mark.parametrize("bars", ["x", -1, None])
def test_a_warm_up_that_is_no_number_of_bars_is_refused(bars: object) -> None:
    with pytest.raises(StrategyLoadError, match=r"warmup|integer"):
        run_on(config_of("mine", {"bars": bars}), BARS, strategies=types(Slow))
