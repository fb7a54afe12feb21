"""Choosing executors by what their reports say."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from engine.executors.info import ExecutorInfo
from engine.executors.status import CloseType, RunnableStatus
from engine.model.orders import TradeType


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorFilter:
    """Criteria that must all hold; of a list of values one is enough. None is no criterion.

    An empty list is a criterion that nothing meets. Limits are inclusive; PnL in quote, ``*_pct``
    fractions, times in seconds since the epoch. An executor that is not closed has no
    ``close_timestamp`` and meets no limit of it. Of one on two venues either market counts.
    """

    executor_ids: Collection[str] | None = None
    connector_names: Collection[str] | None = None
    trading_pairs: Collection[str] | None = None
    executor_types: Collection[str] | None = None
    statuses: Collection[RunnableStatus] | None = None
    sides: Collection[TradeType] | None = None
    is_active: bool | None = None
    is_trading: bool | None = None
    close_types: Collection[CloseType] | None = None
    controller_ids: Collection[str] | None = None
    min_pnl_pct: Decimal | None = None
    max_pnl_pct: Decimal | None = None
    min_pnl_quote: Decimal | None = None
    max_pnl_quote: Decimal | None = None
    min_timestamp: float | None = None
    max_timestamp: float | None = None
    min_close_timestamp: float | None = None
    max_close_timestamp: float | None = None

    def matches(self, info: ExecutorInfo) -> bool:
        """Whether *info* meets every criterion."""
        return (
            self._is_chosen(info)
            and self.is_active in {None, info.is_active}
            and self.is_trading in {None, info.is_trading}
            and _is_within(info.net_pnl_pct, self.min_pnl_pct, self.max_pnl_pct)
            and _is_within(info.net_pnl_quote, self.min_pnl_quote, self.max_pnl_quote)
            and _is_within(info.timestamp, self.min_timestamp, self.max_timestamp)
            and _is_within(info.close_timestamp, self.min_close_timestamp, self.max_close_timestamp)
        )

    def _is_chosen(self, info: ExecutorInfo) -> bool:
        return (
            _is_one_of(self.executor_ids, (info.id,))
            and _is_one_of(self.connector_names, [one.connector_name for one in info.markets])
            and _is_one_of(self.trading_pairs, [one.trading_pair for one in info.markets])
            and _is_one_of(self.executor_types, (info.type,))
            and _is_one_of(self.statuses, (info.status,))
            and _is_one_of(self.sides, (info.side,))
            and _is_one_of(self.close_types, (info.close_type,))
            and _is_one_of(self.controller_ids, (info.controller_id,))
        )


def filter_executors(
    executors: Iterable[ExecutorInfo], executor_filter: ExecutorFilter | None = None
) -> tuple[ExecutorInfo, ...]:
    """Return those of *executors* that the filter lets through, in their order.

    No filter lets all through; an empty list stays empty, whatever the filter.
    """
    if executor_filter is None:
        return tuple(executors)
    return tuple(info for info in executors if executor_filter.matches(info))


def _is_one_of(wanted: Collection[object] | None, values: Iterable[object]) -> bool:
    return wanted is None or any(value in wanted for value in values)


def _is_within(
    value: Decimal | float | None, least: Decimal | float | None, most: Decimal | float | None
) -> bool:
    if least is None and most is None:
        return True
    if value is None:
        return False
    return (least is None or value >= least) and (most is None or value <= most)
