"""Compares our books with the venue's and carries out what follows (LIVE-7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, Protocol

from engine.execution.reasons import ReasonCode
from engine.execution.reports import OrderCancelled, OrderExpired, OrderRejected
from engine.live.intent_log import IntentLogError
from engine.live.live_strategy import LiveStrategyContainer, find_live_broker
from engine.live.order_router import (
    OrderRouter,
    UnknownOutcomeError,
    VenueError,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from engine.live.reconciliation import (
    ActionKind,
    KnownOrder,
    ReconAction,
    Reconciler,
    Snapshot,
)
from engine.live.virtual_portfolio import AccountBook
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import OrderStatus

RETRY_NS: Final = 10 * SECOND_NS
"""Between two looks after an unknown outcome: three misses then span more than the venue needs."""

POSITION: Final = "position"
BALANCE: Final = "balance"
LOG: Final = "log"


class Account(Protocol):
    """What reconciliation needs of the manager."""

    @property
    def strategies(self) -> Mapping[str, LiveStrategyContainer]:
        """The strategies by id."""
        ...

    def take_venue_fill(self, fill: VenueFill) -> None:
        """Book a fill that the venue has, once."""
        ...

    def owner_of(self, client_order_id: str) -> LiveStrategyContainer | None:
        """Return the strategy that an order belongs to, None if it is of nobody here."""
        ...

    def book_fills(self, live: LiveStrategyContainer) -> None:
        """Book what a strategy has filled."""
        ...


class Reconciliation:
    """Keeps the books of one account equal to the venue's.

    Args:
        account: the strategies.
        book: their ledgers.
        router: the connection to the venue.
        instruments: the markets.
        cancel_foreign: whether open orders that are not ours are cancelled.
    """

    def __init__(
        self,
        *,
        account: Account,
        book: AccountBook,
        router: OrderRouter,
        instruments: Mapping[ConnectorPair, Instrument],
        cancel_foreign: bool = False,
    ) -> None:
        self._account = account
        self._book = book
        self._router = router
        self._instruments = instruments
        self._reconciler = Reconciler(prefix="live_", cancel_foreign=cancel_foreign)
        self._cursor = 0
        self._baseline: dict[str, Decimal] | None = None
        self._told: set[str] = set()
        self.last_ns: int | None = None
        self.runs = 0
        self.actions: list[ReconAction] = []
        """What the last run found."""

    def accept_balances(self) -> None:
        """Take the venue's balances for right at the next run: a person has looked at them."""
        self._baseline = None

    def run(self, now_ns: int) -> bool:
        """Compare once; return whether the venue could be asked."""
        try:
            fills, cursor = self._router.fills(self._cursor)
            orders = {one.client_order_id: one for one in self._router.open_orders()}
            positions = self._router.positions()
            balances = dict(self._router.balances())
        except (VenueError, UnknownOutcomeError) as error:
            self._tell_all(f"HEALTH: the venue cannot be compared with: {error}")
            return False
        for fill in fills:
            self._account.take_venue_fill(fill)
        self._cursor = cursor
        for live in self._account.strategies.values():
            self._account.book_fills(live)
        self.last_ns = now_ns
        self.runs += 1
        if self._baseline is None:
            self._baseline = {
                asset: money - self._book.cash_flow(asset) for asset, money in balances.items()
            }
        self.actions = list(
            self._reconciler.run(
                self._ours(),
                _venue_snapshot(orders, positions, balances),
                now_ns=now_ns,
                in_flight=self._in_flight(),
            )
        )
        for action in self.actions:
            try:
                self._carry_out(action, orders, balances, now_ns)
            except IntentLogError as error:
                self._postpone(action, error)
        self._recover()
        for live in self._account.strategies.values():
            live.reconciled_ns = now_ns
            broker = find_live_broker(live.broker)
            if broker is not None:
                broker.needs_reconciliation = self._has_open_question(live)
        return True

    def _ours(self) -> Snapshot:
        orders = {}
        for live in self._account.strategies.values():
            broker = find_live_broker(live.broker)
            if broker is None:
                continue
            for order in live.container.order_manager.open_orders():
                request = order.request
                inside = broker.inside_lots(request.client_order_id)
                orders[request.client_order_id] = KnownOrder(
                    request.client_order_id,
                    request.market,
                    request.lots - inside,
                    order.filled_lots - inside,
                    request.limit_ticks,
                )
        baseline = self._baseline or {}
        return Snapshot(
            orders=orders,
            positions={market: self._book.account_lots(market) for market in self._instruments},
            balances={
                asset: money + self._book.cash_flow(asset) for asset, money in baseline.items()
            },
        )

    def _in_flight(self) -> dict[ConnectorPair, int]:
        """Return when something was last sent in each market."""
        sent: dict[ConnectorPair, int] = {}
        for live in self._account.strategies.values():
            broker = find_live_broker(live.broker)
            if broker is None:
                continue
            for market, ts_ns in broker.last_sent_ns.items():
                sent[market] = max(ts_ns, sent.get(market, ts_ns))
        return sent

    def _has_open_question(self, live: LiveStrategyContainer) -> bool:
        """Whether an order of *live* is still looked for at the venue."""
        mine = {one.request.client_order_id for one in live.container.order_manager.open_orders()}
        asks = (ActionKind.QUERY_ORDER, ActionKind.UPDATE_ORDER)
        return any(one.kind in asks and one.subject in mine for one in self.actions)

    def _postpone(self, action: ReconAction, error: IntentLogError) -> None:
        """Hold up entries: what was found out could not be written down; a later run finds it."""
        live = self._account.owner_of(action.subject)
        if live is not None:
            live.degrade(LOG, error.message)

    def _carry_out(
        self,
        action: ReconAction,
        orders: Mapping[str, VenueOrder],
        balances: Mapping[str, Decimal],
        now_ns: int,
    ) -> None:
        match action.kind:
            case ActionKind.ADOPT_ORDER:
                self._adopt(action, orders[action.subject], now_ns)
            case ActionKind.LEAVE_FOREIGN:
                self._tell_once(action.subject, f"HEALTH: {action.text}")
            case ActionKind.CANCEL_FOREIGN:
                self._cancel(action, now_ns)
            case ActionKind.QUERY_ORDER:
                self._query(action, now_ns)
            case ActionKind.CANCEL_MISSING:
                self._give_up(action, now_ns)
            case ActionKind.UPDATE_ORDER:
                self._update(action)
            case ActionKind.APPLY_FILL:
                pass  # fills are taken before the comparison
            case _:
                self._carry_out_account(action, balances, now_ns)

    def _carry_out_account(
        self, action: ReconAction, balances: Mapping[str, Decimal], now_ns: int
    ) -> None:
        """Carry out what is about positions and balances."""
        match action.kind:
            case ActionKind.BLOCK_ENTRIES:
                for live in self._traders(action.market):
                    live.degrade(POSITION, action.text)
            case ActionKind.ADJUST_POSITION:
                self._adjust(action, now_ns)
            case ActionKind.WARN_BALANCE:
                self._tell_all(f"HEALTH: {action.text}")
                if self._baseline is not None:
                    flow = self._book.cash_flow(action.subject)
                    there = balances.get(action.subject, Decimal(0))
                    self._baseline[action.subject] = there - flow
            case ActionKind.DEGRADE:
                for live in self._account.strategies.values():
                    live.degrade(BALANCE, action.text)
            case _:
                raise AssertionError(f"{action.kind} is about an order")

    def _adopt(self, action: ReconAction, order: VenueOrder, now_ns: int) -> None:
        live = self._account.owner_of(action.subject)
        if live is None:
            self._tell_once(action.subject, f"HEALTH: {action.text}: its strategy is not here")
            return
        broker = find_live_broker(live.broker)
        if broker is None:
            return
        if broker.has_order(action.subject):
            # It is over in our books: it was given up, or its cancel did not arrive.
            live.alert(f"HEALTH: order {action.subject} is over here and open at the venue")
            self._cancel(action, now_ns)
            return
        live.alert(action.text)
        broker.adopt(order.request, now_ns=now_ns)
        live.adopt(order.request)

    def _cancel(self, action: ReconAction, now_ns: int) -> None:
        market = action.market
        if market is None:
            return
        try:
            self._router.cancel(action.subject, market=market, now_ns=now_ns)
        except (VenueError, UnknownOutcomeError) as error:
            self._tell_all(f"HEALTH: order {action.subject} could not be cancelled: {error}")
        else:
            self._tell_all(f"HEALTH: {action.text}")

    def _query(self, action: ReconAction, now_ns: int) -> None:
        """Ask for an order by its client id and take over how it ended."""
        live = self._account.owner_of(action.subject)
        try:
            found = self._router.find_order(action.subject)
        except (VenueError, UnknownOutcomeError):
            return
        if live is None or found is None:
            return
        self._reconciler.found(action.subject)
        match found.status:
            case OrderStatus.REJECTED:
                text = found.reason or "rejected by the venue"
                live.take_venue_reports(
                    (OrderRejected(action.subject, now_ns, ReasonCode.VENUE, text),)
                )
            case OrderStatus.CANCELLED:
                live.take_venue_reports((OrderCancelled(action.subject, now_ns, ReasonCode.VENUE),))
            case OrderStatus.EXPIRED:
                live.take_venue_reports((OrderExpired(action.subject, now_ns, ReasonCode.GTD),))
            case _:
                pass  # open, or filled: its fills come with the next comparison

    def _give_up(self, action: ReconAction, now_ns: int) -> None:
        live = self._account.owner_of(action.subject)
        if live is None:
            return
        live.alert(f"HEALTH: {action.text}")
        live.take_venue_reports((OrderCancelled(action.subject, now_ns, ReasonCode.RECON_MISSING),))
        # Should it arrive after all, it must not stay.
        if action.market is not None:
            try:
                self._router.cancel(action.subject, market=action.market, now_ns=now_ns)
            except (VenueError, UnknownOutcomeError) as error:
                live.alert(f"HEALTH: order {action.subject} could not be cancelled: {error}")

    def _update(self, action: ReconAction) -> None:
        live, order = self._account.owner_of(action.subject), action.order
        if live is None or order is None:
            return
        mine = live.container.order_manager.find_order(action.subject)
        if mine is None or not mine.is_open:
            return
        broker = find_live_broker(live.broker)
        inside = 0 if broker is None else broker.inside_lots(action.subject)
        lots = order.lots + inside
        if (mine.request.lots, mine.request.limit_ticks) != (lots, order.limit_ticks):
            live.alert(action.text)
            live.amend(action.subject, lots=lots, limit_ticks=order.limit_ticks)

    def _adjust(self, action: ReconAction, now_ns: int) -> None:
        market = action.market
        if market is None:
            return
        instrument = self._instruments[market]
        ticks = action.ticks
        if ticks is None:
            marks = [one.mark_ticks(market) for one in self._book.portfolios.values()]
            ticks = next((one for one in marks if one > 0), 1)
        self._book.adjust(instrument, lots=action.lots, ticks=ticks, now_ns=now_ns)
        self._tell_all(f"HEALTH: {action.text}")

    def _recover(self) -> None:
        """Take back what an earlier run had against entries and this one has not."""
        drifting = {one.market for one in self.actions if one.kind is ActionKind.BLOCK_ENTRIES}
        is_off = any(one.kind is ActionKind.DEGRADE for one in self.actions)
        for live in self._account.strategies.values():
            if drifting.isdisjoint(live.markets):
                live.recover(POSITION)
            if not is_off:
                live.recover(BALANCE)

    def _traders(self, market: ConnectorPair | None) -> Sequence[LiveStrategyContainer]:
        return [one for one in self._account.strategies.values() if market in one.markets]

    def _tell_all(self, text: str) -> None:
        for live in self._account.strategies.values():
            live.alert(text)

    def _tell_once(self, key: str, text: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self._book.warnings.append(text)
            self._tell_all(text)


def _venue_snapshot(
    orders: Mapping[str, VenueOrder],
    positions: Mapping[ConnectorPair, VenuePosition],
    balances: Mapping[str, Decimal],
) -> Snapshot:
    return Snapshot(
        orders={
            key: KnownOrder(
                key,
                one.request.market,
                one.request.lots,
                one.filled_lots,
                one.request.limit_ticks,
            )
            for key, one in orders.items()
        },
        positions={market: one.lots for market, one in positions.items()},
        balances=balances,
        average_ticks={
            market: one.average_ticks
            for market, one in positions.items()
            if one.average_ticks is not None
        },
    )
