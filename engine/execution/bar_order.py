"""Orders and fills of bar execution as the event path keeps them: mutable, integers only.

One object per order for its whole life: the strategy's side makes it, the
broker owns it from `BarBroker.submit` on. Codes are plain integers because they are compared once
per order and bar.
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, TypeAlias

from engine.execution.order_manager import IllegalTransition
from engine.model.market_events import CorporateAction, Funding
from engine.model.orders import TRANSITIONS, OrderStatus

MARKET: Final = 0
LIMIT: Final = 1
STOP: Final = 2
STOP_LIMIT: Final = 3
TRAILING_STOP: Final = 4
TRAILING_STOP_LIMIT: Final = 5
MOO: Final = 6
MOC: Final = 7
MARKET_IF_TOUCHED: Final = 8
KIND_NAMES: Final = (
    "MARKET",
    "LIMIT",
    "STOP",
    "STOP_LIMIT",
    "TRAILING_STOP",
    "TRAILING_STOP_LIMIT",
    "MOO",
    "MOC",
    "MARKET_IF_TOUCHED",
)
"""Order types by code."""

GTC: Final = 0
DAY: Final = 1
IOC: Final = 2
FOK: Final = 3
GTD: Final = 4
TIF_NAMES: Final = ("GTC", "DAY", "IOC", "FOK", "GTD")
"""Times in force by code."""

OFFSET_NONE: Final = 0
OFFSET_PRICE: Final = 1
OFFSET_PPB: Final = 2
OFFSET_TICKS: Final = 3
OFFSET_ATR: Final = 4
OFFSET_NAMES: Final = ("none", "price", "pct", "ticks", "atr")
"""Units of trails and of brackets that count from the fill. PRICE and TICKS are whole ticks, PPB a
share of the price, ATR a factor in parts per billion (it becomes TICKS when the order arrives)."""

BASIS_ABSOLUTE: Final = 0
BASIS_FILL: Final = 1

OCO_DEFAULT: Final = 0
OCO_REDUCE: Final = 1
OCO_CANCEL: Final = 2

RECEIVED: Final = OrderStatus.RECEIVED.value
VALIDATED: Final = OrderStatus.VALIDATED.value
ROUTED: Final = OrderStatus.ROUTED.value
PARTIAL: Final = OrderStatus.PARTIAL.value
FILLED: Final = OrderStatus.FILLED.value
CANCELLED: Final = OrderStatus.CANCELLED.value
REJECTED: Final = OrderStatus.REJECTED.value
EXPIRED: Final = OrderStatus.EXPIRED.value

_IS_LEGAL: Final = tuple(
    tuple(OrderStatus(new) in TRANSITIONS[OrderStatus(old)] for new in range(len(OrderStatus)))
    for old in range(len(OrderStatus))
)

_DISPLAY_STEP: Final = Decimal("1e-9")

ROLE_ENTRY: Final = "entry"
ROLE_EXIT: Final = "exit"
ROLE_STOP_LOSS: Final = "stop_loss"
ROLE_TAKE_PROFIT: Final = "take_profit"
ROLE_TRAILING: Final = "trailing"
ROLE_LIQUIDATION: Final = "liquidation"
ROLE_END: Final = "end"

PHASE_MARKET: Final = 0
PHASE_STOP: Final = 1
PHASE_LIMIT: Final = 2
PHASE_CLOSE: Final = 3
"""What an order waits for: the next point, its trigger, its limit, the end of the session."""


class Bracket:
    """Exits that are declared with an entry (FILL-20, FILL-21).

    With ``basis`` absolute ``sl`` and ``tp`` are prices in ticks, with fill they are positive
    offsets in ``sl_unit`` and ``tp_unit`` from the entry's average fill price. The trailing exit
    starts at the entry's first fill price.
    """

    __slots__ = (
        "basis",
        "sl",
        "sl_n",
        "sl_trail_n",
        "sl_trail_unit",
        "sl_trail_value",
        "sl_unit",
        "tp",
        "tp_n",
        "tp_unit",
    )

    def __init__(
        self,
        *,
        sl: int | None = None,
        tp: int | None = None,
        sl_trail_unit: int = OFFSET_NONE,
        sl_trail_value: int = 0,
        sl_trail_n: int = 0,
        basis: int = BASIS_ABSOLUTE,
        sl_unit: int = OFFSET_NONE,
        sl_n: int = 0,
        tp_unit: int = OFFSET_NONE,
        tp_n: int = 0,
    ) -> None:
        self.sl = sl
        self.tp = tp
        self.sl_trail_unit = sl_trail_unit
        self.sl_trail_value = sl_trail_value
        self.sl_trail_n = sl_trail_n
        self.basis = basis
        self.sl_unit = sl_unit
        self.sl_n = sl_n
        self.tp_unit = tp_unit
        self.tp_n = tp_n

    def copy(self) -> Bracket:
        """Return an equal bracket: the broker changes its own, never the caller's."""
        return Bracket(**{name: getattr(self, name) for name in self.__slots__})


