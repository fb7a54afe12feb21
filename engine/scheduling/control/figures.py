"""The engine's figures as Prometheus text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

PREFIX: Final = "quarterdeck"
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_COUNTERS: Final = frozenset(
    {
        "http_requests", "http_attempts", "http_retries", "http_errors",
        "cache_hits", "cache_misses", "cache_evictions", "rate_limit_wait_s",
        "interval_adjustments", "clamped_inputs",
    }
)  # fmt: skip
_LABELS: Final = {"queued_by_priority": "priority"}
_SECTIONS: Final = {"resource_pool_stats": "pool", "scheduler_stats": "scheduler"}


def prometheus_text(stats: Mapping[str, Any], agents_by_status: Mapping[str, int]) -> bytes:
    """Return the figures of `ExecutionEngine.get_stats` in Prometheus' text format.

    Totals are counters, everything else is a gauge; values that are not known are left out.
    Names end in their unit: `_s` becomes `_seconds`, `_ms` stays.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(stats, agents_by_status))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, stats: Mapping[str, Any], agents_by_status: Mapping[str, int]) -> None:
        self._stats = stats
        self._agents_by_status = agents_by_status

    def collect(self) -> Iterator[Metric]:
        yield _labelled("agents", "status", self._agents_by_status)
        yield from _families(self._stats, "engine")


def _families(stats: Mapping[str, Any], section: str) -> Iterator[Metric]:
    for name, value in stats.items():
        if name in _SECTIONS:
            yield from _families(value, _SECTIONS[name])
        elif isinstance(value, Mapping):
            label = _LABELS.get(name, "figure")
            numbers = {str(key): item for key, item in value.items() if _is_number(item)}
            yield _labelled(f"{section}_{name}", label, numbers)
        elif _is_number(value):
            yield _single(f"{section}_{name}", name, value)


def _single(full_name: str, name: str, value: float) -> Metric:
    if name.endswith("_total") or name in _COUNTERS:
        counter = CounterMetricFamily(_metric_name(full_name), _help(full_name))
        counter.add_metric([], value)
        return counter
    gauge = GaugeMetricFamily(_metric_name(full_name), _help(full_name))
    gauge.add_metric([], value)
    return gauge


def _labelled(name: str, label: str, values: Mapping[str, float]) -> Metric:
    gauge = GaugeMetricFamily(_metric_name(name), _help(name), labels=[label])
    for key, value in values.items():
        gauge.add_metric([key], value)
    return gauge


def _metric_name(name: str) -> str:
    plain = name.removesuffix("_total")
    return (
        f"{PREFIX}_{plain.removesuffix('_s')}_seconds"
        if plain.endswith("_s")
        else f"{PREFIX}_{plain}"
    )


def _help(name: str) -> str:
    return name.replace("_", " ")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
