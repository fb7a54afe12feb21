"""Registration, creation, look-ups."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal, Protocol

import pytest
from pydantic import BaseModel

from engine.executors.config import ExecutorConfigBase
from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.executors.position_config import PositionExecutorConfig, PositionExecutorUpdate
from engine.executors.position_executor import PositionExecutor
from engine.executors.settings import ExecutorSettings
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench


class OwnConfig(ExecutorConfigBase):
    type: Literal["own_executor"] = "own_executor"


class OwnExecutor:
    executor_info = None

    def __init__(
        self, strategy: Any, config: Any, update_interval: float, max_retries: int | None
    ) -> None:
        if config.controller_id == "bad":
            raise RuntimeError("no such thing")
        self.config = config

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def early_stop(self) -> None: ...


class Updating(OwnExecutor):
    def update_live(self) -> None: ...


class OwnUpdate:
    def validate(self) -> bool:
        return True


class OwnInfo:
    side: str


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    load_builtin_executors()
    before = dict(ExecutorFactory._registrations)
    yield
    ExecutorFactory._registrations.clear()
    ExecutorFactory._registrations.update(before)


class AbstractConfig(OwnConfig, ABC):
    @abstractmethod
    def value(self) -> int: ...


class ProtocolConfig(Protocol):
    id: str
    controller_id: str


class NamelessConfig(BaseModel):
    type: str = "nameless"
    controller_id: str = "main"


class UntypedConfig(ExecutorConfigBase): ...


class SameTypeConfig(ExecutorConfigBase):
    type: Literal["position_executor"] = "position_executor"


class ReservedConfig(ExecutorConfigBase):
    type: Literal["lp_executor"] = "lp_executor"


class PydanticUpdate(BaseModel): ...


class NoStop:
    executor_info = None

    def __init__(self, strategy: Any, config: Any, update_interval: float, retries: int) -> None:
        del strategy, config, update_interval, retries

    def start(self) -> None: ...

    def early_stop(self) -> None: ...


class NarrowConstructor(OwnExecutor):
    def __init__(self, strategy: Any) -> None:
        del strategy


@pytest.mark.parametrize(
    ("arguments", "executor", "message"),
    [
        ((AbstractConfig,), OwnExecutor, "AbstractConfig is abstract"),
        ((ProtocolConfig,), OwnExecutor, "ProtocolConfig is abstract"),
        ((NamelessConfig,), OwnExecutor, "NamelessConfig must declare id"),
        ((UntypedConfig,), OwnExecutor, "must declare a type string"),
        ((SameTypeConfig,), OwnExecutor, "'position_executor' is used by PositionExecutorConfig"),
        ((ReservedConfig,), OwnExecutor, "'lp_executor' is reserved"),
        ((PositionExecutorConfig,), OwnExecutor, "already registered"),
        ((PositionExecutorConfig, OwnUpdate, OwnInfo), Updating, "already registered"),
        ((OwnConfig, object), Updating, "object must have a method validate"),
        ((OwnConfig, PydanticUpdate), Updating, "PydanticUpdate must have a method validate"),
        ((OwnConfig, None, object), OwnExecutor, "object must declare side"),
        ((OwnConfig,), NoStop, "NoStop must have stop"),
        ((OwnConfig,), NarrowConstructor, "the constructor must accept"),
        ((OwnConfig, OwnUpdate), OwnExecutor, "OwnExecutor must have update_live"),
    ],
)
def test_a_bad_registration_is_refused_and_changes_nothing(
    arguments: tuple[Any, ...], executor: type, message: str
) -> None:
    before = dict(ExecutorFactory._registrations)
    with pytest.raises(ValueError, match=message):
        ExecutorFactory.register_executor(*arguments)(executor)
    assert ExecutorFactory._registrations == before


def test_registration_returns_the_class_and_can_be_undone() -> None:
    register = ExecutorFactory.register_executor(OwnConfig, OwnUpdate, OwnInfo)
    assert register(Updating) is Updating
    assert ExecutorFactory.get_config_type("own_executor") is OwnConfig
    assert ExecutorFactory.get_update_type(OwnConfig) is OwnUpdate
    ExecutorFactory.unregister(OwnConfig)
    assert not ExecutorFactory.is_registered(OwnConfig)
    with pytest.raises(ValueError, match="not registered"):
        ExecutorFactory.unregister(OwnConfig)


def test_replacing_must_be_asked_for() -> None:
    ExecutorFactory.register_executor(OwnConfig)(OwnExecutor)
    ExecutorFactory.register_executor(OwnConfig, OwnUpdate, replace=True)(Updating)
    assert ExecutorFactory.get_update_type(OwnConfig) is OwnUpdate


def test_the_built_ins_are_known() -> None:
    registration = ExecutorFactory.registrations()["position_executor"]
    assert registration.executor_class is PositionExecutor
    assert registration.update_type is PositionExecutorUpdate
    with pytest.raises(ValueError, match="no executor type 'x'; known: position_executor"):
        ExecutorFactory.get_config_type("x")


class ChildConfig(PositionExecutorConfig):
    colour: str = "blue"


def test_a_subclass_uses_its_parents_executor(bench: ExecutorBench) -> None:
    config = ChildConfig.model_validate(bench.config().model_dump()).with_identity(
        now_ns=1, random_bits=1, controller_id="main"
    )
    executor = ExecutorFactory.create_executor(bench.venue, config, 1.0)
    assert type(executor) is PositionExecutor
    assert ExecutorFactory.get_update_type(ChildConfig) is PositionExecutorUpdate
    assert ExecutorFactory.get_config_type_for_executor(config.id) is ChildConfig
    ExecutorFactory.forget_executor(config.id)
    assert ExecutorFactory.get_config_type_for_executor(config.id) is None


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), True])
def test_the_interval_must_be_positive(bench: ExecutorBench, interval: float) -> None:
    config = bench.config(id="x", timestamp=1)
    with pytest.raises(ValueError, match="update_interval must be a positive number"):
        ExecutorFactory.create_executor(bench.venue, config, interval)


def test_what_creation_needs(bench: ExecutorBench) -> None:
    config = bench.config(id="x", timestamp=1)
    with pytest.raises(ValueError, match="object is no ExecutorStrategy"):
        ExecutorFactory.create_executor(object(), config, 1.0)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(ValueError, match="PositionExecutorConfig has no id"):
        ExecutorFactory.create_executor(bench.venue, bench.config(id=""), 1.0)
    unknown = OwnConfig(id="x", timestamp=1.0)
    with pytest.raises(ValueError, match="no executor for OwnConfig; known: position_executor"):
        ExecutorFactory.create_executor(bench.venue, unknown, 1.0)


def test_a_constructor_error_is_chained(bench: ExecutorBench) -> None:
    ExecutorFactory.register_executor(OwnConfig)(OwnExecutor)
    config = OwnConfig(id="x", timestamp=1.0, controller_id="bad")
    with pytest.raises(ValueError, match="OwnExecutor refused its configuration: no such") as found:
        ExecutorFactory.create_executor(bench.venue, config, 1.0)
    assert isinstance(found.value.__cause__, RuntimeError)
    assert ExecutorFactory.get_config_type_for_executor("x") is None


def test_retries_are_the_types_own_unless_given(bench: ExecutorBench) -> None:
    config = bench.config(id="x", timestamp=1)
    own = ExecutorFactory.create_executor(bench.venue, config, 1.0)
    given = ExecutorFactory.create_executor(bench.venue, config, 1.0, 3, ExecutorSettings())
    assert (own.max_retries, given.max_retries) == (10, 3)


def test_custom_info_look_up(bench: ExecutorBench) -> None:
    with pytest.raises(ValueError, match="object has no configuration"):
        ExecutorFactory.get_custom_info(object())
    ExecutorFactory.register_executor(OwnConfig)(OwnExecutor)
    executor = OwnExecutor(None, OwnConfig(id="x"), 1.0, None)
    assert ExecutorFactory.get_custom_info(executor).side is None


def test_a_configuration_without_identity_gets_one_from_the_session(bench: ExecutorBench) -> None:
    config = PositionExecutorConfig.model_validate(
        {
            "connector_name": BENCH_MARKET.connector_name,
            "trading_pair": BENCH_MARKET.trading_pair,
            "side": "BUY",
            "amount": "1",
        }
    )
    bench.price(500)
    executor = ExecutorFactory.create_executor(bench.venue, config, 1.0)
    assert len(executor.executor_id) in {43, 44}
    assert executor.config.created_ns == bench.venue.now_ns()
