"""One session as a deterministic state machine: an input goes in, effects come out.

The two routes to an order:
``QUOTE -> strategy -> SIGNAL -> risk manager -> ORDER -> broker -> FILL -> portfolio`` and
``controller or operator -> action -> orchestrator -> executor -> risk manager -> ORDER -> broker``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from math import inf
from types import MappingProxyType
from typing import Any, Final, assert_never

from engine.containers.account_books import AccountBooks
from engine.containers.action_builder import ActionRefusedError, build_action
from engine.containers.bus import BusEvent, BusKind
from engine.containers.container_metrics import ContainerMetrics
from engine.containers.controller_host import ControllerHost
from engine.containers.data_handler import DataHandler
from engine.containers.effects import Effects
from engine.containers.inputs import (
    GIVE_UP,
    START_CONTROLLER,
    STOP_CONTROLLER,
    ActionInput,
    ForceStopInput,
    SessionInput,
    StartInput,
    StopInput,
    TimerInput,
)
from engine.containers.order_desk import OrderDesk
from engine.containers.reconciliation import (
    Difference,
    MarketBooks,
    executor_lots,
    order_differences,
    position_differences,
)
from engine.containers.scoped_container import ScopedContainer
from engine.containers.strategy_host import StrategyHost
from engine.execution.order_manager import OrderManager
from engine.execution.reports import OrderReport
from engine.execution.simulated_broker import SimulatedBroker
from engine.execution.tick_broker import TickBroker
from engine.executors.actions import ActionCode, ActionResult, StopExecutorAction
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.executors.step import Level, Notice
from engine.executors.two_venue_snapshot import TwoVenueSnapshot
from engine.model.clock import SECOND_NS, SimulatedClock, to_iso
from engine.model.funding import FundingRate
from engine.model.instruments import PPB, ConnectorPair
from engine.model.orders import (
    STRATEGY_OWNER,
    STRATEGY_ROLE,
    CancelRequest,
    Fill,
    Order,
    OrderQuery,
    OrderRequest,
    OrderType,
    PositionAction,
    PositionSide,
    TradeType,
)
from engine.model.quotes import QuoteTick
from engine.portfolio.budget import Budget
from engine.portfolio.portfolio import Portfolio
from engine.portfolio.snapshots import FreeFunds
from engine.risk.risk_manager import RiskManager
from engine.risk.verdicts import Approved, Denied

CLOSE_ATTEMPTS: Final = 10
"""A stop waits 20 s without progress, 30 s in all, before executors end as they stand (11.5)."""
NOTHING_REACHES: Final = 2**62
"""Stands for a price that no quote has."""
_BID: Final = 1
_MINUS_ASK: Final = 2
REPORT_INTERVAL_NS: Final = 60 * SECOND_NS
"""Between two performance samples; ended executors stay listed that long."""


class SessionContainer:
    """The components of one session, wired to one bus.

    ``apply`` is the only way in. It runs to completion: when it returns, every consequence of the
    input has happened and the bus is empty. Same inputs, same seed, same configuration: same
    effects, in every mode.
    """

    def __init__(
        self,
        *,
        scope: ScopedContainer,
        data_handler: DataHandler,
        portfolio: Portfolio,
        books: AccountBooks,
        budget: Budget,
        order_manager: OrderManager,
        broker: TickBroker,
        risk_manager: RiskManager,
        order_desk: OrderDesk,
        orchestrator: ExecutorOrchestrator,
        controllers: ControllerHost,
        strategies: StrategyHost,
    ) -> None:
        self._scope = scope
        self._bus = scope.bus
        self.clock: SimulatedClock = scope.clock
        self.data_handler = data_handler
        self.portfolio = portfolio
        self.order_manager = order_manager
        self.orchestrator = orchestrator
        self._books = books
        self._budget = budget
        self._broker = broker
        self._risk_manager = risk_manager
        self._order_desk = order_desk
        self._controllers = controllers
        self._strategies = strategies
        self._effects = Effects()
        self._is_stopping = False
        self._is_matching = isinstance(broker, SimulatedBroker)
        """Whether orders are carried out here: else whoever does it closes positions too."""
        self._wants_flat = False
        self._paired: set[ConnectorPair] = set()
        self._report_due_ns = 0
        self.begun_ns = 0
        """When the session's first life began."""
        self.funded_ns: dict[ConnectorPair, int] = {}
        """By market, when the last funding that was charged had been due."""
        self.inputs = 0
        """Inputs that were applied, over all lives."""
        for name, component, needs in (
            ("data_handler", data_handler, ()),
            ("portfolio", portfolio, ()),
            ("budget", budget, ("portfolio",)),
            ("order_manager", order_manager, ()),
            ("broker", broker, ()),
            ("risk_manager", risk_manager, ("portfolio", "order_manager")),
            ("order_desk", order_desk, ("risk_manager", "order_manager", "broker")),
            ("orchestrator", orchestrator, ("order_desk",)),
            ("controllers", controllers, ("orchestrator",)),
            ("strategies", strategies, ("order_desk",)),
        ):
            scope.register(name, component, needs=needs)

    @property
    def id(self) -> str:
        """Return the container's id."""
        return self._scope.id

    @property
    def events_published(self) -> int:
        """Return how many bus events there were."""
        return self._bus.events_published

    @property
    def metrics(self) -> ContainerMetrics:
        """Return what the container counted."""
        return self._scope.metrics

    @property
    def component_names(self) -> tuple[str, ...]:
        """Return the names of its components."""
        return self._scope.component_names

    @property
    def executor_count(self) -> int:
        """Return how many executors were ever created."""
        return self.orchestrator.created

    @property
    def is_stopped(self) -> bool:
        """Whether a stop was asked for and nothing is left to do."""
        if not self._is_stopping or not self.orchestrator.is_stopped:
            return False
        return not self._wants_flat and not (
            self._is_matching and self.order_manager.open_orders(owner_id=STRATEGY_OWNER)
        )

    def start(self) -> None:
        """Wire the components and let inputs in."""
        self._scope.initialize_scope()
        bus = self._bus
        bus.subscribe(BusKind.ORDER_UPDATE, self._on_order_update)
        bus.subscribe(BusKind.FILL, self._on_fill)
        bus.subscribe(BusKind.QUOTE, self._on_quote_event)
        bus.subscribe(BusKind.TIMER, self._on_timer)
        bus.subscribe(BusKind.RISK_LIMIT, self._on_risk_limit)
        self._scope.start()

    def close(self) -> None:
        """Stop and give everything back; the reports stay readable."""
        self._scope.teardown_scope()

    def apply(self, item: SessionInput) -> Effects:
        """Take one input and return what it caused."""
        self.clock.advance_to(item.ts_ns)
        self.inputs += 1
        wake_ns = self.orchestrator.next_wake_ns()
        if wake_ns is not None and wake_ns <= item.ts_ns and not _looks_back(item):
            self.orchestrator.on_time(item.ts_ns)
            self._settle()
        match item:
            case QuoteTick():
                self._take_quote(item)
            case FundingRate():
                self._take_funding(item)
            case StartInput():
                if not item.continues:
                    self.begun_ns = item.ts_ns
                self._bus.publish(BusKind.LIFECYCLE, item)
            case TimerInput():
                self._bus.publish(BusKind.TIMER, item)
            case ActionInput():
                self._take_action(item)
            case StopInput():
                self._begin_stop(keep_positions=item.keep_positions)
            case ForceStopInput():
                # Fills stay as position holds.
                self._is_stopping = True
                self._wants_flat = False
                self.orchestrator.force_stop()
            case _:
                assert_never(item)
        self._settle()
        self._go_flat()
        return self._take_effects()

    def _begin_stop(self, *, keep_positions: bool) -> None:
        self._is_stopping = True
        self._strategies.stop()
        if self._is_matching:
            self._cancel_strategies()
            self._wants_flat = not keep_positions
        self.orchestrator.begin_stop(
            keep_positions=keep_positions,
            max_close_attempts=CLOSE_ATTEMPTS,
            close_holds=not keep_positions,
        )

    def _go_flat(self) -> None:
        """Close what executors do not: holds when they have ended, then what strategies have."""
        if self.orchestrator.close_holds():
            self._settle()
        if self._wants_flat and self.orchestrator.is_stopped:
            self._wants_flat = False
            for market in sorted(self._strategies.markets):
                self._close_rest(market)
            self._settle()

    def _cancel_strategies(self) -> None:
        """Cancel what strategies have working: nobody would look after it."""
        for order in self.order_manager.open_orders(owner_id=STRATEGY_OWNER):
            request = order.request
            wish = CancelRequest(request.client_order_id, request.market, request.owner_id)
            self._order_desk.send(self._bus, wish)

    def _close_rest(self, market: ConnectorPair) -> None:
        """Close what a strategy has of *market*: all that no position hold accounts for."""
        held = sum(self.orchestrator.exposed_lots(market).values())
        lots = self.portfolio.net_lots(market) - held
        if lots:
            self._order_desk.send(
                self._bus,
                _closing_request(market, lots, client_order_id=f"{self.id}-flat-{market}"),
            )

    def quiet_below(self, market: ConnectorPair) -> tuple[int, ...] | None:
        """Return the least -bid, bid, -ask, ask, -mid and mid of *market* that do anything.

        A quote whose values are all below changes nothing but the mark: no order fills, nobody
        wakes. Mids are bid plus ask. None: the next quote has to be seen.
        """
        if not isinstance(self._broker, SimulatedBroker):
            return None
        keys = self.orchestrator.least_keys(market)
        resting = self._broker.resting_prices(market)
        if keys is None or resting is None:
            return None
        buy, sell = resting
        least = [NOTHING_REACHES if key == inf else int(key) for key in keys]
        if buy is not None:
            least[_MINUS_ASK] = min(least[_MINUS_ASK], -buy)
        if sell is not None:
            least[_BID] = min(least[_BID], sell)
        return tuple(least)

    def expect_report_at(self, ts_ns: int) -> None:
        """Let the next performance report come with the first timer from *ts_ns* on.

        For who leaves out timers that change nothing: reports keep their times.
        """
        self._report_due_ns = ts_ns

    def halt_entries(self, reason: str) -> None:
        """Let only exits and reductions pass, because of *reason*."""
        self._risk_manager.kill_switch.halt(reason)

    def resume_entries(self) -> None:
        """Let entries pass again; the drawdown counts from the equity of now."""
        self._risk_manager.kill_switch.resume(self.portfolio.equity_atoms)

    def cancel_entries(self) -> Effects:
        """Cancel working orders that may enlarge a position; protective ones stay."""
        for order in self.order_manager.open_orders():
            request = order.request
            if not request.is_closing:
                self._order_desk.send(
                    self._bus,
                    CancelRequest(request.client_order_id, request.market, request.owner_id),
                )
        self._settle()
        return self._take_effects()

    def take_reports(self, reports: Iterable[OrderReport], *, now_ns: int) -> Effects:
        """Take what became of orders that are carried out outside of the container."""
        self.clock.advance_to(now_ns)
        self._order_desk.take_reports(self._bus, reports)
        self._settle()
        return self._take_effects()

    def adopt_order(self, request: OrderRequest, *, now_ns: int) -> Effects:
        """Take in an order that a venue has already."""
        self.clock.advance_to(now_ns)
        order = self.order_manager.adopt(request, now_ns=now_ns)
        self._bus.publish(BusKind.ORDER_UPDATE, order, market=request.market)
        self._settle()
        return self._take_effects()

    def amend_order(
        self, client_order_id: str, *, lots: int, limit_ticks: int | None, now_ns: int
    ) -> Effects:
        """Take over what the venue says of an open order.

        Raises:
            NotFoundError: no order has this client id.
            IllegalTransition: the order is over.
        """
        self.clock.advance_to(now_ns)
        order = self.order_manager.amend(
            client_order_id, lots=lots, limit_ticks=limit_ticks, now_ns=now_ns
        )
        self._bus.publish(BusKind.ORDER_UPDATE, order, market=order.request.market)
        self._settle()
        return self._take_effects()

    def observe(self, kind: BusKind, handler: Callable[[BusEvent], None]) -> None:
        """Call *handler* first for every event of *kind*; it must change nothing."""
        self._bus.subscribe(kind, handler, priority=0, component="observer")

    def bar_strategies(self, reason: str) -> None:
        """Refuse every signal of the strategies, exits too, because of *reason*."""
        self._strategies.bar(reason)

    def admit_strategies(self) -> None:
        """Let the strategies' signals pass again."""
        self._strategies.bar("")

    def flatten(
        self, request_id: str, *, next_order_id: Callable[[], str] | None = None
    ) -> Effects:
        """Close every position by a market order, reduce-only.

        Args:
            request_id: makes the client order ids of this call differ from those of another one.
            next_order_id: gives the client order ids instead.
        """
        for position in self.portfolio.account_snapshot().positions:
            market, lots = position.market, position.net_lots
            if lots:
                leg = "" if position.side is PositionSide.BOTH else f"-{position.side.name}"
                self._order_desk.send(
                    self._bus,
                    _closing_request(
                        market,
                        lots,
                        client_order_id=(
                            f"{self.id}-{request_id}-{market.trading_pair}{leg}"
                            if next_order_id is None
                            else next_order_id()
                        ),
                        reduce_only=True,
                    ),
                )
        self._settle()
        return self._take_effects()

    def forget_order(self, client_order_id: str) -> None:
        """Drop a done order from the book of record."""
        self.order_manager.forget(client_order_id)
        self._broker.forget(client_order_id)

    def free_funds(self) -> FreeFunds:
        """Return what new orders may lock."""
        return self._budget.free_funds()

    def held_lots(self) -> Mapping[tuple[ConnectorPair, PositionSide], int]:
        """Return the signed lots that no executor manages, by market and position of it."""
        held: dict[tuple[ConnectorPair, PositionSide], int] = {}
        for summaries in self.orchestrator.get_positions_report().values():
            for position in summaries:
                market = ConnectorPair(position.connector_name, position.trading_pair)
                lots = self.data_handler.instrument(market).to_lots(position.amount)
                key = (market, position.position_side)
                held[key] = held.get(key, 0) + position.side.sign * lots
        return MappingProxyType(held)

    def differences(self) -> tuple[Difference, ...]:
        """Compare the books; call it between two inputs. Empty if they agree.

        What executors hold is not compared where strategies trade, or where an executor on two
        venues has: it leaves what it bought on one and sold on the other.
        """
        snapshots = self.orchestrator.snapshots(include_archived=True)
        for snapshot in snapshots:
            if isinstance(snapshot, TwoVenueSnapshot):
                config = snapshot.config
                names = ("buying_market", "selling_market")
                self._paired.update(getattr(config, name) for name in names)
        single = [one for one in snapshots if not isinstance(one, TwoVenueSnapshot)]
        unclear = self._paired | self._strategies.markets
        markets = self.data_handler.markets
        managed, held = executor_lots(single, markets), self.held_lots()
        held_of = dict.fromkeys(markets, 0)
        for (market, _), lots in held.items():
            held_of[market] += lots
        positions = position_differences(
            MarketBooks(
                self.data_handler.instrument(market),
                self.portfolio.net_lots(market),
                self._broker.net_lots(market),
                held_of[market],
                None if market in unclear else managed[market],
            )
            for market in markets
        )
        orders = order_differences(
            self.order_manager.open_orders(),
            (request.client_order_id for request in self._broker.open_orders()),
            (snapshot.id for snapshot in snapshots if not snapshot.is_done),
        )
        return (*positions, *orders)

    def _take_quote(self, quote: QuoteTick) -> None:
        bar = self.data_handler.on_quote(quote)
        self._keep_books()
        self._order_desk.match(self._bus, quote)
        self.portfolio.mark(quote.market, quote.bid_ticks + quote.ask_ticks)
        self._bus.drain()
        self._bus.publish(BusKind.QUOTE, quote, market=quote.market)
        if bar is not None:
            self._bus.publish(BusKind.BAR, bar, market=quote.market)

    def _keep_books(self) -> None:
        """Take over initial positions and charge foreign fees, as far as there are prices now."""
        for market, lots in self._books.take_over_positions():
            self._broker.take_over(market, lots)
            self._effects.markets[market] = None
            amount = self.data_handler.instrument(market).qty(lots)
            self._notice("info", f"{market}: an initial position of {amount} is taken over")
        if self._books.unconverted_fees:
            self._books.convert_fees()

    def _take_funding(self, due: FundingRate) -> None:
        self.funded_ns[due.market] = due.was_due_ns
        paid = self._books.pay_funding(due)
        if paid:
            self._effects.markets[due.market] = None
            verb = "received" if paid > 0 else "paid"
            rate = Decimal(due.rate_ppb) / PPB
            text = f"{due.market}: funding of {rate:f}: {verb} {abs(paid):f} {due.market.quote}"
            if due.due_ns:
                text += f", due at {to_iso(due.due_ns)} while the session was not running"
            self._notice("info", text)

    def _take_action(self, item: ActionInput) -> None:
        if item.verb in (STOP_CONTROLLER, START_CONTROLLER):
            result = self._steer_controller(item.verb, item.arguments)
            self._effects.results.append((item.request_id, result))
            return
        if item.verb == GIVE_UP:
            executor_id = str(item.arguments.get("executor_id", ""))
            reason = str(item.arguments.get("reason", "given up"))
            result = self.orchestrator.give_up(executor_id, reason)
            self._effects.results.append((item.request_id, result))
            return
        try:
            action = build_action(
                item.verb,
                self._with_controller(item.arguments),
                self.orchestrator.config_type_of,
            )
            result = self.orchestrator.execute_action(action)
        except ActionRefusedError as refusal:
            result = refusal.result
        self._effects.results.append((item.request_id, result))

    def controller_states(self) -> dict[str, str]:
        """Return by id whether each controller is running, stopped, or paused by its failures."""
        return self._controllers.states()

    def _steer_controller(self, verb: str, arguments: Mapping[str, Any]) -> ActionResult:
        """Let a controller propose nothing any more and stop what it has, or let it go on."""
        name = str(arguments.get("controller_id", ""))
        if name not in self._controllers.ids:
            known = ", ".join(self._controllers.ids) or "none"
            text = f"there is no controller {name!r}, there are: {known}"
            return ActionResult(ok=False, code=ActionCode.NO_CONTROLLER, message=text)
        if verb == START_CONTROLLER:
            self._controllers.start_controller(name)
            return ActionResult(ok=True, code=ActionCode.OK, message=f"controller {name} goes on")
        self._controllers.stop_controller(name)
        keep = arguments.get("keep_position")
        results = self.orchestrator.execute_actions(
            StopExecutorAction(
                controller_id=name, executor_id=executor.executor_id, keep_position=keep
            )
            for executor in self.orchestrator.executors(name)
            if executor.is_active
        )
        count = sum(result.ok for result in results)
        text = f"controller {name} is stopped, {count} of its executors are stopping"
        return ActionResult(ok=True, code=ActionCode.OK, message=text)

    def _with_controller(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Add whose executor it is: somebody outside names the executor only."""
        executor = self.orchestrator.find(str(arguments.get("executor_id", "")))
        owner = {} if executor is None else {"controller_id": executor.controller_id}
        return {**arguments, **owner}

    def _settle(self) -> None:
        """Send what executors want until nobody wants anything any more."""
        while True:
            self._bus.drain()
            intents = self.orchestrator.take_intents()
            if not intents:
                return
            for intent in intents:
                if isinstance(intent, OrderQuery):
                    self._answer(intent)
                else:
                    self._order_desk.send(self._bus, intent)

    def _answer(self, query: OrderQuery) -> None:
        """Tell an executor what became of an order that it has not heard of for a while."""
        order = self.order_manager.find_order(query.client_order_id)
        if order is None:
            self.orchestrator.on_order_missing(query)
        else:
            self.orchestrator.on_order_update(order)

    def _on_quote_event(self, event: BusEvent) -> None:
        if isinstance(event.payload, QuoteTick):
            self.orchestrator.on_quote(event.payload)

    def _on_timer(self, event: BusEvent) -> None:
        self._order_desk.land(self._bus, event.ts_ns)
        self.orchestrator.on_time(event.ts_ns)
        halt = self._risk_manager.observe_equity(now_ns=event.ts_ns)
        if halt is not None:
            self._notice("error", f"trading is halted: {halt.reason}")
        if event.ts_ns >= self._report_due_ns:
            self._report_due_ns = event.ts_ns + REPORT_INTERVAL_NS
            self._report()
        if not self._is_stopping:
            actions = self._controllers.on_tick(event.ts_ns)
            self._effects.actions.extend(actions)
            self._effects.notices.extend(self._controllers.take_notices())

    def _report(self) -> None:
        """Sample the performance; what has ended and is reported now will be archived."""
        self._effects.performance.update(self.orchestrator.get_all_performance())

    def _on_order_update(self, event: BusEvent) -> None:
        if isinstance(event.payload, Order):
            self._effects.orders[event.payload.request.client_order_id] = event.payload
            self.orchestrator.on_order_update(event.payload)

    def _on_fill(self, event: BusEvent) -> None:
        if isinstance(event.payload, Fill):
            self._effects.fills.append(event.payload)
            self._effects.markets[event.payload.market] = None
            if event.payload.fee_in is not None:
                self._books.take_fee(event.payload)
            if event.payload.role != STRATEGY_ROLE:  # a strategy hears of its own fills itself
                self.orchestrator.on_fill(event.payload)

    def _on_risk_limit(self, event: BusEvent) -> None:
        match event.payload:
            case Denied(reason=text):
                self._notice("warning", text)
            case Approved(note=text):
                self._notice("warning", text)
            case _:
                pass

    def _notice(self, level: Level, text: str) -> None:
        self._effects.notices.append(Notice(self.clock.now_ns(), level, "", text))

    def _take_effects(self) -> Effects:
        effects, self._effects = self._effects, Effects()
        orchestrator = self.orchestrator
        if changed := orchestrator.take_changed():
            effects.executors.update(dict.fromkeys(changed))
        effects.notices += orchestrator.take_notices()
        effects.archived += orchestrator.take_archived()
        return effects


def _looks_back(item: SessionInput) -> bool:
    """Whether *item* tells of the time before it: a restart, and funding that was due until then.

    Who held a position at that time pays, before anybody acts on the time that has passed.
    """
    return isinstance(item, StartInput) or (isinstance(item, FundingRate) and bool(item.due_ns))


def _closing_request(
    market: ConnectorPair, lots: int, *, client_order_id: str, reduce_only: bool = False
) -> OrderRequest:
    """Return the market order that takes *lots*, signed, off a strategy's position."""
    return OrderRequest(
        client_order_id=client_order_id,
        market=market,
        side=TradeType.SELL if lots > 0 else TradeType.BUY,
        order_type=OrderType.MARKET,
        lots=abs(lots),
        limit_ticks=None,
        position_action=PositionAction.CLOSE,
        leverage=1,
        owner_id=STRATEGY_OWNER,
        role=STRATEGY_ROLE,
        reduce_only=reduce_only,
    )
