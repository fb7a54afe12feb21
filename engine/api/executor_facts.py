"""What sorting and filtering ask of an executor: computed when asked, no row is built for it."""

from __future__ import annotations

from decimal import Decimal

from engine.api.order_views import display_price
from engine.executors.snapshot import ExecutorSnapshot
from engine.live.published import PublishedSession
from engine.model.clock import SECOND_NS
from engine.model.quotes import QuoteTick


class ExecutorFacts:
    """An executor of a session with the fields of its ``ExecutorRow``, one by one.

    ``mark_ticks`` is where the position could be left, or was left. ``words`` is for searching:
    what it remembers is forgotten with the snapshot.
    """

    __slots__ = ("_session", "mark_ticks", "snapshot", "words")

    def __init__(self, snapshot: ExecutorSnapshot, session: PublishedSession) -> None:
        market = session.markets.get(snapshot.market)
        self.words = ""
        self.snapshot = snapshot
        self.renew(snapshot, session, None if market is None else market.quote)

    def renew(
        self, snapshot: ExecutorSnapshot, session: PublishedSession, quote: QuoteTick | None
    ) -> None:
        """Take the newest state of the same executor."""
        if snapshot is not self.snapshot:
            self.snapshot = snapshot
            self.words = ""
        self._session = session
        is_done = snapshot.is_done
        self.mark_ticks = snapshot.frozen_mark_ticks if is_done else snapshot.mark_of(quote)

    @property
    def id(self) -> str:
        """Return the executor's id."""
        return self.snapshot.id

    @property
    def type(self) -> str:
        """Return the type without its suffix."""
        return self.snapshot.type.removesuffix("_executor")

    @property
    def controller_id(self) -> str:
        """Return whose executor it is."""
        return self.snapshot.controller_id

    @property
    def connector_name(self) -> str:
        """Return the venue's connector."""
        return self.snapshot.market.connector_name

    @property
    def trading_pair(self) -> str:
        """Return the pair."""
        return self.snapshot.market.trading_pair

    @property
    def side(self) -> str:
        """Return BUY or SELL."""
        return self.snapshot.side.name

    @property
    def lifecycle(self) -> str:
        """Return the word for where it is in its life."""
        return self.snapshot.lifecycle.value

    @property
    def close_type(self) -> str | None:
        """Return why it closes or closed."""
        close_type = self.snapshot.close_type
        return None if close_type is None else close_type.name

    @property
    def last_error(self) -> str:
        """Return its last error."""
        return self.snapshot.last_error

    @property
    def retries(self) -> int:
        """Return its counted failures."""
        return self.snapshot.retries

    @property
    def amount(self) -> Decimal:
        """Return the amount wanted, in base."""
        return self.snapshot.instrument.qty(self.snapshot.amount_lots)

    @property
    def filled_amount(self) -> Decimal:
        """Return the amount opened, in base."""
        return self.snapshot.instrument.qty(self.snapshot.opened_lots)

    @property
    def entry_price(self) -> Decimal | None:
        """Return the effective entry price as it is shown."""
        return display_price(self.snapshot.entry_price, self.snapshot.instrument)

    @property
    def mark_price(self) -> Decimal | None:
        """Return the mark as a price."""
        ticks = self.mark_ticks
        return None if ticks is None else self.snapshot.instrument.price(ticks)

    @property
    def net_pnl_quote(self) -> Decimal:
        """Return the net PnL at the mark, in quote."""
        atoms = self.snapshot.net_pnl_atoms(self.mark_ticks)
        return self.snapshot.instrument.money(atoms)

    @property
    def net_pnl_pct(self) -> Decimal:
        """Return the net PnL at the mark as a fraction of the entry notional."""
        return self.snapshot.net_pnl_pct(self.mark_ticks)

    @property
    def fees_quote(self) -> Decimal:
        """Return the fees paid, in quote."""
        return self.snapshot.instrument.money(self.snapshot.fee_atoms)

    @property
    def volume_quote(self) -> Decimal:
        """Return the traded volume, in quote."""
        return self.snapshot.instrument.money(self.snapshot.filled_atoms)

    @property
    def created_ns(self) -> int:
        """Return when it was created."""
        return self.snapshot.created_ns

    @property
    def age_s(self) -> float:
        """Return how long it has lived, in seconds."""
        closed_ns = self.snapshot.closed_ns
        ended_ns = self._session.now_ns if closed_ns is None else closed_ns
        return max(0, ended_ns - self.snapshot.created_ns) / SECOND_NS
