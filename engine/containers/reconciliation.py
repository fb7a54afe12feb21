"""Compares the books of a session: account, broker, book of record, executors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.executors.snapshot import ExecutorSnapshot
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Order


@dataclass(frozen=True, slots=True)
class Difference:
    """Two books that do not agree. ``subject`` is a market or an order."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class MarketBooks:
    """What the books say about one market, in signed lots.

    ``executors`` is None where somebody trades whose part no executor reports.
    """

    instrument: Instrument
    account: int
    broker: int
    held: int
    executors: int | None


def position_differences(books: Iterable[MarketBooks]) -> list[Difference]:
    """Return the markets in which account, broker and executors hold different amounts."""
    found: list[Difference] = []
    for book in books:
        market, amount = str(book.instrument.market), book.instrument.qty
        if book.account != book.broker:
            text = (
                f"{market}: the account holds {amount(book.account)}, "
                f"the broker {amount(book.broker)}"
            )
            found.append(Difference(market, text))
        if book.executors is not None and book.account != book.executors + book.held:
            text = (
                f"{market}: the account holds {amount(book.account)}, executors "
                f"{amount(book.executors)} and position holds {amount(book.held)}"
            )
            found.append(Difference(market, text))
    return found


def order_differences(
    open_orders: Iterable[Order], broker_ids: Iterable[str], active_ids: Iterable[str]
) -> list[Difference]:
    """Return the orders that one book has open and the other has not, and those without an owner.

    Args:
        open_orders: what the book of record has open.
        broker_ids: client order ids that the broker has open.
        active_ids: executors that are not terminated.
    """
    booked = {order.request.client_order_id: order for order in open_orders}
    at_broker, active = set(broker_ids), set(active_ids)
    found = [
        Difference(order_id, f"order {order_id} is open in the book and not at the broker")
        for order_id in booked
        if order_id not in at_broker
    ]
    found += [
        Difference(order_id, f"order {order_id} is open at the broker and not in the book")
        for order_id in sorted(at_broker - booked.keys())
    ]
    found += [
        Difference(order_id, f"order {order_id} belongs to {order.request.owner_id}, which is over")
        for order_id, order in booked.items()
        if order.request.executor_id is not None and order.request.executor_id not in active
    ]
    return found


def executor_lots(
    snapshots: Iterable[ExecutorSnapshot], markets: Iterable[ConnectorPair]
) -> Mapping[ConnectorPair, int]:
    """Return the signed lots that executors on one market manage; done ones have handed over."""
    lots = dict.fromkeys(markets, 0)
    for snapshot in snapshots:
        if not snapshot.is_done and not snapshot.is_handed_over:
            lots[snapshot.market] += snapshot.side.sign * snapshot.totals.remaining_lots
    return lots
