"""Executor types and controllers of a user's own in a session file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.api.build import build_container
from engine.config.document import ConfigError
from engine.config.session_plan import SessionPlan, load_session_plan
from engine.containers.inputs import StartInput, TimerInput
from engine.executors.factory import ExecutorFactory
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair
from engine.model.quotes import QuoteTick

MARKET = ConnectorPair("paper_perpetual", "BTC-USDT")
MODULE = '''\
from typing import Literal

from pydantic import BaseModel

from engine.executors import ExecutorFactory, PositionExecutor, PositionExecutorConfig
from engine.strategies.controller import CreateProposal


class PatientConfig(PositionExecutorConfig):
    type: Literal["patient_executor"] = "patient_executor"
    patience: int = 3


@ExecutorFactory.register_executor(PatientConfig)
class PatientExecutor(PositionExecutor):
    pass


class Params(BaseModel):
    amount: str


class Once:
    """Opens one patient executor."""

    params_model = Params

    def __init__(self, *, controller_id, params):
        self.controller_id, self.params = controller_id, params

    def on_tick(self, context):
        if context.executors:
            return []
        config = {"connector_name": "paper_perpetual", "trading_pair": "BTC-USDT", "side": "BUY"}
        return [CreateProposal("patient_executor", config | {"amount": self.params.amount})]


class Speechless:
    params_model = Params


class Hasty(Once):
    def __init__(self):
        pass
'''
TEXT = """\
version: 1
session: {name: test, speed: max, start: 2026-01-05T08:00:00Z}
venues: [{name: paper_perpetual}]
markets:
  - {venue: paper_perpetual, pair: BTC-USDT, tick: 0.1, lot: 0.0001, source: {kind: synthetic}}
modules: [own_types_of_test]
executors:
  - {type: patient_executor, connector_name: paper_perpetual, trading_pair: BTC-USDT, side: BUY,
     amount: 0.01, patience: 7}
controllers:
  - id: mine
    kind: own_types_of_test:Once
    params: {amount: "0.02"}
"""


def load(folder: Path, *changes: tuple[str, str]) -> SessionPlan:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "session.yaml"
    path.write_text(text, encoding="utf-8")
    return load_session_plan(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give one folder to all: a module of a name is loaded once from one file."""
    path = tmp_path_factory.mktemp("own")
    (path / "own_types_of_test.py").write_text(MODULE, encoding="utf-8")
    (path / "broken_types_of_test.py").write_text("1 / 0\n", encoding="utf-8")
    yield path
    known = ExecutorFactory.registrations().get("patient_executor")
    if known is not None:
        ExecutorFactory.unregister(known.config_type)


def test_an_own_executor_and_an_own_controller_trade(folder: Path) -> None:
    plan = load(folder)
    (config,) = plan.executors
    assert (config.type, config.model_dump()["patience"]) == ("patient_executor", 7)
    container = build_container(plan, container_id="test", start_ns=0)
    container.apply(StartInput(0))
    container.apply(QuoteTick(MARKET, 1, 640_000, 640_001, 10**6, 10**6))
    effects = container.apply(TimerInput(SECOND_NS))
    ((owner, verb, result),) = effects.actions
    assert (owner, verb, result.message) == ("mine", "create", result.message)
    assert result.ok
    (executor,) = container.orchestrator.executors("mine")
    assert executor.config.type == "patient_executor"
    assert load(folder).config_hash == plan.config_hash, "a second reading registers nothing twice"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("[own_types_of_test]", "[nothing_of_test]"), ":6: modules.0: module nothing_of_test was"),
        (
            ("[own_types_of_test]", "[own_types_of_test, broken_types_of_test]"),
            ":6: modules.1: module broken_types_of_test cannot be imported: ZeroDivisionError",
        ),
        ((":Once", ":Never"), ":12: controllers.0.kind: module own_types_of_test has no class"),
        ((":Once", ":Params"), "controllers.0.kind: own_types_of_test:Params needs params_model"),
        (
            (":Once", ":Speechless"),
            "controllers.0.kind: own_types_of_test:Speechless needs on_tick",
        ),
        ((":Once", ":Hasty"), "own_types_of_test:Hasty must take controller_id and params"),
        (
            ("own_types_of_test:Once", "nowhere_of_test:Once"),
            "module nowhere_of_test was not found",
        ),
        (('amount: "0.02"', "amounts: 1"), ":13: controllers.0.params.amount: is missing"),
    ],
    ids=["missing", "broken", "no class", "no params", "no tick", "no arguments", "nowhere", "bad"],
)
def test_what_cannot_be_used_is_told(folder: Path, change: tuple[str, str], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder, change)
    assert any(expected in text for text in caught.value.problems), caught.value.problems
