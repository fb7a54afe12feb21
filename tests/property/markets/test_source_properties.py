from __future__ import annotations

from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.markets.bar_file import BarFileOptions, load_bars
from engine.markets.bar_table import BarTable
from engine.markets.data_report import CHECKS, DataReport
from engine.markets.merged_feed import MergedFeed, TimerTick
from engine.markets.replay import ReplayConfig, ReplaySource
from engine.markets.stamps import parse_bar_duration
from engine.markets.synthetic import SyntheticConfig, SyntheticSource
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument

SAMPLES = Path(__file__).parents[3] / "sample_configs" / "data"
HOUR_NS = 3600 * SECOND_NS


def amounts(low: str, high: str) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(low), Decimal(high), places=4)


CONFIGS = st.builds(
    SyntheticConfig,
    start_price=amounts("1", "100000"),
    intensity_per_s=amounts("0.01", "1000"),
    volatility_annual_pct=amounts("0.001", "20"),
    shock_weight=amounts("0", "0.1"),
    persistence=amounts("0", "0.9999"),
    spread_bps=amounts("0.0001", "500"),
    depth_quote=amounts("0.0001", "1000000"),
)
SEEDS = st.integers(0, 2**64)


def synthetic(config: SyntheticConfig, seed: int, base: str = "BTC") -> SyntheticSource:
    instrument = Instrument(
        ConnectorPair("paper", f"{base}-USDT"), Decimal("0.01"), Decimal("0.0001")
    )
    return SyntheticSource(instrument=instrument, config=config, seed=seed)


@given(config=CONFIGS, seed=SEEDS, start_ns=st.integers(0, 2**62))
@settings(max_examples=60, deadline=None)
def test_synthetic_quotes_rise_in_time_and_have_two_positive_sides(
    config: SyntheticConfig, seed: int, start_ns: int
) -> None:
    ticks = list(islice(synthetic(config, seed).ticks(start_ns), 300))
    assert ticks[0].ts_ns == start_ns
    assert all(before.ts_ns < after.ts_ns for before, after in pairwise(ticks))
    for tick in ticks:
        assert all(
            isinstance(value, int)
            for value in (tick.bid_ticks, tick.ask_ticks, tick.bid_lots, tick.ask_lots)
        )
        assert 1 <= tick.bid_ticks < tick.ask_ticks
        assert tick.bid_lots >= 1
        assert tick.ask_lots >= 1


@given(config=CONFIGS, seed=SEEDS, other=SEEDS)
@settings(max_examples=40, deadline=None)
def test_one_seed_gives_the_same_quotes_and_another_gives_others(
    config: SyntheticConfig, seed: int, other: int
) -> None:
    first = list(islice(synthetic(config, seed).ticks(0), 50))
    source = synthetic(config, seed)
    assert list(islice(source.ticks(0), 50)) == first
    assert list(islice(source.ticks(0), 50)) == first
    if other != seed:
        assert list(islice(synthetic(config, other).ticks(0), 50)) != first


@st.composite
def bar_tables(draw: st.DrawFn) -> BarTable:
    count = draw(st.integers(1, 12))
    gaps = draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
    opens: list[int] = []
    for gap in gaps:
        opens.append((opens[-1] + HOUR_NS if opens else 0) + gap * HOUR_NS)
    bars = []
    for _ in range(count):
        low = draw(st.integers(1, 10_000))
        high = low + draw(st.integers(0, 500))
        bars.append((draw(st.integers(low, high)), high, low, draw(st.integers(low, high))))
    opening, high_column, low_column, closing = zip(*bars, strict=True)
    return BarTable(
        tick=Decimal("0.01"),
        ts_open_ns=tuple(opens),
        ts_close_ns=tuple(one + HOUR_NS for one in opens),
        open_ticks=opening,
        high_ticks=high_column,
        low_ticks=low_column,
        close_ticks=closing,
        volume_lots=(-1,) * count,
        is_synthetic=(False,) * count,
        features={},
        report=DataReport(count, count, dict.fromkeys(CHECKS, 0), 0, 0, 0, Decimal(0), ()),
    )


@st.composite
def replay_configs(draw: st.DrawFn) -> ReplayConfig:
    spread: dict[str, Any] = draw(
        st.one_of(
            st.just({}),
            st.fixed_dictionaries({"spread_ticks": st.integers(1, 100)}),
            st.fixed_dictionaries({"spread_bps": amounts("0.001", "100")}),
        )
    )
    return ReplayConfig(
        path="bars.csv",
        speed=draw(amounts("0.01", "1000000000")),
        skip_gaps=draw(st.booleans()),
        repeat=draw(st.booleans()),
        **spread,
    )


