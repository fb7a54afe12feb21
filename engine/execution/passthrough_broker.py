"""A broker that fills every order at once, for tests and wiring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from engine.execution.bar_book import SymbolBook
from engine.execution.bar_broker import BarBroker
from engine.execution.bar_order import (
    BASIS_ABSOLUTE,
    LIMIT,
    PHASE_MARKET,
    ROLE_STOP_LOSS,
    ROLE_TAKE_PROFIT,
    ROUTED,
    STOP,
    BarOrder,
    OrderNews,
)
from engine.execution.bar_settings import BarBrokerSettings
from engine.execution.cost_settings import CommissionSettings, NoCommissionSettings
from engine.model.bar_columns import BarColumns
from engine.portfolio.bar_account import BarAccount

_NO_PRICE: Final = "VENUE:NO_PRICE"


class PassthroughSettings(BaseModel):
    """Parameters of the class ``PassthroughBroker``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commission_model: CommissionSettings = NoCommissionSettings()
    default_price_ticks: int | None = Field(
        default=None, description="price in ticks of an order without any other"
    )


class PassthroughBroker(BarBroker):
    """Fills accepted orders completely and at once: at the limit, else the stop, else the mark.

    Volume, funds and time in force do not matter; a bracket's exits are orders of their own. The
    life cycle, the ledger and the reports are those of the simulated broker.
    """

    def __init__(
        self,
        columns: Sequence[BarColumns],
        *,
        account: BarAccount,
        settings: PassthroughSettings | None = None,
        container_id: str = "bt",
        listening: bool = False,
    ) -> None:
        settings = settings or PassthroughSettings()
        super().__init__(
            columns,
            account=account,
            settings=BarBrokerSettings(commission_model=settings.commission_model),
            container_id=container_id,
            listening=listening,
        )
        self._default_ticks = settings.default_price_ticks

    def _route(self, book: SymbolBook, order: BarOrder, now_ns: int) -> None:
        """Fill *order* now, then what its bracket declares."""
        order.advance(ROUTED, now_ns)
        order.bar_created = book.cursor - 1
        order.oco_group = 0
        order.phase = PHASE_MARKET
        book.orders.append(order)
        self.order_updates += 1
        if self.listening:
            self.news.append(OrderNews(order, ROUTED, "", now_ns))
        ticks = self._price(book, order)
        self._ts = now_ns
        self._bar = max(0, book.cursor - 1)
        if ticks is None:
            self._refuse(order, _NO_PRICE, now_ns)
            return
        position = book.position
        if not position.has_mark:
            self.account.mark(book.index, ticks)
        against = max(0, -position.lots * order.side)
        if not order.lots and not self._resolve_size(
            book, order, against, raw=ticks, at=ticks, is_maker=False
        ):
            return
        fee = self._fee(book, order, order.lots, ticks, is_maker=False)
        self._fill(book, order, lots=order.lots, ticks=ticks, raw=ticks, fee=fee, is_maker=False)
        for exit_order in self._exits(order):
            self.submit(exit_order, now_ns=now_ns)

    def _price(self, book: SymbolBook, order: BarOrder) -> int | None:
        if order.limit is not None:
            return order.limit
        if order.stop is not None:
            return order.stop
        return book.position.mark if book.position.has_mark else self._default_ticks

    def _exits(self, entry: BarOrder) -> list[BarOrder]:
        """Return the exits of a filled entry as independent orders."""
        bracket = entry.bracket
        if bracket is None:
            return []
        is_absolute = bracket.basis == BASIS_ABSOLUTE
        side = entry.side
        exits = []
        if bracket.sl is not None:
            stop = bracket.sl
            if not is_absolute:
                stop = self._shifted(entry, -side, bracket.sl_unit, bracket.sl)
            exits.append(
                BarOrder(entry.symbol, -side, STOP, entry.lots, stop=stop, role=ROLE_STOP_LOSS)
            )
        if bracket.tp is not None:
            limit = bracket.tp
            if not is_absolute:
                limit = self._shifted(entry, side, bracket.tp_unit, bracket.tp)
            exits.append(
                BarOrder(entry.symbol, -side, LIMIT, entry.lots, limit=limit, role=ROLE_TAKE_PROFIT)
            )
        return exits
