"""Quote execution of the simulated broker: TICK-1 to TICK-5, COST-1, ORD-3."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.execution.commission import NoCommission, PercentCommission
from engine.execution.liquidity import Depth
from engine.execution.reasons import ReasonCode
from engine.execution.reports import (
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OrderReport,
)
from engine.execution.simulated_broker import SimulatedBroker
from engine.execution.slippage import FixedSlippage, NoSlippage
from engine.flow.errors import ExistsError
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, OrderRequest, OrderType, PositionAction, TradeType
from engine.model.quotes import QuoteTick

MARKET = ConnectorPair("paper", "ACME-USD")
OTHER = ConnectorPair("paper", "BETA-USD")
MARKET_BUY = OrderRequest(
    client_order_id="O1",
    market=MARKET,
    side=TradeType.BUY,
    order_type=OrderType.MARKET,
    lots=10,
    limit_ticks=None,
    position_action=PositionAction.OPEN,
    leverage=1,
    owner_id="X1",
    role="entry",
)
MARKET_SELL = replace(MARKET_BUY, client_order_id="S1", side=TradeType.SELL)


def limit(ticks: int, *, order_id: str = "L1", **changes: Any) -> OrderRequest:
    return replace(
        MARKET_BUY,
        client_order_id=order_id,
        order_type=changes.pop("order_type", OrderType.LIMIT),
        limit_ticks=ticks,
        **changes,
    )


def broker(**changes: Any) -> SimulatedBroker:
    arguments: dict[str, Any] = {
        "instruments": {
            market: Instrument(market, tick=Decimal("0.01"), lot=Decimal(1))
            for market in (MARKET, OTHER)
        },
        "slippage": NoSlippage(),
        "commission": NoCommission(),
    }
    return SimulatedBroker(**(arguments | changes))


def quote(
    bid: int, ask: int, *, ts_ns: int = 1, lots: int = 5, market: ConnectorPair = MARKET
) -> QuoteTick:
    return QuoteTick(market, ts_ns, bid, ask, lots, lots)


def fills(reports: Iterable[OrderReport]) -> list[Fill]:
    return [report.fill for report in reports if isinstance(report, OrderFilled)]


def prices(reports: Iterable[OrderReport]) -> list[tuple[str, int, int, bool]]:
    return [(fill.client_order_id, fill.lots, fill.ticks, fill.is_maker) for fill in fills(reports)]


@pytest.mark.parametrize(("request_", "ticks"), [(MARKET_BUY, 101), (MARKET_SELL, 99)])
def test_market_orders_take_the_quote_at_once_and_whole(request_: OrderRequest, ticks: int) -> None:
    venue = broker()
    venue.on_quote(quote(99, 101, ts_ns=7))
    accepted, filled = venue.submit(request_, now_ns=7)
    order_id = request_.client_order_id
    assert accepted == OrderAccepted(order_id, 7)
    assert isinstance(filled, OrderFilled)
    assert filled.fill == Fill(
        fill_id=f"{order_id}-F1",
        client_order_id=order_id,
        owner_id="X1",
        role="entry",
        market=MARKET,
        side=request_.side,
        lots=10,
        ticks=ticks,
        notional_atoms=ticks * 10 * 10**6,
        fee_atoms=0,
        is_maker=False,
        ts_ns=7,
    )
    assert (filled.client_order_id, filled.ts_ns) == (order_id, 7)
    assert venue.net_lots(MARKET) == 10 * request_.side.sign
    assert venue.open_orders() == ()


def test_a_market_order_without_a_quote_is_rejected() -> None:
    venue = broker()
    venue.on_quote(quote(99, 101, market=OTHER))
    (report,) = venue.submit(MARKET_BUY, now_ns=1)
    assert isinstance(report, OrderRejected)
    assert report.code is ReasonCode.NO_QUOTE
    assert "paper:ACME-USD has no quote yet" in report.text


def test_an_unknown_market_is_rejected() -> None:
    (report,) = broker().submit(replace(MARKET_BUY, market=ConnectorPair("x", "A-B")), now_ns=1)
    assert isinstance(report, OrderRejected)
    assert report.code is ReasonCode.UNKNOWN_SYMBOL


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (limit(101), 101),
        (limit(105), 101),
        (limit(99, side=TradeType.SELL), 99),
        (limit(90, side=TradeType.SELL), 99),
    ],
)
def test_a_marketable_limit_takes_the_opposite_quote(order: OrderRequest, expected: int) -> None:
    venue = broker()
    venue.on_quote(quote(99, 101))
    assert prices(venue.submit(order, now_ns=1)) == [("L1", 10, expected, False)]


@pytest.mark.parametrize(
    ("order", "near", "reached"),
    [
        (limit(100), quote(98, 101), quote(98, 100)),
        (limit(100), quote(98, 101), quote(90, 92)),
        (limit(100, side=TradeType.SELL), quote(99, 102), quote(100, 103)),
        (limit(100, side=TradeType.SELL), quote(99, 102), quote(107, 108)),
    ],
)
def test_a_resting_limit_fills_at_its_limit_as_maker(
    order: OrderRequest, near: QuoteTick, reached: QuoteTick
) -> None:
    venue = broker()
    venue.on_quote(quote(99, 101))
    assert venue.submit(order, now_ns=1) == [OrderAccepted("L1", 1)]
    assert list(venue.on_quote(near)) == []
    assert prices(venue.on_quote(reached)) == [("L1", 10, 100, True)]
    assert list(venue.on_quote(reached)) == []


def test_a_limit_may_wait_for_the_first_quote() -> None:
    venue = broker()
    assert venue.submit(limit(100), now_ns=0) == [OrderAccepted("L1", 0)]
    assert prices(venue.on_quote(quote(97, 99))) == [("L1", 10, 100, True)]


@pytest.mark.parametrize(
    ("ticks", "side"), [(101, TradeType.BUY), (102, TradeType.BUY), (99, TradeType.SELL)]
)
def test_post_only_that_would_take_is_rejected(ticks: int, side: TradeType) -> None:
    venue = broker()
    venue.on_quote(quote(99, 101))
    order = limit(ticks, side=side, order_type=OrderType.LIMIT_MAKER)
    (report,) = venue.submit(order, now_ns=1)
    assert isinstance(report, OrderRejected)
    assert report.code is ReasonCode.POST_ONLY_CROSSES
    assert "would take the quote at" in report.text


def test_post_only_that_rests_is_a_maker() -> None:
    venue = broker()
    venue.on_quote(quote(99, 101))
    venue.submit(limit(100, order_type=OrderType.LIMIT_MAKER), now_ns=1)
    assert prices(venue.on_quote(quote(98, 100))) == [("L1", 10, 100, True)]


def test_resting_orders_fill_by_price_then_arrival_buys_before_sells() -> None:
    venue = broker()
    venue.on_quote(quote(99, 101))
    for order_id, ticks, side in [
        ("low", 97, TradeType.BUY),
        ("high", 98, TradeType.BUY),
        ("high again", 98, TradeType.BUY),
        ("never", 90, TradeType.BUY),
        ("sell", 103, TradeType.SELL),
    ]:
        venue.submit(limit(ticks, order_id=order_id, side=side), now_ns=1)
    assert [item[0] for item in prices(venue.on_quote(quote(95, 97)))] == [
        "high",
        "high again",
        "low",
    ]
    assert [order.client_order_id for order in venue.open_orders()] == ["never", "sell"]


def test_quotes_of_another_market_fill_nothing() -> None:
    venue = broker()
    venue.submit(limit(100), now_ns=0)
    assert list(venue.on_quote(quote(1, 2, market=OTHER))) == []


@pytest.mark.parametrize(
    ("order", "ticks"),
    [(MARKET_BUY, 104), (MARKET_SELL, 96), (limit(102), 102), (limit(110), 104)],
)
def test_slippage_worsens_taker_fills_within_the_limit(order: OrderRequest, ticks: int) -> None:
    venue = broker(slippage=FixedSlippage(3))
    venue.on_quote(quote(99, 101))
    assert fills(venue.submit(order, now_ns=1))[0].ticks == ticks


def test_slippage_leaves_makers_alone_and_prices_positive() -> None:
    venue = broker(slippage=FixedSlippage(300))
    venue.on_quote(quote(99, 101))
    venue.submit(limit(100), now_ns=1)
    assert fills(venue.submit(MARKET_SELL, now_ns=1))[0].ticks == 1
    assert fills(venue.on_quote(quote(99, 100)))[0].ticks == 100


def test_fees_are_charged_on_the_cumulative_notional() -> None:
    venue = broker(commission=PercentCommission(rate_ppb=1, min_atoms=3), max_fill_lots=4)
    venue.on_quote(quote(99, 100))
    charged = [fill.fee_atoms for fill in fills(venue.submit(MARKET_BUY, now_ns=1))]
    for ts_ns in (2, 3):
        charged += [fill.fee_atoms for fill in fills(venue.on_quote(quote(99, 100, ts_ns=ts_ns)))]
    # 1e9 atoms of notional cost 1 atom; the minimum of 3 is charged once, at the first fill.
    assert charged == [3, 0, 0]


def test_max_fill_lots_spreads_an_order_over_quotes() -> None:
    venue = broker(max_fill_lots=4)
    venue.on_quote(quote(99, 101))
    assert prices(venue.submit(MARKET_BUY, now_ns=1)) == [("O1", 4, 101, False)]
    assert prices(venue.on_quote(quote(100, 102))) == [("O1", 4, 102, False)]
    last = fills(venue.on_quote(quote(100, 103)))
    assert [(fill.lots, fill.ticks, fill.fill_id) for fill in last] == [(2, 103, "O1-F3")]
    assert list(venue.on_quote(quote(100, 103))) == []


def test_what_a_bound_holds_back_of_a_limit_rests_once_the_quote_leaves() -> None:
    venue = broker(max_fill_lots=4)
    venue.on_quote(quote(99, 101))
    assert prices(venue.submit(limit(102), now_ns=1)) == [("L1", 4, 101, False)]
    assert list(venue.on_quote(quote(102, 104))) == []
    assert prices(venue.on_quote(quote(100, 101))) == [("L1", 4, 102, True)]
    assert prices(venue.on_quote(quote(100, 101))) == [("L1", 2, 102, True)]


def test_synthetic_depth_walks_one_step_for_each_displayed_size() -> None:
    venue = broker(depth=Depth.SYNTHETIC, extra_ticks=2)
    venue.on_quote(quote(99, 101, lots=4))
    # 4 at 101, 4 at 103, 2 at 105 are 1026 / 10 = 102.6, against the buyer 103.
    assert prices(venue.submit(MARKET_BUY, now_ns=1)) == [("O1", 10, 103, False)]
    # 4 at 99, 4 at 97, 2 at 95 are 974 / 10 = 97.4, against the seller 97.
    assert prices(venue.submit(MARKET_SELL, now_ns=1)) == [("S1", 10, 97, False)]


def test_displayed_size_is_consumed_until_the_next_quote() -> None:
    venue = broker(depth=Depth.SYNTHETIC)
    venue.on_quote(quote(99, 101, lots=10))
    first = venue.submit(MARKET_BUY, now_ns=1)
    second = venue.submit(replace(MARKET_BUY, client_order_id="O2"), now_ns=1)
    venue.on_quote(quote(99, 101, lots=10))
    third = venue.submit(replace(MARKET_BUY, client_order_id="O3"), now_ns=1)
    assert [fills(reports)[0].ticks for reports in (first, second, third)] == [101, 102, 101]


def test_synthetic_depth_stops_at_the_limit_and_the_rest_is_a_maker() -> None:
    venue = broker(depth=Depth.SYNTHETIC)
    venue.on_quote(quote(99, 101, lots=4))
    assert prices(venue.submit(limit(102), now_ns=1)) == [("L1", 8, 102, False)]
    late = limit(102, order_id="L2")
    assert prices(venue.submit(late, now_ns=1)) == []
    assert prices(venue.on_quote(quote(100, 102, lots=3))) == [
        ("L1", 2, 102, True),
        ("L2", 1, 102, True),
    ]
    assert prices(venue.on_quote(quote(100, 102, lots=30))) == [("L2", 9, 102, True)]


def test_makers_share_what_a_quote_displays() -> None:
    venue = broker(depth=Depth.SYNTHETIC)
    venue.on_quote(quote(99, 101))
    for order_id in ("A", "B", "C"):
        venue.submit(limit(100, order_id=order_id), now_ns=1)
    assert prices(venue.on_quote(quote(98, 100, lots=10))) == [("A", 10, 100, True)]


def test_a_feed_without_sizes_is_infinitely_deep() -> None:
    venue = broker(depth=Depth.SYNTHETIC)
    venue.on_quote(quote(99, 101, lots=0))
    assert prices(venue.submit(MARKET_BUY, now_ns=1)) == [("O1", 10, 101, False)]


def test_reduce_only_is_trimmed_to_the_position() -> None:
    venue = broker()
    venue.on_quote(quote(99, 101))
    venue.submit(replace(MARKET_BUY, lots=6), now_ns=1)
    reports = venue.submit(replace(MARKET_SELL, reduce_only=True), now_ns=1)
    assert prices(reports) == [("S1", 6, 99, False)]
    assert reports[-1] == OrderCancelled("S1", 1, ReasonCode.REDUCE_ONLY)
    assert venue.net_lots(MARKET) == 0


def test_reduce_only_that_outlives_its_position_is_cancelled_at_fill_time() -> None:
    venue = broker()
    venue.on_quote(quote(99, 101))
    venue.submit(MARKET_BUY, now_ns=1)
    venue.submit(limit(105, side=TradeType.SELL, reduce_only=True), now_ns=1)
    venue.submit(MARKET_SELL, now_ns=1)
    assert list(venue.on_quote(quote(105, 106))) == [
        OrderCancelled("L1", 1, ReasonCode.REDUCE_ONLY)
    ]
    assert venue.open_orders() == ()


def test_reduce_only_taker_without_a_position_is_cancelled() -> None:
    venue = broker()
    venue.on_quote(quote(99, 101))
    reports = venue.submit(replace(MARKET_SELL, reduce_only=True), now_ns=1)
    assert list(reports) == [
        OrderAccepted("S1", 1),
        OrderCancelled("S1", 1, ReasonCode.REDUCE_ONLY),
    ]


def test_submitting_again_does_nothing() -> None:
    venue = broker()
    venue.on_quote(quote(99, 101))
    venue.submit(MARKET_BUY, now_ns=1)
    assert list(venue.submit(MARKET_BUY, now_ns=2)) == []
    assert venue.net_lots(MARKET) == 10
    with pytest.raises(ExistsError, match="another order 'O1'"):
        venue.submit(replace(MARKET_BUY, lots=11), now_ns=2)


def test_cancel_takes_a_resting_order_out_once() -> None:
    venue = broker()
    venue.on_quote(quote(99, 101))
    venue.submit(limit(100), now_ns=1)
    venue.submit(limit(100, order_id="L2"), now_ns=1)
    assert list(venue.cancel("L1", now_ns=3)) == [OrderCancelled("L1", 3, ReasonCode.USER)]
    assert list(venue.cancel("L1", now_ns=4)) == []
    assert [item[0] for item in prices(venue.on_quote(quote(98, 99)))] == ["L2"]


def test_cancel_takes_a_working_taker_out() -> None:
    venue = broker(max_fill_lots=4)
    venue.on_quote(quote(99, 101))
    venue.submit(MARKET_BUY, now_ns=1)
    assert list(venue.cancel("O1", now_ns=1)) == [OrderCancelled("O1", 1, ReasonCode.USER)]
    assert list(venue.on_quote(quote(99, 101))) == []


def test_cancel_of_unknown_filled_or_rejected_orders_is_refused() -> None:
    venue = broker()
    assert list(venue.cancel("O9", now_ns=1)) == [CancelRejected("O9", 1, ReasonCode.UNKNOWN_ORDER)]
    venue.submit(MARKET_SELL, now_ns=1)
    venue.on_quote(quote(99, 101))
    venue.submit(MARKET_BUY, now_ns=1)
    for order_id in ("S1", "O1"):
        assert list(venue.cancel(order_id, now_ns=1)) == [
            CancelRejected(order_id, 1, ReasonCode.ORDER_DONE)
        ]


def test_latency_delays_the_arrival() -> None:
    venue = broker(latency_ns=10)
    venue.on_quote(quote(99, 101, ts_ns=0))
    assert list(venue.submit(MARKET_BUY, now_ns=0)) == []
    assert venue.next_arrival_ns() == 10
    # At the very arrival time the quote comes first (TICK-4).
    reports = venue.on_quote(quote(109, 111, ts_ns=10))
    assert reports[0] == OrderAccepted("O1", 10)
    assert prices(reports) == [("O1", 10, 111, False)]
    assert venue.next_arrival_ns() is None


def test_an_order_that_arrived_between_quotes_takes_the_older_one() -> None:
    venue = broker(latency_ns=10)
    venue.on_quote(quote(99, 101, ts_ns=0))
    venue.submit(MARKET_BUY, now_ns=0)
    (filled,) = fills(venue.on_quote(quote(109, 111, ts_ns=11)))
    assert (filled.ticks, filled.ts_ns) == (101, 10)


def test_orders_arrive_without_a_quote_when_time_passes() -> None:
    venue = broker(latency_ns=10)
    venue.on_quote(quote(99, 101, ts_ns=0))
    venue.submit(MARKET_BUY, now_ns=0)
    assert list(venue.on_time(9)) == []
    assert prices(venue.on_time(10)) == [("O1", 10, 101, False)]


def test_a_travelling_order_can_be_cancelled() -> None:
    venue = broker(latency_ns=10)
    venue.on_quote(quote(99, 101, ts_ns=0))
    venue.submit(MARKET_BUY, now_ns=0)
    assert list(venue.cancel("O1", now_ns=5)) == [OrderCancelled("O1", 5, ReasonCode.USER)]
    assert venue.next_arrival_ns() is None
    assert list(venue.on_time(10)) == []


def test_a_cancelled_traveller_is_skipped_on_its_way() -> None:
    venue = broker(latency_ns=10)
    venue.on_quote(quote(99, 101, ts_ns=0))
    venue.submit(MARKET_BUY, now_ns=0)
    venue.cancel("O1", now_ns=5)
    assert list(venue.on_quote(quote(99, 101, ts_ns=50))) == []


def test_forget_drops_only_what_is_done() -> None:
    venue = broker()
    venue.on_quote(quote(99, 101))
    venue.submit(limit(100), now_ns=1)
    venue.submit(MARKET_BUY, now_ns=1)
    for order_id in ("L1", "O1", "O9"):
        venue.forget(order_id)
    assert [order.client_order_id for order in venue.open_orders()] == ["L1"]
    unknown: Sequence[OrderReport] = venue.cancel("O1", now_ns=2)
    assert unknown == (CancelRejected("O1", 2, ReasonCode.UNKNOWN_ORDER),)


def test_the_nearest_resting_prices_are_told_while_nothing_else_waits() -> None:
    desk = broker()
    desk.on_quote(quote(100, 101))
    assert desk.resting_prices(MARKET) == (None, None)
    desk.submit(limit(95, order_id="L1"), now_ns=1)
    desk.submit(limit(97, order_id="L2"), now_ns=1)
    desk.submit(limit(105, order_id="L3", side=TradeType.SELL), now_ns=1)
    assert desk.resting_prices(MARKET) == (97, 105)


def test_a_travelling_order_makes_every_quote_matter() -> None:
    desk = broker(latency_ns=5)
    desk.on_quote(quote(100, 101))
    desk.submit(limit(95), now_ns=1)
    assert desk.resting_prices(MARKET) is None
