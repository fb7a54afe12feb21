"""Rules, account and instruments as the integers that a kernel reads (UNIT-8)."""

from __future__ import annotations

from math import gcd
from typing import Final

import numpy as np

from engine.backtest import kernel_layout as at
from engine.backtest.kernel_request import LARGEST, KernelRequest, safe_lots
from engine.execution.bar_settings import (
    FillTiming,
    InsufficientFunds,
    MarketBasis,
    PathMode,
    ProbabilityFill,
    ThroughFill,
    TrailUpdate,
    UnknownVolume,
)
from engine.execution.commission import (
    CommissionModel,
    MakerTakerCommission,
    PercentCommission,
    PerShareCommission,
    PerTradeCommission,
)
from engine.execution.cost_settings import (
    DEFAULT_MAKER_PPB,
    DEFAULT_TAKER_PPB,
    Clamp,
    build_commission,
)
from engine.execution.slippage import (
    AmountSlippage,
    FixedSlippage,
    RelativeSlippage,
    SlippageModel,
    SpreadSlippage,
    TakerFacts,
    VolatilitySlippage,
    VolumeShareSlippage,
)
from engine.model.bar_columns import IntArray
from engine.model.instruments import PPB, Instrument, Settlement
from engine.model.rates import to_ppb
from engine.portfolio.account_settings import AccountKind
from engine.risk.bar_limits import BarRiskSettings, HaltAction, Limit
from engine.risk.bar_sizers import AllInSizer
from engine.risk.limits import LimitMode
from engine.risk.sizers import FixedSizer, KellySizer, PercentEquitySizer, PercentRiskSizer
from engine.strategies.signal_table import NO_PRICE

_PATHS: Final = {
    PathMode.PESSIMISTIC: at.PATH_PESSIMISTIC,
    PathMode.ADAPTIVE: at.PATH_ADAPTIVE,
    PathMode.OHLC: at.PATH_OHLC,
    PathMode.OLHC: at.PATH_OLHC,
}
_BASES: Final = {
    MarketBasis.OPEN: at.BASIS_OPEN,
    MarketBasis.VWAP: at.BASIS_VWAP,
    MarketBasis.TYPICAL: at.BASIS_TYPICAL,
    MarketBasis.MID: at.BASIS_MID,
    MarketBasis.CLOSE: at.BASIS_CLOSE,
}


def numbers_of(request: KernelRequest, slippage: SlippageModel) -> IntArray:
    """Return parameters and account as a run begins with them."""
    broker, account, risk = request.broker, request.account, request.risk
    q = np.zeros(at.Q_COUNT, dtype=np.int64)
    q[at.P_TIMING] = broker.fill_timing is FillTiming.THIS_CLOSE
    q[at.P_PATH] = _PATHS[broker.path]
    if isinstance(broker.limit_fill, ThroughFill):
        q[at.P_LIMIT_FILL] = at.FILL_THROUGH
    elif isinstance(broker.limit_fill, ProbabilityFill):
        q[at.P_LIMIT_FILL] = at.FILL_PROBABILITY
        q[at.P_PROBABILITY] = int(broker.limit_fill.p * PPB)
    q[at.P_MARKET_BASIS] = _BASES[broker.market_basis]
    shares = [slippage.volume_limit_ppb]
    if broker.max_participation is not None:
        shares.append(to_ppb(broker.max_participation))
    bounds = [share for share in shares if share is not None]
    q[at.P_PARTICIPATION] = min(bounds, default=-1)
    q[at.P_VOLUME_ACTIVE] = bool(bounds)
    q[at.P_UNKNOWN_REJECTS] = broker.unknown_volume is UnknownVolume.REJECT
    q[at.P_CLAMP_BAR] = broker.slippage_model.clamp is Clamp.BAR
    q[at.P_TRIM] = broker.insufficient_funds is InsufficientFunds.TRIM
    q[at.P_TRAIL_CLOSE] = broker.trail_update is TrailUpdate.CLOSE
    q[at.P_MARGIN] = account.account is AccountKind.MARGIN
    q[at.P_LEVERAGE] = int(account.leverage)
    q[at.P_MAINTENANCE] = to_ppb(account.maintenance_ratio)
    q[at.P_LIQUIDATION_FEE] = to_ppb(account.liquidation_fee)
    q[at.P_SEED] = request.seed
    q[at.P_CLOSE_AT_END] = request.close_positions
    _set_slippage(q, slippage)
    _set_commission(q, commission_of(request))
    _set_risk(q, risk)
    initial = int(account.initial_cash.scaleb(account.money_precision))
    for entry in (at.A_CASH, at.A_EQUITY, at.A_PEAK, at.A_INITIAL):
        q[entry] = initial
    q[at.A_FACTOR] = PPB
    q[at.A_SAFE_ATOMS] = LARGEST // (16 * int(account.leverage))
    return q


