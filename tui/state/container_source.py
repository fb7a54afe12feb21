"""The live containers as a table source, and what is said about one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.formatting import UNKNOWN, fit, format_compact, format_duration, format_share
from tui.state.backtest_source import progress_bar
from tui.state.columns import Column
from tui.state.console import ConsoleState
from tui.state.list_source import ListSource
from tui.state.table import Query, Window
from tui.state.text import Line, Span

if TYPE_CHECKING:
    from engine.api.backtest_views import ContainerRow

_SECOND_NS: Final = 1_000_000_000
_MIB: Final = 2**20
_ROLES: Final = {"running": ("● running", "ok"), "faulted": ("✗ faulted", "error bold"),
                 "error": ("✗ error", "error bold"), "stopping": ("◌ stopping", "warn"),
                 "closed": ("· closed", "dim")}  # fmt: skip


def container_state(row: ContainerRow) -> Span:
    """Return the state: a shape, a word, a role."""
    return _ROLES.get(row.state, (f"○ {row.state}", ""))


def memory_text(row: ContainerRow) -> str:
    """Return the memory of the container's process."""
    return UNKNOWN if row.rss_bytes is None else f"{row.rss_bytes / _MIB:,.0f} MiB"


def count_text(count: int) -> str:
    """Return a count in at most six cells."""
    return f"{count:,}" if count < 10_000 else format_compact(count)


class ContainerSource(ListSource["ContainerRow"]):
    """Rows of the containers table: asked for at every window, for there are few."""

    def __init__(self, console: ConsoleState) -> None:
        self._console = console
        super().__init__(
            noun="containers",
            columns=(
                Column("id", "Container", 26, lambda r: (r.id, "bold"), frozen=True),
                Column("state", "State", 10, container_state, live=True),
                Column("mode", "Mode", 15, lambda r: (r.mode, "dim"), rank=5),
                Column("owner", "Owner", 20, lambda r: (r.owner, ""), rank=6),
                Column("events", "Events", 9, lambda r: (count_text(r.events), ""), "right",
                       live=True, raw=lambda r: str(r.events)),
                Column("bars", "Bars", 14, _bars, "right", rank=4, live=True),
                Column("errors", "Err", 4, lambda r: (f"{r.errors:,}",
                       "error bold" if r.errors else "dim"), "right", rank=3, live=True),
                Column("memory", "Memory", 9, lambda r: (memory_text(r), ""), "right", live=True),
                Column("pid", "Pid", 8, lambda r: (UNKNOWN if r.pid is None else str(r.pid),
                       "dim"), "right", rank=7),
                Column("age", "Age", 7, self._age, "right", live=True),
            ),
            row_id=lambda row: row.id,
            text=lambda row: " ".join((row.id, row.state, row.mode, row.owner, *row.components)),
        )  # fmt: skip

    def window(self, query: Query, start: int, count: int) -> Window[ContainerRow]:
        """Return rows of what exists now."""
        self.replace(self._console.engine.containers())
        return super().window(query, start, count)

    def age_s(self, row: ContainerRow) -> float | None:
        """Return the age by the engine's clock."""
        session = self._console.session_row()
        return None if session is None else (session.now_ns - row.started_ns) / _SECOND_NS

    def _age(self, row: ContainerRow) -> Span:
        return (format_duration(self.age_s(row)), "dim")


def _memory(row: ContainerRow) -> str:
    if row.pid is None:
        return "shared with the console: it lives in this process"
    return f"{memory_text(row)} of process {row.pid}"


def _bars(row: ContainerRow) -> Span:
    if not row.bars_total:
        return (UNKNOWN, "dim")
    share = row.bars_done / row.bars_total
    return (f"{progress_bar(share, 8)} {format_share(share)}", "accent")


def container_lines(row: ContainerRow, width: int) -> tuple[Line, ...]:
    """Return the components of a container and what it needs."""
    word, role = container_state(row)
    pairs: list[tuple[str, Span]] = [
        ("state", (word, role)),
        ("owner", (f"{row.owner} · {row.mode}", "")),
        ("events", (f"{row.events:,} · errors {row.errors:,}", "")),
        ("memory", (_memory(row), "")),
    ]
    if row.bars_total:
        share = row.bars_done / row.bars_total
        done = f"{row.bars_done:,} of {row.bars_total:,}"
        pairs.append(
            ("bars", (f"{progress_bar(share, 20)} {format_share(share)}  {done}", "accent"))
        )
    lines: list[Line] = [((f" {fit(label, 10)}", "dim"), span) for label, span in pairs]
    line: list[Span] = [(f" {fit('parts', 10)}", "dim")]
    room = width - 12
    for place, name in enumerate(row.components):
        if len(name) + 4 > room:
            lines.append(tuple(line))
            line, room = [(" " * 11, "")], width - 12
        line += [(" · " if place and room < width - 12 else "", "dim"), (name, "")]
        room -= len(name) + 3
    return (*lines, tuple(line))
