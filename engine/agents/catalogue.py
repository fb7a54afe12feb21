"""Which agents ship, by the names that a session file uses; a new mapping each time."""

from __future__ import annotations

from engine.agents.session_agent import SessionAgent


def sample_types() -> dict[str, type[SessionAgent]]:
    """Return the sample agents."""
    from engine.agents.samples.drawdown_guard import DrawdownGuard
    from engine.agents.samples.exposure_rebalancer import ExposureRebalancer
    from engine.agents.samples.http_prices import HttpPrices
    from engine.agents.samples.volatility_watcher import VolatilityWatcher

    return {
        "drawdown_guard": DrawdownGuard,
        "exposure_rebalancer": ExposureRebalancer,
        "http_prices": HttpPrices,
        "volatility_watcher": VolatilityWatcher,
    }


def builtin_types() -> dict[str, type[SessionAgent]]:
    """Return the engine's own agents, in the order in which the console shows them."""
    from engine.agents.builtin.feed_staleness import FeedStaleness
    from engine.agents.builtin.performance import PerformanceSamples
    from engine.agents.builtin.reconcile import Reconciliation
    from engine.agents.builtin.session_health import SessionHealth
    from engine.agents.builtin.snapshot import Snapshots
    from engine.agents.builtin.stop_guard import StopGuard
    from engine.agents.builtin.store_maintenance import StoreMaintenance

    return {
        "stop_guard": StopGuard,
        "health": SessionHealth,
        "feed": FeedStaleness,
        "reconcile": Reconciliation,
        "performance": PerformanceSamples,
        "snapshot": Snapshots,
        "maintenance": StoreMaintenance,
    }
