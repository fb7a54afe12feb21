"""The venue and the account of a scenario."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import ceil

from engine.execution.order_manager import OrderManager
from engine.execution.reasons import ReasonCode
from engine.execution.reports import (
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    OrderReport,
)
from engine.execution.simulated_broker import SimulatedBroker
from engine.executors.fill_ledger import half_even
from engine.executors.order_roles import kind_of
from engine.executors.rates import MarketRates
from engine.flow.errors import NotFoundError
from engine.model.clock import SimulatedClock
from engine.model.draws import mix
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import CancelRequest, Fill, Order, OrderRequest
from engine.model.quotes import QuoteTick
from engine.portfolio.budget import Budget
from engine.portfolio.portfolio import Portfolio
from engine.simulation.scenario import FillStep, OrderReference, OrderStep


class UnknownMarketError(KeyError):
    """A market that the scenario does not have."""

    def __str__(self) -> str:
        return str(self.args[0])


class OpeningBudget(Budget):
    """A budget with base assets that were there before the scenario began."""

    def __init__(self, *, portfolio: Portfolio, opening: Mapping[str, Decimal]) -> None:
        super().__init__(portfolio=portfolio)
        self._opening = dict(opening)

    def opening(self, asset: str) -> Decimal:
        """Return the opening balance of *asset*."""
        return self._opening.get(asset, Decimal(0))

    def free_base(self, asset: str, *, connector_name: str | None = None) -> Decimal:
        """Return how much of the base *asset* no open spot sell locks; the opening is anywhere."""
        return super().free_base(asset, connector_name=connector_name) + self.opening(asset)


class ScenarioVenue:
    """Answers the questions of executors and carries out their orders, as the scenario says.

    With a broker, orders fill by the quotes. Without one they are accepted and rest until a step
    fills, rejects or cancels them. Answers wait in ``reports`` until they are taken.
    """

    def __init__(
        self,
        *,
        clock: SimulatedClock,
        instruments: Mapping[ConnectorPair, Instrument],
        portfolio: Portfolio,
        opening: Mapping[str, Decimal],
        broker: SimulatedBroker | None,
        rates: Mapping[tuple[str, str], Decimal],
        gas: Mapping[ConnectorPair, tuple[str, Decimal]],
        seed: int,
    ) -> None:
        self._clock = clock
        self._instruments = instruments
        self._portfolio = portfolio
        self._budget = OpeningBudget(portfolio=portfolio, opening=opening)
        self._broker = broker
        self._seed = seed
        self._draws = 0
        self._quotes: dict[ConnectorPair, QuoteTick] = {}
        self._sequence: list[str] = []
        self._scripted_fills = 0
        self._gas = dict(gas)
        self._rates = MarketRates(
            instruments=instruments.values(), quote_of=self.quote, fixed=rates
        )
        self.order_manager = OrderManager(instruments=instruments)
        self.reports: deque[OrderReport] = deque()
        self.reject_next = 0
        self.fail_cancels = 0
        self.lost: set[str] = set()
        self._late: dict[str, dict[str, Fill]] = {}
        self._base_fees: dict[str, Decimal] = {}

    def now_ns(self) -> int:
        """Return the scenario's time."""
        return self._clock.now_ns()

    def instrument(self, market: ConnectorPair) -> Instrument:
        """Return the instrument of *market*.

        Raises:
            KeyError: the scenario has no such market; the error is a sentence.
        """
        if market not in self._instruments:
            known = ", ".join(map(str, self._instruments))
            raise UnknownMarketError(f"there is no market {market}, there is {known}")
        return self._instruments[market]

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return the newest quote, None before the first."""
        return self._quotes.get(market)

    def is_affordable(self, request: OrderRequest, reference_ticks: int) -> bool:
        """Whether the balances cover *request*."""
        return self._budget.is_affordable(request, reference_ticks)

    def first_shortage(self, candidates: Sequence[tuple[OrderRequest, int]]) -> int | None:
        """Return the number of the first order that does not fit beside those before it."""
        return self._budget.first_shortage(candidates)

    def rate(self, source: str, target: str) -> Fraction | None:
        """Return how many *target* one *source* is; None while it is unknown."""
        return self._rates.rate(source, target)

    def gas(self, market: ConnectorPair) -> tuple[str, Decimal] | None:
        """Return token and amount of the network's fee for an order on *market*."""
        return self._gas.get(market)

    def next_order_id(self) -> str:
        """Return the next client order id."""
        self._sequence.append(f"O{len(self._sequence):05d}")
        return self._sequence[-1]

    def random_bits(self) -> int:
        """Return 128 bits that depend on the seed and on how many were drawn before."""
        self._draws += 2
        key = mix(self._seed)
        return (mix(key ^ self._draws) << 64) | mix(key ^ (self._draws + 1))

    def take_quote(self, quote: QuoteTick) -> None:
        """Set the newest quote; with a broker, resting orders meet it."""
        self._quotes[quote.market] = quote
        if self._broker is not None:
            self.reports.extend(self._broker.on_quote(quote))
        self._portfolio.mark(quote.market, quote.bid_ticks + quote.ask_ticks)

    def submit(self, request: OrderRequest) -> Order:
        """Take an order and queue the venue's answer."""
        now_ns = self.now_ns()
        order = self.order_manager.admit(
            request, now_ns=now_ns, net_lots=self._lots_facing(request)
        )
        if not order.is_open:
            return order
        if self.reject_next:
            self.reject_next -= 1
            self.reports.append(
                OrderRejected(request.client_order_id, now_ns, ReasonCode.VENUE, "scripted")
            )
            return order
        self._budget.reserve(request, self._reference_ticks(request))
        if self._broker is None:
            self.reports.append(OrderAccepted(request.client_order_id, now_ns))
        else:
            self.reports.extend(self._broker.submit(request, now_ns=now_ns))
        return order

    def _lots_facing(self, request: OrderRequest) -> int:
        """Return the signed position that *request* meets, what was there before included."""
        instrument = self._instruments[request.market]
        if self._broker is None and instrument.is_perpetual and request.is_closing:
            # A scripted venue takes every close: the scenario says what becomes of it.
            return -request.side.sign * request.lots
        opening = self._budget.opening(request.market.base)
        return self._portfolio.lots_facing(request) + instrument.floor_lots(opening)

    def cancel(self, request: CancelRequest) -> Order | None:
        """Take a cancel and queue the venue's answer; return the order if it is still open."""
        now_ns = self.now_ns()
        order = self.order_manager.request_cancel(request.client_order_id, now_ns=now_ns)
        if order is None:
            return None
        if request.client_order_id in self.lost:
            return order
        if self.fail_cancels:
            self.fail_cancels -= 1
            self.reports.append(
                CancelRejected(request.client_order_id, now_ns, ReasonCode.UNKNOWN_ORDER)
            )
        elif self._broker is None:
            self.reports.append(OrderCancelled(request.client_order_id, now_ns, ReasonCode.USER))
        else:
            self.reports.extend(self._broker.cancel(request.client_order_id, now_ns=now_ns))
        return order

    def fill(self, step: FillStep) -> Iterable[Fill]:
        """Return the fills of a step; the same one twice if the step repeats it.

        Raises:
            NotFoundError: there is no such order, or nothing of it is left.
        """
        order = self.find_order(step.order, may_have_ended=True)
        request = order.request
        instrument = self._instruments[request.market]
        if not order.is_open and not self._left(order):
            raise NotFoundError(f"nothing is left of order {request.client_order_id} to fill")
        lots = self._left(order) if step.amount is None else instrument.to_lots(step.amount)
        ticks = self._fill_ticks(step, request, instrument)
        notional = instrument.notional_atoms(ticks, lots)
        is_maker = request.order_type.is_limit_type
        fee_base_lots = self._base_fee_lots(request.client_order_id, instrument, step.fee_base)
        fee_in = None
        if step.fee_token and step.fee is not None:
            fee_atoms, fee_in = 0, (step.fee_token, step.fee)
        elif step.fee is not None:
            fee_atoms = instrument.to_atoms(step.fee)
        elif step.fee_base:
            fee_atoms = 0
        else:
            fee_atoms = instrument.fee_atoms(notional, is_maker=is_maker)
        # What the fee's part in base is worth belongs to the fee.
        exact = Fraction(step.fee_base) / Fraction(instrument.lot)
        worth = exact * instrument.notional_atoms(ticks, 1)
        fee_atoms = max(fee_atoms, half_even(worth.numerator, worth.denominator))
        self._scripted_fills += 1
        fill = Fill(
            fill_id=f"{request.client_order_id}-S{self._scripted_fills}",
            client_order_id=request.client_order_id,
            owner_id=request.owner_id,
            role=request.role,
            market=request.market,
            side=request.side,
            lots=lots,
            ticks=ticks,
            notional_atoms=notional,
            fee_atoms=fee_atoms,
            is_maker=is_maker,
            ts_ns=self.now_ns(),
            fee_base_lots=fee_base_lots,
            fee_in=fee_in,
        )
        if self._broker is not None:
            self._broker.take_fill(fill)
        return (fill, fill) if step.repeat else (fill,)

    def _base_fee_lots(self, order_id: str, instrument: Instrument, fee: Decimal) -> int:
        """Return by how many lots a fee in base lessens what the order has bought (2.5).

        What is owned is rounded down once for all fills of an order, not for each of them.
        """
        before = self._base_fees.get(order_id, Decimal(0))
        after = self._base_fees[order_id] = before + fee
        lot = Fraction(instrument.lot)
        return ceil(Fraction(after) / lot) - ceil(Fraction(before) / lot)

    def reject(self, step: OrderStep) -> None:
        """Let the venue reject an order that it has accepted."""
        order = self.find_order(step.order)
        self._withdraw(order)
        self.reports.append(
            OrderRejected(
                order.request.client_order_id, self.now_ns(), ReasonCode.VENUE, step.reason
            )
        )

    def cancel_by_venue(self, step: OrderStep) -> None:
        """Let the venue cancel an order by itself."""
        order = self.find_order(step.order)
        self._withdraw(order)
        self.reports.append(
            OrderCancelled(order.request.client_order_id, self.now_ns(), ReasonCode.NO_LIQUIDITY)
        )

    def lose(self, reference: OrderReference) -> None:
        """Forget an order: it fills no more, and nothing is answered about it."""
        order = self.find_order(reference)
        self._withdraw(order)
        self.lost.add(order.request.client_order_id)

    def is_late(self, fill: Fill) -> bool:
        """Whether *fill* comes after its order has ended, and is no repetition."""
        order = self.order_manager.get_order(fill.client_order_id)
        return not order.is_open and order.remaining_lots > 0

    def book_late(self, fill: Fill) -> bool:
        """Book a fill of an order that has ended, only once; return whether it was new."""
        late = self._late.setdefault(fill.client_order_id, {})
        if fill.fill_id in late:
            return False
        late[fill.fill_id] = fill
        order = self.order_manager.get_order(fill.client_order_id)
        self._book(fill, order)
        return True

    def _book(self, fill: Fill, order: Order) -> None:
        request = order.request
        self._portfolio.apply_fill(fill, leverage=request.leverage, is_closing=request.is_closing)

    def take_over(self, market: ConnectorPair, lots: int) -> None:
        """Let the broker, if there is one, know a position that exists already."""
        if self._broker is not None:
            self._broker.take_over(market, lots)

    def orders_with_late_fills(self) -> tuple[Order, ...]:
        """Return all orders as they ended, with what was filled afterwards."""
        return tuple(self._with_late_fills(order) for order in self.order_manager.orders())

    def settle(self, order: Order) -> None:
        """Give back what a done order had reserved."""
        if not order.is_open:
            self._budget.release(order.request.client_order_id)

    def book(self, fill: Fill, order: Order) -> None:
        """Book a fill in the account."""
        self._budget.consume(fill.client_order_id, fill.lots)
        self._book(fill, order)

    def find_order(self, reference: OrderReference, *, may_have_ended: bool = False) -> Order:
        """Return the order that a step means; by its role an ended one only if it may be one.

        Raises:
            NotFoundError: there is none.
        """
        orders = self.order_manager.orders()
        if isinstance(reference, int) or reference.isdigit():
            index = int(reference)
            if index < len(orders):
                return orders[index]
            raise NotFoundError(f"there is no order {index}, {len(orders)} were placed so far")
        named = [
            order
            for order in reversed(orders)
            if reference in {order.request.role, kind_of(order.request.role)}
        ]
        for order in named:
            if order.is_open or (may_have_ended and not any(one.is_open for one in named)):
                return order
        raise NotFoundError(f"no open order has the role {reference!r}")

    def _with_late_fills(self, order: Order) -> Order:
        late = self._late.get(order.request.client_order_id, {}).values()
        return replace(
            order,
            filled_lots=order.filled_lots + sum(fill.lots for fill in late),
            filled_atoms=order.filled_atoms + sum(fill.notional_atoms for fill in late),
            fee_atoms=order.fee_atoms + sum(fill.fee_atoms for fill in late),
        )

    def _left(self, order: Order) -> int:
        return self._with_late_fills(order).remaining_lots

    def _withdraw(self, order: Order) -> None:
        if self._broker is not None:
            self._broker.cancel(order.request.client_order_id, now_ns=self.now_ns())

    def _fill_ticks(self, step: FillStep, request: OrderRequest, instrument: Instrument) -> int:
        if step.price is not None:
            return instrument.to_ticks(step.price)
        return self._reference_ticks(request)

    def _reference_ticks(self, request: OrderRequest) -> int:
        if request.limit_ticks is not None:
            return request.limit_ticks
        quote = self._quotes.get(request.market)
        if quote is None:
            return 0
        return quote.ask_ticks if request.side.sign > 0 else quote.bid_ticks
