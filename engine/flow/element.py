"""Elements: what has an id, a time of creation and metadata, and can be kept in a pile."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from inspect import get_annotations
from operator import attrgetter
from random import Random
from typing import Any, ClassVar, Final, Literal, Self
from uuid import UUID

from engine.flow.clock import wall_ns
from engine.flow.errors import ValidationError
from engine.flow.field_types import declared_types, fits
from engine.flow.plain import copy_containers, to_plain

Mode = Literal["python", "json"]

MISSING: Final = object()
"""Marks a field or an argument for which there is no default."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IMMUTABLE: Final = (str, int, float, bool, bytes, complex, type(None), UUID, datetime, timedelta)
_BASE_FIELDS: Final = frozenset({"id", "created_at", "metadata"})

# UUID.__hash__ and UUID.__eq__ run as Python code, so every index of this package is keyed by the
# id's 128-bit integer, and the UUID object is built when somebody looks at it.
_random: Final = Random()
_random_bits: Final[Callable[[int], int]] = _random.getrandbits
os.register_at_fork(after_in_child=_random.seed)  # a forked worker must not repeat our ids
_CLEAR: Final = ~(0xF000 << 64 | 0xC000 << 48)
_VERSION_4: Final = 0x4000 << 64 | 0x8000 << 48


class Element:
    """Base of everything that a pile can hold.

    Subclasses declare fields as annotated class attributes with defaults; construction is by
    keyword; mutable defaults are copied for each instance. A field without a default is
    required. Names that begin with an underscore and `ClassVar`s are not fields.

    Args:
        fields: `id` (UUID or its string), `created_at` (datetime, epoch seconds or ISO text),
            `metadata`, and the declared fields.

    Raises:
        ValueError: an unknown keyword, a missing one, or a bad value.
    """

    unserialised: ClassVar[frozenset[str]] = frozenset()
    """Names of the fields that `to_dict` leaves out; a subclass adds its own."""

    _fields: ClassVar[dict[str, object]] = {}
    _mutable: ClassVar[tuple[str, ...]] = ()
    _required: ClassVar[frozenset[str]] = frozenset()
    _is_hooked: ClassVar[bool] = False
    _declared: ClassVar[dict[str, object] | None] = None  # types of the fields, once looked up

    # Class-level defaults: an instance pays for one of these only once it differs.
    _id: UUID | None = None
    _metadata: dict[str, object] | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        fields = dict(cls._fields)
        for name, annotation in get_annotations(cls).items():
            if not name.startswith("_") and "ClassVar" not in str(annotation):
                fields.setdefault(name, MISSING)
        for name in fields:
            if name in cls.__dict__:
                fields[name] = cls.__dict__[name]
        cls._fields = fields
        cls._required = frozenset(name for name, value in fields.items() if value is MISSING)
        cls._mutable = tuple(
            name
            for name, value in fields.items()
            if value is not MISSING and not isinstance(value, _IMMUTABLE)
        )
        cls._declared = None
        cls._is_hooked = cls.model_post_init is not Element.model_post_init

    def __init__(self, **fields: object) -> None:
        self._fill(fields)
        if self._is_hooked:
            self.model_post_init(None)

    def _fill(self, fields: dict[str, object]) -> None:
        self._key = _random_bits(128) & _CLEAR | _VERSION_4
        self._created: int | datetime = wall_ns() // 1000
        if fields:
            self._assign(fields)
        if self._mutable:
            for name in self._mutable:
                if name not in fields:
                    setattr(self, name, deepcopy(self._fields[name]))
        if self._required and not self._required <= fields.keys():
            missing = sorted(self._required - fields.keys())
            raise ValueError(f"{type(self).__name__} needs {', '.join(missing)}")

    def _assign(self, fields: Mapping[str, object]) -> None:
        for name, value in fields.items():
            if name in self._fields:
                setattr(self, name, value)
            elif name == "id":
                self._key = _id_from(value)
            elif name == "created_at":
                self._created = _time_from(value)
            elif name == "metadata":
                self.metadata = value  # type: ignore[assignment]  # the setter checks it
            else:
                allowed = ", ".join(sorted(_BASE_FIELDS | self._fields.keys()))
                raise ValueError(
                    f"{type(self).__name__} has no field {name!r}; its fields are {allowed}"
                )

    def model_post_init(self, context: object, /) -> None:
        """Run once after construction; for subclasses."""

    @property
    def id(self) -> UUID:
        """Random UUID (version 4) unless one was given."""
        known = self._id
        if known is None:
            known = self._id = UUID(int=self._key)
        return known

    @property
    def created_at(self) -> datetime:
        """Time of construction, timezone-aware."""
        created = self._created
        if isinstance(created, int):
            return _EPOCH + timedelta(microseconds=created)
        return created

    @property
    def metadata(self) -> dict[str, object]:
        """Notes about this element; one dict for each element."""
        notes = self._metadata
        if notes is None:
            notes = self._metadata = {}
        return notes

    @metadata.setter
    def metadata(self, notes: dict[str, object]) -> None:
        if not isinstance(notes, dict):
            raise ValueError(f"metadata must be a dict, not {type(notes).__name__}")  # noqa: TRY004 (constructor errors are ValueErrors)
        self._metadata = notes

    def to_dict(self, mode: Mode = "python") -> dict[str, object]:
        """Return `id`, `created_at`, `metadata` and the declared fields.

        Args:
            mode: "python" keeps UUIDs, times and field values; "json" yields JSON types only.

        Raises:
            ValueError: another mode.
        """
        data: dict[str, object] = {
            "id": self.id,
            "created_at": self.created_at,
            "metadata": self._metadata or {},
        }
        for name in self._fields:
            if name not in self.unserialised:
                data[name] = getattr(self, name)
        if mode == "json":
            return {name: to_plain(value) for name, value in data.items()}
        if mode == "python":
            return {name: copy_containers(value) for name, value in data.items()}
        raise ValueError(f"mode must be 'python' or 'json', not {mode!r}")

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Return the element that `to_dict` described, in either mode.

        Raises:
            ValidationError: *data* does not describe a `cls`, or a field has a wrong type.
        """
        cls._check_types(data)
        try:
            return cls(**{name: copy_containers(value) for name, value in data.items()})
        except (AttributeError, TypeError, ValueError) as exc:
            raise ValidationError(f"no {cls.__name__} in this snapshot: {exc}", cause=exc) from exc

    @classmethod
    def _check_types(cls, data: Mapping[str, object]) -> None:
        if cls._declared is None:
            cls._declared = declared_types(cls)
        for name in cls._fields.keys() & data.keys():
            declared = cls._declared.get(name, Any)
            if not fits(data[name], declared):
                label = declared.__name__ if isinstance(declared, type) else declared
                raise ValidationError(
                    f"no {cls.__name__} in this snapshot: its field {name} is {data[name]!r}, "
                    f"which is no {label}"
                )

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Element) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id})"


key_of: Final[Callable[[Element], int]] = attrgetter("_key")
"""Return the integer form of an element's id, by which every index is keyed."""


