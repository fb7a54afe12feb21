"""Typed, ordered, thread-safe collections of elements."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from types import UnionType
from typing import Final, Generic, Self, TypeVar, get_args, overload
from uuid import UUID

from engine.flow.element import MISSING, Element, Mode, find_key, key_of, to_key
from engine.flow.errors import ExistsError, NotFoundError
from engine.flow.lock import AsyncLock
from engine.flow.progression import Progression

T = TypeVar("T", bound=Element)
D = TypeVar("D")

ItemType = type[Element] | UnionType | Iterable[type[Element]]
Id = UUID | str | Element

_SLACK: Final = 64


class Pile(Generic[T]):
    """Ordered collection of elements by id; add, remove, get, `in` and `len` are O(1).

    Every method is atomic under a re-entrant thread lock, and iteration works on a snapshot.
    `async with pile:` takes a separate lock for steps that belong together between tasks; the
    methods do not take it, so they may be called inside.

    Args:
        items: one element, or an iterable of them.
        item_type: class, union, list or set of classes that may be inside; None means any.
        order: ids or a progression that overrides the order of insertion.
        strict_type: admit the listed classes only, not their subclasses.

    Raises:
        TypeError: an item is refused.
        ExistsError: two items have one id.
        NotFoundError: *order* names an id without an item.
    """

    def __init__(
        self,
        items: Iterable[T] | T | None = None,
        item_type: ItemType | None = None,
        order: Iterable[Id] | None = None,
        strict_type: bool = False,  # noqa: FBT001, FBT002 (the specification's signature)
    ) -> None:
        self.item_type = class_set(item_type)
        self.strict_type = strict_type
        self._admitted: set[type] = set()  # classes that passed the type rule
        self.async_lock = AsyncLock()
        """What `async with pile:` takes."""
        self.revision = 0
        """Grows with every change of what is inside; lets a reader keep what it derived."""
        self.by_key: dict[int, T] = {}
        """The items by the integer form of their ids. For the engine, and to be read only."""
        self._dead = 0
        self._lock = threading.RLock()
        if items is not None:
            for item in [items] if isinstance(items, Element) else items:
                self.add(item)
        if order is not None:
            self._reorder(order)

    # --- one item --------------------------------------------------------------------------

    def add(self, item: T) -> None:
        """Put *item* at the end.

        Raises:
            TypeError: not an element, or refused by the type rule.
            ExistsError: its id is inside.
        """
        if type(item) not in self._admitted:
            self._check(item)
        key = key_of(item)
        with self._lock:
            if key in self.by_key:
                raise ExistsError(f"{item!r} already exists in the pile")
            self.by_key[key] = item
            self.revision += 1

    def remove(self, item: Id) -> T:
        """Take out and return an item; NotFoundError if absent."""
        return self._pop(to_key(item), item)

    def remove_keys(self, keys: Iterable[int]) -> int:
        """Take out the items with these integer ids; return how many were inside."""
        with self._lock:
            store = self.by_key
            before = len(store)
            for key in keys:
                store.pop(key, None)
            self._shrunk(before - len(store))
            return before - len(store)

    def remove_key(self, key: int) -> T | None:
        """Take out and return the item whose id has this integer form; None if absent."""
        with self._lock:
            item = self.by_key.pop(key, None)
            if item is not None:
                self._shrunk(1)
            return item

    def _shrunk(self, number: int) -> None:
        self.revision += 1
        self._dead += number
        # A dict keeps the slots of deleted keys, and iteration walks them. A new dict is put in
        # place in one step, because other threads read without the lock.
        if self._dead > _SLACK and self._dead > len(self.by_key):
            self.by_key = dict(self.by_key)
            self._dead = 0

    @overload
    def pop(self, item: Id) -> T: ...
    @overload
    def pop(self, item: Id, default: D) -> T | D: ...
    def pop(self, item: Id, default: object = MISSING) -> object:
        """Take out and return an item, or *default*; NotFoundError if absent without default."""
        key = to_key(item)
        with self._lock:
            if default is not MISSING and key not in self.by_key:
                return default
            return self._pop(key, item)

    @overload
    def get(self, item: Id) -> T: ...
    @overload
    def get(self, item: Id, default: D) -> T | D: ...
    def get(self, item: Id, default: object = MISSING) -> object:
        """Return an item, or *default*; NotFoundError if absent without default."""
        found = self.by_key.get(to_key(item))
        if found is not None:
            return found
        if default is not MISSING:
            return default
        raise _not_found(item)

    def select_keys(self, keys: Iterable[int]) -> list[T]:
        """Return the items with these integer ids, in this order, without the absent ones."""
        store = self.by_key
        return [store[key] for key in keys if key in store]

    def update(self, item: T) -> None:
        """Replace the item of the same id, at its place; NotFoundError if there is none."""
        self._check(item)
        with self._lock:
            if key_of(item) not in self.by_key:
                raise _not_found(item)
            self.by_key[key_of(item)] = item
            self.revision += 1

    def include(self, item: T) -> bool:
        """Add *item* unless its id is inside; return False only if the type rule refuses it."""
        with self._lock:
            if item in self:
                return True
            try:
                self.add(item)
            except TypeError:
                return False
            return True

    def exclude(self, item: object) -> bool:
        """Take out *item* if it is inside; return False only for what cannot be an id."""
        key = find_key(item)
        if key is None:
            return False
        self.remove_key(key)
        return True

    def clear(self) -> None:
        """Take out everything."""
        with self._lock:
            self.by_key = {}
            self._dead = 0
            self.revision += 1

    # --- several items ---------------------------------------------------------------------

    @overload
    def __getitem__(self, key: UUID | str | int) -> T: ...
    @overload
    def __getitem__(
        self,
        key: slice | list[int] | list[UUID] | list[str] | tuple[object, ...] | Progression,
    ) -> Pile[T]: ...
    @overload
    def __getitem__(self, key: Callable[[T], object]) -> Pile[T]: ...
    def __getitem__(self, key: object) -> T | Pile[T]:
        if isinstance(key, Progression):
            return self._named(key.keys())
        if isinstance(key, (UUID, str, Element)):
            return self.get(key)
        if isinstance(key, int) and not isinstance(key, bool):
            return self._values()[key]
        if isinstance(key, slice):
            return self._like(self._values()[key])
        if isinstance(key, (list, tuple)):
            return self._listed(key)
        if callable(key):
            return self._like([item for item in self._values() if key(item)])
        raise TypeError(f"Invalid key type: {type(key).__name__}")

    def filter_by_type(self, types: ItemType) -> Pile[T]:
        """Return a new pile of the items of these classes (exact classes if the pile is strict).

        Raises:
            TypeError: the pile can never hold one of them.
            NotFoundError: it holds none.
        """
        wanted = class_set(types) or set()
        for one in wanted:
            self._check_filter(one)
        if self.strict_type:
            found = [item for item in self._values() if type(item) in wanted]
        else:
            found = [item for item in self._values() if isinstance(item, tuple(wanted))]
        if not found:
            names = ", ".join(sorted(one.__name__ for one in wanted))
            raise NotFoundError(f"items of type {names} not found in the pile")
        return self._like(found)

    def __contains__(self, item: object) -> bool:
        return find_key(item) in self.by_key

    def __len__(self) -> int:
        return len(self.by_key)

    def __bool__(self) -> bool:
        return bool(self.by_key)

    def __iter__(self) -> Iterator[T]:
        return iter(self._values())

    def __repr__(self) -> str:
        return f"Pile(len={len(self)})"

    def is_empty(self) -> bool:
        """Return whether nothing is inside."""
        return not self.by_key

    def keys(self) -> Iterator[UUID]:
        """Return the ids in order, from a snapshot."""
        return iter([item.id for item in self._values()])

    def items(self) -> Iterator[tuple[UUID, T]]:
        """Return pairs of id and item in order, from a snapshot."""
        return iter([(item.id, item) for item in self._values()])

    @property
    def progression(self) -> Progression:
        """The order as a progression of its own."""
        return Progression(item.id for item in self._values())

    @property
    def _items(self) -> dict[UUID, T]:
        """The items by id, for debug panels; a copy."""
        return dict(self.items())

    @property
    def _progression(self) -> Progression:
        """The order, for debug panels; a copy."""
        return self.progression

    def to_dict(self, mode: Mode = "python") -> dict[str, object]:
        """Return `items`, a list in order, and `classes`, which names the class of each."""
        values = self._values()
        return {
            "items": [item.to_dict(mode) for item in values],
            "classes": [class_name(type(item)) for item in values],
        }

    # --- between tasks ---------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.async_lock.acquire()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.async_lock.release()

    # --- internals -------------------------------------------------------------------------

    def _values(self) -> list[T]:
        return list(self.by_key.values())

    def _like(self, items: Iterable[T]) -> Pile[T]:
        return Pile(items, item_type=self.item_type, strict_type=self.strict_type)

    def _pop(self, key: int, item: object) -> T:
        found = self.remove_key(key)
        if found is None:
            raise _not_found(item)
        return found

    def _named(self, keys: Iterable[int]) -> Pile[T]:
        found: dict[int, T] = {}
        for key in keys:
            item = self.by_key.get(key)
            if item is None:
                raise _not_found(UUID(int=key))
            found[key] = item
        return self._like(found.values())

    def _listed(self, keys: list[object] | tuple[object, ...]) -> Pile[T]:
        if not keys:
            raise ValueError("empty list/tuple selects nothing")
        if any(isinstance(key, bool) for key in keys):
            raise TypeError("Invalid key type: bool in a list key, which holds ints or ids only")
        numbers = [key for key in keys if isinstance(key, int)]
        if len(numbers) == len(keys):
            values = self._values()
            return self._like({key_of(values[i]): values[i] for i in numbers}.values())
        if numbers and any(isinstance(key, (UUID, str, Element)) for key in keys):
            raise TypeError("Cannot mix int and UUID in one selection")
        ids = [find_key(key) for key in keys]
        if None in ids:
            raise TypeError("a list key holds ints or ids only")
        return self._named(key for key in ids if key is not None)

    def _reorder(self, order: Iterable[Id]) -> None:
        store: dict[int, T] = {}
        for one in order:
            key = to_key(one)
            if key not in self.by_key:
                raise _not_found(one)
            store[key] = self.by_key[key]
        self.by_key = store | {k: item for k, item in self.by_key.items() if k not in store}

    def _check(self, item: object) -> None:
        if not isinstance(item, Element):
            raise TypeError(f"a pile holds elements, not {type(item).__name__}")
        allowed = self.item_type
        if allowed is not None and type(item) not in allowed:
            names = ", ".join(sorted(one.__name__ for one in allowed))
            if self.strict_type:
                raise TypeError(
                    f"{type(item).__name__} is not one of {names}: the pile has strict_type=True"
                )
            if not isinstance(item, tuple(allowed)):
                raise TypeError(f"{type(item).__name__} is not a subclass of {names}")
        self._admitted.add(type(item))

    def _check_filter(self, wanted: type[Element]) -> None:
        allowed = self.item_type
        if allowed is None:
            return
        if self.strict_type:
            if wanted not in allowed:
                raise TypeError(f"{wanted.__name__} is not allowed in pile (strict_type=True)")
        elif not any(issubclass(wanted, one) or issubclass(one, wanted) for one in allowed):
            raise TypeError(f"{wanted.__name__} is not compatible with the pile's item types")


def class_set(types: ItemType | None) -> set[type[Element]] | None:
    """Return the classes of *types* as a set; None means any element.

    Raises:
        TypeError: something in it is not a class of elements.
    """
    if types is None:
        return None
    listed: Iterable[object]
    if isinstance(types, type):
        listed = (types,)
    elif isinstance(types, Iterable):
        listed = types
    else:
        listed = get_args(types)
    classes: set[type[Element]] = set()
    for one in listed:
        if not (isinstance(one, type) and issubclass(one, Element)):
            raise TypeError(f"an item type is a class of elements, not {one!r}")
        classes.add(one)
    if not classes:
        raise TypeError(f"an item type names at least one class of elements, not {types!r}")
    return classes


def class_name(kind: type) -> str:
    """Return the name under which a snapshot records *kind*."""
    return f"{kind.__module__}:{kind.__qualname__}"


def _not_found(item: object) -> NotFoundError:
    return NotFoundError(f"{item.id if isinstance(item, Element) else item} not found in the pile")
