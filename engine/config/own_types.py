"""What a user has written: executor types, controllers, strategies that a session file names."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Final

from engine.agents.loading import AgentLoadError, import_module_at
from engine.strategies.catalogue import ControllerType, StrategyType
from engine.strategies.own_controller import controller_type_of
from engine.strategies.strategy import Strategy

if TYPE_CHECKING:
    from engine.config.session import StrategySection

_NOT_CALLED: Final = ("on_slice", "on_trade")
"""Hooks of a strategy that a session does not call."""


class OwnTypeError(ValueError):
    """A module or a class of the user's cannot be used."""


def load_executor_module(name: str, base_dir: pathlib.Path) -> None:
    """Import the module *name*, which registers its executor types.

    Raises:
        OwnTypeError: it cannot be found, it raises, or a registration is refused.
    """
    try:
        import_module_at(name, base_dir)
    except AgentLoadError as error:
        raise OwnTypeError(error.message) from error


def own_controller_type(kind: str, base_dir: pathlib.Path) -> ControllerType:
    """Return the controller that *kind* names as ``module:Class``.

    Raises:
        OwnTypeError: it cannot be found, or it is no such class.
    """
    module_name, _, class_name = kind.partition(":")
    try:
        found = getattr(import_module_at(module_name, base_dir), class_name, None)
    except AgentLoadError as error:
        raise OwnTypeError(error.message) from error
    if found is None:
        raise OwnTypeError(f"module {module_name} has no class {class_name!r}")
    try:
        return controller_type_of(found, kind)
    except ValueError as error:
        raise OwnTypeError(str(error)) from error


def own_strategy_type(section: StrategySection, base_dir: pathlib.Path) -> StrategyType:
    """Return the strategy that *section* names by its import path.

    Raises:
        OwnTypeError: it cannot be found, or is no strategy.
    """
    from engine.backtest.config import StrategySection as Named
    from engine.backtest.strategy_loading import StrategyLoadError, find_strategy_type

    named = Named.model_validate({"class": section.kind})
    folder = base_dir / section.folder
    try:
        return find_strategy_type(named, base_dir=folder, allow_imports=section.allow_imports)
    except StrategyLoadError as error:
        raise OwnTypeError(error.message) from error


def session_refusal(strategy: Strategy) -> str:
    """Return why a session cannot run *strategy*; empty if it can."""
    kind = type(strategy)
    for hook in _NOT_CALLED:
        if getattr(kind, hook) is not getattr(Strategy, hook):
            return f"{kind.__name__} decides in {hook}(), which a session does not call; use on_bar"
    if kind.on_bar is Strategy.on_bar and kind.on_quote is Strategy.on_quote:
        return (
            f"{kind.__name__} gives its signals as columns only (signals); a session asks bar by "
            "bar: write on_bar"
        )
    return ""
