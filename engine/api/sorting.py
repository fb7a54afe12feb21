"""The orders of the executor table. Ties are broken by id, so that equal rows never swap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from engine.api.views import ExecutorRow

if TYPE_CHECKING:
    from engine.api.executor_facts import ExecutorFacts

Sortable: TypeAlias = "ExecutorRow | ExecutorFacts"
SortableT = TypeVar("SortableT", bound=Sortable)

SORT_KEYS: Final[Mapping[str, Callable[[Sortable], Any]]] = {  # Any: each key has its own type
    "created": lambda row: row.created_ns,
    "id": lambda row: row.id,
    "type": lambda row: row.type,
    "pair": lambda row: row.trading_pair,
    "side": lambda row: row.side,
    "state": lambda row: (row.lifecycle, row.close_type or ""),
    "amount": lambda row: row.amount,
    "entry": lambda row: _known(row.entry_price),
    "mark": lambda row: _known(row.mark_price),
    "pnl": lambda row: row.net_pnl_quote,
    "pnl_pct": lambda row: row.net_pnl_pct,
    "fees": lambda row: row.fees_quote,
    "age": lambda row: row.age_s,
}


def sort_rows(rows: Iterable[SortableT], sort: str, *, descending: bool) -> list[SortableT]:
    """Return *rows* in the order *sort*, a key of ``SORT_KEYS``; an unknown one means created."""
    key = SORT_KEYS.get(sort, SORT_KEYS["created"])
    by_id = sorted(rows, key=lambda row: row.id)
    return sorted(by_id, key=key, reverse=descending)


def _known(price: Decimal | None) -> tuple[bool, Decimal]:
    """Order an unknown price below every known one."""
    return (price is not None, price if price is not None else Decimal(0))
