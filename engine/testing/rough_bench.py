"""A desk for random scenarios: events come late, twice and in any order."""

from __future__ import annotations

import random
from typing import Any, TypeVar

from engine.executors.base import ExecutorBase
from engine.model.instruments import Instrument
from engine.model.orders import Fill, Order, OrderType, TradeType
from engine.testing.type_bench import TypeBench

E = TypeVar("E", bound=ExecutorBase)

Move = tuple[str, Any]
"""What happens next: its name and a number, a flag or None."""

_MOST_ROUNDS = 2_000


class RoughBench(TypeBench[E]):
    """Carries out random moves; the venue fills nothing by itself until ``calm_down``."""

    def __init__(
        self,
        executor_type: type[E],
        type_name: str,
        defaults: dict[str, Any],
        *instruments: Instrument,
        draws: random.Random,
    ) -> None:
        super().__init__(executor_type, type_name, defaults, *instruments)
        self._draws = draws
        self._delayed: list[Order | Fill] = []
        self.venue.is_matching = False
        self.is_late = False

    def pump(self) -> None:
        """Carry out intents and deliver events, unless they are to be late.

        Raises:
            RuntimeError: the executor never rests.
        """
        for _ in range(_MOST_ROUNDS):
            intents = self.orchestrator.take_intents()
            for intent in intents:
                self.venue.carry_out(intent)
            if not intents and not self.venue.events:
                return
            self._delayed += self.venue.events
            self.venue.events.clear()
            if not self.is_late:
                self.flush()
        raise RuntimeError("the executor never rests")

    def flush(self) -> None:
        """Deliver what is delayed, shuffled, some of it twice."""
        events, self._delayed = self._delayed, []
        self._draws.shuffle(events)
        repeated = [event for event in events if self._draws.random() < 0.2]
        for event in (*events, *repeated):
            self.deliver(event)

    def do(self, executor: E, move: Move) -> None:
        """Do one move: price, price2, wait, fill, end, reject, deaf, late or stop."""
        name, value = move
        match name:
            case "price" | "price2":
                self.price(value, value + 1, market=int(name == "price2"))
            case "wait":
                self.advance(value)
            case "fill":
                self._fill_some(value)
            case "end":
                self._end_one(value)
            case "reject":
                self.venue.rejections = value
            case "deaf":
                self.venue.is_deaf = value
            case "late":
                self.is_late = value
                self.flush()
            case "stop":
                self.stop(executor, keep=value)
            case _:
                raise ValueError(f"no such move: {name!r}")
        self.pump()

    def calm_down(self) -> None:
        """Make the venue prompt, complete and obedient."""
        self.is_late = self.venue.is_deaf = False
        self.venue.rejections = 0
        self.venue.is_matching = True
        self.flush()
        self.pump()

    def account_atoms(self) -> int:
        """Return cash flows less fees plus the open lots at the newest mids, in atoms."""
        cash_twice = 0
        for fill in self.venue.fills:
            quote = self.venue.quotes[fill.market]
            k = self.venue.instrument(fill.market).atoms_per_tick_lot
            worth = fill.lots * (quote.bid_ticks + quote.ask_ticks) * k
            cash_twice += fill.side.sign * (worth - 2 * fill.notional_atoms) - 2 * fill.fee_atoms
        return cash_twice // 2

    def open_lots(self) -> dict[str, int]:
        """Return the signed lots that the fills left, by connector."""
        lots: dict[str, int] = {}
        for fill in self.venue.fills:
            name = fill.market.connector_name
            lots[name] = lots.get(name, 0) + fill.side.sign * fill.lots
        return lots

    def held_lots(self) -> dict[str, int]:
        """Return the signed lots of the position holds, by connector."""
        lots: dict[str, int] = {}
        for positions in self.orchestrator.get_positions_report().values():
            for position in positions:
                sign = 1 if position.side is TradeType.BUY else -1
                instrument = next(
                    one
                    for market, one in self.venue.instruments.items()
                    if market.connector_name == position.connector_name
                )
                name = position.connector_name
                lots[name] = lots.get(name, 0) + sign * instrument.to_lots(position.amount)
        return lots

    def _fill_some(self, number: int) -> None:
        live = self.venue.live()
        if not live:
            return
        order = live[number % len(live)]
        quote = self.venue.quotes.get(order.request.market)
        limit = order.request.limit_ticks
        if quote is None or (limit is None and order.request.order_type is not OrderType.MARKET):
            return
        touch = quote.ask_ticks if order.request.side is TradeType.BUY else quote.bid_ticks
        self.venue.fill(
            order.request.client_order_id,
            1 + number % order.remaining_lots,
            touch if limit is None else limit,
            fee_atoms=number % 977,
        )

    def _end_one(self, how: str) -> None:
        live = [order for order in self.venue.live() if how == "cancel" or not order.filled_lots]
        if not live:
            return
        order_id = live[0].request.client_order_id
        if how == "cancel":
            self.venue.cancel(order_id)
        else:
            self.venue.reject(order_id)
