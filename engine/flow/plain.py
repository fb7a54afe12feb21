"""Plain data from any value: what a snapshot or a log line may hold."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Final
from uuid import UUID

UNSERIALIZABLE: Final = "<unserializable>"

_ATOMS: Final = (str, int, float, bool, type(None))
_TEXTUAL: Final = (UUID, Decimal, PurePath)
_CONVERTERS: Final = ("to_dict", "model_dump", "tolist")


class _NotPlainError(Exception):
    """A value has no plain form."""


def to_plain(value: object) -> object:
    """Return *value* as JSON types, or the string `<unserializable>`.

    Containers are copied. Objects become plain data by their `to_dict`, `model_dump` or
    `tolist`, as dataclasses, or by their attributes; a value that contains itself has no plain
    form.
    """
    try:
        return _plain(value, set())
    except Exception:  # noqa: BLE001 (boundary: a foreign object's own conversion runs here)
        return UNSERIALIZABLE


def copy_containers(value: object) -> object:
    """Return *value* with every built-in container in it copied, and the leaves shared."""
    kind = type(value)
    if kind is dict:
        assert isinstance(value, dict)  # noqa: S101 (narrows for the type checker)
        return {key: copy_containers(item) for key, item in value.items()}
    if kind in (list, set, tuple, frozenset):
        assert isinstance(value, (list, set, tuple, frozenset))  # noqa: S101 (narrows)
        return kind(copy_containers(item) for item in value)
    if isinstance(value, deque):
        return deque((copy_containers(item) for item in value), value.maxlen)
    if isinstance(value, (dict, list, set, bytearray)):
        return value.copy()
    return value


def _plain(value: object, path: set[int]) -> object:
    if isinstance(value, float) and not math.isfinite(value):  # JSON has no such number
        raise _NotPlainError
    if type(value) in _ATOMS:
        return value
    if isinstance(value, Enum):
        return _plain(value.value, path)
    if isinstance(value, (str, int, float)):
        return value
    text = _text_form(value)
    return text if text is not None else _nested(value, path)


def _text_form(value: object) -> object:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, _TEXTUAL) else None


def _nested(value: object, path: set[int]) -> object:
    if id(value) in path:
        raise _NotPlainError
    path.add(id(value))
    try:
        if isinstance(value, Mapping):
            return {_key(key): _plain(item, path) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset, deque)):
            return [_plain(item, path) for item in value]
        return _plain(_opened(value), path)
    finally:
        path.discard(id(value))


def _key(key: object) -> str:
    if isinstance(key, Enum):
        return str(key.value)
    if isinstance(key, (*_ATOMS, *_TEXTUAL)):
        return str(key)
    raise _NotPlainError


def _opened(value: object) -> object:
    if isinstance(value, (type, Iterator)):
        raise _NotPlainError
    for name in _CONVERTERS:
        convert: Callable[[], object] | None = getattr(value, name, None)
        if callable(convert):
            return convert()
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(value) or isinstance(value, BaseException) or not getattr(value, "__dict__", None):
        raise _NotPlainError
    return dict(vars(value))
