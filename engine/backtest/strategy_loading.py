"""Strategies by name, or by an import path that the configuration allows (CONT-9)."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import operator
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from engine.backtest.config import StrategySection
from engine.backtest.run_hash import plain
from engine.flow.errors import ConfigurationError
from engine.strategies.catalogue import StrategyType, strategy_types
from engine.strategies.strategy import Strategy

_PREFIX: Final = "quarterdeck_user_"


class StrategyLoadError(ConfigurationError):
    """A strategy cannot be found, imported or made."""


def find_strategy_type(
    section: StrategySection,
    *,
    base_dir: Path,
    allow_imports: Sequence[str],
    known: Mapping[str, StrategyType] | None = None,
) -> StrategyType:
    """Return the type of *section*: a shipped or registered one, or an imported class.

    Args:
        section: names the strategy.
        base_dir: folder of the configuration; modules in it come first.
        allow_imports: packages that may be imported from.
        known: registered types instead of the shipped ones.

    Raises:
        StrategyLoadError: it is not known, not allowed, or no strategy.
    """
    types = strategy_types() if known is None else known
    if section.kind in types:
        return types[section.kind]
    file = _file_of(section.kind, base_dir)
    if file is not None and _is_allowed(section.kind, allow_imports):
        return type_of_class(_only_strategy(section.kind, _module_of_file(file)))
    module_name, _, class_name = section.kind.replace(":", ".").rpartition(".")
    if not module_name:
        near = get_close_matches(section.kind, types, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise StrategyLoadError(
            f"strategy {section.kind!r} is not known, {hint}allowed: {', '.join(sorted(types))}, "
            "or package.module.Class with its package in allow_imports"
        )
    found = import_allowed("strategy", section.kind, base_dir=base_dir, allow_imports=allow_imports)
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise StrategyLoadError(
            f"strategy {section.kind!r}: {class_name} of {module_name} is no subclass of Strategy"
        )
    return type_of_class(found)


def import_allowed(what: str, name: str, *, base_dir: Path, allow_imports: Sequence[str]) -> object:
    """Return the attribute ``package.module.attribute`` *name*; None if its module has none.

    Args:
        what: what it is, for the error.
        name: the import path.
        base_dir: folder of the configuration; modules in it come first.
        allow_imports: packages that may be imported from.

    Raises:
        StrategyLoadError: its package is not allowed, or the module cannot be imported.
    """
    module_name, _, attribute = name.replace(":", ".").rpartition(".")
    package = module_name.partition(".")[0]
    if not _is_allowed(module_name, allow_imports):
        allowed = ", ".join(allow_imports) or "none"
        raise StrategyLoadError(
            f"{what} {name!r}: package {package!r} may not be imported, "
            f"allow_imports has: {allowed}; add {package} to it if you trust its code"
        )
    found: object = getattr(_module(module_name, base_dir), attribute, None)
    return found


def _is_allowed(module_name: str, allow_imports: Sequence[str]) -> bool:
    """Return whether the module, or a package that it is of, is among those that are named."""
    return any(module_name == one or module_name.startswith(f"{one}.") for one in allow_imports)


def _file_of(name: str, base_dir: Path) -> Path | None:
    """Return the file beside the configuration that *name* is the module of, if it is one."""
    if ":" in name:
        return None
    place = base_dir.joinpath(*name.split("."))
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file():
            return file
    return None


def _only_strategy(name: str, module: ModuleType) -> type[Strategy]:
    """Return the strategy of a module that has one.

    Raises:
        StrategyLoadError: it has none, or several.
    """
    found = [
        one
        for one in vars(module).values()
        if isinstance(one, type)
        and issubclass(one, Strategy)
        and one.__module__.startswith(module.__name__)
    ]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{name}.{one.__name__}" for one in found) or "none"
    raise StrategyLoadError(f"strategy {name!r}: names a module, its strategies are: {listed}")


def type_of_class(cls: type[Strategy], name: str = "") -> StrategyType:
    """Return a type for the strategy class *cls*.

    With a class attribute ``params_model`` (a pydantic model) the instance gets the model,
    without one the parameters as keyword arguments. A configuration that was kept has its decimals
    as text; without a model they are given as `Decimal`, so that every run of it gets the same.
    """
    model = getattr(cls, "params_model", None)
    if isinstance(model, type) and issubclass(model, BaseModel):
        params_model: type[BaseModel] = model
        return StrategyType(
            name or cls.__name__,
            (cls.__doc__ or "").partition("\n")[0],
            params_model,
            lambda params: _from_model(cls, params_model, params),
        )
    return StrategyType(
        name or cls.__name__,
        (cls.__doc__ or "").partition("\n")[0],
        AnyParams,
        lambda params: _from_keywords(cls, params),
        cls,
    )


class AnyParams(BaseModel, extra="allow"):
    """Parameters of a strategy without a model."""


def _from_model(cls: type[Strategy], model: type[BaseModel], params: Mapping[str, Any]) -> Strategy:
    make: Any = cls
    made: Strategy = make(model.model_validate(params))
    return made


def _from_keywords(cls: type[Strategy], params: Mapping[str, Any]) -> Strategy:
    make: Any = cls
    try:
        made: Strategy = make(**{name: _numbers_of(value) for name, value in params.items()})
    except (TypeError, ValueError) as error:
        raise StrategyLoadError(
            f"strategy {cls.__name__} cannot be made of {dict(params)!r}: {error}", cause=error
        ) from error
    return made


def _numbers_of(value: Any) -> Any:  # noqa: ANN401 (a parameter is any value)
    """Return *value* with what `plain` makes of a decimal as a decimal again."""
    match value:
        case str():
            number = as_decimal(value)
            return value if number is None else number
        case Mapping():
            return {key: _numbers_of(one) for key, one in value.items()}
        case list() | tuple():
            return type(value)(_numbers_of(one) for one in value)
        case _:
            return value


def as_decimal(text: str) -> Decimal | None:
    """Return the decimal whose shortest text is *text*; None if it is another text."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and plain(number) == text else None


