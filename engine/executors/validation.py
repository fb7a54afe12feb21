"""Exact numbers and enum names in configurations, and errors that a person can act on."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, ValidationError

from engine.model.orders import OrderType, PositionMode, TradeType

E = TypeVar("E", bound=Enum)


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; ``field`` is dotted and empty for the whole model."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def describe_errors(error: ValidationError) -> tuple[FieldError, ...]:
    """Return one sentence for each problem, with the field's dotted name and the value."""
    return tuple(
        FieldError(
            ".".join(str(part) for part in item["loc"]),
            _sentence(item["type"], item["msg"], item["input"]),
        )
        for item in error.errors(include_url=False)
    )


def read_decimal(value: object) -> Decimal:
    """Return *value* as a finite Decimal; a float is read through its shortest text.

    Raises:
        ValueError: *value* is no number, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"must be a number, got {value!r}")  # noqa: TRY004 (pydantic wants it)
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        raise ValueError(f"must be a number, got {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"must be a finite number, got {value}")
    return number


def positive(value: Decimal) -> Decimal:
    """Accept a number above zero.

    Raises:
        ValueError: *value* is zero or less.
    """
    if value <= 0:
        raise ValueError(f"must be greater than 0, got {value}")
    return value


def positive_int(value: int) -> int:
    """Accept a whole number above zero.

    Raises:
        ValueError: *value* is zero or less.
    """
    if value <= 0:
        raise ValueError(f"must be at least 1, got {value}")
    return value


def by_name(enum_type: type[E]) -> BeforeValidator:
    """Return a validator that reads a member, or its name in any case."""

    def read(value: object) -> E:
        if isinstance(value, enum_type):
            return value
        if isinstance(value, str) and value.strip().upper() in enum_type.__members__:
            return enum_type[value.strip().upper()]
        raise ValueError(f"must be one of {', '.join(enum_type.__members__)}, got {value!r}")

    return BeforeValidator(read)


def _read_side(value: object) -> TradeType:
    name = value.strip().upper() if isinstance(value, str) else ""
    side = value if isinstance(value, TradeType) else TradeType.__members__.get(name)
    if side not in {TradeType.BUY, TradeType.SELL}:
        shown = repr(value) if side is None else "RANGE"
        raise ValueError(f"must be one of BUY, SELL, got {shown}")
    return side


def _blank_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def split_list(value: object) -> object:
    """Split text at commas; blank text is None, anything else stays."""
    value = _blank_is_none(value)
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _zero_is_none(value: object) -> object:
    is_zero = not isinstance(value, bool) and value in (0, "0")
    return None if is_zero else _blank_is_none(value)


_TO_NAME = PlainSerializer(lambda member: member.name, return_type=str, when_used="json")

PositiveDecimal = Annotated[Decimal, BeforeValidator(read_decimal), AfterValidator(positive)]
"""A finite number above zero, exact."""

OptionalDecimal = Annotated[PositiveDecimal | None, BeforeValidator(_blank_is_none)]
"""A finite number above zero, exact, or None; blank text is None."""

OptionalDecimals = Annotated[tuple[PositiveDecimal, ...] | None, BeforeValidator(split_list)]
"""Finite numbers above zero, or None; text is split at commas."""

PositiveInt = Annotated[int, AfterValidator(positive_int)]
"""A whole number above zero."""

DirectionalSide = Annotated[TradeType, BeforeValidator(_read_side), _TO_NAME]
"""BUY or SELL."""

PositionModeName = Annotated[PositionMode, by_name(PositionMode), _TO_NAME]
"""ONEWAY or HEDGE."""

OrderTypeName = Annotated[OrderType, by_name(OrderType), _TO_NAME]
"""MARKET, LIMIT or LIMIT_MAKER."""

BarrierSeconds = Annotated[PositiveInt | None, BeforeValidator(_zero_is_none)]
"""Whole seconds above zero; 0 is read as None."""

OptionalSeconds = Annotated[PositiveInt | None, BeforeValidator(_blank_is_none)]
"""Whole seconds above zero, or None; blank text is None."""


_PLAIN_WORDS: Final = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "model_type": "must be a mapping of fields",
    "tuple_type": "must be a list",
}
"""What a person reads instead of pydantic's own words for values of the wrong kind."""


def _sentence(kind: str, message: str, value: object) -> str:
    if kind == "missing":
        return "is required"
    if kind in _PLAIN_WORDS:
        return f"{_PLAIN_WORDS[kind]}, got {value!r}"
    if kind == "extra_forbidden":
        return f"is not a known field (value {value!r}); remove it or check its spelling"
    text = message.removeprefix("Value error, ")
    return text if ", got " in text else f"{text}, got {value!r}"
