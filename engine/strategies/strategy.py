"""The interface of strategies (backtest.md STR-1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, Order
from engine.model.quotes import Bar, QuoteTick
from engine.strategies.signals import Signal


class StrategyContext(Protocol):
    """What a container offers to its strategy."""

    def now_ns(self) -> int:
        """Return the container's time."""
        ...

    def signal(self, signal: Signal) -> None:
        """Emit a signal; the risk manager sees it after the hook has returned."""
        ...

    def history(self, market: ConnectorPair, n: int) -> Sequence[Bar]:
        """Return at most the last *n* bars of *market*, oldest first, the current one last."""
        ...

    def instrument(self, market: ConnectorPair) -> Instrument:
        """Return the instrument of *market*."""
        ...

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return the newest quote of *market*, None before the first."""
        ...

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed position of *market*."""
        ...


class Strategy:
    """Base of strategies: override the hooks that matter, emit by ``self.ctx.signal``.

    The container binds its context before `on_start`. Hooks run to completion, one at a time.
    """

    def __init__(self) -> None:
        self._context: StrategyContext | None = None

    @property
    def warmup(self) -> int:
        """Return how many bars must have passed before `on_bar` is called (STR-4)."""
        return 0

    @property
    def ctx(self) -> StrategyContext:
        """Return the container's context.

        Raises:
            RuntimeError: the strategy is not bound to a container yet.
        """
        if self._context is None:
            raise RuntimeError(f"{type(self).__name__} is not bound to a container yet")
        return self._context

    def bind(self, context: StrategyContext) -> None:
        """Give the strategy its container's context."""
        self._context = context

    def on_start(self) -> None:
        """Prepare; called once before any data."""

    def on_bar(self, bar: Bar) -> None:
        """Decide at the close of *bar*."""

    def on_quote(self, quote: QuoteTick) -> None:
        """See a quote."""

    def on_fill(self, fill: Fill) -> None:
        """See a fill of an own order."""

    def on_order(self, order: Order) -> None:
        """See a change of an own order."""

    def on_timer(self, now_ns: int) -> None:
        """See the clock reach a whole interval."""

    def on_stop(self) -> None:
        """Clean up; called once after the last data."""
