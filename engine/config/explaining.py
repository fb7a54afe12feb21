"""Effective configurations as lines: key, value, origin (CFG-2)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from engine.config.overlays import Layered
from engine.config.yaml_tree import Path


def explain_values(
    values: Mapping[str, Any], layered: Layered, *, section: str
) -> list[tuple[str, str, str]]:
    """Return (key, value, origin) of every value of an effective configuration, in order.

    Args:
        values: JSON values under the keys of the file's section.
        layered: the document with its overlays.
        section: the key of the section.
    """
    return [
        (".".join(str(step) for step in path), value, layered.origin((section, *path)))
        for path, value in _flat(values, ())
    ]


def _flat(value: Any, path: Path) -> Iterator[tuple[Path, str]]:  # noqa: ANN401 (JSON values)
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from _flat(below, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], Mapping | list):
        for index, below in enumerate(value):
            yield from _flat(below, (*path, index))
    else:
        yield path, json.dumps(value) if value is None or isinstance(value, bool) else str(value)
