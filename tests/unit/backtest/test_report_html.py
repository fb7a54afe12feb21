from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.backtest.report_html import MOST_POINTS, MOST_TRADES, render_report
from engine.backtest.results import BacktestResult, ResultStatus
from engine.model.bar_columns import BarColumns

Example = tuple[BarColumns, BacktestResult]


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def test_the_page_needs_no_network(daily_example: Example) -> None:
    bars, result = daily_example
    page = render_report(result, bars=[bars])
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|//cdn|<link|@import|<script src|<img", page)
    assert "__DATA__" not in page
    assert "__TITLE__" not in page


def test_the_page_has_all_that_a_viewer_needs(daily_example: Example) -> None:
    bars, result = daily_example
    data = data_of(render_report(result, bars=[bars]))
    assert data["run"]["costs"] == "1.00 per order, no slippage"
    assert len(data["prices"]) == 1
    assert len(data["prices"][0]["t"]) == 5031
    assert len(data["equity"]["t"]) == len(data["equity"]["v"]) <= 2 * MOST_POINTS + 2
    assert min(data["drawdown"]["v"]) == pytest.approx(-(result.metrics["max_drawdown"] or 0))
    assert len(data["trades"]) == data["tradeCount"] == 88
    assert len(data["months"]) == 240
    assert sum(data["histogram"]["counts"]) == 5030
    assert sum(data["tradeHistogram"]["counts"]) == 88
    assert [row[0] for row in data["metrics"]] == list(result.metrics.values)
    assert json.loads(data["config"]) == dict(result.config)
    assert "rows_read" in data["dataReport"]


def test_no_text_can_leave_its_place_in_the_page(daily_example: Example) -> None:
    _, result = daily_example
    evil = "</script><script>alert(1)</script>"
    page = render_report(replace(result, run_id=evil, warnings=(evil,), cost_banner=evil))
    assert evil not in page
    assert page.count("<script") == 2
    assert data_of(page)["run"]["warnings"] == [evil]


def test_a_partial_result_says_so(daily_example: Example) -> None:
    _, result = daily_example
    data = data_of(render_report(replace(result, status=ResultStatus.CANCELLED)))
    assert data["run"]["partial"] is True
    assert data["prices"] == []


def test_an_empty_result_has_a_page_too(daily_example: Example) -> None:
    _, result = daily_example
    empty = replace(
        result,
        equity=result.equity[:0],
        trades=result.trades[:0],
        fills=result.fills[:0],
        rejections={"MIN_NOTIONAL": 1},
    )
    data = data_of(render_report(empty))
    assert data["equity"] == {"t": [], "v": []}
    assert data["histogram"]["counts"] == []
    assert data["run"]["noFillReason"] == "MIN_NOTIONAL"


def test_many_trades_are_cut_and_counted(daily_example: Example) -> None:
    _, result = daily_example
    many = result.trades[[0] * (MOST_TRADES + 10)]
    data = data_of(render_report(replace(result, trades=many)))
    assert (len(data["trades"]), data["tradeCount"]) == (MOST_TRADES, MOST_TRADES + 10)


def test_the_script_of_the_page_is_valid(daily_example: Example, tmp_path: Path) -> None:
    bars, result = daily_example
    page = render_report(result, bars=[bars])
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    assert script.count("{") == script.count("}")
    node = shutil.which("node")
    if node is not None:
        path = tmp_path / "report.js"
        path.write_text(script, encoding="utf-8")
        subprocess.run([node, "--check", str(path)], check=True, timeout=60)
