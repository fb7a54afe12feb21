"""Statuses, the sentinel, errors and the execution record."""

from __future__ import annotations

import copy
import json
import pickle  # noqa: TID251 (the rule under test)
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from engine import flow
from engine.flow.execution import error_to_dict, is_retryable
from engine.flow.plain import UNSERIALIZABLE, copy_containers, to_plain


def test_the_statuses_are_seven_strings_in_order() -> None:
    names = ["pending", "processing", "completed", "failed", "cancelled", "skipped", "aborted"]
    assert list(flow.EventStatus) == names
    assert [s.position for s in flow.EventStatus] == list(range(7))
    assert [s.is_terminal for s in flow.EventStatus] == [False, False, True, True, True, True, True]


def test_unset_is_one_falsy_object() -> None:
    assert not flow.Unset
    assert repr(flow.Unset) == "Unset"
    copies = [copy.copy(flow.Unset), copy.deepcopy(flow.Unset), flow.UnsetType()]
    copies.append(pickle.loads(pickle.dumps(flow.Unset)))  # noqa: S301 (the rule under test)
    assert all(one is flow.Unset for one in copies)


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = "import sys, engine.flow; print(*{'pydantic', 'anyio', 'structlog'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


@pytest.mark.parametrize(
    ("kind", "retryable"),
    [
        (flow.EngineError, True),
        (flow.ValidationError, False),
        (flow.AccessError, False),
        (flow.ConfigurationError, False),
        (flow.ExecutionError, True),
        (flow.EngineConnectionError, True),
        (flow.EngineTimeoutError, True),
        (flow.NotFoundError, False),
        (flow.ExistsError, False),
        (flow.QueueFullError, True),
        (flow.OperationError, False),
    ],
)
def test_each_error_kind_has_its_default(kind: type[flow.EngineError], retryable: bool) -> None:
    cause = ValueError("why")
    error = kind("text", details={"a": 1}, cause=cause)
    assert error.to_dict() == {
        "error": kind.__name__,
        "message": "text",
        "retryable": retryable,
        "details": {"a": 1},
    }
    assert error.cause is cause
    assert error.__cause__ is cause
    assert str(error) == "text"
    assert "details" not in kind("text").to_dict()
    assert kind("text", retryable=not retryable).retryable is not retryable
    assert not isinstance(error, OSError)


def test_a_fresh_record_is_pending_and_writes_nulls() -> None:
    record = flow.Execution()
    assert record.status is flow.EventStatus.PENDING
    assert record.duration is record.response is record.error is record.retryable is flow.Unset
    assert record.to_dict() == {
        "status": "pending",
        "duration": None,
        "response": None,
        "error": None,
        "retryable": None,
    }
    with pytest.raises(AttributeError):
        record.other = 1  # type: ignore[attr-defined]


def test_errors_are_collected_flat_and_in_order() -> None:
    record = flow.Execution()
    first, second, third = ValueError("1"), KeyError("2"), RuntimeError("3")
    record.add_error(first)
    assert record.error is first
    record.add_error(second)
    record.add_error(third)
    assert isinstance(record.error, ExceptionGroup)
    assert record.error.exceptions == (first, second, third)


def test_an_existing_group_is_extended() -> None:
    record = flow.Execution(error=ExceptionGroup("mine", [ValueError("1")]))
    record.add_error(KeyError("2"))
    assert isinstance(record.error, ExceptionGroup)
    assert record.error.message == "mine"
    assert [type(one) for one in record.error.exceptions] == [ValueError, KeyError]
    record.error = None
    record.add_error(SystemExit())
    record.add_error(ValueError())
    assert isinstance(record.error, BaseExceptionGroup)


def test_a_group_is_retryable_only_if_every_leaf_is_at_any_depth() -> None:
    good, bad = flow.ExecutionError("x"), flow.AccessError("x")
    assert is_retryable(ValueError())
    assert is_retryable(ExceptionGroup("g", [good, ExceptionGroup("h", [ValueError()])]))
    assert not is_retryable(ExceptionGroup("g", [good, ExceptionGroup("h", [bad])]))
    assert not is_retryable(BaseExceptionGroup("g", [SystemExit()]))


class WithDict:
    def to_dict(self) -> dict[str, object]:
        return {"a": UUID(int=1)}


@dataclass
class Record:
    a: int
    b: Decimal


class Loop:
    def __init__(self) -> None:
        self.me = self


