"""Where a kernel keeps what: columns of its integer tables and codes (UNIT-2, FAST-1).

Plain constants, because compiled code takes them as literals. Prices are ticks, quantities lots,
money atoms, rates parts per billion; a price that is absent is `NO_PRICE`. Codes of orders
are those of `engine.execution.bar_order`.
"""

from __future__ import annotations

from typing import Final

NO_PRICE: Final = -(2**63)
MAX_PRICE: Final = 2**62

# Columns of an order; its row is its seq.
O_STATE: Final = 0
"""Number of the state in the life cycle."""
O_SYMBOL: Final = 1
O_SIDE: Final = 2
"""+1 or -1."""
O_KIND: Final = 3
"""Type code."""
O_LOTS: Final = 4
"""Quantity; 0 while a share of the funds is not resolved."""
O_SIZE: Final = 5
"""Share of the free funds, ppb."""
O_LIMIT: Final = 6
"""Ticks or `NO_PRICE`."""
O_STOP: Final = 7
O_TRAIL: Final = 8
"""Trail, ticks or ppb by its unit."""
O_TRAIL_UNIT: Final = 9
O_OFFSET: Final = 10
"""Ticks between trigger and limit of a TRAILING_STOP_LIMIT."""
O_ACTIVATION: Final = 11
O_EXTREME: Final = 12
"""Best price since the trail runs, `NO_PRICE` before."""
O_TIF: Final = 13
O_EXPIRE: Final = 14
"""ns"""
O_REDUCE: Final = 15
O_POST: Final = 16
O_GROUP: Final = 17
"""1 + row of its OCO group, 0 none."""
O_OCO: Final = 18
"""Mode that it declares."""
O_PARENT: Final = 19
"""Entry of a bracket child, -1."""
O_CHILDREN: Final = 20
"""Number of bracket children; they follow the entry."""
O_BASIS: Final = 21
O_SL: Final = 22
O_SL_UNIT: Final = 23
O_TP: Final = 24
O_TP_UNIT: Final = 25
O_BRACKET: Final = 26
"""Lots that the children of this entry have yet to close."""
O_ROLE: Final = 27
O_FILLED: Final = 28
O_NOTIONAL: Final = 29
"""atoms"""
O_PRICE_LOTS: Final = 30
"""Sum of ticks * lots."""
O_FEE: Final = 31
"""atoms"""
O_FILLS: Final = 32
O_TRIGGERED: Final = 33
O_IS_LIMIT: Final = 34
"""Acts as a limit order now."""
O_DORMANT: Final = 35
O_FIRST: Final = 36
"""First bar in which it is not new."""
O_CREATED: Final = 37
"""ns"""
O_UPDATED: Final = 38
"""ns"""
O_REASON: Final = 39
O_TAG: Final = 40
O_TRIED: Final = 41
"""Token of the point or segment at which it was tried."""
O_POINT: Final = 42
"""Token of the point whose set it belongs to."""
O_STOP_EXIT: Final = 43
"""Stop-loss or trailing child."""
O_JOIN: Final = 44
"""First bar in which it takes part."""
O_BAR: Final = 45
"""Bar at whose close it was made."""
O_HAS_BRACKET: Final = 46
O_EXTRA: Final = 47
"""Liquidation fees, atoms."""
O_OWNER: Final = 48
"""Row of the signal that made it."""
O_COUNT: Final = 49

