"""Ordered sequences of ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Self, SupportsIndex, overload
from uuid import UUID

from engine.flow.element import MISSING, Element, Mode, find_key, to_key
from engine.flow.errors import NotFoundError, ValidationError

_SLACK: Final = 64


class Progression(Element):
    """Ordered sequence of ids with a name; an element may be given wherever an id is wanted.

    `append`, `remove`, `include`, `exclude`, `in` and `len` are O(1) while the ids are unique;
    index operations, and everything once there are duplicates, are O(n).

    Args:
        order: one id, or any iterable of ids, id strings or elements.
        name: unique among the named progressions of a flow.
        fields: `id`, `created_at`, `metadata`.

    Raises:
        ValueError: a string that is no UUID.
        TypeError: something that cannot be an id.
    """

    def __init__(
        self,
        order: Iterable[UUID | str | Element] | UUID | str | Element | None = None,
        name: str | None = None,
        **fields: object,
    ) -> None:
        super().__init__(**fields)
        self.name = name
        # An executor works on these three itself, because it must not pay for a call.
        self.members: dict[int, None] = {}  # the distinct ids, in order
        self.listed: list[int] | None = None  # the whole order, once it holds duplicates
        self.dead = 0  # deletions since the storage was built
        # An executor sets this on its status progressions: it appends to them without a lock, so
        # the storage may only be exchanged by itself.
        self.is_shared = False
        if order is not None:
            self._restore(_keys_of(order))

    # --- reading ---------------------------------------------------------------------------

    @property
    def order(self) -> list[UUID]:
        """The ids as a new list."""
        return [UUID(int=key) for key in self.keys()]

    def keys(self) -> list[int]:
        """Return the ids in their integer form, as a new list."""
        return list(self.members if self.listed is None else self.listed)

    def __len__(self) -> int:
        return len(self.members if self.listed is None else self.listed)

    def __bool__(self) -> bool:
        return bool(self.members)

    def __contains__(self, item: object) -> bool:
        return find_key(item) in self.members

    def __iter__(self) -> Iterator[UUID]:
        return iter(self.order)

    def __reversed__(self) -> Iterator[UUID]:
        return reversed(self.order)

    def __repr__(self) -> str:
        name = "" if self.name is None else f" name={self.name!r}"
        return f"Progression(len={len(self)}{name})"

    def index(self, item: UUID | str | Element) -> int:
        """Return the place of the first occurrence; ValueError if absent."""
        return self.keys().index(self._present(item))

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> UUID: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[UUID]: ...
    def __getitem__(self, index: SupportsIndex | slice, /) -> UUID | list[UUID]:
        if isinstance(index, slice):
            return [UUID(int=key) for key in self.keys()[index]]
        return UUID(int=self.keys()[index])

    # --- O(1) changes ----------------------------------------------------------------------

    def append(self, item: UUID | str | Element) -> None:
        """Add *item* at the end."""
        self.append_key(to_key(item))

    def append_key(self, key: int) -> None:
        """Add the id with this integer form at the end."""
        if key in self.members and self.listed is None:
            self.listed = list(self.members)
        self.members[key] = None
        if self.listed is not None:
            self.listed.append(key)

    def extend(self, items: Iterable[UUID | str | Element]) -> None:
        """Add all *items* at the end, or none if one cannot be an id."""
        for key in [to_key(item) for item in items]:
            self.append_key(key)

    def remove(self, item: UUID | str | Element) -> None:
        """Take out the first occurrence; ValueError if absent."""
        key = self._present(item)
        if self.listed is None:
            self.drop_key(key)
        else:
            self.listed.remove(key)
            self._restore(self.listed)

    def include(self, item: UUID | str | Element) -> bool:
        """Append *item* unless it is there; return whether it was added."""
        key = to_key(item)
        if key in self.members:
            return False
        self.append_key(key)
        return True

    def exclude(self, item: UUID | str | Element) -> bool:
        """Take out every occurrence of *item*; return whether there was one."""
        key = find_key(item)
        return key is not None and self.drop_key(key)

    def drop_key(self, key: int) -> bool:
        """Take out every occurrence of the id with this integer form; return if there was one."""
        if self.listed is not None:
            before = len(self.listed)
            self._restore([other for other in self.listed if other != key])
            return len(self) < before
        members = self.members
        if members.pop(key, MISSING) is MISSING:
            return False
        dead = self.dead = self.dead + 1
        if dead > _SLACK and dead > len(members) and not self.is_shared:
            self.compact()
        return True

    def compact(self) -> None:
        """Rebuild the storage if more than half of it is dead.

        A dict keeps the slots of deleted keys, and iteration walks them. Called by itself,
        unless the progression `is_shared`.
        """
        if self.dead > _SLACK and self.dead > len(self.members):
            self.members = dict(self.members)
            self.dead = 0

    def clear(self) -> None:
        """Take out everything."""
        self._restore([])

    # --- changes by place ------------------------------------------------------------------

    def insert(self, index: SupportsIndex, item: UUID | str | Element) -> None:
        """Put *item* before the id at *index*, as a list does."""
        keys = self.keys()
        keys.insert(index, to_key(item))
        self._restore(keys)

    def pop(self, index: int = -1, default: object = MISSING) -> UUID | object:
        """Take out and return the id at *index*, or *default* if there is no such place.

        Raises:
            NotFoundError: no such place, and no default.
        """
        size = len(self)
        if not -size <= index < size:
            if default is not MISSING:
                return default
            raise NotFoundError(f"index {index} not found in a progression of {size} ids")
        if self.listed is None and index in (-1, size - 1):
            return UUID(int=self.members.popitem()[0])
        keys = self.keys()
        key = keys.pop(index)
        self._restore(keys)
        return UUID(int=key)

    def popleft(self) -> UUID:
        """Take out and return the first id; NotFoundError if there is none."""
        if not self.members:
            raise NotFoundError("the progression is empty")
        if self.listed is not None:
            keys = self.keys()
            key = keys.pop(0)
            self._restore(keys)
        else:
            key = next(iter(self.members))
            self.drop_key(key)
        return UUID(int=key)

    def __setitem__(self, index: SupportsIndex | slice, value: object, /) -> None:
        keys = self.keys()
        if isinstance(index, slice):
            if not isinstance(value, list):
                raise TypeError(f"expected list for a slice, not {type(value).__name__}")
            keys[index] = [to_key(item) for item in value]
        else:
            keys[index] = to_key(value)
        self._restore(keys)

    def move(self, frm: int, to: int) -> None:
        """Take out the id at *frm* and insert it before the one that stood at *to*.

        Raises:
            NotFoundError: one of the places is out of range; `len` is no place.
        """
        keys = self.keys()
        frm, to = self._place(frm), self._place(to)
        key = keys.pop(frm)
        keys.insert(to - 1 if frm < to else to, key)
        self._restore(keys)

    def swap(self, i: int, j: int) -> None:
        """Exchange the ids at two places."""
        keys = self.keys()
        i, j = self._place(i), self._place(j)
        keys[i], keys[j] = keys[j], keys[i]
        self._restore(keys)

    def reverse(self) -> None:
        """Turn the order round."""
        self._restore(self.keys()[::-1])

    # --- snapshots -------------------------------------------------------------------------

    def to_dict(self, mode: Mode = "python") -> dict[str, object]:
        """Return the element's own fields, `name` and `order`."""
        order: list[object] = list(self.order)
        if mode == "json":
            order = [str(one) for one in order]
        return {**super().to_dict(mode), "name": self.name, "order": order}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Return the progression that `to_dict` described; ValidationError if it is corrupt."""
        order, name = data.get("order"), data.get("name")
        if not isinstance(order, list) or not isinstance(name, (str, type(None))):
            raise ValidationError("a progression in this snapshot has no order, or no proper name")
        rest = {key: value for key, value in data.items() if key not in ("order", "name")}
        progression = super().from_dict(rest)
        progression.name = name
        try:
            progression.extend(order)
        except (TypeError, ValueError) as exc:
            raise ValidationError(
                f"the order of progression {name!r} is corrupt: {exc}", cause=exc
            ) from exc
        return progression

    # --- internals -------------------------------------------------------------------------

    def _restore(self, keys: list[int]) -> None:
        self.members = dict.fromkeys(keys)
        self.listed = None if len(self.members) == len(keys) else keys
        self.dead = 0

    def _present(self, item: object) -> int:
        key = find_key(item)
        if key is None or key not in self.members:
            raise ValueError(f"{item!r} is not in {self!r}")
        return key

    def _place(self, index: int) -> int:
        size = len(self)
        if not -size <= index < size:
            raise NotFoundError(f"index {index} not found in a progression of {size} ids")
        return index % size


def _keys_of(order: Iterable[UUID | str | Element] | UUID | str | Element) -> list[int]:
    if isinstance(order, Progression):
        return order.keys()
    if isinstance(order, (UUID, str, Element)):
        return [to_key(order)]
    return [to_key(item) for item in order]
