"""Compilation of the kernels (FAST-8).

Only kernel modules import this one, and only a compiled run imports those: the package itself
neither imports numba nor compiles anything. Compiled code is kept on disk: beside the sources or,
where that is not writable, in the user's cache; ``NUMBA_CACHE_DIR`` moves it. The folder is named
after the sources of all kernels, because numba itself looks at one file only and would go on
calling a function of another file that has changed since.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import pickle  # noqa: TID251 (only to name what numba's own reader raises)
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar, cast

import numba
import platformdirs
from numba import _dynfunc, types  # type: ignore[attr-defined]  # a C module without stubs
from numba.core import config as numba_config
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

Function = TypeVar("Function", bound=Callable[..., Any])


settings: Any = numba_config  # its attributes are made at run time
_HERE: Final = Path(__file__).parent
_CACHES_KEPT: Final = 3
_WITHOUT_KERNELS: Final = ("request", "settings", "decisions", "choice", "inputs")
"""Modules ``kernel_*.py`` that only fill tables: a change of theirs compiles nothing anew."""
_SHARED_SOURCES: Final = ("model/rounding.py", "execution/bar_order.py")
"""Sources outside this package of which kernels are made."""


def sources_digest() -> str:
    """Return what names the sources of the kernels, and the versions that compile them."""
    digest = hashlib.sha256(numba.__version__.encode())
    tables = {f"kernel_{name}" for name in _WITHOUT_KERNELS}
    kernels = [one for one in sorted(_HERE.glob("kernel_*.py")) if one.stem not in tables]
    paths = [*kernels, Path(__file__)]
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


CACHE_FOLDER: Final = _cache_folder()
"""Where compiled kernels are kept; it need not exist."""


def drop_old_caches(folder: Path, *, keep: int = _CACHES_KEPT) -> None:
    """Remove what was compiled from other sources beside *folder*, but for the newest few.

    Every change of a kernel makes a new folder; two versions that are used in turn keep theirs.
    """
    others = []
    for one in folder.parent.glob("kernels-*"):
        with suppress(OSError):  # another process may be tidying too
            if one != folder:
                others.append((one.stat().st_mtime_ns, one))
    for _, one in sorted(others, reverse=True)[keep:]:
        shutil.rmtree(one, ignore_errors=True)


def is_compiled(module: str, function: str) -> bool:
    """Return whether the kernel *function* of *module* was compiled before, by any process."""
    return next(CACHE_FOLDER.rglob(f"{module}.{function}-*.nbi"), None) is not None


@contextmanager
def _own_folder() -> Iterator[None]:
    """Let numba choose our folder for what is made meanwhile."""
    before = settings.CACHE_DIR
    settings.CACHE_DIR = str(CACHE_FOLDER)
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
class _PartLowering(NativeLowering):
    """Leaves a function as intermediate code for its callers.

    It is optimised and translated once, with the kernel that calls it, and not by itself and again
    in each caller; and it cannot be called from Python.
    """

    _name = "part_lowering"

    def run_pass(self, state: Any) -> Any:  # noqa: ANN401 (numba's own)
        library = state.targetctx.codegen().create_library(state.func_id.func_qualname)
        library.enable_object_caching()
        library._optimize_final_module = _nothing  # noqa: SLF001 (see above)
        library._finalize_final_module = _nothing  # noqa: SLF001
        state.library = library
        state.flags.no_cpython_wrapper = True
        state.flags.no_cfunc_wrapper = True
        state.targetctx.get_executable = _no_executable
        try:
            return super().run_pass(state)
        finally:
            del state.targetctx.get_executable


def _nothing() -> None:
    """Leave out a step."""


_REFUSAL: Final = ctypes.cast(ctypes.pythonapi.PyErr_NoMemory, ctypes.c_void_p).value
"""A function of CPython that raises whatever it is called with."""


def _no_executable(_library: object, fndesc: Any, env: object) -> Any:  # noqa: ANN401 (numba's)
    """Return what stands for a function without machine code; a call from Python raises."""
    name = fndesc.qualname
    return _dynfunc.make_function(
        fndesc.lookup_module(), name, "no machine code", _REFUSAL, env, ()
    )


@register_pass(mutates_CFG=True, analysis_only=False)
class _OutOfLineLowering(_PartLowering):
    _name = "out_of_line_lowering"

    @property
    def lowering_class(self) -> type[Lower]:
        return _OutOfLine


class _PartCompiler(CompilerBase):
    lowering: ClassVar[Any] = _PartLowering  # a class of passes

    def define_pipelines(self) -> list[Any]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [
            (self.lowering if one is NativeLowering else one, text) for one, text in passes.passes
        ]
        passes.finalize()
        return [passes]


class _OutOfLineCompiler(_PartCompiler):
    lowering = _OutOfLineLowering


def kernel(function: Function) -> Function:
    """Return *function* compiled at its first call, without the GIL and without fast-math."""
    return _compiled(function, {})


def unit(function: Function) -> Function:
    """Return *function* compiled for kernels only: it is called there, never copied.

    Numba optimises and translates every function by itself and again in each of its callers; for
    functions that call each other nine levels deep that takes a minute instead of seconds.
    """
    return _compiled(function, {"pipeline_class": _OutOfLineCompiler}, is_cached=False)


def part(function: Function) -> Function:
    """As `unit`, for a small function that may be copied into its callers."""
    return _compiled(function, {"pipeline_class": _PartCompiler}, is_cached=False)


def _compiled(function: Function, more: dict[str, Any], *, is_cached: bool = True) -> Function:
    # Kernels make no objects: without numba's runtime no call counts references to its arrays,
    # which cost half of the time, and there is less to compile.
    options = {"nogil": True, "error_model": "numpy", "_nrt": False, **more}
    try:
        with _own_folder():
            compiled = numba.njit(cache=is_cached, **options)(function)
    except RuntimeError:  # no place on disk can be written: compile in every process
        compiled = numba.njit(**options)(function)
    if is_cached:
        _forgive(compiled._cache)  # noqa: SLF001 (numba has no other way to it)
    template_for = compiled.get_call_template

    def plain(args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:  # noqa: ANN401 (numba's)
        # A literal or a truth value as argument would make another specialisation of everything
        # below: one for integers is enough.
        return template_for(tuple(_widened(one) for one in args), keywords)

    compiled.get_call_template = plain
    return cast("Function", compiled)  # a dispatcher is called like the function


def _forgive(cache: Any) -> None:  # noqa: ANN401 (numba's)
    """Let a cache that cannot be read or written cost time only: a full disk, a cut-off file."""
    save, load = cache.save_overload, cache.load_overload

    def save_overload(signature: Any, data: Any) -> None:  # noqa: ANN401 (numba's)
        with suppress(OSError):
            save(signature, data)

    def load_overload(signature: Any, context: Any) -> Any:  # noqa: ANN401 (numba's)
        try:
            return load(signature, context)
        except (OSError, EOFError, pickle.UnpicklingError):
            return None

    cache.save_overload, cache.load_overload = save_overload, load_overload


def _widened(one: Any) -> Any:  # noqa: ANN401 (numba's types)
    wide = types.unliteral(one)
    return types.int64 if isinstance(wide, types.Boolean) else wide
