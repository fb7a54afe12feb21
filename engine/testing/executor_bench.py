"""One market, one orchestrator, one scripted venue: the bench on which executors are tested."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from engine.executors.actions import ExecutorAction
from engine.executors.factory import load_builtin_executors
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.executors.position_config import PositionExecutorConfig
from engine.executors.position_executor import PositionExecutor
from engine.model.instruments import ConnectorPair, Instrument
from engine.testing.scripted_venue import Desk, ScriptedVenue

BENCH_MARKET: Final = ConnectorPair("paper", "BTC-USDT")


def bench_instrument(**changes: Any) -> Instrument:  # noqa: ANN401 (fields of the instrument)
    """Return the bench's instrument: tick 0.1, lot 0.001, at least 0.01 and 1 of notional."""
    fields: dict[str, Any] = {
        "market": BENCH_MARKET,
        "tick": Decimal("0.1"),
        "lot": Decimal("0.001"),
        "min_qty": Decimal("0.01"),
        "min_notional": Decimal(1),
    }
    return Instrument(**(fields | changes))


class ExecutorBench(Desk):
    """A desk with short words for what executor tests do. The first quote is 50.0 / 50.1."""

    def __init__(self, instrument: Instrument | None = None, **options: Any) -> None:  # noqa: ANN401 (of the orchestrator)
        load_builtin_executors()
        venue = ScriptedVenue([instrument or bench_instrument()])
        super().__init__(venue, ExecutorOrchestrator(strategy=venue, **options))
        self.price(500, 501)

    def price(self, bid_ticks: int, ask_ticks: int | None = None) -> None:
        """Publish a quote of the bench's market (ask = bid if omitted)."""
        self.quote(BENCH_MARKET, bid_ticks, ask_ticks)

    def config(self, **fields: Any) -> PositionExecutorConfig:  # noqa: ANN401 (as a file gives them)
        """Return a configuration: BUY 2 at market unless said otherwise; barriers are flat."""
        barrier_names = {
            "stop_loss",
            "take_profit",
            "time_limit",
            "trailing_stop",
            "open_order_type",
            "take_profit_order_type",
        }
        barriers = {name: fields.pop(name) for name in barrier_names & fields.keys()}
        plain = {
            "connector_name": BENCH_MARKET.connector_name,
            "trading_pair": BENCH_MARKET.trading_pair,
            "side": "BUY",
            "amount": "2",
            "triple_barrier_config": {"open_order_type": "MARKET"} | barriers,
        }
        return PositionExecutorConfig.model_validate(plain | fields)

    def create(self, **fields: Any) -> PositionExecutor:  # noqa: ANN401 (as a file gives them)
        """Create and start a position executor and let everything settle.

        Raises:
            ValueError: the orchestrator refused it.
        """
        result = self.orchestrator.execute_action(ExecutorAction.create(self.config(**fields)))
        executor = self.orchestrator.find(result.executor_id or "")
        if not isinstance(executor, PositionExecutor):
            raise ValueError(result.message)  # noqa: TRY004 (the message is what matters)
        self.pump()
        return executor

    def stop(self, executor: PositionExecutor, *, keep: bool | None = None) -> None:
        """Stop an executor and let everything settle."""
        self.orchestrator.execute_action(
            ExecutorAction.stop(executor.executor_id, keep_position=keep)
        )
        self.pump()
