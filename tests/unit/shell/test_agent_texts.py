"""What the agents screen says, and its filter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.api.agent_views import AlertRow, SchedulingView
from engine.api.views import EngineState, HealthView
from engine.testing.fake_agents import make_agents, make_scheduling
from tui.formatting import format_run_time
from tui.state.agent_form import agent_fields, check_agent_form
from tui.state.agent_source import next_text, state_span, state_word, why
from tui.state.agent_tabs import AGENT_TABS, runs_table
from tui.state.agent_text import agent_lines, alert_lines, health_line, scheduling_lines
from tui.state.row_filter import RowFilter, RowFilterError
from tui.state.text import Line, line_width, plain

AGENTS = make_agents()
ROWS = tuple(detail.row for detail in AGENTS.values())
VIEW = make_scheduling(ROWS)
HEALTH = HealthView(EngineState.RUNNING, "", 0.6, 84.0, 1.2, 3)


def words(lines: tuple[Line, ...]) -> str:
    return "\n".join(plain(line) for line in lines)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "--"), (float("nan"), "--"), (0.0, "0ms"), (0.0008, "0.80ms"), (0.0021, "2.1ms"),
        (0.412, "412ms"), (3.94, "3.9s"), (-312.0, "-5m12s"), (-2.04, "-2.0s"), (75.0, "1m15s"),
    ],
)  # fmt: skip
def test_run_times_have_two_digits_that_count(seconds: float | None, text: str) -> None:
    assert format_run_time(seconds) == text


@pytest.mark.parametrize(
    ("agent_id", "shown", "word"),
    [
        ("health:main", "● idle", "running idle"),
        ("reconcile:main", "◆ run 4.2s", "running run"),
        ("vol-watch", "⚠ overdue", "running overdue overdue"),
        ("prices", "✗ error", "error error"),
        ("rebalance", "· stopped", "stopped stopped"),
    ],
)
def test_a_state_has_a_shape_and_a_word(agent_id: str, shown: str, word: str) -> None:
    assert state_span(AGENTS[agent_id].row)[0] == shown
    assert state_word(AGENTS[agent_id].row) == word


def test_a_stuck_agent_and_a_new_one() -> None:
    row = ROWS[0]
    assert state_span(replace(row, is_stuck=True)) == ("✗ stuck", "error bold")
    assert state_span(replace(row, status="initialized"))[0] == "○ new"
    assert state_span(replace(row, status="odd"))[0] == "odd"


def test_why_says_error_first_then_note_and_interval() -> None:
    assert why(AGENTS["prices"].row)[1] == "error"
    assert why(AGENTS["rebalance"].row)[0] == "s starts it"
    assert why(AGENTS["health:main"].row)[0] == "tick 0.6 ms, lag 84 ms · x0.66: market active"
    assert why(replace(AGENTS["health:main"].row, interval=None, note=""))[0] == ""


def test_next_is_now_late_or_unknown() -> None:
    row = ROWS[0]
    assert next_text(replace(row, next_in_s=None)) == "--"
    assert next_text(replace(row, next_in_s=0.0)) == "now"
    assert next_text(replace(row, next_in_s=-4.0)) == "-4.0s"


@pytest.mark.parametrize("width", [30, 38, 60, 78, 110, 200])
@pytest.mark.parametrize("height", [1, 5, 8, 12, 40])
def test_panels_keep_to_their_height(width: int, height: int) -> None:
    for detail in AGENTS.values():
        assert len(agent_lines(detail, width, height)) <= height
    assert len(scheduling_lines(VIEW, width, height)) <= height
    assert line_width(health_line(HEALTH, VIEW, width)) <= width


def test_the_agent_panel_shows_the_three_factors() -> None:
    text = words(agent_lines(AGENTS["prices"], 100, 20))
    for part in ("performance x1.25", "market x0.70", "system x0.90", "x 16 backoff",
                 "5 failures in a row", "RequestFailed", "Newest runs", "limit 36.0s"):  # fmt: skip
        assert part in text
    bare = replace(AGENTS["prices"], row=replace(AGENTS["prices"].row, interval=None, run_times=()))
    assert "no interval" in words(agent_lines(bare, 100, 20))


@pytest.mark.parametrize("width", [78, 118])
def test_the_scheduler_panel_shows_slots_queue_pool_and_alerts(width: int) -> None:
    text = words(scheduling_lines(VIEW, width, 40))
    for part in ("1/20", "critical 1", "1/30", "17 retries", "57/60", "2 wait", "closed 12.0s",
                 "93 %", "overdue", "Due next", "http://127.0.0.1:8787", "cpu 41 %"):  # fmt: skip
        assert part in text
    assert "does not run" in words(scheduling_lines(SchedulingView(), width, 10))


@pytest.mark.parametrize("width", [38, 44, 60])
def test_a_narrow_panel_leaves_out_whole_facts(width: int) -> None:
    """A figure that is cut in two would be another figure."""
    health, *engine = scheduling_lines(VIEW, width, 14)
    agent = agent_lines(AGENTS["health:main"], width, 7)
    figures = [plain(line) for line in (*engine, *agent) if "  " in plain(line).strip()]
    assert len(figures) > 6
    assert not [text for text in figures if text.endswith("…")]
    assert all(line_width(line) <= width for line in (*engine, *agent))
    assert "⚠" in plain(health), "a warning is rather cut than left out"
    assert "critical to idle" in words(scheduling_lines(VIEW, 38, 14))


def test_a_paused_agent_says_how_it_goes_on() -> None:
    detail = AGENTS["health:main"]
    row = replace(detail.row, interval=None, repeats=False, next_in_s=None)
    assert "R runs one cycle, u lets it go on" in words(
        agent_lines(replace(detail, row=row), 80, 9)
    )


def test_alerts_that_go_on_come_first() -> None:
    old = AlertRow(1, "warning", "old", is_active=False)
    new = AlertRow(0, "error", "new")
    assert [plain(line).split()[-1] for line in alert_lines((old, new))] == ["new", "old"]


def test_the_health_line_drops_what_matters_least() -> None:
    assert "agents 7/9" in plain(health_line(HEALTH, VIEW, 80))
    assert "store" not in plain(health_line(HEALTH, VIEW, 60))
    calm = replace(VIEW, agents_failed=0, tick_p50_ms=None)
    assert "⚠ degraded" in plain(health_line(HEALTH, calm, 120))
    assert "tick 0.6 ms" in plain(health_line(HEALTH, calm, 120))


def test_every_tab_has_a_table() -> None:
    for detail in AGENTS.values():
        for _, make in AGENT_TABS:
            table = make(detail)
            assert table.lines(70)
            assert table.plain()
    took = [row[2][0] for row in runs_table(AGENTS["reconcile:main"]).rows]
    assert took[0] == "30.4s"


# --- the form ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("5", 5.0), ("5s", 5.0), ("250ms", 0.25), ("2 m", 120.0), ("24h", 86_400.0)],
)
def test_an_interval_is_understood(typed: str, seconds: float) -> None:
    check = check_agent_form({"interval": typed, "priority": "low"})
    assert check.ok
    assert check.values == {"interval": seconds, "priority": "low"}


@pytest.mark.parametrize("typed", ["soon", "0", "25h", "-1", "1e3"])
def test_a_bad_interval_is_told(typed: str) -> None:
    assert "interval" in check_agent_form({"interval": typed}).errors


def test_the_form_begins_with_what_the_agents_have_in_common() -> None:
    one, both = agent_fields(ROWS[:1]), agent_fields(ROWS)
    assert (one[0].default, one[1].default) == ("2s", "critical")
    assert (both[0].default, both[1].default) == ("", "normal")
    assert check_agent_form({}).ok


# --- the filter ----------------------------------------------------------------------------------

FILTER: RowFilter[tuple[str, float | None]] = RowFilter(
    texts={"name": lambda row: row[0]}, numbers={"size": lambda row: row[1]}
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "abc"), ("B", "b"), ("!b", "ac"), ("name:c", "c"), ("size>1", "b"), ("size<=1s", "a"),
        ("size:1", "a"), ("size>=1000ms", "ab"), ('"a"', "a"), ("size=2 b", "b"), ("!size>1", "ac"),
    ],
)  # fmt: skip
def test_a_filter_finds(text: str, found: str) -> None:
    rows: list[tuple[str, float | None]] = [("a", 1.0), ("b", 2.0), ("c", None)]
    assert "".join(name for name, _ in filter(FILTER.parse(text), rows)) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('"a', "not closed"), ("colour:red", "fields are name, size"), ("name>1", "name:1"),
        ("size>big", "needs a number"), ("size<nan", "needs a number"),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_read_says_why(text: str, problem: str) -> None:
    with pytest.raises(RowFilterError, match=problem):
        FILTER.parse(text)
