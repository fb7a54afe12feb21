"""Which orders close the position holds that a session ends with."""

from __future__ import annotations

from collections.abc import Iterator

from engine.executors.order_config import OrderExecutorConfig
from engine.executors.position_hold import PositionHold
from engine.executors.position_store import PositionStore
from engine.model.orders import PositionAction, TradeType


def closing_config(hold: PositionHold) -> OrderExecutorConfig:
    """Return an order executor that closes *hold* at market.

    Its fills go to the position store like those of any order executor: to the same bucket, which
    is flat afterwards and has the result as realized PnL. In a netted account the order must not
    be reduce-only, as another controller's hold may stand against it (6.5).
    """
    instrument, market = hold.instrument, hold.key.market
    is_netted = instrument.is_perpetual and not instrument.is_hedged
    return OrderExecutorConfig.model_validate(
        {
            "controller_id": hold.key.controller_id,
            "connector_name": market.connector_name,
            "trading_pair": market.trading_pair,
            "side": TradeType.SELL if hold.net_lots > 0 else TradeType.BUY,
            "amount": instrument.qty(abs(hold.net_lots)),
            "execution_strategy": "MARKET",
            "position_action": PositionAction.OPEN if is_netted else PositionAction.CLOSE,
            "level_id": "flatten",
        }
    )


def open_holds(positions: PositionStore) -> Iterator[tuple[PositionHold, bool]]:
    """Yield the holds that are not flat, and whether a venue would take an order to close each.

    Without a valid price only the least amount is looked at.
    """
    for holds in positions.by_controller().values():
        for hold in holds:
            if not hold.net_lots:
                continue
            mid = positions.mid_half_ticks(hold.key.market)
            lots = abs(hold.net_lots)
            if mid is None:
                yield hold, lots >= hold.instrument.min_lots
            else:
                yield hold, hold.instrument.is_tradable(lots, mid // 2)
