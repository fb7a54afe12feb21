"""Heavy work of an agent in a process of its own: a thread would take turns from everybody else.

One Python process runs one thread at a time. A computation in a thread slows the console and the
engine by as much as it takes; in a process it takes a core of its own, or waits for one.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter, to_process
from anyio.lowlevel import RunVar

from engine.agents.own_module import is_own, load_file

ResultT = TypeVar("ResultT")
_NICENESS: Final = 10
"""Where cores are few, the console and the engine go first."""

_limiter: RunVar[CapacityLimiter] = RunVar("engine_agents_heavy")


async def in_process(function: Callable[..., ResultT], *args: Any) -> ResultT:  # noqa: ANN401 (the function's)
    """Return what ``function(*args)`` returns in a worker process; one computes at a time.

    Cancelling kills the worker. The function must be at the top of a module, arguments and result
    must be values that can be copied to another process.

    Raises:
        TypeError: the function is not at the top of a module.
        Exception: what the function raised.
    """
    name = getattr(function, "__qualname__", "")
    module = sys.modules.get(getattr(function, "__module__", ""))
    if module is None or getattr(module, name, None) is not function:
        raise TypeError(f"{name or function!r} must be a function at the top of a module")
    path = str(module.__file__) if is_own(module.__name__) else ""
    result: ResultT = await to_process.run_sync(
        _call, module.__name__, path, name, args, cancellable=True, limiter=_one_at_a_time()
    )
    return result


def _one_at_a_time() -> CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(1)
        _limiter.set(limiter)
        return limiter


def _call(module_name: str, path: str, name: str, args: tuple[Any, ...]) -> Any:  # noqa: ANN401 (the function's)
    """Call the function in the worker, where its module may have to be loaded first."""
    if os.getpriority(os.PRIO_PROCESS, 0) < _NICENESS:
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    module = load_file(module_name, path) if path else importlib.import_module(module_name)
    return getattr(module, name)(*args)
