"""FAST-5, FAST-6, FAST-7: a column of a grid is the run that it stands for, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from engine.backtest.compiled_run import LedgerOverflowError, run_compiled
from engine.backtest.grid import GridRunner
from engine.backtest.grid_column import GridColumn, GridRequest
from engine.backtest.metrics import Metrics, MetricSettings, compute_metrics, metrics_of
from engine.backtest.outcome import RawRun, metric_inputs
from engine.backtest.trade_log import build_trades
from engine.model.run_tables import digest64, fingerprint
from engine.portfolio.account_settings import TradeMatching
from engine.testing.backtest_scenarios import (
    Scenario,
    kernel_request,
    market_scenario,
    play_events,
    scenario,
)

SETTINGS = MetricSettings(annualise_short=True)
COLUMNS = 24
Column = tuple[GridColumn, Metrics]


def finished(column: GridColumn) -> Column:
    return column, metrics_of(column.curve, column.facts, SETTINGS)


def expected(given: Scenario, raw: RawRun, matching: TradeMatching) -> Metrics:
    """Return the metrics of the table, from whole tables of a run on the event path."""
    log = build_trades(raw.fills, given.columns, matching=matching.value)
    account = given.config.components.portfolio.params
    initial = int(account.initial_cash.scaleb(account.money_precision))
    inputs = metric_inputs(raw, log, given.columns, initial, 0, account.money_precision)
    return compute_metrics(inputs, SETTINGS)


def columns_of(
    given: list[Scenario], matching: TradeMatching, *, workers: int, keep: tuple[int, ...] = ()
) -> list[Column]:
    with GridRunner(workers=workers, matching=matching, has_fingerprints=True) as runner:
        found = runner.run(
            len(given),
            lambda number: GridRequest(kernel_request(given[number])),
            finished,
            keep=keep,
        )
    columns = []
    for one in found:
        assert isinstance(one, tuple), one
        columns.append(one)
    return columns


@pytest.mark.parametrize("matching", list(TradeMatching), ids=str)
@pytest.mark.parametrize("make", [market_scenario, scenario], ids=["small kernel", "whole kernels"])
@pytest.mark.parametrize("first", [0, 100])
def test_a_column_is_the_run_of_the_event_path(
    make: Callable[[int], Scenario], first: int, matching: TradeMatching
) -> None:
    given = [make(first + number) for number in range(COLUMNS)]
    for one, (column, metrics) in zip(given, columns_of(given, matching, workers=1), strict=True):
        raw = play_events(one)
        wanted = expected(one, raw, matching)
        assert column.fingerprint == fingerprint(raw.fills, raw.equity, raw.orders)
        assert column.digest64 == digest64(raw.fills, raw.equity, raw.orders)
        assert dict(metrics.values) == dict(wanted.values), f"scenario {one.number}"
        assert dict(metrics.reasons) == dict(wanted.reasons)
        assert dict(metrics.basis) == dict(wanted.basis)
        assert (column.fills, column.orders) == (len(raw.fills), len(raw.orders))
        assert column.final_equity_atoms == int(raw.equity["equity_atoms"][-1])


def test_columns_do_not_depend_on_the_threads_or_on_each_other() -> None:
    given = [market_scenario(3), scenario(7), scenario(3), *map(market_scenario, range(30))]
    alone = [columns_of([one], TradeMatching.FIFO, workers=1)[0] for one in given]
    together = columns_of(given, TradeMatching.FIFO, workers=3)
    for (one, metrics), (other, others) in zip(alone, together, strict=True):
        assert (one.fingerprint, one.digest64) == (other.fingerprint, other.digest64)
        assert dict(metrics.values) == dict(others.values)


def test_only_columns_that_are_kept_have_their_run() -> None:
    given = [market_scenario(number) for number in range(5)]
    columns = columns_of(given, TradeMatching.FIFO, workers=2, keep=(3,))
    assert [column.run is not None for column, _ in columns] == [False, False, False, True, False]
    kept = columns[3][0].run
    assert kept is not None
    whole = run_compiled(kernel_request(given[3]))
    assert kept.fills.tobytes() == whole.fills.tobytes()
    assert kept.equity.tobytes() == whole.equity.tobytes()
    assert columns[3][0].fingerprint == fingerprint(whole.fills, whole.equity, whole.orders)


def test_fingerprints_and_digests_are_there_only_if_they_are_wanted() -> None:
    given = [market_scenario(number) for number in range(6)]
    with GridRunner(workers=1, has_digests=False) as runner:
        bare = runner.run(6, lambda number: GridRequest(kernel_request(given[number])), finished)
    with GridRunner(workers=1) as runner:
        marked = runner.run(6, lambda number: GridRequest(kernel_request(given[number])), finished)
    for one, other in zip(bare, marked, strict=True):
        assert isinstance(one, tuple)
        assert isinstance(other, tuple)
        assert (one[0].digest64, one[0].fingerprint, other[0].fingerprint) == (None, None, None)
        assert other[0].digest64 is not None
        assert dict(one[1].values) == dict(other[1].values)


def test_what_a_column_raises_is_its_result_and_the_others_go_on() -> None:
    given = [market_scenario(number) for number in range(6)]

    def request_of(number: int) -> GridRequest:
        if number == 2:
            raise ValueError("no such parameter")
        return GridRequest(kernel_request(given[number]))

    def finish(column: GridColumn) -> int:
        if column.number == 4:
            raise LedgerOverflowError("too much")
        return column.number

    with GridRunner(workers=2) as runner:
        found = runner.run(6, request_of, finish)
    assert [one for one in found if isinstance(one, int)] == [0, 1, 3, 5]
    assert str(found[2]) == "no such parameter"
    assert isinstance(found[4], LedgerOverflowError)


def test_a_cancelled_grid_leaves_columns_out() -> None:
    given = [market_scenario(number) for number in range(40)]
    done: list[int] = []

    def finish(column: GridColumn) -> int:
        done.append(column.number)
        return column.number

    with GridRunner(workers=1) as runner:
        found = runner.run(
            40,
            lambda number: GridRequest(kernel_request(given[number])),
            finish,
            is_cancelled=lambda: len(done) >= 8,
        )
    assert found[:8] == list(range(8))
    assert found[8:] == [None] * 32


def test_memory_grows_with_the_bars_and_not_with_the_columns() -> None:
    """The tables of a thread are those of one block of columns, however many there are."""
    given = market_scenario(1)
    request = GridRequest(kernel_request(given))
    with GridRunner(workers=1) as runner:
        runner.run(4, lambda _: request, lambda column: column.number)
        before = runner.table_bytes
        runner.run(400, lambda _: request, lambda column: column.number)
        assert runner.table_bytes == before
        assert before >= 8 * len(given.columns[0])


def test_a_ledger_beyond_62_bits_is_told() -> None:
    request = kernel_request(market_scenario(0))
    account = request.account.model_copy(update={"initial_cash": Decimal("2e10")})
    rich = GridRequest(replace(request, account=account))
    with GridRunner(workers=1) as runner:
        (found,) = runner.run(1, lambda _: rich, lambda column: column.number)
    assert isinstance(found, LedgerOverflowError)
