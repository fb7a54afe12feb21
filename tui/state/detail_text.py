"""The detail of one executor as styled lines: a header, and one table for each tab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from rich.cells import cell_len

from engine.api.views import ExecutorDetail
from tui.formatting import (
    clean,
    direction,
    fit,
    format_clock,
    format_date_time,
    format_decimal,
    format_duration,
    format_money,
    format_percent,
    format_share,
    format_signed_money,
    short_ids,
    sparkline,
)
from tui.state.text import Align, Line, ends

_STATE_ROLES: Final = {
    "running": "ok",
    "created": "accent",
    "shutting_down": "warn",
    "failed": "error",
    "terminated": "dim",
}
_LEVELS: Final = {"warning": "warn", "error": "error"}
_GAP: Final = ("  ", "")


class Column(NamedTuple):
    """A column of a tab's table; a width of 0 takes what is left, *drop* orders what goes first.

    *shown* makes the text on the screen of the full one, which is what is copied.
    """

    title: str
    width: int
    align: Align = "left"
    drop: int = 0
    shown: Callable[[str], str] = str


Cell = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TabTable:
    """What a tab shows: *count* things as cells of (text, role); *empty* if there are none."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    count: int

    def header(self, width: int) -> Line:
        """Return the titles in *width* cells."""
        return self._line(tuple((column.title, "head") for column in self.columns), width)

    def lines(self, width: int) -> list[Line]:
        """Return the rows in *width* cells."""
        if not self.rows:
            return [((self.empty, "dim"),)]
        return [self._line(row, width) for row in self.rows]

    def plain(self) -> str:
        """Return the whole table as tab separated text, for the clipboard."""
        head = "\t".join(column.title for column in self.columns)
        return "\n".join([head, *("\t".join(clean(text) for text, _ in row) for row in self.rows)])

    def _line(self, row: tuple[Cell, ...], width: int) -> Line:
        widths = self._widths(width)
        return tuple(
            (fit(column.shown(text), room, right=column.align == "right") + "  ", role)
            for (text, role), column, room in zip(row, self.columns, widths, strict=True)
            if room
        )

    def _widths(self, width: int) -> list[int]:
        """Return the cells of each column; 0 for those that there is no room for."""
        kept = list(self.columns)
        while len(kept) > 1 and sum(_least(column) for column in kept) > width + 2:
            kept.remove(max(kept, key=lambda column: column.drop))
        rest = width - sum(column.width + 2 for column in kept)
        return [
            0 if column not in kept else column.width or max(rest, 8) for column in self.columns
        ]


def _least(column: Column) -> int:
    return (column.width or 10) + 2


def header_lines(detail: ExecutorDetail, width: int) -> list[Line]:
    """Return three lines about the executor's state and money, then its last error if any."""
    row = detail.row
    base, _, quote = row.trading_pair.partition("-")
    way = direction(row.net_pnl_quote)
    state = clean(row.lifecycle) + (f" · {clean(row.close_type)}" if row.close_type else "")
    filled = format_share(row.filled_amount / row.amount) if row.amount else "--"
    first = ends(
        (
            ("State ", "dim"), (state, f"bold {_STATE_ROLES.get(row.lifecycle, '')}"), _GAP,
            (f"{row.side} ", "bold"), (f"{format_decimal(row.amount)} {clean(base)}", ""),
            (f" filled {filled}", "dim"),
        ),
        (
            ("PnL ", "dim"), (format_signed_money(row.net_pnl_quote), f"bold {way}"),
            (f" {clean(quote)} ({format_percent(row.net_pnl_pct)})", way),
        ),
        width,
    )  # fmt: skip
    mark_role = "warn" if row.stale_price else ""
    second: Line = (
        ("entry ", "dim"), (format_decimal(row.entry_price), ""), _GAP,
        ("mark ", "dim"), (format_decimal(row.mark_price), mark_role),
        (" stale" if row.stale_price else "", "warn"), _GAP,
        ("age ", "dim"), (format_duration(row.age_s), ""), _GAP,
        ("retries ", "dim"),
        (f"{row.retries}/{detail.max_retries}", "warn" if row.retries else ""),
    )  # fmt: skip
    third: Line = (
        ("fees ", "dim"), (format_money(row.fees_quote), ""), _GAP,
        ("volume ", "dim"), (format_money(row.volume_quote), ""), _GAP,
        ("controller ", "dim"), (clean(row.controller_id), ""), _GAP,
        ("on ", "dim"), (clean(row.connector_name), ""),
    )  # fmt: skip
    trend: Line = ((sparkline(row.trend, 12).strip(), "spark"),)
    lines = [first, ends(second, trend, width), third]
    if row.last_error:
        lines.append(((f"✗ {clean(row.last_error)}", "error"),))
    return lines


