"""Registry of executor types and how executors are made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Final, TypeVar
from weakref import WeakKeyDictionary

from pydantic import BaseModel

from engine.executors.config import ExecutorConfigBase
from engine.executors.custom_info import CustomInfo
from engine.executors.settings import ExecutorSettings
from engine.executors.strategy import ExecutorStrategy

ExecutorClass = TypeVar("ExecutorClass", bound=type)

RESERVED_TYPES: Final = frozenset({"lp_executor"})
"""Type strings that no configuration may use yet (3.12)."""

BUILTIN_MODULES: Final = (
    "engine.executors.position_executor",
    "engine.executors.progressive_executor",
    "engine.executors.dca_executor",
    "engine.executors.grid_executor",
    "engine.executors.order_executor",
    "engine.executors.twap_executor",
    "engine.executors.arbitrage_executor",
    "engine.executors.xemm_executor",
)
"""Modules whose import registers the built-in executors."""

_REQUIRED: Final = ("start", "stop", "early_stop", "executor_info")


@dataclass(frozen=True, slots=True)
class Registration:
    """One executor type."""

    type_name: str
    config_type: type
    executor_class: type
    update_type: type | None
    custom_info_type: type | None
    takes_settings: bool


class ExecutorFactory:
    """Maps configuration types to executors, update types and custom infos.

    The registries belong to the class: registration happens when a module is imported. Look-ups
    follow the method resolution order, so a subclass of a registered configuration uses its
    parent's executor.
    """

    _registrations: ClassVar[dict[type, Registration]] = {}
    _config_type_of_executor: ClassVar[WeakKeyDictionary[ExecutorStrategy, dict[str, type]]] = (
        WeakKeyDictionary()
    )
    """By session, for sessions with the same seed make the same ids; it goes with the session."""

    @classmethod
    def register_executor(
        cls,
        config_type: type,
        update_type: type | None = None,
        custom_info_type: type | None = None,
        *,
        replace: bool = False,
    ) -> Callable[[ExecutorClass], ExecutorClass]:
        """Return a decorator that registers an executor class and returns it unchanged.

        Raises:
            ValueError: (from the decorator) a check of 10.1 failed; nothing was registered.
        """

        def register(executor_class: ExecutorClass) -> ExecutorClass:
            type_name = cls._check_config(config_type, replace=replace)
            _check_update_type(update_type)
            _check_custom_info_type(custom_info_type)
            takes_settings = _check_executor(executor_class, has_updates=update_type is not None)
            cls._registrations[config_type] = Registration(
                type_name,
                config_type,
                executor_class,
                update_type,
                custom_info_type,
                takes_settings,
            )
            return executor_class

        return register

    @classmethod
    def unregister(cls, config_type: type) -> None:
        """Forget *config_type*, for tests and plug-in reload.

        Raises:
            ValueError: it is not registered.
        """
        if config_type not in cls._registrations:
            raise ValueError(f"{config_type.__name__} is not registered")
        del cls._registrations[config_type]

    @classmethod
    def registrations(cls) -> Mapping[str, Registration]:
        """Return the registered types by type string, in order of registration."""
        return {item.type_name: item for item in cls._registrations.values()}

    @classmethod
    def get_config_type(cls, type_name: str) -> type:
        """Return the configuration class of *type_name*.

        Raises:
            ValueError: it is not registered; the message lists what is.
        """
        known = cls.registrations()
        if type_name not in known:
            raise ValueError(f"no executor type {type_name!r}; known: {_names(known)}")
        return known[type_name].config_type

    @classmethod
    def create_executor(
        cls,
        strategy: ExecutorStrategy,
        config: Any,  # noqa: ANN401 (any class with id and controller_id may be registered)
        update_interval: float,
        max_retries: int | None = None,
        settings: ExecutorSettings | None = None,
    ) -> Any:  # noqa: ANN401 (the registered class)
        """Make the executor of *config* and remember its id (10.2).

        Raises:
            ValueError: an argument does not fit, the type is unknown, or the constructor refused.
        """
        if isinstance(strategy, ExecutorStrategy):
            config = _identified(strategy, config)
        _check_arguments(strategy, config, update_interval)
        registration = cls._find(type(config))
        if registration is None:
            raise ValueError(
                f"no executor for {type(config).__name__}; known: {_names(cls.registrations())}"
            )
        options = {"settings": settings} if registration.takes_settings else {}
        try:
            executor = registration.executor_class(
                strategy, config, update_interval, max_retries, **options
            )
        except Exception as error:
            raise ValueError(
                f"{registration.executor_class.__name__} refused its configuration: {error}"
            ) from error
        cls._config_type_of_executor.setdefault(strategy, {})[config.id] = type(config)
        return executor

    @classmethod
    def recall_executors(cls, strategy: ExecutorStrategy, configs: Iterable[Any]) -> None:
        """Know the executors of *configs*, which another process has created, by their id."""
        known = cls._config_type_of_executor.setdefault(strategy, {})
        known.update((config.id, type(config)) for config in configs)

    @classmethod
    def forget_executor(cls, executor_id: str, strategy: ExecutorStrategy | None = None) -> None:
        """Drop the record of an archived executor of the session of *strategy*; None means all."""
        sessions = (strategy,) if strategy is not None else cls._sessions()
        for session in sessions:
            cls._config_type_of_executor.get(session, {}).pop(executor_id, None)

    @classmethod
    def is_registered(cls, config_type: type) -> bool:
        """Whether an executor can be made from *config_type*."""
        return cls._find(config_type) is not None

    @classmethod
    def get_update_type(cls, config_type: type) -> type | None:
        """Return the update type of *config_type* or of its nearest registered base."""
        registration = cls._find(config_type)
        return None if registration is None else registration.update_type

    @classmethod
    def get_config_type_for_executor(cls, executor_id: str) -> type | None:
        """Return the configuration class of a known executor; of the newest session with it."""
        return next(reversed(cls.get_config_types_for_executor(executor_id)), None)

    @classmethod
    def get_config_types_for_executor(cls, executor_id: str) -> tuple[type, ...]:
        """Return the configuration classes of all known executors with this id, by session.

        There is more than one while several sessions of one process have the same seed.
        """
        found = (
            cls._config_type_of_executor.get(session, {}).get(executor_id)
            for session in cls._sessions()
        )
        return tuple(config_type for config_type in found if config_type is not None)

    @classmethod
    def get_custom_info(
        cls,
        executor: Any,  # noqa: ANN401 (any registered executor)
        on_error: Callable[[str], None] | None = None,
    ) -> CustomInfo:
        """Return the custom info of *executor*; the base info when its type fails (10.4).

        Raises:
            ValueError: the executor has no configuration.
        """
        config = getattr(executor, "config", None)
        if config is None:
            raise ValueError(f"{type(executor).__name__} has no configuration")
        registration = cls._find(type(config))
        info_type = None if registration is None else registration.custom_info_type
        base = CustomInfo(side=getattr(config, "side", None))
        if info_type is None:
            return base
        try:
            info = info_type.from_executor(executor)  # type: ignore[attr-defined]  # a plug-in's class: checked by running it
        except Exception as error:  # noqa: BLE001 (boundary: a plug-in's code runs here)
            if on_error is not None:
                on_error(f"{info_type.__name__} failed: {error!r}")
            return base
        return info if isinstance(info, CustomInfo) else base

    @classmethod
    def _sessions(cls) -> list[ExecutorStrategy]:
        """Return the sessions with executors, at one instant: other threads may begin some."""
        alive = (reference() for reference in cls._config_type_of_executor.keyrefs())
        return [session for session in alive if session is not None]

    @classmethod
    def _find(cls, config_type: type) -> Registration | None:
        for base in config_type.__mro__:
            if base in cls._registrations:
                return cls._registrations[base]
        return None

    @classmethod
    def _check_config(cls, config_type: type, *, replace: bool) -> str:
        name = config_type.__name__
        if inspect.isabstract(config_type) or getattr(config_type, "_is_protocol", False):
            raise ValueError(f"{name} is abstract; register a concrete configuration")
        missing = [field for field in ("id", "controller_id") if not _declares(config_type, field)]
        if missing:
            raise ValueError(f"{name} must declare {' and '.join(missing)}")
        if config_type in cls._registrations and not replace:
            raise ValueError(f"{name} is already registered; pass replace=True to replace it")
        type_name = _type_string(config_type)
        if not type_name:
            raise ValueError(f"{name} must declare a type string, for example 'my_executor'")
        if type_name in RESERVED_TYPES:
            raise ValueError(f"{name}: the type {type_name!r} is reserved")
        for other in cls._registrations.values():
            if other.type_name == type_name and other.config_type is not config_type:
                raise ValueError(
                    f"{name}: the type {type_name!r} is used by {other.config_type.__name__}"
                )
        return type_name


def load_builtin_executors() -> None:
    """Import every built-in executor type, which registers it; more calls change nothing."""
    for name in BUILTIN_MODULES:
        import_module(name)


def _names(known: Mapping[str, Registration]) -> str:
    return ", ".join(known) or "none"


def _check_arguments(
    strategy: object,
    config: object,
    update_interval: float,
) -> None:
    if not isinstance(strategy, ExecutorStrategy):
        raise ValueError(f"{type(strategy).__name__} is no ExecutorStrategy")  # noqa: TRY004 (10.2 asks for ValueError)
    for name in ("id", "controller_id"):
        if not getattr(config, name, None):
            raise ValueError(f"{type(config).__name__} has no {name}")
    if isinstance(update_interval, bool) or not 0 < update_interval < float("inf"):
        raise ValueError(f"update_interval must be a positive number, got {update_interval!r}")


def _identified(strategy: ExecutorStrategy, config: Any) -> Any:  # noqa: ANN401 (any registered configuration)
    """Return *config* with an id and a timestamp if it can have them and has none yet (DEV-01)."""
    if not isinstance(config, ExecutorConfigBase) or (config.id and config.timestamp is not None):
        return config
    if not config.id and "id" in config.model_fields_set:
        return config  # an empty id on purpose is a mistake, and told as one
    return config.with_identity(
        now_ns=strategy.now_ns(),
        random_bits=strategy.random_bits(),
        controller_id=config.controller_id,
    )


def _check_update_type(update_type: type | None) -> None:
    if update_type is None:
        return
    for base in update_type.__mro__:
        if base is BaseModel:
            break  # pydantic's own deprecated `validate` does not count
        if callable(vars(base).get("validate")):
            return
    raise ValueError(f"{update_type.__name__} must have a method validate() -> bool")


def _check_custom_info_type(custom_info_type: type | None) -> None:
    if custom_info_type is not None and not _declares(custom_info_type, "side"):
        raise ValueError(f"{custom_info_type.__name__} must declare side")


def _check_executor(executor_class: type, *, has_updates: bool) -> bool:
    """Check the class and return whether its constructor takes ``settings``."""
    name = executor_class.__name__
    wanted = (*_REQUIRED, "update_live") if has_updates else _REQUIRED
    missing = [item for item in wanted if not hasattr(executor_class, item)]
    if missing:
        raise ValueError(f"{name} must have {', '.join(missing)}")
    signature = inspect.signature(executor_class)
    try:
        signature.bind(None, None, 1.0, None)
    except TypeError as error:
        raise ValueError(
            f"{name}: the constructor must accept (strategy, config, update_interval, "
            f"max_retries): {error}"
        ) from error
    return "settings" in signature.parameters


def _declares(owner: type, name: str) -> bool:
    if name in getattr(owner, "model_fields", {}):
        return True
    return hasattr(owner, name) or any(
        name in getattr(base, "__annotations__", {}) for base in owner.__mro__
    )


def _type_string(config_type: type) -> str:
    fields = getattr(config_type, "model_fields", {})
    default = fields["type"].default if "type" in fields else getattr(config_type, "type", "")
    return default if isinstance(default, str) else ""
