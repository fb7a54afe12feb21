"""What the configuration of each executor type would mean in prices and money."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from pydantic import BaseModel

from engine.api.balance_preview import PlannedOrder, balance_lines, fee_rate
from engine.api.preview import position_preview
from engine.api.typed_values import grouped, plain
from engine.executors.arbitrage_config import ArbitrageExecutorConfig
from engine.executors.dca_config import DCAExecutorConfig
from engine.executors.grid_config import GridExecutorConfig
from engine.executors.grid_plan import GridTooSmallError, plan_grid
from engine.executors.order_config import OrderExecutorConfig
from engine.executors.position_config import PositionExecutorConfig
from engine.executors.rates import MarketRates
from engine.executors.twap_config import TWAPExecutorConfig
from engine.executors.two_venue_config import TwoVenueConfig
from engine.executors.xemm_config import XEMMExecutorConfig
from engine.live.published import PublishedMarket, PublishedSession
from engine.model.instruments import Instrument
from engine.model.orders import OrderType, TradeType

Line = tuple[str, str]


def executor_preview(
    session: PublishedSession, config: BaseModel, *, entry: Decimal | None = None
) -> tuple[Line, ...]:
    """Return (label, value) pairs: size, balance, prices; ``entry`` is known already or None."""
    match config:
        case PositionExecutorConfig():
            return position_preview(session, config, entry=entry)
        case TwoVenueConfig():
            return tuple(_two_venues(session, config))
        case OrderExecutorConfig() | TWAPExecutorConfig() | DCAExecutorConfig():
            market = session.markets.get(config.market)
        case GridExecutorConfig():
            market = session.markets.get(config.market)
        case _:
            return ()
    if market is None or market.quote is None:
        return (("market", "no quote yet"),)
    match config:
        case OrderExecutorConfig():
            return tuple(_order(session, config, market))
        case TWAPExecutorConfig():
            return tuple(_twap(session, config, market))
        case DCAExecutorConfig():
            return tuple(_dca(session, config, market))
        case GridExecutorConfig():
            return tuple(_grid(session, config, market))


def _order(
    session: PublishedSession, config: OrderExecutorConfig, market: PublishedMarket
) -> Iterator[Line]:
    price = config.price or _touch(market, config.side)
    chaser = config.chaser_config
    if chaser is not None:
        wanted = price * (1 - config.side.sign * chaser.distance)
        price = _on_grid(market.instrument, wanted, config.side)
    yield "order", _size(config.side, config.amount, price, market.instrument)
    yield "price", f"{grouped(price)} {config.execution_strategy.name}"
    if chaser is not None:
        moved = price * chaser.refresh_threshold
        yield "renewed", f"when the price is {_money(moved)} away from it"
    is_maker_only = config.execution_strategy.order_type is OrderType.LIMIT_MAKER
    yield from balance_lines(
        session,
        [
            PlannedOrder(
                market.instrument,
                config.side,
                config.amount,
                config.amount * price,
                config.leverage,
                is_maker_only=is_maker_only,
            )
        ],
    )
    yield "ends", "its fills become a held position"


def _twap(
    session: PublishedSession, config: TWAPExecutorConfig, market: PublishedMarket
) -> Iterator[Line]:
    mid, instrument = _mid(market), market.instrument
    count, part = config.number_of_orders, config.order_amount_quote
    quote = instrument.market.quote
    yield "parts", f"{count} of {_money(part)} {quote}, one each {config.order_interval} s"
    yield "each", _size(config.side, part / mid, mid, instrument)
    yield "last", f"after {(count - 1) * config.order_interval} s"
    if config.limit_order_buffer is not None:
        limit = mid * (1 - config.side.sign * config.limit_order_buffer)
        yield "limit", grouped(_on_grid(instrument, limit, config.side))
    total = config.total_amount_quote
    order = PlannedOrder(instrument, config.side, total / mid, total, config.leverage)
    yield from balance_lines(session, [order])
    if not instrument.is_tradable(instrument.floor_lots(part / mid), _ticks(instrument, mid)):
        yield "⚠ size", "a part is below the smallest order: it would end FAILED"


def _dca(
    session: PublishedSession, config: DCAExecutorConfig, market: PublishedMarket
) -> Iterator[Line]:
    instrument = market.instrument
    total, average = config.max_amount_quote, config.target_position_average_price
    quote = instrument.market.quote
    yield "order", f"{config.side.name} {len(config.prices)} levels, {_money(total)} {quote}"
    yield "average", f"{grouped(_on_grid(instrument, average, config.side))} once all are filled"
    for label, fraction, sign in (
        ("stop loss", config.stop_loss, -1),
        ("take profit", config.take_profit, 1),
    ):
        if fraction is not None:
            price = average * (1 + config.side.sign * sign * fraction)
            level = grouped(_on_grid(instrument, price, config.side))
            yield label, f"{level}  {sign * fraction * total:+,.2f} {quote}"
    amount = sum(
        (one / price for one, price in zip(config.amounts_quote, config.prices, strict=True)),
        Decimal(0),
    )
    order = PlannedOrder(instrument, config.side, amount, total, config.leverage)
    yield from balance_lines(session, [order])
    for amount, price in zip(config.amounts_quote, config.prices, strict=True):
        lots = instrument.floor_lots(amount / price)
        if not instrument.is_tradable(lots, _ticks(instrument, price)):
            yield "⚠ level", f"{_money(amount)} at {grouped(price)} is below the smallest order"


def _grid(
    session: PublishedSession, config: GridExecutorConfig, market: PublishedMarket
) -> Iterator[Line]:
    instrument = market.instrument
    try:
        plan = plan_grid(config, instrument, Fraction(_mid(market)))
    except GridTooSmallError as error:
        yield "⚠ grid", str(error)
        return
    prices = [instrument.price(level.ticks) for level in plan.levels]
    yield "levels", f"{len(prices)} from {grouped(prices[0])} to {grouped(prices[-1])}"
    if len(prices) > 1:
        yield "step", f"{float(plan.step) * 100:.3f} % between levels"
    first = plan.levels[0]
    yield "each", _size(config.side, instrument.qty(first.lots), prices[0], instrument)
    yield "take profit", f"{float(first.take_profit) * 100:.3f} % from each level"
    if config.limit_price:
        what = "keeps the position" if config.keep_position else "closes at a loss"
        yield "limit", f"{grouped(config.limit_price)}: {what}"
    total, leverage = config.total_amount_quote, config.leverage if instrument.is_perpetual else 1
    order = PlannedOrder(instrument, config.side, total / _mid(market), total, leverage)
    yield from balance_lines(session, [order])


def _two_venues(session: PublishedSession, config: TwoVenueConfig) -> Iterator[Line]:
    buying = session.markets.get(config.buying_market)
    selling = session.markets.get(config.selling_market)
    if buying is None or selling is None or buying.quote is None or selling.quote is None:
        yield "market", "no quote yet"
        return
    amount = config.order_amount
    ask = buying.instrument.price(buying.quote.ask_ticks)
    bid = selling.instrument.price(selling.quote.bid_ticks)
    maker_side = config.maker_side if isinstance(config, XEMMExecutorConfig) else None
    legs = (
        PlannedOrder(buying.instrument, TradeType.BUY, amount, amount * ask),
        PlannedOrder(selling.instrument, TradeType.SELL, amount, amount * bid),
    )
    # Only the costs tell a maker: its order is checked as any limit order, which may take.
    cost = sum(
        (fee_rate(replace(leg, is_maker_only=leg.side is maker_side)) for leg in legs), Decimal(0)
    )
    sold = bid * _conversion(session, config)
    yield "buy", _size(TradeType.BUY, amount, ask, buying.instrument)
    yield "sell", _size(TradeType.SELL, amount, bid, selling.instrument)
    yield "now", f"{((sold - ask) / ask - cost) * 100:+.3f} % after fees"
    match config:
        case ArbitrageExecutorConfig():
            yield "trades", f"above {config.min_profitability * 100:+.3f} %"
        case XEMMExecutorConfig():
            rate = _conversion(session, config)
            base, sign = (bid * rate, 1) if maker_side is TradeType.BUY else (ask / rate, -1)
            price = base / (1 + sign * (config.target_profitability + cost))
            maker = buying.instrument if sign > 0 else selling.instrument
            shown = grouped(_on_grid(maker, price, config.maker_side))
            yield "maker", f"{config.maker_side.name} at {shown}"
        case _:
            pass
    yield from balance_lines(session, legs)


def _conversion(session: PublishedSession, config: TwoVenueConfig) -> Decimal:
    """Return the buying market's quote asset per selling market's one.

    What no market of the session trades counts one to one: a session takes nothing else.
    """
    rates = MarketRates(
        instruments=(market.instrument for market in session.markets.values()),
        quote_of=lambda market: session.markets[market].quote,
    )
    rate = rates.rate(config.selling_market.quote, config.buying_market.quote)
    return Decimal(1) if rate is None else Decimal(rate.numerator) / rate.denominator


def _size(side: TradeType, amount: Decimal, price: Decimal, instrument: Instrument) -> str:
    base, quote = instrument.market.base, instrument.market.quote
    lots = instrument.qty(instrument.floor_lots(amount))
    return f"{side.name} {plain(lots)} {base} ≈ {_money(amount * price)} {quote}"


def _touch(market: PublishedMarket, side: TradeType) -> Decimal:
    quote = market.quote
    if quote is None:
        return Decimal(0)
    return market.instrument.price(quote.bid_ticks if side is TradeType.BUY else quote.ask_ticks)


def _mid(market: PublishedMarket) -> Decimal:
    quote = market.quote
    if quote is None:
        return Decimal(0)
    return market.instrument.tick * (quote.bid_ticks + quote.ask_ticks) / 2


def _ticks(instrument: Instrument, price: Decimal) -> int:
    return instrument.nearest_ticks(price)


def _on_grid(instrument: Instrument, price: Decimal, side: TradeType) -> Decimal:
    return instrument.price(instrument.passive_ticks(price, is_buy=side is TradeType.BUY))


def _money(value: Decimal) -> str:
    return f"{value:,.2f}"
