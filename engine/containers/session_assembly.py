"""Wires the container of a session: the same parts in paper and in a backtest of executors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engine.containers.account_books import AccountBooks
from engine.containers.controller_host import ControllerHost
from engine.containers.data_handler import DataHandler
from engine.containers.executor_desk import ExecutorDesk
from engine.containers.order_desk import OrderDesk
from engine.containers.scoped_container import ScopedContainer
from engine.containers.session_container import SessionContainer
from engine.containers.strategy_host import StrategyGuard, StrategyHost
from engine.execution.order_manager import OrderManager
from engine.execution.settings import BrokerSettings, build_commission, build_simulated_broker
from engine.execution.tick_broker import TickBroker
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.executors.orchestrator_section import OrchestratorSection
from engine.executors.position_store import InitialPosition
from engine.executors.rates import MarketRates
from engine.model.clock import SimulatedClock
from engine.model.instruments import ConnectorPair, Instrument
from engine.portfolio.budget import Budget
from engine.portfolio.portfolio import Portfolio
from engine.risk.limits import RiskSettings
from engine.risk.risk_manager import RiskManager
from engine.strategies.controller import Controller
from engine.strategies.strategy import Strategy


@dataclass(frozen=True, slots=True)
class OutsideParts:
    """What a container gets whose orders are carried out outside of it.

    Args:
        broker: where it puts them.
        next_order_id: gives client order ids that are never used twice, over restarts too.
        guard: takes what its strategies raise.
    """

    broker: TickBroker
    next_order_id: Callable[[], str]
    guard: StrategyGuard


def assemble_session(
    *,
    container_id: str,
    start_ns: int,
    seed: int,
    instruments: Mapping[ConnectorPair, Instrument],
    bar_ns: int,
    currency: str,
    initial_balance: Decimal,
    parity: Sequence[str] = (),
    broker: BrokerSettings,
    risk: RiskSettings,
    controllers: Sequence[Controller] = (),
    strategies: Sequence[tuple[ConnectorPair, Strategy]] = (),
    money_precision: int = 8,
    capital: Mapping[str, Decimal] | None = None,
    initial_positions: Mapping[str, Sequence[InitialPosition]] | None = None,
    executors: OrchestratorSection | None = None,
    outside: OutsideParts | None = None,
) -> SessionContainer:
    """Return a started container; nothing in it touches the outside.

    Args:
        container_id: deterministic, in no hash.
        start_ns: where its clock starts.
        seed: of its random draws.
        instruments: the markets.
        bar_ns: length of the bars that strategies see.
        currency: what equity is told in.
        initial_balance: cash at the start.
        parity: quote assets that count 1:1 as *currency*.
        broker: cost models and depth.
        risk: limits.
        controllers: what proposes executors.
        strategies: what gives signals, with its market.
        money_precision: decimals of one atom.
        capital: of each controller that has one, in its quote asset.
        initial_positions: of each controller that begins with some.
        executors: how often they try again and how long they wait; None for the usual.
        outside: what takes the orders out of the container, if they are not matched inside.
    """
    clock = SimulatedClock(start_ns)
    data_handler = DataHandler(instruments=instruments, bar_ns=bar_ns)
    portfolio = Portfolio(
        instruments=instruments,
        initial_cash={currency: initial_balance},
        account_currency=currency,
        parity=parity,
        money_precision=money_precision,
    )
    commission = build_commission(broker.commission_model, money_precision=money_precision)
    budget = Budget(portfolio=portfolio, fees=commission)
    order_manager = OrderManager(instruments=instruments, is_live=outside is not None)
    matching: TickBroker = (
        build_simulated_broker(broker, instruments=instruments, commission=commission, seed=seed)
        if outside is None
        else outside.broker
    )
    rates = MarketRates(
        instruments=instruments.values(),
        quote_of=data_handler.quote,
        parity=(currency, *parity),
    )
    desk = ExecutorDesk(
        container_id=container_id,
        clock=clock,
        data_handler=data_handler,
        budget=budget,
        rates=rates,
        seed=seed,
    )
    risk_manager = RiskManager(
        settings=risk,
        markets=data_handler,
        account=portfolio,
        orders=order_manager,
        next_order_id=desk.next_order_id if outside is None else outside.next_order_id,
        bars=data_handler,
        bar_ns=bar_ns,
    )
    run_time = executors or OrchestratorSection()
    orchestrator = ExecutorOrchestrator(
        strategy=desk,
        executors_update_interval=float(run_time.executors_update_interval),
        executors_max_retries=run_time.executors_max_retries,
        settings=run_time.settings(),
        initial_positions_by_controller=initial_positions,
        capital_by_controller=capital,
    )
    container = SessionContainer(
        scope=ScopedContainer(container_id=container_id, clock=clock),
        data_handler=data_handler,
        portfolio=portfolio,
        books=AccountBooks(portfolio=portfolio, orchestrator=orchestrator, rate_of=rates.rate),
        budget=budget,
        order_manager=order_manager,
        broker=matching,
        risk_manager=risk_manager,
        order_desk=OrderDesk(
            clock=clock,
            data_handler=data_handler,
            risk_manager=risk_manager,
            order_manager=order_manager,
            broker=matching,
            portfolio=portfolio,
            budget=budget,
        ),
        orchestrator=orchestrator,
        controllers=ControllerHost(
            controllers=controllers,
            orchestrator=orchestrator,
            data_handler=data_handler,
            seed=seed,
        ),
        strategies=StrategyHost(
            strategies=strategies,
            clock=clock,
            data_handler=data_handler,
            portfolio=portfolio,
            risk_manager=risk_manager,
            order_manager=order_manager,
            guard=None if outside is None else outside.guard,
        ),
    )
    container.start()
    return container
