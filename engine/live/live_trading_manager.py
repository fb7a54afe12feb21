"""Live strategies, each in a container of its own with health, breaker and guards (LIVE-1 to 5).

In paper the broker of each container is the simulated one with tick rules and there is no order
router: no order leaves the process. With a router the same code sends orders to a venue and keeps
the books equal to the venue's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from engine import flow
from engine.execution.broker import BrokerHealth
from engine.live.circuit_breaker import CircuitBreaker
from engine.live.crossing import find_crossings
from engine.live.health import HealthCheck
from engine.live.intent_log import IntentLog, IntentLogError, ReportRecord, SubmitIntent
from engine.live.live_broker import LiveBroker
from engine.live.live_config import LiveBrokerSection, LiveConfig
from engine.live.live_state import LiveState
from engine.live.live_status import LiveStatus
from engine.live.live_strategy import (
    LiveStrategyContainer,
    Policy,
    find_live_broker,
)
from engine.live.order_ids import strategy_of
from engine.live.order_router import (
    OrderRouter,
    UnknownOutcomeError,
    VenueError,
    VenueFill,
    VenueUpdate,
)
from engine.live.reconciling import RETRY_NS, Reconciliation
from engine.live.shadow import ShadowReport
from engine.live.virtual_portfolio import UNATTRIBUTED, AccountBook, VirtualPortfolio
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick
from engine.strategies.catalogue import StrategyType, strategy_types

VENUE: Final = "venue"


@dataclass(frozen=True, slots=True)
class RetiredStrategy:
    """What can be said of a strategy after its end."""

    status: LiveStatus
    shadow: ShadowReport
    calibration: Mapping[str, Any]


class LiveTradingManager:
    """Adds, watches, pauses and removes live strategies of one account.

    Belongs to one thread, but for the registry: strategies may be added and looked up from others,
    and its lock is not held while a strategy starts.

    Args:
        instruments: the markets.
        account_equity: what may be allocated to strategies, less the reserve.
        now_ns: the time.
        currency: of the account.
        parity: quote assets that count 1:1.
        reserve: share of the equity that is never allocated (LIVE-3).
        strategies: strategy types instead of the shipped ones.
        internal_crossing: whether opposite orders of two strategies meet inside, at the mid.
        order_router: the connection to the venue; None: paper only.
        intent_log: where orders are written down before they are sent; live needs one.
        rss_bytes: returns the memory of the process for the health checks.
    """

    def __init__(
        self,
        *,
        instruments: Mapping[ConnectorPair, Instrument],
        account_equity: Decimal,
        now_ns: Callable[[], int],
        currency: str = "USD",
        parity: Sequence[str] = (),
        reserve: Decimal = Decimal("0.05"),
        strategies: Mapping[str, StrategyType] | None = None,
        internal_crossing: bool = False,
        order_router: OrderRouter | None = None,
        intent_log: IntentLog | None = None,
        rss_bytes: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._instruments = dict(instruments)
        self._account_equity = account_equity
        self._now_ns = now_ns
        self._currency = currency
        self._parity = tuple(parity)
        self._reserve = reserve
        self._types = strategy_types() if strategies is None else dict(strategies)
        self._lock = threading.Lock()
        self._strategies: dict[str, LiveStrategyContainer] = {}
        self._reserved: dict[str, Decimal] = {}
        """Capital of each strategy, from before it starts until after it is gone."""
        self._venue_breakers: dict[str, CircuitBreaker] = {}
        self._router = order_router
        self._intents = intent_log
        self._rss_bytes = rss_bytes
        self._reconciliation: Reconciliation | None = None
        self._is_connected = True
        self._owes_comparison = False
        self._health_due_ns = 0
        self._transfers = 0
        self._transfer_to: dict[str, str] = {}
        self._stopping: set[str] = set()
        self._orphans: dict[str, list[VenueFill]] = {}
        """Fills of strategies that are not here (yet), by strategy; booked as nobody's."""
        self._quotes: dict[ConnectorPair, QuoteTick] = {}
        self.retired: dict[str, RetiredStrategy] = {}
        """What is left of strategies that were removed, the newest of each id."""
        self.book = AccountBook(internal_crossing=internal_crossing)

    @property
    def strategies(self) -> Mapping[str, LiveStrategyContainer]:
        """Return the strategies by id."""
        return self._strategies

    @property
    def reconciliation(self) -> Reconciliation | None:
        """Return what compares the books with the venue; None before the first live strategy."""
        return self._reconciliation

    def add_strategy(
        self,
        strategy_id: str,
        config: LiveConfig | Mapping[str, Any],
        *,
        market: ConnectorPair | None = None,
        kind: StrategyType | Sequence[StrategyType] | None = None,
    ) -> LiveStrategyContainer:
        """Start a strategy; several of one configuration share a container and its portfolio.

        Args:
            strategy_id: unique in the account.
            config: its configuration, or the values of one.
            market: what it trades instead of the configuration's market; by default the only one.
            kind: how its strategies are made, for those that are not among the manager's types.

        Raises:
            ExistsError: the id is taken.
            ConfigurationError: its capital does not fit, its strategy or its market is not known,
                or it is to trade live without a router or a log of its orders.
        """
        checked = config if isinstance(config, LiveConfig) else LiveConfig.model_validate(config)
        _check_isolation(strategy_id, checked)
        kinds = self._kinds(checked, kind)
        traded = [
            market or self._market(strategy_id, section.market or checked.market)
            for section in checked.components.all_strategies
        ]
        broker = self._live_broker(strategy_id, checked)
        capital = checked.components.portfolio.allocated_capital
        with self._lock:
            if strategy_id in self._reserved:
                raise flow.ExistsError(f"strategy {strategy_id} exists already")
            self._check_capital(strategy_id, capital)
            self._reserved[strategy_id] = capital
        try:
            live = LiveStrategyContainer(
                strategy_id,
                checked,
                kinds=kinds,
                markets=traded,
                instruments=self._instruments,
                currency=self._currency,
                parity=self._parity,
                broker=broker,
                first_number=0 if self._intents is None else self._intents.next_number(strategy_id),
                venue_breaker=self._venue_breaker(traded[0].connector_name, checked),
            )
            for text in checked.warnings:
                live.alert(text)
            live.start(self._now_ns())
        except BaseException:
            with self._lock:
                del self._reserved[strategy_id]
            raise
        portfolio = VirtualPortfolio(
            strategy_id,
            tuple(self._instruments.values()),
            allocated_capital=capital,
            currency=self._currency,
        )
        with self._lock:
            self.book.add(portfolio)
            self._strategies[strategy_id] = live
        if broker is not None:
            self._restore(live, broker)
            for fill in self._orphans.pop(strategy_id, ()):
                self.book.claim(fill.trade_id)
                self.take_venue_fill(fill)
        self._gate(live)
        return live

    def remove_strategy(
        self, strategy_id: str, policy: Policy = "flatten", *, transfer_to: str | None = None
    ) -> bool:
        """Stop a strategy and forget it.

        Its entries end first, then what works is cancelled, then comes the policy: flatten closes
        its positions, keep leaves them at the account as unattributed, transfer books them to
        another strategy at the last mark (without one they become unattributed too). The strategy
        is gone when all its orders have ended, or after ten seconds.

        Args:
            strategy_id: which.
            policy: flatten, keep or transfer.
            transfer_to: who takes the positions over.

        Returns:
            Whether it is gone already; otherwise `work` goes on with it.

        Raises:
            NotFoundError: there is none of this id.
            ValidationError: the policy is not known.
        """
        live = self._get(strategy_id)
        if policy not in ("flatten", "keep", "transfer"):
            raise flow.ValidationError(
                f"policy {policy!r} is not known, allowed: flatten, keep, transfer"
            )
        if transfer_to is not None:
            self._get(transfer_to)
            self._transfer_to[strategy_id] = transfer_to
        live.begin_stop(policy)
        self.book_fills(live)
        self._stopping.add(strategy_id)
        self._finish_stops()
        return strategy_id not in self._strategies

    def pause(self, strategy_id: str) -> None:
        """Stop a strategy's entries.

        Raises:
            NotFoundError: there is none of this id.
        """
        self._get(strategy_id).pause()

    def resume(self, strategy_id: str) -> None:
        """Let a strategy run again; only a person does this after a halt.

        Raises:
            NotFoundError: there is none of this id.
        """
        live = self._get(strategy_id)
        if self._reconciliation is not None:
            self._reconciliation.accept_balances()
        live.resume()
        self._gate(live)

    def flatten(self, strategy_id: str) -> None:
        """Close the positions of one strategy.

        Raises:
            NotFoundError: there is none of this id.
        """
        live = self._get(strategy_id)
        live.flatten()
        self.book_fills(live)

    def flatten_all(self) -> None:
        """Close all positions of all strategies."""
        for strategy_id in list(self._strategies):
            self.flatten(strategy_id)

    def status(self) -> tuple[LiveStatus, ...]:
        """Return what can be said of each strategy, in the order in which they were added."""
        return tuple(one.status() for one in self._all())

    def shadow_reports(self) -> Mapping[str, ShadowReport]:
        """Return how far each strategy's fills were from their predictions (LIVE-12)."""
        reports = {name: one.shadow for name, one in self.retired.items()}
        return {**reports, **{one.id: one.shadow.report() for one in self._all()}}

    def on_quote(self, quote: QuoteTick) -> None:
        """Fan a quote out to the strategies; bounded queues, none holds up another (CONT-13)."""
        self._quotes[quote.market] = quote
        self.book.mark_twice(quote.market, quote.bid_ticks + quote.ask_ticks)
        for live in self._all():
            live.offer(quote)

    def work(self) -> int:
        """Let every strategy handle what it has; return how many quotes were handled."""
        now_ns = self._now_ns()
        self._check_health_if_due(now_ns)
        self._follow_venue(now_ns)
        handled = self._work_crossing(now_ns) if self.book.internal_crossing else 0
        for live in self._all():
            handled += live.work(now_ns)
            self.book_fills(live)
        self._reconcile_if_due(now_ns)
        self._finish_stops()
        return handled

    def check_health(self) -> Mapping[str, HealthCheck]:
        """Judge every strategy."""
        now_ns, rss = self._now_ns(), self._rss_bytes()
        return {one.id: one.check_health(now_ns, rss_bytes=rss) for one in self._all()}

    def reconcile(self) -> bool:
        """Compare the books with the venue now; return whether it could be asked."""
        now_ns = self._now_ns()
        if self._reconciliation is None:
            self._compare_paper(now_ns)
            return True
        return self._reconciliation.run(now_ns)

    def close(self) -> None:
        """Stop everything and keep the positions; what still works is left to the next start."""
        for strategy_id in list(self._strategies):
            self.remove_strategy(strategy_id, "keep")
        for strategy_id in list(self._strategies):
            self._forget(self._strategies[strategy_id])

    # --- what reconciliation needs ---------------------------------------------------------------

    def owner_of(self, client_order_id: str) -> LiveStrategyContainer | None:
        """Return the strategy that an order belongs to, None if it is of nobody here."""
        name = strategy_of(client_order_id)
        return None if name is None else self._strategies.get(name)

    def take_venue_fill(self, fill: VenueFill) -> None:
        """Book a fill that the venue has, once: at its strategy, or as nobody's."""
        live = self.owner_of(fill.client_order_id)
        broker = None if live is None else find_live_broker(live.broker)
        if live is None or broker is None:
            name = strategy_of(fill.client_order_id)
            if name is not None:
                self._orphans.setdefault(name, []).append(fill)
            self._book_foreign(fill)
            return
        if broker.has_fill(fill.trade_id):
            return
        if not broker.has_order(fill.client_order_id) and not self._adopt(live, broker, fill):
            self._book_foreign(fill)
            return
        self._give(live, broker, fill)
        self.book_fills(live)

    def book_fills(self, live: LiveStrategyContainer) -> None:
        """Book what a strategy has filled."""
        while live.fills_taken:
            self.book.attribute(live.id, live.fills_taken.popleft())

    def _give(self, live: LiveStrategyContainer, broker: LiveBroker, update: VenueUpdate) -> None:
        """Give news to its strategy; what cannot be written down is asked for again."""
        try:
            reports = broker.on_update(update, now_ns=self._now_ns())
        except IntentLogError as error:
            live.degrade("log", error.message)
            broker.needs_reconciliation = True
            return
        live.recover("log")
        live.report(reports)

    # --- inside ----------------------------------------------------------------------------------

    def _all(self) -> list[LiveStrategyContainer]:
        with self._lock:
            return list(self._strategies.values())

    def _kinds(
        self, config: LiveConfig, given: StrategyType | Sequence[StrategyType] | None
    ) -> Sequence[StrategyType]:
        if given is not None:
            return (given,) if isinstance(given, StrategyType) else given
        names = [one.kind for one in config.components.all_strategies]
        for name in names:
            if name not in self._types:
                raise flow.ConfigurationError(
                    f"strategy {name!r} is not known, allowed: {', '.join(sorted(self._types))}"
                )
        return [self._types[name] for name in names]

    def _market(self, strategy_id: str, wanted: str | None) -> ConnectorPair:
        known = list(self._instruments)
        if wanted is None:
            if len(known) == 1:
                return known[0]
            listed = ", ".join(map(str, known)) or "none"
            raise flow.ConfigurationError(
                f"strategy {strategy_id}: market is missing, the account trades: {listed}"
            )
        for market in known:
            if wanted in (str(market), market.trading_pair):
                return market
        raise flow.ConfigurationError(
            f"strategy {strategy_id}: market {wanted!r} is not known, allowed: "
            f"{', '.join(map(str, known))}"
        )

    def _live_broker(self, strategy_id: str, config: LiveConfig) -> LiveBroker | None:
        section = config.components.broker
        if not isinstance(section, LiveBrokerSection):
            return None
        if self._router is None:
            raise flow.ConfigurationError(
                f"strategy {strategy_id}: mode LIVE_TRADING needs the order router "
                f"{section.order_router!r} and none is connected: connections to venues come with "
                "a later version, use mode PAPER_TRADING with the broker class SimulatedBroker"
            )
        if self._intents is None:
            raise flow.ConfigurationError(
                f"strategy {strategy_id}: mode LIVE_TRADING needs a log of its orders: nothing is "
                "sent that was not written down (intent_log)"
            )
        if self._reconciliation is None:
            self._reconciliation = Reconciliation(
                account=self,
                book=self.book,
                router=self._router,
                instruments=self._instruments,
                cancel_foreign=section.cancel_foreign,
            )
        return LiveBroker(
            strategy_id=strategy_id,
            router=self._router,
            intents=self._intents,
            instruments=self._instruments,
            ack_timeout_ns=section.ack_timeout_s * SECOND_NS,
            is_alone=lambda market: self._is_alone(strategy_id, market),
        )

    def _is_alone(self, strategy_id: str, market: ConnectorPair) -> bool:
        """Whether the account's position of *market* is this strategy's and nobody else's."""
        return not self.book.unattributed(market) and not any(
            one.container.portfolio.net_lots(market)
            or one.container.order_manager.open_count_of(market)
            for one in self._all()
            if one.id != strategy_id
        )

    def _venue_breaker(self, name: str, config: LiveConfig) -> CircuitBreaker:
        return self._venue_breakers.setdefault(name, CircuitBreaker(config.circuit_breaker))

    def _restore(self, live: LiveStrategyContainer, broker: LiveBroker) -> None:
        """Rebuild a strategy's orders and fills from what an earlier life wrote down."""
        if self._intents is None:
            return
        for record in self._intents.records(live.id):
            match record:
                case SubmitIntent():
                    broker.restore(record.request)
                    live.adopt(record.request)
                case ReportRecord():
                    broker.restore_report(record.report)
                    live.report((record.report,), is_ours=True)
                case _:
                    pass
        self.book_fills(live)

    def _gate(self, live: LiveStrategyContainer) -> None:
        """Let a strategy run when its books agree with the venue (at once in paper)."""
        if live.state is not LiveState.RECONCILING:
            return
        if find_live_broker(live.broker) is None:
            live.pass_gate()
            return
        if self._reconciliation is not None and self._reconciliation.run(self._now_ns()):
            live.pass_gate()

    def _follow_venue(self, now_ns: int) -> None:
        """Take the venue's news, and notice when it goes and comes back."""
        router = self._router
        if router is None:
            return
        is_connected = router.health() is not BrokerHealth.UNHEALTHY
        for live in self._all():
            if find_live_broker(live.broker) is None:
                continue
            if not is_connected:
                live.degrade(VENUE, f"{router.name} cannot be reached")
        if is_connected:
            self._take_news(router, now_ns)
        if is_connected and not self._is_connected:
            self._owes_comparison = True
        self._is_connected = is_connected

    def _take_news(self, router: OrderRouter, now_ns: int) -> None:
        try:
            updates = router.take_updates(now_ns)
        except (VenueError, UnknownOutcomeError):
            return
        for update in updates:
            if isinstance(update, VenueFill):
                self.take_venue_fill(update)
                continue
            owner = self.owner_of(update.client_order_id)
            broker = None if owner is None else find_live_broker(owner.broker)
            if owner is None or broker is None or not broker.has_order(update.client_order_id):
                continue
            self._give(owner, broker, update)

    def _reconcile_if_due(self, now_ns: int) -> None:
        lives = self._all()
        if not lives:
            return
        interval = min(one.config.components.portfolio.reconciliation_interval for one in lives)
        reconciliation = self._reconciliation
        if reconciliation is None:
            last = min(one.reconciled_ns or 0 for one in lives)
            if now_ns - last >= interval * SECOND_NS:
                self._compare_paper(now_ns)
            return
        last = reconciliation.last_ns or 0
        wanted = any(
            (broker := find_live_broker(one.broker)) is not None and broker.needs_reconciliation
            for one in lives
        )
        at_gate = any(one.state is LiveState.RECONCILING for one in lives)
        due = RETRY_NS if wanted or at_gate else interval * SECOND_NS
        if self._owes_comparison:
            due = 0
        if self._is_connected and now_ns - last >= due and reconciliation.run(now_ns):
            self._owes_comparison = False
            for live in lives:
                live.recover(VENUE)
                live.pass_gate()
                self.book_fills(live)

    def _compare_paper(self, now_ns: int) -> None:
        """Compare the books of each paper strategy with each other."""
        for live in self._all():
            differences: list[object] = []
            if not live.has_working_orders:
                differences += live.container.differences()
            live.reconciled_ns = now_ns
            book = self.book.portfolios.get(live.id)
            held = live.container.portfolio.net_lots
            if book is not None and any(
                book.net_lots(market) != held(market) for market in live.markets
            ):
                differences.append(f"the virtual portfolio of {live.id} is not its container's")
            if differences:
                live.degrade("position", "; ".join(map(str, differences)))
            else:
                live.recover("position")

    def _check_health_if_due(self, now_ns: int) -> None:
        lives = [one for one in self._all() if one.config.monitoring_enabled]
        if not lives or now_ns < self._health_due_ns:
            return
        is_first = not self._health_due_ns
        interval = min(one.config.health_check_interval for one in lives)
        self._health_due_ns = now_ns + interval * SECOND_NS
        if is_first:
            return
        rss = self._rss_bytes()
        for live in lives:
            live.check_health(now_ns, rss_bytes=rss)

    def _work_crossing(self, now_ns: int) -> int:
        """Let all strategies see each quote before any order goes out, and cross opposite ones."""
        handled = 0
        while True:
            lives = self._all()
            seen = sum(one.handle_one(now_ns) for one in lives)
            self._dispatch_crossing(lives)
            if not seen:
                return handled
            handled += seen

    def _dispatch_crossing(self, lives: Sequence[LiveStrategyContainer]) -> None:
        waiting = {one.id: one.outbox.take() for one in lives}
        rest = find_crossings({one.id: one for one in lives}, waiting, self.book, self._quotes)
        for live in lives:
            live.carry_out(rest[live.id])
            live.dispatch()
            self.book_fills(live)

    def _finish_stops(self) -> None:
        now_ns = self._now_ns()
        for strategy_id in list(self._stopping):
            live = self._strategies[strategy_id]
            self.book_fills(live)
            if live.state is LiveState.FAILED or live.is_stop_over(now_ns):
                self._forget(live)

    def _forget(self, live: LiveStrategyContainer) -> None:
        target = self._transfer_to.pop(live.id, None)
        if live.stop_policy == "transfer" and target in self._strategies:
            self._transfer(live, self._strategies[target])
        elif find_live_broker(live.broker) is not None:
            # The log must not say that it holds what is nobody's from now on.
            self._transfer(live, None)
        if live.has_working_orders:
            left = live.container.order_manager.open_count
            text = f"HEALTH: strategy {live.id} has stopped with {left} orders without an end"
            live.alert(text)
            self.book.warnings.append(text)
        live.close()
        self.retired[live.id] = RetiredStrategy(
            live.status(), live.shadow.report(), live.shadow.calibration()
        )
        self._stopping.discard(live.id)
        with self._lock:
            del self._strategies[live.id]
            del self._reserved[live.id]
            self.book.remove(live.id)

    def _transfer(
        self, source: LiveStrategyContainer, target: LiveStrategyContainer | None
    ) -> None:
        """Book what *source* holds to *target*, or to nobody, at the last mark and free of fees."""
        portfolio = self.book.portfolios[source.id]
        for market in self._instruments:
            lots, ticks = portfolio.net_lots(market), portfolio.mark_ticks(market)
            if not lots or ticks <= 0:
                continue
            self._transfers += 1
            name = f"transfer{self._transfers}"
            source.transfer(market, lots=-lots, ticks=ticks, name=name)
            self.book_fills(source)
            if target is None:
                self.book.leave(market, lots)
                continue
            target.transfer(market, lots=lots, ticks=ticks, name=name)
            self.book_fills(target)

    def _adopt(self, live: LiveStrategyContainer, broker: LiveBroker, fill: VenueFill) -> bool:
        """Take in the order of a fill that nobody here had written down."""
        if self._router is None:
            return False
        try:
            found = self._router.find_order(fill.client_order_id)
        except (VenueError, UnknownOutcomeError):
            return False
        if found is None:
            return False
        live.alert(f"HEALTH: order {fill.client_order_id} is ours by its id and is adopted")
        broker.adopt(found.request, now_ns=self._now_ns())
        live.adopt(found.request)
        return True

    def _book_foreign(self, fill: VenueFill) -> None:
        instrument = self._instruments.get(fill.market)
        if instrument is None:
            return
        nobodys = fill.to_fill(instrument, owner_id=UNATTRIBUTED, role=UNATTRIBUTED)
        self.book.attribute(None, nobodys)

    def _check_capital(self, strategy_id: str, wanted: Decimal) -> None:
        taken = sum(self._reserved.values(), Decimal(0))
        limit = self._account_equity * (1 - self._reserve)
        if taken + wanted > limit:
            raise flow.ConfigurationError(
                f"strategy {strategy_id}: capital {wanted} with {taken} of the others is above "
                f"{limit} (account equity {self._account_equity}, reserve {self._reserve})"
            )

    def _get(self, strategy_id: str) -> LiveStrategyContainer:
        found = self._strategies.get(strategy_id)
        if found is None:
            known = ", ".join(self._strategies) or "none"
            raise flow.NotFoundError(f"there is no strategy {strategy_id}, known: {known}")
        return found


def _check_isolation(strategy_id: str, config: LiveConfig) -> None:
    """Refuse several strategies that are to have a container each in one container."""
    if len(config.containers()) > 1:
        raise flow.ConfigurationError(
            f"strategy {strategy_id}: isolation_level full gives each of the "
            f"{len(config.components.strategies)} strategies a container of its own: add them one "
            "by one (LiveConfig.containers), or set isolation_level to portfolio"
        )
