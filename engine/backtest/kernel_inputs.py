"""Turns configuration, bars and signals into the integer tables of a kernel (FAST-1, UNIT-8).

Nothing here needs numba.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.backtest import kernel_layout as at
from engine.execution.bar_settings import (
    BarBrokerSettings,
    FillTiming,
    InsufficientFunds,
    MarketBasis,
    PathMode,
    ProbabilityFill,
    ThroughFill,
    TouchFill,
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
    build_slippage,
)
from engine.execution.slippage import (
    AmountSlippage,
    FixedSlippage,
    NoSlippage,
    RelativeSlippage,
    SlippageModel,
    SpreadSlippage,
    TakerFacts,
    VolatilitySlippage,
    VolumeShareSlippage,
)
from engine.markets.mapped_columns import table_like
from engine.model.bar_columns import BarColumns, IntArray
from engine.model.instruments import PPB, Instrument, Settlement
from engine.model.rates import to_ppb
from engine.model.timeline import Timeline, merge_timeline
from engine.portfolio.account_settings import AccountKind, AccountSettings
from engine.risk.bar_limits import BarRiskSettings, HaltAction, Limit
from engine.risk.bar_sizers import AllInSizer, KellySizer, PercentRiskSizer
from engine.risk.limits import LimitMode
from engine.risk.sizers import FixedSizer, PercentEquitySizer
from engine.strategies.signal_codes import BracketBasis, KindCode, OffsetUnit, TimeInForce
from engine.strategies.signal_table import NO_PRICE, SignalTable

LARGEST: Final = 2**62
"""No number of a kernel may reach this (UNIT-7)."""

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


@dataclass(frozen=True, slots=True, eq=False)
class SymbolSignals:
    """The signals of one strategy on one symbol; ``number`` is the strategy's place."""

    number: int
    symbol: int
    table: SignalTable


@dataclass(frozen=True, slots=True, eq=False)
class KernelRequest:
    """Everything that a compiled run is made of.

    ``starts`` and ``stops`` are the first bar and the end of each symbol's window.
    """

    columns: tuple[BarColumns, ...]
    starts: tuple[int, ...]
    stops: tuple[int, ...]
    signals: tuple[SymbolSignals, ...]
    account: AccountSettings
    broker: BarBrokerSettings
    risk: BarRiskSettings
    seed: int
    close_positions: bool

    @property
    def is_single(self) -> bool:
        """Whether there is one symbol, whose bars are the steps."""
        return len(self.columns) == 1


@dataclass(frozen=True, slots=True, eq=False)
class KernelInputs:
    """The tables that a kernel reads, and those that it starts from."""

    numbers: IntArray
    symbols: IntArray
    bars: tuple[NDArray[Any], ...]
    timeline: IntArray
    decisions: IntArray
    steps: int
    groups: int
    tags: tuple[str, ...]
    owners: IntArray
    """Number of the strategy of each decision."""
    timeline_ts: IntArray
    exits: int = 0
    """Bracket exits that the decisions ask for."""


def is_market_only(request: KernelRequest, setup: KernelSetup | None = None) -> bool:
    """Whether the small kernel can play *request*: see `engine.backtest.kernel_market`."""
    if len(request.signals) != 1:
        return False
    is_market = _is_market_account(request) if setup is None else setup.is_market_only
    return is_market and _is_plain(request.signals[0].table)


def is_bracket_only(request: KernelRequest, setup: KernelSetup | None = None) -> bool:
    """Whether `engine.backtest.kernel_bracket` can begin *request*; it may still give it back."""
    if len(request.signals) != 1 or not isinstance(request.broker.limit_fill, TouchFill):
        return False
    is_market = _is_market_account(request) if setup is None else setup.is_market_only
    return is_market and _has_plain_exits(request.signals[0].table)


def _is_market_account(request: KernelRequest) -> bool:
    """Whether everything but the signals of *request* is for the small kernel."""
    broker, risk = request.broker, request.risk
    if not request.is_single or risk.drawdown is not None:
        return False
    bars = request.columns[0]
    limits = (risk.max_position_size, risk.max_position_pct, risk.max_leverage)
    slippage = build_slippage(broker.slippage_model)
    commission = _commission(request)
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


