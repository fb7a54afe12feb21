"""``quarterdeck sessions``: one line for each past session."""

from __future__ import annotations

from tui.formatting.session_table import session_lines

SESSION = {
    "session_id": "paper-20260105T080000000",
    "mode": "paper",
    "status": "interrupted",
    "started_at": "2026-01-05T08:00:00.000000Z",
    "equity": "100012.50",
    "initial_equity": "100000",
    "currency": "USDT",
    "executors": 7,
    "fills": 12,
}


def test_no_sessions_is_a_sentence() -> None:
    assert list(session_lines([])) == ["no sessions yet; quarterdeck starts one"]


def test_a_session_is_one_line_under_its_headings() -> None:
    heading, line = session_lines([SESSION])
    assert heading.startswith("session ")
    assert "interrupted" in line
    assert "2026-01-05T08:00:00Z" in line
    assert "100,012.50 USDT" in line
    assert "+12.50" in line
    assert line.endswith("7       12")
