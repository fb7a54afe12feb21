"""Agents, scheduling and control API in a session file: mistakes with file, line and field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.agents.samples.drawdown_guard import DrawdownGuard
from engine.config.document import ConfigError
from engine.config.session_plan import SessionPlan, load_session_plan

TEXT = """\
version: 1
venues:
  - name: paper_perpetual
markets:
  - venue: paper_perpetual
    pair: BTC-USDT
    tick: 0.1
    lot: 0.0001
    source: {kind: synthetic}
agents:
  - id: guard
    type: drawdown_guard
    interval: 2.5
    priority: high
    params:
      controllers: [momentum]
      max_drawdown_pct: 0.02
  - id: watch
    type: volatility_watcher
    params:
      connector_name: paper_perpetual
      trading_pair: BTC-USDT
scheduling:
  max_concurrent_tasks: 7
  scheduler:
    jitter: 0.2
control_api:
  enabled: true
  port: 0
"""

Load = Callable[..., SessionPlan]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(*changes: tuple[str, str]) -> SessionPlan:
        text = TEXT
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        path = tmp_path / "session.yaml"
        path.write_text(text, encoding="utf-8")
        return load_session_plan(path)

    return load


def test_the_plan_has_the_agents_with_their_classes(load: Load) -> None:
    plan = load()
    guard, watch = plan.agents
    assert guard.agent_class is DrawdownGuard
    assert guard.section.agent_config == {
        "interval": 2.5, "priority": "high", "repeat": True,
        "params": {"controllers": ["momentum"], "max_drawdown_pct": "0.02"},
    }  # fmt: skip
    assert watch.section.id == "watch"
    assert plan.config.scheduling.max_concurrent_tasks == 7
    assert plan.config.scheduling.to_config()["scheduler"] == {"jitter": 0.2}
    assert plan.config.control_api.enabled


def test_agents_do_not_change_what_a_session_is_resumed_by(load: Load) -> None:
    before = load()
    after = load(("interval: 2.5", "interval: 9"), ("port: 0", "port: 1234"))
    assert before.config_hash == after.config_hash
    assert before.config_text != after.config_text
    assert load(("tick: 0.1", "tick: 0.2")).config_hash != before.config_hash


def test_without_the_sections_there_is_nothing_but_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text(TEXT.partition("agents:")[0], encoding="utf-8")
    plan = load_session_plan(path)
    assert plan.agents == ()
    assert not plan.config.control_api.enabled
    assert plan.config.scheduling.to_config() == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("type: drawdown_guard", "type: crystal_ball"),
            "12: agents.0.type: agent type 'crystal_ball' is not known, allowed: drawdown_guard, ",
        ),
        (
            ("type: drawdown_guard", "class: nowhere_to_be_found:Guard"),
            "12: agents.0.class: module nowhere_to_be_found was not found: neither at ",
        ),
        (("id: watch", "id: guard"), "18: agents.1.id: 'guard' is taken, choose another"),
        (("interval: 2.5", "interval: 0"), "13: agents.0.interval: "),
        (("interval: 2.5", "interval: often"), "13: agents.0.interval: "),
        (("priority: high", "priority: urgent"), "14: agents.0.priority: "),
        (("interval: 2.5", "pace: 2.5"), "13: agents.0.pace: is not a known key"),
        (
            ("max_drawdown_pct: 0.02", "max_drawdown_pct: 2"),
            "17: agents.0.params.max_drawdown_pct: ",
        ),
        (
            ("max_drawdown_pct: 0.02", "max_drawdown: 0.02"),
            "17: agents.0.params.max_drawdown: is not a known key, did you mean 'max_drawdown_p",
        ),
        (
            ("trading_pair: BTC-USDT", "trading_pair: ETH-USDT"),
            "22: agents.1.params.trading_pair: market 'paper_perpetual:ETH-USDT' is not known",
        ),
        (("max_concurrent_tasks: 7", "max_concurrent_tasks: 0"), "24: scheduling.max_concurrent"),
        (("max_concurrent_tasks: 7", "max_tasks: 7"), "24: scheduling.max_tasks: "),
        (("jitter: 0.2", "jitter: 2"), "26: scheduling.scheduler.jitter: "),
        (("port: 0", "port: 70000"), "29: control_api.port: "),
        (("port: 0", "host: 0.0.0.0"), "27: control_api: "),
    ],
)
def test_a_mistake_is_told_with_its_place(
    load: Load, tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(change)
    text = "\n".join(caught.value.problems)
    assert f"{tmp_path / 'session.yaml'}:{expected}" in text
