"""Whether a value that was read from a snapshot fits the declared type of its field."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from inspect import get_annotations
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from engine.flow.plain import UNSERIALIZABLE

_SEQUENCES: Final = (list, tuple, set, frozenset, deque)
_ACCEPTED: Final[Mapping[object, tuple[type, ...]]] = {
    bool: (bool,),
    int: (int,),
    float: (int, float),
    str: (str,),
    NoneType: (NoneType,),
    dict: (Mapping,),
    **dict.fromkeys(_SEQUENCES, _SEQUENCES),  # JSON writes each of them as a list
}


def declared_types(kind: type) -> dict[str, object]:
    """Return the annotations of *kind* and its bases; Any for what cannot be resolved."""
    found: dict[str, object] = {}
    for base in kind.__mro__:
        module = sys.modules.get(base.__module__)
        names = {} if module is None else dict(vars(module))
        for name, annotation in get_annotations(base).items():
            if name not in found and not name.startswith("_"):
                found[name] = _resolved(annotation, names)
    return found


def fits(value: object, declared: object) -> bool:
    """Return whether *value* may have been written from a field of the *declared* type.

    Only what keeps its type in JSON can be told: numbers, texts, lists and mappings of them.
    Every other type is taken on trust, and so is the mark of a value without a plain form.
    """
    origin = get_origin(declared) or declared
    arguments = get_args(declared)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments
    accepted = _ACCEPTED.get(origin)
    if accepted is None or value == UNSERIALIZABLE:
        return True
    if not isinstance(value, accepted) or (isinstance(value, bool) and origin is not bool):
        return False
    return not arguments or _content_fits(value, origin, arguments)


def _content_fits(value: object, origin: object, arguments: tuple[object, ...]) -> bool:
    if isinstance(value, Mapping):  # its keys are texts in JSON, whatever they were
        return all(fits(item, arguments[-1]) for item in value.values())
    if not isinstance(value, _SEQUENCES) or (origin is tuple and arguments[-1] is not Ellipsis):
        return True
    return all(fits(item, arguments[0]) for item in value)


def _resolved(annotation: object, names: dict[str, Any]) -> object:
    holder = SimpleNamespace(__annotations__={"field": annotation})
    try:
        return get_type_hints(holder, names)["field"]
    except Exception:  # noqa: BLE001 (boundary: an annotation may name, and run, anything)
        return Any
