"""The pool's figures as plain dictionaries."""

from __future__ import annotations

import math
from typing import Any

from engine.scheduling.http_service import HttpService
from engine.scheduling.response_cache import ResponseCache


def pool_figures(http: HttpService, cache: ResponseCache) -> dict[str, Any]:
    """Return counts, rates (0.0 when there is nothing to divide) and gauges. Any thread."""
    counts = http.counts
    gates = tuple(http.gates.values())
    looked_up = cache.hits + cache.misses
    return {
        "http_clients": sum(not client.is_closed for client in http.clients().values()),
        "http_requests": counts.requests,
        "http_attempts": counts.attempts,
        "http_retries": counts.retries,
        "http_errors": counts.errors,
        "http_error_rate": counts.errors / counts.requests if counts.requests else 0.0,
        "http_in_flight": http.in_flight,
        "http_connections": http.connections_in_use,
        "cache_size": cache.size,
        "cache_hits": cache.hits,
        "cache_misses": cache.misses,
        "cache_evictions": cache.evictions,
        "cache_hit_rate": cache.hits / looked_up if looked_up else 0.0,
        "rate_limited_apis": sum(gate.limit is not None for gate in gates),
        "rate_limit_wait_s": math.fsum(gate.wait_total_s for gate in gates),
    }


def api_figures(http: HttpService, window_s: float) -> dict[str, dict[str, Any]]:
    """Return the gate and the counts of each API by name. Any thread."""
    names = sorted({*http.gates, *http.api_counts})
    return {name: _one(http, name, window_s) for name in names}


def _one(http: HttpService, name: str, window_s: float) -> dict[str, Any]:
    gate, counts = http.gates.get(name), http.api_counts.get(name)
    return {
        "used": 0 if gate is None else gate.starts_in_window(),
        "limit": None if gate is None else gate.limit,
        "window_s": window_s,
        "waiting": 0 if gate is None else gate.waiting,
        "closed_for_s": 0.0 if gate is None else gate.closed_for_s,
        "requests": 0 if counts is None else counts.requests,
        "retries": 0 if counts is None else counts.retries,
    }
