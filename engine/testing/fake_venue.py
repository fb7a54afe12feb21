"""A venue for tests of live trading: an order router whose every fault is scripted.

It keeps the truth (what was placed, filled and is held), matches orders as the simulated broker
does, and spoils what it tells of it: lost requests and answers, late and repeated news, hidden
fills, a broken connection, orders and trades of somebody else, a clock that is wrong.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from enum import Enum, unique
from typing import Final

from engine.execution.broker import BrokerHealth
from engine.execution.reasons import ReasonCode
from engine.execution.reports import (
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OrderReport,
)
from engine.execution.settings import BrokerSettings, build_commission, build_simulated_broker
from engine.live.order_router import (
    UnknownOutcomeError,
    VenueError,
    VenueFill,
    VenueOrder,
    VenuePosition,
    VenueUpdate,
)
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    Fill,
    OrderRequest,
    OrderStatus,
    OrderType,
    PositionAction,
    TradeType,
)
from engine.model.quotes import QuoteTick
from engine.portfolio.portfolio import Portfolio

FOREIGN: Final = "foreign"


@unique
class SubmitFault(Enum):
    """What goes wrong with one order on its way."""

    NONE = "none"
    REFUSED = "refused"
    """The venue rejects it."""
    LOST_REQUEST = "lost_request"
    """It never arrives, and the sender does not know."""
    LOST_ANSWER = "lost_answer"
    """It arrives, and the sender does not know."""
    SILENCE = "silence"
    """It arrives, no acknowledgement ever comes, and nothing is said about that."""
    LATE = "late"
    """It arrives when `release` is called, and the sender does not know."""


@unique
class NewsFault(Enum):
    """What goes wrong with one piece of news."""

    NONE = "none"
    LOST = "lost"
    TWICE = "twice"
    HELD = "held"
    """It comes when `release` is called."""


class FakeVenue:
    """One account at a venue; `quote` moves its markets, the rest are its faults.

    Args:
        instruments: the markets.
        cash: what the account starts with, in the currency.
        now_ns: the true time.
        currency: of the cash; all quote assets count 1:1.
        broker: fees and depth of its matching.
    """

    def __init__(
        self,
        instruments: Mapping[ConnectorPair, Instrument],
        *,
        cash: Decimal,
        now_ns: Callable[[], int],
        currency: str = "USD",
        broker: BrokerSettings | None = None,
    ) -> None:
        settings = broker or BrokerSettings()
        self.name = "fake"
        self.skew_ns = 0
        """How wrong the venue's clock is."""
        self.submit_faults: deque[SubmitFault] = deque()
        self.news_faults: deque[NewsFault] = deque()
        self.hides_fills = False
        """Whether `fills` keeps back what is new, while positions show it."""
        self.placed: Counter[str] = Counter()
        """How often each client order id was accepted."""
        self.sent: list[tuple[str, str]] = []
        self.submitted: list[OrderRequest] = []
        """(client order id, strategy) of every request that came in."""
        self.trades: list[VenueFill] = []
        self._instruments = dict(instruments)
        self._currency = currency
        self._now_ns = now_ns
        self._matching = build_simulated_broker(
            settings,
            instruments=instruments,
            commission=build_commission(settings.commission_model),
        )
        self._ledger = Portfolio(
            instruments=instruments,
            initial_cash={currency: cash},
            account_currency=currency,
            parity=sorted({market.quote for market in instruments}),
        )
        self._orders: dict[str, VenueOrder] = {}
        self._news: deque[VenueUpdate] = deque()
        self._held: list[VenueUpdate] = []
        self._late: list[OrderRequest] = []
        self._shown = 0
        self._foreign = 0
        self.is_connected = True

    # --- the truth -------------------------------------------------------------------------------

    def quote(self, quote: QuoteTick) -> None:
        """Move a market."""
        self._take(self._matching.on_quote(quote))

    def lots(self, market: ConnectorPair) -> int:
        """Return the account's true position."""
        return self._ledger.net_lots(market)

    def own_lots(self, market: ConnectorPair, prefix: str) -> int:
        """Return the position that orders made whose client order ids start with *prefix*."""
        return sum(
            one.side.sign * one.lots
            for one in self.trades
            if one.market == market and one.client_order_id.startswith(prefix)
        )

    def open_ids(self) -> set[str]:
        """Return the client order ids of the open orders."""
        return {one.client_order_id for one in self._matching.open_orders()}

    # --- faults ----------------------------------------------------------------------------------

    def disconnect(self) -> None:
        """Break the connection: nothing can be asked, news of the meantime are lost."""
        self.is_connected = False
        self._news.clear()

    def release(self) -> None:
        """Let late requests arrive and held news come."""
        late, self._late = self._late, []
        for request in late:
            self._place(request)
        self._news.extend(self._held)
        self._held.clear()
        self._shown = len(self.trades)

    def trade_by_hand(self, market: ConnectorPair, side: TradeType, lots: int) -> None:
        """Trade as somebody else in the account."""
        self._foreign += 1
        self._place(_order(f"{FOREIGN}-{self._foreign}", market, side, lots, None))

    def order_by_hand(
        self, market: ConnectorPair, side: TradeType, lots: int, limit_ticks: int
    ) -> str:
        """Place a limit order as somebody else; return its client order id."""
        self._foreign += 1
        client_order_id = f"{FOREIGN}-{self._foreign}"
        self._place(_order(client_order_id, market, side, lots, limit_ticks))
        return client_order_id

    def cancel_by_hand(self, client_order_id: str) -> None:
        """Cancel an order as somebody else."""
        self._take(self._matching.cancel(client_order_id, now_ns=self._now_ns()))

    # --- the order router ------------------------------------------------------------------------

    def submit(self, order: OrderRequest, *, strategy_id: str, now_ns: int) -> None:
        """Take an order, unless a fault is due."""
        del now_ns
        self._check()
        self.sent.append((order.client_order_id, strategy_id))
        self.submitted.append(order)
        fault = self.submit_faults.popleft() if self.submit_faults else SubmitFault.NONE
        match fault:
            case SubmitFault.NONE:
                self._place(order)
            case SubmitFault.REFUSED:
                self._orders[order.client_order_id] = VenueOrder(
                    order.client_order_id, "", order, OrderStatus.REJECTED, reason="refused"
                )
                self._tell(
                    OrderRejected(order.client_order_id, self._stamp(), ReasonCode.VENUE, "refused")
                )
            case SubmitFault.LOST_REQUEST:
                raise UnknownOutcomeError("no answer")
            case SubmitFault.LOST_ANSWER:
                self._place(order, is_told=False)
                raise UnknownOutcomeError("no answer")
            case SubmitFault.SILENCE:
                self._place(order, is_told=False)
            case SubmitFault.LATE:
                self._late.append(order)
                raise UnknownOutcomeError("no answer")

    def cancel(self, client_order_id: str, *, market: ConnectorPair, now_ns: int) -> None:
        """Cancel an order."""
        del market, now_ns
        self._check()
        self._take(self._matching.cancel(client_order_id, now_ns=self._now_ns()))

    def take_updates(self, now_ns: int) -> Sequence[VenueUpdate]:
        """Return the news, spoiled as scripted."""
        del now_ns
        self._check()
        news = list(self._news)
        self._news.clear()
        return news

    def find_order(self, client_order_id: str) -> VenueOrder | None:
        """Return an order by its client order id."""
        self._check()
        return self._orders.get(client_order_id)

    def open_orders(self) -> Sequence[VenueOrder]:
        """Return the open orders, foreign ones too."""
        self._check()
        return [self._orders[one.client_order_id] for one in self._matching.open_orders()]

    def positions(self) -> Mapping[ConnectorPair, VenuePosition]:
        """Return the positions by market."""
        self._check()
        found = {}
        for market, ledger in self._ledger.ledgers.items():
            lots = ledger.net_lots
            average = ledger.cost_atoms // (abs(lots) * ledger.scale) if lots else None
            found[market] = VenuePosition(lots, average)
        return found

    def balances(self) -> Mapping[str, Decimal]:
        """Return the cash by asset."""
        self._check()
        precision = next(iter(self._instruments.values())).money_precision
        assets = {self._currency, *(market.quote for market in self._instruments)}
        return {one: Decimal(self._ledger.cash_of(one)).scaleb(-precision) for one in assets}

    def fills(self, since: int) -> tuple[Sequence[VenueFill], int]:
        """Return the fills from the cursor *since* on, and the next cursor."""
        self._check()
        if not self.hides_fills:
            self._shown = len(self.trades)
        return self.trades[since : self._shown], max(since, self._shown)

    def capabilities(self) -> Mapping[str, tuple[str, ...] | bool]:
        """Return what it can do."""
        return {"types": ("MARKET", "LIMIT", "LIMIT_MAKER"), "replace": False, "reduce_only": True}

    def connect(self) -> None:
        """Connect again."""
        self.is_connected = True

    def close(self) -> None:
        """Disconnect."""
        self.disconnect()

    def health(self) -> BrokerHealth:
        """Return whether it is connected."""
        return BrokerHealth.HEALTHY if self.is_connected else BrokerHealth.UNHEALTHY

    # --- inside ----------------------------------------------------------------------------------

    def _check(self) -> None:
        if not self.is_connected:
            raise VenueError("fake is not connected")

    def _stamp(self) -> int:
        return self._now_ns() + self.skew_ns

    def _place(self, order: OrderRequest, *, is_told: bool = True) -> None:
        client_order_id = order.client_order_id
        if client_order_id in self._orders:
            text = f"duplicate client order id {client_order_id}"
            self._tell(OrderRejected(client_order_id, self._stamp(), ReasonCode.VENUE, text))
            self.placed[client_order_id] += 1
            return
        self.placed[client_order_id] += 1
        self._orders[client_order_id] = VenueOrder(
            client_order_id, f"V{len(self._orders)}", order, OrderStatus.ROUTED
        )
        reports = self._matching.submit(order, now_ns=self._now_ns())
        self._take(reports, is_told=is_told)

    def _take(self, reports: Sequence[OrderReport], *, is_told: bool = True) -> None:
        for report in reports:
            if isinstance(report, CancelRejected):
                self._tell(replace(report, ts_ns=self._stamp()))
                continue
            order = self._orders[report.client_order_id]
            update: VenueUpdate
            if isinstance(report, OrderFilled):
                update = self._book(report.fill, order)
            else:
                self._orders[report.client_order_id] = _after(order, report)
                update = replace(report, ts_ns=self._stamp())
            is_foreign = report.client_order_id.startswith(FOREIGN)
            if is_told and not (is_foreign and not isinstance(update, VenueFill)):
                self._tell(update)

    def _book(self, fill: Fill, order: VenueOrder) -> VenueFill:
        self._ledger.apply_fill(fill)
        filled = order.filled_lots + fill.lots
        is_full = filled >= order.request.lots
        self._orders[fill.client_order_id] = replace(
            order,
            filled_lots=filled,
            status=OrderStatus.FILLED if is_full else OrderStatus.PARTIAL,
        )
        made = VenueFill(
            trade_id=f"T{len(self.trades)}",
            client_order_id=fill.client_order_id,
            venue_order_id=order.venue_order_id,
            market=fill.market,
            side=fill.side,
            lots=fill.lots,
            ticks=fill.ticks,
            fee_atoms=fill.fee_atoms,
            is_maker=fill.is_maker,
            ts_ns=self._stamp(),
        )
        self.trades.append(made)
        return made

    def _tell(self, update: VenueUpdate) -> None:
        if not self.is_connected:
            return
        fault = self.news_faults.popleft() if self.news_faults else NewsFault.NONE
        match fault:
            case NewsFault.NONE:
                self._news.append(update)
            case NewsFault.TWICE:
                self._news.extend((update, update))
            case NewsFault.HELD:
                self._held.append(update)
            case NewsFault.LOST:
                pass


def _after(order: VenueOrder, report: OrderReport) -> VenueOrder:
    match report:
        case OrderRejected(text=text):
            return replace(order, status=OrderStatus.REJECTED, reason=text)
        case OrderCancelled():
            return replace(order, status=OrderStatus.CANCELLED)
        case OrderAccepted() | OrderFilled():
            return order
        case _:
            return replace(order, status=OrderStatus.EXPIRED)


def _order(
    client_order_id: str, market: ConnectorPair, side: TradeType, lots: int, limit: int | None
) -> OrderRequest:
    return OrderRequest(
        client_order_id=client_order_id,
        market=market,
        side=side,
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        lots=lots,
        limit_ticks=limit,
        position_action=PositionAction.NIL,
        leverage=1,
        owner_id=FOREIGN,
        role=FOREIGN,
    )
