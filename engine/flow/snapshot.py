"""Reading piles and flows back from the plain data that `to_dict` wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from engine.flow.element import Element
from engine.flow.errors import EngineError, ValidationError
from engine.flow.pile import class_name

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


def _element(classes: dict[str, type[Element]], name: object, entry: object, part: str) -> Element:
    kind = classes.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValidationError(f"the snapshot names the class {name!r}; import its module first")
    if not isinstance(entry, Mapping) or "id" not in entry or "created_at" not in entry:
        raise ValidationError(f"the snapshot is corrupt: an entry of {part} has no id or time")
    try:
        return kind.from_dict(entry)
    except EngineError as exc:
        raise ValidationError(f"the snapshot is corrupt: {exc.message}", cause=exc) from exc


def _subclasses(kind: type[Element]) -> Iterator[type[Element]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _subclasses(sub)
