"""The section ``broker``: short forms, exact rates, helpful refusals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.execution.commission import (
    CommissionModel,
    MakerTakerCommission,
    NoCommission,
    PercentCommission,
    PerTradeCommission,
)
from engine.execution.liquidity import Depth
from engine.execution.settings import (
    BrokerSettings,
    build_commission,
    build_simulated_broker,
    build_slippage,
)
from engine.execution.slippage import FixedSlippage, NoSlippage, RelativeSlippage, SlippageModel
from engine.flow.errors import ConfigurationError


@pytest.mark.parametrize(
    ("value", "model"),
    [
        ("none", NoSlippage()),
        ("fixed", FixedSlippage(0)),
        ({"kind": "fixed", "ticks": 2}, FixedSlippage(2)),
        ("bps", RelativeSlippage(500_000)),
        ({"kind": "bps", "bps": 2.5}, RelativeSlippage(250_000)),
        ({"kind": "percent", "rate": "0.0005"}, RelativeSlippage(500_000)),
    ],
)
def test_slippage_models(value: object, model: SlippageModel) -> None:
    settings = BrokerSettings.model_validate({"slippage_model": value})
    assert build_slippage(settings.slippage_model) == model


@pytest.mark.parametrize(
    ("value", "model"),
    [
        ("none", NoCommission()),
        ("percent", PercentCommission(1_000_000)),
        (
            {"kind": "percent", "rate": 0.002, "min": 1, "max": "20"},
            PercentCommission(2_000_000, 10**8, 20 * 10**8),
        ),
        ("per_trade", PerTradeCommission(10**8)),
        ("maker_taker", MakerTakerCommission()),
        (
            {"kind": "maker_taker", "maker": "-0.0001", "taker": 0.0005},
            MakerTakerCommission(-100_000, 500_000),
        ),
    ],
)
def test_commission_models(value: object, model: CommissionModel) -> None:
    settings = BrokerSettings.model_validate({"commission_model": value})
    assert build_commission(settings.commission_model) == model


@pytest.mark.parametrize(
    "values",
    [
        {"slipage_model": "none"},
        {"slippage_model": "lots"},
        {"slippage_model": {"kind": "fixed", "ticks": -1}},
        {"slippage_model": {"kind": "percent", "rate": "0.0000000001"}},
        {"slippage_model": {"kind": "bps", "bps": "0.000000001"}},
        {"slippage_model": {"kind": "percent", "rate": "NaN"}},
        {"commission_model": {"kind": "percent", "rate": 1}},
        {"commission_model": {"kind": "percent", "rate_pct": 100}},
        {"commission_model": {"kind": "maker_taker", "maker": "-1"}},
        {"extra_ticks": 0},
        {"max_fill_lots": 0},
        {"latency_ms": -1},
        {"depth": "deep"},
    ],
)
def test_bad_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BrokerSettings.model_validate(values)


def test_an_amount_finer_than_an_atom_is_refused() -> None:
    settings = BrokerSettings.model_validate(
        {"commission_model": {"kind": "per_trade", "flat": "0.005"}}
    )
    with pytest.raises(ConfigurationError, match=r"commission_model\.flat: 0\.005"):
        build_commission(settings.commission_model, money_precision=2)


def test_defaults_build_a_broker_that_fills_at_the_quote() -> None:
    settings = BrokerSettings()
    assert (settings.depth, settings.latency_ms) == (Depth.INFINITE, 0)
    commission = build_commission(settings.commission_model)
    assert (
        build_simulated_broker(settings, instruments={}, commission=commission).open_orders() == ()
    )
    assert settings.commission_model.kind == "maker_taker"
    assert BrokerSettings.model_validate({"latency_ms": 5}).latency_ms == 5
    assert Decimal(settings.extra_ticks) == 1
