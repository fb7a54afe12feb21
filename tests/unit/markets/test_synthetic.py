from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import islice, pairwise
from statistics import fmean
from typing import Any

import pytest
from pydantic import ValidationError

from engine.markets.synthetic import SyntheticConfig, SyntheticSource
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick

YEAR_S = 365.25 * 86_400
BTC = Instrument(ConnectorPair("paper", "BTC-USDT"), Decimal("0.1"), Decimal("0.00001"))
TICKS = 60_000
BUCKET = 40
FIRST_OF_SEED_7 = [
    (0, 639991, 640010, 61917, 49462),
    (246043165, 640059, 640080, 65849, 98013),
    (1746043165, 640034, 640055, 54248, 20587),
    (2899017335, 639969, 639992, 20900, 31263),
]


def quotes(count: int, *, seed: int = 1, **settings: Any) -> list[QuoteTick]:
    source = SyntheticSource(instrument=BTC, config=SyntheticConfig(**settings), seed=seed)
    return list(islice(source.ticks(0), count))


@pytest.fixture(scope="module")
def long_run() -> list[QuoteTick]:
    """Quotes of four hours with the default settings."""
    return quotes(TICKS)


def returns(ticks: Sequence[QuoteTick]) -> list[float]:
    """Return log returns over buckets of about ten seconds."""
    mids = [tick.bid_ticks + tick.ask_ticks for tick in ticks[::BUCKET]]
    return [math.log(after / before) for before, after in pairwise(mids)]


def autocorrelation(values: Sequence[float], lag: int) -> float:
    mean = fmean(values)
    centred = [value - mean for value in values]
    products = [a * b for a, b in zip(centred, centred[lag:], strict=False)]
    return math.fsum(products) / math.fsum(value * value for value in centred)


def test_the_first_quotes_of_a_seed_never_change() -> None:
    assert [
        (tick.ts_ns, tick.bid_ticks, tick.ask_ticks, tick.bid_lots, tick.ask_lots)
        for tick in quotes(4, seed=7)
    ] == FIRST_OF_SEED_7


def test_the_market_opens_at_the_start_around_its_first_price() -> None:
    (first,) = quotes(1)
    assert first.ts_ns == 0
    assert first.source_ns == 0
    assert first.market == BTC.market
    assert abs(first.bid_ticks + first.ask_ticks - 2 * 640_000) <= 1


@pytest.mark.parametrize("intensity", [1, 4, 50])
def test_quotes_come_irregularly_and_as_often_as_configured(intensity: int) -> None:
    ticks = quotes(20_000, intensity_per_s=intensity)
    intervals = [after.ts_ns - before.ts_ns for before, after in pairwise(ticks)]
    mean_ns = fmean(intervals)
    assert mean_ns == pytest.approx(SECOND_NS / intensity, rel=0.03)
    assert max(intervals) <= 6 * SECOND_NS / intensity
    deviation = math.sqrt(fmean((one - mean_ns) ** 2 for one in intervals))
    assert deviation == pytest.approx(mean_ns, rel=0.1)


@pytest.mark.parametrize("volatility", ["0.2", "1.5"])
def test_realized_volatility_is_near_the_configured_one(volatility: str) -> None:
    ticks = quotes(TICKS, volatility_annual_pct=volatility)
    years = (ticks[-1].ts_ns - ticks[0].ts_ns) / SECOND_NS / YEAR_S
    realized = math.sqrt(math.fsum(one * one for one in returns(ticks)) / years)
    assert realized == pytest.approx(float(volatility), rel=0.2)


def test_volatility_comes_in_clusters_and_returns_do_not_repeat(
    long_run: list[QuoteTick],
) -> None:
    moves = returns(long_run)
    assert autocorrelation([one * one for one in moves], 1) > 0.05
    assert autocorrelation([one * one for one in moves], 2) > 0.03
    assert abs(autocorrelation(moves, 1)) < 0.06


def test_returns_have_fat_tails(long_run: list[QuoteTick]) -> None:
    moves = returns(long_run)
    assert fmean(one**4 for one in moves) / fmean(one**2 for one in moves) ** 2 > 3.8


