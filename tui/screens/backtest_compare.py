"""Two to four backtests side by side: their curves in one chart, their metrics in one table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import Screen

from tui.actions import Scope, action_by_id, bindings_for
from tui.state.console import ConsoleState
from tui.state.text import Line, plain
from tui.widgets.key_bar import KeyBar, key_entries
from tui.widgets.line_view import LineView
from tui.widgets.painted import Painted
from tui.widgets.safe import safe
from tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from tui.state.compare_text import Contender

_SHOWN: Final = ("text.down", "detail.copy_tab", "app.back", "app.help")
_BUCKETS: Final = 400


class BacktestCompareScreen(Screen[None]):
    """Results side by side.

    Args:
        console: the shared view state.
        backtest_ids: two to four, in the order in which they were marked.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.DETAIL, Scope.SCREEN)
    scopes: ClassVar[tuple[Scope, ...]] = (
        Scope.TEXT,
        Scope.DETAIL,
        Scope.SCREEN,
        Scope.EVERYWHERE,
    )
    AUTO_FOCUS = "LineView"
    DEFAULT_CSS = """
    BacktestCompareScreen { background: $background; color: $foreground; layout: vertical; }
    BacktestCompareScreen #frame {
        height: 1fr; border: round $frame; border-title-color: $foreground;
        border-title-style: bold; border-subtitle-color: $muted; background: $background;
    }
    BacktestCompareScreen #curves { height: 1fr; }
    BacktestCompareScreen #metrics { height: 1fr; padding: 0 1; }
    """

    class Loaded(Message):
        """The curves were read, or *problem* says why not."""

        def __init__(self, contenders: tuple[Contender, ...], problem: str) -> None:
            super().__init__()
            self.contenders = contenders
            self.problem = problem

    def __init__(self, console: ConsoleState, backtest_ids: tuple[str, ...]) -> None:
        super().__init__()
        self.console = console
        self.backtest_ids = backtest_ids
        self._contenders: tuple[Contender, ...] = ()
        self._problem = ""

    def compose(self) -> ComposeResult:
        """Compose chart and table between the bars."""
        yield TopBar(self.console.engine, self.console.session or None)
        with Vertical(id="frame") as frame:
            frame.border_title = f"Backtests ▸ {len(self.backtest_ids)} side by side"
            frame.border_subtitle = "● the best · a letter marks each curve"
            yield Painted(id="curves")
            yield LineView(id="metrics")
        yield KeyBar()

    def on_mount(self) -> None:
        """Read the results in a worker."""
        self._load()
        self.call_after_refresh(self.pull)

    def _load(self) -> None:
        read = partial(self._read, self.backtest_ids)
        self.run_worker(read, thread=True, exit_on_error=False, exclusive=True)

    def _read(self, backtest_ids: tuple[str, ...]) -> None:
        from tui.state.compare_text import Contender
        from tui.state.plot import Curve
        from tui.state.result_reader import relative

        found: list[Contender] = []
        problem = ""
        for backtest_id in backtest_ids:
            detail = self.console.engine.backtest(backtest_id)
            if detail is None:
                continue
            curve = Curve()
            try:
                view = self.console.engine.backtest_result(backtest_id)
                if view is not None:
                    stamps, values = view.equity(_BUCKETS)
                    curve = relative(Curve(stamps.tolist(), values.tolist()))
            except Exception as error:  # noqa: BLE001 (boundary: the files may be damaged)
                problem = f"{detail.row.name}: {getattr(error, 'message', error)}"
            found.append(Contender(detail.row.name, detail.summary, curve))
        self.post_message(self.Loaded(tuple(found), problem))

    def on_backtest_compare_screen_loaded(self, event: Loaded) -> None:
        """Show what was read."""
        event.stop()
        self._contenders, self._problem = event.contenders, event.problem
        self.pull()

    def on_resize(self) -> None:
        """Fill the new size."""
        self.call_after_refresh(self.pull)

    @safe
    def pull(self) -> None:
        """Draw curves and table."""
        curves = self.query_one("#curves", Painted)
        self._show_keys()
        if not self._contenders:
            waiting = "They are not there any more." if self._problem else "Reading the results …"
            curves.show_lines([((f"  {waiting}", "dim"),)])
            return
        from tui.state.compare_text import chart_lines

        lines = chart_lines(self._contenders, curves.size.width, curves.size.height)
        if self._problem:
            lines[0] = ((f"  ⚠ {self._problem}", "warn"),)
        curves.show_lines(lines)
        metrics = self.query_one("#metrics", LineView)
        metrics.show_lines(*self._table(metrics.content_size.width))

    def _table(self, width: int) -> tuple[Line, list[Line]]:
        from tui.state.compare_text import table_lines

        return table_lines(self._contenders, width)

    def _show_keys(self) -> None:
        keymap = self.app._keymap  # noqa: SLF001 (Textual has no public getter for the key map)
        entries = key_entries(map(action_by_id, _SHOWN), keymap, lambda _: "")
        self.query_one(KeyBar).update_keys(entries, badge="", now=self.console.clock())

    def say(self, text: str) -> None:
        """Answer the last key in one sentence."""
        self.query_one(KeyBar).say(text, now=self.console.clock())

    def show_problem(self, text: str) -> None:
        """Say that something failed; the screen goes on."""
        self.say(f"⚠ {text}")

    def action_back(self) -> None:
        """Go back to the list."""
        _ = self.dismiss(None)

    def action_tab(self, by: int) -> None:
        """Say that there are no tabs."""
        del by
        self.say("There is one page here: curves above, metrics below.")

    def action_next_panel(self) -> None:
        """Focus the next panel."""
        self.focus_next()

    def action_previous_panel(self) -> None:
        """Focus the previous panel."""
        self.focus_previous()

    def action_zoom(self) -> None:
        """Give the frame to the table, or restore both."""
        curves = self.query_one("#curves")
        curves.display = not curves.display
        self.call_after_refresh(self.pull)

    def action_refresh_now(self) -> None:
        """Read the results again."""
        self._load()
        self.say("Reading the results again.")

    def action_copy_id(self) -> None:
        """Copy the ids."""
        self.app.copy_to_clipboard(" ".join(self.backtest_ids))
        self.say(f"Copied {len(self.backtest_ids)} ids.")

    def action_copy_tab(self) -> None:
        """Copy the table of metrics."""
        header, lines = self._table(120)
        text = "\n".join(plain(line).rstrip() for line in (header, *lines))
        self.app.copy_to_clipboard(text)
        self.say(f"Copied the metrics, {len(text.encode())} bytes.")
