"""Opposite orders of two strategies that meet inside the account, at the mid (LIVE-6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from engine.execution.outbox_broker import Outgoing
from engine.live.live_strategy import LiveStrategyContainer
from engine.live.virtual_portfolio import AccountBook
from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderRequest, OrderType
from engine.model.quotes import QuoteTick


def find_crossings(
    lives: Mapping[str, LiveStrategyContainer],
    waiting: Mapping[str, Iterable[Outgoing]],
    book: AccountBook,
    quotes: Mapping[ConnectorPair, QuoteTick],
) -> dict[str, list[Outgoing]]:
    """Cross what can meet, and return what is left to be sent, by strategy.

    Orders of one instant meet in the order of their strategies. A MARKET order meets always, a
    LIMIT order if the mid is no worse than its limit; an order that only makes, waits for a
    trigger, or must not go out at all meets nobody. Nobody meets itself.
    """
    rest = {strategy: list(outgoing) for strategy, outgoing in waiting.items()}
    buys = _places(rest, sign=1)
    sells = _places(rest, sign=-1)
    count = 0
    for buyer, buy_at in buys:
        for seller, sell_at in sells:
            buy, sell = rest[buyer][buy_at], rest[seller][sell_at]
            if not (isinstance(buy, OrderRequest) and isinstance(sell, OrderRequest)):
                continue
            lots = min(buy.lots, sell.lots)
            quote = quotes.get(buy.market)
            if buyer == seller or not lots or quote is None or buy.market != sell.market:
                continue
            if not (lives[buyer].may_send(buy) and lives[seller].may_send(sell)):
                continue
            mid_twice = quote.bid_ticks + quote.ask_ticks
            if not (_accepts(buy, mid_twice) and _accepts(sell, mid_twice)):
                continue
            crossing = book.cross(
                buy.market, buyer=buyer, seller=seller, lots=lots, mid_twice=mid_twice
            )
            if crossing is None:
                continue
            count += 1
            for strategy, place, order in ((buyer, buy_at, buy), (seller, sell_at, sell)):
                live = lives[strategy]
                live.fill_inside(order, lots=lots, ticks=crossing.ticks, name=f"cross{count}")
                live.alert(str(crossing))
                rest[strategy][place] = replace(order, lots=order.lots - lots)
    return {
        strategy: [one for one in outgoing if not isinstance(one, OrderRequest) or one.lots > 0]
        for strategy, outgoing in rest.items()
    }


def _places(outgoing: Mapping[str, list[Outgoing]], *, sign: int) -> list[tuple[str, int]]:
    return [
        (strategy, place)
        for strategy, orders in outgoing.items()
        for place, one in enumerate(orders)
        if isinstance(one, OrderRequest)
        and one.side.sign == sign
        and one.trigger is None
        and one.order_type is not OrderType.LIMIT_MAKER
    ]


def _accepts(order: OrderRequest, mid_twice: int) -> bool:
    if order.limit_ticks is None:
        return True
    return order.side.sign * (2 * order.limit_ticks - mid_twice) >= 0
