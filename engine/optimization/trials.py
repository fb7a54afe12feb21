"""Trials: one combination, run once, and what came of it (OPT-12)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum, unique
from typing import Any, Final, Self

from engine.optimization.constraint import ParameterValue
from engine.optimization.windows import Span


@unique
class TrialStatus(StrEnum):
    """How a trial ended."""

    DONE = "DONE"
    FAILED = "FAILED"
    OOM = "OOM"
    TIMEOUT = "TIMEOUT"
    CANCELLED = "CANCELLED"
    PRUNED = "PRUNED"
    """Stopped early: hopeless against the others on the data that it had seen."""


CLUSTER_STAGE: Final = "cluster"
"""Stage of trials that nobody could run: a resumed study runs them."""


@dataclass(frozen=True, slots=True)
class StudyIdentity:
    """What makes two trials of the same parameters the same trial."""

    config_hash: str
    data_hash: str
    engine_version: str

    def trial_key(
        self, parameters: Mapping[str, ParameterValue], window: Span | None = None
    ) -> str:
        """Return the SHA-256 of the parameters and of everything that the result depends on."""
        parts = [canonical(parameters), self.config_hash, self.data_hash, self.engine_version]
        if window is not None:
            parts.append(f"{window.start}:{window.stop}")
        text = "\n".join(parts)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TrialError:
    """Why a trial has no result. ``stage`` is where: build, run, collect, worker or cluster."""

    type: str
    message: str
    stage: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """A trial that has ended.

    ``metrics`` holds floats, integers and None; money is text, exact. ``duration_s`` and ``worker``
    say how it was run and are never part of a comparison.
    """

    index: int
    key: str
    parameters: Mapping[str, ParameterValue]
    status: TrialStatus
    metrics: Mapping[str, float | int | str | None] = field(default_factory=dict)
    fingerprint: str = ""
    error: TrialError | None = None
    duration_s: float = 0.0
    worker: str = ""
    blocks: tuple[float, ...] = ()
    """Number of returns, their sums in equal blocks of time, and the sums of their squares."""
    window: Span | None = None
    """The bars that it was run on, None for all."""
    note: str = ""
    """Why it was run otherwise than asked for; like `worker` never part of a comparison."""

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        error = self.error
        return {
            **({"note": self.note} if self.note else {}),
            "index": self.index,
            "key": self.key,
            "params": plain_parameters(self.parameters),
            "status": self.status.value,
            "metrics": dict(self.metrics),
            "fingerprint": self.fingerprint,
            "duration_s": self.duration_s,
            "worker": self.worker,
            "blocks": list(self.blocks),
            "window": None if self.window is None else [self.window.start, self.window.stop],
            "error": None
            if error is None
            else {
                "type": error.type,
                "message": error.message,
                "stage": error.stage,
                "traceback": error.traceback,
                "params": plain_parameters(self.parameters),
            },
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the record that `to_plain` made *plain* of.

        Raises:
            KeyError, TypeError, ValueError: *plain* is not a record.
        """
        error, window = plain["error"], plain.get("window")
        return cls(
            index=int(plain["index"]),
            key=str(plain["key"]),
            parameters=parameters_of(plain["params"]),
            status=TrialStatus(plain["status"]),
            metrics=dict(plain["metrics"]),
            fingerprint=str(plain["fingerprint"]),
            duration_s=float(plain["duration_s"]),
            worker=str(plain["worker"]),
            blocks=tuple(float(value) for value in plain.get("blocks", ())),
            window=None if window is None else Span(int(window[0]), int(window[1])),
            note=str(plain.get("note", "")),
            error=error
            if error is None
            else TrialError(error["type"], error["message"], error["stage"], error["traceback"]),
        )


def plain_parameters(parameters: Mapping[str, ParameterValue]) -> dict[str, Any]:
    """Return *parameters* as JSON values; a decimal is ``{"decimal": text}``, exact."""
    return {
        name: {"decimal": str(value)} if isinstance(value, Decimal) else value
        for name, value in parameters.items()
    }


def parameters_of(plain: Mapping[str, Any]) -> dict[str, ParameterValue]:
    """Return the parameters that `plain_parameters` made *plain* of."""
    return {
        name: Decimal(value["decimal"]) if isinstance(value, dict) else value
        for name, value in plain.items()
    }


def canonical(parameters: Mapping[str, ParameterValue]) -> str:
    """Return *parameters* as text that is the same for equal values in any order."""
    equal = {
        name: value.normalize() if isinstance(value, Decimal) else value
        for name, value in parameters.items()
    }
    return json.dumps(plain_parameters(equal), sort_keys=True, separators=(",", ":"))