# Columns of a symbol.
S_LOTS: Final = 0
"""Signed position."""
S_COST: Final = 1
"""atoms"""
S_REALISED: Final = 2
"""atoms"""
S_FEES: Final = 3
"""atoms"""
S_MARK: Final = 4
"""Last mark in ticks, `NO_PRICE` before the first."""
S_SCALE: Final = 5
"""Atoms of one tick times one lot."""
S_MIN_LOTS: Final = 6
S_MAX_LOTS: Final = 7
S_MIN_NOTIONAL: Final = 8
"""atoms"""
S_SPOT: Final = 9
S_SHORTABLE: Final = 10
S_OPEN: Final = 11
"""Rows of the symbol's working orders."""
S_OFFSET: Final = 12
"""Where its bars start in the joined columns."""
S_SKIP_LOW: Final = 13
"""No order acts in a bar with a higher low"""
S_SKIP_HIGH: Final = 14
"""and a lower high than these."""
S_LIVE: Final = 15
"""Orders that need every bar."""
S_MAX_TICKS: Final = 16
"""Highest price of its bars."""
S_SIZE_VALUE: Final = 17
"""Of the sizer: lots, weight or risk in ppb."""
S_MAX_POSITION: Final = 18
"""lots, -1 none"""
S_DONE: Final = 19
"""Lots filled in the bar"""
S_DONE_BAR: Final = 20
"""with this number."""
S_POOL: Final = 21
"""Lots that its pool has left."""
S_DATED: Final = 22
"""Whether orders with an end work."""
S_CURSOR: Final = 23
"""Next bar to be matched."""
S_BRACKETS: Final = 24
"""Whether exits of entries are working."""
S_SAFE_LOTS: Final = 25
"""Most lots whose value stays inside 62 bits."""
S_SLIP_TICKS: Final = 26
"""Ticks by which taker fills worsen."""
S_FEE_RATE: Final = 27
"""Atoms for lots: rate * lots / per."""
S_FEE_PER: Final = 28
S_FEE_MAKER: Final = 29
"""ppb"""
S_FEE_TAKER: Final = 30
"""ppb"""
S_FIRST: Final = 31
"""First bar of the run."""
S_COUNT: Final = 32

# Columns of a fill; the first eight are those of the digest (DET-4).
X_TS: Final = 0
X_ORDER: Final = 1
X_SYMBOL: Final = 2
X_SIDE: Final = 3
X_LIQUIDITY: Final = 4
X_LOTS: Final = 5
X_TICKS: Final = 6
X_FEE: Final = 7
X_BAR: Final = 8
X_RAW: Final = 9
X_AMBIGUOUS: Final = 10
X_REASON: Final = 11
X_CASH: Final = 12
"""Cash after the fill, atoms; the small kernels keep it here, the others by sample."""
X_COUNT: Final = 13

# Columns of a signal, as `SignalTable` has them.
D_STEP: Final = 0
"""Entry of the timeline."""
D_SYMBOL: Final = 1
D_KIND: Final = 2
D_VALUE: Final = 3
D_SIDE: Final = 4
D_STRENGTH: Final = 5
"""ppb"""
D_ONLY_FLAT: Final = 6
D_TAG: Final = 7
D_TYPE: Final = 8
D_LIMIT: Final = 9
D_STOP: Final = 10
D_TRAIL: Final = 11
D_TRAIL_UNIT: Final = 12
D_OFFSET: Final = 13
D_ACTIVATION: Final = 14
D_TIF: Final = 15
D_EXPIRE: Final = 16
D_BASIS: Final = 17
D_SL: Final = 18
D_SL_UNIT: Final = 19
D_TP: Final = 20
D_TP_UNIT: Final = 21
D_SL_TRAIL: Final = 22
D_SL_TRAIL_UNIT: Final = 23
D_REDUCE: Final = 24
D_POST: Final = 25
D_SIZE: Final = 26
D_GROUP: Final = 27
"""1 + its column in the last row of the lists, 0 none."""
D_OCO: Final = 28
D_OFF_GRID: Final = 29
"""Refused: the grid is strict."""
D_BAD_ATR: Final = 30
"""An ATR that is not known yet."""
D_HIDES_SL: Final = 31
"""Its stop counts from an ATR: unknown to the sizer."""
D_COUNT: Final = 32

