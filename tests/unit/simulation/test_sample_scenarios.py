"""The sample scenarios end as their comments say: one for each type of executor."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from engine.api import simulate_file
from tui.paths import asset_dir

SCENARIOS = Path(str(asset_dir("sample_configs"))) / "scenarios"


@pytest.mark.parametrize(
    ("name", "close_type", "net_pnl", "orders"),
    [
        ("position", "TAKE_PROFIT", "2.5972", 2),
        ("progressive", "TRAILING_STOP", "2", 3),
        ("dca", "TAKE_PROFIT", "1.5035", 3),
        ("grid", None, "-10.8707748", 11),
        ("twap", "COMPLETED", "0", 13),
        ("order", "POSITION_HOLD", "0", 2),
        ("arbitrage", "COMPLETED", "158.5", 2),
        ("xemm", "COMPLETED", "99.119", 3),
    ],
)
def test_a_sample_ends_as_it_says(
    name: str, close_type: str | None, net_pnl: str, orders: int
) -> None:
    report = simulate_file(SCENARIOS / f"{name}.yaml")
    (info,) = report["executors"]
    assert info["type"] == f"{name}_executor"
    assert info["close_type"] == close_type
    assert Decimal(info["net_pnl_quote"]) == Decimal(net_pnl)
    assert len(report["orders"]) == orders
    assert report["timeline"][0]["text"].startswith(("running", "grid of"))


def test_the_fills_of_a_chaser_are_held_at_their_average() -> None:
    (position,) = simulate_file(SCENARIOS / "order.yaml")["positions"]
    assert Decimal(position["breakeven_price"]) == 104
    assert Decimal(position["amount"]) == 1


def test_a_twap_spends_its_total_in_equal_parts() -> None:
    report = simulate_file(SCENARIOS / "twap.yaml")
    spent = [Decimal(order["filled_quote"]) for order in report["orders"]]
    assert all(abs(part - 100) < Decimal("0.11") for part in spent)
    assert abs(sum(spent, Decimal(0)) - 1300) < Decimal("0.11")
