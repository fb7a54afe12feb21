"""Compilation of the kernels (backtest.md FAST-8).

Only kernel modules import this one, and only a compiled run imports those: the package itself
neither imports numba nor compiles anything. Compiled code is kept on disk: beside the sources or,
where that is not writable, in the user's cache; ``NUMBA_CACHE_DIR`` moves it. The folder is named
after the sources of all kernels, because numba itself looks at one file only and would go on
calling a function of another file that has changed since.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
import platformdirs
from numba import types
from numba.core import config as numba_config
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

Function = TypeVar("Function", bound=Callable[..., Any])


settings: Any = numba_config  # its attributes are made at run time
_HERE: Final = Path(__file__).parent
_SHARED_SOURCES: Final = ("model/rounding.py", "execution/bar_order.py")
"""Sources outside this package of which kernels are made."""


def sources_digest() -> str:
    """Return what names the sources of the kernels, and the versions that compile them."""
    digest = hashlib.sha256(numba.__version__.encode())
    paths = [*sorted(_HERE.glob("kernel_*.py")), Path(__file__)]
    for path in (*paths, *(_HERE.parent / name for name in _SHARED_SOURCES)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_folder() -> Path:
    if settings.CACHE_DIR:
        base = Path(settings.CACHE_DIR)
    elif os.access(_HERE, os.W_OK):
        base = _HERE / "__pycache__"
    else:
        base = platformdirs.user_cache_path("quarterdeck")
    return base / f"kernels-{sources_digest()}"


_CACHE_FOLDER: Final = _cache_folder()


@contextmanager
def _own_folder() -> Iterator[None]:
    """Let numba choose our folder for what is made meanwhile."""
    before = settings.CACHE_DIR
    settings.CACHE_DIR = str(_CACHE_FOLDER)
    try:
        yield
    finally:
        settings.CACHE_DIR = before


class _OutOfLine(Lower):
    """Marks the compiled function as one that is never copied into its callers."""

    def setup_function(self, fndesc: Any) -> None:  # noqa: ANN401 (numba's own)
        super().setup_function(fndesc)
        self.function.attributes.add("noinline")


@register_pass(mutates_CFG=True, analysis_only=False)
class _OutOfLineLowering(NativeLowering):
    _name = "out_of_line_lowering"

    @property
    def lowering_class(self) -> type[Lower]:
        return _OutOfLine


class _OutOfLineCompiler(CompilerBase):
    def define_pipelines(self) -> list[Any]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [
            (_OutOfLineLowering if one is NativeLowering else one, text)
            for one, text in passes.passes
        ]
        passes.finalize()
        return [passes]


def kernel(function: Function) -> Function:
    """Return *function* compiled at its first call, without the GIL and without fast-math."""
    return _compiled(function, {})


def unit(function: Function) -> Function:
    """As `kernel`, for a large function with several callers: it is called, never copied.

    Copies of copies would make compilation take a minute instead of seconds.
    """
    return _compiled(function, {"pipeline_class": _OutOfLineCompiler})


def _compiled(function: Function, more: dict[str, Any]) -> Function:
    options = {"nogil": True, "error_model": "numpy", **more}
    try:
        with _own_folder():
            compiled = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no place on disk can be written: compile in every process
        compiled = numba.njit(**options)(function)
    template_for = compiled.get_call_template

    def plain(args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:  # noqa: ANN401 (numba's)
        # A literal or a truth value as argument would make another specialisation of everything
        # below: one for integers is enough.
        return template_for(tuple(_widened(one) for one in args), keywords)

    compiled.get_call_template = plain
    return cast("Function", compiled)  # a dispatcher is called like the function


def _widened(one: Any) -> Any:  # noqa: ANN401 (numba's types)
    wide = types.unliteral(one)
    return types.int64 if isinstance(wide, types.Boolean) else wide
