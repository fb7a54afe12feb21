"""Reading piles and flows back from the plain data that `to_dict` wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from uuid import UUID

from engine.flow.element import Element, key_of
from engine.flow.errors import EngineError, ValidationError
from engine.flow.event import Event
from engine.flow.pile import class_name
from engine.flow.progression import Progression
from engine.flow.status import STATUSES, EventStatus

VERSION: Final = 1
"""Version of the snapshot format; another one is refused."""


def check_version(data: object) -> Mapping[str, object]:
    """Return *data* if it is a snapshot of our version; ValidationError otherwise."""
    if not isinstance(data, Mapping):
        raise ValidationError(f"a snapshot is a mapping, not {type(data).__name__}")
    version = data.get("version")
    if version != VERSION or isinstance(version, bool):
        raise ValidationError(
            f"snapshot version {version!r} cannot be read; this engine reads version {VERSION}",
            details={"version": version, "supported": VERSION},
        )
    return data


def elements_from(data: Mapping[str, object], part: str) -> list[Element]:
    """Return the elements of one pile of a snapshot, in order.

    Args:
        data: the snapshot.
        part: key of the pile.

    Raises:
        ValidationError: the pile is missing or corrupt, or names a class that is not imported.
    """
    pile = data.get(part)
    entries, names = (
        (pile.get("items"), pile.get("classes")) if isinstance(pile, Mapping) else (None, None)
    )
    if not isinstance(entries, list) or not isinstance(names, list) or len(entries) != len(names):
        raise ValidationError(f"the snapshot is corrupt: {part} lists no items with their classes")
    classes = {class_name(kind): kind for kind in _subclasses(Element)}
    return [
        _element(classes, name, entry, part) for name, entry in zip(names, entries, strict=True)
    ]


def check_status_progressions(
    items: Iterable[Element], progressions: Iterable[Progression]
) -> None:
    """Check that every event is listed once, under its own status, if any status has a list.

    Progressions that are not named by a status are free, and so are items that are no events.

    Raises:
        ValidationError: an event is listed elsewhere, twice, or nowhere.
    """
    listed: dict[int, EventStatus] = {}
    named = [(EventStatus(one.name), one) for one in progressions if one.name in STATUSES]
    for status, progression in named:
        for key in progression.keys():  # noqa: SIM118 (integers; iteration makes UUIDs)
            if key in listed:
                raise ValidationError(
                    f"the snapshot is corrupt: item {UUID(int=key)} is listed under "
                    f"{listed[key]} and again under {status}"
                )
            listed[key] = status
    for item in items if named else ():
        if isinstance(item, Event) and listed.get(key_of(item)) is not item.status:
            place = listed.get(key_of(item), "no status")
            raise ValidationError(
                f"the snapshot is corrupt: event {item.id} is {item.status}, but it is listed "
                f"under {place}"
            )


def _element(classes: dict[str, type[Element]], name: object, entry: object, part: str) -> Element:
    kind = classes.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValidationError(f"the snapshot names the class {name!r}; import its module first")
    if not isinstance(entry, Mapping) or "id" not in entry or "created_at" not in entry:
        raise ValidationError(f"the snapshot is corrupt: an entry of {part} has no id or time")
    try:
        return kind.from_dict(entry)
    except EngineError as exc:
        raise ValidationError(
            f"the snapshot is corrupt: {entry['id']} of {part}: {exc.message}", cause=exc
        ) from exc


def _subclasses(kind: type[Element]) -> Iterator[type[Element]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _subclasses(sub)
