"""The typed configuration of the execution engine, its pool and its scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from engine.scheduling import engine_options, pool_options, scheduler_options
from engine.scheduling.alerts import RULES
from engine.scheduling.option import OptionSpec


class _Section(BaseModel):
    """Fields that are options: each is checked as its attribute is."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    OPTIONS: ClassVar[Mapping[str, OptionSpec[Any]]] = {}

    @field_validator("*", mode="before")
    @classmethod
    def _check(cls, value: object, info: ValidationInfo) -> object:
        option = cls.OPTIONS.get(info.field_name or "")
        return value if option is None else option.check(_plain(value))

    def given(self) -> dict[str, Any]:
        """Return the options that were set."""
        return {name: getattr(self, name) for name in self.model_fields_set if name in self.OPTIONS}


def _plain(value: object) -> object:
    """Return a YAML number, which is read as `Decimal`, as a float."""
    return float(value) if isinstance(value, Decimal) else value


class ResourcePoolSettings(_Section):
    """Options of the resource pool; seconds and bytes."""

    OPTIONS: ClassVar[Mapping[str, OptionSpec[Any]]] = pool_options.POOL_OPTIONS
    http_pool_size: int = pool_options.HTTP_POOL_SIZE.default
    http_timeout: float = pool_options.HTTP_TIMEOUT.default
    http_retry_count: int = pool_options.HTTP_RETRY_COUNT.default
    http_retry_delay: float = pool_options.HTTP_RETRY_DELAY.default
    http_retry_max_delay: float = pool_options.HTTP_RETRY_MAX_DELAY.default
    rate_limit_window: float = pool_options.RATE_LIMIT_WINDOW.default
    cache_ttl: float = pool_options.CACHE_TTL.default
    cache_max_size: int = pool_options.CACHE_MAX_SIZE.default
    http_max_body: int = pool_options.HTTP_MAX_BODY.default
    close_grace: float = pool_options.CLOSE_GRACE.default


class AdaptiveSettings(_Section):
    """Options of the adaptive scheduler; seconds, weights and shares."""

    OPTIONS: ClassVar[Mapping[str, OptionSpec[Any]]] = scheduler_options.SCHEDULER_OPTIONS
    min_interval: float = scheduler_options.MIN_INTERVAL.default
    max_interval: float = scheduler_options.MAX_INTERVAL.default
    default_interval: float = scheduler_options.DEFAULT_INTERVAL.default
    market_weight: float = scheduler_options.MARKET_WEIGHT.default
    performance_weight: float = scheduler_options.PERFORMANCE_WEIGHT.default
    system_weight: float = scheduler_options.SYSTEM_WEIGHT.default
    smoothing: float = scheduler_options.SMOOTHING.default
    jitter: float = scheduler_options.JITTER.default
    failure_backoff_max: float = scheduler_options.FAILURE_BACKOFF_MAX.default
    market_ttl: float = scheduler_options.MARKET_TTL.default
    system_sample_interval: float = scheduler_options.SYSTEM_SAMPLE_INTERVAL.default
    network_capacity: float | None = scheduler_options.NETWORK_CAPACITY.default
    io_capacity: float | None = scheduler_options.IO_CAPACITY.default

    @model_validator(mode="after")
    def _fit(self) -> AdaptiveSettings:
        scheduler_options.check_together({name: getattr(self, name) for name in self.OPTIONS})
        return self


class SchedulingSettings(_Section):
    """Options of the execution engine, with the sections of its parts; seconds."""

    OPTIONS: ClassVar[Mapping[str, OptionSpec[Any]]] = engine_options.ENGINE_OPTIONS
    max_concurrent_tasks: int = engine_options.MAX_CONCURRENT_TASKS.default
    task_timeout_multiplier: float = engine_options.TASK_TIMEOUT_MULTIPLIER.default
    health_check_interval: float = engine_options.HEALTH_CHECK_INTERVAL.default
    critical_reserve: int = engine_options.CRITICAL_RESERVE.default
    aging_interval: float = engine_options.AGING_INTERVAL.default
    max_queue_size: int = engine_options.MAX_QUEUE_SIZE.default
    default_timeout: float = engine_options.DEFAULT_TIMEOUT.default
    cancel_grace: float = engine_options.CANCEL_GRACE.default
    stop_grace: float = engine_options.STOP_GRACE.default
    overdue_after: float = engine_options.OVERDUE_AFTER.default
    start_spread: float = engine_options.START_SPREAD.default
    dispatch_budget: float = engine_options.DISPATCH_BUDGET.default
    loop_lag_warn: float = engine_options.LOOP_LAG_WARN.default
    resource_pool: ResourcePoolSettings = Field(default_factory=ResourcePoolSettings)
    scheduler: AdaptiveSettings = Field(default_factory=AdaptiveSettings)
    alerts: dict[str, bool] = Field(default_factory=dict)

    @field_validator("alerts")
    @classmethod
    def _known_alerts(cls, value: dict[str, bool]) -> dict[str, bool]:
        for kind in value:
            if kind not in RULES:
                raise ValueError(f"there is no alert {kind!r}; there are {', '.join(RULES)}")
        return value

    @model_validator(mode="after")
    def _fit(self) -> SchedulingSettings:
        engine_options.check_together({name: getattr(self, name) for name in self.OPTIONS})
        return self

    def to_config(self) -> dict[str, Any]:
        """Return the mapping that `ExecutionEngine` takes, with what was set only."""
        config = self.given()
        sections = {
            "resource_pool": self.resource_pool.given(),
            "scheduler": self.scheduler.given(),
            "alerts": dict(self.alerts),
        }
        return config | {name: section for name, section in sections.items() if section}


FULL_PROFILE: Final[Mapping[str, Any]] = {
    "max_concurrent_tasks": 20,
    "critical_reserve": 2,
    "task_timeout_multiplier": 1.5,
    "resource_pool": {"http_pool_size": 30, "cache_ttl": 120.0},
    "scheduler": {"market_weight": 0.5, "performance_weight": 0.3, "system_weight": 0.2},
}
"""Suggested options of the full application (2)."""