def commission_of(request: KernelRequest) -> CommissionModel:
    """Return the commission model of *request*."""
    return build_commission(
        request.broker.commission_model,
        money_precision=request.account.money_precision,
        default_maker_ppb=DEFAULT_MAKER_PPB,
        default_taker_ppb=DEFAULT_TAKER_PPB,
    )


def _set_slippage(q: IntArray, slippage: SlippageModel) -> None:
    match slippage:
        case FixedSlippage() | AmountSlippage():
            q[at.P_SLIPPAGE] = at.SLIP_TICKS
        case SpreadSlippage():
            has_column = slippage.ticks is None and slippage.amount is None
            q[at.P_SLIPPAGE] = at.SLIP_SPREAD if has_column else at.SLIP_TICKS
        case RelativeSlippage():
            q[at.P_SLIPPAGE] = at.SLIP_PPB
            q[at.K_IMPACT] = slippage.rate_ppb
        case VolatilitySlippage():
            q[at.P_SLIPPAGE] = at.SLIP_PPB
            q[at.P_IMPACT_BY_BAR] = 1
        case VolumeShareSlippage():
            q[at.P_SLIPPAGE] = at.SLIP_VOLUME_SHARE
            q[at.P_SHARE_LIMIT] = slippage.limit_ppb
            q[at.P_SHARE_FACTOR] = round(slippage.k * PPB)
        case _:
            q[at.P_SLIPPAGE] = at.SLIP_NONE


def _set_commission(q: IntArray, model: CommissionModel) -> None:
    match model:
        case PerShareCommission() | PercentCommission():
            is_percent = isinstance(model, PercentCommission)
            q[at.P_FEE] = at.FEE_PERCENT if is_percent else at.FEE_PER_SHARE
            q[at.P_FEE_RATE] = model.rate_ppb if is_percent else 0
            q[at.P_FEE_MIN] = model.min_atoms
            q[at.P_FEE_MAX] = -1 if model.max_atoms is None else model.max_atoms
        case PerTradeCommission():
            q[at.P_FEE] = at.FEE_PER_TRADE
            q[at.P_FEE_MIN] = model.flat_atoms
        case MakerTakerCommission():
            q[at.P_FEE] = at.FEE_MAKER_TAKER
        case _:
            q[at.P_FEE] = at.FEE_NONE


def _set_risk(q: IntArray, risk: BarRiskSettings) -> None:
    sizer = risk.sizer
    if isinstance(sizer, PercentEquitySizer | KellySizer):
        q[at.P_SIZER] = at.SIZER_WEIGHT
    elif isinstance(sizer, PercentRiskSizer):
        q[at.P_SIZER] = at.SIZER_RISK
    elif isinstance(sizer, AllInSizer):
        q[at.P_ALL_IN] = to_ppb(sizer.weight)
    q[at.P_ONE_PENDING] = risk.one_pending_per_symbol
    q[at.P_SIZE_REJECTS] = _rejects(risk.max_position_size)
    q[at.P_MAX_POSITION_PCT], q[at.P_PCT_REJECTS] = _bound(risk.max_position_pct)
    q[at.P_MAX_LEVERAGE], q[at.P_LEVERAGE_REJECTS] = _bound(risk.max_leverage)
    limits = (risk.max_position_size, risk.max_position_pct, risk.max_leverage)
    q[at.P_LIMITED] = any(limit is not None for limit in limits)
    control = risk.drawdown
    q[at.P_REDUCE_AT] = q[at.P_MAX_DRAWDOWN] = -1
    if control is None:
        return
    q[at.P_WATCHES] = 1
    if control.reduce_threshold is not None:
        q[at.P_REDUCE_AT] = to_ppb(control.reduce_threshold)
    if control.max_drawdown is not None:
        q[at.P_MAX_DRAWDOWN] = to_ppb(control.max_drawdown)
    q[at.P_REDUCTION] = to_ppb(control.reduction_factor)
    q[at.P_FLATTENS] = control.action is HaltAction.FLATTEN
    levels = [level for level in (q[at.P_REDUCE_AT], q[at.P_MAX_DRAWDOWN]) if level >= 0]
    q[at.P_WATCH_FROM] = min(levels, default=PPB)


