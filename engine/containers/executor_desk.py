"""What executors may ask of their container."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from engine.containers.data_handler import DataHandler
from engine.executors.rates import MarketRates
from engine.model.clock import Clock
from engine.model.draws import mix
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import OrderRequest
from engine.model.quotes import QuoteTick
from engine.portfolio.budget import Budget

IDENTITY_STREAM = 100
"""Stream of the draws for executor ids (DET-3: 100 and above are free)."""


class ExecutorDesk:
    """Answers the questions of executors: time, market, account, fresh ids."""

    def __init__(
        self,
        *,
        container_id: str,
        clock: Clock,
        data_handler: DataHandler,
        budget: Budget,
        rates: MarketRates,
        seed: int,
    ) -> None:
        self._container_id = container_id
        self._clock = clock
        self._data_handler = data_handler
        self._budget = budget
        self._rates = rates
        self._seed = seed
        self._next_order = 0
        self._next_draw = 0

    def now_ns(self) -> int:
        """Return the session's time."""
        return self._clock.now_ns()

    def instrument(self, market: ConnectorPair) -> Instrument:
        """Return the instrument of *market*.

        Raises:
            KeyError: the session does not trade it.
        """
        return self._data_handler.instrument(market)

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return the newest quote, None before the first."""
        return self._data_handler.quote(market)

    def is_affordable(self, request: OrderRequest, reference_ticks: int) -> bool:
        """Whether the account covers *request* beside what is held and reserved."""
        return self._budget.is_affordable(request, reference_ticks)

    def first_shortage(self, candidates: Sequence[tuple[OrderRequest, int]]) -> int | None:
        """Return the number of the first order that does not fit beside those before it."""
        return self._budget.first_shortage(candidates)

    def rate(self, source: str, target: str) -> Fraction | None:
        """Return how many *target* one *source* is; None while it is unknown."""
        return self._rates.rate(source, target)

    def next_order_id(self) -> str:
        """Return the next client order id: ``<container>-O<sequence>``."""
        order_id = f"{self._container_id}-O{self._next_order:08d}"
        self._next_order += 1
        return order_id

    def random_bits(self) -> int:
        """Return 128 bits that depend on the seed and on how many were drawn before."""
        index = self._next_draw
        self._next_draw += 2
        keyed = mix(mix(self._seed) ^ IDENTITY_STREAM)
        return (mix(keyed ^ index) << 64) | mix(keyed ^ (index + 1))
