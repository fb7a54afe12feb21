"""How values of records become SQLite's, and back."""

# SQLAlchemy documents `impl` and `cache_ok` as class attributes and types them as mutable.
# mypy: disable-error-code="mutable-override"

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

from engine.store.decimal_text import from_text, to_text
from engine.store.records import SessionStatus


class DecimalText(TypeDecorator[Decimal]):
    """An exact decimal number as its canonical text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:  # noqa: ARG002 (SQLAlchemy's signature)
        return None if value is None else to_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 (SQLAlchemy's signature)
        return None if value is None else from_text(value)


class WideInteger(TypeDecorator[int]):
    """A whole number that may exceed 64 bits, as text: a seed is any whole number."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:  # noqa: ARG002 (SQLAlchemy's signature)
        return None if value is None else str(int(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:  # noqa: ARG002 (SQLAlchemy's signature)
        return None if value is None else int(value)


class Flag(TypeDecorator[bool]):
    """A truth value as 0 or 1; STRICT tables know no BOOLEAN."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> int | None:  # noqa: ARG002, FBT001 (SQLAlchemy's signature)
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> bool | None:  # noqa: ARG002 (SQLAlchemy's signature)
        return None if value is None else bool(value)


class JsonText(TypeDecorator[Mapping[str, object]]):
    """A JSON object as compact text with sorted keys; NaN and infinity are refused."""

    impl = Text
    cache_ok = True

    def process_bind_param(
        self,
        value: Mapping[str, object] | None,
        dialect: Dialect,  # noqa: ARG002 (SQLAlchemy's signature)
    ) -> str | None:
        if value is None:
            return None
        return json.dumps(
            value, default=_plain, sort_keys=True, separators=(",", ":"), allow_nan=False
        )

    def process_result_value(
        self,
        value: str | None,
        dialect: Dialect,  # noqa: ARG002 (SQLAlchemy's signature)
    ) -> Mapping[str, object] | None:
        if value is None:
            return None
        decoded: dict[str, Any] = json.loads(value)
        return decoded


class StatusText(TypeDecorator[SessionStatus]):
    """A session's status as its word."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: SessionStatus | None, dialect: Dialect) -> str | None:  # noqa: ARG002 (SQLAlchemy's signature)
        return None if value is None else SessionStatus(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> SessionStatus | None:  # noqa: ARG002 (SQLAlchemy's signature)
        return None if value is None else SessionStatus(value)


def _plain(value: object) -> object:
    """Return the JSON form of what `json` does not know."""
    if isinstance(value, Decimal):
        return to_text(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} {value!r} has no JSON form")
