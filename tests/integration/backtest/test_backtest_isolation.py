"""ISO-1 to ISO-10: containers share nothing that can change, and leave nothing behind."""

from __future__ import annotations

import gc
import locale
import os
import random
import threading
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backtest.assembly import BuiltRun, build_run
from engine.backtest.config import BacktestConfig
from engine.backtest.control import RunControl
from engine.backtest.coordinator import BacktestCoordinator
from engine.backtest.results import BacktestResult
from engine.backtest.run_pool import RunPool
from engine.backtest.strategy_loading import type_of_class
from engine.containers.bus import BusKind, ComponentFailedError, IsolationViolation
from engine.containers.lifecycle import ContainerState, ContainerStateError
from engine.model.bar_columns import BarColumns
from engine.model.bar_view import AnyBar
from engine.model.run_tables import fingerprint
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.strategy import Strategy
from engine.testing.bar_market import bars_of, config_of, request_of, run_on, wave

BARS = bars_of(wave(400))
COSTS = {
    "slippage_model": {"kind": "bps", "bps": 3},
    "commission_model": {"kind": "percent", "rate": "0.001"},
    "limit_fill": {"kind": "probability", "p": "0.5"},
}
PARAMS = [(fast, fast + more) for fast in (2, 3, 4, 5) for more in (2, 5, 9, 14)]


def config(fast: int, slow: int, **more: Any) -> BacktestConfig:
    params = {"fast": fast, "slow": slow, "direction": "both"}
    return config_of("sma_cross", params, broker=COSTS, **more)


def alone(one: BacktestConfig, bars: BarColumns = BARS) -> str:
    return run_on(one, bars).fingerprint


@pytest.fixture(scope="module")
def serial() -> list[str]:
    return [alone(config(*params)) for params in PARAMS]


def test_iso_1_many_containers_in_threads_equal_their_serial_runs(serial: list[str]) -> None:
    jobs = [config(*params) for params in PARAMS] * 2
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: run_on(one, BARS, in_threads=True).fingerprint, jobs))
    assert found == serial * 2
    assert len(set(serial)) > len(PARAMS) // 2


@pytest.mark.parametrize("workers", [1, 3])
def test_iso_2_order_and_workers_do_not_matter(serial: list[str], workers: int) -> None:
    order = list(range(len(PARAMS)))
    random.Random(7).shuffle(order)
    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(lambda place: alone(config(*PARAMS[place])), order))
    assert found == [serial[place] for place in order]


def interleaved(first: BacktestConfig, second: BacktestConfig, steps: Sequence[int]) -> list[str]:
    """Run two containers on one thread, bars in turns."""
    runs = [build_run(request_of(one, BARS), RunControl()) for one in (first, second)]
    for built in runs:
        built.container.start()
        built.run.begin()
    place = 0
    while not all(built.run.finished for built in runs):
        runs[place % 2].run.run(steps[place % len(steps)])
        place += 1
    marks = []
    for built in runs:
        built.run.finish()
        built.container.stop()
        marks.append(fingerprint(*built.broker.tables()))
        built.container.teardown_scope()
    return marks


@pytest.mark.parametrize("steps", [[1], [7, 1, 50], [400, 400]])
def test_two_containers_interleaved_equal_two_alone(serial: list[str], steps: list[int]) -> None:
    assert interleaved(config(*PARAMS[0]), config(*PARAMS[5]), steps) == [serial[0], serial[5]]


def reachable(root: object) -> dict[int, object]:
    """Return the mutable objects of ours that can be reached from *root*."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | type(gc) | type(reachable)):
            continue
        seen[id(one)] = one
        if isinstance(one, str | bytes | int | float | BarColumns):
            continue
        waiting.extend(gc.get_referents(one))
    return seen


def is_ours_and_mutable(value: object) -> bool:
    kind = type(value)
    if kind in (list, dict, set, bytearray):
        return True
    params = getattr(kind, "__dataclass_params__", None)
    is_frozen = (params is not None and params.frozen) or getattr(kind, "model_config", {}).get(
        "frozen", False
    )
    stateless = getattr(value, "stateless", False)
    return (
        kind.__module__.startswith("engine.")
        and not is_frozen
        and not stateless
        and not hasattr(kind, "_member_map_")
    )


def parts_of(built: BuiltRun) -> list[object]:
    return [built.container, built.account, built.broker, built.risk, built.host, built.run]


def test_iso_3_two_containers_share_only_shared_services() -> None:
    request = request_of(config(*PARAMS[0]), BARS)
    first, second = (build_run(request, RunControl()) for _ in range(2))
    owned = [
        {id(one): one for one in vars_of(built) if is_ours_and_mutable(one)}
        for built in (first, second)
    ]
    common = [owned[0][key] for key in owned[0].keys() & owned[1].keys()]
    assert common == []
    for built in (first, second):
        built.container.teardown_scope()


def vars_of(built: BuiltRun) -> Iterator[object]:
    """The containers' parts and what hangs directly on them."""
    for part in parts_of(built):
        yield part
        names = list(getattr(part, "__dict__", {}))
        for kind in type(part).__mro__:
            names += [one for one in getattr(kind, "__slots__", ()) if isinstance(one, str)]
        for name in names:
            value = getattr(part, name, None)
            if not isinstance(value, BarColumns | tuple | frozenset) and name not in _SHARED:
                yield value


