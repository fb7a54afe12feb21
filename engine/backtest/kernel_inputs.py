"""Turns configuration, bars and signals into the integer tables of a kernel (FAST-1, UNIT-8).

Nothing here needs numba.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.backtest import kernel_layout as at
from engine.backtest.kernel_choice import has_plain_exits, is_market_account, is_plain
from engine.backtest.kernel_decisions import BRACKET, EVERYTHING, MARKET, decisions_of
from engine.backtest.kernel_request import KernelRequest
from engine.backtest.kernel_settings import numbers_of, symbols_of
from engine.execution.bar_settings import MarketBasis, TouchFill
from engine.execution.cost_settings import build_slippage
from engine.execution.slippage import SlippageModel, SpreadSlippage, TakerFacts, VolatilitySlippage
from engine.markets.mapped_columns import column_like, is_mapped, table_like, temporary_column
from engine.markets.timelines import instants_of, timeline_of
from engine.model.bar_columns import BarColumns, IntArray, blocks
from engine.model.bar_view import reader
from engine.model.timeline import Timeline
from engine.strategies.signal_codes import TimeInForce
from engine.strategies.signal_table import NO_PRICE


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


class KernelSetup:
    """What requests share that differ in nothing but their signals and their seed.

    May be used by several threads: what is found twice is the same.
    """

    def __init__(self, request: KernelRequest) -> None:
        self._request = request
        self._slippage = build_slippage(request.broker.slippage_model)
        self._numbers = numbers_of(request, self._slippage)
        self._symbols = symbols_of(request, self._slippage)
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
        instants = instants_of(timeline)
        self.steps = count = len(timeline)
        self.timeline = table_like(timeline.ts_close, (count, 3))
        for rows in blocks(count, timeline.ts_close, timeline.symbol, timeline.bar, self.timeline):
            part = self.timeline[rows]
            part[:, 0], part[:, 1] = timeline.symbol[rows], timeline.bar[rows]
            first = int(np.searchsorted(instants, rows.start, side="right"))
            here = instants[first : first + len(part)]
            part[:, 2] = first + np.searchsorted(here, np.arange(rows.start, rows.stop), "right")
        if count:
            self.timeline_ts = column_like(timeline.ts_close, length=len(instants) - 1)
            for rows in blocks(len(instants) - 1, instants, timeline.ts_close, self.timeline_ts):
                last = instants[rows.start + 1 : rows.stop + 1] - 1
                self.timeline_ts[rows] = timeline.ts_close[last]
        self.steps_of = _steps(self._request, timeline)

    @property
    def is_market_only(self) -> bool:
        """Whether everything but the signals is for the small kernel."""
        if self._is_market_only is None:
            self._is_market_only = is_market_account(self._request)
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


def is_market_only(request: KernelRequest, setup: KernelSetup | None = None) -> bool:
    """Whether the small kernel can play *request*: see `engine.backtest.kernel_market`."""
    if len(request.signals) != 1:
        return False
    is_market = is_market_account(request) if setup is None else setup.is_market_only
    return is_market and is_plain(request.signals[0].table)


def is_bracket_only(request: KernelRequest, setup: KernelSetup | None = None) -> bool:
    """Whether `engine.backtest.kernel_bracket` can begin *request*; it may still give it back."""
    if len(request.signals) != 1 or not isinstance(request.broker.limit_fill, TouchFill):
        return False
    is_market = is_market_account(request) if setup is None else setup.is_market_only
    return is_market and has_plain_exits(request.signals[0].table)


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
    wanted = EVERYTHING
    if market_only or brackets:
        wanted = BRACKET if brackets else MARKET
    decisions, owners, tags, groups = decisions_of(request, setup.steps_of, wanted)
    numbers = setup.numbers(request.seed)
    exits = 0
    if wanted is not EVERYTHING:
        numbers[at.A_BURST] = min(1, len(decisions))
    elif len(decisions):
        burst = int(np.unique(decisions[:, at.D_STEP], return_counts=True)[1].max())
        numbers[at.A_BURST] = burst if request.is_single else burst * len(request.columns)
        is_day = decisions[:, at.D_TIF] == int(TimeInForce.DAY)
        numbers[at.P_HAS_DAY_ORDERS] = bool(np.any(is_day))
    if wanted is not MARKET:
        exits = sum(
            int(np.count_nonzero(decisions[:, column] != NO_PRICE))
            for column in (at.D_SL, at.D_TP, at.D_SL_TRAIL)
            if column in wanted
        )
    return KernelInputs(
        numbers=numbers,
        symbols=setup.symbols(),
        bars=setup.bars(has_flags=wanted is EVERYTHING),
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
    return timeline_of(request.columns, starts=request.starts, stops=request.stops)


def _read_only(values: NDArray[np.int64]) -> NDArray[np.int64]:
    values = np.ascontiguousarray(values)
    values.flags.writeable = False
    return values


def _steps(request: KernelRequest, timeline: Timeline) -> list[IntArray]:
    """Return for each symbol the timeline's entry of each of its bars."""
    pairs = zip(request.starts, request.stops, strict=True)
    found = [
        column_like(timeline.ts_close, dtype=np.dtype(np.int64), length=stop - start)
        for start, stop in pairs
    ]
    filled = [0] * len(found)
    for rows in blocks(len(timeline), timeline.symbol, *found):
        symbols = timeline.symbol[rows]
        for symbol, steps in enumerate(found):
            own = np.flatnonzero(symbols == symbol) + rows.start
            steps[filled[symbol] : filled[symbol] + len(own)] = own
            filled[symbol] += len(own)
    return found


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
    packed = _read_only(_chained([_flags(one) for one in request.columns]))
    return (*joined, vwap, spread, impact, packed)


def _flags(bars: BarColumns) -> NDArray[np.uint8]:
    """Return what is special about each bar, in one number."""
    found = column_like(bars.close, dtype=np.dtype(np.uint8))
    blocked, starts, ends = bars.blocks_fills, bars.starts_session, bars.ends_session
    for rows in blocks(len(bars), found, blocked, starts, ends):
        part = found[rows]
        part += blocked[rows].view(np.uint8) * np.uint8(at.FLAG_SYNTHETIC)
        part += starts[rows].view(np.uint8) * np.uint8(at.FLAG_STARTS)
        part += ends[rows].view(np.uint8) * np.uint8(at.FLAG_ENDS)
    return found


def _joined(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return *parts* one after the other; a single one is not copied."""
    return _read_only(_chained(parts))


def _chained(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if len(parts) == 1:
        return parts[0]
    if not any(map(is_mapped, parts)):
        return np.concatenate(parts)
    found = temporary_column(sum(map(len, parts)), parts[0].dtype)
    start = 0
    for values in parts:
        own = found[start : start + len(values)]
        for rows in blocks(len(values), values, found):
            own[rows] = values[rows]
        start += len(values)
    return found


def _optional(bars: BarColumns, values: IntArray | None) -> IntArray:
    if values is not None:
        return values
    found = column_like(bars.close)
    found[:] = NO_PRICE
    return found


def _impact(bars: BarColumns, model: VolatilitySlippage) -> IntArray:
    """Return the slippage of each bar in parts per billion, as the model computes it."""
    facts = TakerFacts(bars.instrument, closes=reader(bars.close))
    impacts = column_like(bars.close)
    for bar in range(len(bars)):
        facts.bar = bar
        impacts[bar] = model.impact_ppb(facts)
    return impacts