def _is_plain(table: SignalTable) -> bool:
    """Whether *table* wants market orders only, at most one at a bar, without exits."""
    return (
        not bool(np.any(table["kind"] == KindCode.ORDER))
        and all(table.has_only(name, NO_PRICE) for name in ("sl", "tp"))
        and _wants_market(table)
    )


def _has_plain_exits(table: SignalTable) -> bool:
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


class KernelSetup:
    """What requests share that differ in nothing but their signals and their seed.

    May be used by several threads: what is found twice is the same.
    """

    def __init__(self, request: KernelRequest) -> None:
        self._request = request
        self._slippage = build_slippage(request.broker.slippage_model)
        self._numbers = _numbers(request, self._slippage)
        self._symbols = _symbols(request, self._slippage)
        self._bars: dict[bool, tuple[NDArray[Any], ...]] = {}
        self._is_market_only: bool | None = None
        self.steps_of: list[IntArray] | None = None
        """For each symbol the timeline's entry of each of its bars; None for one symbol."""
        self.timeline = np.zeros((0, 3), dtype=np.int64)
        self.timeline_ts = np.zeros(0, dtype=np.int64)
        self.steps = request.stops[0] - request.starts[0]
        if not request.is_single:
            self._set_timeline(_timeline(request))
        self.timeline = _read_only(self.timeline)

    def _set_timeline(self, timeline: Timeline) -> None:
        marks = np.searchsorted(timeline.instants, np.arange(len(timeline)), side="right")
        self.timeline = np.column_stack((timeline.symbol, timeline.bar, marks)).astype(np.int64)
        if len(timeline):
            self.timeline_ts = timeline.ts_close[timeline.instants[1:] - 1]
        self.steps = len(timeline)
        self.steps_of = _steps(self._request, timeline)

    @property
    def is_market_only(self) -> bool:
        """Whether everything but the signals is for the small kernel."""
        if self._is_market_only is None:
            self._is_market_only = _is_market_account(self._request)
        return self._is_market_only

    def numbers(self, seed: int) -> IntArray:
        """Return parameters and account as a run begins with them."""
        numbers = self._numbers.copy()
        numbers[at.P_SEED] = seed
        return numbers

    def symbols(self) -> IntArray:
        """Return the symbols as a run begins with them."""
        return self._symbols.copy()

    def bars(self, *, has_flags: bool) -> tuple[NDArray[Any], ...]:
        """Return the columns of all bars; without flags for the small kernel."""
        bars = self._bars.get(has_flags)
        if bars is None:
            bars = self._bars[has_flags] = _bars(self._request, self._slippage, has_flags=has_flags)
        return bars


def kernel_inputs(
    request: KernelRequest,
    *,
    market_only: bool = False,
    brackets: bool = False,
    setup: KernelSetup | None = None,
) -> KernelInputs:
    """Return the tables of *request*; with *market_only* those that the small kernel reads.

    With *brackets* they are those of the kernel for entries with stop and target.
    *setup* is that of another request with the same bars, account and rules.
    """
    setup = setup or KernelSetup(request)
    wanted = _PLAIN
    if market_only or brackets:
        wanted = _BRACKET if brackets else _MARKET
    decisions, owners, tags, groups = _decisions(request, setup.steps_of, wanted)
    numbers = setup.numbers(request.seed)
    exits = 0
    if wanted is not _PLAIN:
        numbers[at.A_BURST] = min(1, len(decisions))
    elif len(decisions):
        burst = int(np.unique(decisions[:, at.D_STEP], return_counts=True)[1].max())
        numbers[at.A_BURST] = burst if request.is_single else burst * len(request.columns)
        is_day = decisions[:, at.D_TIF] == int(TimeInForce.DAY)
        numbers[at.P_HAS_DAY_ORDERS] = bool(np.any(is_day))
    if wanted is not _MARKET:
        exits = sum(
            int(np.count_nonzero(decisions[:, column] != NO_PRICE))
            for column in (at.D_SL, at.D_TP, at.D_SL_TRAIL)
            if column in wanted
        )
    return KernelInputs(
        numbers=numbers,
        symbols=setup.symbols(),
        bars=setup.bars(has_flags=wanted is _PLAIN),
        timeline=setup.timeline,
        decisions=_read_only(decisions),
        steps=setup.steps,
        groups=groups,
        tags=tags,
        owners=owners,
        timeline_ts=setup.timeline_ts,
        exits=exits,
    )