class BarOrder:
    """One order of a backtest, from its making to its end.

    Args:
        symbol: index of the symbol.
        side: +1 buy, -1 sell.
        kind: type code (`KIND_NAMES`).
        lots: quantity; 0 with *size_ppb*.
        size_ppb: share of the free funds, resolved at the fill (FILL-30).
        limit: limit price in ticks.
        stop: stop or touch price in ticks.
        trail_unit: unit of the trail (`OFFSET_NAMES`), *trail_value* its size, *trail_n* the bars
            of an ATR.
        limit_offset: ticks between trigger and limit of a TRAILING_STOP_LIMIT.
        activation: price in ticks from which a trail starts.
        tif: time in force (`TIF_NAMES`); *expire_ns* is GTD's.
        oco_group: any true key that the members share; *oco_mode* 0 takes the default.
        role: what the order is for; bracket children, liquidations and closings have their own.

    Everything else is the broker's. Prices are ticks, ``notional_atoms`` and ``fee_atoms`` sums
    over the fills (``extra_fee_atoms`` what a liquidation adds), ``price_lots`` the sum of ticks
    times lots.
    """

    __slots__ = (
        "activation",
        "bar_created",
        "bracket",
        "client_id",
        "dir",
        "expire_ns",
        "extra_fee_atoms",
        "extreme",
        "fee_atoms",
        "filled_lots",
        "fills",
        "first_bar",
        "group",
        "is_armed",
        "is_child",
        "is_dormant",
        "is_off_grid",
        "is_stop_exit",
        "is_triggered",
        "join_bar",
        "join_point",
        "kind",
        "level",
        "limit",
        "limit_offset",
        "lots",
        "notional_atoms",
        "oco_group",
        "oco_mode",
        "owner",
        "parent",
        "phase",
        "post_only",
        "price_lots",
        "rank",
        "reason",
        "reduce_only",
        "revision",
        "role",
        "seq",
        "side",
        "size_ppb",
        "state",
        "stop",
        "symbol",
        "tag",
        "tif",
        "trail_n",
        "trail_unit",
        "trail_value",
        "ts_created",
        "ts_updated",
    )

    def __init__(
        self,
        symbol: int,
        side: int,
        kind: int,
        lots: int = 0,
        *,
        size_ppb: int = 0,
        limit: int | None = None,
        stop: int | None = None,
        trail_unit: int = OFFSET_NONE,
        trail_value: int = 0,
        trail_n: int = 0,
        limit_offset: int = 0,
        activation: int | None = None,
        tif: int = GTC,
        expire_ns: int = 0,
        reduce_only: bool = False,
        post_only: bool = False,
        oco_group: Hashable = 0,
        oco_mode: int = OCO_DEFAULT,
        bracket: Bracket | None = None,
        role: str = ROLE_ENTRY,
        owner: str = "",
        tag: str = "",
        client_id: str = "",
    ) -> None:
        self.symbol = symbol
        self.side = side
        self.kind = kind
        self.lots = lots
        self.size_ppb = size_ppb
        self.limit = limit
        self.stop = stop
        self.trail_unit = trail_unit
        self.trail_value = trail_value
        self.trail_n = trail_n
        self.limit_offset = limit_offset
        self.activation = activation
        self.tif = tif
        self.expire_ns = expire_ns
        self.reduce_only = reduce_only
        self.post_only = post_only
        self.oco_group = oco_group
        self.oco_mode = oco_mode
        self.bracket = bracket
        self.role = role
        self.owner = owner
        self.tag = tag
        self.client_id = client_id
        self.seq = -1
        self.rank = -1
        self.revision = 0
        self.state = RECEIVED
        self.reason = ""
        self.ts_created = 0
        self.ts_updated = 0
        self.bar_created = -1
        self.filled_lots = 0
        self.fills = 0
        self.notional_atoms = 0
        self.price_lots = 0
        self.fee_atoms = 0
        self.extra_fee_atoms = 0
        self.parent: BarOrder | None = None
        self.group: BracketGroup | None = None
        self.is_child = False
        self.is_stop_exit = False
        self.is_dormant = False
        self.is_off_grid = False
        self.is_triggered = False
        self.is_armed = False
        self.phase = PHASE_MARKET
        self.dir = 0
        self.level = 0
        self.extreme: int | None = None
        self.join_bar = 0
        self.join_point = 0
        self.first_bar = 0

    @property
    def remaining(self) -> int:
        """Return the lots that are not filled yet."""
        return self.lots - self.filled_lots

    @property
    def is_open(self) -> bool:
        """Whether it can still fill."""
        return self.state < FILLED

    @property
    def status(self) -> OrderStatus:
        """Return the state in the life cycle."""
        return OrderStatus(self.state)

    @property
    def kind_name(self) -> str:
        """Return the name of the type."""
        return KIND_NAMES[self.kind]

    def average_price(self, tick: Decimal) -> Decimal | None:
        """Return the mean price of the fills, half-even to 1e-9 for display; None without one."""
        if not self.filled_lots:
            return None
        exact = Decimal(self.price_lots) / self.filled_lots * tick
        return exact.quantize(_DISPLAY_STEP, ROUND_HALF_EVEN)

    def advance(self, state: int, ts_ns: int, reason: str = "") -> None:
        """Go to *state* at *ts_ns*.

        Raises:
            IllegalTransition: the life cycle has no such step; nothing is changed (ORD-1).
        """
        if not _IS_LEGAL[self.state][state]:
            raise IllegalTransition(
                f"order {self.client_id or self.seq} cannot go from "
                f"{OrderStatus(self.state).name} to {OrderStatus(state).name}"
            )
        self.state = state
        self.ts_updated = ts_ns
        if reason:
            self.reason = reason

    def __repr__(self) -> str:
        side = "buy" if self.side > 0 else "sell"
        return (
            f"BarOrder({self.seq} {side} {self.lots} {self.kind} "
            f"{OrderStatus(self.state).name} {self.reason})"
        )


