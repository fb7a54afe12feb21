"""A session, its markets and its performance as views."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from engine.api.executor_views import mark_ticks
from engine.api.summary import sorted_counts
from engine.api.views import MarketRow, PerformanceView, SessionRow
from engine.live.published import PublishedMarket, PublishedSession
from engine.model.instruments import ConnectorPair

TREND_LENGTH: Final = 32


def session_row(session: PublishedSession) -> SessionRow:
    """Return *session* as a line."""
    account = session.account
    return SessionRow(
        id=session.id,
        name=session.name,
        mode=session.mode,
        state=session.state,
        started_ns=session.started_ns,
        now_ns=session.now_ns,
        markets=tuple(market.trading_pair for market in session.markets),
        equity=account.equity,
        initial_equity=account.initial_equity,
        realized_pnl=account.realised,
        unrealized_pnl=account.unrealised,
        fees=account.fees,
        currency=account.currency,
        speed=session.speed,
        executors=sorted_counts(session.executor_counts.lifecycles),
        inputs=session.inputs,
        alerts=session.alerts,
        controllers=dict(session.controllers),
        funding=account.funding,
    )


def market_row(key: ConnectorPair, market: PublishedMarket) -> MarketRow:
    """Return a market's newest quote as a line."""
    quote, instrument = market.quote, market.instrument
    half_tick = float(instrument.tick) / 2
    trend = tuple(mid_twice * half_tick for _, mid_twice in market.trend[-TREND_LENGTH:])
    if quote is None:
        return MarketRow(
            key.connector_name, key.trading_pair, None, None, None, None, None, None, trend
        )
    mid_twice = quote.bid_ticks + quote.ask_ticks
    first = market.first_mid_twice
    return MarketRow(
        connector_name=key.connector_name,
        trading_pair=key.trading_pair,
        bid=instrument.price(quote.bid_ticks),
        ask=instrument.price(quote.ask_ticks),
        mid=instrument.tick * mid_twice / 2,
        change_pct=Decimal(mid_twice - first) / first if first else None,
        quote_ns=quote.ts_ns,
        source_ns=quote.source_ns or None,
        trend=trend,
    )


def performance_view(session: PublishedSession) -> PerformanceView:
    """Return the performance report over all controllers, at the newest marks."""
    archived = session.archived_performance
    realized, unrealized = archived.realized_pnl_quote, archived.unrealized_pnl_quote
    volume, fees = archived.volume_traded, archived.total_fees_quote
    wins, losses, active, done = archived.wins, archived.losses, archived.active, archived.done
    filled_atoms = fee_atoms = realized_atoms = unrealized_atoms = 0
    for snapshot in session.executors.values():
        net = snapshot.net_pnl_atoms(mark_ticks(snapshot, session.markets.get(snapshot.market)))
        filled_atoms += snapshot.filled_atoms
        fee_atoms += snapshot.fee_atoms
        if snapshot.is_done:
            done += 1
            realized_atoms += net
            wins += net > 0
            losses += net < 0
        else:
            active += 1
            unrealized_atoms += net
    # The account has one precision for all of its markets.
    unit = Decimal(1).scaleb(-session.account.money_precision)
    volume += filled_atoms * unit
    fees += fee_atoms * unit
    realized += realized_atoms * unit
    unrealized += unrealized_atoms * unit
    for held in session.positions_held:
        realized += held.realized_pnl_quote - held.cum_fees_quote
        unrealized += held.unrealized_pnl_quote
        volume += held.volume_traded_quote
        fees += held.cum_fees_quote
    total = realized + unrealized + session.account.funding
    return PerformanceView(
        realized_pnl=realized,
        unrealized_pnl=unrealized,
        global_pnl=total,
        global_pnl_pct=total / volume if volume else Decimal(0),
        volume=volume,
        fees=fees,
        win_rate=Decimal(wins) / (wins + losses) if wins + losses else Decimal(0),
        wins=wins,
        losses=losses,
        close_types=sorted_counts(session.executor_counts.close_types),
        active=active,
        done=done,
        funding=session.account.funding,
    )
