"""Performance report of a controller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from engine.executors.position_hold import PositionSummary
from engine.executors.status import CloseType


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """Money in quote; ``*_pct`` are fractions of the traded volume, 0 without volume."""

    realized_pnl_quote: Decimal = Decimal(0)
    unrealized_pnl_quote: Decimal = Decimal(0)
    volume_traded: Decimal = Decimal(0)
    total_fees_quote: Decimal = Decimal(0)
    wins: int = 0
    losses: int = 0
    active: int = 0
    done: int = 0
    close_type_counts: Mapping[CloseType, int] = field(default_factory=dict)
    positions_summary: tuple[PositionSummary, ...] = ()
    total_amount_quote: Decimal | None = None
    """Capital of the controller, if it has one."""
    funding_quote: Decimal = Decimal(0)
    """Funding of perpetuals, positive when received: no part of realized or unrealized (8.7)."""

    @property
    def global_pnl_quote(self) -> Decimal:
        """Return realized plus unrealized plus funding."""
        return self.realized_pnl_quote + self.unrealized_pnl_quote + self.funding_quote

    @property
    def realized_pnl_pct(self) -> Decimal:
        """Return realized PnL per traded volume."""
        return _ratio(self.realized_pnl_quote, self.volume_traded)

    @property
    def unrealized_pnl_pct(self) -> Decimal:
        """Return unrealized PnL per traded volume."""
        return _ratio(self.unrealized_pnl_quote, self.volume_traded)

    @property
    def global_pnl_pct(self) -> Decimal:
        """Return global PnL per traded volume."""
        return _ratio(self.global_pnl_quote, self.volume_traded)

    @property
    def win_rate(self) -> Decimal:
        """Return the share of wins among done executors whose net PnL is not 0; 0 if none."""
        return _ratio(Decimal(self.wins), Decimal(self.wins + self.losses))

    @property
    def return_on_capital(self) -> Decimal | None:
        """Return global PnL per capital of the controller; None without a capital."""
        if self.total_amount_quote is None:
            return None
        return _ratio(self.global_pnl_quote, self.total_amount_quote)


class Figures(Protocol):
    """What an executor counts with; an ``ExecutorInfo`` has it."""

    @property
    def is_done(self) -> bool:
        """Whether the executor is terminated."""
        ...

    @property
    def close_type(self) -> CloseType | None:
        """Return why it closed."""
        ...

    @property
    def is_handed_over(self) -> bool:
        """Whether its money is counted in the positions."""
        ...

    @property
    def net_pnl_quote(self) -> Decimal:
        """Return the net PnL."""
        ...

    @property
    def cum_fees_quote(self) -> Decimal:
        """Return the fees paid."""
        ...

    @property
    def filled_amount_quote(self) -> Decimal:
        """Return the traded volume."""
        ...


def performance_report(
    cached: PerformanceReport,
    infos: Iterable[Figures],
    positions: Iterable[PositionSummary],
    *,
    total_amount_quote: Decimal | None = None,
) -> PerformanceReport:
    """Return the report over archived work, the executors in memory and the held positions.

    A handed-over executor counts only in the close types: its money is in the positions.
    """
    realized, unrealized = cached.realized_pnl_quote, cached.unrealized_pnl_quote
    volume, fees = cached.volume_traded, cached.total_fees_quote
    wins, losses, active, done = cached.wins, cached.losses, cached.active, cached.done
    counts = dict(cached.close_type_counts)
    for info in infos:
        if info.is_done:
            done += 1
            if info.close_type is not None:
                counts[info.close_type] = counts.get(info.close_type, 0) + 1
        else:
            active += 1
        if info.is_handed_over:
            continue
        volume += info.filled_amount_quote
        fees += info.cum_fees_quote
        if info.is_done:
            realized += info.net_pnl_quote
            wins += info.net_pnl_quote > 0
            losses += info.net_pnl_quote < 0
        else:
            unrealized += info.net_pnl_quote
    summaries = tuple(positions)
    for held in summaries:
        realized += held.realized_pnl_quote - held.cum_fees_quote
        unrealized += held.unrealized_pnl_quote
        volume += held.volume_traded_quote
        fees += held.cum_fees_quote
    return PerformanceReport(
        realized,
        unrealized,
        volume,
        fees,
        wins,
        losses,
        active,
        done,
        counts,
        summaries,
        total_amount_quote,
        cached.funding_quote,
    )


def with_archived(cached: PerformanceReport, info: Figures) -> PerformanceReport:
    """Return *cached* with one more done executor."""
    return performance_report(cached, (info,), ())


def summed(reports: Iterable[PerformanceReport]) -> PerformanceReport:
    """Return the totals over controllers; the global fraction is total PnL per total volume."""
    total = PerformanceReport()
    for report in reports:
        counts = dict(total.close_type_counts)
        for close_type, count in report.close_type_counts.items():
            counts[close_type] = counts.get(close_type, 0) + count
        total = PerformanceReport(
            total.realized_pnl_quote + report.realized_pnl_quote,
            total.unrealized_pnl_quote + report.unrealized_pnl_quote,
            total.volume_traded + report.volume_traded,
            total.total_fees_quote + report.total_fees_quote,
            total.wins + report.wins,
            total.losses + report.losses,
            total.active + report.active,
            total.done + report.done,
            counts,
            total.positions_summary + report.positions_summary,
            _optional_sum(total.total_amount_quote, report.total_amount_quote),
            total.funding_quote + report.funding_quote,
        )
    return total


def _optional_sum(left: Decimal | None, right: Decimal | None) -> Decimal | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right


def _ratio(value: Decimal, base: Decimal) -> Decimal:
    return value / base if base else Decimal(0)