class BracketGroup:
    """The exits of one entry: they share what the entry filled and they did not close yet."""

    __slots__ = ("children", "entry", "remaining", "side")

    def __init__(self, entry: BarOrder, children: list[BarOrder]) -> None:
        self.entry = entry
        self.children = children
        self.remaining = 0
        self.side = entry.side


class BarFill:
    """One execution in a backtest; money in atoms of the account's currency.

    ``fee_atoms`` is positive when paid, ``value_atoms`` is the notional at the fill's rate,
    ``slippage_atoms`` what the price was worse than the raw one.
    """

    __slots__ = (
        "bar",
        "fee_atoms",
        "is_ambiguous",
        "is_maker",
        "lots",
        "number",
        "order",
        "raw_ticks",
        "side",
        "slippage_atoms",
        "symbol",
        "ticks",
        "ts",
        "value_atoms",
    )

    def __init__(
        self,
        number: int,
        order: BarOrder,
        *,
        ts: int,
        bar: int,
        lots: int,
        ticks: int,
        raw_ticks: int,
        fee_atoms: int,
        is_maker: bool,
        value_atoms: int = 0,
        slippage_atoms: int = 0,
    ) -> None:
        self.value_atoms = value_atoms
        self.slippage_atoms = slippage_atoms
        self.number = number
        self.order = order
        self.symbol = order.symbol
        self.side = order.side
        self.ts = ts
        self.bar = bar
        self.lots = lots
        self.ticks = ticks
        self.raw_ticks = raw_ticks
        self.fee_atoms = fee_atoms
        self.is_maker = is_maker
        self.is_ambiguous = False


class PositionNews:
    """What a symbol's position became by a fill; money in atoms (PF-1)."""

    __slots__ = ("cash_atoms", "cost_atoms", "lots", "realised_atoms", "symbol", "ts")

    def __init__(
        self,
        symbol: int,
        ts: int,
        *,
        lots: int,
        cost_atoms: int,
        realised_atoms: int,
        cash_atoms: int,
    ) -> None:
        self.symbol = symbol
        self.ts = ts
        self.lots = lots
        self.cost_atoms = cost_atoms
        self.realised_atoms = realised_atoms
        self.cash_atoms = cash_atoms


class DueNews:
    """A funding payment or a corporate action that was settled (EVT-4 a)."""

    __slots__ = ("event", "lots", "symbol", "ts")

    def __init__(self, symbol: int, ts: int, event: CorporateAction | Funding, lots: int) -> None:
        self.symbol = symbol
        self.ts = ts
        self.event = event
        self.lots = lots
        """Signed lots that were held when it fell due."""


class OrderNews:
    """An order's change of state that somebody should hear of (ORD-7)."""

    __slots__ = ("order", "reason", "state", "ts")

    def __init__(self, order: BarOrder, state: int, reason: str, ts: int) -> None:
        self.order = order
        self.state = state
        self.reason = reason
        self.ts = ts


News: TypeAlias = BarFill | OrderNews | PositionNews | DueNews
"""What a broker reports."""
