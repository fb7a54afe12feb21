"""Pydantic's errors as places in a document and sentences for people."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from engine.config.yaml_tree import Path, Plain

_SHOWN_LENGTH: Final = 60
_MUST_BE: Final = " is not allowed, must be "
_MAPPING_ERRORS: Final = frozenset({"model_type", "model_attributes_type", "dict_type"})


def describe_all(
    errors: Iterable[ErrorDetails], data: Plain, model: type[BaseModel]
) -> list[tuple[Path, str]]:
    """Return `describe` of all *errors*; what each member of a union says becomes one sentence.

    That a list is too short is left out if it is only because its items are wrong.
    """
    found: dict[tuple[Path, str], list[str]] = {}
    every = list(errors)
    for error in every:
        if error["type"] == "too_short" and any(_is_below(one, error) for one in every):
            continue
        path, text = describe(error, data, model)
        what, separator, allowed = text.partition(_MUST_BE)
        found.setdefault((path, what + separator), []).append(allowed)
    return [
        (path, what + " or ".join(dict.fromkeys(allowed)))
        for (path, what), allowed in found.items()
    ]


def _is_below(error: ErrorDetails, other: ErrorDetails) -> bool:
    """Whether *error* is about something inside of what *other* is about."""
    place = other["loc"]
    return len(error["loc"]) > len(place) and error["loc"][: len(place)] == place


def describe(error: ErrorDetails, data: Plain, model: type[BaseModel]) -> tuple[Path, str]:
    """Return where in *data* an error of *model* lies, and what is wrong and what is allowed."""
    loc = error["loc"]
    kind = error["type"]
    path = _locate(loc, data, keep_last=kind == "missing")
    value = error["input"]
    context = error.get("ctx", {})
    if kind == "missing":
        return path, _missing(model, loc)
    if kind == "extra_forbidden":
        return path, _unknown_key(str(loc[-1]), _known_keys(model, loc[:-1]))
    if kind == "union_tag_not_found":
        name = str(context["discriminator"]).strip("'")
        return (*path, name), "is missing, it says which kind this is"
    if kind == "union_tag_invalid":
        name = str(context["discriminator"]).strip("'")
        allowed = f"must be {_either(str(context['expected_tags']))}"
        return (*path, name), f"{_shown(context['tag'])} is not allowed, {allowed}"
    allowed = "must be a mapping of keys" if kind in _MAPPING_ERRORS else _allowed(error["msg"])
    if isinstance(value, dict | list) and kind == "value_error":
        return path, allowed
    shown = "the value (not shown)" if _is_secret(model, loc) else _shown(value)
    return path, f"{shown} is not allowed, {allowed}"


def _locate(loc: tuple[int | str, ...], data: Plain, *, keep_last: bool) -> Path:
    """Return *loc* without pydantic's own steps (the tags of unions, the names of validators)."""
    path: list[int | str] = []
    current = data
    for index, step in enumerate(loc):
        if isinstance(current, dict) and step in current:
            current = current[str(step)]
        elif isinstance(current, list) and isinstance(step, int) and step < len(current):
            current = current[step]
        elif not (keep_last and index == len(loc) - 1):
            continue
        path.append(step)
    return tuple(path)


def _shown(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return f"{value}"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            text = str(value)
            return repr(text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}...")


def _allowed(message: str) -> str:
    for prefix in ("Value error, ", "Assertion failed, "):
        message = message.removeprefix(prefix)
    sentence = " ".join(
        message.replace("Input should be", "must be").replace("a valid tuple", "a list").split()
    )
    return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence


def _either(tags: str) -> str:
    return " or ".join(part.strip() for part in tags.split(","))


def _missing(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    for owner in _models(_walk(model, loc[:-1])):
        field = _field(owner, loc[-1])
        if field and field.description:
            return f"is missing, set it: {field.description}"
    return "is missing, set it"


def _unknown_key(key: str, known: tuple[str, ...]) -> str:
    listed = f"known keys: {', '.join(known)}" if known else "no keys are known here"
    near = difflib.get_close_matches(key, known, n=1)
    return f"is not a known key, {f'did you mean {near[0]!r}? ' if near else ''}{listed}"


def _known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            field.alias or name
            for one in _models(_walk(model, loc))
            for name, field in one.model_fields.items()
        )
    )


def _field(model: type[BaseModel], step: int | str) -> FieldInfo | None:
    """Return the field that is written as *step* in a document."""
    found = model.model_fields.get(str(step))
    if found is not None:
        return found
    return next((one for one in model.model_fields.values() if one.alias == step), None)


def _is_secret(model: type[BaseModel], loc: tuple[int | str, ...]) -> bool:
    return any(one is SecretStr for one in _walk(model, loc))


def _models(annotations: Iterable[Any]) -> Iterator[type[BaseModel]]:
    return (one for one in annotations if isinstance(one, type) and issubclass(one, BaseModel))


def _walk(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[Any]:
    """Return the types that can stand at *loc* of *model*."""
    reached: list[Any] = [model]
    for step in loc:
        models = list(_models(reached))
        tagged = [one for one in models if _is_tag(one, step, is_union=len(models) > 1)]
        reached = tagged or [
            end for one in reached for below in _below(one, step) for end in _alternatives(below)
        ]
    return reached


def _is_tag(model: type[BaseModel], step: int | str, *, is_union: bool) -> bool:
    """Whether *step* is pydantic's name for *model* as a member of a union.

    A tag may be a field's name as well (``{kind: bps, bps: 5}``): among several models it is the
    tag, because pydantic names the member before its fields.
    """
    if not is_union and isinstance(step, str) and _field(model, step) is not None:
        return False
    literals = (
        value
        for field in model.model_fields.values()
        if typing.get_origin(field.annotation) is typing.Literal
        for value in typing.get_args(field.annotation)
    )
    return step == model.__name__ or step in literals


def _below(annotation: Any, step: int | str) -> tuple[Any, ...]:  # noqa: ANN401 (a type expression)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = _field(annotation, step)
        return (field.annotation,) if field else ()
    return typing.get_args(annotation)


def _alternatives(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 (a type expression)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _alternatives(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for one in typing.get_args(annotation):
            yield from _alternatives(one)
    else:
        yield annotation
