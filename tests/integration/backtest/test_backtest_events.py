"""EVT-4, TIME-2: which events a run has, in which order; counting them needs no listener."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from engine.backtest.control import Progress, RunControl
from engine.backtest.results import BacktestResult
from engine.backtest.strategy_loading import type_of_class
from engine.containers.bus import ComponentFailedError
from engine.live.clock import SystemClock
from engine.model.bar_view import AnyBar
from engine.model.instruments import ConnectorPair
from engine.strategies.strategy import Strategy
from engine.testing.bar_market import START_NS, bars_of, config_of, run_on, wave

FLAT = [(10_000, 10_000, 10_000, 10_000)] * 6
DAY = "2017-01-0"
SCRIPT = [
    {"bar": 0, "side": "buy", "qty": 10},
    {"bar": 1, "side": "buy", "type": "LIMIT", "limit": 50, "qty": 1, "tag": "low"},
    {"bar": 2, "replace": "low", "limit": 60},
    {"bar": 3, "cancel": "low"},
]


def rows_of(result: BacktestResult) -> list[Mapping[str, Any]]:
    return list(result.events or ())


def kinds(result: BacktestResult, symbol: str | None = None) -> list[str]:
    return [row["kind"] for row in rows_of(result) if symbol in (None, row["symbol"])]


def both(config: Mapping[str, Any], *bars: Any, **more: Any) -> BacktestResult:
    """Return the recorded run, which must agree with the quiet one."""
    quiet = run_on(config_of(**config), *bars, **more)
    loud = run_on(config_of(**config, record_events=True), *bars, **more)
    assert loud.fingerprint == quiet.fingerprint
    assert loud.container_metrics.events_processed == quiet.container_metrics.events_processed
    assert [row["seq"] for row in rows_of(loud)] == list(range(len(rows_of(loud))))
    return loud


def test_a_run_begins_and_ends_with_its_container() -> None:
    events = rows_of(both({"strategy": "scripted"}, bars_of(FLAT)))
    assert [(row["kind"], row["payload"]) for row in events[:2]] == [
        ("LIFECYCLE", {"from": "READY", "to": "RUNNING"}),
        ("HEALTH", {"level": "HEALTHY", "errors": 0, "last_error": ""}),
    ]
    assert events[-1]["payload"] == {"from": "RUNNING", "to": "STOPPED"}
    assert Counter(row["kind"] for row in events) == {
        "LIFECYCLE": 2,
        "HEALTH": 1,
        "EQUITY": 6,
        "BAR": 6,
    }


def test_a_position_follows_each_fill_and_changes_of_orders_are_told() -> None:
    result = both({"strategy": "scripted", "params": {"orders": SCRIPT}}, bars_of(FLAT))
    events = rows_of(result)
    envelope = {"seq", "ts", "kind", "container_id", "symbol", "cause_seq", "payload"}
    assert {frozenset(row) for row in events} == {frozenset(envelope)}
    assert {row["container_id"] for row in events} == {result.run_id}
    fills = [number for number, row in enumerate(events) if row["kind"] == "FILL"]
    after = [events[number + 1] for number in fills]
    assert [(row["kind"], row["payload"]["lots"]) for row in after] == [
        ("POSITION", 10),
        ("POSITION", 0),
    ]
    assert [row["cause_seq"] for row in after] == [events[number]["seq"] for number in fills]
    assert after[0]["payload"]["cost_atoms"] == 1_000 * 10**8
    by_seq = {row["seq"]: row for row in events}
    for kind in ("CANCEL", "REPLACE"):
        (row,) = (one for one in events if one["kind"] == kind)
        assert by_seq[row["cause_seq"]]["kind"] == "SIGNAL"


def test_every_bar_of_an_instant_is_answered_before_the_next_then_the_slice() -> None:
    orders = [
        {"bar": 1, "symbol": name, "side": "buy", "qty": 1, "type": "LIMIT", "limit": 1}
        for name in ("ONE", "TWO")
    ]
    result = both(
        {"strategy": "scripted", "params": {"orders": orders}, "symbols": ("ONE", "TWO")},
        bars_of(FLAT, symbol="ONE"),
        bars_of(FLAT, symbol="TWO"),
    )
    events = [row for row in rows_of(result) if row["ts"] == START_NS + 2 * 86_400 * 10**9]
    told = [(row["kind"], row["symbol"]) for row in events]
    assert told == [
        ("EQUITY", ""),
        ("BAR", "ONE"),
        ("SIGNAL", "ONE"),
        ("ORDER", "ONE"),
        ("ORDER_UPDATE", "ONE"),
        ("BAR", "TWO"),
        ("SIGNAL", "TWO"),
        ("ORDER", "TWO"),
        ("ORDER_UPDATE", "TWO"),
        ("SLICE", ""),
    ]
    causes = {row["symbol"]: row["seq"] for row in events if row["kind"] == "BAR"}
    assert {row["symbol"]: row["cause_seq"] for row in events if row["kind"] == "SIGNAL"} == causes
    assert events[-1]["payload"] == {"bars": {"ONE": 1, "TWO": 1}}


def test_what_falls_due_is_told_before_the_fills_of_the_bar() -> None:
    config = {
        "strategy": "scripted",
        "params": {"orders": [{"bar": 0, "side": "buy", "qty": 10}]},
        "data": [
            {
                "symbol": "ACME",
                "path": "ACME.csv",
                "funding": [{"ts": f"{DAY}3", "rate": "0.001"}],
                "corporate_actions": [
                    {"ts": f"{DAY}4", "kind": "split", "ratio": [2, 1]},
                    {"ts": f"{DAY}5", "kind": "dividend", "amount": "0.5"},
                ],
            }
        ],
    }
    result = both(config, bars_of(FLAT))
    due = [
        (row["kind"], row["payload"])
        for row in rows_of(result)
        if row["kind"] in ("FUNDING", "CORPORATE_ACTION")
    ]
    assert [kind for kind, _ in due] == ["FUNDING", "CORPORATE_ACTION", "CORPORATE_ACTION"]
    assert [facts["lots"] for _, facts in due] == [10, 10, 20]
    assert due[0][1]["rate_ppb"] == 1_000_000
    assert (due[1][1]["kind"], due[1][1]["ratio_num"]) == ("split", 2)
    assert due[2][1]["amount_atoms"] == 5 * 10**7


class Clumsy(Strategy):
    """Fails at two bars, and looks at slices."""

    reusable = True

    def on_bar(self, bar: AnyBar) -> None:
        if self.ctx.bar_index() in (2, 4):
            raise ValueError("not today")

    def on_slice(self, bars: Mapping[ConnectorPair, AnyBar]) -> None:
        assert bars


def test_errors_are_told_and_make_the_run_degraded() -> None:
    result = both(
        {"strategy": "mine", "stop_on_error": False},
        bars_of(FLAT),
        strategies={"mine": type_of_class(Clumsy)},
    )
    errors = [row["payload"] for row in rows_of(result) if row["kind"] == "ERROR"]
    assert (
        errors
        == [{"component": "strategy.on_bar", "kind": "BAR", "error": "ValueError: not today"}] * 2
    )
    health = [row["payload"]["level"] for row in rows_of(result) if row["kind"] == "HEALTH"]
    assert health == ["HEALTHY", "DEGRADED"]
    assert kinds(result).count("SLICE") == len(FLAT)


def test_a_run_that_fails_ends_unhealthy() -> None:
    with pytest.raises(ComponentFailedError) as caught:
        run_on(
            config_of("mine", record_events=True),
            bars_of(wave(6)),
            strategies={"mine": type_of_class(Clumsy)},
        )
    result = caught.value.details["result"]
    assert isinstance(result, BacktestResult)
    told = [(row["kind"], row["payload"]) for row in rows_of(result)][-3:]
    assert [kind for kind, _ in told] == ["ERROR", "LIFECYCLE", "HEALTH"]
    assert told[1][1] == {"from": "RUNNING", "to": "ERROR"}
    assert told[2][1]["level"] == "UNHEALTHY"


def test_the_log_of_a_run_says_how_it_ran_and_what_was_halted_and_skipped() -> None:
    config = config_of(
        "scripted",
        {"orders": [{"bar": 0, "side": "buy", "qty": 900}]},
        risk={"max_drawdown": "0.05"},
    )
    rows = [(10_000, 10_000, 10_000, 10_000), *[(9_000, 9_000, 9_000, 9_000)] * 3]
    rows[1] = (10_000, 10_000, 9_000, 9_000)
    log = run_on(config, bars_of(rows)).log
    assert [one["text"] for one in log] == [
        "4 bars from 2017-01-01T00:00:00Z to 2017-01-05T00:00:00Z",
        "runs on the event path",
        "trading is halted: max_drawdown reached",
        "completed after 4 bars",
    ]
    assert (log[2]["level"], log[2]["bar"]) == ("warning", 1)
    assert log[2]["ts"] == "2017-01-03T00:00:00Z"
    assert {one["mode"] for one in log} == {"BACKTEST_SINGLE"}
    assert log[0]["symbol"] == "ACME"
    clumsy = run_on(
        config_of("mine", stop_on_error=False),
        bars_of(FLAT),
        strategies={"mine": type_of_class(Clumsy)},
    )
    errors = [one["text"] for one in clumsy.log if one["level"] == "error"]
    assert len(errors) == 2
    assert "strategy.on_bar" in errors[0]
    assert "ValueError: not today" in errors[0]


def test_progress_counts_events_and_errors() -> None:
    seen: list[Progress] = []
    control = RunControl(listener=seen.append)
    result = run_on(
        config_of("mine", stop_on_error=False),
        bars_of(FLAT),
        strategies={"mine": type_of_class(Clumsy)},
        control=control,
    )
    assert seen[-2].events == result.container_metrics.events_processed
    assert seen[-2].errors == 2


class TurnedClock(SystemClock):
    """A clock that a strategy turns."""

    now = 0

    def monotonic_ns(self) -> int:
        return self.now


def test_progress_of_a_slow_strategy_is_told_bar_by_bar() -> None:
    """COORD-4: a look at the clock is as frequent as the strategy is slow."""
    clock, seen = TurnedClock(), list[Progress]()

    class Thoughtful(Strategy):
        def on_bar(self, bar: AnyBar) -> None:
            clock.now += 200_000_000

    control = RunControl(listener=seen.append, clock=clock)
    kinds_of = {"mine": type_of_class(Thoughtful)}
    run_on(config_of("mine"), bars_of(wave(40)), strategies=kinds_of, control=control)
    assert len({one.bars_done for one in seen}) >= 38
