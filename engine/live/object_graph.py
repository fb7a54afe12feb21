"""Writes a graph of this package's objects as JSON, and makes an equal graph of it.

Only data is written: plain values, containers, and the attributes of instances of classes that
this package defines. Reading makes instances without calling their constructors and sets
attributes; no code is named, imported or called, beside the classes that are loaded already.
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

from pydantic import BaseModel

from engine.flow.errors import OperationError
from engine.model.instruments import ConnectorPair

PACKAGE: Final = "engine"
MOST_NODES: Final = 5_000_000
"""Nodes of a graph that are read: more is no state of a session."""
_PLAIN: Final = (str, bool, int, type(None))
_ABSENT: Final = object()


class GraphError(OperationError):
    """Something in a graph cannot be written or read; the message says what."""


def to_plain(root: object) -> list[Any]:
    """Return the graph behind *root* as JSON values: one node for each object, *root* the first.

    Objects that are shared, and cycles, stay so. The order of sets is not kept.

    Raises:
        GraphError: there is something that is no data of this package.
    """
    return _Writer().write(root)


def from_plain(nodes: Any) -> Any:  # noqa: ANN401 (JSON in, any object out)
    """Return the object whose graph `to_plain` has written.

    Raises:
        GraphError: the nodes do not fit together, or name what this package does not define.
    """
    if not isinstance(nodes, list) or not 0 < len(nodes) <= MOST_NODES:
        raise GraphError("a graph is a list of nodes")
    return _Reader(nodes).read()


class _Writer:
    """Numbers objects as they are met; a queue instead of recursion, for graphs are deep."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._kept: list[object] = []
        self._nodes: list[Any] = []

    def write(self, root: object) -> list[Any]:
        self._reference(root)
        done = 0
        while done < len(self._kept):
            self._nodes[done] = self._node(self._kept[done])
            done += 1
        return self._nodes

    def _reference(self, value: object) -> Any:  # noqa: ANN401 (JSON)
        """Return a plain value as it is, anything else as the number of its node in a list."""
        if type(value) in _PLAIN:
            return value
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._kept)
            self._kept.append(value)  # keeps the id from being used again, too
            self._nodes.append(None)
        return [number]

    def _all(self, values: Any) -> list[Any]:  # noqa: ANN401 (any iterable)
        return [self._reference(value) for value in values]

    def _pairs(self, values: Any) -> list[Any]:  # noqa: ANN401 (any mapping)
        return [self._reference(part) for pair in values.items() for part in pair]

    def _node(self, value: object) -> list[Any]:
        kind = type(value)
        simple = _SIMPLE.get(kind)
        if simple is not None:
            return simple(value)
        if kind in _SEQUENCES:
            return [_SEQUENCES[kind], self._all(value)]
        if kind in _MAPPINGS:
            return [_MAPPINGS[kind], self._pairs(value)]
        match value:
            case Enum():
                return ["enum", _name_of(kind), value.name]
            case type():
                return ["class", _name_of(value)]
            case MethodType():
                return ["method", self._reference(value.__self__), value.__func__.__name__]
            case FunctionType() | BuiltinFunctionType():
                raise GraphError(f"{value.__qualname__} is a function")
            case _:
                return self._instance(value, kind)

    def _instance(self, value: object, kind: type) -> list[Any]:
        match value:
            case deque():
                return ["deque", value.maxlen, self._all(value)]
            case BaseModel():
                state = dict(value.__getstate__())
                return ["model", _name_of(kind), self._reference(state)]
            case tuple():
                return ["named", _name_of(kind), self._all(value)]
            case list() | dict() | set() | frozenset() | str() | int() | float():
                raise GraphError(f"{kind.__qualname__} is a container of its own kind")
            case _:
                names = [name for name, _ in _attributes(value)]
                values = [self._reference(one) for _, one in _attributes(value)]
                return ["object", _name_of(kind), names, values]


