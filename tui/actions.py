"""The registry of actions: one list from which bindings, key bar, help and palette are made.

An action's handler is the method ``action_<handler>`` of the class that owns the scope.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, unique
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from textual.binding import BindingType


@unique
class Scope(Enum):
    """Where an action's keys work, and the words help uses for it."""

    EVERYWHERE = "everywhere"
    SCREEN = "this screen"
    LIST = "lists"
    EXECUTORS = "executors"
    AGENTS = "agents"
    BACKTESTS = "backtests"
    RESULT = "result of a backtest"
    CHART = "charts"
    STUDIES = "studies"
    STUDY = "one study"
    HEATMAP = "heat maps"
    LOGS = "logs"
    DETAIL = "detail of an executor"
    TEXT = "scrolling text"
    DIALOG = "dialogs"
    CONFIRM = "dialogs that ask"
    STOP = "stopping"
    QUIT = "quitting"
    FORM = "forms"
    CHOICE = "choices in a line"
    OVERLAY = "overlays"
    SETTINGS = "settings"
    PROMPT = "the line at the bottom"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing the operator can do.

    ``danger`` is how it is guarded: 0 looks only, 1 acts at once, 2 asks first, 3 needs an
    armed session, 4 a typed word. ``bar`` orders the key bar, lowest first; 0 is not in
    it. A ``fixed`` key is taken by its widget before any binding and cannot be changed.
    """

    id: str
    keys: str
    text: str
    description: str
    scope: Scope
    handler: str
    danger: int = 0
    group: str = "Other"
    bar: int = 0
    priority: bool = False
    fixed: bool = False


_E, _S, _L, _X, _G = Scope.EVERYWHERE, Scope.SCREEN, Scope.LIST, Scope.EXECUTORS, Scope.LOGS
_A = Scope.AGENTS
_O, _Y, _M = Scope.STUDIES, Scope.STUDY, Scope.HEATMAP
_B, _R, _C = Scope.BACKTESTS, Scope.RESULT, Scope.CHART

ACTIONS: Final[tuple[Action, ...]] = (
    Action("mode.dashboard", "1", "dashboard", "Go to the dashboard", _E, "mode('dashboard')",
           group="Modes"),
    Action("mode.executors", "2", "executors", "Go to the executors", _E, "mode('executors')",
           group="Modes"),
    Action("mode.agents", "5", "agents", "Go to the agents", _E, "mode('agents')", group="Modes"),
    Action("mode.flow", "6", "flow", "Go to the event flow and the commands", _E, "mode('flow')",
           group="Modes"),
    Action("mode.backtests", "7", "backtests", "Go to the backtests", _E, "mode('backtests')",
           group="Modes"),
    Action("mode.containers", "C", "containers", "Go to the live containers", _E,
           "mode('containers')", group="Modes"),
    Action("mode.optimization", "8", "studies", "Go to the optimisation studies", _E,
           "mode('optimization')", group="Modes"),
    Action("mode.logs", "0", "logs", "Go to the logs", _E, "mode('logs')", group="Modes"),
    Action("app.command", "colon", "go", "Open the command line", _E, "command_line",
           group="Find your way", bar=80),
    Action("app.palette", "ctrl+p", "palette", "Find any command by its name", _E,
           "command_palette", group="Find your way", bar=85),
    Action("app.help", "question_mark", "help", "List all keys", _E, "help",
           group="Find your way", bar=90),
    Action("app.settings", "comma", "settings", "Choose a theme and how things are shown", _E,
           "settings", group="Find your way", bar=84),
    Action("app.alerts", "A", "alerts", "Show the warnings and errors so far", _E, "alerts",
           group="Find your way"),
    Action("app.quit", "q", "quit", "Quit; asks what to do with running executors", _E, "quit",
           danger=2, group="Session", bar=95),
    Action("app.interrupt", "ctrl+c", "quit at once",
           "Copy the selected text; twice within 2 s: quit, keep positions", _E,
           "interrupt", danger=2, group="Session", priority=True),
    Action("panel.jump", "semicolon", "jump", "A letter on each panel; the letter goes there", _E,
           "jump", group="Find your way"),
    Action("view.pause", "p", "pause", "Freeze the display; the engine goes on", _E, "pause",
           group="View", bar=82),
    Action("view.time", "T", "time", "Times in UTC, local or relative", _E, "time_format",
           group="View"),
    Action("app.back", "escape,backspace", "back", "Close the topmost thing; never quits", _S,
           "back", group="Find your way"),
    Action("panel.next", "tab", "next panel", "Focus the next panel", _S, "next_panel",
           group="Find your way", bar=70),
    Action("panel.previous", "shift+tab", "previous panel", "Focus the previous panel", _S,
           "previous_panel", group="Find your way"),
    Action("view.zoom", "z", "zoom", "Maximise the focused panel, or restore it", _S, "zoom",
           group="View", bar=72),
    Action("view.refresh", "r", "refresh", "Ask the engine again now", _S, "refresh_now",
           group="View"),
    Action("list.down", "j,down", "down", "Next row", _L, "cursor(1)", group="Move"),
    Action("list.up", "k,up", "up", "Previous row", _L, "cursor(-1)", group="Move"),
    Action("list.top", "g,home", "top", "First row", _L, "top", group="Move"),
    Action("list.bottom", "G,end", "bottom", "Last row", _L, "bottom", group="Move"),
    Action("list.page_down", "ctrl+d,pagedown", "page down", "One page down", _L, "page(1)",
           group="Move"),
    Action("list.page_up", "ctrl+u,pageup", "page up", "One page up", _L, "page(-1)",
           group="Move"),
    Action("list.right", "l,right", "right", "Show columns further right", _L, "columns(1)",
           group="Move"),
    Action("list.left", "h,left", "left", "Show columns further left", _L, "columns(-1)",
           group="Move"),
    Action("list.open", "enter", "open", "Open the row under the cursor", _L, "open",
           group="Rows", bar=10),
    Action("list.mark", "space", "mark", "Mark the row and step down", _L, "mark",
           group="Rows", bar=20),
    Action("list.mark_range", "v", "range", "Mark from the last marked row to this one", _L,
           "mark_range", group="Rows"),
    Action("list.mark_all", "asterisk", "mark all", "Mark every row that the filter shows", _L,
           "mark_all", group="Rows"),
    Action("list.unmark", "minus", "unmark", "Take all marks off", _L, "unmark", group="Rows"),
    Action("list.copy", "y", "copy", "Copy the row to the clipboard", _L, "copy", group="Rows"),
    Action("list.sort", "o", "sort", "Sort by a column, then its letter", _L,
           "sort", group="Order", bar=60),
    Action("list.sort_off", "O", "sort off", "Back to the usual order", _L, "sort_off",
           group="Order"),
    Action("list.filter", "slash", "filter", "Filter: words, field:value, field<num, !not", _L,
           "filter", group="Order", bar=50),
    Action("list.wide", "w", "wide", "All columns, or those that fit", _L, "wide",
           group="Order"),
    Action("list.follow", "f", "follow", "Follow the newest row, or the cursor's",
           _L, "follow", group="Order"),
    Action("exec.new", "n", "new", "Create an executor", _X, "exec_new", danger=1,
           group="Executors", bar=40),
    Action("exec.stop", "x,ctrl+k", "stop", "Stop the executor, or all marked ones", _X,
           "exec_stop", danger=2, group="Executors", bar=30),
    Action("exec.stop_options", "X", "stop with options",
           "Stop, and choose what happens to the position", _X, "exec_stop_options", danger=2,
           group="Executors"),
    Action("exec.edit", "e", "edit", "Change a running executor", _X, "exec_edit", danger=1,
           group="Executors", bar=45),
    Action("exec.duplicate", "d", "duplicate", "Create one like it: a form with its values", _X,
           "exec_duplicate", danger=1, group="Executors", bar=48),
    Action("exec.store", "S", "store", "Move a terminated executor into the archive", _X,
           "exec_store", danger=2, group="Executors"),
    Action("exec.controller", "K", "controllers",
           "Stop a controller, or let it go on", _X, "exec_controller",
           danger=2, group="Executors"),
    Action("exec.export", "E", "export", "Write the rows of the list to a file", _X,
           "export_rows", group="Executors"),
    Action("exec.actions", "a", "actions", "List what can be done with the executor", _X,
           "exec_actions", group="Executors", bar=73),
    Action("agent.start", "s", "start", "Start the agent, or all marked ones", _A, "agent_start",
           danger=1, group="Agents", bar=28),
    Action("agent.stop", "x,ctrl+k", "stop", "Stop the agent, or all marked ones", _A,
           "agent_stop", danger=2, group="Agents", bar=30),
    Action("agent.run", "R", "run now", "Run one cycle now", _A, "agent_run", danger=1,
           group="Agents", bar=25),
    Action("agent.pause", "H", "pause", "Pause: no cycle follows, R runs one", _A, "agent_pause",
           danger=1, group="Agents"),
    Action("agent.resume", "u", "resume", "Let a paused agent go on", _A, "agent_resume", danger=1,
           group="Agents"),
    Action("agent.priority", "P", "priority", "Change the priority, then its letter", _A,
           "agent_priority", danger=1, group="Agents", bar=46),
    Action("agent.edit", "e", "edit", "Change base interval and priority", _A, "agent_edit",
           danger=1, group="Agents", bar=45),
    Action("agent.export", "E", "export", "Write the rows of the list to a file", _A,
           "export_rows", group="Agents"),
    Action("agent.actions", "a", "actions", "List what can be done with the agent", _A,
           "agent_actions", group="Agents", bar=47),
    Action("bt.new", "n", "new", "Run a backtest: a sample or a file", _B, "bt_new", danger=1,
           group="Backtests", bar=25),
    Action("bt.duplicate", "d", "duplicate", "Run it again with changes", _B, "bt_duplicate",
           danger=1, group="Backtests", bar=26),
    Action("bt.cancel", "x,ctrl+k", "cancel", "Cancel the backtest, or all marked ones", _B,
           "bt_cancel", danger=2, group="Backtests", bar=30),
    Action("bt.delete", "D", "delete", "Delete the result, or all marked ones", _B, "bt_delete",
           danger=2, group="Backtests", bar=48),
    Action("bt.compare", "m", "compare", "Compare two to four marked backtests side by side", _B,
           "bt_compare", group="Backtests", bar=28),
    Action("bt.export", "E", "export", "Write tables, metrics and an HTML report to a folder",
           _B, "bt_export", group="Backtests", bar=47),
    Action("bt.actions", "a", "actions", "List what can be done with the backtest", _B,
           "bt_actions", group="Backtests", bar=49),
    Action("result.zoom_in", "plus", "zoom in", "Zoom in around the cursor", _R, "zoom_by(1)",
           group="Charts"),
    Action("result.zoom_out", "minus", "zoom out", "Zoom out", _R, "zoom_by(-1)",
           group="Charts"),
    Action("result.fit", "equals_sign", "fit", "Show the whole run", _R, "fit_chart",
           group="Charts"),
    Action("result.chart", "c", "chart", "Next chart: all, price, equity, drawdown", _R,
           "next_chart", group="Charts"),
    Action("result.symbol", "i", "symbol", "Price of the next symbol, in a run over several", _R,
           "next_symbol", group="Charts"),
    Action("result.trade_next", "right_parenthesis", "next trade", "Cursor to the next trade",
           _R, "trade(1)", group="Charts"),
    Action("result.trade_previous", "left_parenthesis", "previous trade",
           "Cursor to the previous trade", _R, "trade(-1)", group="Charts"),
    Action("chart.right", "right,l", "right", "Cursor to the right", _C, "cursor(1)",
           group="Charts"),
    Action("chart.left", "left,h", "left", "Cursor to the left", _C, "cursor(-1)",
           group="Charts"),
    Action("chart.far_right", "greater_than_sign", "far right", "Ten columns to the right", _C,
           "cursor(10)", group="Charts"),
    Action("chart.far_left", "less_than_sign", "far left", "Ten columns to the left", _C,
           "cursor(-10)", group="Charts"),
    Action("chart.start", "home,g", "start", "Cursor to the first column", _C, "edge(-1)",
           group="Charts"),
    Action("chart.end", "end,G", "end", "Cursor to the last column", _C, "edge(1)",
           group="Charts"),
    Action("opt.new", "n", "new", "Run a study: a sample or a file", _O, "opt_new", danger=1,
           group="Studies", bar=25),
    Action("opt.resume", "R", "go on", "Go on with a study that was cut off or cancelled", _O,
           "opt_resume", danger=1, group="Studies", bar=28),
    Action("opt.cancel", "x,ctrl+k", "cancel", "Cancel the study, or all marked ones", _O,
           "opt_cancel", danger=2, group="Studies", bar=30),
    Action("opt.hold", "s", "hold", "Hold the study: send no more trials; or let it go on", _O,
           "opt_hold", danger=1, group="Studies", bar=46),
    Action("opt.export", "E", "export", "Write tables and the HTML report of the study", _O,
           "opt_export", group="Studies", bar=48),
    Action("opt.actions", "a", "actions", "List what can be done with the study", _O,
           "opt_actions", group="Studies", bar=49),
    Action("study.tab_next", "right_square_bracket", "next tab", "Next page of the study", _Y,
           "tab(1)", group="Study", bar=12),
    Action("study.tab_previous", "left_square_bracket", "previous tab",
           "Previous page of the study", _Y, "tab(-1)", group="Study"),
    Action("study.axes", "b", "axes", "Heat map: parameters, metric, slice of the others", _Y,
           "axes", group="Study", bar=14),
    Action("study.fold_next", "greater_than_sign", "next fold",
           "Trials of the next training of a walk-forward", _Y, "fold(1)", group="Study", bar=18),
    Action("study.fold_previous", "less_than_sign", "previous fold",
           "Trials of the training before", _Y, "fold(-1)", group="Study"),
    Action("study.paper", "P", "paper", "Start a paper session with the trial's parameters", _Y,
           "paper", danger=2, group="Study", bar=16),
    Action("study.copy_tab", "Y", "copy tab", "Copy the page as a table", _Y, "copy_tab",
           group="Study"),
    Action("heat.right", "right,l", "right", "One cell to the right", _M, "move(1, 0)",
           group="Heat map"),
    Action("heat.left", "left,h", "left", "One cell to the left", _M, "move(-1, 0)",
           group="Heat map"),
    Action("heat.down", "down,j", "down", "One cell down", _M, "move(0, 1)", group="Heat map"),
    Action("heat.up", "up,k", "up", "One cell up", _M, "move(0, -1)", group="Heat map"),
    Action("heat.best", "g,home", "best", "Go to the best cell", _M, "best", group="Heat map",
           bar=11),
    Action("heat.open", "enter", "backtest", "Run the cell's best trial as a backtest", _M,
           "open", group="Heat map", bar=10),
    Action("heat.copy", "y", "copy", "Copy the cell's parameters and value", _M, "copy",
           group="Heat map"),
    Action("log.export", "E", "export", "Write the rows of the list to a file", _G,
           "export_rows", group="Logs"),
    Action("log.level", "L", "level", "Lowest level shown: all, info, warning, error", _G,
           "log_level", group="Logs", bar=55),
    Action("detail.tab_next", "right_square_bracket", "next tab", "Next tab", Scope.DETAIL,
           "tab(1)", group="Detail"),
    Action("detail.tab_previous", "left_square_bracket", "previous tab", "Previous tab",
           Scope.DETAIL, "tab(-1)", group="Detail"),
    Action("detail.copy_id", "y", "copy id", "Copy the whole id", Scope.DETAIL, "copy_id",
           group="Detail"),
    Action("detail.copy_tab", "Y", "copy tab", "Copy the tab as a table", Scope.DETAIL,
           "copy_tab", group="Detail"),
    Action("text.down", "j,down", "down", "One line down", Scope.TEXT, "scroll_down",
           group="Move"),
    Action("text.up", "k,up", "up", "One line up", Scope.TEXT, "scroll_up", group="Move"),
    Action("text.page_down", "ctrl+d,pagedown", "page down", "One page down", Scope.TEXT,
           "page_down", group="Move"),
    Action("text.page_up", "ctrl+u,pageup", "page up", "One page up", Scope.TEXT, "page_up",
           group="Move"),
    Action("text.top", "g,home", "top", "First line", Scope.TEXT, "scroll_home", group="Move"),
    Action("text.bottom", "G,end", "bottom", "Last line", Scope.TEXT, "scroll_end",
           group="Move"),
    Action("dialog.cancel", "escape", "cancel", "Close without doing anything", Scope.DIALOG,
           "cancel", group="Dialogs"),
    Action("dialog.next", "right", "next button", "Next button", Scope.DIALOG, "next_button",
           group="Dialogs"),
    Action("dialog.previous", "left", "previous button", "Previous button", Scope.DIALOG,
           "previous_button", group="Dialogs"),
    Action("dialog.help", "question_mark", "help", "List the keys of the dialog", Scope.DIALOG,
           "app.help", group="Dialogs"),
    Action("confirm.yes", "y", "confirm", "Do what the button says", Scope.CONFIRM, "confirm",
           danger=1, group="Dialogs"),
    Action("confirm.no", "n", "cancel", "Close without doing anything", Scope.CONFIRM, "cancel",
           group="Dialogs"),
    Action("stop.flatten", "f", "flatten", "Close the position after stopping", Scope.STOP,
           "choose(False)", group="Dialogs"),
    Action("stop.keep", "k", "keep", "Keep the position after stopping", Scope.STOP,
           "choose(True)", group="Dialogs"),
    Action("quit.keep", "k", "keep", "Quit, positions stay as they are", Scope.QUIT, "confirm",
           danger=1, group="Dialogs"),
    Action("quit.flatten", "f", "flatten", "Close every position, then quit", Scope.QUIT,
           "flatten", danger=1, group="Dialogs"),
    Action("form.next", "down", "next field", "Next field", Scope.FORM, "step(1)", group="Forms"),
    Action("form.previous", "up", "previous field", "Previous field", Scope.FORM, "step(-1)",
           group="Forms"),
    Action("form.enter", "enter", "check", "Check all fields and go to the button; again: send",
           Scope.FORM, "", group="Forms", fixed=True),
    Action("choice.next", "right,space", "next choice", "Next choice; a letter goes to its word",
           Scope.CHOICE, "step(1)", group="Forms"),
    Action("choice.previous", "left", "previous choice", "Previous choice", Scope.CHOICE,
           "step(-1)", group="Forms"),
    Action("overlay.close", "escape,q", "close", "Close", Scope.OVERLAY, "close",
           group="Dialogs"),
    Action("settings.pnl", "P", "PnL colours", "Colours of profit and loss: the next pair",
           Scope.SETTINGS, "pnl_colors", group="View"),
    Action("settings.time", "T", "time", "Times in UTC, local or relative", Scope.SETTINGS,
           "time_format", group="View"),
    Action("prompt.leave", "escape", "close", "Close it", Scope.PROMPT, "leave",
           group="Find your way"),
    Action("prompt.older", "up", "older", "The command before", Scope.PROMPT, "older",
           group="Find your way"),
    Action("prompt.newer", "down", "newer", "The command after", Scope.PROMPT, "newer",
           group="Find your way"),
)  # fmt: skip

_SHOWN: Final = {
    "question_mark": "?", "colon": ":", "semicolon": ";", "comma": ",", "slash": "/",
    "asterisk": "*", "minus": "-", "space": "space", "escape": "esc", "enter": "enter",
    "pagedown": "pgdn", "pageup": "pgup", "down": "↓", "up": "↑", "left": "←", "right": "→",
    "right_square_bracket": "]",
    "left_square_bracket": "[", "plus": "+", "equals_sign": "=", "left_parenthesis": "(",
    "right_parenthesis": ")", "less_than_sign": "<", "greater_than_sign": ">",
}  # fmt: skip


def action_by_id(action_id: str) -> Action:
    """Return the action with *action_id*.

    Raises:
        KeyError: there is none.
    """
    for action in ACTIONS:
        if action.id == action_id:
            return action
    raise KeyError(action_id)


def in_scope(*scopes: Scope) -> tuple[Action, ...]:
    """Return the actions of *scopes* in the registry's order."""
    return tuple(action for action in ACTIONS if action.scope in scopes)


def bindings_for(*scopes: Scope) -> list[BindingType]:
    """Return Textual bindings for *scopes*, each with its action's id."""
    from textual.binding import Binding

    return [
        Binding(
            action.keys,
            action.handler,
            action.description,
            id=action.id,
            show=False,
            priority=action.priority,
        )
        for action in in_scope(*scopes)
        if not action.fixed
    ]


def key_label(keys: str) -> str:
    """Return how the first key of *keys* is written for people."""
    first = keys.split(",", maxsplit=1)[0].strip()
    return _SHOWN.get(first, first)


def all_key_labels(keys: str) -> str:
    """Return how all keys of *keys* are written for people."""
    return " ".join(_SHOWN.get(key.strip(), key.strip()) for key in keys.split(","))


def keys_of(action: Action, keymap: Mapping[str, str]) -> str:
    """Return the keys of *action* under the operator's *keymap*."""
    return keymap.get(action.id, action.keys)
