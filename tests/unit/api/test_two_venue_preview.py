"""What the form says of executors on two venues, and of what both legs need together."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.api.executor_forms import check_create
from engine.api.executor_views import executor_detail
from engine.model.instruments import ConnectorPair
from engine.testing.small_session import MARKET, OTHER, SmallSession, small_plan

FAR = ConnectorPair("far", "AAA-USDT")
ARBITRAGE = {
    "buying_market": str(MARKET),
    "selling_market": str(FAR),
    "order_amount": "1",
    "min_profitability": "1%",
}


@pytest.fixture
def session() -> SmallSession:
    session = SmallSession(small_plan(markets=(MARKET, OTHER, FAR)))
    session.begin()
    session.quote(1, "99.99", "100.00", MARKET)
    session.quote(1, "99.99", "100.01", OTHER)
    session.quote(1, "101.00", "101.01", FAR)
    return session


def lines(session: SmallSession, type_name: str, fields: dict[str, str]) -> dict[str, str]:
    return dict(check_create(session.published(), type_name, fields).preview)


def test_both_legs_are_needed_together(session: SmallSession) -> None:
    published = session.published()
    fees = [published.markets[market].instrument.taker_ppb for market in (MARKET, FAR)]
    need = 100 + 101 + (100 * Decimal(fees[0]) + 101 * Decimal(fees[1])) / 10**9
    told = lines(session, "arbitrage_executor", ARBITRAGE)
    assert told["needs"].startswith(f"{need:,.2f} of ")
    assert "⚠ balance" not in told
    much = lines(session, "arbitrage_executor", ARBITRAGE | {"order_amount": "10000"})
    assert "short: it would end at once" in much["⚠ balance"]


def test_a_maker_pays_the_makers_fee(session: SmallSession) -> None:
    fields = ARBITRAGE | {
        "maker_side": "BUY",
        "min_profitability": "0",
        "target_profitability": "1%",
        "max_profitability": "2%",
    }
    published = session.published()
    maker, taker = (published.markets[market].instrument for market in (MARKET, FAR))
    cost = Decimal(maker.maker_ppb + taker.taker_ppb) / 10**9
    told = lines(session, "xemm_executor", fields)
    assert told["now"] == f"{(Decimal('0.01') - cost) * 100:+.3f} % after fees"
    price = 101 / (1 + Decimal("0.01") + cost)
    assert told["maker"] == f"BUY at {price.quantize(Decimal('0.01'), rounding='ROUND_DOWN')}"


def test_the_detail_of_an_arbitrage_has_the_line_at_which_it_pays(session: SmallSession) -> None:
    config = ARBITRAGE | {"min_profitability": "0.05"}
    result = session.act("create", executor_type="arbitrage_executor", config=config)
    executor_id = str(result.executor_id)
    published = session.published()
    detail = executor_detail(published.executors[executor_id], published)
    (line,) = [row for row in detail.barriers if row.kind == "arbitrage"]
    assert line.price is not None
    assert line.price < 101 / Decimal("1.05")
    assert line.note == f"buys here or below to sell at {FAR}"
