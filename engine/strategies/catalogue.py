"""What strategies and controllers exist, by name; handed in, never looked up globally."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from engine.strategies.controller import Controller
from engine.strategies.momentum import MomentumController, MomentumParams
from engine.strategies.sma_cross import SmaCross, SmaCrossParams
from engine.strategies.strategy import Strategy


@dataclass(frozen=True, slots=True)
class StrategyType:
    """A strategy that can be configured by name.

    ``build`` validates the parameters by ``params_model`` and raises pydantic's
    ``ValidationError`` for bad ones.
    """

    name: str
    summary: str
    params_model: type[BaseModel]
    build: Callable[[Mapping[str, object]], Strategy]


@dataclass(frozen=True, slots=True)
class ControllerType:
    """A controller that can be configured by name; ``build`` takes its id and parameters."""

    name: str
    summary: str
    params_model: type[BaseModel]
    build: Callable[[str, Mapping[str, object]], Controller]


def strategy_types() -> dict[str, StrategyType]:
    """Return the strategies that ship, by name; a new mapping each time."""
    sma_cross = StrategyType(
        "sma_cross",
        "strict cross of two simple means",
        SmaCrossParams,
        lambda params: SmaCross(SmaCrossParams.model_validate(params)),
    )
    return {sma_cross.name: sma_cross}


def controller_types() -> dict[str, ControllerType]:
    """Return the controllers that ship, by name; a new mapping each time."""
    momentum = ControllerType(
        "momentum",
        "opens position executors with short-term momentum",
        MomentumParams,
        lambda controller_id, params: MomentumController(
            controller_id=controller_id, params=MomentumParams.model_validate(params)
        ),
    )
    return {momentum.name: momentum}
