"""Random scripts on random bars: however a run is cut, recorded or pooled, it is the same run."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backtest.assembly import build_run
from engine.backtest.control import RunControl
from engine.backtest.results import BacktestResult
from engine.model.run_tables import fingerprint
from engine.testing.bar_market import bars_of, config_of, request_of, run_on, wave

prices = st.integers(9_500, 10_500).map(lambda ticks: f"{ticks / 100:.2f}")
orders = st.fixed_dictionaries(
    {
        "bar": st.integers(0, 38),
        "side": st.sampled_from(["buy", "sell"]),
        "qty": st.integers(1, 30),
    },
    optional={
        "tif": st.sampled_from(["GTC", "DAY", "IOC", "FOK"]),
        "reduce_only": st.booleans(),
        "tag": st.sampled_from(["a", "b"]),
        "oco_group": st.integers(0, 2),
    },
)
terms = st.one_of(
    st.just({}),
    st.builds(lambda price: {"type": "LIMIT", "limit": price}, prices),
    st.builds(lambda price: {"type": "STOP", "stop": price}, prices),
    st.builds(lambda a, b: {"type": "STOP_LIMIT", "stop": a, "limit": b}, prices, prices),
    st.builds(lambda bps: {"type": "TRAILING_STOP", "trail": {"bps": bps}}, st.integers(1, 300)),
    st.just({"bracket": {"sl": {"pct": 1}, "tp": {"pct": 2}, "basis": "fill"}}),
    st.builds(lambda tag: {"cancel": tag}, st.sampled_from(["a", "b"])),
)
scripts = st.lists(st.tuples(orders, terms).map(lambda pair: {**pair[0], **pair[1]}), max_size=12)
brokers = st.fixed_dictionaries(
    {
        "path": st.sampled_from(["pessimistic", "adaptive", "ohlc", "olhc"]),
        "commission_model": st.sampled_from(["none", "per_share", "percent"]),
        "slippage_model": st.sampled_from([{"kind": "none"}, {"kind": "bps", "bps": 5}]),
        "max_participation": st.sampled_from([None, "0.01"]),
        "insufficient_funds": st.sampled_from(["reject", "trim"]),
    }
)


def result_of(script: list[Any], broker: dict[str, Any], seed: int, **more: Any) -> BacktestResult:
    config = config_of("scripted", {"orders": script}, broker=broker, engine="events", **more)
    return run_on(config, bars_of(wave(40, seed=seed)))


@settings(max_examples=60, deadline=None)
@given(script=scripts, broker=brokers, seed=st.integers(0, 50))
def test_recording_and_counting_agree(script: list[Any], broker: dict[str, Any], seed: int) -> None:
    quiet = result_of(script, broker, seed)
    loud = result_of(script, broker, seed, record_events=True)
    assert loud.fingerprint == quiet.fingerprint
    assert loud.container_metrics.events_processed == quiet.container_metrics.events_processed
    kinds = [row["kind"] for row in loud.events or ()]
    assert kinds.count("FILL") == len(quiet.fills)
    assert kinds.count("SIGNAL") == quiet.container_metrics.signals


@settings(max_examples=40, deadline=None)
@given(
    script=scripts,
    broker=brokers,
    seed=st.integers(0, 50),
    steps=st.lists(st.integers(1, 15), min_size=1, max_size=6),
)
def test_a_run_in_slices_is_the_run(
    script: list[Any], broker: dict[str, Any], seed: int, steps: list[int]
) -> None:
    whole = result_of(script, broker, seed)
    config = config_of("scripted", {"orders": script}, broker=broker, engine="events")
    built = build_run(request_of(config, bars_of(wave(40, seed=seed))), RunControl())
    with built.container as container:
        container.start()
        built.run.begin()
        place = 0
        while not built.run.run(steps[place % len(steps)]):
            place += 1
        built.run.finish()
        container.stop()
        assert fingerprint(*built.broker.tables()) == whole.fingerprint


@settings(max_examples=40, deadline=None)
@given(script=scripts, broker=brokers, seed=st.integers(0, 50), cut=st.integers(5, 35))
def test_later_bars_never_change_what_was_done(
    script: list[Any], broker: dict[str, Any], seed: int, cut: int
) -> None:
    rows = wave(40, seed=seed)
    config = config_of(
        "scripted",
        {"orders": script},
        broker=broker,
        engine="events",
        close_positions_at_end=False,
    )
    whole, part = run_on(config, bars_of(rows)), run_on(config, bars_of(rows[:cut]))
    known = whole.fills[whole.fills["bar"] < cut]
    assert known.tolist() == part.fills.tolist()
    assert whole.equity["equity_atoms"][:cut].tolist() == part.equity["equity_atoms"].tolist()
