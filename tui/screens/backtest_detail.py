"""The viewer of one backtest: charts over its trades, months, spread, metrics, log, configuration.

Files are read and curves are made small in a worker; the screen gets plain values for a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer

from tui.actions import Scope, action_by_id, bindings_for
from tui.formatting import clean
from tui.screens.backtest_actions import BacktestActions
from tui.screens.command_reporter import CommandReporter
from tui.state.backtest_text import figure_line, headline, state_lines
from tui.state.console import ConsoleState
from tui.state.detail_text import tab_line
from tui.state.text import Line, plain
from tui.widgets.key_bar import KeyBar, key_entries
from tui.widgets.line_view import LineView
from tui.widgets.live_table import LiveTable
from tui.widgets.painted import Painted
from tui.widgets.result_chart import ResultChart
from tui.widgets.safe import safe
from tui.widgets.top_bar import TopBar
from tui.widgets.trade_table import TradeTable

if TYPE_CHECKING:
    from engine.api.backtest_views import BacktestDetail, BacktestRow
    from tui.state.result_reader import ChartData, ResultReader
    from tui.widgets.prompt_bar import PromptBar

_FPS: Final = 5.0
_LEAST_SAMPLES: Final = 12
_SHOWN: Final = (
    "chart.right",
    "result.zoom_in",
    "result.zoom_out",
    "result.fit",
    "panel.next",
    "detail.tab_next",
    "result.chart",
    "result.trade_next",
    "bt.export",
    "bt.duplicate",
    "app.back",
    "app.help",
)
_WHILE_OPEN: Final = ("bt.cancel", "detail.tab_next", "bt.duplicate", "app.back", "app.help")
_GONE: Final[Line] = (("This backtest is not there any more. esc goes back.", "warn"),)


class BacktestDetailScreen(BacktestActions):
    """Everything about one backtest.

    Args:
        console: the shared view state.
        backtest_id: which one.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(
        Scope.DETAIL, Scope.SCREEN, Scope.BACKTESTS, Scope.RESULT
    )
    scopes: ClassVar[tuple[Scope, ...]] = (
        Scope.CHART,
        Scope.RESULT,
        Scope.DETAIL,
        Scope.BACKTESTS,
        Scope.TEXT,
        Scope.SCREEN,
        Scope.EVERYWHERE,
    )
    AUTO_FOCUS = "#chart"
    DEFAULT_CSS = """
    BacktestDetailScreen { background: $background; color: $foreground; layout: vertical; }
    BacktestDetailScreen #frame {
        height: 1fr; border: round $frame; border-title-color: $foreground;
        border-title-style: bold; border-subtitle-color: $muted; background: $background;
    }
    BacktestDetailScreen #facts { height: 2; }
    BacktestDetailScreen #chart { height: 3fr; }
    BacktestDetailScreen #readout, BacktestDetailScreen #tabs { height: 1; }
    BacktestDetailScreen #trades, BacktestDetailScreen #page { height: 2fr; }
    BacktestDetailScreen #chart:focus { background: $background; }
    BacktestDetailScreen .-away { display: none; }
    """

    class Opened(Message):
        """The result was opened, or *problem* says why not."""

        def __init__(self, reader: ResultReader | None, problem: str) -> None:
            super().__init__()
            self.reader = reader
            self.problem = problem

    class Loaded(Message):
        """A window was read."""

        def __init__(self, number: int, data: ChartData | None, problem: str) -> None:
            super().__init__()
            self.number = number
            self.data = data
            self.problem = problem

    def __init__(self, console: ConsoleState, backtest_id: str) -> None:
        super().__init__()
        self.console = console
        self.backtest_id = backtest_id
        self.reporter = CommandReporter(console.engine, self)
        self._timer: Timer | None = None
        self._detail: BacktestDetail | None = None
        self._reader: ResultReader | None = None
        self._opening = False
        self._problem = ""
        self._tab = "Trades"
        self._window = (0, 0)
        self._symbol = 0
        self._prompt: PromptBar | None = None
        self._request = 0
        self._lock = Lock()
        self._zoomed = ""
        from tui.state.trade_source import TradeSource

        self._trades = TradeSource()

    def compose(self) -> ComposeResult:
        """Compose figures, charts and tabs between the bars."""
        yield TopBar(self.console.engine, self.console.session or None)
        with Vertical(id="frame"):
            yield Painted(id="facts")
            yield ResultChart(id="chart")
            yield Painted(id="readout")
            yield Painted(id="tabs")
            yield TradeTable(
                self._trades,
                title="Trades",
                clock=self.console.clock,
                empty="Trades come with the result.",
                id="trades",
            )
            yield LineView(id="page")
        yield KeyBar()

    def on_mount(self) -> None:
        """Open the result and start the paint clock."""
        if self.console.fps:
            self._timer = self.set_interval(1 / min(_FPS, self.console.fps), self.pull)
        self._show_tab()
        self.call_after_refresh(self.pull)

    def on_screen_suspend(self) -> None:
        """Stop the clock: a hidden screen asks for nothing."""
        if self._timer is not None:
            self._timer.pause()

    def on_screen_resume(self) -> None:
        """Go on, fresh."""
        if self._timer is not None:
            self._timer.resume()
        self.call_after_refresh(self.pull)

    def on_resize(self) -> None:
        """Fill the new size, with as many samples as fit."""
        self.call_after_refresh(self.pull)
        self.call_after_refresh(self._load)

    @property
    def chart(self) -> ResultChart:
        """The charts."""
        return self.query_one(ResultChart)

    @property
    def table(self) -> TradeTable:
        """The trades."""
        return self.query_one(TradeTable)

    # --- the clock -------------------------------------------------------------------------------

    @safe
    def pull(self) -> None:
        """Ask the engine how the backtest stands; open its result once there is one."""
        if self.console.paused_at is None or self._detail is None:
            self._detail = self.console.engine.backtest(self.backtest_id)
        facts, detail = self.query_one("#facts", Painted), self._detail
        if detail is None:
            facts.show_lines([_GONE])
            return
        width = facts.size.width
        self._show_title(detail.row)
        has_figures = detail.row.final_equity is not None
        figures = figure_line(detail.row, detail.summary, width) if has_figures else ()
        facts.show_lines([headline(detail.row, width), figures])
        if self._reader is None:
            self._open(detail)
        self._show_page()
        self.reporter.report()
        self._show_keys()

    def _show_title(self, row: BacktestRow) -> None:
        from tui.state.chart_text import LEGEND

        frame = self.query_one("#frame")
        frame.border_title = Content.assemble(("Backtests ▸ ", "not bold"), clean(row.name))
        frame.border_subtitle = "" if self._reader is None else LEGEND

    def _open(self, detail: BacktestDetail) -> None:
        """Open the result in a worker, or say why there is none."""
        if detail.row.status.is_final and not self._opening and not self._problem:
            self._opening = True
            self.run_worker(self._open_result, thread=True, exit_on_error=False, group="open")
        lines: tuple[Line, ...] = state_lines(detail, self.chart.size.width)
        if self._problem:
            lines = (((f" {self._problem}", "warn"),), *lines)
        elif self._opening:
            lines = ((("  Reading the result …", "dim"),),)
        self.chart.show_text(((), *lines))

    def _open_result(self) -> None:
        """Open the result; runs in a thread, for files are read."""
        from tui.state.result_reader import ResultReader

        try:
            reader = ResultReader.open(self.console.engine, self.backtest_id)
            problem = "" if reader else "No result was stored: there are no charts."
        except Exception as error:  # noqa: BLE001 (boundary: the engine's answer was an exception)
            reader, problem = None, f"⚠ {getattr(error, 'message', error)}"
        self.post_message(self.Opened(reader, problem))

    @on(Opened)
    def _opened(self, event: Opened) -> None:
        event.stop()
        self._opening = False
        self._reader, self._problem = event.reader, event.problem
        if event.reader is not None:
            self._window = event.reader.facts.span_ns
            self.chart.cursor_ns = self._window[1]
            self._trades.view = event.reader.trades
            if len(event.reader.facts.symbols) > 1:
                self._trades.name_symbols()
                self.table.repaint_all()
            self.table.empty = "It made no trade."
            self.table.pull()
            self._load()
        self.pull()

    # --- windows ---------------------------------------------------------------------------------

    def _load(self) -> None:
        """Read the curves of the window, in a worker; what comes late is dropped."""
        if self._reader is None or self.chart.size.width < 20:
            return
        self._request += 1
        self.run_worker(
            partial(
                self._read, self._reader, self._request, 2 * self.chart.cells, self._window,
                self._symbol,
            ),
            thread=True, exit_on_error=False, group="chart",
        )  # fmt: skip

    def _read(
        self,
        reader: ResultReader,
        number: int,
        buckets: int,
        window: tuple[int, int],
        symbol: int,
    ) -> None:
        with self._lock:  # one view belongs to one thread at a time
            if number != self._request:
                return
            try:
                data, problem = reader.chart(buckets, *window, symbol=symbol), ""
            except Exception as error:  # noqa: BLE001 (boundary: the files may be damaged)
                data, problem = None, f"{getattr(error, 'message', error)}"
        self.post_message(self.Loaded(number, data, problem))

    @on(Loaded)
    def _loaded(self, event: Loaded) -> None:
        event.stop()
        if event.number != self._request:
            return
        if event.data is None:
            self.say(f"⚠ {event.problem}")
            return
        is_first = self.chart.data is None
        self.chart.show(event.data)
        if is_first:
            self._follow_chart()
        self._show_readout()

    def _set_window(self, from_ns: int, to_ns: int) -> None:
        """Look at another stretch, inside the run."""
        if self._reader is None:
            return
        first, last = self._reader.facts.span_ns
        span = min(max(1, to_ns - from_ns), last - first)
        start = min(max(first, from_ns), last - span)
        if (start, start + span) != self._window:
            self._window = (start, start + span)
            self._load()

    def action_zoom_by(self, steps: int) -> None:
        """Halve or double the stretch around the cursor."""
        data = self.chart.data
        if data is None:
            self.say("There is no chart to zoom yet.")
            return
        if steps > 0 and len(data.equity.values) < _LEAST_SAMPLES:
            self.say("These are single bars already; - zooms out.")
            return
        from_ns, to_ns = self._window
        span = (to_ns - from_ns) // 2 if steps > 0 else (to_ns - from_ns) * 2
        at_ns = self.chart.cursor_ns
        share = (at_ns - from_ns) / max(1, to_ns - from_ns)
        start = at_ns - int(span * share)
        self._set_window(start, start + span)

    def action_fit_chart(self) -> None:
        """Show the whole run."""
        if self._reader is not None:
            self._set_window(*self._reader.facts.span_ns)

    @on(ResultChart.PanWanted)
    def _pan(self, event: ResultChart.PanWanted) -> None:
        event.stop()
        from_ns, to_ns = self._window
        step = (to_ns - from_ns) // 4 * (1 if event.cells > 0 else -1)
        self._set_window(from_ns + step, to_ns + step)

    def action_next_chart(self) -> None:
        """Show the next of the charts, alone or all together."""
        from tui.state.chart_text import KINDS

        chart = self.chart
        chart.kind = KINDS[(KINDS.index(chart.kind) + 1) % len(KINDS)]
        chart.repaint()
        self.say(f"Chart: {chart.kind}.")

    def action_next_symbol(self) -> None:
        """Draw the price of the next symbol, with its trades."""
        from tui.state.chart_text import shows_price

        symbols = () if self._reader is None else self._reader.facts.symbols
        if len(symbols) < 2:
            self.say(self.why_not("result.symbol"))
            return
        self._symbol = (self._symbol + 1) % len(symbols)
        if not shows_price(self.chart.kind, self.chart.size.height):
            self.chart.kind = "price"
        self._load()
        self.say(f"Price of {clean(symbols[self._symbol])}, {self._symbol + 1} of {len(symbols)}.")

    # --- chart and trades, linked ----------------------------------------------------------------

    @on(ResultChart.Moved)
    def _chart_moved(self, event: ResultChart.Moved) -> None:
        event.stop()
        self._show_readout()
        self._follow_chart()

    def _follow_chart(self) -> None:
        """Put the table's cursor on the trade in the chart's column."""
        found = self._trades_at_cursor()
        if found is not None:
            query = self.table.model.query
            place = self._trades.index_of(query, str(found))
            if place is not None:
                self.table.go_to(place)

    def _trades_at_cursor(self) -> int | None:
        """Return the number of a trade that is open in the cursor's column."""
        if self._reader is None:
            return None
        found = self._reader.trades.trades_between(*self.chart.column_ns, most=2)
        return found[-1].number if found else None

    @on(LiveTable.CursorMoved, "#trades")
    def _trade_moved(self, event: LiveTable.CursorMoved) -> None:
        event.stop()
        row = self.table.model.current
        if row is not None and self.table.has_focus:
            self._show_symbol(row.symbol)
            self._go_to(row.entry_ns)

    @on(LiveTable.RowOpened, "#trades")
    def _trade_opened(self, event: LiveTable.RowOpened) -> None:
        """Zoom to the trade: it fills a third of the window."""
        event.stop()
        row = self.table.model.current
        if row is None:
            return
        span = max(1, row.exit_ns - row.entry_ns)
        self._show_symbol(row.symbol)
        self.chart.put_cursor(row.entry_ns)
        self._set_window(row.entry_ns - span, row.exit_ns + span)
        self.chart.focus()
        self._show_readout()

    def action_trade(self, by: int) -> None:
        """Go to the next or the previous trade in the table's order."""
        if self._reader is None or not self._reader.facts.trade_count:
            self.say("There is no trade.")
            return
        model = self.table.model
        shown = model.window.matching
        if not shown:
            self.say("No trade passes the filter; / changes it.")
            return
        place = min(max(0, model.cursor + by), shown - 1)
        self.table.go_to(place)
        row = model.current
        if row is not None:
            self._show_symbol(row.symbol)
            self._go_to(row.entry_ns)

    def _show_symbol(self, symbol: str) -> None:
        """Draw the price of *symbol*, in whose trade the operator looks."""
        symbols = () if self._reader is None else self._reader.facts.symbols
        if symbol in symbols and symbols.index(symbol) != self._symbol:
            self._symbol = symbols.index(symbol)
            self._load()

    def _go_to(self, at_ns: int) -> None:
        from_ns, to_ns = self._window
        self.chart.put_cursor(at_ns)
        if not from_ns <= at_ns <= to_ns:
            half = (to_ns - from_ns) // 2
            self._set_window(at_ns - half, at_ns + half)
        self._show_readout()

    def _show_readout(self) -> None:
        data, box = self.chart.data, self.query_one("#readout", Painted)
        if data is None or self._reader is None:
            box.show_lines([()])
            return
        from tui.state.chart_text import readout

        number = self._trades_at_cursor()
        trade = None if number is None else self._trades.find(str(number))
        cash = self._cash()
        box.show_lines([readout(data, self.chart.cursor_ns, trade, cash, box.size.width)])

    def _cash(self) -> float | None:
        row = self._detail.row if self._detail else None
        if row is None or row.final_equity is None or row.total_return in (None, -1.0):
            return None
        return float(row.final_equity) / (1 + float(row.total_return or 0))

    # --- tabs ------------------------------------------------------------------------------------

    def _show_tab(self) -> None:
        on_trades = self._tab == "Trades"
        self.table.set_class(not on_trades or self._zoomed == "chart", "-away")
        self.query_one(LineView).set_class(on_trades or self._zoomed == "chart", "-away")
        self.chart.set_class(self._zoomed == "page", "-away")
        self.query_one("#readout").set_class(self._zoomed == "page", "-away")
        self.query_one("#tabs").set_class(self._zoomed == "chart", "-away")

    def _show_page(self) -> None:
        reader, detail = self._reader, self._detail
        count = None if reader is None else reader.facts.trade_count
        from tui.state.result_tabs import TABS

        names = [(name, count if name == "Trades" else None) for name in TABS]
        self.query_one("#tabs", Painted).show_lines([tab_line(names, self._tab)])
        if detail is None or self._tab == "Trades":
            return
        page = self.query_one(LineView)
        page.show_lines(*self._page_lines(detail, page.size.width, page.size.height))

    def _page_lines(
        self, detail: BacktestDetail, width: int, height: int
    ) -> tuple[Line, list[Line]]:
        from tui.state import result_tabs

        facts = None if self._reader is None else self._reader.facts
        if self._tab == "Config":
            return result_tabs.config_lines(detail.config)
        if self._tab == "Log":
            return result_tabs.log_lines(detail, facts.warnings if facts else ())
        if facts is None:
            return (), [(("It comes with the result.", "dim"),)]
        if self._tab == "Months":
            return result_tabs.month_lines(facts, width)
        if self._tab == "Spread":
            return result_tabs.spread_lines(facts, width, height)
        return result_tabs.metric_lines({**facts.metrics, **_more(detail)}, width)

    def action_tab(self, by: int) -> None:
        """Show the tab *by* places further, around the end."""
        from tui.state.result_tabs import TABS

        self._open_tab(TABS[(TABS.index(self._tab) + by) % len(TABS)])

    def _open_tab(self, name: str) -> None:
        had_focus = self.focused is not None and self.focused is not self.chart
        self._tab = name
        if self._zoomed == "chart":
            self._zoomed = ""
        self._show_tab()
        page = self.query_one(LineView)
        page.scroll_home(animate=False)
        if had_focus:
            (self.table if name == "Trades" else page).focus()
        self.call_after_refresh(self.pull)

    @on(Painted.Clicked, "#tabs")
    def _tab_clicked(self, event: Painted.Clicked) -> None:
        event.stop()
        end = 0
        for text, _ in event.widget.lines[0]:
            end += cell_len(text)
            if event.column < end:
                self._open_tab(text.strip("[] ").rstrip("0123456789, "))
                return

    # --- keys ------------------------------------------------------------------------------------

    def _show_keys(self) -> None:
        keymap = self.app._keymap  # noqa: SLF001 (Textual has no public getter for the key map)
        shown = _SHOWN if self._reader is not None else _WHILE_OPEN
        entries = key_entries(map(action_by_id, shown), keymap, self.why_not)
        badge = "READ ONLY" if self.console.read_only else ""
        self.query_one(KeyBar).update_keys(entries, badge=badge, now=self.console.clock())

    def say(self, text: str) -> None:
        """Answer the last key in one sentence."""
        self.query_one(KeyBar).say(text, now=self.console.clock())

    def why_not(self, action_id: str) -> str:
        """Return why an action is not possible now; empty if it is."""
        if action_id == "bt.compare":
            return "Two or more are marked in the list with space; then m compares them."
        if action_id == "result.symbol":
            symbols = () if self._reader is None else self._reader.facts.symbols
            return "" if len(symbols) > 1 else "This run has one symbol."
        return self.why_not_backtest(action_id) if action_id.startswith("bt.") else ""

    why_not_action = why_not

    def chosen_backtests(self) -> Sequence[BacktestRow]:
        """Return the backtest, if it is still there."""
        detail = self.console.engine.backtest(self.backtest_id)
        return () if detail is None else (detail.row,)

    def after_command(self) -> None:
        """Look again."""
        self.pull()

    def action_bt_compare(self) -> None:
        """Say where backtests are compared."""
        self.say(self.why_not("bt.compare"))

    def action_back(self) -> None:
        """Close the maximised panel or the filter, else go back to the list."""
        if self._zoomed:
            self.action_zoom()
        elif self._tab == "Trades" and self.table.model.query.filter_text:
            self.table.set_filter("")
        else:
            _ = self.dismiss(None)

    def action_next_panel(self) -> None:
        """Focus the next panel."""
        self.focus_next()

    def action_previous_panel(self) -> None:
        """Focus the previous panel."""
        self.focus_previous()

    def action_zoom(self) -> None:
        """Give the whole frame to the charts or to the tab, or restore both."""
        focused = "chart" if self.focused is self.chart else "page"
        self._zoomed = "" if self._zoomed else focused
        self._show_tab()

    def action_refresh_now(self) -> None:
        """Ask the engine again now; a result that could not be read is tried again."""
        self._problem = ""
        self.pull()
        self.say("Asked the engine again.")

    def action_copy_id(self) -> None:
        """Copy the backtest's id."""
        self.app.copy_to_clipboard(self.backtest_id)
        self.say(f"Copied the id, {len(self.backtest_id)} characters.")

    def action_copy_tab(self) -> None:
        """Copy the tab as text; of the trades those in view."""
        if self._tab == "Trades":
            self.table.action_copy()
            return
        if self._detail is None:
            self.say("There is nothing to copy.")
            return
        header, lines = self._page_lines(self._detail, 120, 60)
        text = "\n".join(plain(line).rstrip() for line in (header, *lines))
        self.app.copy_to_clipboard(text)
        self.say(f"Copied {self._tab}, {len(text.encode())} bytes.")

    @on(LiveTable.Copied)
    def _copied(self, event: LiveTable.Copied) -> None:
        event.stop()
        self.app.copy_to_clipboard(event.text)
        self.say(f"Copied one row, {len(event.text.encode())} bytes.")

    @on(LiveTable.FilterWanted)
    def _filter_wanted(self, event: LiveTable.FilterWanted) -> None:
        """Ask for a filter of the trades; it works while it is typed."""
        from tui.widgets.prompt_bar import PromptBar

        event.stop()
        if self._prompt is None:
            self._prompt = PromptBar("/", text=event.table.model.query.filter_text)
            _ = self.mount(self._prompt, before=self.query_one(KeyBar))

    def on_prompt_bar_changed(self, event: PromptBar.Changed) -> None:
        """Filter while typing."""
        self.table.set_filter(event.text)
        window = self.table.model.window
        event.bar.set_note(window.error or f"{window.matching:,} of {window.total:,}")

    def on_prompt_bar_accepted(self, event: PromptBar.Accepted) -> None:
        """Keep the filter."""
        event.stop()
        self._close_prompt()

    def on_prompt_bar_dismissed(self, event: PromptBar.Dismissed) -> None:
        """Take the filter back."""
        event.stop()
        self.table.set_filter("")
        self._close_prompt()

    def _close_prompt(self) -> None:
        prompt, self._prompt = self._prompt, None
        if prompt is not None:
            _ = prompt.remove()
        self.table.focus()

    @on(LiveTable.SortWanted)
    def _sort_wanted(self, event: LiveTable.SortWanted) -> None:
        from tui.modals.sort_menu import SortMenu

        event.stop()
        columns = [c for c in event.table.model.source.columns if c.letter]

        def sort(key: str | None) -> None:
            if key:
                event.table.sort_by(key)

        _ = self.app.push_screen(SortMenu(self.console, columns, event.table.model.query), sort)


def _more(detail: BacktestDetail) -> dict[str, object]:
    """Return figures of the summary that are no metrics of the result."""
    wanted = ("final_equity", "fills", "ambiguous_fills", "bars", "bars_per_second", "engine")
    return {name: detail.summary[name] for name in wanted if name in detail.summary}
