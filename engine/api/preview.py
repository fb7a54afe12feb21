"""What a configuration would mean in prices and money, before it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from pydantic import BaseModel

from engine.api.balance_preview import PlannedOrder, balance_lines
from engine.api.typed_values import grouped, plain
from engine.executors.barriers import TrailingStop
from engine.executors.position_config import PositionExecutorConfig
from engine.executors.progressive_config import LadderedTrailingStop
from engine.live.published import PublishedSession
from engine.model.instruments import PPB, ConnectorPair, Instrument
from engine.model.orders import OrderType, TradeType
from engine.model.quotes import QuoteTick


def position_preview(
    session: PublishedSession, config: BaseModel, *, entry: Decimal | None = None
) -> tuple[tuple[str, str], ...]:
    """Return (label, value) pairs: notional, balance, barrier prices, fees.

    Barrier prices are those at which the net result, with the fee that is paid by then, reaches
    the configured fraction; ``entry`` is the price that is known already.
    """
    if not isinstance(config, PositionExecutorConfig):
        return ()
    market = session.markets.get(ConnectorPair(config.connector_name, config.trading_pair))
    if market is None or market.quote is None:
        return (("market", "no quote yet"),)
    price = entry or _entry_price(config, market.instrument, market.quote)
    return tuple(_lines(session, config, market.instrument, price))


def _entry_price(
    config: PositionExecutorConfig, instrument: Instrument, quote: QuoteTick
) -> Decimal:
    """Return where the entry is expected: a MARKET entry takes the quote, whatever is asked."""
    takes = config.triple_barrier_config.open_order_type is OrderType.MARKET
    if config.entry_price is not None and not takes:
        return config.entry_price
    is_buy = config.side is TradeType.BUY
    return instrument.price(quote.ask_ticks if is_buy == takes else quote.bid_ticks)


def _lines(
    session: PublishedSession,
    config: PositionExecutorConfig,
    instrument: Instrument,
    price: Decimal,
) -> Iterator[tuple[str, str]]:
    quote_asset, base_asset = instrument.market.quote, instrument.market.base
    barriers = config.triple_barrier_config
    notional = price * config.amount
    is_maker = barriers.open_order_type is not OrderType.MARKET
    entry_fee = _fee_rate(instrument, is_maker=is_maker)
    exit_fee = _fee_rate(instrument, is_maker=False)
    amount = f"{plain(config.amount)} {base_asset}"
    yield "order", f"{config.side.name} {amount} ≈ {_money(notional)} {quote_asset}"
    yield "entry", f"{grouped(price)} {barriers.open_order_type.name}"
    order = PlannedOrder(
        instrument,
        config.side,
        config.amount,
        notional,
        config.leverage,
        is_maker_only=barriers.open_order_type is OrderType.LIMIT_MAKER,
    )
    yield from balance_lines(session, [order])
    yield "fees", f"≈ {_money(notional * (entry_fee + exit_fee))} in and out"
    for label, fraction, sign in (
        ("stop loss", barriers.stop_loss, -1),
        ("take profit", barriers.take_profit, 1),
    ):
        if fraction is not None:
            move = sign * fraction + entry_fee
            ticks = _level(config, instrument, price, move, is_gain=sign > 0)
            result = f"{sign * fraction * notional:+,.2f} {quote_asset}"
            yield label, f"{grouped(instrument.price(ticks))}  {result}"
    if barriers.trailing_stop is not None:
        move = _trailing_start(barriers.trailing_stop) + entry_fee
        # It arms above the start, not at it: one tick beyond the last price that is not above.
        ticks = _level(config, instrument, price, move, is_gain=False) + config.side.sign
        yield "trailing from", grouped(instrument.price(ticks))
    if barriers.time_limit:
        yield "time limit", f"{barriers.time_limit} s"


def _level(
    config: PositionExecutorConfig,
    instrument: Instrument,
    price: Decimal,
    move: Decimal,
    *,
    is_gain: bool,
) -> int:
    """Return the tick at which the gross move is *move* or beyond it, away from the entry."""
    is_buy = config.side is TradeType.BUY
    exact = price * (1 + config.side.sign * move)
    return instrument.passive_ticks(exact, is_buy=is_buy != is_gain)


def _trailing_start(stop: TrailingStop | LadderedTrailingStop) -> Decimal:
    """Return the net gain that arms a trailing stop."""
    if isinstance(stop, LadderedTrailingStop):
        return stop.activation_pnl_pct
    return stop.activation_price


def _fee_rate(instrument: Instrument, *, is_maker: bool) -> Decimal:
    return Decimal(instrument.maker_ppb if is_maker else instrument.taker_ppb) / PPB


def _money(value: Decimal) -> str:
    return f"{value:,.2f}"
