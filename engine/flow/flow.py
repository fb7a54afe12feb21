"""Flows: a pile of items, and named progressions that refer to them."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Generic, Self, TypeVar, cast
from uuid import UUID

from engine.flow.element import Element, Mode, find_key, to_key
from engine.flow.errors import (
    EngineError,
    ExistsError,
    NotFoundError,
    UnknownProgressionError,
    ValidationError,
)
from engine.flow.pile import Id, ItemType, Pile
from engine.flow.progression import Progression
from engine.flow.snapshot import VERSION, check_status_progressions, check_version, elements_from

T = TypeVar("T", bound=Element)

Key = UUID | str | Progression


class Flow(Generic[T]):
    """Items, and progressions that refer to them by id; an item may be in any number of them.

    Methods are atomic under one re-entrant thread lock.

    Args:
        items: one element, an iterable of them, or a pile, which is used as it is.
        progressions: one progression, or an iterable of them.
        name: name of the flow.
        item_type: what the items may be; see `Pile`.
        strict_type: admit the listed classes only.

    Raises:
        NotFoundError: a progression names an id that is not in the items.
        ExistsError: two progressions have one name.
    """

    def __init__(
        self,
        items: Iterable[T] | T | None = None,
        progressions: Iterable[Progression] | Progression | None = None,
        name: str | None = None,
        item_type: ItemType | None = None,
        strict_type: bool = False,  # noqa: FBT001, FBT002 (the specification's signature)
    ) -> None:
        self.name = name
        self.items: Pile[T] = (
            items
            if isinstance(items, Pile)
            else Pile(items, item_type=item_type, strict_type=strict_type)
        )
        self.progressions: Pile[Progression] = Pile(item_type=Progression)
        self._progression_names: dict[str, UUID] = {}
        self.lock = threading.RLock()
        if isinstance(progressions, Progression):
            progressions = [progressions]
        for progression in progressions or ():
            self.add_progression(progression)

    # --- progressions ----------------------------------------------------------------------

    def add_progression(self, progression: Progression) -> None:
        """Add a progression, named or not.

        Raises:
            ExistsError: its name or its id is taken.
            NotFoundError: it holds an id that is not in the items.
        """
        with self.lock:
            name = progression.name
            if name is not None and name in self._progression_names:
                raise ExistsError(f"Progression {name!r} already exists in the flow")
            absent = [key for key in progression.members if self.items.by_key.get(key) is None]
            if absent:
                raise NotFoundError(
                    f"{len(absent)} ids of {progression!r} are not in items pile",
                    details={"missing": [str(UUID(int=key)) for key in absent]},
                )
            self.progressions.add(progression)
            if name is not None:
                self._progression_names[name] = progression.id

    def get_progression(self, key: Key) -> Progression:
        """Return a progression by name first, then by id, id string or itself.

        Raises:
            UnknownProgressionError: there is none; a `KeyError` and a `NotFoundError`.
        """
        with self.lock:
            named = self._progression_names.get(key) if isinstance(key, str) else None
            found_key = find_key(key if named is None else named)
            found = None if found_key is None else self.progressions.by_key.get(found_key)
            if found is None:
                label = key.id if isinstance(key, Progression) else key
                raise UnknownProgressionError(f"Progression '{label}' not found in the flow")
            return found

    def remove_progression(self, key: Key) -> Progression:
        """Take out and return a progression, and free its name; NotFoundError if absent."""
        with self.lock:
            try:
                found = self.get_progression(key)
            except UnknownProgressionError as exc:
                label = key.id if isinstance(key, Progression) else key
                raise UnknownProgressionError(
                    f"Progression {label} not found in flow", cause=exc
                ) from exc
            self.progressions.remove(found)
            names = self._progression_names
            for name in [name for name, one in names.items() if one == found.id]:
                del names[name]
            return found

    # --- items -----------------------------------------------------------------------------

    def add_item(self, item: T, progressions: Iterable[Key] | Key | None = None) -> None:
        """Add *item*, also to *progressions*; nothing is changed if anything is wrong.

        Raises:
            UnknownProgressionError: a progression is not in the flow.
            ExistsError: the item's id is in the flow.
            TypeError: the items' type rule refuses it.
        """
        if progressions is None:
            keys: list[Key] = []
        elif isinstance(progressions, (str, UUID, Progression)):
            keys = [progressions]
        else:
            keys = list(progressions)
        with self.lock:
            targets = [self.get_progression(key) for key in keys]
            self.items.add(item)
            for target in targets:
                target.append(item)

    def remove_item(self, item: Id) -> T:
        """Take *item* out of all progressions and of the items; NotFoundError if absent.

        Cost: O(number of progressions).
        """
        key = to_key(item)
        with self.lock:
            found = self.items.by_key.get(key)
            if found is None:
                label = item.id if isinstance(item, Element) else item
                raise NotFoundError(f"Item {label} not found in the flow")
            self.drop_keys((key,))
            return found

    def drop_keys(self, keys: Collection[int]) -> int:
        """Take out the items with these integer ids everywhere; return how many there were."""
        with self.lock:
            # The items first: an executor lists an id, and then looks whether its item is gone.
            count = self.items.remove_keys(keys)
            for progression in self.progressions:
                members = progression.members
                for key in [key for key in keys if key in members]:
                    progression.drop_key(key)
        return count

    def __repr__(self) -> str:
        name = "" if self.name is None else f", name={self.name!r}"
        return f"Flow(items={len(self.items)}, progressions={len(self.progressions)}{name})"

    # --- snapshots -------------------------------------------------------------------------

    def to_dict(self, mode: Mode = "python") -> dict[str, object]:
        """Return `version`, `name`, `items` and `progressions`; `from_dict` reads them back.

        Args:
            mode: "python" keeps UUIDs and times; "json" yields JSON types only.
        """
        with self.lock:
            return {
                "version": VERSION,
                "name": self.name,
                "items": self.items.to_dict(mode),
                "progressions": self.progressions.to_dict(mode),
            }

    @classmethod
    def from_dict(
        cls,
        data: Mapping[str, object],
        item_type: ItemType | None = None,
        *,
        strict_type: bool = False,
    ) -> Self:
        """Return the flow that `to_dict` described, in either mode.

        The classes of the items must be imported. Values that have no JSON type come back from
        a JSON snapshot as the text or list they were written as.

        Raises:
            ValidationError: a snapshot of another version, or a corrupt one: also one in which
                an event is not listed exactly once under its status, if any status has a list.
        """
        data = check_version(data)
        name = data.get("name")
        if not isinstance(name, (str, type(None))):
            raise ValidationError(f"the snapshot is corrupt: its name is {name!r}")
        items = elements_from(data, "items")
        progressions = elements_from(data, "progressions")
        orders = [one for one in progressions if isinstance(one, Progression)]
        if len(orders) < len(progressions):
            raise ValidationError("the snapshot is corrupt: progressions lists something else")
        check_status_progressions(items, orders)
        try:
            return cls(
                cast("list[T]", items),  # the pile checks them against item_type
                orders,
                name=name,
                item_type=item_type,
                strict_type=strict_type,
            )
        except (EngineError, TypeError) as exc:
            raise ValidationError(f"the snapshot is corrupt: {exc}", cause=exc) from exc
