"""Run-time parameters of executors: how often and how patiently they try again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.executors.orchestrator_section import OrchestratorSection
from engine.executors.settings import ExecutorSettings
from engine.executors.validation import describe_errors
from engine.model.clock import SECOND_NS
from engine.simulation.scenario import Scenario
from engine.simulation.simulate import simulate


def test_the_defaults_are_those_of_the_executors() -> None:
    section = OrchestratorSection()
    assert section.settings() == ExecutorSettings()
    assert section.executors_update_interval == 1
    assert section.executors_max_retries is None


def test_seconds_become_nanoseconds() -> None:
    section = OrchestratorSection(
        shutdown_poll_s=Decimal("2.5"),
        retry_backoff_base_s=Decimal("0.25"),
        retry_backoff_max_s=Decimal(3),
    )
    settings = section.settings()
    assert settings.shutdown_poll_ns == 5 * SECOND_NS // 2
    waits = [settings.backoff_ns(attempt) * 4 // SECOND_NS for attempt in (1, 2, 3, 4, 5, 6)]
    assert waits == [1, 2, 4, 8, 12, 12]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("executors_update_interval", "0", "must be greater than 0, got 0"),
        ("executors_max_retries", -1, "greater than or equal to 0"),
        ("shutdown_poll_s", "-1", "must be greater than 0, got -1"),
        ("retry_backoff_base_s", "-1", "must not be negative, got -1"),
        ("retry_backoff_max_s", "nan", "must be a finite number, got nan"),
    ],
)
def test_a_wrong_value_is_told(field: str, value: object, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OrchestratorSection.model_validate({field: value})
    (problem,) = describe_errors(caught.value)
    assert problem.field == field
    assert said in problem.message


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, [0, 1, 3, 7]),
        ({"retry_backoff_max_s": 2}, [0, 1, 3, 5]),
        ({"retry_backoff_base_s": 0}, [0, 1, 2, 3]),
        ({"retry_backoff_base_s": 0, "max_retries": 1}, [0, 1]),
    ],
    ids=["doubling", "at most two", "none", "given up"],
)
def test_a_scenario_waits_as_it_says(given: dict[str, Any], seconds: list[int]) -> None:
    """Four entries that are rejected, then none: each retry waits longer."""
    market = {"connector_name": "sim", "trading_pair": "AAA-USDT"}
    quote = {"bid": Decimal(100), "ask": Decimal(100)}
    scenario = Scenario.model_validate(
        {
            "instrument": {**market, "tick": Decimal("0.01"), "lot": Decimal("0.001")},
            "balances": {"USDT": Decimal(1000)},
            "executor": {
                **market,
                "type": "position_executor",
                "side": "BUY",
                "amount": Decimal(1),
                "triple_barrier_config": {"open_order_type": "MARKET"},
            },
            "steps": [{"at": 0, "reject_next": 3, **quote}, {"at": 20, **quote}],
            **given,
        }
    )
    report = simulate(scenario).to_dict()
    assert [int(order["at"][17:19]) for order in report["orders"]] == seconds
