"""What an agent sees of a session: one immutable picture, read at leisure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from engine.executors.config import ExecutorConfigBase
from engine.executors.snapshot import ExecutorSnapshot
from engine.live.published import PublishedMarket, PublishedSession
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import TradeType


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """One market. ``age_s`` is in session time, None before the first quote.

    ``trend`` holds the mids of the last minutes, one for each second with a quote, oldest first;
    ``longest_gap_s`` is the longest time between two of them, None while there are fewer than two.
    """

    instrument: Instrument
    bid: Decimal | None
    ask: Decimal | None
    age_s: float | None
    trend: tuple[float, ...]
    longest_gap_s: float | None = None

    @property
    def connector_name(self) -> str:
        """Return the venue connector."""
        return self.instrument.market.connector_name

    @property
    def trading_pair(self) -> str:
        """Return the trading pair."""
        return self.instrument.market.trading_pair

    @property
    def mid(self) -> Decimal | None:
        """Return the middle of bid and ask."""
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class ExecutorFacts:
    """One executor. Money in quote; ``net_pnl_pct`` is a fraction; ``config`` is frozen."""

    id: str
    type: str
    controller_id: str
    connector_name: str
    trading_pair: str
    side: TradeType
    lifecycle: str
    is_active: bool
    amount: Decimal
    filled_amount: Decimal
    net_pnl_quote: Decimal
    net_pnl_pct: Decimal
    config: ExecutorConfigBase


@dataclass(frozen=True, slots=True)
class PositionFacts:
    """Net position of one market; amounts in base are signed, ``value_quote`` too."""

    connector_name: str
    trading_pair: str
    amount: Decimal
    value_quote: Decimal
    unrealized_pnl_quote: Decimal


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """The account, in its currency."""

    currency: str
    initial_equity: Decimal
    equity: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    fees: Decimal


class SessionPicture:
    """One published state of a session. Everything in it belongs to the same instant.

    Rows are made when they are asked for, so a look costs what it looks at.
    """

    def __init__(self, published: PublishedSession) -> None:
        self._published = published

    @property
    def session_id(self) -> str:
        """Return the session's id."""
        return self._published.id

    @property
    def name(self) -> str:
        """Return the session's name."""
        return self._published.name

    @property
    def state(self) -> str:
        """Return the session's state."""
        return self._published.state

    @property
    def now_ns(self) -> int:
        """Return the session's time."""
        return self._published.now_ns

    @property
    def account(self) -> AccountFacts:
        """Return the account."""
        account = self._published.account
        return AccountFacts(
            currency=account.currency,
            initial_equity=account.initial_equity,
            equity=account.equity,
            realized_pnl=account.realised,
            unrealized_pnl=account.unrealised,
            fees=account.fees,
        )

    def markets(self) -> tuple[MarketFacts, ...]:
        """Return the markets in the order of the session file."""
        return tuple(self._market(market) for market in self._published.markets.values())

    def market(self, connector_name: str, trading_pair: str) -> MarketFacts | None:
        """Return one market, None if the session does not trade it."""
        found = self._published.markets.get(ConnectorPair(connector_name, trading_pair))
        return None if found is None else self._market(found)

    def executors(
        self,
        *,
        controller_id: str | None = None,
        executor_type: str | None = None,
        active: bool = True,
    ) -> Iterator[ExecutorFacts]:
        """Yield executors, oldest first: of a controller, of a type, only active ones."""
        for snapshot in self._published.executors.values():
            if active and snapshot.is_done:
                continue
            if controller_id is not None and snapshot.controller_id != controller_id:
                continue
            if executor_type is None or snapshot.type == executor_type:
                yield self._executor(snapshot)

    def positions(self) -> tuple[PositionFacts, ...]:
        """Return the net positions that are not flat."""
        return tuple(
            PositionFacts(
                connector_name=position.market.connector_name,
                trading_pair=position.market.trading_pair,
                amount=position.amount,
                value_quote=position.amount
                * position.instrument.multiplier
                * (position.mark_price or Decimal(0)),
                unrealized_pnl_quote=position.unrealised,
            )
            for position in self._published.account.positions
            if position.net_lots
        )

    def _market(self, market: PublishedMarket) -> MarketFacts:
        instrument, quote = market.instrument, market.quote
        half_tick = float(instrument.tick) / 2
        age_ns = None if quote is None else max(0, self._published.now_ns - quote.ts_ns)
        return MarketFacts(
            instrument=instrument,
            bid=None if quote is None else instrument.price(quote.bid_ticks),
            ask=None if quote is None else instrument.price(quote.ask_ticks),
            age_s=None if age_ns is None else age_ns / SECOND_NS,
            trend=tuple(mid_twice * half_tick for _, mid_twice in market.trend),
            longest_gap_s=max(
                (
                    (after - before) / SECOND_NS
                    for (before, _), (after, _) in pairwise(market.trend)
                ),
                default=None,
            ),
        )

    def _executor(self, snapshot: ExecutorSnapshot) -> ExecutorFacts:
        instrument = snapshot.instrument
        market = self._published.markets.get(snapshot.market)
        mark = snapshot.mark_of(None if market is None else market.quote)
        return ExecutorFacts(
            id=snapshot.id,
            type=snapshot.type,
            controller_id=snapshot.controller_id,
            connector_name=snapshot.market.connector_name,
            trading_pair=snapshot.market.trading_pair,
            side=snapshot.side,
            lifecycle=snapshot.lifecycle.value,
            is_active=not snapshot.is_done,
            amount=instrument.qty(snapshot.amount_lots),
            filled_amount=instrument.qty(snapshot.opened_lots),
            net_pnl_quote=instrument.money(snapshot.net_pnl_atoms(mark)),
            net_pnl_pct=snapshot.net_pnl_pct(mark),
            config=snapshot.config,
        )
