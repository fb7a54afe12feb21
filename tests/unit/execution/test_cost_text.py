"""What a run assumes about costs, in one line, and when it assumes none at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter

from engine.execution.cost_settings import CommissionSettings, SlippageSettings
from engine.execution.cost_text import cost_banner, is_free

VENUES = {"sim": (Decimal("0.0002"), Decimal("0.0005")), "free": (Decimal(0), Decimal(0))}


def models(slippage: Any, commission: Any) -> tuple[SlippageSettings, CommissionSettings]:
    slips: TypeAdapter[SlippageSettings] = TypeAdapter(SlippageSettings)
    fees: TypeAdapter[CommissionSettings] = TypeAdapter(CommissionSettings)
    return slips.validate_python(slippage), fees.validate_python(commission)


@pytest.mark.parametrize(
    ("slippage", "commission", "text"),
    [
        ("none", "none", "costs: slippage none, commission none"),
        (
            {"kind": "fixed", "ticks": 1},
            {"kind": "per_share", "rate": "0.005", "min": 1},
            "costs: slippage fixed (ticks 1), commission per_share (rate 0.005, min 1)",
        ),
        (
            {"kind": "bps", "clamp": "bar"},
            {"kind": "composite", "models": ["per_trade", {"kind": "percent", "rate": "0.10"}]},
            (
                "costs: slippage bps (clamp bar, bps 5), commission composite "
                "(models [per_trade flat 1] [percent rate 0.1])"
            ),
        ),
        (
            "none",
            "maker_taker",
            "costs: slippage none, commission maker_taker (sim 0.0002/0.0005, free 0/0)",
        ),
        (
            "none",
            {"kind": "maker_taker", "maker": "-0.0001", "taker": "0.0004"},
            "costs: slippage none, commission maker_taker (maker -0.0001, taker 0.0004)",
        ),
    ],
)
def test_the_banner(slippage: Any, commission: Any, text: str) -> None:
    assert cost_banner(*models(slippage, commission), venues=VENUES) == text


@pytest.mark.parametrize(
    ("slippage", "commission", "venues", "free"),
    [
        ("none", "none", None, True),
        ({"kind": "fixed", "ticks": 0}, {"kind": "percent", "rate": 0}, None, True),
        ({"kind": "spread", "ticks": 0}, {"kind": "per_trade", "flat": 0}, None, True),
        ({"kind": "composite", "models": ["none", {"kind": "bps", "bps": 0}]}, "none", None, True),
        ("spread", "none", None, False),
        ({"kind": "fixed", "ticks": 1}, "none", None, False),
        ("none", "per_share", None, False),
        ("none", {"kind": "percent", "rate": 0, "min": 1}, None, False),
        ("none", "tiered", None, False),
        ("none", "maker_taker", None, False),
        ("none", "maker_taker", VENUES, False),
        ("none", "maker_taker", {"free": (Decimal(0), Decimal(0))}, True),
        ("none", {"kind": "maker_taker", "maker": 0, "taker": 0}, VENUES, True),
    ],
)
def test_free_is_zero_slippage_and_zero_commission_together(
    slippage: Any, commission: Any, venues: Any, free: bool
) -> None:
    assert is_free(*models(slippage, commission), venues=venues) is free