def test_without_shocks_volatility_has_no_clusters() -> None:
    moves = returns(quotes(TICKS, shock_weight=0))
    assert abs(autocorrelation([one * one for one in moves], 1)) < 0.06


def test_the_spread_returns_to_its_mean_and_widens_with_volatility(
    long_run: list[QuoteTick],
) -> None:
    ticks = long_run
    spreads = [tick.ask_ticks - tick.bid_ticks for tick in ticks]
    assert fmean(spreads) == pytest.approx(640_000 * 0.3 / 10_000, rel=0.2)
    groups = [
        (fmean(spreads[at : at + BUCKET]), abs(ticks[at + BUCKET].bid_ticks - ticks[at].bid_ticks))
        for at in range(0, TICKS - BUCKET, BUCKET)
    ]
    groups.sort()
    calm, wild = groups[: len(groups) // 4], groups[-(len(groups) // 4) :]
    assert fmean(move for _, move in wild) > 1.3 * fmean(move for _, move in calm)


def test_sizes_vary_around_the_configured_depth() -> None:
    ticks = quotes(5_000, depth_quote=64_000)
    assert fmean(tick.bid_lots for tick in ticks) == pytest.approx(100_000, rel=0.1)
    assert len({tick.ask_lots for tick in ticks}) > 1000


def test_a_wild_market_near_zero_keeps_two_positive_sides() -> None:
    for tick in quotes(
        5_000, start_price="1.0", volatility_annual_pct=20, intensity_per_s="0.01", spread_bps=500
    ):
        assert 1 <= tick.bid_ticks < tick.ask_ticks


def test_markets_of_one_seed_differ() -> None:
    other = Instrument(ConnectorPair("paper", "ETH-USDT"), Decimal("0.1"), Decimal("0.00001"))
    source = SyntheticSource(instrument=other, config=SyntheticConfig(), seed=1)
    stamps = [tick.ts_ns for tick in islice(source.ticks(0), 10)]
    assert stamps != [tick.ts_ns for tick in quotes(10)]


def two_venues(**settings: Any) -> tuple[list[QuoteTick], list[QuoteTick]]:
    """Return quotes of one pair on two venues that share seed and settings."""
    config = SyntheticConfig(seed=5, **settings)
    first, second = (
        SyntheticSource(
            instrument=Instrument(
                ConnectorPair(name, "BTC-USDT"), Decimal("0.1"), Decimal("0.00001")
            ),
            config=config,
            seed=5,
        )
        for name in ("venue_a", "venue_b")
    )
    return list(islice(first.ticks(0), 8_000)), list(islice(second.ticks(0), 8_000))


def test_venues_with_a_basis_follow_one_price_and_stray_from_it() -> None:
    first, second = two_venues(basis_bps=5)
    assert [tick.ts_ns for tick in first] == [tick.ts_ns for tick in second]
    gaps = [
        (a.bid_ticks + a.ask_ticks) / (b.bid_ticks + b.ask_ticks) - 1
        for a, b in zip(first, second, strict=True)
    ]
    deviation = math.sqrt(fmean(gap * gap for gap in gaps))
    assert deviation == pytest.approx(math.sqrt(2) * 0.0005, rel=0.15)
    assert abs(fmean(gaps)) < 0.0001
    assert autocorrelation(gaps, 4) > 0.5
    assert abs(autocorrelation(gaps, 400)) < 0.15
    assert [tick.bid_lots for tick in first] != [tick.bid_lots for tick in second]


def test_without_a_basis_venues_go_their_own_ways() -> None:
    first, second = two_venues()
    assert [tick.ts_ns for tick in first[1:]] != [tick.ts_ns for tick in second[1:]]


@pytest.mark.parametrize(
    "settings",
    [
        {"start_price": 0},
        {"basis_bps": -1},
        {"basis_bps": 1001},
        {"intensity_per_s": 0},
        {"volatility_annual_pct": 21},
        {"shock_weight": "0.2"},
        {"persistence": 1},
        {"spread_bps": 0},
        {"depth_quote": -1},
        {"seed": -1},
        {"speed": 1},
    ],
)
def test_settings_outside_their_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SyntheticConfig(**settings)
