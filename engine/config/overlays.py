"""Overlays of a document: a profile from the file, then single values from the command line."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from engine.config.document import ConfigError, Document
from engine.config.yaml_tree import Path, Plain, TreeError, read_tree

FROM_COMMAND_LINE: Final = "command line"


@dataclass(frozen=True, slots=True)
class Layered:
    """A document with its overlays applied, and where each value came from."""

    document: Document
    origins: Mapping[Path, str]
    """By the path of a value: ``file:line``, ``profile NAME (file:line)`` or ``command line``."""

    def origin(self, path: Path) -> str:
        """Return where the value at *path* came from.

        A value that the document does not hold is a default, unless a short form above it says
        it: ``slippage_model: fixed`` says ``slippage_model.kind``.
        """
        if path in self.origins:
            return self.origins[path]
        while path and path not in self.origins:
            path = path[:-1]
        is_short_form = path and not isinstance(self.document.value_at(path), dict | list)
        return self.origins[path] if is_short_form else "default"


def layer(
    document: Document, *, section: str, profile: str | None, overrides: Iterable[str] = ()
) -> Layered:
    """Return *document* with *profile* and *overrides* over it (defaults < file < profile < CLI).

    Args:
        document: the file.
        section: the key that profiles overlay.
        profile: name of an entry under ``profiles``.
        overrides: ``key.key=value``, the value in YAML; keys start at *section*.

    Raises:
        ConfigError: there is no such profile, or an override is no ``key=value``.
    """
    name = document.path.name
    origins = {path: f"{name}:{line}" for path, line in document.lines.items() if path}
    data, lines = dict(document.data), dict(document.lines)
    if profile is not None:
        found = _profile(document, profile)
        base = ("profiles", profile)
        data[section] = _merged(data.get(section), found)
        for path in _leaves(found, ()):
            line = document.line((*base, *path))
            lines[(section, *path)] = line
            origins[(section, *path)] = f"profile {profile} ({name}:{line})"
    for text in overrides:
        path, value = _override(document.path, text, section)
        data = _as_mapping(_merged(data, _nested(path, value)))
        lines[path] = lines.get(path, document.line(path))
        origins[path] = FROM_COMMAND_LINE
    return Layered(replace(document, data=data, lines=lines), origins)


def _profile(document: Document, name: str) -> Plain:
    profiles = document.data.get("profiles")
    known = profiles if isinstance(profiles, dict) else {}
    if name not in known:
        listed = ", ".join(known) or "none"
        raise document.error(("profiles",), f"profile {name!r} is not in the file, known: {listed}")
    return known[name]


def _override(file: pathlib.Path, text: str, section: str) -> tuple[Path, Plain]:
    key, separator, value = text.partition("=")
    steps = [step for step in key.strip().split(".") if step]
    if not separator or not steps:
        raise ConfigError(
            [f"{file}:1: {FROM_COMMAND_LINE}: {text!r} is no key.key=value, such as seed=7"]
        )
    path: list[str | int] = [int(step) if step.isdigit() else step for step in steps]
    if path[0] not in (section, "version"):
        path.insert(0, section)
    try:
        return tuple(path), read_tree(value).data
    except TreeError as error:
        raise ConfigError(
            [f"{file}:1: {FROM_COMMAND_LINE}: {key}: {error.text}"], cause=error
        ) from error


def _nested(path: Path, value: Plain) -> Plain:
    for step in reversed(path):
        value = {str(step): value}
    return value


def _merged(below: Plain, above: Plain) -> Plain:
    """Return *above* over *below*; mappings merge, a mapping of indexes merges into a list."""
    if isinstance(below, list) and isinstance(above, dict) and all(key.isdigit() for key in above):
        items = list(below)
        for key, value in above.items():
            place = int(key)
            if place < len(items):
                items[place] = _merged(items[place], value)
            else:
                items.append(value)
        return items
    if isinstance(below, dict) and isinstance(above, dict):
        merged = dict(below)
        for key, value in above.items():
            merged[key] = _merged(merged.get(key), value)
        return merged
    return above


def _as_mapping(value: Plain) -> dict[str, Plain]:
    return value if isinstance(value, dict) else {}


def _leaves(value: Plain, path: Path) -> Iterable[Path]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    else:
        yield path