# Columns of the bars, each an array over the bars of all symbols, one symbol after the other.
B_OPEN_TS: Final = 0
B_CLOSE_TS: Final = 1
B_O: Final = 2
B_H: Final = 3
B_L: Final = 4
B_C: Final = 5
B_VOLUME: Final = 6
B_VWAP: Final = 7
"""Empty if unused."""
B_SPREAD: Final = 8
"""Empty if unused."""
B_IMPACT: Final = 9
"""Slippage in ppb; empty if unused."""
B_FLAGS: Final = 10
B_COUNT: Final = 11

# Flags of a bar.
FLAG_SYNTHETIC: Final = 1
FLAG_STARTS: Final = 2
FLAG_ENDS: Final = 4

# State of an OCO group, kept in the last row of the lists of working orders.
GROUP_CANCELS: Final = 1
GROUP_CLOSED: Final = 2
GROUP_SET: Final = 4

# One integer table holds parameters, account, registers of the bar that is matched, counts.
P_TIMING: Final = 0
"""1 this_close"""
P_PATH: Final = 1
P_LIMIT_FILL: Final = 2
P_MARKET_BASIS: Final = 3
P_PARTICIPATION: Final = 4
"""ppb, -1 none"""
P_UNKNOWN_REJECTS: Final = 5
P_CLAMP_BAR: Final = 6
P_SLIPPAGE: Final = 7
P_FEE: Final = 8
P_FEE_RATE: Final = 9
"""ppb of the notional"""
P_FEE_MIN: Final = 10
P_FEE_MAX: Final = 11
"""-1 none"""
P_TRIM: Final = 12
P_MARGIN: Final = 13
P_LEVERAGE: Final = 14
"""whole"""
P_MAINTENANCE: Final = 15
"""ppb"""
P_LIQUIDATION_FEE: Final = 16
"""ppb"""
P_SEED: Final = 17
P_TRAIL_CLOSE: Final = 18
P_SIZER: Final = 19
P_MAX_LEVERAGE: Final = 20
"""ppb, -1 none"""
P_LEVERAGE_REJECTS: Final = 21
P_REDUCE_AT: Final = 22
"""ppb, -1 none"""
P_REDUCTION: Final = 23
"""ppb"""
P_MAX_DRAWDOWN: Final = 24
"""ppb, -1 none"""
P_FLATTENS: Final = 25
P_ONE_PENDING: Final = 26
P_VOLUME_ACTIVE: Final = 27
P_CLOSE_AT_END: Final = 28
P_HAS_DAY_ORDERS: Final = 29
P_WATCH_FROM: Final = 30
"""ppb of the least drawdown that matters"""
P_SIZE_REJECTS: Final = 31
P_WATCHES: Final = 32
"""Drawdown control is on."""
P_LIMITED: Final = 33
"""A size limit is on."""
P_ALL_IN: Final = 34
"""ppb of the free funds, 0 other sizers"""
P_MAX_POSITION_PCT: Final = 35
"""ppb, -1 none"""
P_PCT_REJECTS: Final = 36
P_IMPACT_BY_BAR: Final = 37
P_PROBABILITY: Final = 38
"""ppb"""
P_SHARE_LIMIT: Final = 39
"""ppb"""
P_SHARE_FACTOR: Final = 40
"""ppb"""
A_CASH: Final = 41
"""atoms"""
A_EQUITY: Final = 42
"""atoms at the last marks"""
A_PEAK: Final = 43
"""atoms"""
A_INITIAL: Final = 44
"""atoms"""
A_ORDERS: Final = 45
"""Rows used of the orders."""
A_FILLS: Final = 46
"""Rows used of the fills."""
A_ROW: Final = 47
"""Next row of the signals."""
A_STEP: Final = 48
"""Next entry of the timeline."""
A_STATUS: Final = 49
A_HALTED: Final = 50
A_BANKRUPT: Final = 51
A_SHORTFALL: Final = 52
"""atoms"""
A_AMBIGUOUS: Final = 53
"""Fills."""
A_UNKNOWN_VOLUME: Final = 54
"""Fills."""
A_TOKEN: Final = 55
"""Last token of a point or segment."""
A_LIQUIDATIONS: Final = 56
A_SAMPLES: Final = 57
A_STOPPED: Final = 58
A_EXPOSED: Final = 59
"""The current bar had a position."""
A_SIGNALS: Final = 60
A_FACTOR: Final = 61
"""ppb of new sizes"""
A_BURST: Final = 62
"""Most signals at one instant."""
A_SAFE_ATOMS: Final = 63
"""Most atoms of cash that keep the ledger inside 62 bits."""
K_SYMBOL: Final = 64
K_BAR: Final = 65
K_OPEN_TS: Final = 66
K_CLOSE_TS: Final = 67
K_O: Final = 68
K_H: Final = 69
K_L: Final = 70
K_C: Final = 71
K_VOLUME: Final = 72
K_SPREAD: Final = 73
K_BASIS: Final = 74
"""Price of market orders at the open."""
K_POOL: Final = 75
"""Lots left, -1 without a limit."""
K_DONE: Final = 76
"""Lots filled in this bar."""
K_TS: Final = 77
"""Stamp of a fill now."""
K_POINT: Final = 78
"""Token of the point that new children join."""
K_DEFER: Final = 79
"""Children wait for the close."""
K_STARTS: Final = 80
K_ENDS: Final = 81
K_UNKNOWN: Final = 82
"""Volume is needed and unknown."""
K_DRY: Final = 83
"""An evaluation on copies."""
K_BASIS_PARTS: Final = 84
K_CHILD_FIRST: Final = 85
"""First bar in which what begins to work now is not new."""
K_IMPACT: Final = 86
"""Slippage of this bar, ppb."""
K_NOW: Final = 87
"""Stamp of what happens to orders."""
R_FIRST: Final = 88
"""Counts by reason start here."""