class _Reader:
    """Makes the nodes' objects: shells first, then what is in them, dictionaries and sets last.

    So whatever is looked up by its hash has its attributes by then.
    """

    def __init__(self, nodes: list[Any]) -> None:
        self._nodes = nodes
        self._made: list[Any] = [_ABSENT] * len(nodes)
        self._is_filled = [False] * len(nodes)

    def read(self) -> Any:  # noqa: ANN401 (any object)
        try:
            for number, node in enumerate(self._nodes):
                shell = _SHELLS.get(node[0])
                if shell is not None:
                    self._made[number] = shell(node)
            for wanted in (_FILLED_FIRST, _FILLED_LAST):
                for number, node in enumerate(self._nodes):
                    if node[0] in wanted:
                        self._fill(number)
            return self._get(0)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise GraphError(f"a node does not fit: {error!r}", cause=error) from error
        except RecursionError as error:
            raise GraphError("values that cannot change are nested too deeply") from error

    def _value(self, reference: Any) -> Any:  # noqa: ANN401 (JSON in, any object out)
        return self._get(reference[0]) if type(reference) is list else reference

    def _values(self, references: list[Any]) -> list[Any]:
        return [self._value(one) for one in references]

    def _get(self, number: int) -> Any:  # noqa: ANN401 (any object)
        made = self._made[number]
        if made is _ABSENT:
            made = self._made[number] = self._fixed(self._nodes[number])
        return made

    def _fixed(self, node: list[Any]) -> Any:  # noqa: ANN401 (any object)
        """Make what cannot be changed afterwards."""
        match node:
            case ["tuple", values]:
                return tuple(self._values(values))
            case ["named", name, values]:
                named = _class_of(name)
                if not issubclass(named, tuple):
                    raise GraphError(f"{name} is no tuple")
                return tuple.__new__(named, self._values(values))
            case ["frozenset", values]:
                return frozenset(self._hashable(one) for one in values)
            case ["method", owner, name]:
                found = getattr(self._value(owner), name)
                if not isinstance(found, MethodType):
                    raise GraphError(f"{name} is no method")
                return found
            case [kind, *parts] if kind in _CONSTANTS:
                return _CONSTANTS[kind](*parts)
            case _:
                raise GraphError(f"there is no kind {node[0]!r} of nodes")

    def _hashable(self, reference: Any) -> Any:  # noqa: ANN401 (JSON in, any object out)
        if type(reference) is list and self._nodes[reference[0]][0] in _FILLED_FIRST:
            self._fill(reference[0])
        return self._value(reference)

    def _fill(self, number: int) -> None:
        if self._is_filled[number]:
            return
        self._is_filled[number] = True
        node, made = self._nodes[number], self._made[number]
        match node:
            case ["list", values] | ["deque", _, values]:
                made.extend(self._values(values))
            case ["set", values]:
                made.update(self._hashable(one) for one in values)
            case [_, pairs]:
                keys, values = pairs[::2], pairs[1::2]
                for key, value in zip(keys, values, strict=True):
                    made[self._hashable(key)] = self._value(value)
            case _:
                self._fill_instance(made, node)

    def _fill_instance(self, made: Any, node: list[Any]) -> None:  # noqa: ANN401 (any instance)
        match node:
            case ["object", _, names, values]:
                for name, value in zip(names, self._values(values), strict=True):
                    object.__setattr__(made, name, value)
            case ["model", _, state]:
                self._fill(state[0])
                plain = self._value(state)
                for part in plain.values():
                    self._fill_part(part, node)
                made.__setstate__(plain)
            case _:
                raise GraphError(f"a node of the kind {node[0]!r} has another shape")

    def _fill_part(self, part: object, node: list[Any]) -> None:
        """Fill the dictionaries and sets that are the state of a model: their keys are names."""
        state = self._nodes[node[2][0]]
        for reference in state[1][1::2]:
            if type(reference) is list and self._made[reference[0]] is part:
                self._fill(reference[0])


def _attributes(value: object) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of an instance that are set, those in slots too."""
    seen: set[str] = set()
    for base in type(value).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot in {"__dict__", "__weakref__"} or slot in seen:
                continue
            seen.add(slot)
            is_private = slot.startswith("__") and not slot.endswith("__")
            name = f"_{base.__name__.lstrip('_')}{slot}" if is_private else slot
            found = getattr(value, name, _ABSENT)
            if found is not _ABSENT:
                yield name, found
    yield from getattr(value, "__dict__", {}).items()


def _name_of(kind: type) -> str:
    name = f"{kind.__module__}:{kind.__qualname__}"
    if kind.__module__.partition(".")[0] != PACKAGE or _find_class(name) is not kind:
        raise GraphError(f"{name} is no class of this package")
    return name


def _class_of(name: str) -> type:
    found = _find_class(name)
    if found is None:
        raise GraphError(f"{name} is no class of this package")
    return found


def _find_class(name: str) -> type | None:
    """Return a class of a module of this package that is loaded; None for anything else."""
    module_name, _, path = name.partition(":")
    if module_name.partition(".")[0] != PACKAGE:
        return None
    found: Any = sys.modules.get(module_name)
    for part in path.split("."):
        found = getattr(found, part, None)
    is_here = isinstance(found, type) and found.__module__ == module_name
    return found if is_here else None


def _new(node: list[Any]) -> Any:  # noqa: ANN401 (any instance)
    kind = _class_of(node[1])
    return object.__new__(kind)


def _new_model(node: list[Any]) -> BaseModel:
    kind = _class_of(node[1])
    if not issubclass(kind, BaseModel):
        raise GraphError(f"{node[1]} is no model")
    return kind.__new__(kind)


def _member(name: str, member: str) -> Enum:
    kind = _class_of(name)
    if not issubclass(kind, Enum):
        raise GraphError(f"{name} is no enum")
    return kind[member]


_CONSTANTS: Final[dict[str, Callable[..., Any]]] = {
    "decimal": Decimal,
    "float": float.fromhex,
    "fraction": Fraction,
    "bytes": bytes.fromhex,
    "pair": ConnectorPair,
    "enum": _member,
    "class": _class_of,
}
_SIMPLE: Final[dict[type, Callable[[Any], list[Any]]]] = {
    Decimal: lambda value: ["decimal", str(value)],
    float: lambda value: ["float", value.hex()],
    Fraction: lambda value: ["fraction", value.numerator, value.denominator],
    bytes: lambda value: ["bytes", value.hex()],
    ConnectorPair: lambda value: ["pair", value.connector_name, value.trading_pair],
}
_SEQUENCES: Final[dict[type, str]] = {
    list: "list", tuple: "tuple", set: "set", frozenset: "frozenset",
}  # fmt: skip
_MAPPINGS: Final[dict[type, str]] = {dict: "dict", OrderedDict: "ordered", Counter: "counter"}
_SHELLS: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "list": lambda _: [],
    "set": lambda _: set(),
    "dict": lambda _: {},
    "ordered": lambda _: OrderedDict(),
    "counter": lambda _: Counter(),
    "deque": lambda node: deque(maxlen=node[1]),
    "object": _new,
    "model": _new_model,
}
_FILLED_FIRST: Final = frozenset({"list", "deque", "object", "model"})
_FILLED_LAST: Final = frozenset({"set", "dict", "ordered", "counter"})