@given(bars=bar_tables(), config=replay_configs(), start_ns=st.integers(0, 2**62))
@settings(max_examples=150, deadline=None)
def test_replayed_quotes_rise_in_time_and_their_path_stays_in_the_bar(
    bars: BarTable, config: ReplayConfig, start_ns: int
) -> None:
    instrument = Instrument(ConnectorPair("paper", "A-B"), bars.tick, Decimal(1))
    source = ReplaySource(instrument=instrument, bars=bars, config=config)
    rounds = 2 if config.repeat else 1
    ticks = list(islice(source.ticks(start_ns), 4 * len(bars) * 2))
    assert len(ticks) == 4 * len(bars) * rounds
    assert ticks[0].ts_ns == start_ns
    assert all(before.ts_ns < after.ts_ns for before, after in pairwise(ticks))
    for index, tick in enumerate(ticks):
        bar = index // 4 % len(bars)
        spread = tick.ask_ticks - tick.bid_ticks
        assert 1 <= tick.bid_ticks < tick.ask_ticks
        middle = max(tick.bid_ticks + spread // 2, 1)
        assert bars.low_ticks[bar] <= middle or tick.bid_ticks == 1
        assert middle <= bars.high_ticks[bar] or tick.bid_ticks == 1
        assert bars.ts_open_ns[bar] <= tick.source_ns < bars.ts_close_ns[bar]


@given(bars=bar_tables())
@settings(max_examples=80, deadline=None)
def test_the_path_meets_all_four_prices_of_its_bar(bars: BarTable) -> None:
    instrument = Instrument(ConnectorPair("paper", "A-B"), bars.tick, Decimal(1))
    config = ReplayConfig(path="bars.csv", spread_ticks=1)
    ticks = list(ReplaySource(instrument=instrument, bars=bars, config=config).ticks(0))
    for index in range(len(bars)):
        path = [tick.bid_ticks for tick in ticks[4 * index : 4 * index + 4]]
        assert path[0] == bars.open_ticks[index]
        assert path[3] == bars.close_ticks[index]
        assert sorted(path[1:3]) == [bars.low_ticks[index], bars.high_ticks[index]]
        assert abs(path[1] - path[0]) <= abs(path[2] - path[0])


@given(
    seed=SEEDS,
    count=st.integers(1, 4),
    interval_ns=st.integers(SECOND_NS // 100, 3 * SECOND_NS),
    length_ns=st.integers(0, 4 * SECOND_NS),
)
@settings(max_examples=40, deadline=None)
def test_a_merged_feed_is_what_sorting_gives(
    seed: int, count: int, interval_ns: int, length_ns: int
) -> None:
    start_ns = 17 * SECOND_NS
    end_ns = start_ns + length_ns
    config = SyntheticConfig(intensity_per_s=Decimal(20))
    sources = [synthetic(config, seed, base=f"B{index}") for index in range(count)]
    expected = [
        (tick.ts_ns, order)
        for order, source in enumerate(sources)
        for tick in islice(source.ticks(start_ns), 600)
        if tick.ts_ns <= end_ns
    ]
    expected += [(stamp, count) for stamp in range(start_ns + interval_ns, end_ns + 1, interval_ns)]
    orders = {source.market: order for order, source in enumerate(sources)}
    feed = MergedFeed(sources, start_ns=start_ns, timer_interval_ns=interval_ns, end_ns=end_ns)
    assert [
        (item.ts_ns, count if isinstance(item, TimerTick) else orders[item.market]) for item in feed
    ] == sorted(expected)


def test_the_bundled_hourly_file_replays_inside_its_bars_from_end_to_end() -> None:
    bars = load_bars(SAMPLES / "eurusd-1h.csv", BarFileOptions(bar=parse_bar_duration("1h")))
    instrument = Instrument(ConnectorPair("paper", "EUR-USD"), bars.tick, Decimal(1))
    config = ReplayConfig(path="eurusd-1h.csv", spread_ticks=1)
    ticks = list(ReplaySource(instrument=instrument, bars=bars, config=config).ticks(0))
    assert len(ticks) == 4 * len(bars)
    assert all(before.ts_ns < after.ts_ns for before, after in pairwise(ticks))
    assert all(
        bars.low_ticks[index // 4] <= tick.bid_ticks <= bars.high_ticks[index // 4]
        for index, tick in enumerate(ticks)
    )
    # Default speed: an hour of the file in a second, whatever weekends lie between.
    assert ticks[-1].ts_ns == len(bars) * SECOND_NS - 1