def orders_table(detail: ExecutorDetail) -> TabTable:
    """Return the orders, newest first."""
    rows = []
    for order in detail.orders:
        state = order.state
        if order.filled_amount and order.filled_amount < order.amount:
            state = f"{format_share(order.filled_amount / order.amount)} filled"
        price = order.average_price if order.price is None else order.price
        role = "error" if order.state in {"failed", "rejected", "denied"} else ""
        rows.append(
            (
                (format_clock(order.created_ns, millis=True), "dim"),
                (order.role, ""),
                (order.side, "bold"),
                (format_decimal(order.amount), ""),
                ("market" if price is None else format_decimal(price), ""),
                (state, role or ("ok" if order.state == "filled" else "accent")),
                (order.order_type, "dim"),
                (f"{order.reason}  {order.client_order_id}".strip(), role or "dim"),
            )
        )
    columns = (
        Column("Time", 12), Column("Role", 11, drop=2), Column("Side", 4),
        Column("Amount", 9, "right"), Column("Price", 10, "right"), Column("State", 12),
        Column("Type", 11, drop=4), Column("Id, reason", 0, drop=3),
    )  # fmt: skip
    empty = "No orders yet: the executor waits to place its entry."
    return TabTable(columns, tuple(rows), empty, len(rows))


def fills_table(detail: ExecutorDetail) -> TabTable:
    """Return the fills, newest first."""
    rows = tuple(
        (
            (format_clock(fill.ts_ns, millis=True), "dim"),
            (fill.role, ""),
            (fill.side, "bold"),
            (format_decimal(fill.amount), ""),
            (format_decimal(fill.price), ""),
            (format_money(fill.quote), ""),
            (format_money(fill.fee_quote, 4), "dim"),
            ("maker" if fill.is_maker else "taker", "dim"),
            (fill.fill_id, "dim"),
        )
        for fill in detail.fills
    )
    columns = (
        Column("Time", 12), Column("Role", 11, drop=2), Column("Side", 4),
        Column("Amount", 9, "right"), Column("Price", 10, "right"),
        Column("Quote", 11, "right", 3), Column("Fee", 8, "right"), Column("As", 5, drop=1),
        Column("Id", 0, drop=4),
    )  # fmt: skip
    return TabTable(columns, rows, "No fills yet.", len(rows))


def timeline_table(detail: ExecutorDetail) -> TabTable:
    """Return what happened, newest first."""
    rows = tuple(
        (
            (format_date_time(line.ts_ns), "dim"),
            (line.text, _LEVELS.get(line.level, "")),
        )
        for line in detail.timeline
    )
    columns = (Column("Time (UTC)", 19, drop=1), Column("Event", 0, shown=short_ids))
    return TabTable(columns, rows, "Nothing happened yet.", len(rows))


def config_table(detail: ExecutorDetail) -> TabTable:
    """Return the configuration, nested fields below their group; what was changed is bold."""
    rows: list[tuple[Cell, ...]] = []
    shown_group = ""
    for item in detail.config:
        group, dot, leaf = item.name.partition(".")
        if dot and group != shown_group:
            rows.append(((group, "dim"), ("", ""), ("", "")))
        shown_group = group if dot else ""
        role = "dim" if item.is_default else "bold"
        rows.append(
            (
                (f"  {leaf}" if dot else item.name, role),
                (f"{item.value} {item.unit}".strip(), role),
                ("" if item.is_default else "set", "accent"),
            )
        )
    width = max((cell_len(clean(row[0][0])) for row in rows), default=8)
    columns = (Column("Field", min(width, 40)), Column("Value", 0), Column("", 3, drop=1))
    empty = "The engine reports no configuration."
    return TabTable(columns, tuple(rows), empty, len(detail.config))


def raw_table(detail: ExecutorDetail) -> TabTable:
    """Return ``custom_info`` as it is."""
    rows = tuple(((name, "dim"), (value, "")) for name, value in detail.info)
    width = max((cell_len(clean(name)) for name, _ in detail.info), default=8)
    columns = (Column("Name", min(width, 40)), Column("Value", 0))
    return TabTable(columns, rows, "This executor reports no custom info.", len(rows))


TABS: Final = (
    ("Orders", orders_table),
    ("Fills", fills_table),
    ("Timeline", timeline_table),
    ("Config", config_table),
    ("Raw", raw_table),
)


def tab_line(names: Sequence[tuple[str, int | None]], active: str) -> Line:
    """Return the strip of tabs; the active one is reversed and in brackets for no-colour."""
    spans: list[tuple[str, str]] = []
    for name, count in names:
        shown = name if count is None else f"{name} {count}"
        spans.append((f"[{shown}]", "chip") if name == active else (f" {shown} ", "dim"))
    return tuple(spans)
