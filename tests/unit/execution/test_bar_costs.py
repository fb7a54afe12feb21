"""Slippage and commission in backtests: COST-1 to COST-6, and their settings."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from math import sqrt
from statistics import stdev
from typing import Any

import pytest
from pydantic import ValidationError

from engine.execution.bar_order import LIMIT, MARKET, STOP, BarOrder
from engine.execution.bar_settings import BarBrokerSettings
from engine.execution.commission import (
    ChargedOrder,
    CommissionModel,
    CompositeCommission,
    MakerTakerCommission,
    MakerTakerTieredCommission,
    NoCommission,
    PercentCommission,
    PerShareCommission,
    PerTradeCommission,
    TieredCommission,
)
from engine.execution.cost_settings import build_commission, build_slippage
from engine.execution.slippage import (
    AmountSlippage,
    CompositeSlippage,
    FixedSlippage,
    NoSlippage,
    RelativeSlippage,
    SlippageModel,
    SpreadSlippage,
    SqrtImpactSlippage,
    TakerFacts,
    VariableSlippage,
    VolatilitySlippage,
    VolumeShareSlippage,
    ppb_of,
)
from engine.model.draws import uniform
from engine.model.instruments import ConnectorPair, Instrument
from engine.testing.bar_run import DAY_NS, BarRun, Script, bar_columns

FLAT = (100, 100, 100, 100)
UP = (103, 106, 101, 105)
SHARES = Instrument(ConnectorPair("backtest", "X"), tick=Decimal("0.01"), lot=Decimal(1))
PENCE = 10**6


def facts(
    *,
    side: int = 1,
    lots: int = 10,
    volume: int = -1,
    consumed: int = 0,
    closes: Sequence[int] = (),
    volumes: Sequence[int] = (),
    spread: int | None = None,
) -> TakerFacts:
    one = TakerFacts(SHARES, seed=3, closes=closes, volumes=volumes)
    one.side, one.lots, one.volume, one.consumed = side, lots, volume, consumed
    one.bar = max(len(closes), len(volumes))
    one.order_seq = 5
    if spread is not None:
        one.spread_ticks = spread
    return one


CLOSES = [10000, 10100, 9900, 10000, 10200]
RETURNS = [b / a - 1 for a, b in pairwise(CLOSES)]


@pytest.mark.parametrize(
    ("model", "given", "ticks"),
    [
        (NoSlippage(), facts(), 0),
        (FixedSlippage(3), facts(), 3),
        (AmountSlippage(Decimal("0.025")), facts(), 3),
        (AmountSlippage(Decimal("0.02")), facts(), 2),
        (AmountSlippage(Decimal("0.02")), None, 0),
        (RelativeSlippage(500_000), facts(), 5),
        (SpreadSlippage(5), facts(), 3),
        (SpreadSlippage(4), None, 2),
        (SpreadSlippage(None, Decimal("0.03")), facts(), 2),
        (SpreadSlippage(None, Decimal("0.03")), None, 0),
        (SpreadSlippage(), facts(spread=3), 2),
        (SpreadSlippage(), facts(), 0),
        (SpreadSlippage(), None, 0),
        (VolumeShareSlippage(), facts(volume=1000, lots=20), 1),
        (VolumeShareSlippage(limit_ppb=10**9, k=1.0), facts(volume=100, lots=10), 100),
        (VolumeShareSlippage(limit_ppb=10**9, k=1.0), facts(volume=100, consumed=10), 400),
        (VolumeShareSlippage(limit_ppb=10**8, k=1.0), facts(volume=-1), 100),
        (VolumeShareSlippage(limit_ppb=10**8, k=1.0), None, 100),
        (VolatilitySlippage(k=1.0), facts(), 100),
        (VolatilitySlippage(k=1.0), None, 100),
        (VolatilitySlippage(k=1.0), facts(closes=CLOSES[:2]), 100),
        (SqrtImpactSlippage(), facts(), 100),
        (SqrtImpactSlippage(), None, 100),
        (SqrtImpactSlippage(), facts(lots=25, volumes=[50, -1, 150]), 50),
        (SqrtImpactSlippage(n=2), facts(lots=25, volumes=[50, -1, -1]), 100),
        (VariableSlippage(random=0.0), facts(lots=0), 6),
        (VariableSlippage(random=0.0), None, 6),
    ],
)
def test_worsening(model: SlippageModel, given: TakerFacts | None, ticks: int) -> None:
    assert model.worsening_ticks(10_000, given) == ticks


def test_volatility_is_the_sample_deviation_of_the_returns_before_the_bar() -> None:
    given = facts(closes=CLOSES)
    assert given.volatility(20, 0.01) == pytest.approx(stdev(RETURNS), rel=1e-12)
    assert given.volatility(3, 0.01) == pytest.approx(stdev(RETURNS[1:]), rel=1e-12)
    sigma = given.volatility(20, 0.01)
    model = VolatilitySlippage(k=0.5)
    assert model.impact_ppb(given) == round(0.5 * sigma * 1e9)
    model_sqrt = SqrtImpactSlippage(y=2.0)
    given = facts(closes=CLOSES, volumes=[40] * 5, lots=10)
    assert model_sqrt.impact_ppb(given) == round(2.0 * sigma * sqrt(10 / 40) * 1e9)
    # A close of zero has no return.
    assert facts(closes=[0, 5, 10, 20]).volatility(9, 0.01) == 0.0


def test_variable_draws_by_order_and_bar() -> None:
    model = VariableSlippage()
    given = facts(closes=CLOSES)
    r = (2 * uniform(3, 2, 5, 5) - 1) * 0.2
    sigma = given.volatility(20, 0.01)
    expected = 0.0005 * (1 + 10.0 * 0.01 / 10_000) * (1 + sigma * 0.5) * (1 + r)
    assert model.impact_ppb(given) == pytest.approx(expected * 1e9, abs=1)


def test_unit_8_impacts_are_rounded_half_even_to_ppb() -> None:
    assert ppb_of(2.5e-9) == 2
    assert ppb_of(3.5e-9) == 4
    assert ppb_of(-1.0) == 0


@pytest.mark.parametrize(("side", "worse"), [(1, 203), (-1, 200)])
def test_composite_applies_left_to_right_without_rounding_between(side: int, worse: int) -> None:
    model = CompositeSlippage((RelativeSlippage(10**7), FixedSlippage(1), RelativeSlippage(10**7)))
    # Buy: (10000 * 1.01 + 1) * 1.01 = 10202.01; sell: (10000 * 0.99 - 1) * 0.99 = 9800.01.
    given = facts(side=side)
    assert model.worsening_ticks(10_000, given) == worse
    assert not model.depends_on_size
    assert model.volume_limit_ppb is None
    nested = CompositeSlippage((NoSlippage(), VolumeShareSlippage(limit_ppb=7), model))
    assert nested.depends_on_size
    assert nested.volume_limit_ppb == 7


def test_cost_3_the_quadratic_case() -> None:
    columns = bar_columns([("3.0", "3.0", "3.0", "3.0")] * 4, tick="0.0000001", volumes=[200] * 4)
    script: Script = {0: [BarOrder(0, 1, MARKET, 100)]}
    played = BarRun(columns, script=script, slippage_model="volume_share").run()
    assert [fill.lots for fill in played.fills] == [5, 5, 5]
    assert [price for _, price in played.prices()] == [Decimal("3.0001875")] * 3


def test_cost_1_never_favourable_never_beyond_a_limit() -> None:
    script: Script = {
        0: [BarOrder(0, 1, LIMIT, 1, limit=10400), BarOrder(0, -1, LIMIT, 1, limit=10200)]
    }
    played = BarRun(
        bar_columns([FLAT, UP]), script=script, slippage_model={"kind": "fixed", "ticks": 500}
    ).run()
    assert [(fill.side, fill.ticks) for fill in played.fills] == [(1, 10400), (-1, 10200)]


@pytest.mark.parametrize(("clamp", "buy", "sell"), [("none", 11100, 9500), ("bar", 10600, 10100)])
def test_cost_1_clamp(clamp: str, buy: int, sell: int) -> None:
    slip = {"kind": "fixed", "ticks": 800, "clamp": clamp}
    script: Script = {0: [BarOrder(0, 1, MARKET, 1), BarOrder(0, -1, MARKET, 1)]}
    played = BarRun(bar_columns([FLAT, UP]), script=script, slippage_model=slip).run()
    assert [fill.ticks for fill in played.fills] == [buy, sell]
    script = {0: [BarOrder(0, 1, STOP, 1, stop=10500)]}
    played = BarRun(bar_columns([FLAT, UP]), script=script, slippage_model=slip).run()
    assert [fill.ticks for fill in played.fills] == [10600 if clamp == "bar" else 11300]


def test_cost_2_a_price_never_falls_to_zero() -> None:
    script: Script = {0: [BarOrder(0, -1, MARKET, 1)]}
    slip = {"kind": "fixed", "ticks": 20_000}
    played = BarRun(bar_columns([FLAT, UP]), script=script, slippage_model=slip).run()
    assert played.fills[0].ticks == 1


def test_the_spread_column_is_used() -> None:
    columns = bar_columns([FLAT, UP], spread=[2, 6])
    script: Script = {0: [BarOrder(0, 1, MARKET, 1)]}
    assert BarRun(columns, script=script, slippage_model="spread").run().fills[0].ticks == 10303


def charges(
    model: CommissionModel, fills: Sequence[tuple[int, int]], *, is_maker: bool = False
) -> list[int]:
    """Return the fees of fills of (lots, notional in atoms)."""
    order = ChargedOrder()
    fees = []
    for lots, notional in fills:
        fee = model.fee_atoms(SHARES, order, notional, is_maker=is_maker, lots=lots)
        fees.append(fee)
        order = ChargedOrder(
            order.fills + 1,
            order.notional_atoms + notional,
            order.fee_atoms + fee,
            order.filled_lots + lots,
        )
    return fees


TIERS = ((0, 5_000_000), (10_000 * 10**8, 3_000_000), (100_000 * 10**8, 1_000_000))


@pytest.mark.parametrize(
    ("model", "fills", "fees"),
    [
        # COST-4: 100+50+100 shares at 0.005 with a minimum of 1.00.
        (PerShareCommission(5_000_000, 10**8), [(100, 0), (50, 0), (100, 0)], ["1", "0", "0.25"]),
        (PerShareCommission(5_000_000, 0, 10**8), [(100, 0), (200, 0)], ["0.5", "0.5"]),
        (TieredCommission(TIERS, 10**8), [(1, 100 * 10**8)], ["1"]),
        (TieredCommission(TIERS), [(1, 9_999 * 10**8)], ["49.995"]),
        (TieredCommission(TIERS), [(1, 10_000 * 10**8)], ["30"]),
        (TieredCommission(TIERS), [(1, 100_000 * 10**8)], ["100"]),
        # The cheaper tier gives nothing back, and charges again only above what was paid.
        (
            TieredCommission(TIERS),
            [(1, 9_999 * 10**8), (1, 10**8), (1, 10_000 * 10**8)],
            ["49.995", "0", "10.005"],
        ),
        (
            CompositeCommission((PerTradeCommission(10**8), PercentCommission(1_000_000))),
            [(1, 1000 * 10**8), (1, 1000 * 10**8)],
            ["2", "1"],
        ),
        (
            CompositeCommission(
                (PerShareCommission(5_000_000, 10**8), MakerTakerCommission(0, 10**6))
            ),
            [(100, 10**11), (50, 10**11), (100, 10**11)],
            ["2", "1", "1.25"],
        ),
    ],
)
def test_cost_4_charges(
    model: CommissionModel, fills: list[tuple[int, int]], fees: list[str]
) -> None:
    assert charges(model, fills) == [int(Decimal(fee) * 10**8) for fee in fees]


def test_per_share_counts_quantity_and_not_lots() -> None:
    coarse = Instrument(ConnectorPair("backtest", "X"), tick=Decimal("0.01"), lot=Decimal("0.001"))
    model = PerShareCommission(5_000_000)
    assert model.estimate_atoms(coarse, 0, is_maker=False, lots=1000) == 500_000


def test_rates_by_the_notional_of_thirty_days() -> None:
    model = MakerTakerTieredCommission([(0, 2, 5), (1000, 1, 3)])
    million = 10**9
    day = DAY_NS

    def fee(ts: int, *, is_maker: bool = False) -> int:
        model.start_day(ts)
        return model.fee_atoms(SHARES, ChargedOrder(), million, is_maker=is_maker)

    assert (fee(0), fee(0, is_maker=True)) == (5, 2)
    model.record(1000, 0)
    # What is traded today counts from tomorrow on, for thirty days.
    assert fee(day - 1) == 5
    assert (fee(day), fee(day, is_maker=True)) == (3, 1)
    memory = model.memory()
    assert fee(30 * day) == 3
    assert fee(31 * day) == 5
    model.restore(memory)
    assert fee(2 * day) == 3
    assert not model.stateless
    both = CompositeCommission((NoCommission(), model))
    assert not both.stateless
    assert both.parts == (NoCommission(), model)
    both.start_day(31 * day)
    both.record(1, 31 * day)
    assert fee(31 * day) == 5


def test_rates_by_notional_in_a_run() -> None:
    fee = {"kind": "maker_taker_tiered", "tiers": [[0, 0, "0.01"], [1000, 0, "0.001"]]}
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 10)],
        1: [BarOrder(0, -1, STOP, 10, stop=9900), BarOrder(0, 1, LIMIT, 10, limit=9950)],
    }
    bars = [FLAT, FLAT, (100, 101, 98, 99)]
    played = BarRun(bar_columns(bars), script=script, commission_model=fee).run()
    # The trials of the other path have left no notional behind.
    assert [played.money(fill.fee_atoms) for fill in played.fills] == [
        Decimal(10),
        Decimal(0),
        Decimal("0.99"),
    ]


def test_cost_6_fees_at_entry_and_exit() -> None:
    script: Script = {0: [BarOrder(0, 1, MARKET, 10)], 1: [BarOrder(0, -1, MARKET, 10)]}
    fee = {"kind": "percent", "rate": "0.001"}
    played = BarRun(bar_columns([FLAT] * 3), script=script, commission_model=fee).run()
    assert [played.money(fill.fee_atoms) for fill in played.fills] == [1, 1]


@pytest.mark.parametrize(
    ("value", "model"),
    [
        ("spread", SpreadSlippage()),
        ({"kind": "spread", "ticks": 3}, SpreadSlippage(3)),
        ({"kind": "spread", "spread": "0.02"}, SpreadSlippage(None, Decimal("0.02"))),
        ({"kind": "fixed", "a": "0.02"}, AmountSlippage(Decimal("0.02"))),
        ({"kind": "percent", "rate_bps": 5}, RelativeSlippage(500_000)),
        ({"kind": "percent", "rate_pct": "0.05"}, RelativeSlippage(500_000)),
        ("volume_share", VolumeShareSlippage()),
        ({"kind": "volume_share", "limit_pct": 10, "k": 1}, VolumeShareSlippage(10**8, 1.0)),
        ("volatility", VolatilitySlippage()),
        ("sqrt_impact", SqrtImpactSlippage()),
        ({"kind": "sqrt_impact", "Y": 0.5}, SqrtImpactSlippage(y=0.5)),
        ("variable", VariableSlippage()),
        ({"kind": "variable", "base_bps": 1}, VariableSlippage(base=0.0001)),
        (
            {"kind": "composite", "models": ["none", {"kind": "bps", "bps": 1}]},
            CompositeSlippage((NoSlippage(), RelativeSlippage(100_000))),
        ),
    ],
)
def test_slippage_settings(value: object, model: SlippageModel) -> None:
    settings = BarBrokerSettings.model_validate({"slippage_model": value})
    assert build_slippage(settings.slippage_model) == model


@pytest.mark.parametrize(
    ("value", "model"),
    [
        ("per_share", PerShareCommission(5_000_000, 10**8)),
        (
            {"kind": "per_share", "rate": 1, "min": 0, "max": 5},
            PerShareCommission(10**9, 0, 5 * 10**8),
        ),
        ("tiered", TieredCommission(TIERS, 10**8)),
        ({"kind": "percent", "rate_pct": "0.1"}, PercentCommission(1_000_000)),
        ({"kind": "per_trade", "amount": 2}, PerTradeCommission(2 * 10**8)),
        ("maker_taker", MakerTakerCommission(200_000, 500_000)),
        ({"kind": "maker_taker", "maker_bps": -1}, MakerTakerCommission(-100_000, 500_000)),
        (
            {"kind": "composite", "models": ["none", "maker_taker"]},
            CompositeCommission((NoCommission(), MakerTakerCommission(200_000, 500_000))),
        ),
    ],
)
def test_commission_settings(value: object, model: CommissionModel) -> None:
    settings = BarBrokerSettings.model_validate({"commission_model": value})
    built = build_commission(
        settings.commission_model, default_maker_ppb=200_000, default_taker_ppb=500_000
    )
    assert built == model


@pytest.mark.parametrize(
    "values",
    [
        {"slippage_model": {"kind": "percent", "rate": "0.001", "rate_bps": 1}},
        {"slippage_model": {"kind": "percent", "rate_ppm": 1}},
        {"slippage_model": {"kind": "percent", "rate_bps": "many"}},
        {"slippage_model": {"kind": "fixed", "ticks": 1, "amount": 1}},
        {"slippage_model": {"kind": "spread", "ticks": 1, "spread": 1}},
        {"slippage_model": {"kind": "composite", "models": []}},
        {"slippage_model": {"kind": "fixed", "clamp": "day"}},
        {"commission_model": {"kind": "tiered", "tiers": [[1, "0.1"]]}},
        {"commission_model": {"kind": "tiered", "tiers": [[0, "0.1"], [0, "0.2"]]}},
        {"commission_model": {"kind": "maker_taker_tiered", "tiers": []}},
        {"fill_timing": "now"},
        {"limit_fill": {"kind": "probability", "p": 2}},
        {"limit_fill": "maybe"},
        {"max_participation": 0},
        {"max_participation": 2},
        {"path": "random"},
        {"latency_ms": -1},
        {"market_basis": "last"},
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BarBrokerSettings.model_validate(values)


def test_short_forms_and_defaults() -> None:
    settings = BarBrokerSettings.model_validate(
        {"limit_fill": "through", "max_participation": None, "slippage_model": "fixed"}
    )
    assert settings.limit_fill.kind == "through"
    assert settings.max_participation is None
    defaults = BarBrokerSettings()
    assert defaults.model_dump(mode="json") == {
        "fill_timing": "next_open",
        "path": "pessimistic",
        "limit_fill": {"kind": "touch"},
        "market_basis": "open",
        "max_participation": None,
        "unknown_volume": "unlimited",
        "insufficient_funds": "reject",
        "latency_ms": 0,
        "trail_update": "path",
        "price_grid": "lenient",
        "stop_fill": "path",
        "slippage_model": {"clamp": "none", "kind": "none"},
        "commission_model": {"kind": "none"},
    }
    half = BarBrokerSettings.model_validate({"max_participation_bps": 5000})
    assert half.max_participation == Decimal("0.5")
    assert BarBrokerSettings.model_validate({"max_participation_pct": None}) == defaults