def _rejects(limit: Limit | None) -> bool:
    return limit is not None and limit.mode is LimitMode.REJECT


def _bound(limit: Limit | None) -> tuple[int, bool]:
    return (-1, False) if limit is None else (int(limit.value * PPB), _rejects(limit))


def symbols_of(request: KernelRequest, slippage: SlippageModel) -> IntArray:
    """Return the instruments, and where their bars begin, as a run begins with them."""
    count = len(request.columns)
    s = np.zeros((count, at.S_COUNT), dtype=np.int64)
    commission = commission_of(request)
    offset = 0
    for index, bars in enumerate(request.columns):
        instrument = bars.instrument
        row = s[index]
        row[at.S_SCALE] = instrument.atoms_per_tick_lot
        row[at.S_MARK] = NO_PRICE
        row[at.S_MIN_LOTS] = instrument.min_lots
        row[at.S_MAX_LOTS] = min(int(instrument.max_qty / instrument.lot), LARGEST)
        row[at.S_MIN_NOTIONAL] = min(instrument.min_notional_atoms, LARGEST)
        row[at.S_SPOT] = instrument.settlement is Settlement.SPOT
        row[at.S_SHORTABLE] = instrument.shortable
        row[at.S_OFFSET] = offset
        row[at.S_FIRST] = row[at.S_CURSOR] = request.starts[index]
        row[at.S_SKIP_HIGH], row[at.S_SKIP_LOW] = at.MAX_PRICE, -at.MAX_PRICE
        row[at.S_DONE_BAR] = -1
        row[at.S_MAX_TICKS] = bars.highest if len(bars) else 1
        row[at.S_SAFE_LOTS] = safe_lots(request, bars)
        row[at.S_SIZE_VALUE] = _size_value(request.risk, instrument)
        limit = request.risk.max_position_size
        row[at.S_MAX_POSITION] = -1
        if limit is not None:
            row[at.S_MAX_POSITION] = min(instrument.floor_lots(limit.value), LARGEST)
        row[at.S_SLIP_TICKS] = _slip_ticks(slippage, instrument)
        _set_fee(row, commission, instrument)
        offset += len(bars)
    return s


def _size_value(risk: BarRiskSettings, instrument: Instrument) -> int:
    match risk.sizer:
        case FixedSizer():
            return min(instrument.floor_lots(risk.sizer.qty), LARGEST)
        case PercentEquitySizer():
            return int(risk.sizer.weight * PPB)
        case KellySizer():
            return to_ppb(risk.sizer.weight)
        case PercentRiskSizer():
            return to_ppb(risk.sizer.risk)
        case _:
            return 0


def _slip_ticks(slippage: SlippageModel, instrument: Instrument) -> int:
    if isinstance(slippage, FixedSlippage | AmountSlippage | SpreadSlippage):
        return slippage.worsening_ticks(1, TakerFacts(instrument))
    return 0


def _set_fee(row: IntArray, model: CommissionModel, instrument: Instrument) -> None:
    row[at.S_FEE_PER] = 1
    if isinstance(model, PerShareCommission):
        rate, per = _per_share_fraction(model, instrument)
        row[at.S_FEE_RATE], row[at.S_FEE_PER] = rate, per
    elif isinstance(model, MakerTakerCommission):
        maker, taker = model.maker_ppb, model.taker_ppb
        row[at.S_FEE_MAKER] = instrument.maker_ppb if maker is None else maker
        row[at.S_FEE_TAKER] = instrument.taker_ppb if taker is None else taker


def _per_share_fraction(model: PerShareCommission, instrument: Instrument) -> tuple[int, int]:
    """Return (atoms, lots): so many atoms for so many lots, in lowest terms."""
    per, units = instrument.lot.as_integer_ratio()
    atoms = per * model.rate_ppb * 10**instrument.money_precision
    lots = units * PPB
    shared = gcd(atoms, lots)
    return atoms // shared, lots // shared
