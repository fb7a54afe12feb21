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
    assert session_lines([]) == ["no sessions yet; quarterdeck starts one"]


def test_a_session_is_one_line_under_its_headings() -> None:
    heading, line = session_lines([SESSION])
    assert heading.split() == [
        "STARTED", "SESSION", "MODE", "STATUS", "EQUITY", "CHANGE", "EXECUTORS", "FILLS",
    ]  # fmt: skip
    assert line.split() == [
        "2026-01-05T08:00:00Z", "paper-20260105T080000000", "paper", "interrupted",
        "100,012.50", "USDT", "+12.50", "7", "12",
    ]  # fmt: skip
    assert heading.endswith("FILLS")
    assert line.endswith("       7     12")


def test_foreign_text_cannot_break_a_line() -> None:
    rows = session_lines([SESSION | {"session_id": "a\nb\x1b[31m"}, SESSION])
    assert len(rows) == 3
    assert all("\n" not in row and "\x1b" not in row for row in rows)
