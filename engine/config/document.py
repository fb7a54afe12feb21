"""Configuration documents: YAML files whose every mistake is told with its file and line."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from engine.config.problems import describe_all
from engine.config.yaml_tree import Path, Plain, Tree, TreeError, read_tree
from engine.flow.errors import ConfigurationError

MAX_BYTES: Final = 1_000_000
"""Largest configuration file."""

ModelT = TypeVar("ModelT", bound=BaseModel)


class ConfigError(ConfigurationError):
    """A configuration cannot be used.

    ``problems`` holds one line for each mistake: ``file:line: field: what is wrong, what is
    allowed``. The message is these lines.
    """

    def __init__(self, problems: Iterable[str], *, cause: BaseException | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join(self.problems), details={"problems": list(self.problems)}, cause=cause
        )


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration file as it was read.

    ``data`` holds plain values: mappings, lists, text, `int`, `Decimal`, `bool` and None.
    """

    path: pathlib.Path
    data: dict[str, Plain]
    lines: dict[Path, int]

    @property
    def base_dir(self) -> pathlib.Path:
        """The folder that relative paths in the document start from."""
        return self.path.parent

    def value_at(self, path: Path) -> Plain:
        """Return the value at *path*, None if a key is missing.

        A path that goes on below a short form, such as ``slippage_model: fixed``, ends at it.

        Raises:
            IndexError: a list has no such position.
        """
        value: Plain = self.data
        for step in path:
            if isinstance(value, dict):
                value = value.get(str(step))
            elif isinstance(value, list):
                value = value[int(step)]
        return value

    def line(self, path: Path) -> int:
        """Return the line (from 1) of *path*, or of the nearest place above it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def problem(self, path: Path, text: str) -> str:
        """Return ``file:line: field: text`` for the value at *path*."""
        return _problem(self.path, self.line(path), path, text)

    def error(self, path: Path, text: str) -> ConfigError:
        """Return an error that says *text* about the value at *path*."""
        return ConfigError([self.problem(path, text)])


def load_document(path: pathlib.Path) -> Document:
    """Return the YAML document in the file *path*.

    Raises:
        ConfigError: the file cannot be read, is no YAML, or its top is not a mapping.
    """
    text = _read_text(path)
    try:
        tree = read_tree(text)
    except TreeError as error:
        raise ConfigError(
            [_problem(path, error.line, error.path, error.text)], cause=error
        ) from error
    return Document(path, _mapping(path, tree), tree.lines)


def validate(document: Document, model: type[ModelT]) -> ModelT:
    """Return *document* as a *model*.

    Raises:
        ConfigError: it does not fit; every mistake is listed, in the order of the lines.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        found = describe_all(error.errors(include_url=False), document.data, model)
        found.sort(key=lambda place_and_text: document.line(place_and_text[0]))
        problems = [document.problem(place, text) for place, text in found]
        raise ConfigError(problems, cause=error) from error


def _problem(file: pathlib.Path, line: int, path: Path, text: str) -> str:
    field = ".".join(str(step) for step in path) or "document"
    return f"{file}:{line}: {field}: {text}"


def _mapping(path: pathlib.Path, tree: Tree) -> dict[str, Plain]:
    match tree.data:
        case dict() as data:
            return data
        case None:
            text = "is empty, write at least one key"
        case _:
            text = "is not a mapping, write lines such as 'key: value'"
    raise ConfigError([_problem(path, tree.lines[()], (), text)])


def _read_text(path: pathlib.Path) -> str:
    try:
        if path.is_dir():
            raise _file_error(path, "is a directory, name a YAML file")
        if path.exists() and not path.is_file():
            raise _file_error(path, "is not a regular file, name a YAML file")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise _file_error(path, "does not exist, check the name", error) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise _file_error(
            path, f"cannot be read ({reason}), check its name and its permissions", error
        ) from error
    if len(raw) > MAX_BYTES:
        raise _file_error(path, f"is larger than {MAX_BYTES} bytes, make it smaller")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        text = f"byte 0x{raw[error.start]:02x} is not UTF-8, save the file as UTF-8"
        raise _file_error(path, text, error, line=line) from error


def _file_error(
    path: pathlib.Path, text: str, cause: BaseException | None = None, *, line: int = 1
) -> ConfigError:
    return ConfigError([f"{path}:{line}: file: {text}"], cause=cause)