@pytest.mark.parametrize(
    ("response", "plain"),
    [
        ({"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
        (Record(1, Decimal("2.50")), {"a": 1, "b": "2.50"}),
        (WithDict(), {"a": str(UUID(int=1))}),
        ((1, 2), [1, 2]),
        (flow.EventStatus.FAILED, "failed"),
        (object(), UNSERIALIZABLE),
        ([object()], UNSERIALIZABLE),
        (Loop(), UNSERIALIZABLE),
        (len, UNSERIALIZABLE),
        (int, UNSERIALIZABLE),
        ({object(): 1}, UNSERIALIZABLE),
        (iter([1]), UNSERIALIZABLE),
        ({1: 2}, {"1": 2}),
        (b"x", UNSERIALIZABLE),
        (float("nan"), UNSERIALIZABLE),
        ({"a": [float("-inf")]}, UNSERIALIZABLE),
        (Decimal("NaN"), "NaN"),
    ],
)
def test_the_response_becomes_plain(response: object, plain: object) -> None:
    written = flow.Execution(response=response).to_dict()
    assert written["response"] == plain
    json.dumps(written, allow_nan=False)


def test_a_cycle_or_endless_depth_ends_as_unserializable() -> None:
    ring: list[Any] = []
    ring.append(ring)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert to_plain(ring) == to_plain(deep) == UNSERIALIZABLE
    shared = [1]
    assert to_plain([shared, shared]) == [[1], [1]]


def test_containers_are_copied_and_leaves_shared() -> None:
    leaf = object()
    source: dict[str, Any] = {"a": [leaf, {1}], "b": (bytearray(b"x"),)}
    copied = copy_containers(source)
    assert copied == source
    assert isinstance(copied, dict)
    assert copied["a"] is not source["a"]
    assert copied["a"][0] is leaf
    assert copied["b"][0] is not source["b"][0]


def nested(levels: int) -> ExceptionGroup[Exception]:
    """Return so many groups, one in the other."""
    group: ExceptionGroup[Exception] = ExceptionGroup("g", [ValueError("leaf")])
    for _ in range(levels - 1):
        group = ExceptionGroup("g", [group])
    return group


def depth_of(data: Any) -> int:
    return 1 + depth_of(data["exceptions"][0]) if "exceptions" in data else 0


def test_a_group_is_written_in_full_to_depth_100_and_then_cut() -> None:
    full = error_to_dict(nested(100))
    assert "Max nesting" not in json.dumps(full)
    assert depth_of(full) == 100
    cut = error_to_dict(nested(101))
    assert depth_of(cut) == 100
    text = json.dumps(cut)
    assert "Max nesting depth (100) exceeded" in text
    assert '"nested_count": 1' in text


def test_a_single_error_has_no_exceptions_key_and_an_engine_error_its_details() -> None:
    assert error_to_dict(ValueError("x")) == {"error": "ValueError", "message": "x"}
    error = flow.ExecutionError("x", details={"id": UUID(int=2)})
    assert error_to_dict(error)["details"] == {"id": str(UUID(int=2))}
    odd = flow.AccessError("x", details={"price": float("nan")})
    assert error_to_dict(odd) == {**odd.to_dict(), "details": UNSERIALIZABLE}


def test_a_group_on_its_own_path_is_a_cycle_but_a_shared_leaf_is_not() -> None:
    class Ring(ExceptionGroup[Exception]):
        @property
        def exceptions(self) -> Any:
            return (self,)

    written = error_to_dict(Ring("r", [ValueError()]))
    assert written["exceptions"] == [{"error": "Ring", "message": "Circular reference detected"}]
    leaf = ExceptionGroup("l", [ValueError("v")])
    text = json.dumps(error_to_dict(ExceptionGroup("g", [leaf, leaf])))
    assert "Circular" not in text


def test_an_error_without_a_readable_text_is_still_written() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Mute" in str(error_to_dict(MuteError())["message"])


class PlacedError(flow.EngineError, ValueError):
    """Takes other arguments than its base."""

    def __init__(self, path: str, *, line: int) -> None:
        super().__init__(f"{path}:{line}", details={"line": line}, retryable=False)
        self.line = line


@pytest.mark.parametrize(
    "again",
    [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy],  # noqa: S301 (own data)
    ids=["pickle", "copy", "deepcopy"],
)
def test_an_error_comes_back_whole_whatever_its_constructor_takes(again: Any) -> None:
    error = PlacedError("plan.yaml", line=3)
    found = again(error)
    assert type(found) is PlacedError
    assert (str(found), found.args, found.line) == ("plan.yaml:3", error.args, 3)
    assert found.to_dict() == error.to_dict()
    unknown = again(flow.UnknownProgressionError("Progression 'x' not found"))
    assert (str(unknown), unknown.retryable) == ("Progression 'x' not found", False)
