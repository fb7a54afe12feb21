"""Keeps secrets out of answers and logs: by the name of a value, by the value, by its shape."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from engine.flow.plain import to_plain

MASK: Final = "***"
_NAMES: Final = ("key", "secret", "token", "pass", "private")
_SHORTEST_VALUE: Final = 4
_ASSIGNED: Final = re.compile(
    r"""(?ix)
    ( [\w-]*(?:key|secret|token|pass|private|signature)
      (?!\w*(?:error|exception)) [\w-]* ["']? \s* [=:] \s* ["']? )  # "KeyError: x" tells no key
    [^\s"',;&}\])]+
    """
)
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+")
_USERINFO: Final = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://)[^/\s@]+@")


def is_secret_name(name: str) -> bool:
    """Return whether a value of that name is masked."""
    lower = name.lower()
    return any(part in lower for part in _NAMES)


def masked(value: object) -> Any:  # noqa: ANN401 (JSON)
    """Return *value* as JSON types, with a mask in the place of each secret."""
    return _json(value, hides=is_secret_name)


def showable(value: object) -> Any:  # noqa: ANN401 (JSON)
    """Return *value* as JSON types; a number that JSON does not have becomes None."""
    return _json(value, hides=lambda _name: False)


def secret_values(config: object) -> Iterator[str]:
    """Yield the texts that `masked` would hide, so that they can be found elsewhere as well."""
    if isinstance(config, Mapping):
        for key, item in config.items():
            if is_secret_name(str(key)):
                yield from _texts(item)
            else:
                yield from secret_values(item)
    elif isinstance(config, list | tuple | set | frozenset):
        for item in config:
            yield from secret_values(item)


def redacted(text: str, known: Iterable[str] = ()) -> str:
    """Return *text* without the *known* secrets and without what looks like one."""
    for value in sorted(set(known), key=len, reverse=True):
        if len(value) >= _SHORTEST_VALUE:
            text = text.replace(value, MASK)
    text = _USERINFO.sub(rf"\1{MASK}@", text)
    text = _BEARER.sub(rf"\1 {MASK}", text)
    return _ASSIGNED.sub(rf"\1{MASK}", text)


def redacted_tree(value: Any, known: Iterable[str] = ()) -> Any:  # noqa: ANN401 (JSON)
    """Return the JSON *value* with every text in it `redacted`."""
    if isinstance(value, dict):
        return {key: redacted_tree(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [redacted_tree(item, known) for item in value]
    return redacted(value, known) if isinstance(value, str) else value


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _json(value: object, hides: Callable[[str], bool]) -> Any:  # noqa: ANN401 (JSON)
    if isinstance(value, Mapping):
        return {
            str(key): MASK if hides(str(key)) else _json(item, hides) for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_json(item, hides) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return to_plain(value)
