"""What two-venue executors pay besides fees, and what their legs share."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import pytest

from engine.executors.arbitrage_executor import ArbitrageExecutor
from engine.executors.status import CloseType
from engine.executors.xemm_executor import XEMMExecutor
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import OrderRequest
from engine.model.quotes import QuoteTick
from engine.testing.executor_bench import bench_instrument
from engine.testing.scripted_venue import ScriptedVenue
from engine.testing.type_bench import TypeBench

ALPHA, BETA = ConnectorPair("alpha", "BTC-USDT"), ConnectorPair("beta", "BTC-USDT")
ARBITRAGE = {
    "buying_market": str(ALPHA),
    "selling_market": str(BETA),
    "order_amount": "5",
    "min_profitability": "0.5",
}


def venue(market: ConnectorPair) -> Instrument:
    return bench_instrument(market=market, taker_ppb=1_000_000)


class GasVenue(ScriptedVenue):
    """Alpha charges 0.02 GAS for an order; ``known`` is the price of one BTC in GAS."""

    known: ClassVar[Fraction | None] = None

    def gas(self, market: ConnectorPair) -> tuple[str, Decimal] | None:
        return ("GAS", Decimal("0.02")) if market == ALPHA else None

    def rate(self, source: str, target: str) -> Fraction | None:
        return self.known if (source, target) == ("BTC", "GAS") else None


def bench(venue_type: type[ScriptedVenue], **fields: Any) -> tuple[Any, ArbitrageExecutor]:
    desk = TypeBench(
        ArbitrageExecutor,
        "arbitrage_executor",
        ARBITRAGE,
        venue(ALPHA),
        venue(BETA),
        venue_type=venue_type,
    )
    desk.price(19_999, 20_000, market=0)
    desk.price(20_300, 20_400, market=1)
    return desk, desk.create(**fields)


def test_gas_counts_in_base_at_the_price_of_the_configuration() -> None:
    _, executor = bench(GasVenue, gas_conversion_price="4")
    # 0.02 GAS at 4 GAS for one BTC are 0.005 BTC of 5, and the other venue takes 0.1 %.
    assert executor.cost == Fraction("0.001") + Fraction("0.001")
    assert executor.profitability == Fraction("0.013")


def test_gas_without_a_price_uses_the_rate_source_and_waits_for_it() -> None:
    GasVenue.known = None
    desk, executor = bench(GasVenue)
    assert executor.cost is None
    assert executor.executor_info.stale_price
    assert executor.executor_info.custom_info["tx_cost_pct"] is None
    GasVenue.known = Fraction(2)
    desk.advance(1)
    assert executor.cost == Fraction("0.002") + Fraction("0.001")
    assert not executor.executor_info.stale_price


def test_where_it_pays_is_a_line_of_the_buying_market() -> None:
    desk, executor = bench(ScriptedVenue, min_profitability="0.02")
    quotes: dict[ConnectorPair, QuoteTick] = desk.venue.quotes
    (line,) = executor.snapshot().barriers_at(19_999, quotes.get)
    # 2030 sold there pays at a price below 2030 / (1 + 0.02 + 0.002), found again on the grid.
    assert (line.kind, line.price) == ("arbitrage", Decimal("1986.3"))
    assert line.distance_pct == Decimal("1986.3") / 2000 - 1
    desk.price(20_400, 20_500, market=1)
    assert executor.snapshot().barriers_at(None, quotes.get)[0].price == Decimal("1996.0")
    desk.price(20_440, 20_500, market=1)
    assert not executor.is_done
    desk.price(20_441, 20_500, market=1)
    assert executor.close_type is CloseType.COMPLETED
    assert executor.snapshot().barriers_at(None, quotes.get) == ()
    assert executor.snapshot().barriers_at(None, dict[ConnectorPair, QuoteTick]().get) == ()


class PoorVenue(ScriptedVenue):
    """Has the money for one leg, not for both."""

    def first_shortage(self, candidates: Sequence[tuple[OrderRequest, int]]) -> int | None:
        return 1 if len(candidates) > 1 else None


@pytest.mark.parametrize(
    ("kind", "fields", "first", "second"),
    [
        (
            "arbitrage_executor",
            {"min_profitability": "0.5"},
            "SELL 5.000 beta:BTC-USDT at 2030.0",
            "BUY 5.000 alpha:BTC-USDT at 2000.0",
        ),
        (
            "xemm_executor",
            {
                "maker_side": "BUY",
                "min_profitability": "0",
                "target_profitability": "0.01",
                "max_profitability": "0.02",
            },
            "BUY 5.000 alpha:BTC-USDT at 2007.9",
            "SELL 5.000 beta:BTC-USDT at 2030.0",
        ),
    ],
)
def test_the_second_leg_must_fit_beside_the_first(
    kind: str, fields: dict[str, str], first: str, second: str
) -> None:
    desk = TypeBench(
        ArbitrageExecutor if kind == "arbitrage_executor" else XEMMExecutor,
        kind,
        {name: ARBITRAGE[name] for name in ("buying_market", "selling_market", "order_amount")},
        venue(ALPHA),
        venue(BETA),
        venue_type=PoorVenue,
    )
    desk.price(19_999, 20_000, market=0)
    desk.price(20_300, 20_400, market=1)
    executor = desk.create(**fields)
    assert executor.close_type is CloseType.INSUFFICIENT_BALANCE
    reason = f"the balance does not cover {second} beside {first}"
    assert executor.executor_info.last_error == reason
    assert desk.orders() == []


def test_other_quote_assets_need_a_rate_source() -> None:
    euro = bench_instrument(market=ConnectorPair("beta", "BTC-EUR"))
    desk = TypeBench(ArbitrageExecutor, "arbitrage_executor", ARBITRAGE, venue(ALPHA), euro)
    result = desk.ask_for(selling_market="beta:BTC-EUR")
    assert not result.ok
    assert "this session has no rate from EUR to USDT" in result.message
