"""What the bars and panels say."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.api.views import EngineState, EquityView, FlowStateView, HealthView
from engine.testing.fake_console import FakeConsoleEngine
from tui.settings import Settings
from tui.state.braille import braille_curve
from tui.state.command_line import parse_command, suggestions
from tui.state.console import ConsoleState
from tui.state.flow_text import flow_lines
from tui.state.key_line import KeyEntry, key_line
from tui.state.list_source import has_words
from tui.state.log_source import LogSource
from tui.state.modes import badge_span, mode_title
from tui.state.session_text import curve_lines, market_lines, position_lines, session_lines
from tui.state.text import Line, line_width, plain
from tui.state.top_line import top_line

ENGINE = FakeConsoleEngine()
SESSION = ENGINE.sessions()[0]


def console(engine: FakeConsoleEngine = ENGINE) -> ConsoleState:
    return ConsoleState(engine, clock=lambda: 7.0)


def words(lines: tuple[Line, ...]) -> str:
    return "\n".join(plain(line) for line in lines)


# --- top bar -------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 100, 120, 200])
def test_the_top_bar_has_the_width_asked_for(width: int) -> None:
    assert line_width(top_line(ENGINE.health(), SESSION, width)) == width


@pytest.mark.parametrize("width", [30, 40, 80, 200])
def test_mode_and_profit_are_the_last_to_go(width: int) -> None:
    text = plain(top_line(ENGINE.health(), SESSION, width))
    assert "◌ PAPER" in text
    assert "▲ +1,385.96" in text


def test_a_late_feed_and_alerts_have_a_sign() -> None:
    late = HealthView(EngineState.RUNNING, lag_ms=41_000.0, tick_ms=12.0)
    text = plain(top_line(late, SESSION, 120))
    assert "feed 41s ⚠" in text
    assert "⚠ 2" in text


def test_before_a_session_the_top_bar_says_what_the_engine_does() -> None:
    text = plain(top_line(HealthView(EngineState.STARTING, "opening the store"), None, 80))
    assert "starting engine…" in text
    assert "opening the store" in text
    assert "faulted" in plain(top_line(HealthView(EngineState.FAULTED, "disk"), None, 80))


@pytest.mark.parametrize(
    ("mode", "shape"), [("live", "● LIVE"), ("paper", "◌ PAPER"), ("replay", "◀ REPLAY")]
)
def test_a_mode_has_a_word_a_shape_and_a_role(mode: str, shape: str) -> None:
    text, role = badge_span(mode)
    assert shape in text
    assert role == f"mode-{mode}"


def test_the_terminal_title_shouts_only_live() -> None:
    assert mode_title("live", "main") == "● LIVE main · quarterdeck"
    assert mode_title("paper", "main") == "paper main · quarterdeck"


# --- session and markets -------------------------------------------------------------------------


def lines_of(width: int, height: int) -> tuple[Line, ...]:
    equity = ENGINE.equity(SESSION.id, points=50)
    return session_lines(SESSION, equity, curve_lines(equity, width, height - 4), width, height)


@pytest.mark.parametrize(("width", "height"), [(38, 3), (60, 7), (120, 11)])
def test_the_session_says_mode_state_equity_and_profit(width: int, height: int) -> None:
    text = words(lines_of(width, height))
    for fact in ("◌ PAPER", "main", "● running", "101,385.96", "▲ +1,385.96", "+1.39%"):
        assert fact in text
    assert all(line_width(line) <= width for line in lines_of(width, height))


def test_a_low_panel_has_a_sparkline_and_a_high_one_a_curve() -> None:
    assert set("▁▂▃▄▅▆▇█") & set(words(lines_of(80, 3)))
    assert any("\u2801" <= c <= "\u28ff" for c in words(lines_of(80, 9)))


def test_a_curve_needs_two_samples() -> None:
    assert "begins with the first samples" in words(curve_lines(EquityView((), ()), 60, 4))
    assert curve_lines(EquityView((), ()), 10, 4) == ()


def test_a_session_without_money_has_no_percentage() -> None:
    broke = replace(SESSION, initial_equity=Decimal(0), equity=Decimal(0))
    lines = session_lines(broke, EquityView((), ()), (), 80, 3)
    assert "--" in plain(lines[1])


def test_a_market_shows_quote_change_and_its_age_when_old() -> None:
    markets = ENGINE.markets(SESSION.id)
    assert "64,480.4 / 64,480.6   +0.82%" in words(market_lines(markets, SESSION.now_ns, 70))
    late = market_lines(markets, SESSION.now_ns + 60 * 10**9, 70)
    assert "⚠ 1m00s old" in words(late)
    silent = replace(markets[0], bid=None, ask=None, mid=None, quote_ns=None, change_pct=None)
    assert "waiting" in words(market_lines((silent,), SESSION.now_ns, 70))


def test_positions_show_amount_entry_and_open_profit() -> None:
    text = words(position_lines(ENGINE.positions(SESSION.id), 46))
    assert "BTC-USDT" in text
    assert "▲" in text
    assert "No open position" in words(position_lines((), 46))


# --- flow ----------------------------------------------------------------------------------------


def test_the_flow_panel_shows_the_whole_text_where_it_fits() -> None:
    flows = ENGINE.flow_states()
    text = words(flow_lines(flows, 90, 9))
    assert "Executor State (commands):" in text
    assert "aborted: 0 events" in text


def test_the_flow_panel_shows_counts_where_it_does_not() -> None:
    lines = flow_lines(ENGINE.flow_states(), 38, 4)
    assert plain(lines[0]).split() == ["executor", "pend", "proc", "done", "fail", "rest"]
    assert plain(lines[2]).split() == ["session", "3", "2", "71k", "1", "4"]
    assert all(line_width(line) <= 38 for line in lines)


def test_only_failures_are_in_the_colour_of_errors() -> None:
    flow = FlowStateView("x", {"failed": 1, "cancelled": 3}, "a\nb\nc\nd\ne")
    roles = {role for line in flow_lines((flow,), 38, 4) for _, role in line}
    assert "error bold" in roles
    assert flow_lines((), 38, 4) == (((" No event executor runs yet.", "dim"),),)


# --- curve ---------------------------------------------------------------------------------------


def test_a_rising_curve_goes_from_bottom_left_to_top_right() -> None:
    rows = braille_curve([0.0, 1.0, 2.0, 3.0], 10, 2)
    assert [len(row) for row in rows] == [10, 10]
    assert rows[0][0] == "\u2800"
    assert rows[0][-1] != "\u2800"
    assert rows[1][0] != "\u2800"


def test_a_spike_is_never_lost() -> None:
    values = [0.0] * 5_000
    values[1_234] = 1.0
    assert braille_curve(values, 40, 3)[0].strip("\u2800")


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0], [float("nan")], [1e308, -1e308]])
def test_any_values_make_a_curve_of_the_right_size(values: list[float]) -> None:
    assert [len(row) for row in braille_curve(values, 7, 3)] == [7, 7, 7]
    assert braille_curve(values, 0, 3) == ()


# --- key bar and command line --------------------------------------------------------------------


def test_the_key_bar_keeps_help_and_quit_when_it_is_narrow() -> None:
    entries = [KeyEntry(k, k, "something") for k in "abcdef"]
    entries += [KeyEntry("?", "?", "help"), KeyEntry("q", "q", "quit")]
    text = plain(key_line(entries, "", "", 30))
    assert "? help" in text
    assert "q quit" in text
    assert "f something" not in text


def test_a_hint_takes_the_place_of_the_keys_and_the_badge_stays() -> None:
    text = plain(key_line([KeyEntry("q", "q", "quit")], "Copied.", "PAUSED 14s", 60))
    assert "Copied." in text
    assert text.rstrip().endswith("PAUSED 14s")


@pytest.mark.parametrize(
    ("line", "name", "argument"),
    [
        ("theme nord", "theme", "nord"),
        (":exec pnl<0 btc", "exec", "pnl<0 btc"),
        ("q", "q", ""),
        ("quit", "q", ""),
        ("logs", "mode", "logs"),
        ("dash", "mode", "dashboard"),
    ],
)
def test_a_command_line_is_a_word_and_its_argument(line: str, name: str, argument: str) -> None:
    command = parse_command(line)
    assert (command.name, command.argument, command.problem) == (name, argument, "")


def test_an_unknown_command_names_its_nearest() -> None:
    assert "Did you mean :theme?" in parse_command("thme nord").problem
    assert ":help" in parse_command("zzz").problem
    assert "needs a name" in parse_command("session").problem
    assert "theme nord" in suggestions(["nord"], ["main"])


# --- shared state --------------------------------------------------------------------------------


def test_a_session_is_found_by_name_or_id() -> None:
    state = console()
    assert state.session == SESSION.id
    assert state.choose_session("main")
    assert state.session == SESSION.id
    assert not state.choose_session("nope")
    assert console(FakeConsoleEngine(state="starting")).session == ""


def test_pausing_counts_seconds() -> None:
    now = [1.0]
    state = ConsoleState(ENGINE, clock=lambda: now[0])
    assert state.toggle_pause()
    now[0] = 15.0
    assert state.paused_for == 14.0
    assert not state.toggle_pause()
    assert state.paused_for is None


def test_times_are_utc_local_or_relative() -> None:
    state = console()
    at = SESSION.now_ns
    assert state.stamp(at, None) == "12:04:31.204"
    state.time_format = "relative"
    assert state.stamp(at - 90 * 10**9, at) == "1m30s ago"
    assert state.stamp(at - 664 * 10**9, at) == "11m04s", "nine cells are the narrowest column"
    assert state.stamp(at - 3_500_000_000, at) == "3s ago"
    assert state.stamp(at - 999_999_999, at) == state.stamp(at + 1, at) == "now"
    state.time_format = "local"
    assert state.stamp(at, at, millis=False).count(":") == 2
    assert state.stamp(10**30, None) == "--"


def test_settings_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="fps is 99; allowed are 0 to 30"):
        Settings(fps=99)
    with pytest.raises(ValueError, match="time_format is 'mars'"):
        Settings(time_format="mars")


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (38, " open ▲ +24.51 real ▲ +14.23 fee 2.99"),
        (44, " open ▲ +24.51  realised ▲ +14.23  fees 2.99"),
        (56, " open ▲ +24.51  realised ▲ +14.23  fees 2.99  6 running"),
        (36, " open ▲ +24.51  realised ▲ +14.23"),
    ],
)
def test_the_parts_of_the_profit_add_up_where_they_fit(width: int, shown: str) -> None:
    parts = replace(
        SESSION,
        unrealized_pnl=Decimal("24.51"),
        realized_pnl=Decimal("14.23"),
        fees=Decimal("2.99"),
        executors={"running": 6},
    )
    assert plain(session_lines(parts, EquityView((), ()), (), width, 3)[2]) == shown


def test_funding_is_told_where_there_is_some() -> None:
    paid = replace(SESSION, funding=Decimal("-1.5"))
    line = plain(session_lines(paid, EquityView((), ()), (), 90, 3)[2])
    assert " funding ▼ -1.50" in line
    assert "funding" not in plain(session_lines(SESSION, EquityView((), ()), (), 90, 3)[2])


@pytest.mark.parametrize(("mid", "shown"), [("63946.95", "63,947.0"), ("63991.10", "63,991.1")])
def test_a_mid_between_two_ticks_is_as_wide_as_any_other(mid: str, shown: str) -> None:
    market = replace(
        ENGINE.markets(SESSION.id)[0],
        mid=Decimal(mid),
        bid=Decimal("63946.9"),
        ask=Decimal("63947.0"),
    )
    assert f" {shown} " in plain(market_lines((market,), SESSION.now_ns, 38)[0])


# --- instants ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "time_format", "shown"),
    [(0, "utc", "12:04:31"), (1, "utc", "03-01 12:04"), (1, "relative", "1d00h ago")],
)
def test_another_day_has_its_date(days: int, time_format: str, shown: str) -> None:
    state = ConsoleState(ENGINE, clock=lambda: 7.0, time_format=time_format)
    assert state.day_stamp(SESSION.now_ns - days * 86_400_000_000_000) == shown


# --- lists in memory -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter_text", "passes"),
    [("stop", True), ("STOP btc", True), ("stop eth", False), ("!eth", True), ("!btc", False)],
)
def test_words_match_anywhere_and_a_bang_negates(filter_text: str, passes: bool) -> None:
    assert has_words("Stop BTC-USDT", filter_text.casefold().split()) is passes


def test_the_log_takes_only_what_is_new_and_filters_by_level() -> None:
    source = LogSource(console())
    source.pull()
    total = source.window(source.home, 0, 0).total
    source.pull()
    assert source.window(source.home, 0, 0).total == total == len(ENGINE.log())
    source.set_level(3)
    window = source.window(source.home, 0, 1_000)
    assert {row.level for row in window.rows} == {"error"}
    assert window.total < total


def test_a_line_about_an_executor_names_it() -> None:
    source = LogSource(console())
    source.pull()
    rows = source.window(source.home, 0, 1_000).rows
    about = next(row for row in rows if row.executor_id)
    other = next(row for row in rows if not row.executor_id)
    name = (about.executor_id or "")[:8]
    said = next(column for column in source.columns if column.key == "source")
    assert [said.cell(about)[0], said.cell(other)[0]] == [name, other.source]
    assert said.copied(about) == about.executor_id
    small = LogSource(console(), compact=True).columns[-1]
    assert small.cell(about)[0].startswith(f"{name} ")
