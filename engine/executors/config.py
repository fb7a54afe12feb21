"""What every executor configuration has, and how it gets its identity (executors.md 3.1)."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Annotated, Self

import base58
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from engine.executors.form_hints import HIDDEN
from engine.executors.validation import read_decimal
from engine.model.clock import SECOND_NS


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

        Args:
            now_ns: the session's time, used when there is no timestamp.
            random_bits: at least 64 bits from the session's seeded generator.
            controller_id: replaces the configuration's own.
        """
        timestamp = ns_to_seconds(now_ns) if self.timestamp is None else self.timestamp
        identity = self.id or generated_id(timestamp, random_bits)
        return self.model_copy(
            update={"id": identity, "timestamp": timestamp, "controller_id": controller_id}
        )


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
