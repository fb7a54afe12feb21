"""Forms made from configuration models, and what is typed into them.

A model's field says how it is asked for by ``json_schema_extra``: ``kind`` (percent, duration,
number, choice, text), ``unit``, and ``hidden`` for what the engine fills in itself.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Literal, TypeAlias, cast

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from engine.api.typed_values import parse_fraction, parse_number, parse_seconds, plain
from engine.api.views import FormField

Kind: TypeAlias = Literal["text", "choice", "number", "percent", "duration"]

_HELP: Final[dict[Kind, str]] = {
    "percent": "a fraction: 2% or 0.02",
    "duration": "a duration: 90s, 15m or 4h",
    "number": "a number: 0.05 or 1.5k",
    "choice": "",
    "text": "",
}


def form_fields(
    model: type[BaseModel],
    *,
    choices: Mapping[str, tuple[str, ...]],
    present: Mapping[str, str] | None = None,
    prefix: str = "",
    group: str = "",
) -> tuple[FormField, ...]:
    """Return the form of *model*; nested models become groups with dotted names.

    ``choices`` gives the allowed values of fields that depend on the session (the markets).
    ``present`` overrides defaults, for a form that changes something that exists.
    """
    return tuple(_fields(model, choices, present or {}, prefix, group))


def _fields(
    model: type[BaseModel],
    choices: Mapping[str, tuple[str, ...]],
    present: Mapping[str, str],
    prefix: str,
    group: str,
) -> Iterator[FormField]:
    """Yield the model's own fields first, then its groups, so that no group is torn apart."""
    groups: list[Iterator[FormField]] = []
    for name, info in model.model_fields.items():
        if _extra(info).get("hidden") or _is_fixed(info.annotation):
            continue
        dotted = f"{prefix}{name}"
        label = info.title or name.replace("_", " ").capitalize()
        nested = _nested_model(info.annotation)
        if nested is not None:
            groups.append(_fields(nested, choices, present, f"{dotted}.", label))
            continue
        yield _field(dotted, label, info, choices.get(dotted), present, group)
    for fields in groups:
        yield from fields


def _field(
    dotted: str,
    label: str,
    info: FieldInfo,
    choices: tuple[str, ...] | None,
    present: Mapping[str, str],
    group: str,
) -> FormField:
    extra = _extra(info)
    allowed = choices or _enum_names(info.annotation) or _yes_or_no(info.annotation)
    kind = cast("Kind", extra.get("kind") or _kind(info.annotation, has_choices=bool(allowed)))
    return FormField(
        name=dotted,
        label=label,
        kind=kind,
        required=info.is_required() and "." not in dotted,
        default=present.get(dotted, _default_text(info, allowed)),
        unit=str(extra.get("unit", "")),
        help=_help(info, kind),
        choices=allowed,
        group=group,
        # A list of other things than numbers has a text form of its own, which its model reads.
        many=kind != "text" and _is_list(info.annotation),
    )


def read_form(
    fields: tuple[FormField, ...], typed: Mapping[str, str]
) -> tuple[dict[str, object], dict[str, str], dict[str, str]]:
    """Return (nested values, errors by field, what was understood by field).

    A field that is left empty is left out, so that the model's default applies.
    """
    values: dict[str, object] = {}
    errors: dict[str, str] = {}
    understood: dict[str, str] = {}
    for form_field in fields:
        text = typed.get(form_field.name, form_field.default).strip()
        if not text:
            if form_field.required:
                errors[form_field.name] = f"{form_field.label} is needed"
            continue
        try:
            value, meaning = _read(form_field, text)
        except ValueError as error:
            errors[form_field.name] = str(error)
            continue
        if meaning != text:
            understood[form_field.name] = meaning
        _put(values, form_field.name.split("."), value)
    return values, errors, understood


