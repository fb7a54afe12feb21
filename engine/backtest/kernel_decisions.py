"""The signals of strategies as the table of decisions that a kernel reads (FAST-1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from engine.backtest import kernel_layout as at
from engine.backtest.kernel_request import KernelRequest
from engine.markets.mapped_columns import table_like
from engine.model.bar_columns import BarColumns, IntArray
from engine.model.instruments import PPB
from engine.strategies.signal_codes import BracketBasis, OffsetUnit
from engine.strategies.signal_table import SignalTable

EVERYTHING: Final[Mapping[int, str]] = {
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


MARKET: Final = {
    column: name
    for column, name in EVERYTHING.items()
    if name in ("kind", "value", "strength_ppb", "only_flat", "tag")
}
BRACKET: Final = {
    column: name
    for column, name in EVERYTHING.items()
    if name in {*MARKET.values(), "side", "bracket_basis", "sl", "sl_unit", "tp", "tp_unit"}
}


def decisions_of(
    request: KernelRequest, steps_of: Sequence[IntArray] | None, wanted: Mapping[int, str]
) -> tuple[IntArray, IntArray, tuple[str, ...], int]:
    """Return the signals in the order in which they are given, their owners, tags, OCO groups."""
    parts: list[IntArray] = []
    owners: list[IntArray] = []
    tags: dict[str, int] = {"": 0}
    width = at.D_COUNT if wanted is EVERYTHING else max(wanted) + 1
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
        if wanted is EVERYTHING:
            _freeze_atr(part, table, kept, bar[kept], request.columns[symbol])
        parts.append(part)
        owners.append(np.full(len(kept), one.number, dtype=np.int64))
    rows = parts[0] if len(parts) == 1 else np.concatenate([_no_rows(width), *parts])
    owner = np.concatenate(owners) if owners else np.zeros(0, dtype=np.int64)
    if len(parts) > 1:
        order = np.argsort(rows[:, at.D_STEP], kind="stable")
        rows, owner = rows[order], owner[order]
    if wanted is not EVERYTHING:
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