def build_strategy(kind: StrategyType, params: Mapping[str, Any]) -> Strategy:
    """Return a new instance.

    Raises:
        StrategyLoadError: the parameters do not fit.
    """
    try:
        made = kind.build(params)
        warmup = operator.index(made.warmup)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "params"
        raise StrategyLoadError(
            f"strategy {kind.name}: {place}: {first['msg']}", cause=error
        ) from error
    except StrategyLoadError:
        raise
    except Exception as error:
        raise StrategyLoadError(
            f"strategy {kind.name} cannot be made of {dict(params)!r}: "
            f"{type(error).__name__}: {error}",
            cause=error,
        ) from error
    if warmup < 0:
        raise StrategyLoadError(f"strategy {kind.name}: warmup: {warmup} is below 0 bars")
    return made


def source_hash(strategies: Sequence[Strategy]) -> str:
    """Return the SHA-256 over the source files of the classes of *strategies* (DET-2)."""
    digest = hashlib.sha256(b"STRATEGY1\n")
    for strategy in strategies:
        cls = type(strategy)
        digest.update(f"{cls.__qualname__}\n".encode())
        digest.update(_source(cls.__module__, cls.__qualname__, cls))
    return digest.hexdigest()


_SOURCES: Final[dict[tuple[str, str], bytes]] = {}
"""Source by class, as it was when first asked for: that is what runs."""


def _source(module: str, name: str, cls: type) -> bytes:
    key = (module, name)
    if key not in _SOURCES:
        _SOURCES[key] = _read_source(cls)
    return _SOURCES[key]


def _read_source(cls: type) -> bytes:
    try:
        file = inspect.getsourcefile(cls)
    except TypeError:
        file = None
    if file is not None and Path(file).is_file():
        return Path(file).read_bytes()
    try:
        return inspect.getsource(cls).encode()
    except (OSError, TypeError):
        # Made at a prompt: its name is all that is known of it.
        return f"{cls.__module__}.{cls.__qualname__}".encode()


def _module(name: str, base_dir: Path) -> ModuleType:
    place = base_dir.joinpath(*name.split("."))
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file():
            return _module_of_file(file)
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise StrategyLoadError(
            f"module {name!r} cannot be imported: {type(error).__name__}: {error}", cause=error
        ) from error


def _module_of_file(file: Path) -> ModuleType:
    """Import *file* under a name of its own, so that it hides no other module."""
    is_package = file.stem == "__init__"
    stem = file.parent.name if is_package else file.stem
    # Of a package every file counts: two with one `__init__.py` may differ in the others.
    files = sorted(file.parent.rglob("*.py")) if is_package else [file]
    digest = hashlib.sha256(b"".join(one.read_bytes() for one in files))
    name = f"{_PREFIX}{stem}_{digest.hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=[str(file.parent)] if is_package else None
    )
    if spec is None or spec.loader is None:
        raise StrategyLoadError(f"{file}:1: module: is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        line = error.lineno if isinstance(error, SyntaxError) else _line_in(error, file)
        raise StrategyLoadError(
            f"{file}:{line or 1}: module: {type(error).__name__}: {error}", cause=error
        ) from error
    return module


def _line_in(error: BaseException, file: Path) -> int | None:
    line, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == str(file):
            line = step.tb_lineno
        step = step.tb_next
    return line
