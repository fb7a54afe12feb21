"""Copies of a run in the middle, from which a replay can go on.

A copy shares what is read-only (bars, instruments, configuration, code) and has everything else
for itself. What cannot be copied safely, such as a generator or a bound method of a list
in a strategy, makes the run one without checkpoints: then a seek back starts at the first bar.
"""

from __future__ import annotations

import copy
import gc
import types
import weakref
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Any, Final

import numpy as np
from pydantic import BaseModel

from engine.backtest.assembly import BuiltRun
from engine.backtest.control import RunControl
from engine.model.bar_columns import BarColumns
from engine.model.instruments import ConnectorPair, Instrument

_ATOMS: Final = (
    str, bytes, int, float, complex, bool, type(None), type, types.ModuleType, Enum, range,
    types.CodeType, types.GetSetDescriptorType, types.MemberDescriptorType, property,
    types.WrapperDescriptorType, types.MethodDescriptorType,
)  # fmt: skip
"""What is never changed, or is code; nothing behind it belongs to the run."""
_SHARED: Final = (BarColumns, Instrument, ConnectorPair, RunControl)
_STUCK: Final = (
    types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType, types.FrameType,
    weakref.ReferenceType, weakref.ProxyType,
)  # fmt: skip


class CannotCopyError(Exception):
    """Something in the run cannot be copied; the message says what."""


def copy_run(built: BuiltRun) -> BuiltRun:
    """Return a copy of *built* that can be run by itself.

    Raises:
        CannotCopyError: something in it, such as a strategy's own state, cannot be copied.
    """
    memo: dict[int, Any] = {}
    proxies: list[Any] = []
    closures: list[types.FunctionType] = []
    for one in _reachable(built):
        if _is_shared(one):
            memo[id(one)] = one
        elif isinstance(one, types.MappingProxyType):
            proxies.append(one)
        elif isinstance(one, types.FunctionType):
            if not _is_constant(one):
                closures.append(one)
        else:
            _check(one)
    cells = _copy_closures(closures, memo)
    try:
        _copy_proxies(proxies, memo)
        copied = copy.deepcopy(built, memo)
        for cell, new in cells:
            new.cell_contents = copy.deepcopy(cell.cell_contents, memo)
    except (TypeError, ValueError, AttributeError, copy.Error) as error:
        raise CannotCopyError(str(error)) from error
    return copied


def _reachable(root: object) -> Iterator[Any]:
    """Yield what can be reached from *root* through state, each once; shared things end a path."""
    seen = {id(root)}
    stack: list[Any] = [root]
    while stack:
        one = stack.pop()
        yield one
        if isinstance(one, (*_SHARED, np.ndarray, memoryview)):
            continue
        below = gc.get_referents(one)
        if isinstance(one, types.FunctionType):
            below = [cell.cell_contents for cell in one.__closure__ or ()]
        for item in below:
            if id(item) not in seen and not isinstance(item, _ATOMS):
                seen.add(id(item))
                stack.append(item)


def _is_shared(one: object) -> bool:
    """Whether a copy may use the very same object."""
    if isinstance(one, _SHARED):
        return True
    if isinstance(one, memoryview):
        return one.readonly
    return isinstance(one, np.ndarray) and not one.flags.writeable


def _check(one: object) -> None:
    if isinstance(one, _STUCK):
        raise CannotCopyError(f"a {type(one).__name__}")
    if isinstance(one, types.BuiltinMethodType):
        owner = one.__self__
        if owner is not None and not isinstance(owner, _ATOMS):
            raise CannotCopyError(f"the bound method {one.__qualname__}")
    if isinstance(one, memoryview):
        raise CannotCopyError("a writable memory view")


def _is_constant(value: object) -> bool:
    """Whether *value* never changes, with all that is in it."""
    if isinstance(value, (*_ATOMS, *_SHARED, Decimal)):
        return True
    if isinstance(value, tuple | frozenset):
        return all(map(_is_constant, value))
    if isinstance(value, BaseModel):
        return bool(value.model_config.get("frozen"))
    if isinstance(value, types.FunctionType):
        return all(_is_constant(cell.cell_contents) for cell in value.__closure__ or ())
    return isinstance(value, np.ndarray) and not value.flags.writeable


def _copy_closures(
    closures: list[types.FunctionType], memo: dict[int, Any]
) -> list[tuple[types.CellType, types.CellType]]:
    """Make each closure again with cells of its own; return (cell, new and empty cell)."""
    cells: dict[int, tuple[types.CellType, types.CellType]] = {}
    for one in closures:
        for cell in one.__closure__ or ():
            cells.setdefault(id(cell), (cell, types.CellType()))
        new = types.FunctionType(
            one.__code__,
            one.__globals__,
            one.__name__,
            one.__defaults__,
            tuple(cells[id(cell)][1] for cell in one.__closure__ or ()),
        )
        new.__kwdefaults__ = one.__kwdefaults__
        memo[id(one)] = new
    return list(cells.values())


def _copy_proxies(proxies: list[Any], memo: dict[int, Any]) -> None:
    """Copy read-only views of mappings with the mappings behind them, inner ones first."""
    waiting = list(proxies)
    while waiting:
        left = []
        for proxy in waiting:
            (behind,) = gc.get_referents(proxy)
            inner = [
                one
                for one in _reachable(behind)
                if isinstance(one, types.MappingProxyType) and id(one) not in memo
            ]
            if inner:
                left.append(proxy)
                continue
            memo[id(proxy)] = types.MappingProxyType(copy.deepcopy(behind, memo))
        if len(left) == len(waiting):
            raise CannotCopyError("read-only mappings that hold each other")
        waiting = left