# Paths, limit fills (0 is a touch), prices of market orders.
PATH_PESSIMISTIC: Final = 0
PATH_ADAPTIVE: Final = 1
PATH_OHLC: Final = 2
PATH_OLHC: Final = 3
WALK_NEARER: Final = 0
"""Of the two extremes of a bar that is walked as quotes: first the one nearer to the open."""
WALK_HIGH_FIRST: Final = 1
WALK_LOW_FIRST: Final = 2
FILL_THROUGH: Final = 1
FILL_PROBABILITY: Final = 2
BASIS_OPEN: Final = 0
BASIS_VWAP: Final = 1
BASIS_TYPICAL: Final = 2
BASIS_MID: Final = 3
BASIS_CLOSE: Final = 4

# Cost models.
SLIP_NONE: Final = 0
SLIP_TICKS: Final = 1
SLIP_PPB: Final = 2
SLIP_SPREAD: Final = 3
SLIP_VOLUME_SHARE: Final = 4
FEE_NONE: Final = 0
FEE_PER_SHARE: Final = 1
FEE_PERCENT: Final = 2
FEE_PER_TRADE: Final = 3
FEE_MAKER_TAKER: Final = 4

# Kinds of signals.
KIND_TARGET_WEIGHT: Final = 1
KIND_TARGET_QTY: Final = 2
KIND_DIRECTION: Final = 3
KIND_EXIT: Final = 4
KIND_ORDER: Final = 5

# Sizers; 0 is every other one, whose quantities are told or shares of the free funds.
SIZER_WEIGHT: Final = 1
SIZER_RISK: Final = 2

# Roles of orders, as fills name them.
ROLE_ENTRY: Final = 0
ROLE_SIGNAL: Final = 1
ROLE_STOP_LOSS: Final = 2
ROLE_TAKE_PROFIT: Final = 3
ROLE_TRAILING: Final = 4
ROLE_LIQUIDATION: Final = 5
ROLE_END: Final = 6