def _timeline(request: KernelRequest) -> Timeline:
    return merge_timeline(request.columns, starts=request.starts, stops=request.stops)


def _read_only(values: NDArray[np.int64]) -> NDArray[np.int64]:
    values = np.ascontiguousarray(values)
    values.flags.writeable = False
    return values


# --- parameters ----------------------------------------------------------------------------------


def _numbers(request: KernelRequest, slippage: SlippageModel) -> IntArray:
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
    _set_commission(q, _commission(request))
    _set_risk(q, risk)
    initial = int(account.initial_cash.scaleb(account.money_precision))
    for entry in (at.A_CASH, at.A_EQUITY, at.A_PEAK, at.A_INITIAL):
        q[entry] = initial
    q[at.A_FACTOR] = PPB
    q[at.A_SAFE_ATOMS] = LARGEST // (16 * int(account.leverage))
    return q


def _commission(request: KernelRequest) -> CommissionModel:
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


# --- symbols and bars ----------------------------------------------------------------------------


def _symbols(request: KernelRequest, slippage: SlippageModel) -> IntArray:
    count = len(request.columns)
    s = np.zeros((count, at.S_COUNT), dtype=np.int64)
    commission = _commission(request)
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


def safe_lots(request: KernelRequest, bars: BarColumns) -> int:
    """Return the most lots whose value, times the leverage, stays far inside 62 bits (UNIT-7)."""
    top = 4 * bars.highest if len(bars) else 1
    per_lot = max(1, top) * bars.instrument.atoms_per_tick_lot * int(request.account.leverage)
    return LARGEST // per_lot


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
        rate, per = per_share_fraction(model, instrument)
        row[at.S_FEE_RATE], row[at.S_FEE_PER] = rate, per
    elif isinstance(model, MakerTakerCommission):
        maker, taker = model.maker_ppb, model.taker_ppb
        row[at.S_FEE_MAKER] = instrument.maker_ppb if maker is None else maker
        row[at.S_FEE_TAKER] = instrument.taker_ppb if taker is None else taker


def per_share_fraction(model: PerShareCommission, instrument: Instrument) -> tuple[int, int]:
    """Return (atoms, lots): so many atoms for so many lots, in lowest terms."""
    per, units = instrument.lot.as_integer_ratio()
    atoms = per * model.rate_ppb * 10**instrument.money_precision
    lots = units * PPB
    shared = gcd(atoms, lots)
    return atoms // shared, lots // shared


def _bars(
    request: KernelRequest, slippage: SlippageModel, *, has_flags: bool
) -> tuple[NDArray[Any], ...]:
    names = ("ts_open", "ts_close", "open", "high", "low", "close", "volume")
    joined: list[NDArray[np.int64]] = [
        _joined([getattr(one, name) for one in request.columns]) for name in names
    ]
    empty = _read_only(np.zeros(0, dtype=np.int64))
    vwap = spread = impact = empty
    if request.broker.market_basis is MarketBasis.VWAP:
        vwap = _joined([_optional(one, one.vwap) for one in request.columns])
    if isinstance(slippage, SpreadSlippage):
        spread = _joined([_optional(one, one.spread) for one in request.columns])
    if isinstance(slippage, VolatilitySlippage):
        impact = _joined([_impact(one, slippage) for one in request.columns])
    if not has_flags:
        return (*joined, vwap, spread, impact, np.zeros(0, dtype=np.uint8))
    flags = [
        one.blocks_fills.view(np.uint8) * np.uint8(at.FLAG_SYNTHETIC)
        + one.starts_session.view(np.uint8) * np.uint8(at.FLAG_STARTS)
        + one.ends_session.view(np.uint8) * np.uint8(at.FLAG_ENDS)
        for one in request.columns
    ]
    packed = np.concatenate(flags) if len(flags) > 1 else flags[0]
    packed.flags.writeable = False
    return (*joined, vwap, spread, impact, packed)


