"""Scheduling 2: options, defaults, bounds, live assignment; test 16."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from engine.scheduling import AdaptiveScheduler, ExecutionEngine
from engine.scheduling.pool_options import POOL_OPTIONS
from engine.scheduling.resource_pool import ResourcePool
from engine.scheduling.settings import (
    FULL_PROFILE,
    AdaptiveSettings,
    ResourcePoolSettings,
    SchedulingSettings,
)

ENGINE = {
    "max_concurrent_tasks": (10, (1, 10_000), (0, 10_001, 1.5, "ten")),
    "task_timeout_multiplier": (1.2, (0.1, 100), (0.09, 101, math.inf)),
    "health_check_interval": (60, (0.001, 1e6), (0, -1, math.inf)),
    "critical_reserve": (0, (0, 9), (-1, 10, 0.5)),
    "aging_interval": (30, (0.001, math.inf), (0, -1)),
    "max_queue_size": (250_000, (0, 10**9), (-1, 2.5)),
    "default_timeout": (60, (0.001, 1e6), (0, math.inf)),
    "cancel_grace": (5, (0, 1e6), (-0.1, math.inf)),
    "stop_grace": (10, (0, 1e6), (-0.1, math.inf)),
    "overdue_after": (300, (0.001, 1e9), (0,)),
    "start_spread": (5, (0, 1e6), (-1,)),
    "dispatch_budget": (0.002, (1e-6, 1), (0,)),
    "loop_lag_warn": (0.25, (0.001, 10), (0, -1)),
}
SCHEDULER = {
    "min_interval": (1.0, (0.01, 3600), (0, 3601)),
    "max_interval": (3600.0, (1, 1e6), (0.5, math.inf)),
    "default_interval": (60.0, (0.1, 1e6), (0, math.inf)),
    "market_weight": (0.4, (0, 100), (-0.1, math.inf)),
    "performance_weight": (0.4, (0, 100), (-0.1,)),
    "system_weight": (0.2, (0, 100), (-0.1,)),
    "smoothing": (0.3, (0.01, 1), (0, 1.01)),
    "jitter": (0.1, (0, 0.5), (-0.01, 0.51)),
    "failure_backoff_max": (16, (1, 1000), (0.5,)),
    "market_ttl": (300, (0.1, 1e9), (0,)),
    "system_sample_interval": (5, (0, 1e6), (-1, math.inf)),
}
CASES = [(ExecutionEngine, name, *case) for name, case in ENGINE.items()] + [
    (AdaptiveScheduler, name, *case) for name, case in SCHEDULER.items()
]
NOT_NUMBERS: tuple[Any, ...] = (None, True, "1", math.nan, [])


@pytest.mark.parametrize(
    ("owner", "name", "default", "allowed", "refused"), CASES, ids=[case[1] for case in CASES]
)
def test_option(
    owner: Any, name: str, default: float, allowed: tuple[Any, ...], refused: tuple[Any, ...]
) -> None:
    subject = owner()
    assert getattr(subject, name) == default
    for value in allowed:
        setattr(subject, name, value)
        assert getattr(subject, name) == value
        assert getattr(owner({name: value}), name) == value
    for value in (*refused, *NOT_NUMBERS):
        with pytest.raises(ValueError, match=name):
            setattr(subject, name, value)
        assert getattr(subject, name) == allowed[-1]  # the old value is kept
        with pytest.raises(ValueError, match=name):
            owner({name: value})


def test_every_option_of_the_specification_is_there_and_no_other() -> None:
    assert set(ExecutionEngine.OPTIONS) == set(ENGINE)
    assert set(AdaptiveScheduler.OPTIONS) == {*SCHEDULER, "network_capacity", "io_capacity"}


@pytest.mark.parametrize(
    "config",
    [
        {"max_concurent_tasks": 3},
        {"resource_pool": {"http_pool": 3}},
        {"scheduler": {"minimum": 3}},
        {"alerts": {"weather": True}},
        {"alerts": {"cpu": 1}},
        {"scheduler": 3},
        {"resource_pool": [1]},
    ],
    ids=str,
)
def test_an_unknown_key_is_an_error_that_names_those_that_there_are(config: Any) -> None:
    with pytest.raises(ValueError, match=r"there are|must be"):
        ExecutionEngine(config)


@pytest.mark.parametrize("kind", [ExecutionEngine, ResourcePool, AdaptiveScheduler])
@pytest.mark.parametrize("config", ["abc", [1], 3, [("jitter", 0)]], ids=str)
def test_what_is_no_mapping_of_options_is_refused(kind: Any, config: Any) -> None:
    with pytest.raises(ValueError, match=f"{kind.__name__} takes a mapping of options, not"):
        kind(config)


def test_sections_reach_their_parts() -> None:
    engine = ExecutionEngine(FULL_PROFILE)
    assert (engine.max_concurrent_tasks, engine.critical_reserve) == (20, 2)
    assert engine.task_timeout_multiplier == 1.5
    assert engine.resource_pool.http_pool_size == 30
    assert engine.resource_pool.cache_ttl == 120
    assert engine.scheduler.market_weight == 0.5
    assert ExecutionEngine({"alerts": {"cpu": False}}).alerts.is_on("cpu") is False


def test_options_for_a_part_that_is_passed_in_are_refused() -> None:
    with pytest.raises(ValueError, match="resource_pool"):
        ExecutionEngine({"resource_pool": {"cache_ttl": 1}}, ResourcePool())
    with pytest.raises(ValueError, match="scheduler"):
        ExecutionEngine({"scheduler": {"jitter": 0}}, scheduler=AdaptiveScheduler())


def test_the_reserve_stays_below_the_slots() -> None:
    engine = ExecutionEngine({"max_concurrent_tasks": 5, "critical_reserve": 4})
    with pytest.raises(ValueError, match="critical_reserve"):
        engine.max_concurrent_tasks = 4
    assert engine.max_concurrent_tasks == 5


def test_the_interval_bounds_stay_in_order() -> None:
    scheduler = AdaptiveScheduler({"min_interval": 10, "max_interval": 20})
    with pytest.raises(ValueError, match="min_interval"):
        scheduler.min_interval = 21
    with pytest.raises(ValueError, match="min_interval"):
        scheduler.max_interval = 9
    assert (scheduler.min_interval, scheduler.max_interval) == (10, 20)


def test_weights_are_assigned_one_by_one_but_never_all_zero() -> None:
    scheduler = AdaptiveScheduler()
    scheduler.market_weight = 0
    scheduler.performance_weight = 0
    with pytest.raises(ValueError, match="positive"):
        scheduler.system_weight = 0
    assert scheduler.system_weight == 0.2


def test_the_typed_section_has_the_same_options_and_defaults() -> None:
    settings = SchedulingSettings()
    engine = ExecutionEngine()
    assert {name: getattr(settings, name) for name in ExecutionEngine.OPTIONS} == engine.options()
    pairs: list[tuple[Any, Any]] = [
        (ResourcePoolSettings(), ResourcePool()),
        (AdaptiveSettings(), AdaptiveScheduler()),
    ]
    for section, part in pairs:
        assert {name: getattr(section, name) for name in part.OPTIONS} == part.options()
        assert set(type(section).model_fields) == set(part.OPTIONS)
    assert set(ResourcePoolSettings.model_fields) == set(POOL_OPTIONS)


def test_the_typed_section_makes_an_engine() -> None:
    settings = SchedulingSettings.model_validate(
        {**FULL_PROFILE, "alerts": {"disk": False}, "stop_grace": 3}
    )
    engine = ExecutionEngine(settings)
    assert (engine.max_concurrent_tasks, engine.stop_grace) == (20, 3)
    assert engine.resource_pool.http_pool_size == 30
    assert engine.alerts.is_on("disk") is False


@pytest.mark.parametrize(
    "data",
    [
        {"max_concurrent_tasks": 0},
        {"max_concurrent_tasks": True},
        {"critical_reserve": 10},
        {"unknown": 1},
        {"scheduler": {"jitter": 0.6}},
        {"scheduler": {"min_interval": 50, "max_interval": 40}},
        {"resource_pool": {"unknown": 1}},
        {"alerts": {"weather": True}},
    ],
    ids=str,
)
def test_the_typed_section_refuses_what_the_attributes_refuse(data: Any) -> None:
    with pytest.raises(ValidationError):
        SchedulingSettings.model_validate(data)