def epoch_seconds(element: Element) -> float:
    """Return the time of creation as seconds since 1970."""
    created = element._created  # noqa: SLF001 (same module)
    return created / 1e6 if isinstance(created, int) else created.timestamp()


def to_key(value: object) -> int:
    """Return the integer form of an id that is given as element, UUID or UUID string.

    Raises:
        ValueError: a string that is no UUID.
        TypeError: any other type.
    """
    if isinstance(value, Element):
        return key_of(value)
    if isinstance(value, UUID):
        return value.int
    if isinstance(value, str):
        return UUID(value).int
    raise TypeError(f"an id is an element, a UUID or a UUID string, not {type(value).__name__}")


def find_key(value: object) -> int | None:
    """Return `to_key(value)`, or None for what cannot be an id."""
    try:
        return to_key(value)
    except (TypeError, ValueError):
        return None


def _id_from(value: object) -> int:
    key = find_key(value) if isinstance(value, (UUID, str)) else None
    if key is None:
        raise ValueError(f"id must be a UUID or a UUID string, not {value!r}")
    return key


def _time_from(value: object) -> datetime | int:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError) as exc:
            raise ValueError(f"created_at is out of range: {value!r}") from exc
    raise ValueError(f"created_at must be a datetime, a number or ISO text, not {value!r}")
