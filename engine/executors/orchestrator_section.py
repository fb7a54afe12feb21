"""Run-time parameters of a session's executors in its file."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from engine.executors.settings import ExecutorSettings
from engine.executors.validation import PositiveDecimal, read_decimal
from engine.model.clock import SECOND_NS


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError(f"must not be negative, got {value}")
    return value


Seconds = Annotated[Decimal, BeforeValidator(read_decimal), AfterValidator(_not_negative)]
"""Seconds, zero or more, exact."""


class OrchestratorSection(BaseModel):
    """How often executors try again, and how patient they are. All times are in seconds.

    Before retry ``n`` they wait ``min(retry_backoff_max_s, retry_backoff_base_s * 2 ** (n - 1))``
    and never less than ``executors_update_interval``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    executors_update_interval: PositiveDecimal = Field(
        default=Decimal(1), description="seconds between two attempts of the same thing"
    )
    executors_max_retries: int | None = Field(
        default=None, ge=0, description="failures that are survived; each type's own if empty"
    )
    shutdown_poll_s: PositiveDecimal = Field(
        default=Decimal(5), description="seconds between two cancels of the same order"
    )
    retry_backoff_base_s: Seconds = Field(
        default=Decimal(1), description="seconds before the first retry; they double"
    )
    retry_backoff_max_s: Seconds = Field(
        default=Decimal(30), description="most seconds before a retry"
    )

    def settings(self) -> ExecutorSettings:
        """Return the waiting times as executors take them."""
        return ExecutorSettings(
            shutdown_poll_ns=_ns(self.shutdown_poll_s),
            retry_backoff_base_ns=_ns(self.retry_backoff_base_s),
            retry_backoff_max_ns=_ns(self.retry_backoff_max_s),
        )


def _ns(seconds: Decimal) -> int:
    return int(seconds * SECOND_NS)
