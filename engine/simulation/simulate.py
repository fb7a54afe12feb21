"""Plays a scenario and tells everything that happened."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.containers.account_books import AccountBooks
from engine.containers.action_builder import ActionRefusedError, build_action
from engine.execution.commission import MakerTakerCommission
from engine.execution.order_manager import OrderManager
from engine.execution.reports import OrderFilled, OrderReport
from engine.execution.simulated_broker import SimulatedBroker
from engine.execution.slippage import NoSlippage
from engine.executors.actions import ActionCode, ActionResult
from engine.executors.factory import load_builtin_executors
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.executors.position_store import InitialPosition
from engine.executors.step import Intent, Notice
from engine.flow.errors import EngineError, OperationError, ValidationError
from engine.model.clock import SimulatedClock
from engine.model.funding import FundingRate
from engine.model.instruments import (
    PPB,
    ConnectorPair,
    Instrument,
    OffGridError,
    Settlement,
)
from engine.model.orders import Fill, Order, OrderQuery, OrderRequest, PositionMode
from engine.model.quotes import QuoteTick
from engine.portfolio.portfolio import Portfolio
from engine.simulation.scenario import ActionStep, InstrumentSection, Scenario, Step
from engine.simulation.scenario_report import ScenarioReport, scenario_report
from engine.simulation.scenario_venue import ScenarioVenue

ROUNDS_PER_INSTANT = 10_000
"""Orders and answers may follow each other at one instant; more than this is a loop."""


def simulate(scenario: Scenario) -> ScenarioReport:
    """Play *scenario* and return its report.

    Raises:
        EngineError: a step cannot be carried out; the message names it.
    """
    load_builtin_executors()
    return _Play(scenario).run()


class RefusedExecutorError(ValidationError):
    """An executor of the file cannot be created."""


class _Play:
    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._instruments = {
            item.market: item
            for item in (_instrument(one, scenario) for one in scenario.all_instruments)
        }
        self._clock = SimulatedClock(scenario.start)
        quotes = {market.quote for market in self._instruments}
        self._portfolio = Portfolio(
            instruments=self._instruments,
            initial_cash={
                asset: amount for asset, amount in scenario.balances.items() if asset in quotes
            },
            account_currency=next(iter(self._instruments)).quote,
            parity=quotes,
        )
        self._venue = ScenarioVenue(
            clock=self._clock,
            instruments=self._instruments,
            portfolio=self._portfolio,
            opening={
                asset: amount for asset, amount in scenario.balances.items() if asset not in quotes
            },
            broker=self._broker(),
            rates=scenario.fixed_rates,
            gas={
                ConnectorPair(one.connector_name, one.trading_pair): (one.gas_token, one.gas)
                for one in scenario.all_instruments
                if one.gas
            },
            seed=scenario.seed,
        )
        self._orchestrator = ExecutorOrchestrator(
            strategy=self._venue,
            executors_update_interval=float(scenario.update_interval),
            executors_max_retries=scenario.max_retries,
            initial_positions_by_controller=_initial_positions(scenario, self._instruments),
            settings=scenario.settings,
            capital_by_controller=scenario.total_amount_quote,
        )
        self._books = AccountBooks(
            portfolio=self._portfolio,
            orchestrator=self._orchestrator,
            rate_of=self._venue.rate,
        )
        self._executor_ids: list[str] = []
        self._cancels: list[tuple[int, str]] = []
        self._notices: list[Notice] = []
        self._results: list[tuple[int, str, str, str]] = []

    @property
    def _orders(self) -> OrderManager:
        return self._venue.order_manager

    def run(self) -> ScenarioReport:
        has_started = False
        for number, step in enumerate(self._scenario.steps):
            self._advance_to(self._scenario.start + step.at)
            self._venue.reject_next += step.reject_next
            self._venue.fail_cancels += step.fail_cancels
            try:
                self._take_quotes(step)
                if not has_started:
                    has_started = True
                    self._create_all()
                self._play(step)
            except RefusedExecutorError:
                raise
            except EngineError as error:
                raise OperationError(f"step {number}: {error.message}", cause=error) from error
            except OffGridError as error:
                raise OperationError(f"step {number}: {error}", cause=error) from error
        if not has_started:
            self._create_all()
        return scenario_report(
            orchestrator=self._orchestrator,
            executor_ids=self._executor_ids,
            orders=self._venue.orders_with_late_fills(),
            instruments=self._instruments,
            cancels=self._cancels,
            notices=self._notices,
            results=self._results,
            account=self._portfolio.account_snapshot(),
        )

    def _create_all(self) -> None:
        """Create the executors of the file; one that is refused is a mistake in the file."""
        for number, config in enumerate(self._scenario.all_executors):
            arguments = _creation(config)
            result = self._act("create", arguments)
            if result.code is ActionCode.CREATE_FAILED:
                raise RefusedExecutorError(f"executor {number}: {result.message}")

    def _play(self, step: Step) -> None:
        venue = self._venue
        for fill_step in step.fills:
            for fill in venue.fill(fill_step):
                self._venue.reports.append(OrderFilled(fill))
            self._settle()
        for reject in step.rejects:
            venue.reject(reject)
            self._settle()
        for cancel in step.cancels:
            venue.cancel_by_venue(cancel)
            self._settle()
        for payment in step.funding:
            market = _instrument_of(payment.market, self._instruments).market
            due = FundingRate(market, self._clock.now_ns(), int(payment.rate * PPB))
            self._books.pay_funding(due)
        for lost in step.lost:
            venue.lose(lost)
        for action in step.actions:
            self._act(action.verb, self._arguments(action))

    def _take_quotes(self, step: Step) -> None:
        for quote in _quotes(step, self._instruments, self._clock.now_ns()):
            self._venue.take_quote(quote)
            for market, lots in self._books.take_over_positions():
                self._venue.take_over(market, lots)
            self._books.convert_fees()
            self._settle()
            self._orchestrator.on_quote(quote)
            self._settle()

    def _advance_to(self, at_ns: int) -> None:
        """Move the clock through every instant that an executor waits for."""
        for _ in range(ROUNDS_PER_INSTANT):
            wake_ns = self._orchestrator.next_wake_ns()
            if wake_ns is None or wake_ns > at_ns:
                self._clock.advance_to(at_ns)
                return
            self._clock.advance_to(wake_ns)
            self._orchestrator.on_time(max(wake_ns, self._clock.now_ns()))
            self._settle()
        raise OperationError(f"executors ask to be woken again and again before {at_ns}")

    def _act(self, verb: str, arguments: Mapping[str, Any]) -> ActionResult:
        try:
            result = self._orchestrator.execute_action(build_action(verb, arguments))
        except ActionRefusedError as refusal:
            result = refusal.result
        if verb == "create" and result.ok and result.executor_id is not None:
            self._executor_ids.append(result.executor_id)
        self._results.append((self._clock.now_ns(), verb, result.code.value, result.message))
        self._settle()
        return result

    def _arguments(self, action: ActionStep) -> dict[str, Any]:
        if action.verb == "create":
            return _creation(action.config, action.controller_id)
        executor_id = self._executor_id(action.executor)
        executor = self._orchestrator.find(executor_id)
        owner = "main" if executor is None else executor.controller_id
        return {
            "executor_id": executor_id,
            "controller_id": action.controller_id or owner,
            "keep_position": action.keep_position,
            "changes": action.changes,
        }

    def _executor_id(self, reference: int | str | None) -> str:
        if isinstance(reference, str):
            return reference
        index = reference or 0
        if index >= len(self._executor_ids):
            raise ValidationError(
                f"there is no executor {index}, {len(self._executor_ids)} were created"
            )
        return self._executor_ids[index]

    def _settle(self) -> None:
        """Let orders and answers follow each other until nothing is left to say."""
        for _ in range(ROUNDS_PER_INSTANT):
            for intent in self._orchestrator.take_intents():
                self._send(intent)
            if not self._venue.reports:
                self._notices.extend(self._orchestrator.take_notices())
                return
            self._take_report(self._venue.reports.popleft())
        raise OperationError("orders and answers follow each other without end")

    def _send(self, intent: Intent) -> None:
        if isinstance(intent, OrderQuery):
            known = self._orders.find_order(intent.client_order_id)
            if known is None or intent.client_order_id in self._venue.lost:
                self._orchestrator.on_order_missing(intent)
            else:
                self._orchestrator.on_order_update(known)
            return
        if isinstance(intent, OrderRequest):
            self._orchestrator.on_order_update(self._venue.submit(intent))
            return
        self._cancels.append((self._clock.now_ns(), intent.client_order_id))
        order = self._venue.cancel(intent)
        if order is not None:
            self._orchestrator.on_order_update(order)

    def _take_report(self, report: OrderReport) -> None:
        if isinstance(report, OrderFilled) and self._venue.is_late(report.fill):
            # It crossed the cancel: the venue had executed it before it said that the order ended.
            if self._venue.book_late(report.fill):
                self._books.take_fee(report.fill)
            self._orchestrator.on_fill(report.fill)
            return
        order = self._orders.apply(report)
        if order is None:
            if isinstance(report, OrderFilled):
                # A repeated fill: executors must ignore it too.
                self._orchestrator.on_fill(report.fill)
            return
        if isinstance(report, OrderFilled):
            self._take_fill(report.fill, order)
        self._venue.settle(order)
        self._orchestrator.on_order_update(order)

    def _take_fill(self, fill: Fill, order: Order) -> None:
        self._venue.book(fill, order)
        self._books.take_fee(fill)
        self._orchestrator.on_fill(fill)

    def _broker(self) -> SimulatedBroker | None:
        if self._scenario.matching == "scripted":
            return None
        return SimulatedBroker(
            instruments=self._instruments,
            slippage=NoSlippage(),
            commission=MakerTakerCommission(None, None),
        )


def _creation(config: Mapping[str, Any], controller_id: str | None = None) -> dict[str, Any]:
    return {
        "executor_type": config.get("type", ""),
        "config": config,
        "controller_id": controller_id or str(config.get("controller_id") or "main"),
    }


def _initial_positions(
    scenario: Scenario, instruments: Mapping[ConnectorPair, Instrument]
) -> dict[str, list[InitialPosition]]:
    found: dict[str, list[InitialPosition]] = {}
    for one in scenario.initial_positions:
        name = f"{one.connector_name}:{one.trading_pair}"
        instrument = _instrument_of(name, instruments)
        try:
            instrument.to_lots(one.amount)
        except OffGridError as error:
            raise ValidationError(f"initial position: {error}", cause=error) from error
        position = InitialPosition(instrument.market, one.amount, one.side)
        found.setdefault(one.controller_id, []).append(position)
    return found


def _instrument(section: InstrumentSection, scenario: Scenario) -> Instrument:
    is_spot = section.kind == "spot"
    try:
        return Instrument(
            ConnectorPair(section.connector_name, section.trading_pair),
            section.tick,
            section.lot,
            min_qty=section.min_amount,
            min_notional=section.min_notional,
            settlement=Settlement.SPOT if is_spot else Settlement.DERIVATIVE,
            shortable=not is_spot,
            is_hedged=not is_spot and scenario.position_mode is PositionMode.HEDGE,
            maker_ppb=int(scenario.fees.maker * PPB),
            taker_ppb=int(scenario.fees.taker * PPB),
        )
    except ValueError as error:
        raise ValidationError(f"instrument: {error}", cause=error) from error


def _quotes(
    step: Step, instruments: Mapping[ConnectorPair, Instrument], now_ns: int
) -> list[QuoteTick]:
    prices: list[tuple[str | None, Decimal, Decimal]] = [
        (quote.market, quote.bid, quote.ask) for quote in step.quotes
    ]
    if step.bid is not None and step.ask is not None:
        prices.append((None, step.bid, step.ask))
    found: list[QuoteTick] = []
    for name, bid, ask in prices:
        instrument = _instrument_of(name, instruments)
        ticks = (instrument.to_ticks(bid), instrument.to_ticks(ask))
        found.append(QuoteTick(instrument.market, now_ns, *ticks, 0, 0))
    return found


def _instrument_of(name: str | None, instruments: Mapping[ConnectorPair, Instrument]) -> Instrument:
    """Return the instrument that a step names; the first one if it names none."""
    by_name = {str(market): instrument for market, instrument in instruments.items()}
    instrument = next(iter(instruments.values())) if name is None else by_name.get(name)
    if instrument is None:
        raise ValidationError(f"there is no market {name!r}, there is {', '.join(by_name)}")
    return instrument
