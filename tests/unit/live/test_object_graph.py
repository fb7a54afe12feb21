"""A graph of this package's objects is data, and nothing but data comes back."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from engine.executors.actions import ActionCode
from engine.executors.position_config import PositionExecutorConfig
from engine.executors.position_hold import PositionHold, PositionKey
from engine.live.object_graph import GraphError, from_plain, to_plain
from engine.model.clock import SimulatedClock
from engine.model.instruments import ConnectorPair
from engine.model.orders import TradeType
from engine.testing.small_session import MARKET, instrument_of


def again(value: object) -> Any:
    return from_plain(json.loads(json.dumps(to_plain(value))))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        2**80,
        "text",
        0.1,
        float("inf"),
        Decimal("1.10"),
        Decimal("-0E-8"),
        Fraction(1, 3),
        b"\x00\xff",
        [1, [2, []]],
        (1, (2, ())),
        {"a": {1: 2, (3, "x"): [4]}},
        {1, "two", (3,)},
        frozenset({1, ConnectorPair("a", "B-C")}),
        Counter("aab"),
        ActionCode.OK,
        TradeType,
        ConnectorPair("a", "B-C"),
        {PositionKey("main", MARKET, TradeType.BUY): instrument_of(MARKET)},
        PositionExecutorConfig.model_validate(
            {"connector_name": "a", "trading_pair": "B-C", "side": "BUY", "amount": "1.50"}
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_come_back_equal(value: object) -> None:
    found = again([value])[0]
    assert found == value
    assert type(found) is type(value)
    assert repr(found) == repr(value) or isinstance(value, set | frozenset)


def test_order_bounds_and_kinds_of_containers_stay() -> None:
    queue = again(deque([1, 2, 3], maxlen=3))
    assert (queue, queue.maxlen) == (deque([1, 2, 3]), 3)
    ordered = again(OrderedDict([("b", 1), ("a", 2)]))
    assert list(ordered) == ["b", "a"]
    assert type(ordered) is OrderedDict
    assert list(again({"b": 1, "a": 2})) == ["b", "a"]


def test_what_is_shared_stays_shared_and_cycles_stay_cycles() -> None:
    shared: list[object] = []
    shared.append(shared)
    one, two = again((shared, shared))
    assert one is two
    assert one[0] is one


def test_instances_come_back_with_their_attributes_and_methods() -> None:
    clock = SimulatedClock(5)
    found, now = again((clock, clock.now_ns))
    clock.advance_to(9)
    assert found.now_ns() == 5
    found.advance_to(7)
    assert now() == 7
    hold = PositionHold(PositionKey("main", MARKET), instrument_of(MARKET))
    hold.set_initial(3, 2000)
    assert again(hold).state() == hold.state()


class Foreign:
    """A class that is not the package's."""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Foreign(), "Foreign is no class of this package"),
        (Path("x"), "is no class of this package"),
        (int, "builtins:int is no class of this package"),
        (instrument_of, "instrument_of is a function"),
        (len, "len is a function"),
        ([lambda: 1], "<lambda> is a function"),
        (object(), "builtins:object is no class"),
    ],
)
def test_what_is_no_data_of_the_package_is_refused(value: object, said: str) -> None:
    with pytest.raises(GraphError, match=said):
        to_plain(value)


HOSTILE: list[tuple[Any, str]] = [
    ({}, "a graph is a list of nodes"),
    ([], "a graph is a list of nodes"),
    ([["object", "os:system", [], []]], "os:system is no class"),
    ([["object", "builtins:object", [], []]], "builtins:object is no class"),
    ([["object", "engine.live.object_graph:sys.modules", [], []]], "is no class"),
    ([["object", "engine.live.object_graph:Decimal", [], []]], "is no class"),
    ([["object", "engine.live.log_file:LogFil", [], []]], "is no class"),
    ([["class", "engine.live.object_graph:json"]], "is no class"),
    ([["method", [1], "__init__"], ["list", []]], "__init__ is no method"),
    ([["enum", "engine.model.instruments:Instrument", "x"]], "is no enum"),
    ([["model", "engine.model.instruments:Instrument", [1]], ["dict", []]], "is no model"),
    ([["named", "engine.model.instruments:Instrument", []]], "is no tuple"),
    ([["call", "x"]], "there is no kind 'call'"),
    ([["list", [[5]]]], "a node does not fit"),
    ([["dict", ["key"]]], "a node does not fit"),
    ([["dict", [[1], 2]], ["list", []]], "a node does not fit"),
    ([["decimal", "x"]], "a node does not fit"),
    ([["tuple", [[0]]]], "nested too deeply"),
    ([[]], "a node does not fit"),
]


@pytest.mark.parametrize(("nodes", "said"), HOSTILE)
def test_nothing_else_is_made_of_a_file(nodes: Any, said: str) -> None:
    with pytest.raises(GraphError, match=said):
        from_plain(nodes)


def test_no_constructor_runs(recwarn: pytest.WarningsRecorder) -> None:
    made: Callable[[], Any] = lambda: from_plain(  # noqa: E731 (a thing to call)
        [["object", "engine.model.clock:SimulatedClock", ["_now_ns"], [7]]]
    )
    assert isinstance(made(), SimulatedClock)
    assert not recwarn
