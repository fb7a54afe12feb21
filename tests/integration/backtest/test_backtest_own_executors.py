"""Executor types of one's own in a backtest: checked with the file, imported where it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.backtest.config import ThreadModel
from engine.backtest.coordinator import BacktestCoordinator
from engine.config.backtest_file import load_backtest_file
from engine.config.document import ConfigError
from engine.executors.factory import ExecutorFactory

MODULE = """\
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel

from engine.strategies.controller import CreateProposal
from engine.executors import ExecutorFactory, PositionExecutor, PositionExecutorConfig


class FloorConfig(PositionExecutorConfig):
    type: Literal["floor_executor"] = "floor_executor"
    floor: Decimal


@ExecutorFactory.register_executor(FloorConfig)
class FloorExecutor(PositionExecutor):
    def own_levels(self, levels):
        return levels.with_stop_at(self.stop_level(self.config.floor))


class Params(BaseModel):
    floor: str


class Once:
    params_model = Params

    def __init__(self, *, controller_id, params):
        self.controller_id, self.params, self.is_done = controller_id, params, False

    def on_tick(self, context):
        if self.is_done:
            return []
        self.is_done = True
        market = {"connector_name": "backtest", "trading_pair": "ACME-USD", "side": "BUY"}
        barriers = {"open_order_type": "MARKET"}
        more = {"amount": 7, "floor": self.params.floor, "triple_barrier_config": barriers}
        return [CreateProposal("floor_executor", market | more)]
"""
FILE = """\
version: 1
backtest:
  allow_imports: [floor_executors_of_test]
  data:
    - {symbol: ACME, path: acme.csv, bar: 1d, settlement: derivative, tick: "0.01"}
  executors:
    - {type: floor_executor, connector_name: backtest, trading_pair: ACME-USD, side: BUY, amount: 5,
       floor: 98, triple_barrier_config: {open_order_type: MARKET}}
"""
CONTROLLED = (
    FILE[: FILE.index("  executors:")]
    + """\
  controllers:
    - {id: mine, kind: "floor_executors_of_test:Once", params: {floor: "98"}}
"""
)
BARS = """\
date,open,high,low,close,volume
2024-01-02,100.00,101.00,99.50,100.50,1000
2024-01-03,100.50,100.60,97.50,99.00,1000
2024-01-04,99.00,99.50,98.80,99.20,1000
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("floor")
    (path / "floor_executors_of_test.py").write_text(MODULE, encoding="utf-8")
    (path / "acme.csv").write_text(BARS, encoding="utf-8")
    (path / "backtest.yaml").write_text(FILE, encoding="utf-8")
    yield path
    known = ExecutorFactory.registrations().get("floor_executor")
    if known is not None:
        ExecutorFactory.unregister(known.config_type)


@pytest.mark.parametrize("model", [ThreadModel.SINGLE_THREADED, ThreadModel.PROCESS_PARALLEL])
def test_an_own_executor_trades_in_every_process(folder: Path, model: ThreadModel) -> None:
    config = load_backtest_file(folder / "backtest.yaml").config
    coordinator = BacktestCoordinator(base_dir=folder)
    (result,) = coordinator.run_many([config], thread_model=model)
    assert [int(one) for one in result.fills["ticks"]] == [10_000, 9_750]
    assert result.flags["close_types"] == {"STOP_LOSS": 1}


def test_an_own_controller_proposes_own_executors(folder: Path) -> None:
    path = folder / "controlled.yaml"
    path.write_text(CONTROLLED, encoding="utf-8")
    result = BacktestCoordinator(base_dir=folder).run_backtest(load_backtest_file(path).config)
    assert [int(one) for one in result.fills["lots"]] == [7, 7]
    assert result.flags["close_types"] == {"STOP_LOSS": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CONTROLLED.replace(":Once", ":Params"), "controllers.0.kind: floor_executors_of_test:P"),
        (CONTROLLED.replace(":Once", ":Never"), "floor_executors_of_test:Never is no class"),
        (CONTROLLED.replace("floor_executors_of_test:", "other:"), "other may not be imported"),
        (CONTROLLED.replace('"floor_executors_of_test:Once"', "magic"), "'magic' is not known"),
        (CONTROLLED.replace('floor: "98"', "flour: 1"), "controllers.0.params.floor: is missing"),
        (FILE.replace("floor: 98", "flour: 98"), "executors.0.floor: is missing"),
        (FILE.replace("type: floor", "type: flour"), "executor type 'flour_executor' is not known"),
        (
            FILE.replace("[floor_executors", "[no_executors").replace("type: floor", "type: no"),
            "allow_imports: module no_executors_of_test was not found",
        ),
    ],
    ids=["no model", "no class", "not allowed", "unknown", "params", "field", "type", "module"],
)
def test_what_does_not_fit_is_told_with_its_line(folder: Path, text: str, said: str) -> None:
    path = folder / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_backtest_file(path)
    assert any(said in problem for problem in caught.value.problems), caught.value.problems