# How a call of the loop ends.
STATUS_RUNNING: Final = 0
STATUS_FULL: Final = 1
STATUS_OVERFLOW: Final = 2
STATUS_BANKRUPT: Final = 3
STATUS_WHOLE: Final = 4

TAG_OF_ROLE: Final = -100
"""Tag of an order that no signal made: this less its role."""

TOKEN_DEFERRED: Final = -2
"""Point of children that wait for the close of the bar."""

# Reasons by code.
NONE: Final = 0
USER: Final = 1
OCO: Final = 2
IOC_REST: Final = 3
FOK_UNFILLED: Final = 4
REDUCE_ONLY: Final = 5
PARENT_CLOSED: Final = 6
RISK_HALT: Final = 7
LIQUIDATED: Final = 8
END_OF_RUN: Final = 9
NO_LIQUIDITY: Final = 10
INSUFFICIENT_FUNDS: Final = 11
SHORT_NOT_ALLOWED: Final = 12
POST_ONLY_CROSSES: Final = 13
UNKNOWN_VOLUME: Final = 14
QTY_NOT_POSITIVE: Final = 15
QTY_BELOW_MIN: Final = 16
QTY_ABOVE_MAX: Final = 17
MIN_NOTIONAL: Final = 18
PRICE_REQUIRED: Final = 19
PRICE_NOT_POSITIVE: Final = 20
STOP_LIMIT_INCOMPLETE: Final = 21
TRAIL_INVALID: Final = 22
EXPIRE_REQUIRED: Final = 23
EXPIRED_ON_ARRIVAL: Final = 24
REDUCE_ONLY_NO_POSITION: Final = 25
NOT_SHORTABLE: Final = 26
OCO_GROUP_CLOSED: Final = 27
BRACKET_INVERTED: Final = 28
CONTAINER_STOPPED: Final = 29
RISK_HALTED: Final = 30
GTD_EXPIRED: Final = 31
DAY_EXPIRED: Final = 32
BAD_TYPE: Final = 33
PENDING_ORDER: Final = 34
NO_STOP_FOR_SIZER: Final = 35
SIZE_ZERO: Final = 36
MAX_POSITION_SIZE: Final = 37
MAX_POSITION_PCT: Final = 38
MAX_LEVERAGE: Final = 39
PRICE_OFF_GRID: Final = 40
REASONS: Final = (
    "",
    "USER",
    "OCO",
    "IOC",
    "FOK",
    "REDUCE_ONLY",
    "PARENT_CLOSED",
    "RISK_HALT",
    "LIQUIDATION",
    "END_OF_RUN",
    "NO_LIQUIDITY",
    "INSUFFICIENT_FUNDS",
    "SHORT_NOT_ALLOWED",
    "POST_ONLY_CROSSES",
    "VENUE:UNKNOWN_VOLUME",
    "QTY_NOT_POSITIVE",
    "QTY_BELOW_MIN",
    "QTY_ABOVE_MAX",
    "MIN_NOTIONAL",
    "PRICE_REQUIRED",
    "PRICE_NOT_POSITIVE",
    "STOP_LIMIT_INCOMPLETE",
    "TRAIL_INVALID",
    "EXPIRE_REQUIRED",
    "EXPIRED_ON_ARRIVAL",
    "REDUCE_ONLY_NO_POSITION",
    "NOT_SHORTABLE",
    "OCO_GROUP_CLOSED",
    "BRACKET_INVERTED",
    "CONTAINER_STOPPED",
    "RISK_HALTED",
    "GTD",
    "DAY",
    "BAD_TYPE",
    "PENDING_ORDER",
    "NO_STOP_FOR_SIZER",
    "SIZE_ZERO",
    "MAX_POSITION_SIZE",
    "MAX_POSITION_PCT",
    "MAX_LEVERAGE",
    "PRICE_OFF_GRID",
)
"""Reasons as results name them."""

Q_COUNT: Final = R_FIRST + len(REASONS)
