"""Trading executors: state machines that work one intent to its end, and what owns them.

Names load on first use, so that importing one module does not load all of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from engine.executors.action_desk import RestartPolicy
    from engine.executors.actions import (
        ActionCode,
        ActionResult,
        CreateExecutorAction,
        ExecutorAction,
        ExecutorActionType,
        StopExecutorAction,
        StoreExecutorAction,
        UpdateExecutorAction,
    )
    from engine.executors.arbitrage_config import ArbitrageExecutorConfig
    from engine.executors.arbitrage_executor import ArbitrageExecutor
    from engine.executors.barrier_levels import BarrierLevels
    from engine.executors.barriers import TrailingStop, TripleBarrierConfig
    from engine.executors.base import ExecutorBase, UpdateRejectedError
    from engine.executors.config import ExecutorConfigBase
    from engine.executors.config_update import ConfigUpdate
    from engine.executors.custom_info import CustomInfo
    from engine.executors.dca_config import DCAExecutorConfig, DCAMode
    from engine.executors.dca_executor import DCAExecutor
    from engine.executors.executor_filter import ExecutorFilter, filter_executors
    from engine.executors.factory import ExecutorFactory, load_builtin_executors
    from engine.executors.grid_config import GridExecutorConfig, GridExecutorUpdate
    from engine.executors.grid_executor import GridExecutor
    from engine.executors.grid_level import GridLevelStates
    from engine.executors.held_order import HeldOrder
    from engine.executors.info import ExecutorInfo
    from engine.executors.orchestrator import ControllerReport, ExecutorOrchestrator
    from engine.executors.order_config import (
        ChaserConfig,
        ExecutionStrategy,
        OrderExecutorConfig,
        OrderExecutorUpdate,
    )
    from engine.executors.order_executor import OrderExecutor
    from engine.executors.performance import PerformanceReport
    from engine.executors.position_config import PositionExecutorConfig, PositionExecutorUpdate
    from engine.executors.position_executor import PositionExecutor
    from engine.executors.position_hold import PositionHold, PositionSummary
    from engine.executors.position_info import PositionCustomInfo
    from engine.executors.position_store import InitialPosition
    from engine.executors.progressive_config import (
        LadderedTrailingStop,
        ProgressiveExecutorConfig,
        ProgressiveExecutorUpdates,
        YieldTripleBarrierConfig,
    )
    from engine.executors.progressive_executor import ProgressiveExecutor
    from engine.executors.settings import ExecutorSettings
    from engine.executors.snapshot import ExecutorSnapshot
    from engine.executors.status import CloseType, IllegalTransitionError, Lifecycle, RunnableStatus
    from engine.executors.step import Step
    from engine.executors.strategy import ExecutorStrategy
    from engine.executors.twap_config import TWAPExecutorConfig, TWAPMode
    from engine.executors.twap_executor import TWAPExecutor
    from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
    from engine.executors.xemm_config import XEMMExecutorConfig
    from engine.executors.xemm_executor import XEMMExecutor
    from engine.model.instruments import ConnectorPair
    from engine.model.orders import (
        OrderState,
        OrderType,
        PositionAction,
        PositionMode,
        PositionSide,
        TradeType,
    )
    from engine.model.quotes import PriceType

_HOMES: Final = {
    name: home
    for home, names in {
        "engine.executors.action_desk": ("RestartPolicy",),
        "engine.executors.actions": (
            "ActionCode",
            "ActionResult",
            "CreateExecutorAction",
            "ExecutorAction",
            "ExecutorActionType",
            "StopExecutorAction",
            "StoreExecutorAction",
            "UpdateExecutorAction",
        ),
        "engine.executors.arbitrage_config": ("ArbitrageExecutorConfig",),
        "engine.executors.arbitrage_executor": ("ArbitrageExecutor",),
        "engine.executors.barrier_levels": ("BarrierLevels",),
        "engine.executors.barriers": ("TrailingStop", "TripleBarrierConfig"),
        "engine.executors.base": ("ExecutorBase", "UpdateRejectedError"),
        "engine.executors.config": ("ExecutorConfigBase",),
        "engine.executors.config_update": ("ConfigUpdate",),
        "engine.executors.custom_info": ("CustomInfo",),
        "engine.executors.dca_config": ("DCAExecutorConfig", "DCAMode"),
        "engine.executors.dca_executor": ("DCAExecutor",),
        "engine.executors.executor_filter": ("ExecutorFilter", "filter_executors"),
        "engine.executors.factory": ("ExecutorFactory", "load_builtin_executors"),
        "engine.executors.grid_config": ("GridExecutorConfig", "GridExecutorUpdate"),
        "engine.executors.grid_executor": ("GridExecutor",),
        "engine.executors.grid_level": ("GridLevelStates",),
        "engine.executors.held_order": ("HeldOrder",),
        "engine.executors.info": ("ExecutorInfo",),
        "engine.executors.orchestrator": ("ControllerReport", "ExecutorOrchestrator"),
        "engine.executors.order_config": (
            "ChaserConfig",
            "ExecutionStrategy",
            "OrderExecutorConfig",
            "OrderExecutorUpdate",
        ),
        "engine.executors.order_executor": ("OrderExecutor",),
        "engine.executors.performance": ("PerformanceReport",),
        "engine.executors.position_config": ("PositionExecutorConfig", "PositionExecutorUpdate"),
        "engine.executors.position_executor": ("PositionExecutor",),
        "engine.executors.position_hold": ("PositionHold", "PositionSummary"),
        "engine.executors.position_info": ("PositionCustomInfo",),
        "engine.executors.position_store": ("InitialPosition",),
        "engine.executors.progressive_config": (
            "LadderedTrailingStop",
            "ProgressiveExecutorConfig",
            "ProgressiveExecutorUpdates",
            "YieldTripleBarrierConfig",
        ),
        "engine.executors.progressive_executor": ("ProgressiveExecutor",),
        "engine.executors.settings": ("ExecutorSettings",),
        "engine.executors.snapshot": ("ExecutorSnapshot",),
        "engine.executors.status": (
            "CloseType",
            "IllegalTransitionError",
            "Lifecycle",
            "RunnableStatus",
        ),
        "engine.executors.step": ("Step",),
        "engine.executors.strategy": ("ExecutorStrategy",),
        "engine.executors.twap_config": ("TWAPExecutorConfig", "TWAPMode"),
        "engine.executors.twap_executor": ("TWAPExecutor",),
        "engine.executors.wake_conditions": ("PriceField", "PriceTrigger", "WakeConditions"),
        "engine.executors.xemm_config": ("XEMMExecutorConfig",),
        "engine.executors.xemm_executor": ("XEMMExecutor",),
        "engine.model.instruments": ("ConnectorPair",),
        "engine.model.orders": (
            "OrderState",
            "OrderType",
            "PositionAction",
            "PositionMode",
            "PositionSide",
            "TradeType",
        ),
        "engine.model.quotes": ("PriceType",),
    }.items()
    for name in names
}

__all__ = [
    "ActionCode",
    "ActionResult",
    "ArbitrageExecutor",
    "ArbitrageExecutorConfig",
    "BarrierLevels",
    "ChaserConfig",
    "CloseType",
    "ConfigUpdate",
    "ConnectorPair",
    "ControllerReport",
    "CreateExecutorAction",
    "CustomInfo",
    "DCAExecutor",
    "DCAExecutorConfig",
    "DCAMode",
    "ExecutionStrategy",
    "ExecutorAction",
    "ExecutorActionType",
    "ExecutorBase",
    "ExecutorConfigBase",
    "ExecutorFactory",
    "ExecutorFilter",
    "ExecutorInfo",
    "ExecutorOrchestrator",
    "ExecutorSettings",
    "ExecutorSnapshot",
    "ExecutorStrategy",
    "GridExecutor",
    "GridExecutorConfig",
    "GridExecutorUpdate",
    "GridLevelStates",
    "HeldOrder",
    "IllegalTransitionError",
    "InitialPosition",
    "LadderedTrailingStop",
    "Lifecycle",
    "OrderExecutor",
    "OrderExecutorConfig",
    "OrderExecutorUpdate",
    "OrderState",
    "OrderType",
    "PerformanceReport",
    "PositionAction",
    "PositionCustomInfo",
    "PositionExecutor",
    "PositionExecutorConfig",
    "PositionExecutorUpdate",
    "PositionHold",
    "PositionMode",
    "PositionSide",
    "PositionSummary",
    "PriceField",
    "PriceTrigger",
    "PriceType",
    "ProgressiveExecutor",
    "ProgressiveExecutorConfig",
    "ProgressiveExecutorUpdates",
    "RestartPolicy",
    "RunnableStatus",
    "Step",
    "StopExecutorAction",
    "StoreExecutorAction",
    "TWAPExecutor",
    "TWAPExecutorConfig",
    "TWAPMode",
    "TradeType",
    "TrailingStop",
    "TripleBarrierConfig",
    "UpdateExecutorAction",
    "UpdateRejectedError",
    "WakeConditions",
    "XEMMExecutor",
    "XEMMExecutorConfig",
    "YieldTripleBarrierConfig",
    "filter_executors",
    "load_builtin_executors",
]


def __getattr__(name: str) -> object:
    """Import the module that owns *name* when the name is first used."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    """Return the names that can be had, loaded or not."""
    return sorted(__all__)
