"""The trades of a result as a table source: windows of the stored table, whatever its length."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tui.formatting import (
    clean,
    format_date_time,
    format_decimal,
    format_percent,
    format_signed_money,
)
from tui.formatting.money import direction
from tui.state.columns import Column, raw_of, time_of
from tui.state.row_filter import RowFilterError, parse_terms
from tui.state.table import Query, Window
from tui.state.text import Span

if TYPE_CHECKING:
    from engine.api.result_tables import ResultTables, TradeRow

_HOME: Final = Query(sort="number")
_SORTS: Final = frozenset(
    {"number", "return", "entry", "exit", "pnl", "bars", "fees", "qty", "mae", "mfe", "symbol",
     "side"}
)  # fmt: skip
_TEXTS: Final = ("symbol", "side", "why")
_NUMBERS: Final = ("number", "qty", "in", "out", "pnl", "return", "bars", "fees", "worst", "best")


def side_span(row: TradeRow) -> Span:
    """Return the side: a word."""
    return ("LONG", "") if row.side > 0 else ("SHORT", "")


def price_text(value: float) -> str:
    """Return a price with the digits that it needs, at most six."""
    text = f"{value:,.6f}".rstrip("0")
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest.ljust(2, '0')}"


class TradeSource:
    """Rows of the trades table; empty until ``view`` is set."""

    noun = "trades"
    home = _HOME
    tail = False
    columns: tuple[Column[TradeRow], ...]

    def __init__(self) -> None:
        self.view: ResultTables | None = None
        self.columns = (
            Column("number", "#", 7, lambda r: (f"{r.number + 1:,}", "dim"), "right", letter="n",
                   frozen=True,
                   raw=lambda r: str(r.number + 1)),
            Column("symbol", "Symbol", 8, lambda r: (r.symbol, ""), letter="y", rank=6),
            Column("side", "Side", 5, side_span, letter="s", rank=3),
            Column("entry", "Entry", 16, lambda r: (format_date_time(r.entry_ns)[:16], "dim"),
                   letter="e",
                   raw=time_of("entry_ns")),
            Column("exit", "Exit", 16, lambda r: (format_date_time(r.exit_ns)[:16], "dim"),
                   letter="x", rank=4,
                   raw=time_of("exit_ns")),
            Column("qty", "Qty", 10, lambda r: (format_decimal(r.qty), ""), "right", letter="q",
                   rank=5, live=True,
                   raw=raw_of("qty")),
            Column("in", "In", 10, lambda r: (price_text(r.entry_price), ""), "right", rank=2,
                   raw=raw_of("entry_price")),
            Column("out", "Out", 10, lambda r: (price_text(r.exit_price), ""), "right", rank=2,
                   raw=raw_of("exit_price")),
            Column("pnl", "PnL", 13, lambda r: (format_signed_money(r.pnl), direction(r.pnl)),
                   "right", letter="p", live=True,
                   raw=raw_of("pnl")),
            Column("return", "%", 8, lambda r: (format_percent(r.return_pct),
                   direction(r.return_pct, 4)), "right", letter="r", live=True, rank=1,
                   raw=raw_of("return_pct")),
            Column("bars", "Bars", 6, lambda r: (f"{r.bars_held:,}", "dim"), "right", letter="b",
                   rank=7, live=True,
                   raw=raw_of("bars_held")),
            Column("fees", "Fees", 8, lambda r: (format_decimal(r.fees, 2), "dim"), "right",
                   letter="f", live=True, rank=9,
                   raw=raw_of("fees")),
            Column("mae", "Worst", 10, lambda r: (format_decimal(r.mae, 2), "dim"), "right",
                   letter="w", live=True, rank=11,
                   raw=raw_of("mae")),
            Column("mfe", "Best", 10, lambda r: (format_decimal(r.mfe, 2), "dim"), "right",
                   letter="t", live=True, rank=10,
                   raw=raw_of("mfe")),
            Column("why", "Why", 12, lambda r: (clean(r.exit_reason).replace("_", " "), "dim"),
                   rank=8,
                   raw=raw_of("exit_reason")),
        )  # fmt: skip

    def name_symbols(self) -> None:
        """Keep the column of symbols as long as there is room: the run has several."""
        self.columns = tuple(
            replace(one, rank=0) if one.key == "symbol" else one for one in self.columns
        )

    def window(self, query: Query, start: int, count: int) -> Window[TradeRow]:
        """Return rows ``start`` to ``start + count`` in the order of *query*."""
        if self.view is None:
            return Window()
        total = self.view.trade_count
        try:
            where = parse_terms(query.filter_text, texts=_TEXTS, numbers=_NUMBERS)
        except RowFilterError as error:
            return Window((), start, 0, total, str(error))
        matching = self.view.count_trades(where) if where else total
        rows = self.view.trades(
            start, count, sort=_sort(query), descending=query.descending, where=where
        )
        return Window(tuple(rows), start, matching, total)

    def index_of(self, query: Query, row_id: str) -> int | None:
        """Return where the trade is under *query*, or None."""
        if self.view is None or not row_id.isdecimal():
            return None
        number = int(row_id)
        if number >= self.view.trade_count:
            return None
        try:
            where = parse_terms(query.filter_text, texts=_TEXTS, numbers=_NUMBERS)
        except RowFilterError:
            return None
        return self.view.place_of(
            number, sort=_sort(query), descending=query.descending, where=where
        )

    def row_id(self, row: TradeRow) -> str:
        """Return the trade's number as text."""
        return str(row.number)

    def find(self, row_id: str) -> TradeRow | None:
        """Return the trade, or None."""
        if self.view is None or not row_id.isdecimal():
            return None
        rows = self.view.trades(int(row_id), 1)
        return rows[0] if rows else None


def _sort(query: Query) -> str:
    return query.sort if query.sort in _SORTS else "number"
