"""Performance of the executors in memory, kept up as they change."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engine.executors.performance import PerformanceReport
from engine.executors.snapshot import ExecutorSnapshot, QuoteOf
from engine.executors.status import CloseType
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import TradeType
from engine.model.quotes import QuoteTick

_GroupKey = tuple[ConnectorPair, type[ExecutorSnapshot], TradeType]


@dataclass(frozen=True, slots=True)
class _Share:
    """What one executor adds to its group: atoms that do not depend on the mark, and a line.

    While it is active its net PnL is ``constant + slope * mark``, and ``unmarked`` without a mark.
    """

    key: _GroupKey
    close_type: CloseType | None
    is_done: bool
    filled: int
    fees: int
    realized: int
    constant: int
    slope: int
    unmarked: int


class _Group:
    """Sums over the executors of one market, snapshot class and side: they have one mark."""

    __slots__ = ("constant", "fees", "filled", "member", "members", "realized", "slope", "unmarked")

    def __init__(self, member: ExecutorSnapshot) -> None:
        self.member = member
        self.members = 0
        self.filled = self.fees = self.realized = 0
        self.constant = self.slope = self.unmarked = 0

    @property
    def instrument(self) -> Instrument:
        return self.member.instrument

    def add(self, share: _Share, sign: int) -> None:
        self.members += sign
        self.filled += sign * share.filled
        self.fees += sign * share.fees
        self.realized += sign * share.realized
        self.constant += sign * share.constant
        self.slope += sign * share.slope
        self.unmarked += sign * share.unmarked

    def unrealized(self, quote: QuoteTick | None) -> int:
        mark = self.member.exact_mark(quote)
        return self.unmarked if mark is None else self.constant + self.slope * mark


class RunningMoney:
    """The figures of one controller's executors that are not archived.

    A report costs what changed since the last one, plus one step for each market, type and side:
    the net PnL of an active executor is linear in its mark, so sums of the lines are enough. The
    few whose PnL is rounded at each mark (``is_linear`` is False) are asked one by one.
    """

    def __init__(self) -> None:
        self._shares: dict[str, _Share] = {}
        self._groups: dict[_GroupKey, _Group] = {}
        self._rounded: dict[str, ExecutorSnapshot] = {}
        self._close_types: dict[CloseType, int] = {}
        self._wins = self._losses = self._active = self._done = 0

    def put(self, snapshot: ExecutorSnapshot) -> None:
        """Count *snapshot* instead of the executor's earlier one; O(1)."""
        self.remove(snapshot.id)
        share = _share_of(snapshot)
        self._shares[snapshot.id] = share
        if not share.is_done and not snapshot.is_linear:
            self._rounded[snapshot.id] = snapshot
        group = self._groups.get(share.key)
        if group is None:
            group = self._groups[share.key] = _Group(snapshot)
        self._count(group, share, 1)

    def remove(self, executor_id: str) -> None:
        """Count an executor no more; one that is unknown is ignored."""
        share = self._shares.pop(executor_id, None)
        if share is None:
            return
        self._rounded.pop(executor_id, None)
        group = self._groups[share.key]
        self._count(group, share, -1)
        if not group.members:
            del self._groups[share.key]

    def added_to(self, cached: PerformanceReport, quote_of: QuoteOf) -> PerformanceReport:
        """Return *cached* with the figures of these executors at the newest quotes."""
        realized, unrealized = cached.realized_pnl_quote, cached.unrealized_pnl_quote
        volume, fees = cached.volume_traded, cached.total_fees_quote
        for key, group in self._groups.items():
            money = group.instrument.money
            realized += money(group.realized)
            unrealized += money(group.unrealized(quote_of(key[0])))
            volume += money(group.filled)
            fees += money(group.fees)
        unrealized += sum((_net(one, quote_of) for one in self._rounded.values()), Decimal(0))
        counts = dict(cached.close_type_counts)
        for close_type, count in self._close_types.items():
            counts[close_type] = counts.get(close_type, 0) + count
        return PerformanceReport(
            realized,
            unrealized,
            volume,
            fees,
            cached.wins + self._wins,
            cached.losses + self._losses,
            cached.active + self._active,
            cached.done + self._done,
            counts,
            funding_quote=cached.funding_quote,
        )

    def _count(self, group: _Group, share: _Share, sign: int) -> None:
        group.add(share, sign)
        if not share.is_done:
            self._active += sign
            return
        self._done += sign
        self._wins += sign * (share.realized > 0)
        self._losses += sign * (share.realized < 0)
        if share.close_type is not None:
            count = self._close_types.get(share.close_type, 0) + sign
            self._close_types[share.close_type] = count
            if not count:
                del self._close_types[share.close_type]


def _share_of(snapshot: ExecutorSnapshot) -> _Share:
    is_done = snapshot.is_done
    realized = constant = slope = unmarked = 0
    if is_done:
        realized = snapshot.net_at(None)
    elif snapshot.is_linear:
        constant = snapshot.net_at(0)
        slope = snapshot.net_at(1) - constant
        unmarked = snapshot.net_at(None)
    return _Share(
        (snapshot.market, type(snapshot), snapshot.side),
        snapshot.close_type,
        is_done,
        snapshot.filled_atoms,
        snapshot.fee_atoms,
        realized,
        constant,
        slope,
        unmarked,
    )


def _net(snapshot: ExecutorSnapshot, quote_of: QuoteOf) -> Decimal:
    mark = snapshot.exact_mark(quote_of(snapshot.market))
    return snapshot.instrument.money(snapshot.net_at(mark))
