"""Signals, hooks that may be left alone, the catalogue, keyed draws."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.model.draws import uniform
from engine.model.instruments import ConnectorPair
from engine.model.orders import (
    Fill,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    PositionAction,
    TradeType,
)
from engine.model.quotes import Bar, QuoteTick
from engine.strategies.catalogue import controller_types, strategy_types
from engine.strategies.controller import KeyedDraws
from engine.strategies.momentum import MomentumController
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.sma_cross import SmaCross
from engine.strategies.strategy import Strategy

MARKET = ConnectorPair("paper", "ACME-USD")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strength": Decimal("1.1")}, "strength 1.1 is outside 0 to 1"),
        ({"strength": Decimal("-0.1")}, "strength -0.1 is outside 0 to 1"),
        ({"value": Decimal("NaN")}, "value NaN is not a finite number"),
        ({"order_type": OrderType.LIMIT}, "LIMIT and limit None"),
        ({"limit": Decimal(5)}, "MARKET and limit 5"),
    ],
)
def test_bad_signals_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Signal(MARKET, SignalKind.DIRECTION, **changes)


def test_hooks_may_be_left_alone() -> None:
    strategy = Strategy()
    request = OrderRequest(
        "O",
        MARKET,
        TradeType.BUY,
        OrderType.MARKET,
        1,
        None,
        PositionAction.OPEN,
        1,
        "s",
        "strategy",
    )
    strategy.on_start()
    strategy.on_bar(Bar(MARKET, 0, 1, 1, 1, 1, 1))
    strategy.on_quote(QuoteTick(MARKET, 0, 1, 2, 1, 1))
    strategy.on_fill(Fill("F", "O", "s", "strategy", MARKET, TradeType.BUY, 1, 1, 1, 0, False, 0))
    strategy.on_order(Order(request, 0, OrderStatus.ROUTED, 0, 0))
    strategy.on_timer(0)
    strategy.on_stop()
    assert strategy.warmup == 0


def test_the_catalogue_builds_by_name() -> None:
    assert isinstance(strategy_types()["sma_cross"].build({"fast": 2, "slow": 3}), SmaCross)
    built = controller_types()["momentum"].build(
        "m1", {"connector_name": "paper", "trading_pair": "ACME-USD"}
    )
    assert isinstance(built, MomentumController)
    assert built.controller_id == "m1"


def test_the_catalogue_is_a_new_mapping_each_time() -> None:
    strategy_types().clear()
    controller_types().clear()
    assert list(strategy_types()) == [
        "sma_cross",
        "donchian",
        "rsi_reversion",
        "bracket",
        "buy_and_hold",
        "scripted",
    ]
    assert list(controller_types()) == ["momentum"]


def test_bad_parameters_are_refused_by_the_model_of_their_type() -> None:
    with pytest.raises(ValidationError, match="amount_qote"):
        controller_types()["momentum"].build(
            "m1", {"connector_name": "p", "trading_pair": "A-B", "amount_qote": 1}
        )


def test_every_parameter_has_a_help_text() -> None:
    models = [
        *(kind.params_model for kind in strategy_types().values()),
        *(kind.params_model for kind in controller_types().values()),
    ]
    fields = [field for model in models for field in model.model_fields.values()]
    assert all(field.description for field in fields)


def test_draws_depend_on_their_keys_alone() -> None:
    draws = KeyedDraws(seed=42, stream=101)
    assert draws.uniform(7) == draws.uniform(7, 0) == uniform(42, 101, 7, 0)
    assert len({draws.uniform(a, b) for a in range(4) for b in range(4)}) == 16
