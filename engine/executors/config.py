"""What every executor configuration has, and how it gets its identity."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Annotated, Self, TypeVar

import base58
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from engine.executors.form_hints import HIDDEN
from engine.executors.validation import read_decimal
from engine.model.clock import SECOND_NS

_Model = TypeVar("_Model", bound=BaseModel)


def _valid_timestamp(seconds: float) -> float:
    if read_decimal(seconds) < 0:
        raise ValueError(f"must not be negative, got {seconds}")
    return seconds


class ExecutorConfigBase(BaseModel):
    """Base of all executor configurations.

    ``id`` may be left empty and ``timestamp`` (seconds since the epoch, the start of the time
    limit) None: ``with_identity`` fills them in before an executor is made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(default="", json_schema_extra=HIDDEN)
    type: str = Field(json_schema_extra=HIDDEN)
    timestamp: Annotated[float, AfterValidator(_valid_timestamp)] | None = Field(
        default=None, json_schema_extra=HIDDEN
    )
    controller_id: str = Field(default="main", json_schema_extra=HIDDEN)

    @property
    def created_ns(self) -> int:
        """Return ``timestamp`` in nanoseconds, exactly as its decimal text says.

        Raises:
            ValueError: there is no timestamp yet.
        """
        if self.timestamp is None:
            raise ValueError(f"{self.type} has no timestamp; give it an identity first")
        return seconds_to_ns(self.timestamp)

    def with_identity(self, *, now_ns: int, random_bits: int, controller_id: str) -> Self:
        """Return a copy with timestamp, id and controller; what is given already is kept.

        The copy counts every field as given, also those of the models in it: so all copies share
        their sets of given fields, and stay small.

        Args:
            now_ns: the session's time, used when there is no timestamp.
            random_bits: at least 64 bits from the session's seeded generator.
            controller_id: replaces the configuration's own.
        """
        timestamp = ns_to_seconds(now_ns) if self.timestamp is None else self.timestamp
        identity = self.id or generated_id(timestamp, random_bits)
        return self.changed(id=identity, timestamp=timestamp, controller_id=controller_id)

    def changed(self, **values: object) -> Self:
        """Return a copy with other *values*, not validated, that counts every field as given."""
        return _complete(self, values)


@cache
def _all_fields(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


def _complete(model: _Model, changes: Mapping[str, object]) -> _Model:
    """Return a copy with *changes* that counts every field as given, as the models in it do."""
    kind = type(model)
    copied = kind.__new__(kind)
    # What pydantic's own copy does, but field by field: then the instances of a class share the
    # keys of their dicts, which makes a configuration half as large.
    for name, value in model:
        is_open = isinstance(value, BaseModel) and (
            value.model_fields_set is not _all_fields(type(value))
        )
        kept = _complete(value, {}) if is_open else value
        object.__setattr__(copied, name, changes.get(name, kept))
    object.__setattr__(copied, "__pydantic_fields_set__", _all_fields(kind))
    object.__setattr__(copied, "__pydantic_extra__", None)
    object.__setattr__(copied, "__pydantic_private__", None)
    return copied


def generated_id(timestamp: float, random_bits: int) -> str:
    """Return base58 of SHA-256 over ``<timestamp>-<random>`` (43 or 44 characters)."""
    digest = hashlib.sha256(f"{timestamp!r}-{random_bits}".encode()).digest()
    return base58.b58encode(digest).decode()


def seconds_to_ns(seconds: float) -> int:
    """Return *seconds* in nanoseconds, exact for the shortest decimal text of the float."""
    return int(Decimal(repr(seconds)) * SECOND_NS)


def ns_to_seconds(ns: int) -> float:
    """Return *ns* as float seconds, for configurations and reports only."""
    return ns / SECOND_NS