def _joined(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return *parts* one after the other; a single one is not copied."""
    return _read_only(parts[0] if len(parts) == 1 else np.concatenate(parts))


def _optional(bars: BarColumns, values: IntArray | None) -> IntArray:
    return np.full(len(bars), NO_PRICE, dtype=np.int64) if values is None else values


def _impact(bars: BarColumns, model: VolatilitySlippage) -> IntArray:
    """Return the slippage of each bar in parts per billion, as the model computes it."""
    facts = TakerFacts(bars.instrument, closes=bars.close.tolist())
    impacts = np.empty(len(bars), dtype=np.int64)
    for bar in range(len(bars)):
        facts.bar = bar
        impacts[bar] = model.impact_ppb(facts)
    return impacts


# --- signals -------------------------------------------------------------------------------------

_PLAIN: Final[Mapping[int, str]] = {
    at.D_KIND: "kind",
    at.D_VALUE: "value",
    at.D_SIDE: "side",
    at.D_STRENGTH: "strength_ppb",
    at.D_ONLY_FLAT: "only_flat",
    at.D_TYPE: "order_type",
    at.D_LIMIT: "limit",
    at.D_STOP: "stop",
    at.D_TRAIL: "trail",
    at.D_TRAIL_UNIT: "trail_unit",
    at.D_OFFSET: "limit_offset",
    at.D_ACTIVATION: "activation",
    at.D_TIF: "tif",
    at.D_EXPIRE: "expire",
    at.D_BASIS: "bracket_basis",
    at.D_SL: "sl",
    at.D_SL_UNIT: "sl_unit",
    at.D_TP: "tp",
    at.D_TP_UNIT: "tp_unit",
    at.D_SL_TRAIL: "sl_trail",
    at.D_SL_TRAIL_UNIT: "sl_trail_unit",
    at.D_REDUCE: "reduce_only",
    at.D_POST: "post_only",
    at.D_SIZE: "size_ppb",
    at.D_GROUP: "oco_group",
    at.D_OCO: "oco_mode",
    at.D_TAG: "tag",
    at.D_OFF_GRID: "off_grid",
}


_MARKET: Final = {
    column: name
    for column, name in _PLAIN.items()
    if name in ("kind", "value", "strength_ppb", "only_flat", "tag")
}
_BRACKET: Final = {
    column: name
    for column, name in _PLAIN.items()
    if name in {*_MARKET.values(), "side", "bracket_basis", "sl", "sl_unit", "tp", "tp_unit"}
}


def _decisions(
    request: KernelRequest, steps_of: Sequence[IntArray] | None, wanted: Mapping[int, str]
) -> tuple[IntArray, IntArray, tuple[str, ...], int]:
    """Return the signals in the order in which they are given, their owners, tags, OCO groups."""
    parts: list[IntArray] = []
    owners: list[IntArray] = []
    tags: dict[str, int] = {"": 0}
    width = at.D_COUNT if wanted is _PLAIN else max(wanted) + 1
    for one in request.signals:
        table, symbol = one.table, one.symbol
        bar = table["bar"].astype(np.int64)
        kept = np.flatnonzero((bar >= request.starts[symbol]) & (bar < request.stops[symbol]))
        part = table_like(request.columns[symbol].close, (len(kept), width))
        is_whole = len(kept) == len(bar)
        for column, name in wanted.items():
            part[:, column] = table[name] if is_whole else table[name][kept]
        part[:, at.D_SYMBOL] = symbol
        part[:, at.D_STEP] = bar[kept] - request.starts[symbol]
        if steps_of is not None:
            part[:, at.D_STEP] = steps_of[symbol][part[:, at.D_STEP]]
        numbers = np.array([tags.setdefault(tag, len(tags)) for tag in table.tags], dtype=np.int64)
        part[:, at.D_TAG] = numbers[part[:, at.D_TAG]]
        if wanted is _PLAIN:
            _freeze_atr(part, table, kept, bar[kept], request.columns[symbol])
        parts.append(part)
        owners.append(np.full(len(kept), one.number, dtype=np.int64))
    rows = parts[0] if len(parts) == 1 else np.concatenate([_no_rows(width), *parts])
    owner = np.concatenate(owners) if owners else np.zeros(0, dtype=np.int64)
    if len(parts) > 1:
        order = np.argsort(rows[:, at.D_STEP], kind="stable")
        rows, owner = rows[order], owner[order]
    if wanted is not _PLAIN:
        return rows, owner, tuple(tags), 1
    if not _is_strict(request):
        rows[:, at.D_OFF_GRID] = 0
    given = rows[:, at.D_GROUP]
    groups = np.unique(given[given != 0])
    rows[:, at.D_GROUP] = np.where(given == 0, 0, np.searchsorted(groups, given) + 1)
    return rows, owner, tuple(tags), len(groups) + 1


def _no_rows(width: int) -> IntArray:
    return np.zeros((0, width), dtype=np.int64)


def _is_strict(request: KernelRequest) -> bool:
    return request.broker.price_grid.value == "strict"


def _steps(request: KernelRequest, timeline: Timeline) -> list[IntArray]:
    """Return for each symbol the timeline's entry of each of its bars."""
    return [
        np.flatnonzero(timeline.symbol == symbol).astype(np.int64)
        for symbol in range(len(request.columns))
    ]


_ATR_PARTS: Final = (
    (at.D_TRAIL_UNIT, at.D_TRAIL, "trail_n", 1),
    (at.D_SL_UNIT, at.D_SL, "sl_n", 2),
    (at.D_TP_UNIT, at.D_TP, "tp_n", 2),
    (at.D_SL_TRAIL_UNIT, at.D_SL_TRAIL, "sl_trail_n", 2),
)


def _freeze_atr(
    part: IntArray, table: SignalTable, kept: IntArray, bars: IntArray, columns: BarColumns
) -> None:
    """Turn offsets in ATRs into ticks, as an order's arrival does (FILL-17)."""
    if not any(np.any(part[:, unit] == OffsetUnit.ATR) for unit, *_ in _ATR_PARTS):
        return
    ranges = np.zeros(len(columns) + 1, dtype=np.int64)
    high, low = columns.high.copy(), columns.low.copy()
    high[1:] = np.maximum(high[1:], columns.close[:-1])
    low[1:] = np.minimum(low[1:], columns.close[:-1])
    np.cumsum(high - low, out=ranges[1:])
    for unit, value, length, flag in _ATR_PARTS:
        for row in np.flatnonzero((part[:, unit] == OffsetUnit.ATR) & (part[:, value] > 0)):
            count = int(table[length][kept[row]])
            if count < 1 or (unit != at.D_TRAIL_UNIT and _is_absolute(part[row], unit)):
                continue
            stop = int(bars[row]) + 1
            start = max(0, stop - count)
            total = int(ranges[stop] - ranges[start])
            ticks = -(-total * int(part[row, value]) // ((stop - start) * PPB))
            if unit == at.D_SL_UNIT:
                part[row, at.D_HIDES_SL] = 1
            if ticks <= 0:
                part[row, at.D_BAD_ATR] |= flag
                continue
            part[row, unit], part[row, value] = OffsetUnit.TICKS, ticks


def _is_absolute(row: IntArray, unit: int) -> bool:
    """Whether the unit of a bracket's stop or target says nothing: its prices are absolute."""
    return bool(row[at.D_BASIS] == BracketBasis.ABSOLUTE) and unit in (at.D_SL_UNIT, at.D_TP_UNIT)
