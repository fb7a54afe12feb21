"""Which kernel is enough for a run: the smaller the kernel, the faster."""

from __future__ import annotations

import numpy as np

from engine.backtest.kernel_request import KernelRequest
from engine.backtest.kernel_settings import commission_of
from engine.execution.bar_settings import FillTiming, MarketBasis
from engine.execution.commission import MakerTakerCommission
from engine.execution.cost_settings import Clamp, build_slippage
from engine.execution.slippage import AmountSlippage, FixedSlippage, NoSlippage, RelativeSlippage
from engine.model.instruments import PPB
from engine.risk.sizers import PercentRiskSizer
from engine.strategies.signal_codes import BracketBasis, KindCode, OffsetUnit
from engine.strategies.signal_table import NO_PRICE, SignalTable


def is_market_account(request: KernelRequest) -> bool:
    """Whether everything but the signals of *request* is for the small kernel."""
    broker, risk = request.broker, request.risk
    if not request.is_single or risk.drawdown is not None:
        return False
    bars = request.columns[0]
    limits = (risk.max_position_size, risk.max_position_pct, risk.max_leverage)
    slippage = build_slippage(broker.slippage_model)
    commission = commission_of(request)
    taker = commission.taker_ppb if isinstance(commission, MakerTakerCommission) else 0
    return (
        broker.fill_timing is FillTiming.NEXT_OPEN
        and broker.market_basis is MarketBasis.OPEN
        and broker.max_participation is None
        and broker.slippage_model.clamp is Clamp.NONE
        and isinstance(slippage, NoSlippage | FixedSlippage | AmountSlippage | RelativeSlippage)
        and taker is not None
        and taker >= 0
        and all(limit is None for limit in limits)
        and not isinstance(risk.sizer, PercentRiskSizer)
        and not bars.instrument.min_notional_atoms
        and not bars.has_blocked
    )


def is_plain(table: SignalTable) -> bool:
    """Whether *table* wants market orders only, at most one at a bar, without exits."""
    return (
        not bool(np.any(table["kind"] == KindCode.ORDER))
        and all(table.has_only(name, NO_PRICE) for name in ("sl", "tp"))
        and _wants_market(table)
    )


def has_plain_exits(table: SignalTable) -> bool:
    """Whether *table* wants market orders, at most one at a bar, with stop and target or none."""
    if not _wants_market(table):
        return False
    explicit = table["kind"] == KindCode.ORDER
    if bool(np.any(explicit & (table["value"] <= 0))):
        return False
    counts_from_fill = table["bracket_basis"] == BracketBasis.FILL
    for name in ("sl", "tp"):
        value, unit = table[name], table[f"{name}_unit"]
        known = (unit == OffsetUnit.PRICE) | (unit == OffsetUnit.TICKS)
        known |= (unit == OffsetUnit.PPB) & (value < PPB)
        is_wrong = (value <= 0) | (counts_from_fill & ~known)
        if bool(np.any((value != NO_PRICE) & is_wrong)):
            return False
    return True


def _wants_market(table: SignalTable) -> bool:
    """Whether *table* wants market orders only, at most one at a bar, and no trailing exits."""
    bar = table["bar"]
    if len(bar) > 1 and not bool(np.all(bar[1:] > bar[:-1])):
        return False
    unset = ("order_type", "tif", "reduce_only", "post_only", "size_ppb", "oco_group", "off_grid")
    return all(table.has_only(name, 0) for name in (*unset, "trail_unit")) and all(
        table.has_only(name, NO_PRICE) for name in ("limit", "stop", "sl_trail")
    )
