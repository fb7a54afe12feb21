"""Orders and filters the executors of a session without building their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.api.executor_facts import ExecutorFacts
from engine.api.filtering import FilterError, parse_filter
from engine.api.sorting import SORT_KEYS
from engine.live.published import PublishedSession

_CHEAP_KEYS: Final[Mapping[str, Callable[[ExecutorFacts], Any]]] = {  # Any: int and float
    "created": lambda facts: facts.snapshot.created_ns,
    "pnl": lambda facts: facts.snapshot.net_pnl_atoms(facts.mark_ticks),
    "pnl_pct": lambda facts: facts.snapshot.net_return(facts.mark_ticks),
    "fees": lambda facts: facts.snapshot.fee_atoms,
}
"""Keys with the order of ``SORT_KEYS`` that need no decimals: all markets share one precision."""


class ExecutorSorter:
    """Keeps what does not change from one order to the next. Belongs to one thread.

    An order costs one look at every executor and the sort, O(n log n), about 2 us for each.
    """

    def __init__(self) -> None:
        self._members: tuple[object, ...] = ()
        self._facts: dict[str, ExecutorFacts] = {}
        """By id, in the order of the ids: ties of every order are broken by it."""

    def ids(
        self,
        session: PublishedSession,
        sort: str,
        *,
        descending: bool,
        filter_text: str,
        include_archived: bool,
    ) -> tuple[list[str], str]:
        """Return the ids in the order *sort* that pass the filter, and what is wrong with it."""
        if sort == "created" and not filter_text.strip() and not include_archived:
            # The mapping is in the order of creation already: nothing needs to be looked at.
            ids = list(session.executors)
            return (ids[::-1] if descending else ids), ""
        facts = self._renewed(session, include_archived=include_archived)
        filter_error = ""
        try:
            accepts = parse_filter(filter_text)
        except FilterError as error:
            filter_error = str(error)
        else:
            facts = list(filter(accepts, facts)) if filter_text.strip() else facts
        key = _CHEAP_KEYS.get(sort) or SORT_KEYS.get(sort, SORT_KEYS["created"])
        facts.sort(key=key, reverse=descending)
        return [one.snapshot.id for one in facts], filter_error

    def _renewed(self, session: PublishedSession, *, include_archived: bool) -> list[ExecutorFacts]:
        """Return the facts of all executors at the newest quotes, in the order of their ids."""
        snapshots = session.executors
        if include_archived:
            snapshots = {**session.archived, **snapshots}
        members = (session.id, session.membership, include_archived)
        if members != self._members:
            known = self._facts
            self._facts = {
                one: known.get(one) or ExecutorFacts(snapshots[one], session)
                for one in sorted(snapshots)
            }
            self._members = members
        # A session has one instrument for each market: its id is a cheaper key than the market.
        quotes = {id(market.instrument): market.quote for market in session.markets.values()}
        for executor_id, facts in self._facts.items():
            snapshot = snapshots[executor_id]
            facts.renew(snapshot, session, quotes.get(id(snapshot.instrument)))
        return list(self._facts.values())
