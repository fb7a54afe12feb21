"""FAST-7, DET-1: both paths give the same fills, orders, cash, equity and fingerprint."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backtest import kernel_layout as at
from engine.backtest.compiled_run import SLICE, run_compiled
from engine.backtest.kernel_inputs import is_bracket_only, is_market_only, kernel_inputs
from engine.backtest.kernel_request import KernelRequest
from engine.testing.backtest_scenarios import (
    bracket_scenario,
    differences,
    kernel_request,
    market_scenario,
    play_compiled,
    play_events,
    scenario,
    without_signals,
)

GROUP = 40
GROUPS = 9
REGRESSIONS = (381, 1332, 2916, 5380, 5936, 7386, 8155, 22398)
"""Scenarios that once differed: an OCO group over two symbols, the stamp of the last close, an exit
that its entry's next fill made marketable, an entry whose exits had all been rejected, an
exit that moved with its entry's average."""


@pytest.mark.parametrize("group", range(GROUPS))
def test_both_paths_leave_the_same_tables(group: int) -> None:
    for number in range(group * GROUP, (group + 1) * GROUP):
        given = scenario(number)
        assert differences(play_events(given), play_compiled(given)) == [], f"scenario {number}"


@pytest.mark.parametrize("group", range(3))
def test_the_small_kernel_leaves_the_same_tables(group: int) -> None:
    for number in range(group * GROUP, (group + 1) * GROUP):
        given = market_scenario(number)
        assert is_market_only(kernel_request(given))
        assert differences(play_events(given), play_compiled(given)) == [], f"market {number}"


@pytest.mark.parametrize("group", range(3))
def test_the_kernel_for_brackets_leaves_the_same_tables(group: int) -> None:
    given_back = 0
    for number in range(group * GROUP, (group + 1) * GROUP):
        given = bracket_scenario(number)
        request = kernel_request(given)
        assert is_bracket_only(request)
        assert not is_market_only(request)
        given_back += plays_whole(request)
        assert differences(play_events(given), play_compiled(given)) == [], f"bracket {number}"
    assert given_back < GROUP / 2


def plays_whole(request: KernelRequest) -> bool:
    """Whether the kernel for brackets gives *request* back to the whole ones."""
    from engine.backtest.kernel_bracket import run_bracket

    inputs = kernel_inputs(request, brackets=True)
    rows, steps = len(inputs.decisions) + inputs.exits + 8, inputs.steps
    run_bracket(
        inputs.numbers,
        inputs.symbols,
        np.zeros((rows, at.O_COUNT), dtype=np.int64),
        np.zeros((rows, at.X_COUNT), dtype=np.int64),
        np.zeros((2, 2), dtype=np.int64),
        inputs.bars,
        inputs.decisions,
        np.zeros(steps, dtype=np.int64),
        np.zeros(steps, dtype=np.int64),
        np.zeros(steps, dtype=np.uint8),
        steps,
        1,
    )
    return bool(inputs.numbers[at.A_STATUS] == at.STATUS_WHOLE)


@pytest.mark.parametrize("number", REGRESSIONS)
def test_a_scenario_that_once_differed(number: int) -> None:
    given = scenario(number)
    assert differences(play_events(given), play_compiled(given)) == []


def test_scenarios_reach_what_they_are_for() -> None:
    runs = [play_compiled(scenario(number)) for number in range(120)]
    reasons = {str(note["reason"]) for run in runs for note in run.order_notes}
    assert {"OCO", "IOC", "FOK", "GTD", "DAY", "INSUFFICIENT_FUNDS", "PARENT_CLOSED"} <= reasons
    types = {str(note["type"]) for run in runs for note in run.order_notes}
    assert len(types) == 9
    assert any(run.fills["ambiguous"].any() for run in runs)
    assert any(len(np.unique(run.fills["symbol"])) > 1 for run in runs)


def test_a_run_in_slices_is_the_run() -> None:
    """The kernel can be left and entered again before any bar."""
    given = scenario(3)
    whole = run_compiled(kernel_request(given))
    seen: list[int] = []

    def watch(done: int, _now: int, _equity: int, _fills: int) -> bool:
        seen.append(done)
        return True

    watched = run_compiled(kernel_request(given), watch, slice_bars=1)
    assert seen[-1] == whole.steps_done
    assert len(seen) >= whole.steps_done
    assert whole.fills.tobytes() == watched.fills.tobytes()
    assert whole.equity.tobytes() == watched.equity.tobytes()
    assert SLICE > 1


def test_a_cancelled_run_keeps_what_was_done() -> None:
    given = scenario(3)
    whole = run_compiled(kernel_request(given))
    cut = run_compiled(kernel_request(given), lambda done, *_: done < 10, slice_bars=1)
    assert cut.is_cancelled
    assert cut.steps_done == 10
    assert cut.equity["equity_atoms"].tolist() == whole.equity["equity_atoms"][:10].tolist()


def test_a_scenario_without_its_signals_does_nothing() -> None:
    given = scenario(5)
    nothing = np.zeros(0, dtype=np.int64)
    empty = without_signals(given, dict.fromkeys(range(len(given.tables)), nothing))
    assert not len(play_compiled(empty).fills)
    assert differences(play_events(empty), play_compiled(empty)) == []
