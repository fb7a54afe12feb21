"""What the bar broker holds, and how an order ends."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from engine.execution.bar_book import SymbolBook
from engine.execution.bar_order import (
    CANCELLED,
    EXPIRED,
    FILLED,
    OCO_CANCEL,
    OCO_REDUCE,
    PARTIAL,
    REJECTED,
    BarFill,
    BarOrder,
    News,
    OrderNews,
)
from engine.execution.bar_settings import (
    BarBrokerSettings,
    InsufficientFunds,
    MarketBasis,
    PathMode,
    ProbabilityFill,
    ThroughFill,
    TrailUpdate,
    UnknownVolume,
)
from engine.execution.cost_settings import (
    DEFAULT_MAKER_PPB,
    DEFAULT_TAKER_PPB,
    Clamp,
    build_commission,
    build_slippage,
)
from engine.execution.reasons import ReasonCode
from engine.execution.slippage import NoSlippage
from engine.model.bar_columns import BarColumns
from engine.model.clock import MILLISECOND_NS
from engine.model.rates import to_ppb
from engine.portfolio.bar_account import BarAccount

_OCO: str = ReasonCode.OCO.value
_PARENT_CLOSED: str = ReasonCode.PARENT_CLOSED.value


class OcoGroup:
    """Orders of which one replaces the others (FILL-22)."""

    __slots__ = ("is_closed", "members", "mode")

    def __init__(self, first: BarOrder) -> None:
        default = OCO_REDUCE if first.reduce_only else OCO_CANCEL
        self.mode = first.oco_mode or default
        self.members: list[BarOrder] = []
        self.is_closed = False


class BarState:
    """Books, orders, fills and settings; and the one way in which an order ends.

    Args:
        columns: bars by symbol index, with their instruments.
        account: the ledger; positions by the same index.
        settings: fill rules and cost models.
        seed: of the keyed draws (DET-3).
        container_id: prefix of the client ids.
        first_bars: first bar of each symbol that is matched; 0 by default.
        listening: whether fills and order changes are reported in `news`.

    Attributes:
        tells_all: whether positions and what fell due are reported in `news`, too.
        dues_settled: how many funding payments and corporate actions there were.
        order_updates: how many changes of orders there were, reported or not.
        orders: by seq, but for those that had ended and were taken.
        fill_log: in match order, but for those that were taken.
    """

    def __init__(
        self,
        columns: Sequence[BarColumns],
        *,
        account: BarAccount,
        settings: BarBrokerSettings,
        seed: int = 0,
        container_id: str = "bt",
        first_bars: Sequence[int] | None = None,
        listening: bool = False,
    ) -> None:
        self.account = account
        self.settings = settings
        self.seed = seed
        self.container_id = container_id
        self.listening = listening
        self._columns = tuple(columns)
        self._first_bars = tuple(first_bars or [0] * len(columns))
        self._begin()

    def reset(self) -> None:
        """Be as after construction, the account too (CONT-4)."""
        self.account.reset()
        self._begin()

    @property
    def order_count(self) -> int:
        """Return how many orders there were, those that were taken among them."""
        return self._orders_taken + len(self.orders)

    @property
    def fill_count(self) -> int:
        """Return how many fills there were, those that were taken among them."""
        return self._fills_taken + len(self.fill_log)

    def _begin(self) -> None:
        """Set up everything that a run changes."""
        account = self.account
        self.books = [
            SymbolBook(
                index,
                one,
                account.positions[index],
                seed=self.seed,
                first_bar=self._first_bars[index],
                is_margin=account.is_margin,
            )
            for index, one in enumerate(self._columns)
        ]
        self._read_settings(self.settings)
        self.orders: list[BarOrder] = []
        self._orders_taken = 0
        self.fill_log: list[BarFill] = []
        self._fills_taken = 0
        self.news: list[News] = []
        self.tells_all = False
        self.dues_settled = 0
        self.order_updates = 0
        self.oco: dict[Hashable, OcoGroup] = {}
        self._client_ids: dict[str, BarOrder] = {}
        self.endings: dict[tuple[int, str], int] = {}
        self.open_count = 0
        self.unknown_volume_fills = 0
        self.ambiguous_fills = 0
        self.cash_log: list[tuple[int, int]] = [(0, account.cash)]
        self._is_trial = False
        # Where the match stands: bar, point of its path (0 O, 1 and 2 extremes, 3 C), stamp.
        self._bar = 0
        self._point = 0
        self._ts = 0
        self._is_basis_fill = False

    def _read_settings(self, settings: BarBrokerSettings) -> None:
        limit_fill = settings.limit_fill
        self._is_through = isinstance(limit_fill, ThroughFill)
        self._is_lucky = isinstance(limit_fill, ProbabilityFill)
        self._chance = float(limit_fill.p) if isinstance(limit_fill, ProbabilityFill) else 1.0
        self._path = settings.path
        self._fixed_path = {PathMode.OHLC: True, PathMode.OLHC: False}.get(settings.path)
        self._is_adaptive = settings.path is PathMode.ADAPTIVE
        self._basis = settings.market_basis
        self._is_open_basis = settings.market_basis is MarketBasis.OPEN
        self._trail_on_path = settings.trail_update is TrailUpdate.PATH
        self._latency_ns = settings.latency_ms * MILLISECOND_NS
        self._trims = settings.insufficient_funds is InsufficientFunds.TRIM
        self._rejects_unknown = settings.unknown_volume is UnknownVolume.REJECT
        self.slippage = build_slippage(settings.slippage_model)
        self.commission = build_commission(
            settings.commission_model,
            money_precision=self.account.settings.money_precision,
            default_maker_ppb=DEFAULT_MAKER_PPB,
            default_taker_ppb=DEFAULT_TAKER_PPB,
        )
        self._slips = not isinstance(self.slippage, NoSlippage)
        self._clamps = settings.slippage_model.clamp is Clamp.BAR
        self._remembers_fees = not self.commission.stateless
        shares = [self.slippage.volume_limit_ppb]
        if settings.max_participation is not None:
            shares.append(to_ppb(settings.max_participation))
        bounds = [share for share in shares if share is not None]
        self._pool_ppb = min(bounds) if bounds else None
        self._liquidation_ppb = to_ppb(self.account.settings.liquidation_fee)
        self._is_intrabar = self.account.settings.intrabar_margin and self.account.is_margin

    @property
    def rejections(self) -> dict[str, int]:
        """Return how many orders were rejected, by reason."""
        return self._endings_of(REJECTED)

    @property
    def cancellations(self) -> dict[str, int]:
        """Return how many orders were cancelled or expired, by reason."""
        cancelled = self._endings_of(CANCELLED)
        for reason, count in self._endings_of(EXPIRED).items():
            cancelled[reason] = cancelled.get(reason, 0) + count
        return cancelled

    def _endings_of(self, state: int) -> dict[str, int]:
        return {reason: n for (ended, reason), n in sorted(self.endings.items()) if ended == state}

    def _end(self, order: BarOrder, state: int, reason: str, ts_ns: int) -> None:
        """End *order*, and what hangs on it."""
        order.advance(state, ts_ns, reason)
        book = self.books[order.symbol]
        if not order.is_dormant:
            book.orders.remove(order)
            book.is_dirty = True
        self._count_end(order, reason, ts_ns)
        group = order.group
        if group is None:
            return
        if not order.is_child:
            self._settle_group(book, order, ts_ns)
        elif group in book.groups and all(child.state >= FILLED for child in group.children):
            # Nothing protects what is left to exits that all ended, such as rejected ones.
            book.groups.remove(group)

    def _count_end(self, order: BarOrder, reason: str, ts_ns: int) -> None:
        self.open_count -= 1
        if self._is_trial:
            return
        self.order_updates += 1
        if order.state != FILLED:
            key = (order.state, reason)
            self.endings[key] = self.endings.get(key, 0) + 1
        if self.listening:
            self.news.append(OrderNews(order, order.state, reason, ts_ns))

    def _settle_group(self, book: SymbolBook, entry: BarOrder, ts_ns: int) -> None:
        """Close the exits of an entry that ended without anything left to protect."""
        group = entry.group
        if group is None or group.remaining:
            return
        for child in group.children:
            if child.state < FILLED:
                self._end(child, CANCELLED, _PARENT_CLOSED, ts_ns)
        if group in book.groups:
            book.groups.remove(group)

    def _refuse(self, order: BarOrder, reason: str, ts_ns: int) -> None:
        """End an order for which the broker has no use: rejected, or cancelled after a fill."""
        state = CANCELLED if order.state == PARTIAL else REJECTED
        self._end(order, state, reason, ts_ns)
