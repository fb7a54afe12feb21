"""A session of one or two markets whose every quote is written in the test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from engine.api.build import BuiltSession, build_session, prepare_session
from engine.config.session import SessionConfig
from engine.config.session_plan import SessionPlan
from engine.containers.effects import Effects
from engine.containers.inputs import (
    ActionInput,
    SessionInput,
    StartInput,
    StopInput,
    TimerInput,
)
from engine.containers.session_container import SessionContainer
from engine.executors.actions import ActionResult
from engine.executors.factory import load_builtin_executors
from engine.executors.snapshot import ExecutorSnapshot
from engine.executors.step import Notice
from engine.flow.errors import EngineError
from engine.live.published import PublishedSession
from engine.live.session_runner import ControllerAction
from engine.model.clock import SECOND_NS, from_iso
from engine.model.instruments import PPB, ConnectorPair, Instrument, Settlement
from engine.model.quotes import QuoteTick
from engine.store.batch import StoreBatch
from engine.strategies.controller import Controller
from engine.strategies.strategy import Strategy
from engine.testing.manual_clock import ManualClock

START_NS: Final = from_iso("2026-01-05T08:00:00Z")
MARKET: Final = ConnectorPair("sim", "AAA-USDT")
OTHER: Final = ConnectorPair("sim", "BBB-USDT")
SPOT: Final = ConnectorPair("shop", "CCC-USDT")
HEDGED: Final = ConnectorPair("hedge", "AAA-USDT")
"""A perpetual that keeps a long and a short position side by side."""
LEVELS: Final = {"stop_loss": "0.02", "take_profit": "0.03"}


def instrument_of(market: ConnectorPair) -> Instrument:
    """Return a market with a tick of 0.01, a lot of 0.001 and fees of 0.02 % and 0.05 %."""
    is_spot = market == SPOT
    return Instrument(
        market,
        Decimal("0.01"),
        Decimal("0.001"),
        min_qty=Decimal("0.002"),
        settlement=Settlement.SPOT if is_spot else Settlement.DERIVATIVE,
        shortable=not is_spot,
        is_hedged=market == HEDGED,
        maker_ppb=int(Decimal("0.0002") * PPB),
        taker_ppb=int(Decimal("0.0005") * PPB),
    )


def quote_at(
    second: Decimal | float, bid: str, ask: str, market: ConnectorPair = MARKET
) -> QuoteTick:
    """Return a quote *second* seconds after the start; prices are decimal text."""
    instrument = instrument_of(market)
    ts_ns = START_NS + int(Decimal(str(second)) * SECOND_NS)
    ticks = (instrument.to_ticks(Decimal(bid)), instrument.to_ticks(Decimal(ask)))
    return QuoteTick(market, ts_ns, *ticks, 10**9, 10**9)


class QuoteList:
    """A market that gives the quotes that it was given, moved to the start of the session."""

    def __init__(self, quotes: Sequence[QuoteTick], market: ConnectorPair = MARKET) -> None:
        self._quotes = tuple(quotes)
        self._market = market

    @property
    def market(self) -> ConnectorPair:
        """Return the market."""
        return self._market

    @property
    def instrument(self) -> Instrument:
        """Return the instrument."""
        return instrument_of(self._market)

    def ticks(self, start_ns: int) -> Iterator[QuoteTick]:
        """Return the quotes."""
        for quote in self._quotes:
            yield replace(quote, ts_ns=quote.ts_ns - START_NS + start_ns)


def small_plan(
    *quotes: QuoteTick,
    controllers: Sequence[Controller] = (),
    strategies: Sequence[tuple[ConnectorPair, Strategy]] = (),
    markets: Sequence[ConnectorPair] = (MARKET, OTHER),
    sections: Mapping[str, Mapping[str, Any]] | None = None,
) -> SessionPlan:
    """Return a plan on the simulated clock; *sections* change its configuration."""
    load_builtin_executors()
    given = dict(sections or {})
    session = {
        "speed": "max",
        "start": START_NS,
        "on_end": "flatten",
        **given.pop("session", {}),
    }
    described = {"venue": "sim", "lot": "0.001", "source": {"kind": "synthetic"}}
    config = SessionConfig.model_validate(
        {
            "version": 1,
            "session": session,
            "venues": [{"name": name} for name in sorted({one.connector_name for one in markets})],
            "markets": [
                {**described, "venue": one.connector_name, "pair": one.trading_pair}
                for one in markets
            ],
            **given,
        }
    )
    sources = tuple(
        QuoteList([quote for quote in quotes if quote.market == market], market)
        for market in markets
    )
    return SessionPlan(
        Path("small.yaml"), config, sources, tuple(controllers), tuple(strategies), ()
    )


@dataclass(slots=True)
class MemoryWriter:
    """Keeps the batches; the next ``failures`` writes are refused."""

    batches: list[StoreBatch] = field(default_factory=list)
    failures: int = 0

    async def write(self, batch: StoreBatch) -> None:
        """Keep *batch*, or refuse it."""
        if self.failures:
            self.failures -= 1
            raise EngineError("the disk is full")
        self.batches.append(batch)


class SmallSession:
    """A session that is fed by hand: what goes in, what came of it, what it publishes."""

    def __init__(
        self, plan: SessionPlan | None = None, *, clock: ManualClock | None = None
    ) -> None:
        self.clock = clock or ManualClock(START_NS)
        self.writer = MemoryWriter()
        self.notices: list[Notice] = []
        self.pictures: list[PublishedSession] = []
        self.actions: list[ControllerAction] = []
        prepared = prepare_session(
            plan or small_plan(), session_id="s-1", clock=self.clock, notify=self.notices.append
        )
        self.built: BuiltSession = build_session(
            prepared,
            clock=self.clock,
            writer=self.writer,
            publish=self.pictures.append,
            track=self._track,
        )
        self._requests = 0

    @property
    def container(self) -> SessionContainer:
        """Return the container."""
        return self.built.container

    def begin(self) -> None:
        """Give the first input."""
        self.apply(StartInput(START_NS))

    def apply(self, item: SessionInput) -> Effects:
        """Give one input and record what it caused."""
        effects = self.container.apply(item)
        self.built.recorder.record(effects)
        return effects

    def quote(self, second: float, bid: str, ask: str, market: ConnectorPair = MARKET) -> Effects:
        """Give a quote *second* seconds after the start."""
        return self.apply(quote_at(second, bid, ask, market))

    def timer(self, second: int) -> Effects:
        """Let the clock reach *second* seconds after the start."""
        return self.apply(TimerInput(START_NS + second * SECOND_NS))

    def stop(self, second: int, *, keep_positions: bool = False) -> Effects:
        """Ask the session to end."""
        return self.apply(StopInput(START_NS + second * SECOND_NS, keep_positions, "operator"))

    def act(self, verb: str, **arguments: object) -> ActionResult:
        """Ask for an executor action, now."""
        self._requests += 1
        request_id = f"r-{self._requests}"
        now_ns = self.container.clock.now_ns()
        effects = self.apply(ActionInput(now_ns, request_id, "operator", verb, arguments))
        (answer,) = effects.results
        return answer[1]

    def create(self, **config: object) -> str:
        """Create a position executor of AAA-USDT, BUY 2 by MARKET if nothing else is said."""
        config.setdefault("triple_barrier_config", {"open_order_type": "MARKET", **LEVELS})
        values = {
            "connector_name": MARKET.connector_name,
            "trading_pair": MARKET.trading_pair,
            "side": "BUY",
            "amount": "2",
            **config,
        }
        result = self.act("create", executor_type="position_executor", config=values)
        if not result.ok or result.executor_id is None:
            raise EngineError(result.message)
        return result.executor_id

    def snapshot(self, executor_id: str) -> ExecutorSnapshot:
        """Return an executor's immutable state."""
        executor = self.container.orchestrator.find(executor_id)
        if executor is None:
            raise EngineError(f"there is no executor {executor_id}")
        return executor.snapshot()

    def published(self) -> PublishedSession:
        """Return what readers see now."""
        picture = self.built.picture.take(self.built.runner)
        return replace(picture, now_ns=self.container.clock.now_ns())

    async def _track(self, actions: Iterable[ControllerAction]) -> None:
        self.actions.extend(actions)
