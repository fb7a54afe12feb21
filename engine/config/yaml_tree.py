"""YAML text into plain values that remember their lines.

Differences from YAML 1.1 as PyYAML loads it, all on purpose: numbers with a point or an exponent
become `Decimal` and never binary floats; ``yes``, ``no``, ``on``, ``off``, ``12:30`` and dates stay
text; duplicate keys, merge keys and explicit tags of any other kind are errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias

import yaml

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from the top of a document to a value."""

Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | Decimal | bool | None"
"""A value of a document."""

MAX_ALIASES: Final = 100
MAX_NODES: Final = 50_000
MAX_DEPTH: Final = 40
MAX_DIGITS: Final = 60
"""Digits of a number, and the largest power of ten in its exponent."""

_PREFIX: Final = "tag:yaml.org,2002:"
_INT: Final = re.compile(r"[-+]?[0-9]+(?:_[0-9]+)*")
_DECIMAL: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"(?:[-+]?\.inf|\.nan)", re.IGNORECASE)
_BOOLS: Final = {"true": True, "false": False}


class TreeError(Exception):
    """A document cannot be read: *text* says why, *line* (from 1) and *path* say where."""

    def __init__(self, line: int, path: Path, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.path = path
        self.text = text


@dataclass(frozen=True, slots=True)
class Tree:
    """A document: its values, and the line (from 1) of each key or list item."""

    data: Plain
    lines: dict[Path, int]


def read_tree(text: str) -> Tree:
    """Return the only document in *text*; an empty one has the data None.

    Raises:
        TreeError: the text is not YAML, or uses what is not allowed here.
    """
    lines: dict[Path, int] = {(): 1}
    try:
        loader = _Composer(text)
        root = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        shown = f"character {error.character!r} is not allowed, use printable text"
        raise TreeError(line, (), shown) from error
    except yaml.MarkedYAMLError as error:
        raise _marked(error) from error
    if root is None:
        return Tree(None, lines)
    lines[()] = _line(root)
    return Tree(_Builder(lines).value(root, (), ()), lines)


class _Composer(yaml.SafeLoader):
    """SafeLoader's composition, bounded, with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML declares it without ClassVar)

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: Hashable) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in the stubs
        if isinstance(event, yaml.AliasEvent):
            self._aliases += 1
        self._depth += 1
        line = event.start_mark.line + 1
        if self._aliases > MAX_ALIASES:
            raise TreeError(line, (), f"more than {MAX_ALIASES} aliases, write the values out")
        if self._depth > MAX_DEPTH:
            raise TreeError(line, (), f"nested deeper than {MAX_DEPTH} levels, make it flatter")
        node: yaml.Node | None = super().compose_node(parent, index)  # type: ignore[arg-type]  # the stubs know only mappings
        self._depth -= 1
        return node


def _resolve_as(kind: str, pattern: re.Pattern[str], first: str) -> None:
    _Composer.add_implicit_resolver(
        _PREFIX + kind, re.compile(rf"(?:{pattern.pattern})\Z", pattern.flags), list(first)
    )


_resolve_as("bool", re.compile("true|True|TRUE|false|False|FALSE"), "tTfF")
_resolve_as("int", _INT, "-+0123456789")
_resolve_as("float", re.compile(f"{_DECIMAL.pattern}|(?i:{_NOT_FINITE.pattern})"), "-+0123456789.")
_Composer.add_implicit_resolver(
    _PREFIX + "null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]
)


class _Builder:
    """Turns nodes into plain values and notes their lines."""

    def __init__(self, lines: dict[Path, int]) -> None:
        self._lines = lines
        self._count = 0

    def value(self, node: yaml.Node, path: Path, above: tuple[yaml.Node, ...]) -> Plain:
        self._count += 1
        if self._count > MAX_NODES:
            raise TreeError(_line(node), path, f"more than {MAX_NODES} values, make it smaller")
        if any(node is one for one in above):
            raise TreeError(_line(node), path, "contains itself by an alias, write the value out")
        match node:
            case yaml.MappingNode(tag=tag) if tag == _PREFIX + "map":
                return self._mapping(node, path, (*above, node))
            case yaml.SequenceNode(tag=tag) if tag == _PREFIX + "seq":
                return self._sequence(node, path, (*above, node))
            case yaml.ScalarNode(tag=tag) if tag in _SCALARS:
                return _SCALARS[tag](node, path)
            case _:
                shown = str(node.tag).replace(_PREFIX, "!!")
                raise TreeError(_line(node), path, f"tag {shown} is not allowed, use plain values")

    def _mapping(
        self, node: yaml.MappingNode, path: Path, above: tuple[yaml.Node, ...]
    ) -> dict[str, Plain]:
        values: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise TreeError(line, path, "a key is a list or mapping, keys must be plain words")
            key = str(key_node.value)
            here = (*path, key)
            if key == "<<":
                raise TreeError(line, here, "merge keys are not allowed, write the keys out")
            if key in values:
                first = self._lines[here]
                raise TreeError(line, here, f"key appears twice (first on line {first}), keep one")
            self._lines[here] = line
            values[key] = self.value(value_node, here, above)
        return values

    def _sequence(
        self, node: yaml.SequenceNode, path: Path, above: tuple[yaml.Node, ...]
    ) -> list[Plain]:
        values: list[Plain] = []
        for index, item in enumerate(node.value):
            here = (*path, index)
            self._lines[here] = _line(item)
            values.append(self.value(item, here, above))
        return values


def _text(node: yaml.ScalarNode, _: Path) -> str:
    return str(node.value)


def _null(_: yaml.ScalarNode, __: Path) -> None:
    return None


def _boolean(node: yaml.ScalarNode, path: Path) -> bool:
    value = _BOOLS.get(str(node.value).lower())
    if value is None:
        raise TreeError(_line(node), path, f"{node.value!r} is not a boolean, use true or false")
    return value


def _whole(node: yaml.ScalarNode, path: Path) -> int:
    text = str(node.value)
    if not _INT.fullmatch(text):
        raise TreeError(_line(node), path, f"{text!r} is not a whole number")
    _check_digits(node, path)
    return int(text)


def _decimal(node: yaml.ScalarNode, path: Path) -> Decimal:
    text = str(node.value)
    if _NOT_FINITE.fullmatch(text):
        raise TreeError(_line(node), path, f"{text} is not allowed, use a finite number")
    if not _DECIMAL.fullmatch(text):
        raise TreeError(_line(node), path, f"{text!r} is not a number")
    _check_digits(node, path)
    number = Decimal(text)
    if number and abs(number.adjusted()) > MAX_DIGITS:
        bounds = f"use a power of ten between -{MAX_DIGITS} and {MAX_DIGITS}"
        raise TreeError(_line(node), path, f"{text} is out of range, {bounds}")
    return number


def _check_digits(node: yaml.ScalarNode, path: Path) -> None:
    if len(node.value) > MAX_DIGITS:
        shown = f"{node.value[:12]}... has {len(node.value)} characters"
        raise TreeError(_line(node), path, f"number {shown}, use at most {MAX_DIGITS}")


_SCALARS: Final[dict[str, Callable[[yaml.ScalarNode, Path], Plain]]] = {
    _PREFIX + "str": _text,
    _PREFIX + "null": _null,
    _PREFIX + "bool": _boolean,
    _PREFIX + "int": _whole,
    _PREFIX + "float": _decimal,
}


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _marked(error: yaml.MarkedYAMLError) -> TreeError:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    parts = [part for part in (error.context, error.problem) if part]
    said = " ".join(" ".join(parts).split()) or "cannot be read"
    return TreeError(line, (), f"not valid YAML ({said}), check the indentation and the quotes")
