"""What orders would lock of an account, before they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engine.api.typed_values import plain
from engine.live.published import PublishedSession
from engine.model.instruments import PPB, Instrument
from engine.model.orders import TradeType


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """An order that a configuration would lead to; ``amount`` in base, ``notional`` in quote."""

    instrument: Instrument
    side: TradeType
    amount: Decimal
    notional: Decimal
    leverage: int = 1
    is_maker_only: bool = False


def balance_lines(
    session: PublishedSession, orders: Sequence[PlannedOrder]
) -> Iterator[tuple[str, str]]:
    """Yield what *orders* lock together and what is free, as the budget check sees it.

    Orders that take the same margin, cash or base must fit beside each other.
    """
    free = session.free
    cash: dict[str, Decimal] = {}
    base: dict[str, Decimal] = {}
    spot_assets: set[str] = set()
    for order in orders:
        market, is_spot = order.instrument.market, not order.instrument.is_perpetual
        if is_spot and order.side is TradeType.SELL:
            base[market.base] = base.get(market.base, Decimal(0)) + order.amount
            continue
        if is_spot:
            spot_assets.add(market.quote)
        need = order.notional / (1 if is_spot else order.leverage)
        need += order.notional * max(fee_rate(order), Decimal(0))
        cash[market.quote] = cash.get(market.quote, Decimal(0)) + need
    for asset, need in base.items():
        has = free.base.get(asset, Decimal(0))
        yield "needs", f"{plain(need)} of {plain(has)} {asset} free"
        if need > has:
            yield "⚠ balance", f"{plain(need - has)} {asset} short: it would end at once"
    for asset, need in cash.items():
        has = free.margin
        if asset in spot_assets:
            has = min(has, free.cash.get(asset, Decimal(0)))
        yield "needs", f"{_money(need)} of {_money(has)} {asset} free"
        if need > has:
            yield "⚠ balance", f"{_money(need - has)} {asset} short: it would end at once"


def fee_rate(order: PlannedOrder) -> Decimal:
    """Return the fee of an order as a fraction of its notional."""
    instrument = order.instrument
    return Decimal(instrument.maker_ppb if order.is_maker_only else instrument.taker_ppb) / PPB


def _money(value: Decimal) -> str:
    return f"{value:,.2f}"