_SHARED = {"settings", "_settings", "_registry", "columns", "_columns", "_control_config"}


def test_iso_4_shared_data_are_unchanged_after_runs(serial: list[str]) -> None:
    before = BARS.data_hash
    request = request_of(config(*PARAMS[0]), BARS)
    built = build_run(request, RunControl())
    shared: Any = built.container.resolve("config")
    with pytest.raises(TypeError):
        shared["seed"] = 1
    with pytest.raises(ValueError, match="read-only"):
        BARS.close[0] = 1
    built.container.teardown_scope()
    assert bars_of(wave(400)).data_hash == before == BARS.data_hash
    assert serial


def test_iso_5_a_thousand_containers_leave_nothing_behind() -> None:
    request = request_of(config_of("sma_cross", {"fast": 2, "slow": 4}), bars_of(wave(12)))
    # Others' leftovers may go meanwhile: what counts is that nothing comes.
    gc.collect()
    files = len(list(Path("/proc/self/fd").iterdir()))
    threads = threading.active_count()

    def one() -> list[weakref.ref[Any]]:
        built = build_run(request, RunControl())
        built.container.start()
        built.run.begin()
        built.run.run()
        built.run.finish()
        built.container.stop()
        built.container.teardown_scope()
        assert built.container.bus.subscription_count == 0
        parts = (built.container, built.host, built.broker, built.host)
        return [weakref.ref(part) for part in parts if hasattr(part, "__weakref__")]

    for _ in range(20):
        one()
    gc.collect()
    objects = len(gc.get_objects())
    references: list[weakref.ref[Any]] = []
    for _ in range(1000):
        references = one()
    gc.collect()
    assert all(reference() is None for reference in references)
    assert len(gc.get_objects()) - objects < 200
    assert len(list(Path("/proc/self/fd").iterdir())) <= files
    assert threading.active_count() <= threads


def test_iso_6_a_pooled_container_gives_what_a_fresh_one_gives(serial: list[str]) -> None:
    requests = [request_of(config(*params), BARS) for params in PARAMS[:5]]
    shared = requests[0].data
    pool = RunPool(requests[0], size=2)
    pool.fill()
    found = []
    for request in requests:
        again = type(request)(request.config, request.base_dir, shared)
        built = pool.acquire(again, RunControl())
        built.container.start()
        built.run.begin()
        built.run.run()
        built.run.finish()
        built.container.stop()
        found.append(fingerprint(*built.broker.tables()))
        pool.release(built)
    pool.close()
    assert found == serial[:5]
    assert pool.built == 2
    assert pool.reused == 5


def test_a_strategy_that_is_not_reusable_is_built_again() -> None:
    class Mine(Strategy):
        pass

    request = request_of(config_of("mine"), BARS, strategies={"mine": type_of_class(Mine)})
    pool = RunPool(request, size=1)
    built = pool.acquire(request, RunControl())
    built.container.start()
    built.container.stop()
    with pytest.raises(ContainerStateError, match="strategy is not reusable"):
        built.container.reset()
    pool.release(built)
    assert built.container.state is ContainerState.DISPOSED
    assert pool.reused == 0


def test_iso_7_the_process_is_as_it_was() -> None:
    def state() -> tuple[object, ...]:
        legacy: Mapping[str, Any] = np.random.get_state(legacy=False)
        return (
            random.getstate(),
            str(legacy),
            locale.setlocale(locale.LC_ALL),
            Path.cwd(),
            dict(os.environ),
            list(warnings.filters),
        )

    before = state()
    alone(config(3, 9))
    assert state() == before


