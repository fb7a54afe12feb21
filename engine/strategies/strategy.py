"""The interface of strategies (STR-1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from engine.model.bar_columns import BarColumns
from engine.model.bar_view import AnyBar
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, Order
from engine.model.quotes import QuoteTick
from engine.strategies.indicators import IndicatorLine, IndicatorType
from engine.strategies.signal_table import SignalTable
from engine.strategies.signals import Signal


class StrategyContext(Protocol):
    """What a container offers to its strategy."""

    @property
    def market(self) -> ConnectorPair:
        """The strategy's market; the first one if it has several."""
        ...

    @property
    def markets(self) -> tuple[ConnectorPair, ...]:
        """All markets whose bars the strategy sees."""
        ...

    def now_ns(self) -> int:
        """Return the container's time."""
        ...

    def bar_index(self, market: ConnectorPair | None = None) -> int:
        """Return the index of the current bar, from 0; -1 before the first."""
        ...

    def signal(self, signal: Signal) -> None:
        """Emit a signal; the risk manager sees it after the hook has returned."""
        ...

    def history(self, market: ConnectorPair | int, n: int | None = None) -> Sequence[AnyBar]:
        """Return at most the last *n* bars, oldest first, the current one last (STR-3).

        ``history(n)`` is short for ``history(ctx.market, n)``. Bars cannot be written.
        """
        ...

    def indicator(
        self,
        name: str,
        *,
        market: ConnectorPair | None = None,
        **params: Any,  # noqa: ANN401 (parameters of the indicator)
    ) -> IndicatorLine:
        """Return a registered indicator; asked for in `on_start`, read in `on_bar` (STR-4)."""
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
    State belongs to the instance and starts in `on_start`; nothing may be kept in the class.
    """

    reusable: ClassVar[bool] = False
    """Whether `on_start` brings a used instance back to its first state (CONT-11)."""
    per_market: ClassVar[bool] = False
    """Whether each market gets an instance of its own; otherwise one sees all of them."""

    def __init__(self) -> None:
        self._context: StrategyContext | None = None

    def check_symbols(self, symbols: Sequence[str]) -> None:
        """Refuse *symbols* if the strategy names one that is not among them; none does here.

        Raises:
            ValueError: it cannot run on these symbols.
        """

    @property
    def warmup(self) -> int:
        """Return how many bars must have passed before `on_bar` is called (STR-4)."""
        return 0

    @property
    def indicators(self) -> Mapping[str, IndicatorType]:
        """Return the strategy's own indicators by name; they must pass the prefix test."""
        return {}

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

    def signals(self, bars: BarColumns, *, start: int = 0) -> SignalTable | None:
        """Return every signal over *bars* at once, None if only `on_bar` can say (FAST-2 A).

        The table must be what `on_bar` emits when it is called for each bar from
        ``max(start, warmup)`` on; a row may use bars up to its own only.
        """
        del bars, start
        return None

    def on_start(self) -> None:
        """Prepare; called once before any data."""

    def on_bar(self, bar: AnyBar) -> None:
        """Decide at the close of *bar*."""

    def on_slice(self, bars: Mapping[ConnectorPair, AnyBar]) -> None:
        """See the bars of all symbols that end at this instant, after `on_bar` (TIME-2)."""

    def on_quote(self, quote: QuoteTick) -> None:
        """See a quote."""

    def on_trade(self, trade: object) -> None:
        """See a trade of the market."""

    def on_fill(self, fill: Fill) -> None:
        """See a fill of an own order."""

    def on_order(self, order: Order) -> None:
        """See a change of an own order."""

    def on_timer(self, now_ns: int) -> None:
        """See the clock reach a whole interval."""

    def on_stop(self) -> None:
        """Clean up; called once after the last data."""
