"""Log ranges over parameters that are whole numbers."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import yaml

from engine.config.document import ConfigError
from engine.config.optimization_file import load_optimization_file

OWN = """
from __future__ import annotations

from pydantic import BaseModel
from engine.strategies.strategy import Strategy


class Plain(Strategy):
    def __init__(self, length: int, weight: float = 0.5, window=10, any_of=None):
        super().__init__()


class Params(BaseModel):
    length: int | None = None
    weight: float = 1.0


class Modelled(Strategy):
    params_model = Params

    def __init__(self, params: Params):
        super().__init__()
"""


def loaded(
    folder: pathlib.Path, strategy: str, space: dict[str, Any]
) -> dict[str, tuple[object, ...]]:
    (folder / "own.py").write_text(OWN)
    base = {
        "allow_imports": ["own"],
        "data": [{"symbol": "X", "path": "x.csv", "bar": "1d"}],
        "components": {"strategy": {"class": strategy}},
    }
    path = folder / "study.yaml"
    document = {"version": 1, "optimization": {"base": base, "space": space}}
    path.write_text(yaml.safe_dump(document))
    space_of = load_optimization_file(path).config.parameter_space()
    return {one.name: one.values for one in space_of.parameters}


@pytest.mark.parametrize("strategy", ["own.Plain", "own.Modelled"])
def test_points_between_are_whole_where_the_parameter_is(
    tmp_path: pathlib.Path, strategy: str
) -> None:
    log = {"log": [5, 80, 4]}
    values = loaded(tmp_path, strategy, {"length": log, "weight": log})
    assert values["length"] == (5, 13, 32, 80)
    assert all(type(one) is int for one in values["length"])
    assert values["weight"][1] != 13


def test_what_falls_together_is_one_value(tmp_path: pathlib.Path) -> None:
    space = {"fast": {"log_range": [2, 5, 9]}, "slow": [50]}
    assert loaded(tmp_path, "sma_cross", space)["fast"] == (2, 3, 4, 5)


def test_a_default_says_what_a_parameter_is_where_nothing_else_does(
    tmp_path: pathlib.Path,
) -> None:
    log = {"log": [5, 80, 4]}
    values = loaded(tmp_path, "own.Plain", {"length": [3], "window": log, "any_of": log})
    assert values["window"] == (5, 13, 32, 80)
    assert values["any_of"][1] != 13


def test_a_keyword_that_the_strategy_does_not_have_is_told_at_its_line(
    tmp_path: pathlib.Path,
) -> None:
    with pytest.raises(ConfigError) as told:
        loaded(tmp_path, "own.Plain", {"length": [3], "lenght": [4]})
    assert "study.yaml:" in str(told.value)
    assert (
        "optimization.space.lenght: strategy Plain has no parameter 'lenght', did you mean 'length'"
    ) in str(told.value)
