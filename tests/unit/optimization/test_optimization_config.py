"""The section ``optimization`` of a document."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.optimization.config import (
    BayesMethod,
    GridMethod,
    OptimizationConfig,
    Parallelism,
    parse_size,
)
from engine.optimization.objective import Direction, Objective

SPACE = {"fast": {"range": [5, 31, 5]}, "slow": {"range": [10, 71, 10]}}


def config(**more: Any) -> OptimizationConfig:
    return OptimizationConfig.model_validate({"base": "backtest.yaml", "space": SPACE, **more})


def test_defaults() -> None:
    found = config()
    assert found.method == GridMethod()
    assert found.parallelism is Parallelism.PROCESS
    assert (found.max_tasks_per_worker, found.container_pool_size) == (200, 16)
    assert found.objectives() == (Objective("sharpe", Direction.MAXIMIZE),)
    assert len(found.parameter_space()) == 42


def test_a_method_may_be_a_word_and_objectives_a_list() -> None:
    found = config(
        method={"kind": "bayes", "n": 5},
        objective=["cagr", {"metric": "max_drawdown", "direction": "minimize"}],
        constraints=["fast < slow"],
    )
    assert found.method == BayesMethod(n=5)
    assert [item.metric for item in found.objectives()] == ["cagr", "max_drawdown"]
    assert config(method="grid").method == GridMethod()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MB", 512_000_000),
        ("1GiB", 2**30),
        ("64 KiB", 65_536),
        ("1.5kB", 1500),
        (4096, 4096),
        ("10", 10),
    ],
)
def test_sizes_are_decimal_or_binary(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["much", "-1MB", "0B", True, None, "1e3MB", "1XB"])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"size|less than a byte"):
        parse_size(text)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"objective": []}, "give at least one metric"),
        ({"method": "walk_forward"}, "needs the section walk_forward"),
        ({"parallelism": "distributed"}, "needs cluster: tcp://host:port"),
        ({"space": {"fast": []}}, "space.fast: has no value"),
        ({"constraints": ["fast < exit"]}, "which is no parameter"),
        ({"method": {"kind": "random"}}, "Field required"),
        ({"objective": {"max_drawdown": 2}}, "less than or equal to 1"),
        ({"workers": 3}, "Extra inputs"),
        ({"memory_limit_per_container": "lots"}, "is no size"),
    ],
)
def test_what_makes_no_sense_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**more)


def test_filters_reach_the_objective() -> None:
    (objective,) = config(objective={"min_trades": 10, "max_drawdown": Decimal("0.2")}).objectives()
    assert (objective.min_trades, objective.max_drawdown) == (10, 0.2)
