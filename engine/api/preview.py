"""What a configuration would mean in prices and money, before it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from pydantic import BaseModel

from engine.api.typed_values import plain
from engine.executors.barriers import TrailingStop, TripleBarrierConfig
from engine.executors.position_config import PositionExecutorConfig
from engine.executors.progressive_config import LadderedTrailingStop
from engine.live.published import PublishedMarket, PublishedSession
from engine.model.instruments import PPB, ConnectorPair, Instrument
from engine.model.orders import OrderType, TradeType


def position_preview(
    session: PublishedSession, config: BaseModel, *, entry: Decimal | None = None
) -> tuple[tuple[str, str], ...]:
    """Return (label, value) pairs: notional, balance, barrier prices, fees.

    Barrier prices are those at which the net result, entry and exit fee included, reaches the
    configured fraction; ``entry`` is the price that is known already.
    """
    if not isinstance(config, PositionExecutorConfig):
        return ()
    market = session.markets.get(ConnectorPair(config.connector_name, config.trading_pair))
    if market is None or market.quote is None:
        return (("market", "no quote yet"),)
    price = entry or config.entry_price or _reference(config, market)
    return tuple(_lines(session, config, market.instrument, price))


def _reference(config: PositionExecutorConfig, market: PublishedMarket) -> Decimal:
    quote = market.quote
    is_buy = config.side is TradeType.BUY
    if quote is None:
        return Decimal(0)
    takes = config.triple_barrier_config.open_order_type is OrderType.MARKET
    ticks = quote.ask_ticks if is_buy == takes else quote.bid_ticks
    return market.instrument.price(ticks)


def _lines(
    session: PublishedSession,
    config: PositionExecutorConfig,
    instrument: Instrument,
    price: Decimal,
) -> Iterator[tuple[str, str]]:
    quote_asset, base_asset = instrument.market.quote, instrument.market.base
    barriers = config.triple_barrier_config
    notional = price * config.amount
    entry_fee = _entry_fee_rate(barriers, instrument)
    need = notional / config.leverage + notional * entry_fee
    account = session.account
    free = account.equity - account.margin_used
    amount = f"{plain(config.amount)} {base_asset}"
    yield "order", f"{config.side.name} {amount} ≈ {_money(notional)} {quote_asset}"
    yield "entry", f"{plain(price)} {barriers.open_order_type.name}"
    yield "needs", f"{_money(need)} of {_money(free)} {quote_asset} free"
    yield "fees", f"≈ {_money(notional * (entry_fee + _taker(instrument)))} in and out"
    for label, fraction, sign in (
        ("stop loss", barriers.stop_loss, -1),
        ("take profit", barriers.take_profit, 1),
    ):
        if fraction is not None:
            level = _level(config, instrument, price, sign * fraction + entry_fee)
            yield label, f"{plain(level)}  {sign * fraction * notional:+,.2f} {quote_asset}"
    if barriers.trailing_stop is not None:
        start = _trailing_start(barriers.trailing_stop)
        level = _level(config, instrument, price, start + entry_fee)
        yield "trailing from", plain(level)
    if barriers.time_limit:
        yield "time limit", f"{barriers.time_limit} s"
    if need > free:
        yield "⚠ balance", f"{_money(need - free)} {quote_asset} short: it would end at once"


def _level(
    config: PositionExecutorConfig, instrument: Instrument, price: Decimal, move: Decimal
) -> Decimal:
    """Return the price at which the gross move is *move*, on the grid, never nearer than it."""
    is_buy = config.side is TradeType.BUY
    exact = price * (1 + config.side.sign * move)
    return instrument.price(instrument.passive_ticks(exact, is_buy=is_buy == (move < 0)))


def _trailing_start(stop: TrailingStop | LadderedTrailingStop) -> Decimal:
    """Return the net gain that arms a trailing stop."""
    if isinstance(stop, LadderedTrailingStop):
        return stop.activation_pnl_pct
    return stop.activation_price


def _entry_fee_rate(barriers: TripleBarrierConfig, instrument: Instrument) -> Decimal:
    is_maker = barriers.open_order_type is not OrderType.MARKET
    return Decimal(instrument.maker_ppb if is_maker else instrument.taker_ppb) / PPB


def _taker(instrument: Instrument) -> Decimal:
    return Decimal(instrument.taker_ppb) / PPB


def _money(value: Decimal) -> str:
    return f"{value:,.2f}"
