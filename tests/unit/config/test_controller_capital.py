"""Capital of a controller in a session file: its return is told of it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from engine.api.build import build_container
from engine.config.document import ConfigError
from engine.config.session_plan import load_session_plan

FILE = """\
version: 1
session: {name: capital, mode: paper, seed: 1}
venues: [{name: paper, kind: perpetual}]
markets:
  - venue: paper
    pair: AAA-USDT
    tick: 0.1
    lot: 0.001
    source: {kind: synthetic, start_price: 100}
controllers:
  - {id: rich, kind: momentum, total_amount_quote: AMOUNT, params: PARAMS}
  - {id: plain, kind: momentum, params: PARAMS}
"""
PARAMS = "{connector_name: paper, trading_pair: AAA-USDT}"


def write(folder: Path, amount: str) -> Path:
    path = folder / "session.yaml"
    path.write_text(FILE.replace("AMOUNT", amount).replace("PARAMS", PARAMS))
    return path


def test_the_capital_is_in_the_report(tmp_path: Path) -> None:
    plan = load_session_plan(write(tmp_path, "600"))
    orchestrator = build_container(plan, container_id="test", start_ns=0).orchestrator
    assert orchestrator.get_performance_report("rich").total_amount_quote == Decimal(600)
    assert orchestrator.get_performance_report("rich").return_on_capital == 0
    assert orchestrator.get_performance_report("plain").return_on_capital is None


def test_a_capital_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"controllers\.0\.total_amount_quote: 0 is not allowed"):
        load_session_plan(write(tmp_path, "0"))
