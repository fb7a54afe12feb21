"""COORD-1 to 7, DET-1, DET-2: the same result wherever it runs; progress, cancellation, handles."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.backtest.assembly import build_run
from engine.backtest.config import (
    DEFAULT_THREAD_MODELS,
    IsolationLevel,
    Mode,
    ThreadModel,
    as_config,
)
from engine.backtest.control import Progress, RunControl
from engine.backtest.coordinator import BacktestCoordinator, worker_count
from engine.backtest.results import ResultStatus
from engine.backtest.results_io import load_result, save_result
from engine.backtest.run_hash import effective_config, plain, run_hash
from engine.backtest.strategy_loading import type_of_class
from engine.backtest.thread_models import THREADS_NOTE, ManyRunsError
from engine.config.backtest_file import load_backtest_file
from engine.model.bar_view import AnyBar
from engine.model.clock import to_iso
from engine.model.run_tables import digest64, fingerprint
from engine.strategies.strategy import Strategy
from engine.testing.bar_market import bars_of, config_of, request_of, run_on, wave

SAMPLES = Path(__file__).resolve().parents[3] / "sample_configs"
OVERRIDES = [("engine=events", f"components.strategy.params.fast={fast}") for fast in (5, 10, 20)]


@pytest.fixture(scope="module")
def jobs() -> list[Any]:
    return [
        load_backtest_file(SAMPLES / "backtest.yaml", overrides=one).config for one in OVERRIDES
    ]


@pytest.fixture(scope="module")
def alone(jobs: list[Any]) -> list[str]:
    coordinator = BacktestCoordinator(base_dir=SAMPLES)
    return [coordinator.run_backtest(one).fingerprint for one in jobs]


def test_every_mode_has_its_thread_model() -> None:
    assert DEFAULT_THREAD_MODELS == {
        Mode.BACKTEST_SINGLE: ThreadModel.SINGLE_THREADED,
        Mode.BACKTEST_PARALLEL: ThreadModel.MULTI_THREADED,
        Mode.OPTIMIZATION: ThreadModel.PROCESS_PARALLEL,
        Mode.LIVE_TRADING: ThreadModel.ASYNC_MULTI,
        Mode.PAPER_TRADING: ThreadModel.ASYNC_MULTI,
        Mode.REPLAY: ThreadModel.SINGLE_THREADED,
    }
    assert 1 <= worker_count(None) <= 8
    assert worker_count(3) == 3


@pytest.mark.parametrize(
    ("has_lock", "engine", "lines"),
    [(True, "events", 1), (False, "events", 0), (True, "compiled", 0)],
    ids=["lock", "free-threaded", "compiled"],
)
def test_mode_1_threads_that_cannot_help_are_logged_once(
    caplog: pytest.LogCaptureFixture, has_lock: bool, engine: str, lines: int
) -> None:
    config = load_backtest_file(SAMPLES / "backtest.yaml", overrides=[f"engine={engine}"]).config
    coordinator = BacktestCoordinator(base_dir=SAMPLES, has_lock=has_lock)
    with caplog.at_level("INFO", logger="engine.backtest"):
        for _ in range(2):
            coordinator.run_many(
                [config] * 2, thread_model=ThreadModel.MULTI_THREADED, max_workers=2
            )
    assert [one.message for one in caplog.records] == [THREADS_NOTE] * lines


@pytest.mark.parametrize("model", list(ThreadModel), ids=lambda one: one.value)
def test_the_thread_model_changes_no_result(
    jobs: list[Any], alone: list[str], model: ThreadModel
) -> None:
    # Processes are spawned, which takes a second each: two are enough to see that they agree.
    chosen = jobs[:2] if model in (ThreadModel.PROCESS_PARALLEL, ThreadModel.MIXED) else jobs
    results = BacktestCoordinator(base_dir=SAMPLES).run_many(chosen, thread_model=model)
    assert [one.fingerprint for one in results] == alone[: len(chosen)]


def test_a_failed_run_of_many_is_told_and_the_others_are_run(jobs: list[Any]) -> None:
    bad = jobs[0].model_copy(
        update={"data": (jobs[0].data[0].model_copy(update={"path": "gone.csv"}),)}
    )
    coordinator = BacktestCoordinator(base_dir=SAMPLES)
    with pytest.raises(ManyRunsError, match="1 of 2 runs failed: run 1: ") as caught:
        coordinator.run_many([jobs[0], bad], thread_model=ThreadModel.MULTI_THREADED)
    assert [place for place, _ in caught.value.errors] == [1]


def test_a_handle_gives_progress_and_the_result(jobs: list[Any], alone: list[str]) -> None:
    coordinator = BacktestCoordinator(base_dir=SAMPLES)
    handle = coordinator.submit(jobs[0])
    assert handle.result(60).fingerprint == alone[0]
    assert handle.is_done
    progress = handle.progress()
    assert (progress.bars_done, progress.bars_total) == (5031, 5031)
    assert coordinator.active() == ()
    coordinator.close()


class Waits(Strategy):
    """Stands still at bar 50 until it is let go."""

    reached = threading.Event()
    go_on = threading.Event()

    def on_bar(self, bar: AnyBar) -> None:
        if self.ctx.bar_index() == 50:
            Waits.reached.set()
            Waits.go_on.wait(30)


def test_a_cancelled_run_ends_at_the_next_bar_with_what_was_done() -> None:
    control = RunControl()
    found: list[Any] = []

    def work() -> None:
        found.append(
            run_on(
                config_of("mine"),
                bars_of(wave(400)),
                strategies={"mine": type_of_class(Waits)},
                control=control,
            )
        )

    thread = threading.Thread(target=work)
    thread.start()
    assert Waits.reached.wait(30)
    control.cancel()
    Waits.go_on.set()
    thread.join(30)
    (result,) = found
    assert result.status is ResultStatus.CANCELLED
    assert result.is_partial
    assert result.flags["partial"] is True
    assert result.bars == 51
    assert len(result.equity) == 51


def test_progress_never_goes_back_and_ends_complete() -> None:
    seen: list[Progress] = []
    run_on(
        config_of("sma_cross", engine="events"),
        bars_of(wave(5000)),
        control=RunControl(listener=seen.append),
    )
    done = [one.bars_done for one in seen]
    assert done == sorted(done)
    assert done[-1] == 5000
    assert seen[-1].status == "done"


def test_a_result_survives_its_directory(jobs: list[Any], tmp_path: Path) -> None:
    result = BacktestCoordinator(base_dir=SAMPLES).run_backtest(jobs[0])
    save_result(result, tmp_path / "run")
    again = load_result(tmp_path / "run")
    tables = (again.fills, again.equity, again.orders)
    assert fingerprint(*tables) == result.fingerprint
    assert again.to_json() == result.to_json()


def test_the_digest_of_kernels_is_that_of_the_same_integers() -> None:
    result = run_on(config_of("sma_cross", {"fast": 2, "slow": 5}), bars_of(wave(80)))
    tables = (result.fills, result.equity, result.orders)
    assert 0 < digest64(*tables) < 2**64
    assert digest64(*tables) == digest64(*tables)


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"name": "x"}, True),
        ({"engine": "events"}, True),
        ({"timeout_s": 5}, True),
        ({"record_events": True}, True),
        ({"seed": 1}, False),
        ({"close_positions_at_end": False}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_the_run_hash_holds_what_can_change_a_result(
    change: dict[str, Any], *, is_same: bool
) -> None:
    def identity(**more: Any) -> str:
        values = effective_config(config_of("sma_cross", **more))
        return run_hash(values, data_hash="d", source_hash="s")

    assert (identity(**change) == identity()) is is_same
    values = effective_config(config_of("sma_cross"))
    assert run_hash(values, data_hash="e", source_hash="s") != identity()
    assert run_hash(values, data_hash="d", source_hash="t") != identity()


def test_plain_values_are_the_same_however_they_were_written() -> None:
    from decimal import Decimal

    assert plain(Decimal("0.10")) == plain(Decimal("0.1")) == "0.1"
    assert plain(Decimal("1e3")) == "1000"
    assert plain(Decimal("-0")) == "0"


def test_a_container_is_told_by_its_run_and_never_by_chance() -> None:
    request = request_of(config_of("sma_cross"), bars_of(wave(20)))
    runs = [build_run(request, RunControl()) for _ in range(2)]
    names = {built.container.id for built in runs}
    assert names == {f"backtest_{runs[0].run_hash[:8]}"}
    for built in runs:
        built.container.teardown_scope()


def test_executors_run_and_give_the_same_journal_every_time() -> None:
    overrides = ["data.0.path=data/eurusd-1h.csv", "controllers=[]"]
    file = load_backtest_file(SAMPLES / "backtest-executors.yaml", overrides=overrides)
    coordinator = BacktestCoordinator(base_dir=SAMPLES)
    first, second = (coordinator.run_backtest(file.config) for _ in range(2))
    assert first.flags["journal_hash"] == second.flags["journal_hash"]
    assert first.fingerprint == second.fingerprint
    assert first.flags["executors"] == 2
    assert len(first.fills) >= 2
    assert first.status is ResultStatus.COMPLETED


def test_funding_is_paid_by_what_executors_hold() -> None:
    overrides = ["data.0.path=data/eurusd-1h.csv", "controllers=[]"]
    config = load_backtest_file(SAMPLES / "backtest-executors.yaml", overrides=overrides).config
    without = BacktestCoordinator(base_dir=SAMPLES).run_backtest(config)
    when = to_iso(int(without.fills["ts"][0]) + 3600 * 10**9)
    values = config.model_dump(by_alias=True)
    values["data"][0]["funding"] = [{"ts": when, "rate": "0.001"}]
    with_it = BacktestCoordinator(base_dir=SAMPLES).run_backtest(as_config(values))
    paid = with_it.metrics["funding_total"]
    assert isinstance(paid, Decimal)
    # 20,000 EUR long were opened at a price above 1; the shorts of the other executor get some.
    assert Decimal(15) < paid < Decimal(25)
    assert with_it.final_equity == without.final_equity - paid


def test_an_isolated_strategy_has_an_account_of_its_own() -> None:
    bars = bars_of(wave(200))
    several = config_of(
        "sma_cross",
        components={
            "strategies": [
                {"class": "sma_cross", "id": "fast", "params": {"fast": 2, "slow": 5}},
                {"class": "donchian", "id": "slow", "params": {"entry": 10, "exit": 5}},
            ],
            "risk_manager": {"params": {"sizer": {"kind": "fixed", "qty": 10}}},
        },
    )
    result = run_on(several, bars)
    assert set(result.splits) == {"fast", "slow"}
    single = config_of("donchian", {"entry": 10, "exit": 5})
    assert result.splits["slow"].fingerprint == run_on(single, bars).fingerprint
    shared = run_on(several.model_copy(update={"isolation_level": IsolationLevel.PORTFOLIO}), bars)
    assert len(shared.splits) == 0


def test_funding_splits_and_dividends_of_the_configuration_are_settled() -> None:
    """Hold 101, split 2:1 at half the price, dividend 0.50 a unit, funding of 1 bp before."""
    from decimal import Decimal

    from engine.backtest.config import as_config
    from engine.model.clock import to_iso

    bars = bars_of([(10_000, 10_100, 9_900, 10_000)] * 20 + [(5_000, 5_100, 4_900, 5_000)] * 20)
    stamps = [to_iso(int(bars.ts_open[index])) for index in (10, 20, 30)]
    values = config_of("buy_and_hold", risk={"sizer": {"kind": "fixed", "qty": 101}}).model_dump(
        by_alias=True
    )
    values["data"][0].update(
        funding=[{"ts": stamps[0], "rate": "0.0001"}],
        corporate_actions=[
            {"ts": stamps[2], "kind": "dividend", "amount": "0.5"},
            {"ts": stamps[1], "kind": "split", "ratio": [2, 1]},
        ],
    )
    result = run_on(as_config(values), bars)
    assert result.engine == "events"
    assert int(result.trades["lots"][0]) == 202
    assert result.final_equity == 100_000 + 101 - Decimal("1.01")
    assert result.metrics["funding_total"] == Decimal("1.01")
