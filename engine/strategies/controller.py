"""The interface of controllers: they propose, executors trade."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeAlias

from engine.executors.actions import ExecutorAction
from engine.executors.info import ExecutorInfo
from engine.model.draws import uniform
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import TradeType
from engine.model.quotes import QuoteTick


@dataclass(frozen=True, slots=True)
class CreateProposal:
    """Create an executor. ``config`` holds the fields of its configuration model."""

    executor_type: str
    config: dict[str, object]


@dataclass(frozen=True, slots=True)
class StopProposal:
    """Stop an executor; None leaves keeping its position to the executor's own default."""

    executor_id: str
    keep_position: bool | None = None


@dataclass(frozen=True, slots=True)
class UpdateProposal:
    """Change a running executor by the fields of its update type."""

    executor_id: str
    changes: dict[str, object]


@dataclass(frozen=True, slots=True)
class StoreProposal:
    """Move a terminated executor into the archive."""

    executor_id: str


ControllerProposal: TypeAlias = (
    CreateProposal | StopProposal | UpdateProposal | StoreProposal | ExecutorAction
)
"""What a controller wants. Of an action it is the owner, whatever controller the action names."""


class ExecutorFacts(Protocol):
    """What a controller knows of one of its executors."""

    @property
    def id(self) -> str:
        """The executor's id."""
        ...

    @property
    def type(self) -> str:
        """Its registered type."""
        ...

    @property
    def is_active(self) -> bool:
        """Whether it is not terminated."""
        ...

    @property
    def side(self) -> TradeType | None:
        """Its side, None if it has no single one."""
        ...

    @property
    def connector_name(self) -> str:
        """Its venue connector."""
        ...

    @property
    def trading_pair(self) -> str:
        """Its trading pair."""
        ...

    @property
    def net_pnl_quote(self) -> Decimal:
        """Its result in quote, fees included."""
        ...


class PositionFacts(Protocol):
    """What a controller knows of a position that it holds without an executor."""

    @property
    def connector_name(self) -> str:
        """Its venue connector."""
        ...

    @property
    def trading_pair(self) -> str:
        """Its trading pair."""
        ...

    @property
    def side(self) -> TradeType:
        """Its side."""
        ...

    @property
    def amount(self) -> Decimal:
        """Its unsigned amount in base."""
        ...


class PerformanceFacts(Protocol):
    """What a controller knows of its own results."""

    @property
    def realized_pnl_quote(self) -> Decimal:
        """Realised result, net of fees."""
        ...

    @property
    def unrealized_pnl_quote(self) -> Decimal:
        """Unrealised result."""
        ...

    @property
    def volume_traded(self) -> Decimal:
        """Traded volume in quote."""
        ...


class MarketReader(Protocol):
    """What a controller may read of the markets."""

    def instrument(self, market: ConnectorPair) -> Instrument:
        """Return the instrument.

        Raises:
            KeyError: the session does not trade *market*.
        """
        ...

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return the newest quote, None before the first."""
        ...

    def trend(self, market: ConnectorPair) -> Sequence[tuple[int, int]]:
        """Return (ts_ns, twice the mid in ticks) of recent quotes, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class KeyedDraws:
    """Random draws of one controller; they depend on their keys, never on the order of calls."""

    seed: int
    stream: int
    """100 or more; the numbers below belong to the engine (DET-3)."""

    def uniform(self, a: int, b: int = 0) -> float:
        """Return the draw of the keys (*a*, *b*) in [0, 1)."""
        return uniform(self.seed, self.stream, a, b)


@dataclass(frozen=True, slots=True)
class ControllerContext:
    """All that a controller sees at one tick; only what belongs to it."""

    controller_id: str
    now_ns: int
    markets: MarketReader
    draws: KeyedDraws
    executors: Sequence[ExecutorFacts] = ()
    positions: Sequence[PositionFacts] = ()
    performance: PerformanceFacts | None = None
    """None before there is a report."""
    reports_of: Callable[[], Sequence[ExecutorInfo]] = tuple
    """Makes the full reports of its executors."""

    @property
    def executors_info(self) -> tuple[ExecutorInfo, ...]:
        """Return the full reports of its executors, made now; ``executors`` costs less."""
        return tuple(self.reports_of())

    @property
    def positions_held(self) -> Sequence[PositionFacts]:
        """Return ``positions``: what it holds without an executor."""
        return self.positions

    @property
    def performance_report(self) -> PerformanceFacts | None:
        """Return ``performance``: its own results."""
        return self.performance


class Controller(Protocol):
    """Something that decides which executors should exist."""

    @property
    def controller_id(self) -> str:
        """Its id, unique in the session."""
        ...

    def on_tick(self, context: ControllerContext) -> Sequence[ControllerProposal]:
        """Return what it wants changed; called once per engine tick, with fresh facts."""
        ...
