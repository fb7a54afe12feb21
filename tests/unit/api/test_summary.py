"""A session in one JSON object, in one line, and what it leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from engine.api.summary import left_over, money_text, session_summary, sorted_counts, status_line
from engine.live.published import PublishedSession
from engine.testing.small_session import SmallSession


@pytest.fixture
def published() -> PublishedSession:
    session = SmallSession()
    session.begin()
    session.quote(1, "99.99", "100.01")
    session.create()
    done = session.create(side="SELL", amount="1")
    session.act("stop", executor_id=done, keep_position=True)
    return session.published()


def test_the_keys_and_kinds_of_the_summary(published: PublishedSession) -> None:
    summary = session_summary(published, journal_hash="ab12", seconds=1.5)
    assert list(summary) == [
        "session_id",
        "mode",
        "status",
        "equity",
        "realized_pnl",
        "unrealized_pnl",
        "fees",
        "executors",
        "executor_types",
        "close_types",
        "orders",
        "fills",
        "events",
        "agents",
        "journal_hash",
        "seconds",
    ]
    for name in ("equity", "realized_pnl", "unrealized_pnl", "fees"):
        assert isinstance(summary[name], str)
        assert Decimal(summary[name]).is_finite()
        assert "E" not in summary[name]
    assert summary["executors"] == {"running": 1, "terminated": 1}
    assert summary["executor_types"] == {"position_executor": 2}
    assert summary["close_types"] == {"POSITION_HOLD": 1}
    assert (summary["orders"], summary["fills"]) == (2, 2)
    assert summary["events"] > 0
    assert json.loads(json.dumps(summary)) == summary


def test_money_of_the_summary_is_that_of_the_account(published: PublishedSession) -> None:
    summary = session_summary(published, journal_hash="", seconds=0)
    assert Decimal(summary["equity"]) == published.account.equity
    assert Decimal(summary["fees"]) == published.account.fees


def test_one_line(published: PublishedSession) -> None:
    line = status_line(published)
    assert line.startswith("2026-01-05T08:00:01Z paper main created  equity ")
    assert "executors running=1 terminated=1" in line
    assert line.endswith("fills 2")
    assert "executors none" in status_line(SmallSession().published())


def test_what_is_left(published: PublishedSession) -> None:
    position, executor = left_over(published)
    assert position == "position sim:AAA-USDT 1"
    assert executor.startswith("executor ")
    assert executor.endswith(" is running")
    assert left_over(replace(SmallSession().published())) == ()


@pytest.mark.parametrize(
    ("value", "text"), [("1E+5", "100000"), ("0E-8", "0.00000000"), ("-1.50", "-1.50")]
)
def test_money_as_text(value: str, text: str) -> None:
    assert money_text(Decimal(value)) == text


def test_counts_of_nothing_are_left_out() -> None:
    assert sorted_counts({"b": 2, "a": 1, "c": 0}) == {"a": 1, "b": 2}
    assert list(sorted_counts({"b": 2, "a": 1})) == ["a", "b"]