def test_iso_9_the_test_window_does_not_know_of_the_train_run() -> None:
    split = {"enable_splits": True, "split": {"method": "ratio", "train": "0.6", "purge": 3}}
    one = config(3, 9)
    data_handler = one.components.data_handler.model_validate({"params": split})
    components = one.components.model_copy(update={"data_handler": data_handler})
    both = run_on(one.model_copy(update={"components": components}), BARS)
    request = request_of(one.model_copy(update={"components": components}), BARS)
    test_alone = build_run(
        type(request)(request.config, request.base_dir, request.data, "test"), RunControl()
    )
    test_alone.container.start()
    test_alone.run.begin()
    test_alone.run.run()
    test_alone.run.finish()
    assert fingerprint(*test_alone.broker.tables()) == both.splits["test"].fingerprint
    assert test_alone.handler.data_hash != test_alone.handler.train.data_hash
    assert both.splits["test"].data_hash == test_alone.handler.data_hash
    assert both.splits["train"].data_hash == test_alone.handler.train.data_hash
    start = test_alone.handler.windows[0].decision_bar
    assert start == 243
    assert all(order.bar_created >= start for order in test_alone.broker.orders)
    test_alone.container.teardown_scope()


class Breaks(Strategy):
    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def on_start(self) -> None:
        if self._where == "start":
            raise RuntimeError("start broke")

    def on_bar(self, bar: AnyBar) -> None:
        if self._where == "run":
            raise RuntimeError("run broke")

    def on_stop(self) -> None:
        if self._where == "stop":
            raise RuntimeError("stop broke")


@pytest.mark.parametrize("where", ["start", "run", "stop"])
def test_iso_10_a_component_that_breaks_leaves_no_container(where: str) -> None:
    threads = threading.active_count()

    class Store:
        def load(self, *_: object) -> Any:
            return request_of(config_of("mine"), BARS).data

    store: Any = Store()
    coordinator = BacktestCoordinator(store=store, strategies={"mine": type_of_class(Breaks)})
    with pytest.raises(ComponentFailedError, match=f"{where} broke"):
        coordinator.run_backtest(config_of("mine", {"where": where}))
    assert coordinator.active() == ()
    assert threading.active_count() == threads


def test_an_event_of_another_container_is_refused() -> None:
    runs = [build_run(request_of(config(*PARAMS[place]), BARS), RunControl()) for place in (0, 1)]
    event = runs[0].container.bus.publish(BusKind.TIMER, None)
    with pytest.raises(IsolationViolation):
        runs[1].container.bus.relay(event)
    for built in runs:
        built.container.teardown_scope()


def test_recording_events_changes_nothing() -> None:
    quiet = run_on(config(3, 9), BARS)
    loud = run_on(config(3, 9, record_events=True), BARS)
    assert loud.fingerprint == quiet.fingerprint
    assert loud.run_hash == quiet.run_hash
    assert loud.container_metrics.events_processed == quiet.container_metrics.events_processed
    assert loud.events is not None
    assert [row["seq"] for row in loud.events] == list(range(len(loud.events)))


def test_every_order_is_caused_by_a_signal_and_that_by_a_bar() -> None:
    result = run_on(config(3, 9, record_events=True), BARS)
    rows = {row["seq"]: row for row in result.events or ()}
    chains = 0
    causes = {"SIGNAL": "BAR", "ORDER": "SIGNAL"}
    fills = [row for row in rows.values() if row["kind"] == "FILL"]
    assert {rows[row["cause_seq"]]["kind"] for row in fills[:-1]} == {"ORDER"}
    for row in rows.values():
        if row["kind"] in causes:
            assert rows[row["cause_seq"]]["kind"] == causes[row["kind"]]
            chains += 1
    assert chains
    kinds = [row["kind"] for row in rows.values()]
    assert kinds.count("FILL") == len(result.fills)
    assert kinds.count("BAR") == len(BARS)


def test_costs_reduce_what_is_left() -> None:
    free = run_on(config_of("sma_cross", {"fast": 3, "slow": 9}), BARS)
    dear = run_on(config_of("sma_cross", {"fast": 3, "slow": 9}, broker=COSTS), BARS)
    assert Decimal(dear.final_equity) < Decimal(free.final_equity)


def results_equal(first: BacktestResult, second: BacktestResult) -> bool:
    return first.fingerprint == second.fingerprint and first.run_hash == second.run_hash


def test_the_same_strategy_gives_the_same_by_table_and_by_hooks() -> None:
    class Table(Strategy):
        reusable = True

        def signals(self, bars: BarColumns, *, start: int = 0) -> Any:
            from engine.strategies.catalogue import strategy_types

            return (
                strategy_types()["sma_cross"]
                .build({"fast": 3, "slow": 9})
                .signals(bars, start=start)
            )

    by_table = run_on(config_of("mine"), BARS, strategies={"mine": type_of_class(Table)})
    by_hooks = run_on(config_of("sma_cross", {"fast": 3, "slow": 9}), BARS)
    assert by_table.fingerprint == by_hooks.fingerprint


def test_a_signal_for_the_only_market_can_be_given_by_kind() -> None:
    signal = Signal(BARS.instrument.market, SignalKind.EXIT)
    assert signal.value == 0
