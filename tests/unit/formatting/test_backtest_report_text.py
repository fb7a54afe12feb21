"""The report of a backtest in terminals of several widths."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tui.formatting.backtest_text import metric_lines, report_lines, trade_table

SUMMARY: dict[str, Any] = {
    "total_return": 0.3343,
    "max_drawdown_duration": 3_981.0,
    "max_consecutive_wins": 4,
    "max_consecutive_losses": 6,
    "final_equity": "-133426.25",
}
TRADE = SimpleNamespace(
    symbol="SPX", side="long", qty="61.00", entry_at="2014-10-31 00:00", entry_price="2001.61",
    exit_at="2014-12-17 00:00", exit_price="1973.3700", pnl="-1724.64", exit_reason="SIGNAL",
)  # fmt: skip


@pytest.mark.parametrize(("width", "columns"), [(20, 1), (60, 2), (80, 2), (90, 3), (200, 4)])
def test_metrics_take_the_columns_that_fit(width: int, columns: int) -> None:
    lines = list(metric_lines(SUMMARY, width=width))
    assert len(lines) == -(-36 // columns)
    assert max(map(len, lines)) <= max(width, 28)


def test_every_metric_has_a_name_of_its_own() -> None:
    lines = list(metric_lines(SUMMARY, width=28))
    names = [line.rsplit(" ", 1)[0].rstrip(" -") for line in lines]
    assert len({*names}) == 36
    assert "total return         33.43 %" in lines
    assert "longest drawdown   3,981.000" in lines
    assert "wins in a row              4" in lines
    assert "losses in a row            6" in lines
    assert "final equity     -133,426.25" in lines


def test_trades_fit_where_it_is_narrow() -> None:
    head, line = trade_table([TRADE], 88, width=80)
    assert head == "trades (1 of 88, newest last)"
    assert len(line) <= 80
    assert line.split() == ["SPX", "long", "2014-10-31", "@", "2001.61", "2014-12-17", "@",
                            "1973.37", "-1,724.64"]  # fmt: skip
    _, wide = trade_table([TRADE], 88, width=120)
    assert wide.endswith("-1,724.64  signal")
    assert list(trade_table([], 0, width=80)) == ["no closed trades"]


def test_flags_rejections_and_ends_are_words() -> None:
    summary = {
        "run_id": "backtest_1", "status": "COMPLETED", "partial": False, "engine": "events",
        "bars": 10, "bars_per_second": None, "costs": "costs: none", "error": None,
        "flags": {
            "not_compiled": ["there is no strategy", "numba is not installed"],
            "journal_hash": None,
            "close_types": {"TIME_LIMIT": 2},
        },
        "rejections": {"MIN_NOTIONAL": 3}, "cancellations": {"DAY": 4}, "fills": 0,
        "ambiguous_fills": 0, "orders_by_state": {"EXPIRED": 4}, "warnings": [],
        "data_report": {}, "fingerprint": "ff", "no_fill_reason": "DAY",
    }  # fmt: skip
    shown = list(report_lines(summary, equity=(), drawdown=(), trades=(), trade_count=0, width=80))
    assert "  not compiled: there is no strategy; numba is not installed" in shown
    assert "  close types: 2 TIME_LIMIT" in shown
    assert not any("journal" in line for line in shown)
    assert "refused: 3 MIN_NOTIONAL" in shown
    assert "cut short: 4 DAY" in shown
    assert "nothing was filled, mostly because of DAY" in shown
