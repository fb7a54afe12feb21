"""What a viewer asks of a stored result: windows, already sorted, cut and made small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from engine.backtest.result_view import TradeRow as TradeRow  # noqa: PLC0414 (for the console)
    from engine.backtest.results import InstrumentFacts
    from engine.backtest.return_tables import Histogram, MonthReturn
    from engine.backtest.sampling import Candles
    from engine.model.bar_columns import FloatArray, IntArray


TradeTerm: TypeAlias = tuple[str, str, str | float, bool]
"""One condition on trades: field, sign, value, whether it must not hold. A text value, in lower
case, is looked for in ``symbol``, ``side`` or ``why``, without a field in each of them."""


class ResultTables(Protocol):
    """The tables of one result. Not to be used by two threads at once.

    Stamps are nanoseconds in UTC. Curves keep the lowest and the highest sample of every bucket.
    """

    document: Mapping[str, Any]

    @property
    def instruments(self) -> Sequence[InstrumentFacts]:
        """The instruments in the order of their declaration."""
        ...

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The metrics by name, money as text, None where undefined."""
        ...

    @property
    def span_ns(self) -> tuple[int, int]:
        """First and last stamp of the equity, (0, 0) without samples."""
        ...

    @property
    def trade_count(self) -> int:
        """Number of closed round trips."""
        ...

    @property
    def months(self) -> Sequence[MonthReturn]:
        """The return of each month."""
        ...

    def equity(
        self, buckets: int, *, from_ns: int | None = None, to_ns: int | None = None
    ) -> tuple[IntArray, FloatArray]:
        """Return (stamps, equity)."""
        ...

    def drawdown(
        self, buckets: int, *, from_ns: int | None = None, to_ns: int | None = None
    ) -> tuple[IntArray, FloatArray]:
        """Return (stamps, drawdown as a positive fraction)."""
        ...

    def has_prices(self, symbol: int = 0) -> bool:
        """Whether the bars of *symbol* are stored."""
        ...

    def price(
        self,
        buckets: int,
        *,
        symbol: int = 0,
        from_ns: int | None = None,
        to_ns: int | None = None,
    ) -> Candles:
        """Return at most *buckets* bars, joined if need be."""
        ...

    def trades(
        self,
        start: int,
        count: int,
        *,
        sort: str = "number",
        descending: bool = False,
        where: Sequence[TradeTerm] = (),
    ) -> Sequence[TradeRow]:
        """Return *count* trades from place *start* of the order by *sort*, those of *where*."""
        ...

    def count_trades(self, where: Sequence[TradeTerm]) -> int:
        """Return how many trades *where* is true of."""
        ...

    def place_of(
        self,
        number: int,
        *,
        sort: str = "number",
        descending: bool = False,
        where: Sequence[TradeTerm] = (),
    ) -> int | None:
        """Return the place of trade *number* in the order by *sort*; None if *where* is not so."""
        ...

    def trades_between(self, from_ns: int, to_ns: int, *, most: int = 500) -> Sequence[TradeRow]:
        """Return trades that touch the time between two stamps, evenly thinned to *most*."""
        ...

    def distribution(self, bins: int = 41) -> Histogram:
        """Return how the daily returns are spread."""
        ...
