"""What strategies and controllers exist, by name; handed in, never looked up globally."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from engine.strategies.bracket import BracketEntries, BracketParams
from engine.strategies.buy_and_hold import BuyAndHold, BuyAndHoldParams
from engine.strategies.controller import Controller
from engine.strategies.donchian import Donchian, DonchianParams
from engine.strategies.momentum import MomentumController, MomentumParams
from engine.strategies.rsi_reversion import RsiReversion, RsiReversionParams
from engine.strategies.scripted import Scripted, ScriptedParams
from engine.strategies.sma_cross import SmaCross, SmaCrossParams
from engine.strategies.strategy import Strategy


@dataclass(frozen=True, slots=True)
class StrategyType:
    """A strategy that can be configured by name.

    ``build`` validates the parameters by ``params_model`` and raises pydantic's
    ``ValidationError`` for bad ones. ``keywords`` is the class that takes them as keyword arguments
    where there is no model.
    """

    name: str
    summary: str
    params_model: type[BaseModel]
    build: Callable[[Mapping[str, object]], Strategy]
    keywords: type[Strategy] | None = None


@dataclass(frozen=True, slots=True)
class ControllerType:
    """A controller that can be configured by name; ``build`` takes its id and parameters."""

    name: str
    summary: str
    params_model: type[BaseModel]
    build: Callable[[str, Mapping[str, object]], Controller]


def strategy_types() -> dict[str, StrategyType]:
    """Return the strategies that ship, by name; a new mapping each time."""
    return {
        one.name: one
        for one in (
            StrategyType(
                "sma_cross",
                "strict cross of two simple means",
                SmaCrossParams,
                lambda params: SmaCross(SmaCrossParams.model_validate(params)),
            ),
            StrategyType(
                "donchian",
                "breakouts from the channel of recent highs and lows",
                DonchianParams,
                lambda params: Donchian(DonchianParams.model_validate(params)),
            ),
            StrategyType(
                "rsi_reversion",
                "buys weakness and sells strength, measured by the RSI",
                RsiReversionParams,
                lambda params: RsiReversion(RsiReversionParams.model_validate(params)),
            ),
            StrategyType(
                "bracket",
                "entries with a percentage stop and target",
                BracketParams,
                lambda params: BracketEntries(BracketParams.model_validate(params)),
            ),
            StrategyType(
                "buy_and_hold",
                "buys once and keeps",
                BuyAndHoldParams,
                lambda params: BuyAndHold(BuyAndHoldParams.model_validate(params)),
            ),
            StrategyType(
                "scripted",
                "plays a list of orders by bar index",
                ScriptedParams,
                lambda params: Scripted(ScriptedParams.model_validate(params)),
            ),
        )
    }


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