def model_errors(error: ValidationError) -> dict[str, str]:
    """Return pydantic's errors as one sentence per dotted field name."""
    found: dict[str, str] = {}
    for one in error.errors(include_url=False):
        name = ".".join(str(step) for step in one["loc"])
        message = one["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        found.setdefault(name, message.replace("Input should be", "must be"))
    return found


def flat_values(model: BaseModel, *, prefix: str = "") -> dict[str, object]:
    """Return the fields of *model* by dotted name; nested models are flattened."""
    flat: dict[str, object] = {}
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            flat |= flat_values(value, prefix=f"{prefix}{name}.")
        elif not _extra(info).get("hidden"):
            flat[f"{prefix}{name}"] = value
    return flat


def value_text(value: object) -> str:
    """Return a configuration value as a form shows it; None is empty."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return plain(value)
        case Enum():
            return value.name
        case tuple() if hasattr(value, "_fields"):  # a row, as it is typed: 0.05:1
            return ":".join(value_text(item) for item in value)
        case list() | tuple():
            return ", ".join(value_text(item) for item in value)
        case _:
            return str(value)


def _read(form_field: FormField, text: str) -> tuple[object, str]:
    if not form_field.many:
        return _read_one(form_field, text)
    parts = [_read_one(form_field, part) for part in text.replace(",", " ").split()]
    return [value for value, _ in parts], ", ".join(meaning for _, meaning in parts)


def _read_one(form_field: FormField, text: str) -> tuple[object, str]:
    match form_field.kind:
        case "percent":
            fraction = parse_fraction(text)
            return fraction, plain(fraction)
        case "duration":
            seconds = parse_seconds(text)
            return seconds, f"{seconds} s"
        case "number":
            number = parse_number(text)
            return number, plain(number)
        case "choice":
            if text not in form_field.choices:
                raise ValueError(f"{text!r} is not one of {', '.join(form_field.choices)}")
            return text, text
        case "text":
            return text, text


def _put(values: dict[str, object], path: list[str], value: object) -> None:
    for step in path[:-1]:
        values = cast("dict[str, object]", values.setdefault(step, {}))
    values[path[-1]] = value


def _help(info: FieldInfo, kind: Kind) -> str:
    several = "several, with commas" if kind != "text" and _is_list(info.annotation) else ""
    return " · ".join(part for part in (info.description or "", _HELP[kind], several) if part)


def _extra(info: FieldInfo) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _members(annotation: Any) -> tuple[Any, ...]:  # noqa: ANN401 (a type expression)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(one for one in typing.get_args(annotation) if one is not type(None))
    return (annotation,)


def _yes_or_no(annotation: Any) -> tuple[str, ...]:  # noqa: ANN401 (a type expression)
    return ("no", "yes") if bool in _members(annotation) else ()


def _is_fixed(annotation: Any) -> bool:  # noqa: ANN401 (a type expression)
    """Whether only one value is possible: there is nothing to ask."""
    return typing.get_origin(annotation) is Literal and len(typing.get_args(annotation)) == 1


def _is_list(annotation: Any) -> bool:  # noqa: ANN401 (a type expression)
    return any(typing.get_origin(one) in (list, tuple) for one in _members(annotation))


def _nested_model(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 (a type expression)
    for one in _members(annotation):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def _enum_names(annotation: Any) -> tuple[str, ...]:  # noqa: ANN401 (a type expression)
    for one in _members(annotation):
        if isinstance(one, type) and issubclass(one, Enum):
            return tuple(member.name for member in one)
    return ()


def _kind(annotation: Any, *, has_choices: bool) -> Kind:  # noqa: ANN401 (a type expression)
    if has_choices:
        return "choice"
    members = _members(annotation)
    inside = [item for one in members for item in typing.get_args(one)]
    return "number" if {Decimal, int} & {*members, *inside} else "text"


def _default_text(info: FieldInfo, allowed: tuple[str, ...]) -> str:
    if info.is_required() or info.default_factory is not None:
        return allowed[0] if allowed else ""
    return value_text(info.default)
